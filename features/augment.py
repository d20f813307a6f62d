"""Changes to training speech that make a network hear past the recording: room, channel, speed, noise, masks.

Speed, room response and equaliser are all products or resamplings of the spectrum, so that one forward and one inverse
Fourier transform of the utterance applies the three together.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.fft import next_fast_len
from torch import Tensor
from torch.nn.functional import interpolate
from torchaudio.functional import mask_along_axis_iid

Samples = NDArray[np.float32]


@dataclass(frozen=True)
class AugmentConfig:
    """Chances are per utterance, 0..1; ranges are (lowest, highest), drawn uniformly.

    Raises:
        ValueError: a range runs backwards, or a speed is not positive.
    """

    speed: tuple[float, float] = (0.88, 1.14)  # also shifts the pitch and formants, as a tape does
    speed_chance: float = 0.8
    room_chance: float = 0.3
    low_pass_chance: float = 0.3
    low_pass_hz: tuple[float, float] = (3_400.0, 7_500.0)
    telephone_chance: float = 0.08
    equaliser_chance: float = 0.7
    equaliser_db: float = 9.0  # largest boost or cut, at six frequencies
    gain_dbfs: tuple[float, float] = (-38.0, -12.0)  # RMS level of the utterance afterwards
    noise_chance: float = 0.5
    noise_snr_db: tuple[float, float] = (5.0, 30.0)
    white_noise_chance: float = 0.3
    noise_only_chance: float = 0.01  # the utterance is replaced by noise, its text by nothing
    warp_mels: float = 0.0  # at four points of the spectrum, formants are moved by up to so many mel bands
    frequency_masks: int = 2
    frequency_mask_mels: int = 7
    time_masks_per_s: float = 0.4
    time_mask_frames: int = 20

    def __post_init__(self) -> None:
        for name in ("speed", "low_pass_hz", "gain_dbfs", "noise_snr_db"):
            low, high = getattr(self, name)
            if low > high:
                raise ValueError(f"{name} must be [lowest, highest], and {low:g} is above {high:g}")
        if not 0 <= self.warp_mels <= 6:
            raise ValueError("warp_mels must be from 0 to 6; beyond, the spectrum would fold")
        if self.speed[0] <= 0:
            raise ValueError("speed must be above zero; 1 is as recorded")


class Augment:
    """Applies one draw of `AugmentConfig` to an utterance; the same generator state gives the same result.

    Args:
        config: the chances and ranges.
        noises: float32 mono recordings of background sound, at the training rate.
        rooms: float32 room impulse responses, the direct sound within the first milliseconds.
        sample_rate_hz: of all of them.
    """

    def __init__(
        self, config: AugmentConfig, noises: Sequence[Samples], rooms: Sequence[Samples], sample_rate_hz: int = 16_000
    ) -> None:
        self.config, self.noises, self.rooms, self.sample_rate_hz = config, noises, rooms, sample_rate_hz

    def __call__(self, samples: Samples, rng: np.random.Generator) -> Samples:
        """float32 [n] to float32 [about n / speed], -1..1."""
        config = self.config
        speed = rng.uniform(*config.speed) if rng.random() < config.speed_chance else 1.0
        reverberant = bool(self.rooms) and rng.random() < config.room_chance
        room = self.rooms[int(rng.integers(len(self.rooms)))] if reverberant else None
        samples = change_spectrum(samples, speed, room, self._response(rng), self.sample_rate_hz)
        samples = set_level(samples, rng.uniform(*config.gain_dbfs))
        if self.noises and rng.random() < config.noise_chance:
            samples = add_noise(samples, self._noise(len(samples), rng), rng.uniform(*config.noise_snr_db))
        if rng.random() < config.white_noise_chance:
            white = rng.standard_normal(len(samples), dtype=np.float32)
            quietest_db = config.noise_snr_db[0] + 5
            samples = add_noise(samples, white, rng.uniform(quietest_db, max(quietest_db, 45.0)))
        return np.clip(samples, -1.0, 1.0)

    def noise_only(self, size: int, rng: np.random.Generator) -> Samples:
        """Background without speech, float32 [size], at any level down to digital silence."""
        kind = rng.integers(8)  # recordings as often as all that is computed: they are what people hear
        if kind == 0:
            return np.zeros(size, np.float32)
        if kind == 1:
            noise = hum(size, float(rng.choice([50.0, 60.0, rng.uniform(80.0, 2_000.0)])), rng, self.sample_rate_hz)
        elif kind == 2:
            noise = struck_notes(size, rng, self.sample_rate_hz)
        elif kind == 3 or not self.noises:
            noise = rng.standard_normal(size, dtype=np.float32)
        else:
            noise = self._noise(size, rng)
        noise = change_spectrum(noise, 1.0, None, self._response(rng), self.sample_rate_hz)
        return np.clip(set_level(noise, rng.uniform(-75.0, -10.0)), -1, 1)

    def _noise(self, size: int, rng: np.random.Generator) -> Samples:
        noise = self.noises[int(rng.integers(len(self.noises)))]
        start = int(rng.integers(max(1, len(noise) - size)))
        return np.resize(noise[start : start + size], size)

    def _response(self, rng: np.random.Generator) -> list[tuple[float, float]]:
        """A frequency response as (hertz, decibels) corners."""
        config, nyquist_hz = self.config, self.sample_rate_hz / 2
        corners = [(0.0, 0.0), (nyquist_hz, 0.0)]
        if rng.random() < config.equaliser_chance:
            hertz = np.geomspace(100.0, nyquist_hz, 6)
            corners = [(0.0, 0.0), *zip(hertz, rng.uniform(-config.equaliser_db, config.equaliser_db, 6), strict=True)]
        if rng.random() < config.telephone_chance:
            corners = [(h, d - 50.0 * (h < 250.0 or h > 3_400.0)) for h, d in _densify(corners, nyquist_hz)]
        elif rng.random() < config.low_pass_chance:
            limit_hz = rng.uniform(*config.low_pass_hz)
            floor_db = rng.uniform(30.0, 90.0)
            corners = [(h, d - floor_db * (h > limit_hz)) for h, d in _densify(corners, nyquist_hz)]
        return corners


def _densify(corners: list[tuple[float, float]], nyquist_hz: float) -> list[tuple[float, float]]:
    hertz = np.arange(0.0, nyquist_hz + 1.0, 100.0)
    known_hz, known_db = zip(*corners, strict=True)
    return list(zip(hertz, np.interp(hertz, known_hz, known_db), strict=True))


def change_spectrum(
    samples: Samples,
    speed: float,
    room: Samples | None,
    response_db: list[tuple[float, float]],
    sample_rate_hz: int = 16_000,
) -> Samples:
    """Filter by a room and by a frequency response, then play `speed` times as fast (pitch moves along).

    Args:
        samples: float32 [n].
        speed: above 1 is faster; rounded to a ratio of convenient Fourier sizes (within 1 % from 1 s on).
        room: float32 impulse response, or None.
        response_db: (hertz, decibels) corners, ascending; straight lines between.
        sample_rate_hz: of samples.

    Returns:
        float32 [about n / speed].
    """
    reach = 0 if room is None else len(room)
    size = next_fast_len(len(samples) + reach)
    out_size = size if speed == 1.0 else next_fast_len(round(size / speed))
    spectrum = torch.fft.rfft(torch.from_numpy(samples), n=size)
    if room is not None:
        spectrum *= torch.fft.rfft(torch.from_numpy(room), n=size)
    if any(db for _, db in response_db):
        hertz, db = zip(*response_db, strict=True)
        bins_hz = np.arange(len(spectrum), dtype=np.float32) * (sample_rate_hz / size)
        spectrum *= torch.from_numpy(np.power(10.0, np.interp(bins_hz, hertz, db) / 20.0).astype(np.float32))
    changed = torch.fft.irfft(spectrum, n=out_size) * (out_size / size)
    return np.asarray(changed[: math.ceil(len(samples) * out_size / size)].numpy())


def hum(size: int, pitch_hz: float, rng: np.random.Generator, sample_rate_hz: int) -> Samples:
    """A steady tone with some of its overtones in a little noise, as mains and machines make: float32 [size]."""
    phase = 2 * np.pi * pitch_hz / sample_rate_hz * np.arange(size)
    strengths = rng.random(9) / np.arange(1, 10) ** rng.uniform(0, 2)
    tone = sum(strength * np.sin(k * phase + rng.uniform(0, 6)) for k, strength in enumerate(strengths, start=1))
    return np.asarray(tone + rng.uniform(0, 0.03) * rng.standard_normal(size), np.float32)


def struck_notes(size: int, rng: np.random.Generator, sample_rate_hz: int) -> Samples:
    """Tones and chords that begin at once and die away, as of strings and bells: float32 [size]."""
    sound, every_samples = np.zeros(size), int(rng.uniform(0.1, 0.6) * sample_rate_hz)
    for start in range(0, size, every_samples):
        time_s = np.arange(min(size - start, 2 * sample_rate_hz)) / sample_rate_hz
        envelope = np.exp(-rng.uniform(2, 10) * time_s) * np.minimum(time_s / 0.01, 1)
        root_hz = 110 * 2 ** rng.uniform(0, 3)
        for semitones in ((0,), (0, 4, 7), (0, 3, 7), (0, 7, 12))[int(rng.integers(4))]:
            phase = 2 * np.pi * root_hz * 2 ** (semitones / 12) * time_s
            sound[start : start + len(time_s)] += envelope * sum(np.sin(k * phase) / k**2 for k in range(1, 5))
    return np.asarray(sound + 1e-4 * rng.standard_normal(size), np.float32)


def set_level(samples: Samples, dbfs: float) -> Samples:
    """Scale to a root-mean-square level, in decibels below full scale; silence stays silence."""
    rms = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))) if len(samples) else 0.0
    if rms <= 1e-9:
        return samples
    louder: Samples = samples * np.float32(10.0 ** (dbfs / 20.0) / rms)
    return louder


def add_noise(samples: Samples, noise: Samples, snr_db: float) -> Samples:
    """samples + noise, both float32 [n], the noise scaled so that their powers are `snr_db` apart."""
    power, noise_power = (float(np.mean(np.square(x, dtype=np.float64))) for x in (samples, noise))
    if power <= 0.0 or noise_power <= 0.0:
        return samples
    noisy: Samples = samples + noise * np.float32(math.sqrt(power / noise_power / 10.0 ** (snr_db / 10.0)))
    return noisy


def warp_spectrum(log_mel: Tensor, config: AugmentConfig) -> Tensor:
    """Each row as another vocal tract might say it: bands moved, more or less at each height, without a gap or a fold.

    Vocal tract length perturbation (Jaitly and Hinton 2013) with a factor for each part of the spectrum. Draws from
    torch's global generator.

    Args:
        log_mel: float32 [batch, frames, mels].
        config: how far.

    Returns:
        float32 of the same shape.
    """
    if not config.warp_mels:
        return log_mel
    batch, _, mels = log_mel.shape
    moves = (2 * torch.rand(batch, 1, 4, device=log_mel.device) - 1) * config.warp_mels
    moves = interpolate(moves, size=mels, mode="linear", align_corners=True)
    source = (torch.arange(mels, device=log_mel.device) + moves).clamp(0, mels - 1)  # [batch, 1, mels]
    below = source.long().clamp(max=mels - 2)
    low, high = (log_mel.gather(2, bands.expand_as(log_mel)) for bands in (below, below + 1))
    return torch.lerp(low, high, source - below)


def spec_augment(log_mel: Tensor, config: AugmentConfig, frames_per_s: float) -> Tensor:
    """Masks of frequency bands and of moments (Park et al. 2019), filled with the mean of the row.

    Draws from torch's global generator.

    Args:
        log_mel: float32 [batch, frames, mels].
        config: number and largest width of the masks.
        frames_per_s: of log_mel, to which `time_masks_per_s` refers.

    Returns:
        float32 of the same shape.
    """
    batch, frames, mels = log_mel.shape
    keep_mels, keep_frames = log_mel.new_ones(batch, 1, mels, 1), log_mel.new_ones(batch, 1, frames, 1)
    for _ in range(config.frequency_masks):
        keep_mels = mask_along_axis_iid(keep_mels, config.frequency_mask_mels, 0.0, axis=2)
    for _ in range(round(config.time_masks_per_s * frames / frames_per_s)):
        keep_frames = mask_along_axis_iid(keep_frames, config.time_mask_frames, 0.0, axis=2)
    mean = log_mel.mean(dim=(1, 2), keepdim=True)
    return mean + (log_mel - mean) * keep_mels.view(batch, 1, mels) * keep_frames.view(batch, frames, 1)
