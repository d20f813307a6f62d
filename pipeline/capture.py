"""Live sound: whoever records puts blocks into a bounded queue, whoever recognises takes them out."""

import queue
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy.typing as npt

QUEUE_S = 10.0  # of sound that may wait while the recogniser is busy
TICK_S = 0.1  # how often a source without sound gives sign of life
STOP_S = 0.5  # how long what was recorded before `stop` may still be worked on


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive samples, as they were recorded."""

    samples: npt.NDArray[Any]  # int16, int32 or float32 [frames, channels]
    lost_frames: int = 0  # that went missing just before


class LiveSource(Protocol):
    """A microphone or a pipe. A context manager: recording begins and ends with it."""

    @property
    def name(self) -> str: ...

    @property
    def rate_hz(self) -> int:
        """Known from the first block on."""
        ...

    @property
    def lag_s(self) -> float:
        """Seconds of sound that wait in the queue."""
        ...

    def blocks(self) -> Iterator[Block | None]:
        """What was recorded, in order, and None after each tenth of a second without any.

        Ends at the end of the sound, and at most half a second after `stop`.

        Raises:
            AudioError: when all that was recorded has been yielded and there will be no more.
        """
        ...

    def stop(self) -> None:
        """Record no more. May be called from a signal handler."""
        ...

    def __enter__(self) -> "LiveSource": ...

    def __exit__(self, *_: object) -> None: ...


class BlockQueue:
    """What the sources have in common: the queue, and taking out of it."""

    def __init__(self, blocks: int) -> None:
        self._queue: queue.Queue[Block | None] = queue.Queue(blocks)  # None is the end
        self._stopping = False

    def stop(self) -> None:
        self._stopping = True

    def blocks(self) -> Iterator[Block | None]:
        until_s = float("inf")
        while time.monotonic() < until_s:
            if self._stopping and until_s == float("inf"):
                self._record_no_more()
                until_s = time.monotonic() + STOP_S
            try:
                block = self._queue.get(timeout=TICK_S)
            except queue.Empty:
                if self._stopping:
                    return
                self._check()
                yield None
                continue
            if block is None:
                self._check()
                return
            yield block

    def _record_no_more(self) -> None:
        """Called once, when the queue is about to be emptied for the last time."""

    def _check(self) -> None:
        """Raise an AudioError if no more will come and that is nobody's wish."""
