"""What can go wrong with the things a user hands in: one class per cause, one sentence that says what to do.

Every class is a `RilletError` and also the built-in exception that fits, so `except FileNotFoundError` works as well.
"""

from collections.abc import Iterable
from pathlib import Path

PathLike = str | Path


class RilletError(Exception):
    """Base of all errors whose message is meant for the user; anything else that escapes rillet is a bug."""


# ---- Audio ----------------------------------------------------------------------------------------------------------


class AudioError(RilletError):
    """Base of everything that is wrong with the sound."""


class AudioFileNotFoundError(AudioError, FileNotFoundError):
    def __init__(self, path: PathLike) -> None:
        super().__init__(f"{path}: there is no such file; check the spelling and the folder.")


class AudioIsDirectoryError(AudioError, IsADirectoryError):
    def __init__(self, path: PathLike) -> None:
        super().__init__(
            f"{path}: this is a folder; name the audio files in it, or with --output a folder for all their texts."
        )


class AudioFileUnreadableError(AudioError, OSError):
    def __init__(self, path: PathLike, reason: str) -> None:
        super().__init__(f"{path}: the file cannot be read ({reason}); check its permissions and the disk.")


class NotAudioError(AudioError, ValueError):
    def __init__(self, path: PathLike) -> None:
        super().__init__(
            f"{path}: this is not WAV, FLAC, MP3, Ogg or another format rillet reads; "
            f"if it holds sound, convert it first, for example: ffmpeg -i INPUT output.wav"
        )


class MissingMediaError(AudioError, ImportError):
    def __init__(self, path: PathLike) -> None:
        super().__init__(f"{path}: to read the sound of such a file, install PyAV with: pip install 'rillet[media]'")


class EmptyStretchError(AudioError, ValueError):
    def __init__(self, path: PathLike, start_s: float, length_s: float) -> None:
        super().__init__(f"{path}: there is nothing at {start_s:g} s, for it is {length_s:.1f} s long; start earlier.")


class EmptyAudioError(AudioError, ValueError):
    def __init__(self, path: PathLike) -> None:
        super().__init__(f"{path}: there is no sound in this file, it is empty; record or copy it again.")


class TruncatedAudioError(AudioError, EOFError):
    """Raised after everything that could be read has been handed on."""

    def __init__(self, path: PathLike, after_s: float) -> None:
        self.after_s = after_s
        super().__init__(
            f"{path}: the file breaks off after {after_s:.1f} s, before the end that it announces; "
            f"copy or download it again for the rest."
        )


class SamplesError(AudioError, ValueError):
    """Samples that no model can hear: not a number, infinite, out of range, of a strange type or shape."""


class NonFiniteSamplesError(SamplesError):
    def __init__(self, where: str) -> None:
        super().__init__(f"{where}: the sound contains NaN or infinite samples; repair or record it again.")


class SampleRangeError(SamplesError):
    def __init__(self, where: str, peak: float) -> None:
        super().__init__(
            f"{where}: floating-point samples must lie within -1..1 and one of these is {peak:.6g}; "
            f"divide by the full scale (32768 for 16 bits) or pass the integers as they are."
        )


class ChannelError(AudioError, ValueError):
    def __init__(self, where: str, channel: int, channels: int) -> None:
        there = "only channel 1" if channels == 1 else f"channels 1 to {channels}"
        super().__init__(f"{where}: channel {channel} was asked for and there is {there}; choose one of these.")


class SampleRateError(AudioError, ValueError):
    def __init__(self, where: str, rate_hz: float, lowest_hz: int, highest_hz: int) -> None:
        super().__init__(
            f"{where}: a sample rate of {rate_hz:g} Hz is not supported; "
            f"it must be a whole number from {lowest_hz} to {highest_hz} Hz, so convert the sound first."
        )


class FileInPipeError(AudioError, ValueError):
    """Where raw samples are expected, somebody sends a file of sound, or no sound at all."""

    def __init__(self, where: str, kind: str) -> None:
        super().__init__(
            f"{where}: this is {kind} and no raw samples; a file of sound is read with: rillet transcribe FILE"
        )


class SampleRateChangedError(AudioError, ValueError):
    def __init__(self, before_hz: int, after_hz: int) -> None:
        super().__init__(
            f"the sample rate changed from {before_hz} to {after_hz} Hz in the middle of a stream; "
            f"finish it and start a new one for the new rate."
        )


# ---- Model ----------------------------------------------------------------------------------------------------------


class ModelError(RilletError):
    """Base of everything that is wrong with the model file."""


class ModelNotFoundError(ModelError, FileNotFoundError):
    pass


class NotARilletModelError(ModelError, ValueError):
    def __init__(self, path: PathLike, reason: str) -> None:
        super().__init__(
            f"{path}: this is not a rillet model ({reason}); use a file written by `rillet export` or the shipped one."
        )


class ModelVersionError(ModelError, ValueError):
    def __init__(self, path: PathLike, found: str, supported: str) -> None:
        super().__init__(
            f"{path}: the model has format version {found} and this rillet reads version {supported}; "
            f"upgrade rillet or export the model again."
        )


class DamagedModelError(ModelError, ValueError):
    def __init__(self, path: PathLike, reason: str) -> None:
        super().__init__(f"{path}: the model is damaged or not an ONNX file ({reason}); copy or download it again.")


# ---- Use ------------------------------------------------------------------------------------------------------------


class EndpointRulesError(RilletError, ValueError):
    def __init__(self, name: str, value_s: float) -> None:
        super().__init__(f"{name} is {value_s:g} and must be above 0 seconds; for no rule at all pass endpoints=None.")


class BeamOptionError(RilletError, ValueError):
    def __init__(self, name: str, value: object, low: float, high: float, *, whole: bool) -> None:
        kind = "a whole number" if whole else "a number"
        super().__init__(
            f"{name} is {value} and must be {kind} from {low:g} to {high:g}; leave it out for the usual one."
        )


class UnknownBeamOptionError(RilletError, TypeError):
    def __init__(self, name: str, known: Iterable[str]) -> None:
        super().__init__(f"{name}: the beam search has no such option; choose of: {', '.join(known)}.")


class PhrasesFileError(RilletError, ValueError):
    def __init__(self, path: PathLike, reason: str) -> None:
        super().__init__(f"{path}: {reason}; --phrases takes a text file with one phrase a line.")


class OutputFormatError(RilletError, ValueError):
    def __init__(self, path: PathLike, endings: list[str]) -> None:
        super().__init__(f"{path}: the ending says which format to write; use one of: {', '.join(endings)}.")


class OutputUnwritableError(RilletError, OSError):
    def __init__(self, path: PathLike, reason: str) -> None:
        super().__init__(f"{path}: this cannot be written ({reason}); name a place that exists and can be written to.")


class DiskFullError(RilletError, OSError):
    def __init__(self, place: PathLike, reason: str) -> None:
        super().__init__(f"{place}: not all of it could be written ({reason}); make room for it and start again.")


class OutputClashError(RilletError, ValueError):
    def __init__(self, first: str, second: str, name: str) -> None:
        super().__init__(
            f"{first} and {second} would both be written to {name}; transcribe them into folders of their own."
        )


class MissingRemoteError(RilletError, ImportError):
    def __init__(self, place: str, reason: str) -> None:
        super().__init__(
            f"{place}: this kind of address cannot be opened ({reason}); "
            f"install what is missing, for example with: pip install 'rillet[remote]' s3fs gcsfs"
        )


class SnapshotError(RilletError, ValueError):
    """Base of everything that is wrong with a snapshot."""


class NotASnapshotError(SnapshotError):
    def __init__(self) -> None:
        super().__init__("this is not a snapshot of a stream; use the bytes that Stream.snapshot() returned.")


class SnapshotVersionError(SnapshotError):
    def __init__(self, difference: str) -> None:
        super().__init__(
            f"this snapshot was made by another version of rillet ({difference}); restore it with that version."
        )


class DamagedSnapshotError(SnapshotError):
    def __init__(self, reason: str) -> None:
        super().__init__(f"this snapshot is damaged ({reason}); use another copy of it, or start a new stream.")


class ForeignSnapshotError(SnapshotError):
    def __init__(self, what: str) -> None:
        super().__init__(f"this snapshot was made with another {what}; load the recogniser as it was when it was made.")


class StreamFinishedError(RilletError, RuntimeError):
    def __init__(self) -> None:
        super().__init__("this stream is finished; start a new one with Recognizer.stream().")


class MissingExtraError(RilletError, ImportError):
    def __init__(self, extra: str, module: str) -> None:
        super().__init__(f"this needs {module}, which is not installed; install it with: pip install 'rillet[{extra}]'")
