"""Whatever an audio source hands over, as mono float32; or a sentence about what is wrong with it."""

import numpy as np
import numpy.typing as npt

from .errors import ChannelError, NonFiniteSamplesError, SampleRangeError, SampleRateError, SamplesError

FloatArray = npt.NDArray[np.float32]

LOWEST_RATE_HZ, HIGHEST_RATE_HZ = 8_000, 192_000
MOST_CHANNELS = 64  # a second dimension longer than this is time, not channels
LARGEST_SAMPLE = 16.0  # 24 dB above full scale: no recording, but integers that somebody cast to float


def to_mono(samples: npt.ArrayLike, channel: int | None = None, where: str = "samples") -> FloatArray:
    """Mono float32 [samples], -1..1, a new array.

    Args:
        samples: int16, int32 or floating point in -1..1; [samples] or [samples, channels].
        channel: which one, counting from 1; None takes the mean of all.
        where: what an error message calls them.

    Raises:
        SamplesError: strange type or shape, NaN, infinity, or values far outside -1..1.
        ChannelError: there is no such channel.
    """
    array = np.asarray(samples)
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2 or not 1 <= array.shape[1] <= MOST_CHANNELS:
        raise SamplesError(f"{where}: the shape must be (samples,) or (samples, channels), not {np.shape(samples)}.")
    if channel is not None:
        if not 1 <= channel <= array.shape[1]:
            raise ChannelError(where, channel, array.shape[1])
        array = array[:, channel - 1 : channel]
    if array.dtype == np.int16 or array.dtype == np.int32:
        scale = 1.0 / -float(np.iinfo(array.dtype).min)
    elif np.issubdtype(array.dtype, np.floating):
        scale = 1.0
    elif array.size == 0:
        return np.empty(0, np.float32)  # an empty list has no type to speak of
    else:
        raise SamplesError(f"{where}: the type must be int16, int32 or floating point, not {array.dtype}.")

    # Channels are added one by one, for numpy's own mean sums in an order that depends on the memory layout.
    mono = array[:, 0].astype(np.float64)
    for index in range(1, array.shape[1]):
        mono += array[:, index]
    mono *= scale / array.shape[1]
    if not np.isfinite(mono).all():
        raise NonFiniteSamplesError(where)
    peak = float(abs(mono).max(initial=0.0))
    if peak > LARGEST_SAMPLE:
        raise SampleRangeError(where, peak)
    return mono.astype(np.float32)


def check_sample_rate(rate_hz: float, where: str = "samples") -> int:
    """The rate as an int.

    Raises:
        SampleRateError: it is not a whole number from 8 to 192 kHz.
    """
    if not (LOWEST_RATE_HZ <= rate_hz <= HIGHEST_RATE_HZ and rate_hz == int(rate_hz)):
        raise SampleRateError(where, rate_hz, LOWEST_RATE_HZ, HIGHEST_RATE_HZ)
    return int(rate_hz)
