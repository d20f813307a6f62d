"""Augmentation does what it is told, measured on the signal that comes out."""

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import scipy.signal
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rillet.features import Augment, AugmentConfig, spec_augment, warp_spectrum
from rillet.features.augment import add_noise, change_spectrum, set_level

FloatArray = npt.NDArray[np.float32]

RATE_HZ = 16_000
FLAT = [(0.0, 0.0), (8_000.0, 0.0)]
NEVER = AugmentConfig(
    speed_chance=0, room_chance=0, low_pass_chance=0, telephone_chance=0, equaliser_chance=0, noise_chance=0,
    white_noise_chance=0, noise_only_chance=0, gain_dbfs=(-20, -20),
)  # fmt: skip


def white(samples: int, seed: int = 0) -> FloatArray:
    return 0.1 * np.random.default_rng(seed).standard_normal(samples, dtype=np.float32)


def sine(hertz: float, samples: int = 2 * RATE_HZ) -> FloatArray:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(samples) / RATE_HZ)).astype(np.float32)


def level_dbfs(samples: FloatArray) -> float:
    return 10 * float(np.log10(np.mean(np.square(samples, dtype=np.float64))))


def band_db(samples: FloatArray, low_hz: float, high_hz: float) -> float:
    """Mean power between two frequencies."""
    hertz, power = scipy.signal.welch(samples, RATE_HZ, nperseg=2048)
    return 10 * float(np.log10(power[(hertz >= low_hz) & (hertz <= high_hz)].mean()))


def augment(seed: int = 0, **config: Any) -> FloatArray:
    """Two seconds of white noise, augmented by a configuration that does only what is given."""
    recordings = [white(5 * RATE_HZ, 1), white(RATE_HZ // 2, 2)]
    rooms = [np.exp(-np.arange(2_000) / 300).astype(np.float32) * white(2_000, 3)]
    augmentation = Augment(replace(NEVER, **config), recordings, rooms)
    return augmentation(white(2 * RATE_HZ), np.random.default_rng(seed))


def test_the_same_generator_gives_the_same() -> None:
    everything = {f"{name}_chance": 1.0 for name in ("speed", "room", "low_pass", "equaliser", "noise", "white_noise")}
    one, again, other = (augment(seed, **everything) for seed in (5, 5, 6))
    assert np.array_equal(one, again)
    assert not np.array_equal(one[:1000], other[:1000])
    assert one.dtype == np.float32


def test_nothing_asked_leaves_all_but_the_level() -> None:
    changed, original = augment(), white(2 * RATE_HZ)
    assert level_dbfs(changed) == pytest.approx(-20, abs=0.01)
    assert np.allclose(changed, original * (changed[7] / original[7]), atol=1e-5)


@settings(deadline=None, max_examples=40)
@given(speed=st.floats(0.8, 1.25), hertz=st.floats(200, 4_000), samples=st.integers(RATE_HZ, 3 * RATE_HZ))
def test_speed_changes_duration_and_pitch(speed: float, hertz: float, samples: int) -> None:
    changed = change_spectrum(sine(hertz, samples), speed, None, FLAT)
    assert len(changed) == pytest.approx(samples / speed, rel=0.012)
    middle = changed[len(changed) // 4 : -len(changed) // 4]  # away from the ends, where the tone is cut off
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle)), 8 * len(middle)))
    heard_hz = np.argmax(spectrum) * RATE_HZ / (8 * len(middle))
    assert heard_hz == pytest.approx(hertz * speed, rel=0.012)
    exact = samples / len(changed)  # what is played faster is shorter by the very same ratio
    assert heard_hz == pytest.approx(hertz * exact, rel=2e-3)
    assert np.sqrt(np.mean(middle**2)) == pytest.approx(0.5 / np.sqrt(2), rel=0.02)


def test_a_room_is_a_convolution() -> None:
    samples, room = white(RATE_HZ), np.exp(-np.arange(4_000) / 500).astype(np.float32) * white(4_000, 1)
    changed = change_spectrum(samples, 1.0, room, FLAT)
    expected = scipy.signal.convolve(samples, room)[: len(samples)]
    assert len(changed) == len(samples)
    assert np.abs(changed - expected).max() < 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize("snr_db", [-5.0, 0.0, 12.5, 40.0])
def test_noise_has_the_ratio_that_was_asked(snr_db: float) -> None:
    speech, noise = sine(440), 0.01 * white(2 * RATE_HZ)
    added = add_noise(speech, noise, snr_db) - speech
    assert level_dbfs(speech) - level_dbfs(added) == pytest.approx(snr_db, abs=0.05)


@pytest.mark.parametrize("kind", ["noise", "white_noise"])
def test_noise_of_the_configuration(kind: str) -> None:
    chances: dict[str, Any] = {f"{kind}_chance": 1.0}
    noisy = augment(noise_snr_db=(10.0, 10.0), **chances)
    speech = set_level(white(2 * RATE_HZ), -20)
    ratio_db = -20 - level_dbfs(noisy - speech)
    assert ratio_db == pytest.approx(10, abs=0.1) if kind == "noise" else 15 <= ratio_db <= 45.1


def test_short_noise_is_repeated_and_silence_is_left_alone() -> None:
    augmentation = Augment(replace(NEVER, noise_chance=1.0), [white(100)], [])
    noisy = augmentation(sine(440), np.random.default_rng(0)) - set_level(sine(440), -20)
    assert np.allclose(noisy[:100], noisy[100:200], atol=1e-6)
    silence = np.zeros(1000, np.float32)
    assert not augmentation(silence, np.random.default_rng(0)).any()
    assert np.array_equal(add_noise(sine(440, 1000), silence, 10.0), sine(440, 1000))


def test_low_pass_removes_what_is_above() -> None:
    for seed in range(5):
        changed = augment(seed, low_pass_chance=1.0, low_pass_hz=(4_000.0, 4_000.0))
        assert band_db(changed, 100, 3_900) - band_db(changed, 4_200, 7_900) > 29


def test_telephone_keeps_its_band() -> None:
    changed = augment(telephone_chance=1.0)
    assert band_db(changed, 400, 3_300) - band_db(changed, 20, 150) > 30
    assert band_db(changed, 400, 3_300) - band_db(changed, 3_600, 7_900) > 45
    assert band_db(changed, 400, 1_500) == pytest.approx(band_db(changed, 1_500, 3_300), abs=1)


def test_equaliser_stays_within_its_decibels() -> None:
    flat, changed = augment(), augment(3, equaliser_chance=1.0, equaliser_db=9.0)
    hertz = range(100, 7_900, 300)
    gains_db = np.array([band_db(changed, h, h + 300) - band_db(flat, h, h + 300) for h in hertz])
    assert 2 < np.ptp(gains_db) < 18.5


@pytest.mark.parametrize("dbfs", [-38.0, -12.0])
def test_level(dbfs: float) -> None:
    assert level_dbfs(set_level(sine(300), dbfs)) == pytest.approx(dbfs, abs=0.01)
    assert level_dbfs(augment(gain_dbfs=(dbfs, dbfs))) == pytest.approx(dbfs, abs=0.01)


def test_samples_stay_in_range() -> None:
    loud = augment(gain_dbfs=(0.0, 0.0), white_noise_chance=1.0)
    assert np.abs(loud).max() <= 1
    assert np.abs(loud).max() > 0.99


@pytest.mark.parametrize("noises", [True, False])
def test_noise_only_is_noise_of_all_kinds(noises: bool) -> None:
    augmentation, rng = Augment(NEVER, [white(RATE_HZ)] if noises else [], []), np.random.default_rng(0)
    drawn = [augmentation.noise_only(RATE_HZ, rng) for _ in range(40)]
    assert all(x.shape == (RATE_HZ,) and x.dtype == np.float32 and np.abs(x).max() <= 1 for x in drawn)
    silent = [x for x in drawn if not x.any()]
    assert 2 < len(silent) < 25
    levels = [level_dbfs(x) for x in drawn if x.any()]
    assert min(levels) < -55
    assert max(levels) > -30
    assert all(-76 < level < -9 for level in levels)


@settings(deadline=None, max_examples=60)
@given(
    frames=st.integers(1, 400), frequency_masks=st.integers(0, 3), frequency_mask_mels=st.integers(1, 12),
    time_masks_per_s=st.floats(0, 2), time_mask_frames=st.integers(1, 40), seed=st.integers(0, 99),
)  # fmt: skip
def test_masks_are_at_most_what_is_configured(
    frames: int, frequency_masks: int, frequency_mask_mels: int, time_masks_per_s: float, time_mask_frames: int,
    seed: int,
) -> None:  # fmt: skip
    torch.manual_seed(seed)
    config = AugmentConfig(
        frequency_masks=frequency_masks, frequency_mask_mels=frequency_mask_mels,
        time_masks_per_s=time_masks_per_s, time_mask_frames=time_mask_frames,
    )  # fmt: skip
    log_mel = torch.randn(3, frames, 40)
    masked = spec_augment(log_mel, config, frames_per_s=100.0)
    assert masked.shape == log_mel.shape
    gone = ~torch.isclose(masked, log_mel, atol=1e-5)
    means = log_mel.mean(dim=(1, 2))[:, None, None].expand_as(log_mel)
    assert torch.allclose(masked[gone], means[gone], atol=1e-5)
    mels, times = gone.all(dim=1).sum(dim=1), gone.all(dim=2).sum(dim=1)
    most_times = round(time_masks_per_s * frames / 100) * time_mask_frames
    assert (times <= most_times).all()
    if most_times < frames:  # else a band cannot be told from moments
        assert (mels <= frequency_masks * frequency_mask_mels).all()


def test_masks_are_there_and_differ_between_rows() -> None:
    torch.manual_seed(0)
    log_mel = torch.randn(2, 300, 40)
    masked = spec_augment(log_mel, AugmentConfig(), frames_per_s=100.0)
    gone = ~torch.isclose(masked, log_mel, atol=1e-5)
    assert gone.any(dim=(1, 2)).all()
    assert not torch.equal(gone[0], gone[1])


@given(warp_mels=st.floats(0, 6), seed=st.integers(0, 99))
def test_a_warped_spectrum_keeps_its_order(warp_mels: float, seed: int) -> None:
    """A spectrum that rises by one a band tells where each band came from."""
    torch.manual_seed(seed)
    rising = torch.arange(40.0).expand(3, 5, 40).contiguous()
    warped = warp_spectrum(rising, AugmentConfig(warp_mels=warp_mels))
    assert (warped.diff(dim=2) >= -1e-4).all()
    assert (warped - rising).abs().max() <= warp_mels + 1e-4
    assert (warped == warped[:, :1]).all()  # at all times alike
    if warp_mels > 0.1:
        assert not torch.allclose(warped[0], warped[1], atol=0.01)


@pytest.mark.parametrize(
    "wrong", [{"speed": (1.2, 0.9)}, {"speed": (0.0, 1.0)}, {"gain_dbfs": (-10.0, -20.0)}, {"warp_mels": 7.0}]
)
def test_ranges_that_run_backwards(wrong: dict[str, tuple[float, float]]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        AugmentConfig(**wrong)  # type: ignore[arg-type]
