"""Microphones, through PortAudio: which there are, and one of them as a live source."""

import os
import queue
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .capture import QUEUE_S, TICK_S, Block, BlockQueue
from .capture_errors import (
    DeviceAmbiguousError,
    DeviceLostError,
    DeviceNotFoundError,
    DeviceUnusableError,
    NoMicrophoneError,
    PortAudioMissingError,
)
from .errors import ChannelError
from .samples import HIGHEST_RATE_HZ, LOWEST_RATE_HZ

BLOCK_S = 0.02
GONE_S = 5.0  # a device that has not called back for so long is gone, whatever its driver says
SILENT_LOSS_S = 1.0  # blocks that come so late, for so long, come behind sound that was lost
STEADY_S = 0.1  # and meanwhile hardly more or less late
FOLLOW = 0.001  # of its delay, each block moves the clock that losses are measured with
USUAL_CHANNELS = 2  # virtual devices offer 32 and more, and would mix the sound into all of them


@dataclass(frozen=True)
class Device:
    """A microphone as PortAudio lists it."""

    number: int
    name: str
    system: str  # ALSA, Core Audio, Windows WASAPI, ...
    channels: int
    rate_hz: int  # its own
    is_default: bool

    def __str__(self) -> str:
        return f"{self.number} ({self.name})"


def devices() -> list[Device]:
    """All microphones.

    Raises:
        PortAudioMissingError
    """
    sounddevice = _portaudio()
    systems = sounddevice.query_hostapis()
    default = sounddevice.default.device[0]
    return [
        Device(
            number=number,
            name=str(each["name"]),
            system=str(systems[each["hostapi"]]["name"]),
            channels=int(each["max_input_channels"]),
            rate_hz=_usable_rate(each["default_samplerate"]),
            is_default=number == default,
        )
        for number, each in enumerate(sounddevice.query_devices())
        if each["max_input_channels"] > 0
    ]


def find_device(wanted: str | None = None) -> Device:
    """A microphone by its number or a part of its name; None is the system's default.

    Raises:
        PortAudioMissingError, NoMicrophoneError, DeviceNotFoundError, DeviceAmbiguousError
    """
    known = devices()
    if not known:
        raise NoMicrophoneError
    default = next((device for device in known if device.is_default), known[0])
    if wanted is None:
        return default
    if wanted.isdecimal():
        found = [device for device in known if device.number == int(wanted)]
    else:
        found = [device for device in known if wanted.lower() in device.name.lower()]
        found = [device for device in found if device.name.lower() == wanted.lower()] or found
        # the same microphone may be there under several systems
        found = [device for device in found if device.system == default.system] or found
    if not found:
        raise DeviceNotFoundError(wanted, list(map(str, known)))
    if len(found) > 1:
        raise DeviceAmbiguousError(wanted, list(map(str, found)))
    return found[0]


class Microphone(BlockQueue):
    """A device at its own rate. PortAudio's thread copies into the queue and does nothing else.

    Args:
        device: from `find_device`.
        channel: only this one, counting from 1, is going to be used.

    Raises:
        ChannelError: the device has no such channel.
    """

    def __init__(self, device: Device, channel: int | None = None) -> None:
        super().__init__(round(QUEUE_S / BLOCK_S))
        if channel is not None and not 1 <= channel <= device.channels:
            raise ChannelError(device.name, channel, device.channels)
        self.name = device.name
        self.rate_hz = device.rate_hz
        self._device = device
        self._channels = channel or min(device.channels, USUAL_CHANNELS)
        self._clock = LossClock(device.rate_hz)
        self._dropped_frames = 0  # since the last block that found a place in the queue
        self._silent_ticks = 0  # since the device called back
        self._stream: Any = None

    @property
    def lag_s(self) -> float:
        return self._queue.qsize() * BLOCK_S

    def __enter__(self) -> "Microphone":
        sounddevice = _portaudio()
        try:
            self._stream = sounddevice.InputStream(
                device=self._device.number,
                samplerate=self.rate_hz,
                channels=self._channels,
                dtype="float32",
                blocksize=round(self.rate_hz * BLOCK_S),
                callback=self._hear,
            )
            self._stream.start()
        except sounddevice.PortAudioError as error:
            raise DeviceUnusableError(self.name, str(error.args[0])) from error
        return self

    def __exit__(self, *_: object) -> None:
        if self._stream is not None:
            self._stream.close(ignore_errors=True)

    def _hear(self, samples: npt.NDArray[np.float32], frames: int, _: object, status: Any) -> None:
        """PortAudio's callback."""
        self._silent_ticks = 0
        lost_frames = self._dropped_frames + self._clock.tick(time.monotonic(), frames, bool(status.input_overflow))
        try:
            self._queue.put_nowait(Block(samples.copy(), lost_frames))
            self._dropped_frames = 0
        except queue.Full:
            self._dropped_frames = lost_frames + frames

    def _record_no_more(self) -> None:
        self._stream.stop(ignore_errors=True)

    def _check(self) -> None:
        self._silent_ticks += 1  # not a clock: it runs on while this process is stopped, and the device is not gone
        if not self._stream.active or self._silent_ticks * TICK_S > GONE_S:
            raise DeviceLostError(self.name)


class LossClock:
    """How much sound a device lost, which no driver says: so much later the blocks come.

    Blocks come late for other reasons too, but then none is missing and they catch up. So lateness counts at once
    where an overflow is reported, and else if it is long and steady: some sound systems lose sound without a word.
    """

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._due_s: float | None = None  # when the next block should come
        self._late_since: tuple[float, float] | None = None  # when much lateness was first seen, and how much
        self._late_frames = 0  # that came since

    def tick(self, now_s: float, frames: int, overflow: bool) -> int:
        """A block of so many frames came; how many are missing before it."""
        if self._due_s is None:
            self._due_s = now_s
        late_s, lost_frames = now_s - self._due_s, 0
        if overflow or self._stays_late(now_s, late_s, frames):
            lost_frames = max(0, round(late_s * self._rate_hz))
            self._due_s, self._late_since = now_s, None
        elif late_s < SILENT_LOSS_S:
            # Early blocks set the clock, and late ones only a little: it follows the device's pace, but no delay.
            self._due_s = min(now_s, self._due_s) + max(0.0, late_s) * FOLLOW
        self._due_s += frames / self._rate_hz
        return lost_frames

    def _stays_late(self, now_s: float, late_s: float, frames: int) -> bool:
        if late_s < SILENT_LOSS_S:
            self._late_since = None
        elif self._late_since is None or abs(late_s - self._late_since[1]) > STEADY_S:
            self._late_since, self._late_frames = (now_s, late_s), 0
        if self._late_since is None:
            return False
        self._late_frames += frames
        return min(now_s - self._late_since[0], self._late_frames / self._rate_hz) > SILENT_LOSS_S


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """PortAudio and ALSA write debugging output to standard error, past Python; let it go nowhere.

    What Python itself writes to standard error still arrives.
    """
    sys.stderr.flush()
    ours = os.dup(2)
    before = sys.stderr
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    sys.stderr = os.fdopen(os.dup(ours), "w", buffering=1, encoding=before.encoding, errors="backslashreplace")
    try:
        yield
    finally:
        sys.stderr.close()
        sys.stderr = before
        os.dup2(ours, 2)
        os.close(ours)


def _portaudio() -> Any:
    """The module sounddevice.

    Raises:
        PortAudioMissingError
    """
    try:
        import sounddevice  # type: ignore[import-untyped]
    except OSError as error:  # the Python package is there, the library is not
        raise PortAudioMissingError from error
    return sounddevice


def _usable_rate(rate_hz: float) -> int:
    """The device's own rate if a stream can take it, else the nearest one that it can; PortAudio then converts."""
    return min(max(round(rate_hz), LOWEST_RATE_HZ), HIGHEST_RATE_HZ)
