"""What results were made of: a hidden record beside each, so that nothing else passes for it.

The record of texts/calls/talk.txt is texts/.rillet/calls/talk.txt: the absolute place of the recording, and a
fingerprint of its size, its date and the settings. It is empty while the result is unfinished. Each result has its own,
so that processes and machines that write into one folder need not agree on anything.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

from .fingerprint import fingerprint
from .places import Found, as_local_file, existing, write_whole

FOLDER = ".rillet"
UNFINISHED = b""
AT_ONCE = 16  # a storage that is far away answers each question late


def record_for(recording: Found, settings: str) -> bytes:
    """What the record of a whole result says.

    Args:
        settings: tells models, languages and channels apart.
    """
    place = recording.place if "://" in recording.place else os.path.abspath(recording.place)
    made_of = fingerprint(recording.size_bytes, recording.modified_s, settings)
    return os.fsencode(place) + b"\n" + made_of.encode()


def may_be_whole(written: bytes | None, record: bytes) -> bool:
    """Whether a result with the record `written` may be a whole one of the recording that `record` names."""
    return written is None or written.rpartition(b"\n")[0] == record.rpartition(b"\n")[0]


def write_record(output: str, result: str, record: bytes) -> None:
    """Raises OutputUnwritableError."""
    write_whole(output, f"{FOLDER}/{result}", record)


def read_records(output: str, results: Sequence[str]) -> dict[str, bytes | None]:
    """The records of those results that exist; None for one that has none, which somebody else may have written.

    Raises:
        OutputUnwritableError, MissingRemoteError
    """
    there = existing(output, [*results, *(f"{FOLDER}/{result}" for result in results)])
    standing = [result for result in results if result in there]

    def read(result: str) -> bytes | None:
        name = f"{FOLDER}/{result}"
        if name not in there:
            return None
        name = quote(name) if output.startswith("file://") else name
        try:
            with as_local_file(f"{output.rstrip('/')}/{name}") as path:
                return path.read_bytes()
        except OSError:  # gone by now, or it cannot be read: then nothing is known
            return None

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return dict(zip(standing, pool.map(read, standing), strict=True))
