"""What can go wrong with microphones and pipes; see errors.py."""

from collections.abc import Sequence

from .errors import AudioError, PathLike


class PortAudioMissingError(AudioError, ImportError):
    def __init__(self) -> None:
        super().__init__(
            "the PortAudio library, which reads microphones, is not installed; get it with: apt install libportaudio2 "
            "(Debian, Ubuntu), dnf install portaudio (Fedora), brew install portaudio (macOS); "
            "without it, pipe sound in: arecord -f S16_LE -r 16000 | rillet listen -"
        )


class NoMicrophoneError(AudioError, LookupError):
    def __init__(self) -> None:
        super().__init__("this machine has no microphone that can be opened; plug one in, then see: rillet devices")


class DeviceNotFoundError(AudioError, LookupError):
    def __init__(self, wanted: str, names: Sequence[str]) -> None:
        super().__init__(f"no microphone is called {wanted}; choose one of these: {', '.join(names)}.")


class DeviceAmbiguousError(AudioError, LookupError):
    def __init__(self, wanted: str, names: Sequence[str]) -> None:
        super().__init__(f"several microphones fit {wanted}; choose by number: {', '.join(names)}.")


class DeviceUnusableError(AudioError, OSError):
    def __init__(self, name: str, reason: str) -> None:
        super().__init__(
            f"{name}: this microphone cannot be opened ({reason}); "
            f"close programs that use it, or choose another: rillet devices"
        )


class DeviceLostError(AudioError, OSError):
    def __init__(self, name: str) -> None:
        super().__init__(f"{name}: the microphone is gone; plug it in and start again, what was said so far is above.")


class PcmPathError(AudioError, ValueError):
    def __init__(self, path: PathLike) -> None:
        super().__init__(f"{path}: this is a file and no pipe; read it with: rillet transcribe {path}")


class PcmHeaderError(AudioError, ValueError):
    def __init__(self, where: str, reason: str) -> None:
        super().__init__(
            f"{where}: this WAV stream cannot be used ({reason}); send 16-bit or 32-bit float samples, "
            f"for example: arecord -f S16_LE -r 16000 | rillet listen -"
        )


class RecordingUnwritableError(AudioError, OSError):
    def __init__(self, path: PathLike, reason: str) -> None:
        super().__init__(f"{path}: the sound cannot be saved here ({reason}); name a place that can be written to.")


class ContinuousFormatError(AudioError, ValueError):
    def __init__(self, path: PathLike) -> None:
        super().__init__(f"{path}: .json is written at the end and would be lost by an accident; take .jsonl for it.")
