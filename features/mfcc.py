"""Mel-frequency cepstral coefficients, as one torch module that streams and exports.

Method: Davis and Mermelstein (1980). With `mel_filters="htk"`, `window="hann"` it computes what torchaudio and librosa
compute, with `mel_filters="kaldi"`, `window="povey"` what Kaldi computes (tests/features compare all three).
"""

from dataclasses import dataclass
from typing import Literal, cast

import torch
from torch import Tensor, nn
from torchaudio.compliance.kaldi import get_mel_banks
from torchaudio.functional import create_dct, melscale_fbanks


@dataclass(frozen=True)
class MfccConfig:
    """What an MFCC frame is. A trained network only understands the setting that it was trained with.

    Raises:
        ValueError: sizes or limits that do not fit together.
    """

    sample_rate_hz: int = 16_000
    window_samples: int = 400  # 25 ms
    hop_samples: int = 160  # 10 ms
    fft_samples: int = 512
    window: Literal["hann", "povey"] = "hann"
    mels: int = 40
    mel_filters: Literal["htk", "kaldi"] = "htk"  # triangles linear in hertz, or in mel
    low_hz: float = 20.0
    high_hz: float = 7_600.0
    coefficients: int = 40
    pre_emphasis: float = 0.97
    log_floor: float = 1e-5  # mel energies are raised to this, so that digital silence has a logarithm

    def __post_init__(self) -> None:
        if not 0 < self.hop_samples <= self.window_samples <= self.fft_samples:
            raise ValueError("hop_samples <= window_samples <= fft_samples must hold, and all be positive")
        if not 0 < self.coefficients <= self.mels:
            raise ValueError("coefficients must be at least 1 and at most mels")
        if not 0 <= self.low_hz < self.high_hz <= self.sample_rate_hz / 2:
            raise ValueError("0 <= low_hz < high_hz <= sample_rate_hz / 2 must hold")
        if not self.log_floor > 0:
            raise ValueError("log_floor must be positive, so that silence has a logarithm")

    @property
    def frame_hops(self) -> int:
        """Hops that a frame reads: those of its window, and of the one sample before it for the pre-emphasis."""
        return -(-(self.window_samples + 1) // self.hop_samples)

    @property
    def tail_samples(self) -> int:
        """Samples of the past that the next frame reads."""
        return (self.frame_hops - 1) * self.hop_samples


class Mfcc(nn.Module):
    """Samples to cepstra, whole or in pieces.

    Frame `i` of a stream ends with sample `(i + 1) * hop_samples`; before the first sample there is silence.

    Sums are float64, under autocast too, so that their order, which is another in pieces of another size, is not seen
    in the float32 that comes out. An exported graph is float32 and standard operators: pre-emphasis, window and Fourier
    transform are linear, so that they are one matrix there.
    """

    window: Tensor  # float32 [window_samples]
    fourier: Tensor  # float32 [frame_hops * hop_samples, 2 * (fft_samples / 2 + 1)]
    mel_filters: Tensor  # float32 [fft_samples / 2 + 1, mels]
    cosine: Tensor  # float32 [mels, coefficients]

    def __init__(self, config: MfccConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("window", _window(config).float(), persistent=False)
        self.register_buffer("fourier", _fourier_matrix(config), persistent=False)
        self.register_buffer("mel_filters", _mel_filters(config), persistent=False)
        self.register_buffer("cosine", create_dct(config.coefficients, config.mels, norm="ortho"), persistent=False)

    def forward(self, samples: Tensor, tail: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Cepstra of the next samples of a stream.

        Args:
            samples: float32 [batch, frames * hop_samples], -1..1.
            tail: float32 [batch, tail_samples], what the last call returned; None starts a stream.

        Returns:
            float32 [batch, frames, coefficients], and the tail for the next call.
        """
        log_mel, tail = self.log_mel(samples, tail)
        return self.cepstra(log_mel), tail

    def log_mel(self, samples: Tensor, tail: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Natural logarithm of the mel energies: float32 [batch, frames, mels]; arguments as for `forward`."""
        if tail is None:
            tail = samples.new_zeros(samples.shape[0], self.config.tail_samples)
        stream = torch.cat([tail, samples], dim=1)
        with torch.autocast(samples.device.type, enabled=False):
            frames = self._frames(stream)
            power = self._power_by_matrix(frames) if torch.onnx.is_in_onnx_export() else self._power(frames)
            mel = power @ self.mel_filters.to(power.dtype)
            log_mel = torch.log(mel.clamp(min=self.config.log_floor)).to(samples.dtype)
        return log_mel, stream[:, -self.config.tail_samples :]

    def cepstra(self, log_mel: Tensor) -> Tensor:
        """Discrete cosine transform: float32 [..., mels] to [..., coefficients]."""
        with torch.autocast(log_mel.device.type, enabled=False):
            if torch.onnx.is_in_onnx_export():
                return log_mel @ self.cosine
            return (log_mel.double() @ self.cosine.double()).to(log_mel.dtype)

    def _frames(self, stream: Tensor) -> Tensor:
        """[batch, tail_samples + frames * hop_samples] to [batch, frames, frame_hops * hop_samples]."""
        hops = stream.view(stream.shape[0], -1, self.config.hop_samples)
        reach = self.config.frame_hops - 1
        return torch.cat([hops[:, i : hops.shape[1] - reach + i] for i in range(reach + 1)], dim=2)

    def _power(self, frames: Tensor) -> Tensor:
        """Power spectra: float64 [batch, frames, bins]."""
        window = self.config.window_samples
        if not frames.numel():  # which MKL would refuse
            return frames.new_zeros(*frames.shape[:-1], self.config.fft_samples // 2 + 1, dtype=torch.float64)
        emphasised = frames[..., -window:] - self.config.pre_emphasis * frames[..., -window - 1 : -1]
        spectrum = torch.fft.rfft((emphasised * self.window).double(), n=self.config.fft_samples)
        power: Tensor = spectrum.real.square().addcmul_(spectrum.imag, spectrum.imag)
        return power

    def _power_by_matrix(self, frames: Tensor) -> Tensor:
        """The same in float32 and by standard operators."""
        real, imaginary = (frames @ self.fourier).chunk(2, dim=-1)
        return real.square() + imaginary.square()


def _window(config: MfccConfig) -> Tensor:
    """float64 [window_samples]."""
    if config.window == "hann":
        return torch.hann_window(config.window_samples, periodic=True, dtype=torch.float64)
    return torch.hann_window(config.window_samples, periodic=False, dtype=torch.float64) ** 0.85


def _fourier_matrix(config: MfccConfig) -> Tensor:
    """float32 [frame_hops * hop_samples, 2 * (fft_samples / 2 + 1)]: samples to real parts, then imaginary parts."""
    size, first = config.window_samples, config.frame_hops * config.hop_samples - config.window_samples
    emphasise = torch.zeros(first + size, size, dtype=torch.float64)  # column n: x[n] - pre_emphasis * x[n - 1]
    index = torch.arange(size)
    emphasise[first + index, index] = 1.0
    emphasise[first + index - 1, index] = -config.pre_emphasis
    spectrum = torch.fft.rfft(torch.diag(_window(config)), n=config.fft_samples)
    return (emphasise @ torch.cat([spectrum.real, spectrum.imag], dim=1)).float()


def _mel_filters(config: MfccConfig) -> Tensor:
    """float32 [fft_samples / 2 + 1, mels]."""
    bins = config.fft_samples // 2 + 1
    if config.mel_filters == "htk":
        return cast(Tensor, melscale_fbanks(bins, config.low_hz, config.high_hz, config.mels, config.sample_rate_hz))
    filters, _ = get_mel_banks(
        config.mels, config.fft_samples, config.sample_rate_hz, config.low_hz, config.high_hz, 100.0, -500.0, 1.0
    )
    return nn.functional.pad(filters, (0, 1)).T.contiguous()  # Kaldi leaves the Nyquist bin out
