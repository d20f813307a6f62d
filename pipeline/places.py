"""Where recordings come from and results go: folders of this machine, and with fsspec any storage that has an address.

An address has "://" in it (s3://, gs://, https://, memory://, ...); everything else is a path. Results appear whole or
not at all: they are written beside their place and then moved there.
"""

import math
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from .errors import AudioFileNotFoundError, AudioFileUnreadableError, MissingRemoteError, OutputUnwritableError

# What is taken from a folder; a file that is named is read whatever it is called.
SUFFIXES = {".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".aif", ".aiff", ".aifc", ".au", ".caf", ".w64", ".rf64"}
SUFFIXES |= {".m4a", ".m4b", ".mp4", ".m4v", ".mov", ".webm", ".mkv", ".mka", ".aac", ".avi", ".wma"}
PARTIAL = ".partial"


@dataclass(frozen=True, slots=True)
class Found:
    """A recording."""

    place: str  # path or address
    relative: str  # to the folder that was searched; with slashes
    size_bytes: int
    modified_s: float = 0.0  # since 1970; 0 if that is not known


def find(place: str, *, recursive: bool) -> list[Found]:
    """The recordings in a folder, sorted by name; or the file itself.

    Raises:
        AudioFileNotFoundError, AudioFileUnreadableError, MissingRemoteError
    """
    remote = _remote(place)
    if remote is None:
        return _find_here(_local(place), recursive)
    files, path = remote
    try:
        if PurePosixPath(path).suffix.lower() in SUFFIXES or not files.isdir(path):
            if not files.exists(path):
                raise AudioFileNotFoundError(place)
            return [Found(place, PurePosixPath(path).name, int(files.info(path).get("size") or 0))]
        found = files.find(path, maxdepth=None if recursive else 1, detail=True)
    except AudioFileNotFoundError:
        raise
    except Exception as error:  # each kind of storage has its own
        raise AudioFileUnreadableError(place, _reason(error)) from error
    root = path.rstrip("/") + "/"
    return [
        Found(files.unstrip_protocol(name), name.removeprefix(root), int(info.get("size") or 0))
        for name, info in sorted(found.items())
        if PurePosixPath(name).suffix.lower() in SUFFIXES
    ]


def _find_here(path: Path, recursive: bool) -> list[Found]:
    if path.is_file():
        return [_found(path, path.parent)]
    if not path.is_dir():
        raise AudioFileNotFoundError(path)
    inside = sorted(path.rglob("*") if recursive else path.glob("*"))
    return [_found(file, path) for file in inside if file.suffix.lower() in SUFFIXES and file.is_file()]


def _found(file: Path, root: Path) -> Found:
    about = file.stat()
    return Found(str(file), file.relative_to(root).as_posix(), about.st_size, about.st_mtime)


def existing(folder: str, names: Iterable[str]) -> dict[str, float]:
    """Which of these files are in a folder, and when they were modified: infinity if that is not known.

    Raises:
        OutputUnwritableError, MissingRemoteError
    """
    remote = _remote(folder)
    if remote is None:
        here = [(name, _local(folder) / name) for name in names]
        return {name: file.stat().st_mtime for name, file in here if file.is_file()}
    files, path = remote
    root = path.rstrip("/") + "/"
    try:
        there = {name.removeprefix(root) for name in files.find(path)} if files.exists(path) else set()
    except Exception as error:
        raise OutputUnwritableError(folder, _reason(error)) from error
    return {name: math.inf for name in names if name in there}


@contextmanager
def as_local_file(place: str) -> Iterator[Path]:
    """The file itself, or a copy of it on this machine for as long as it is needed.

    Raises:
        AudioFileNotFoundError, AudioFileUnreadableError, MissingRemoteError
    """
    remote = _remote(place)
    if remote is None:
        yield _local(place)
        return
    files, path = remote
    with tempfile.TemporaryDirectory(prefix="rillet-") as folder:
        copy = Path(folder) / (PurePosixPath(path).name or "recording")
        try:
            with files.open(path, "rb") as source, copy.open("wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)
        except FileNotFoundError:
            raise AudioFileNotFoundError(place) from None
        except Exception as error:
            raise AudioFileUnreadableError(place, _reason(error)) from error
        yield copy


def write_whole(folder: str, relative: str, data: bytes) -> None:
    """Put a file into a folder, in one piece; what was there is replaced.

    Raises:
        OutputUnwritableError, MissingRemoteError
    """
    remote = _remote(folder)
    try:
        if remote is None:
            target = _local(folder) / relative
            target.parent.mkdir(parents=True, exist_ok=True)
            partial = target.with_name(target.name + PARTIAL)
            partial.write_bytes(data)
            os.replace(partial, target)
            return
        files, root = remote
        name = f"{root.rstrip('/')}/{relative}"
        files.makedirs(name.rpartition("/")[0], exist_ok=True)
        files.pipe_file(name + PARTIAL, data)
        files.mv(name + PARTIAL, name)
    except OSError as error:
        raise OutputUnwritableError(f"{folder}/{relative}", error.strerror or _reason(error)) from error
    except Exception as error:
        raise OutputUnwritableError(f"{folder}/{relative}", _reason(error)) from error


def check_writable(folder: str) -> None:
    """Find out now rather than after an hour.

    Raises:
        OutputUnwritableError, MissingRemoteError
    """
    name = f".rillet-{os.getpid()}"
    write_whole(folder, name, b"")
    remote = _remote(folder)
    if remote is None:
        (_local(folder) / name).unlink()
    else:
        files, root = remote
        files.rm_file(f"{root.rstrip('/')}/{name}")


def _local(place: str) -> Path:
    return Path(unquote(urlsplit(place).path)) if place.startswith("file://") else Path(place)


def _remote(place: str) -> tuple[Any, str] | None:
    """The storage and the path in it; None for a place on this machine."""
    if "://" not in place or place.startswith("file://"):
        return None
    try:
        import fsspec
    except ModuleNotFoundError:
        raise MissingRemoteError(place, "rillet[remote]") from None
    try:
        files, path = fsspec.core.url_to_fs(place)
    except (ImportError, ValueError) as error:  # both name the package or the kind of address that is not known
        raise MissingRemoteError(place, _reason(error)) from None
    return files, str(path)


def _reason(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
