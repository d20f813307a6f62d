"""Raw samples from standard input or a named pipe: `arecord -f S16_LE -r 16000 | rillet listen -`."""

import codecs
import os
import re
import stat
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np

from .capture import QUEUE_S, Block, BlockQueue
from .capture_errors import PcmHeaderError, PcmPathError
from .errors import AudioError, AudioFileNotFoundError, AudioFileUnreadableError, FileInPipeError
from .samples import check_sample_rate

PcmFormat = Literal["s16", "f32"]

BLOCK_S = 0.02
DTYPES: dict[PcmFormat, np.dtype[Any]] = {"s16": np.dtype("<i2"), "f32": np.dtype("<f4")}
WAV_FORMATS: dict[tuple[int, int], PcmFormat] = {(1, 16): "s16", (3, 32): "f32"}  # format tag and bits
WAV_EXTENSIBLE = 0xFFFE  # the format tag stands further behind
MOST_HEADER_BYTES = 65_536
# How files begin that are sent here by mistake. MP3 without a tag is not among them: its two bytes stand in sound too.
FILES = (
    (re.compile(rb"fLaC"), "a FLAC file"),
    (re.compile(rb"OggS"), "an Ogg file"),
    (re.compile(rb"ID3[\x02-\x04]"), "an MP3 file"),
    (re.compile(rb"....ftyp", re.DOTALL), "an MP4 or M4A file"),
    (re.compile(rb"\x1a\x45\xdf\xa3"), "a WebM or Matroska file"),
)
MAGIC_BYTES = 8
TEXT_BYTES = 256  # so many that make sense as text are no sound
LEAST_TEXT_BYTES = 12  # and so many if no more come


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
            whole = len(waiting) // self._frame_bytes * self._frame_bytes
            yield from self._cut(waiting[:whole])
            waiting = waiting[whole:]
        if not header_done and not waiting.startswith(b"RIFF"):  # too short to tell what it is, but for text
            if len(waiting) >= LEAST_TEXT_BYTES and _is_text(waiting):
                raise FileInPipeError(self.name, "text")
            yield from self._cut(waiting[: len(waiting) // self._frame_bytes * self._frame_bytes])

    @property
    def _frame_bytes(self) -> int:
        return DTYPES[self._format].itemsize * self._channels

    def _cut(self, frames: bytes) -> Iterator[Block]:
        block_bytes = round(self.rate_hz * BLOCK_S) * self._frame_bytes
        for start in range(0, len(frames), block_bytes):
            values = np.frombuffer(frames[start : start + block_bytes], DTYPES[self._format])
            yield Block(values.reshape(-1, self._channels))

    def _read_header(self, head: bytes) -> int | None:
        """Take rate, format and channels from a WAV header, if there is one.

        Returns:
            Its length in bytes; None if more bytes are needed to tell.

        Raises:
            FileInPipeError, PcmHeaderError
        """
        if len(head) < MAGIC_BYTES or (len(head) < 12 and head.startswith(b"RIFF")):
            return None
        if not (head.startswith(b"RIFF") and head[8:12] == b"WAVE"):
            for beginning, kind in FILES:
                if beginning.match(head):
                    raise FileInPipeError(self.name, kind)
            if not _is_text(head[:TEXT_BYTES]):
                return 0
            if len(head) < TEXT_BYTES:
                return None
            raise FileInPipeError(self.name, "text")
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


def _is_text(head: bytes) -> bool:
    """Whether these bytes, which may end within a letter, are nothing but letters, signs, spaces and line ends."""
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return all(character.isprintable() or character in "\t\r\n\ufeff" for character in text)


def _check_pipe(path: str) -> None:
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        raise AudioFileNotFoundError(path) from None
    except OSError as error:
        raise AudioFileUnreadableError(path, error.strerror or type(error).__name__) from error
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
        raise PcmPathError(Path(path))
