"""How loud it is, and what is wrong with it: the figures of a level meter."""

import math
from dataclasses import dataclass

import numpy as np

from .samples import FloatArray

LOWEST_DBFS = -120.0  # digital silence
CLIPPED = 0.999  # full scale but for rounding


@dataclass(frozen=True)
class Level:
    """Of some stretch of sound; levels add up. A full-scale sine has a peak of 0 dBFS and an RMS of -3 dBFS."""

    samples: int = 0
    total: float = 0.0
    power: float = 0.0
    peak: float = 0.0
    clipped: int = 0  # samples at full scale

    @classmethod
    def of(cls, audio: FloatArray) -> "Level":
        """Measure mono samples, -1..1."""
        size = abs(audio)
        return cls(
            samples=len(audio),
            total=float(audio.sum(dtype=np.float64)),
            power=float(np.square(audio, dtype=np.float64).sum()),
            peak=float(size.max(initial=0.0)),
            clipped=int((size >= CLIPPED).sum()),
        )

    def __add__(self, other: "Level") -> "Level":
        return Level(
            self.samples + other.samples,
            self.total + other.total,
            self.power + other.power,
            max(self.peak, other.peak),
            self.clipped + other.clipped,
        )

    @property
    def peak_dbfs(self) -> float:
        return _decibels(self.peak)

    @property
    def rms_dbfs(self) -> float:
        return _decibels(math.sqrt(self.power / self.samples)) if self.samples else LOWEST_DBFS

    @property
    def dc(self) -> float:
        """Mean, -1..1."""
        return self.total / self.samples if self.samples else 0.0

    @property
    def clipped_share(self) -> float:
        return self.clipped / self.samples if self.samples else 0.0

    def advice(self) -> str:
        """One sentence about what to do, or nothing."""
        if self.samples and self.peak == 0:
            return SILENT
        if self.clipped_share > 0.001:
            return "It is too loud and clips: turn the microphone down."
        if abs(self.dc) > 0.02:
            return "There is a constant offset: try another microphone or sound card."
        if self.rms_dbfs < -60:
            return "It is very quiet: turn the microphone up, come closer, or choose another one (rillet devices)."
        return ""


SILENT = (
    "There is only digital silence: the microphone is muted, this program may not use it (see the privacy settings), "
    "or another one is meant (rillet devices)."
)


def _decibels(amplitude: float) -> float:
    return max(LOWEST_DBFS, 20 * math.log10(amplitude)) if amplitude > 0 else LOWEST_DBFS
