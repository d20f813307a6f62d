"""A live stream as bytes: saved, moved to another process or machine, and continued to the same words.

    8 bytes   b"rillet\\0s"
    4 bytes   version of this format, little-endian
    32 bytes  SHA-256 of all that follows
    32 bytes  fingerprint of the model
    32 bytes  fingerprint of the decoder: its kind and all its settings, language model and phrases
    32 bytes  SHA-256 of the layout of the state: names and types of its fields
    the rest  the state, see values.py

The checksum finds damage, not malice: who can write snapshots can put words into a stream, but nothing else.
"""

import hashlib
import struct
from dataclasses import dataclass
from typing import Any

from .errors import DamagedSnapshotError, ForeignSnapshotError, NotASnapshotError, SnapshotVersionError
from .values import from_bytes, layout, to_bytes

MAGIC = b"rillet\0s"
VERSION = 1
HEAD = struct.Struct("<8sI32s")
ORIGIN = struct.Struct("<32s32s32s")


@dataclass(frozen=True)
class Origin:
    """What a snapshot belongs to."""

    model: str  # fingerprints
    decoder: str
    decoder_state: type


def save(value: Any, kind: type, origin: Origin) -> bytes:
    """A snapshot of a value of the dataclass `kind`, whose field of type Any is the decoder's state."""
    body = ORIGIN.pack(*_digests(kind, origin)) + to_bytes(value, kind, origin.decoder_state)
    return HEAD.pack(MAGIC, VERSION, _sha(body)) + body


def load(data: bytes, kind: type, origin: Origin) -> Any:
    """The value.

    Raises:
        NotASnapshotError, SnapshotVersionError, DamagedSnapshotError, ForeignSnapshotError
    """
    data = bytes(data)
    if data[: len(MAGIC)] != MAGIC[: len(data)] or not data:
        raise NotASnapshotError
    if len(data) < HEAD.size + ORIGIN.size:
        raise DamagedSnapshotError("it is cut short")
    _, version, checksum = HEAD.unpack_from(data)
    if version != VERSION:
        raise SnapshotVersionError(f"version {version}, not {VERSION}")
    body = data[HEAD.size :]
    if _sha(body) != checksum:
        raise DamagedSnapshotError("its checksum is wrong")
    model, decoder, shape = ORIGIN.unpack_from(body)
    ours = _digests(kind, origin)
    if model != ours[0]:
        raise ForeignSnapshotError("model")
    if decoder != ours[1]:
        raise ForeignSnapshotError("decoder, language model, hotwords or grammar")
    if shape != ours[2]:
        raise SnapshotVersionError("other fields")
    try:
        return from_bytes(body[ORIGIN.size :], kind, origin.decoder_state)
    except ValueError as error:
        raise DamagedSnapshotError(str(error)) from error


def _digests(kind: type, origin: Origin) -> tuple[bytes, bytes, bytes]:
    return _sha(origin.model.encode()), _sha(origin.decoder.encode()), _sha(layout(kind, origin.decoder_state).encode())


def _sha(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()
