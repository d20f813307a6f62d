"""The resampler: the same bits for every chunking, the exact length, as good as soxr, and a state that can be saved."""

import pickle

import numpy as np
import numpy.typing as npt
import pytest
import soxr  # type: ignore[import-untyped]
from hypothesis import given, settings
from hypothesis import strategies as st
from rillet.pipeline.resample import resampler_between
from rillet.pipeline.samples import FloatArray

TARGET_HZ = 16_000
COMMON_RATES_HZ = (8_000, 11_025, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000, 192_000)
ODD_RATES_HZ = (11_127, 44_056, 47_952)  # old Macintosh, and audio slowed down to fit NTSC video


def resample(samples: FloatArray, rate_hz: int, cuts: list[int] | None = None) -> FloatArray:
    resampler = resampler_between(rate_hz, TARGET_HZ)
    state, out = resampler.start(), []
    for piece in np.split(samples, sorted(cuts or [])):
        heard, state = resampler.step(piece, state)
        out.append(heard)
    return np.concatenate([*out, resampler.finish(state)[0]])


def noise(samples: int) -> FloatArray:
    return np.random.default_rng(samples).uniform(-1, 1, samples).astype(np.float32)


def chord(rate_hz: int, at_rate_hz: int, seconds: float = 1.0) -> npt.NDArray[np.float64]:
    """Forty sines up to 90 % of the lower Nyquist frequency of the two rates, sampled at the second."""
    time_s = np.arange(round(seconds * at_rate_hz)) / at_rate_hz
    highest_hz = 0.9 * min(rate_hz, TARGET_HZ) / 2
    tones = [np.sin(2 * np.pi * hz * time_s + hz) for hz in np.linspace(50, highest_hz, 40)]
    return np.asarray(np.sum(tones, axis=0) / 60)


def decibels(error: npt.NDArray[np.float64], signal: npt.NDArray[np.float64]) -> float:
    """The error against the signal, away from the edges."""
    middle = slice(1_000, -1_000)
    return float(10 * np.log10(np.mean(error[middle] ** 2) / np.mean(signal[middle] ** 2)))


@given(st.sampled_from((*COMMON_RATES_HZ, *ODD_RATES_HZ, TARGET_HZ)), st.integers(0, 20_000), st.data())
@settings(max_examples=60, deadline=None)
def test_every_chunking_gives_the_same_bits(rate_hz: int, samples: int, data: st.DataObject) -> None:
    cuts = data.draw(st.lists(st.integers(0, samples), max_size=20))
    audio = noise(samples)
    whole, pieces = resample(audio, rate_hz), resample(audio, rate_hz, cuts)
    assert whole.tobytes() == pieces.tobytes()
    assert len(whole) == round(samples * TARGET_HZ / rate_hz)


@pytest.mark.parametrize("rate_hz", [*COMMON_RATES_HZ, *ODD_RATES_HZ])
def test_as_true_as_soxr(rate_hz: int) -> None:
    signal, truth = chord(rate_hz, rate_hz), chord(rate_hz, TARGET_HZ)
    ours = decibels(resample(signal.astype(np.float32), rate_hz)[: len(truth)] - truth, truth)
    soxrs = decibels(soxr.resample(signal, rate_hz, TARGET_HZ)[: len(truth)] - truth, truth)
    assert ours < -105  # below the last bit of a 16-bit recording
    assert ours < soxrs + 25  # soxr reaches -134 at best, beyond float32, and -72 at 44.1 kHz


@pytest.mark.parametrize("rate_hz", [24_000, 44_100, 48_000, 192_000])
def test_nothing_folds_back(rate_hz: int) -> None:
    """What is above 8 kHz in the input is inaudible in the output, right from the edge on."""
    time_s = np.arange(rate_hz) / rate_hz
    for hz in (8_050, 9_000, 11_000):
        out = resample(np.sin(2 * np.pi * hz * time_s).astype(np.float32), rate_hz)
        assert abs(out[1_000:-1_000]).max() < 10 ** (-95 / 20)


def test_silence_and_full_scale_stay_within_bounds() -> None:
    assert not resample(np.zeros(5_000, np.float32), 44_100).any()
    assert resample(np.ones(44_100, np.float32), 44_100)[1_000:-1_000] == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("rate_hz", [8_000, 44_100, 48_000, 192_000])
def test_state_is_small_and_can_be_saved(rate_hz: int) -> None:
    resampler = resampler_between(rate_hz, TARGET_HZ)
    audio = noise(rate_hz * 2)
    first, state = resampler.step(audio[:rate_hz], resampler.start())
    assert len(state.tail) < 0.06 * rate_hz
    restored = pickle.loads(pickle.dumps(state))
    second, end = resampler.step(audio[rate_hz:], restored)
    assert np.concatenate([first, second, resampler.finish(end)[0]]).tobytes() == resample(audio, rate_hz).tobytes()


def test_delay_is_a_block_and_half_a_filter() -> None:
    """A live stream must not wait: after any second at most 50 ms are held back."""
    for rate_hz in COMMON_RATES_HZ:
        resampler = resampler_between(rate_hz, TARGET_HZ)
        out, _ = resampler.step(noise(rate_hz), resampler.start())
        assert TARGET_HZ - len(out) <= 0.05 * TARGET_HZ
