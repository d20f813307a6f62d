"""Sound files in blocks: whatever libsndfile reads, of any length, without loading it whole."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .containers import breaks_off
from .errors import (
    AudioFileNotFoundError,
    AudioFileUnreadableError,
    AudioIsDirectoryError,
    ChannelError,
    EmptyAudioError,
    NotAudioError,
    TruncatedAudioError,
)
from .media_file import looks_like_media, read_media
from .mp3_pipe import looks_like_mp3, pipe_from_mp3
from .samples import FloatArray, check_sample_rate, to_mono

if TYPE_CHECKING:
    import soundfile  # type: ignore[import-untyped]  # loads libsndfile; `read_blocks` does it


BLOCK_S = 0.1
UNKNOWN_LENGTH = 2**62  # libsndfile gives the largest number there is


@dataclass(frozen=True)
class AudioBlock:
    """Consecutive samples of a file."""

    samples: FloatArray  # mono, -1..1
    sample_rate_hz: int


def read_blocks(path: str | Path, channel: int | None = None) -> Iterator[AudioBlock]:
    """The samples of a sound file, a tenth of a second at a time, at the file's own rate.

    Args:
        path: WAV, FLAC, MP3, Ogg Vorbis or Opus, AIFF, and what else libsndfile reads; with the extra `media` also
            M4A, MP4, MOV, WebM, Matroska and AAC.
        channel: which one, counting from 1; None takes the mean of all.

    Raises:
        AudioFileNotFoundError, AudioIsDirectoryError, AudioFileUnreadableError, NotAudioError, EmptyAudioError,
        MissingMediaError, ChannelError, SampleRateError, SamplesError: at the place where it shows.
        TruncatedAudioError: at the end, when everything that is there has been yielded.
    """
    import soundfile

    path = Path(path)
    head = _head(path)
    if looks_like_media(head):
        for samples, rate_hz in read_media(path, channel):
            yield AudioBlock(samples, rate_hz)
        return
    with _open(path, head) as file:
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
        if lost or frames < file.frames < UNKNOWN_LENGTH or breaks_off(path):
            raise TruncatedAudioError(path, frames / rate_hz)
        if not frames:
            raise EmptyAudioError(path)


def _head(path: Path) -> bytes:
    """The first bytes, which tell what kind of file it is."""
    if path.is_dir():
        raise AudioIsDirectoryError(path)
    try:
        with path.open("rb") as file:
            head = file.read(12)
    except FileNotFoundError:
        raise AudioFileNotFoundError(path) from None
    except OSError as error:
        raise AudioFileUnreadableError(path, error.strerror or type(error).__name__) from error
    if not head:
        raise EmptyAudioError(path)
    return head


def _open(path: Path, head: bytes) -> "soundfile.SoundFile":
    import soundfile

    class ForwardFile(soundfile.SoundFile):  # type: ignore[misc]
        """soundfile seeks after each read; that makes clicks in MP3, and reading slow."""

        def seekable(self) -> bool:
            return False

    if looks_like_mp3(head):
        with suppress(soundfile.LibsndfileError):
            return ForwardFile(pipe_from_mp3(path))
    try:
        return ForwardFile(str(path))
    except (soundfile.LibsndfileError, TypeError):  # TypeError: a .raw file, which does not say its rate
        raise NotAudioError(path) from None
