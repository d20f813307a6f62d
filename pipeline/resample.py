"""Any sample rate to the model's: a windowed-sinc polyphase filter whose whole state is a few samples and two counts.

Method: Kaiser-windowed sinc (Crochiere and Rabiner, Multirate Digital Signal Processing, 1983), 100 dB, flat to 91 % of
the lower Nyquist frequency. The outputs of a few periods of the rate ratio are matrix products of the input under the
filter, and these always have the same shape on the same samples, so that every chunking gives the same bits.

soxr streams as well and as fast, but its state cannot be saved; at 44.1 kHz it is also the less exact of the two
(tests/pipeline/test_resample.py compares both with the true signal).
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np

from .samples import FloatArray

STOPBAND_DB = 100.0
PASSBAND = 0.913  # of the lower Nyquist frequency; the stopband begins at 1
BLOCK_SAMPLES = 640  # outputs at a time: 40 ms, or one period of an odd rate ratio where that is longer
PERIOD_SAMPLES = 40  # outputs in a row of the matrix at least, where the ratio is a simple one
LARGEST_PRODUCT = 250_000  # multiplications; a larger one OpenBLAS gives to several threads that wait for each other


@dataclass(frozen=True)
class ResamplerState:
    """All that a resampler carries; an immutable value."""

    tail: FloatArray  # input that later outputs still need
    samples_in: int = 0
    samples_out: int = 0


@dataclass(frozen=True)
class _Slice:
    """Consecutive outputs of a period, the input under their filters, and the filters [inputs, outputs]."""

    outputs: slice
    inputs: slice
    filters: FloatArray


@dataclass(frozen=True)
class Resampler:
    """Mono float32 from one rate to another, in pieces of any size. Immutable: see `resampler_between`."""

    up: int  # outputs and
    down: int  # inputs of the rate ratio in lowest terms
    half: int  # inputs on either side under the filter
    period_in: int
    period_out: int
    periods: int  # per matrix product
    slices: tuple[_Slice, ...]

    def start(self) -> ResamplerState:
        return ResamplerState(np.zeros(self.half, np.float32))

    def step(self, samples: FloatArray, state: ResamplerState) -> tuple[FloatArray, ResamplerState]:
        """Resample the next samples; what comes out lags by the filter (5 ms) and an unfinished block (up to 40 ms)."""
        if self.up == self.down:
            count = len(samples)
            return samples, ResamplerState(state.tail, state.samples_in + count, state.samples_out + count)
        tail = np.concatenate([state.tail, samples])
        block_in, block_out = self.periods * self.period_in, self.periods * self.period_out
        blocks = max(0, (len(tail) - 2 * self.half) // block_in)
        out = np.empty((blocks, self.periods, self.period_out), np.float32)
        for index in range(blocks):
            self._block(tail[index * block_in :], out[index])
        tail = tail[blocks * block_in :].copy()
        samples_out = state.samples_out + blocks * block_out
        return out.ravel(), ResamplerState(tail, state.samples_in + len(samples), samples_out)

    def finish(self, state: ResamplerState) -> tuple[FloatArray, ResamplerState]:
        """The rest: in all, exactly round(samples_in * up / down) samples come out."""
        rest = self.length(state.samples_in) - state.samples_out
        if rest <= 0:
            return np.empty(0, np.float32), state
        blocks = -(-rest // (self.periods * self.period_out))
        missing = blocks * self.periods * self.period_in + 2 * self.half - len(state.tail)
        out, after = self.step(np.zeros(max(missing, 0), np.float32), state)
        return out[:rest], ResamplerState(after.tail, state.samples_in, state.samples_out + rest)

    def length(self, samples: int) -> int:
        """How many samples `samples` of input become."""
        return round(samples * self.up / self.down)

    def _block(self, tail: FloatArray, out: FloatArray) -> None:
        """Write [periods, period_out] outputs whose filters begin at the start of `tail`."""
        for part in self.slices:
            shape = (self.periods, len(part.filters))
            strides = (4 * self.period_in, 4)  # the rows overlap
            rows = np.ndarray(shape, np.float32, tail, 4 * part.inputs.start, strides)
            out[:, part.outputs] = np.ascontiguousarray(rows) @ part.filters


@lru_cache(maxsize=8)
def resampler_between(rate_hz: int, target_hz: int) -> Resampler:
    """The resampler from `rate_hz` to `target_hz`, made once per pair."""
    divisor = math.gcd(rate_hz, target_hz)
    up, down = target_hz // divisor, rate_hz // divisor
    if up == down:
        return Resampler(1, 1, 0, 1, 1, 1, ())
    nyquist_hz = min(rate_hz, target_hz) / 2
    # Kaiser's formulas: half the filter's length in seconds, and the shape of its window
    half_s = (STOPBAND_DB - 8) / (2.285 * 2 * math.pi * (1 - PASSBAND) * nyquist_hz) / 2
    beta = 0.1102 * (STOPBAND_DB - 8.7)
    cutoff_hz = (1 + PASSBAND) / 2 * nyquist_hz
    half = math.ceil(half_s * rate_hz)

    def filters(outputs: slice, inputs: slice) -> FloatArray:
        input_s = (np.arange(inputs.start, inputs.stop) - half) / rate_hz
        time_s = np.arange(outputs.start, outputs.stop) / target_hz - input_s[:, None]
        window = np.i0(beta * np.sqrt(np.clip(1 - (time_s / half_s) ** 2, 0, None))) * (abs(time_s) < half_s)
        ideal = 2 * cutoff_hz / rate_hz * np.sinc(2 * cutoff_hz * time_s)
        return (ideal * window / np.i0(beta)).astype(np.float32)

    repeats = -(-PERIOD_SAMPLES // up)
    period_in, period_out = down * repeats, up * repeats
    periods = max(1, BLOCK_SAMPLES // period_out)
    parts = 1
    while periods * (period_in / parts + 2 * half) * period_out / parts > LARGEST_PRODUCT:
        parts += 1
    slices = []
    for first, last in pairwise(np.linspace(0, period_out, parts + 1).astype(int).tolist()):
        # output m stands at input m * down / up; the tail begins `half` inputs before the block
        inputs = slice(first * down // up, -(-(last - 1) * down // up) + 2 * half)
        slices.append(_Slice(slice(first, last), inputs, filters(slice(first, last), inputs)))
    return Resampler(up, down, half, period_in, period_out, periods, tuple(slices))
