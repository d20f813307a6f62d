"""Sound files in blocks: whatever libsndfile reads, of any length, without loading it whole."""

import os
import shutil
import struct
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
import numpy.typing as npt

from .errors import (
    AudioFileNotFoundError,
    AudioFileUnreadableError,
    AudioIsDirectoryError,
    ChannelError,
    EmptyAudioError,
    NotAudioError,
    TruncatedAudioError,
)
from .samples import check_sample_rate, to_mono

if TYPE_CHECKING:
    import soundfile  # type: ignore[import-untyped]  # loads libsndfile; `read_blocks` does it

FloatArray = npt.NDArray[np.float32]

BLOCK_S = 0.1
UNKNOWN_LENGTH = 2**62  # libsndfile gives the largest number there is
OGG_PAGE_BYTES = 65_307  # at most


@dataclass(frozen=True)
class AudioBlock:
    """Consecutive samples of a file."""

    samples: FloatArray  # mono, -1..1
    sample_rate_hz: int


def read_blocks(path: str | Path, channel: int | None = None) -> Iterator[AudioBlock]:
    """The samples of a sound file, a tenth of a second at a time, at the file's own rate.

    Args:
        path: WAV, FLAC, MP3, Ogg Vorbis or Opus, AIFF, and what else libsndfile reads.
        channel: which one, counting from 1; None takes the mean of all.

    Raises:
        AudioFileNotFoundError, AudioIsDirectoryError, AudioFileUnreadableError, NotAudioError, EmptyAudioError,
        ChannelError, SampleRateError, SamplesError: at the place where it shows.
        TruncatedAudioError: at the end, when everything that is there has been yielded.
    """
    import soundfile

    path = Path(path)
    with _open(path) as file:
        if channel is not None and not 1 <= channel <= file.channels:
            raise ChannelError(str(path), channel, file.channels)
        rate_hz = check_sample_rate(file.samplerate, str(path))
        frames, lost = 0, False
        while True:
            try:
                block = file.read(int(rate_hz * BLOCK_S), dtype="float32", always_2d=True)
            except soundfile.LibsndfileError:  # the decoder lost its way
                lost = True
                break
            if not len(block):
                break
            frames += len(block)
            yield AudioBlock(to_mono(block, channel, str(path)), rate_hz)
        if lost or frames < file.frames < UNKNOWN_LENGTH or _breaks_off(path):
            raise TruncatedAudioError(path, frames / rate_hz)
        if not frames:
            raise EmptyAudioError(path)


def _open(path: Path) -> "soundfile.SoundFile":
    import soundfile

    if path.is_dir():
        raise AudioIsDirectoryError(path)
    try:
        with path.open("rb") as file:
            if not file.read(1):
                raise EmptyAudioError(path)
    except FileNotFoundError:
        raise AudioFileNotFoundError(path) from None
    except OSError as error:
        raise AudioFileUnreadableError(path, error.strerror or type(error).__name__) from error

    class ForwardFile(soundfile.SoundFile):  # type: ignore[misc]
        """soundfile seeks after each read; that makes clicks in MP3, and reading slow."""

        def seekable(self) -> bool:
            return False

    try:
        file = ForwardFile(str(path))
        if file.format == "MP3" and os.name == "posix":
            file.close()
            file = ForwardFile(_pipe_from_mp3(path))
        return file
    except (soundfile.LibsndfileError, TypeError):  # TypeError: a .raw file, which does not say its rate
        raise NotAudioError(path) from None


def _pipe_from_mp3(path: Path) -> int:
    """The reading end of a pipe through which a file comes, without the tags before the sound.

    In a file, libsndfile stops at an estimate of the length if there is no exact one, which loses most of an MP3 of
    variable bit rate that was cut or recorded from the radio. In a pipe it reads to the end.
    """
    read_end, write_end = os.pipe()

    def feed() -> None:
        with suppress(BrokenPipeError), os.fdopen(write_end, "wb") as pipe, path.open("rb") as file:
            tag = file.read(10)
            if tag[:3] == b"ID3":  # ID3v2: its length is four times seven bits
                file.seek(10 + sum(byte << shift for byte, shift in zip(tag[6:], (21, 14, 7, 0), strict=True)))
            else:
                file.seek(0)
            shutil.copyfileobj(file, pipe)

    threading.Thread(target=feed, name=f"rillet reads {path.name}", daemon=True).start()
    return read_end


def _breaks_off(path: Path) -> bool:
    """Whether a WAV, AIFF or Ogg file says that it should be longer; libsndfile quietly plays what is there."""
    size = path.stat().st_size
    with path.open("rb") as file:
        kind = file.read(12)
        if kind[:4] in (b"RIFF", b"RIFX", b"FORM"):
            return _chunk_breaks_off(file, size, order="<" if kind[:4] == b"RIFF" else ">")
        return kind[:4] == b"OggS" and not _ends_with_last_page(file, size)


def _chunk_breaks_off(file: BinaryIO, size: int, order: str) -> bool:
    """Whether the chunk with the samples of a WAV or AIFF file reaches beyond its end."""
    while len(header := file.read(8)) == 8:
        name: bytes = header[:4]
        length: int = struct.unpack(f"{order}I", header[4:])[0]
        if name in (b"data", b"SSND"):
            # programs that write to a pipe do not know the length and put the largest there is, or none
            return length < 0x7FFF_0000 and file.tell() + length > size
        file.seek(length + length % 2, os.SEEK_CUR)
    return False


def _ends_with_last_page(file: BinaryIO, size: int) -> bool:
    """Whether an Ogg file ends with a complete page that has the flag "end of stream" (RFC 3533, section 6)."""
    file.seek(max(0, size - 2 * OGG_PAGE_BYTES))
    tail = file.read()
    page = tail[max(tail.rfind(b"OggS"), 0) :]
    if len(page) < 27 or not page[5] & 4:
        return False
    segments = page[26]
    return len(page) >= 27 + segments + sum(page[27 : 27 + segments])
