"""Sound files in blocks: whatever libsndfile reads, of any length, without loading it whole."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

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

BLOCK_S = 0.5


@dataclass(frozen=True)
class AudioBlock:
    """Consecutive samples of a file."""

    samples: FloatArray  # mono, -1..1
    sample_rate_hz: int


def read_blocks(path: str | Path, channel: int | None = None) -> Iterator[AudioBlock]:
    """The samples of a sound file, half a second at a time, at the file's own rate.

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
        frames, broken = 0, _breaks_off(path)
        while True:
            try:
                block = file.read(int(rate_hz * BLOCK_S), dtype="float32", always_2d=True)
            except soundfile.LibsndfileError:  # the decoder lost its way
                broken = True
                break
            if not len(block):
                break
            frames += len(block)
            yield AudioBlock(to_mono(block, channel, str(path)), rate_hz)
        # libsndfile writes "unknown" as the largest number there is
        if broken or frames < file.frames < 2**62:
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
    try:
        return soundfile.SoundFile(str(path))
    except (soundfile.LibsndfileError, TypeError):  # TypeError: a .raw file, which does not say its rate
        raise NotAudioError(path) from None


def _breaks_off(path: Path) -> bool:
    """Whether the container says that the file should be longer; libsndfile quietly plays what is there."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(12)
        if head[:4] in (b"RIFF", b"RIFX") and head[8:] == b"WAVE":
            order = "<" if head[:4] == b"RIFF" else ">"
            while len(header := file.read(8)) == 8:
                name: bytes
                length: int
                name, length = struct.unpack(f"{order}4sI", header)
                if name == b"data":
                    # programs that write to a pipe do not know the length and put the largest or none
                    return 0 < length < 0x7FFF_0000 and file.tell() + length > size
                file.seek(length + length % 2, 1)
        elif head[:4] == b"OggS":
            file.seek(max(0, size - 65_536))
            tail = file.read()
            last = tail.rfind(b"OggS")
            return not (last >= 0 and len(tail) > last + 5 and tail[last + 5] & 4)  # the flag "end of stream"
    return False
