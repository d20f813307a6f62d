"""Raw samples from standard input or a named pipe: `arecord -f S16_LE -r 16000 | rillet listen -`."""

import os
import stat
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np

from .capture import QUEUE_S, Block, BlockQueue
from .capture_errors import PcmHeaderError, PcmPathError
from .errors import AudioError, AudioFileNotFoundError, AudioFileUnreadableError
from .samples import check_sample_rate

PcmFormat = Literal["s16", "f32"]

BLOCK_S = 0.02
DTYPES: dict[PcmFormat, np.dtype[Any]] = {"s16": np.dtype("<i2"), "f32": np.dtype("<f4")}
WAV_FORMATS: dict[tuple[int, int], PcmFormat] = {(1, 16): "s16", (3, 32): "f32"}  # format tag and bits
WAV_EXTENSIBLE = 0xFFFE  # the format tag stands further behind
MOST_HEADER_BYTES = 65_536


class PcmPipe(BlockQueue):
    """A live source of bytes. It never loses any: whoever writes waits when the queue is full.

    Args:
        path: a named pipe; "-" is standard input.
        rate_hz, pcm_format, channels: of the samples, little-endian and interleaved. A WAV header, which arecord writes
            unless told otherwise, is understood and says better.

    Raises:
        AudioFileNotFoundError, AudioFileUnreadableError, PcmPathError, SampleRateError
    """

    def __init__(self, path: str, rate_hz: int = 16_000, pcm_format: PcmFormat = "s16", channels: int = 1) -> None:
        super().__init__(round(QUEUE_S / BLOCK_S))
        self.name = "standard input" if path == "-" else path
        self.rate_hz = check_sample_rate(rate_hz, self.name)
        self._path = path
        self._format: PcmFormat = pcm_format
        self._channels = channels
        self._error: Exception | None = None
        if path != "-":
            _check_pipe(path)

    @property
    def lag_s(self) -> float:
        return self._queue.qsize() * BLOCK_S

    def __enter__(self) -> "PcmPipe":
        threading.Thread(target=self._read, name="rillet-pcm", daemon=True).start()  # it may wait for bytes for ever
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping = True

    def _check(self) -> None:
        if self._error is not None:
            raise self._error

    def _read(self) -> None:
        """The reading thread; what goes wrong in it is raised where the blocks are taken."""
        try:
            for block in self._blocks_of(self._bytes()):
                self._queue.put(block)
                if self._stopping:
                    return
        except OSError as error:
            self._error = AudioFileUnreadableError(self.name, error.strerror or type(error).__name__)
        except AudioError as error:
            self._error = error
        self._queue.put(None)

    def _bytes(self) -> Iterator[bytes]:
        """What is there, without waiting for more than one byte."""
        if self._path == "-":
            while piece := os.read(0, 65_536):
                yield piece
            return
        with open(self._path, "rb", buffering=0) as file:
            while piece := file.read(65_536):
                yield piece

    def _blocks_of(self, pieces: Iterator[bytes]) -> Iterator[Block]:
        waiting = b""
        header_done = False
        for piece in pieces:
            waiting += piece
            if not header_done:
                length = self._read_header(waiting)
                if length is None:
                    continue
                waiting, header_done = waiting[length:], True
            dtype = DTYPES[self._format]
            frame_bytes = dtype.itemsize * self._channels
            block_bytes = round(self.rate_hz * BLOCK_S) * frame_bytes
            whole = len(waiting) // frame_bytes * frame_bytes
            for start in range(0, whole, block_bytes):
                values = np.frombuffer(waiting[start : min(start + block_bytes, whole)], dtype)
                yield Block(values.reshape(-1, self._channels))
            waiting = waiting[whole:]

    def _read_header(self, head: bytes) -> int | None:
        """Take rate, format and channels from a WAV header, if there is one.

        Returns:
            Its length in bytes; None if more bytes are needed to tell.
        """
        if len(head) < 12 and b"RIFF".startswith(head[:4]):
            return None
        if not (head.startswith(b"RIFF") and head[8:12] == b"WAVE"):
            return 0
        place, described = 12, False
        while len(head) >= place + 8:
            kind, size = struct.unpack_from("<4sI", head, place)
            place += 8
            if kind == b"data":
                if not described:
                    raise PcmHeaderError(self.name, "it does not say its format")
                return place
            if kind == b"fmt ":
                if len(head) < place + size:
                    return None
                self._describe(head[place : place + size])
                described = True
            place += size + size % 2
        if place > MOST_HEADER_BYTES:
            raise PcmHeaderError(self.name, "its header does not end")
        return None

    def _describe(self, fmt: bytes) -> None:
        if len(fmt) < 16:
            raise PcmHeaderError(self.name, "its header is damaged")
        tag, channels, rate_hz, _, _, bits = struct.unpack_from("<HHIIHH", fmt)
        if tag == WAV_EXTENSIBLE and len(fmt) >= 26:
            (tag,) = struct.unpack_from("<H", fmt, 24)
        if (tag, bits) not in WAV_FORMATS or not channels:
            raise PcmHeaderError(self.name, f"it has {bits} bits in format {tag}")
        self._format, self._channels = WAV_FORMATS[tag, bits], channels
        self.rate_hz = check_sample_rate(rate_hz, self.name)


def _check_pipe(path: str) -> None:
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        raise AudioFileNotFoundError(path) from None
    except OSError as error:
        raise AudioFileUnreadableError(path, error.strerror or type(error).__name__) from error
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
        raise PcmPathError(Path(path))
