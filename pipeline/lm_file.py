"""The compact language model file: arrays as they lie in memory, found by a small header, never parsed.

    bytes 0..7    b"rilletLM"
    bytes 8..11   format version, uint32
    bytes 12..15  length of the header, uint32
    bytes 16..19  CRC-32 of the header, uint32
    then          the header, JSON: {"order", "sections": [{"name", "dtype", "count", "offset"}],
                  "bytes", "crc32", "about"}
    then          the sections, each at a multiple of 8 bytes from the start of the file

All numbers are little-endian. `vocabulary` is the sorted words in UTF-8 with a line feed after each; `1.words`,
`1.log_probs`, `1.prob_book`, ... are the arrays of `ngrams.Level`, by order. Where the file says how words sound, its
header has "phones" and `said.words`, `said.lengths`, `said.sounds` are the arrays of `lexicon.Pronunciations`. "bytes"
is the size of the whole file and "crc32" the sum of everything behind the header.
"""

from __future__ import annotations

import json
import mmap
import os
import struct
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from .lexicon import Pronunciations
from .lm_errors import (
    DamagedLanguageModelError,
    LanguageModelError,
    LanguageModelNotFoundError,
    LanguageModelVersionError,
)
from .ngrams import Array, Level, NgramTrie

MAGIC, VERSION = b"rilletLM", 1
PREAMBLE = struct.Struct("<8sIII")
DTYPES = {"uint8", "uint16", "uint32", "float32"}
SAID = ("words", "lengths", "sounds")
FIELDS = ("words", "log_probs", "log_backoffs", "first_child", "prob_book", "backoff_book")


def is_compact(path: str | Path) -> bool:
    """Whether the file begins as a compact language model does.

    Raises:
        LanguageModelNotFoundError
    """
    try:
        with open(path, "rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except FileNotFoundError:
        raise LanguageModelNotFoundError(path) from None


def write(trie: NgramTrie, path: str | Path, about: str = "") -> None:
    """Write the file whole or not at all.

    Args:
        trie: quantised (small) or not.
        about: what it was made from and under which licences, for the reader.
    """
    arrays: dict[str, Array] = {
        "vocabulary": np.frombuffer("".join(f"{word}\n" for word in trie.vocabulary).encode(), np.uint8)
    }
    for n, level in enumerate(trie.levels, start=1):
        for name in FIELDS:
            array = getattr(level, name)
            if array is not None:
                arrays[f"{n}.{name}"] = array
    said = trie.pronunciations
    if said is not None:
        arrays |= {f"said.{name}": getattr(said, name) for name in SAID}
    sections, body = [], bytearray()
    for name, array in arrays.items():
        body.extend(bytes(-len(body) % 8))
        sections.append({"name": name, "dtype": str(array.dtype), "count": len(array), "offset": len(body)})
        body.extend(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes())
    header: dict[str, Any] = {"order": trie.order, "sections": sections, "crc32": zlib.crc32(body), "about": about}
    if said is not None:
        header["phones"] = said.phones
    text = json.dumps({**header, "bytes": "000000000000"}).encode()
    start = PREAMBLE.size + len(text) + -(PREAMBLE.size + len(text)) % 8
    text = json.dumps({**header, "bytes": f"{start + len(body):012}"}).encode()
    temporary = Path(f"{path}.part")
    with open(temporary, "wb") as file:
        file.write(PREAMBLE.pack(MAGIC, VERSION, len(text), zlib.crc32(text)))
        file.write(text.ljust(start - PREAMBLE.size, b"\0"))
        file.write(body)
    os.replace(temporary, path)


def read(path: str | Path, verify: bool = False) -> NgramTrie:
    """Map the file into memory; only the vocabulary is read now.

    Args:
        verify: also compare the check sum of the whole file.

    Raises:
        LanguageModelNotFoundError, LanguageModelVersionError, DamagedLanguageModelError
    """
    header, data, start = _open(path)
    try:
        arrays = {section["name"]: _section(section, data, start) for section in header["sections"]}
        if verify and zlib.crc32(memoryview(data)[start:]) != header["crc32"]:
            raise ValueError("its check sum differs")
        vocabulary = arrays["vocabulary"].tobytes().decode().splitlines()
        levels = tuple(
            Level(**{name: arrays.get(f"{n}.{name}") for name in FIELDS})  # type: ignore[arg-type]
            for n in range(1, header["order"] + 1)
        )
        _check(levels, len(vocabulary))
        said = None
        if "phones" in header:
            said = Pronunciations(tuple(map(str, header["phones"])), *(arrays[f"said.{name}"] for name in SAID))
            said.check(len(vocabulary))
    except (KeyError, TypeError, ValueError) as error:
        raise DamagedLanguageModelError(path, str(error)) from error
    return NgramTrie(vocabulary, levels, said)


def about(path: str | Path) -> str:
    """What the file says of its origin."""
    return str(_open(path)[0].get("about", ""))


def _open(path: str | Path) -> tuple[dict[str, Any], mmap.mmap, int]:
    if sys.byteorder != "little":
        raise LanguageModelError(
            "the compact language model needs a little-endian processor; use its ARPA file instead."
        )
    if not is_compact(path):
        raise DamagedLanguageModelError(path, "it does not begin as one")
    with open(path, "rb") as file:
        if os.fstat(file.fileno()).st_size < PREAMBLE.size:
            raise DamagedLanguageModelError(path, "it is too short")
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    _, version, length, checksum = PREAMBLE.unpack_from(data)
    if version != VERSION:
        raise LanguageModelVersionError(path, version, VERSION)
    text = data[PREAMBLE.size : PREAMBLE.size + length]
    if zlib.crc32(text) != checksum:
        raise DamagedLanguageModelError(path, "its header is altered")
    header = json.loads(text)
    if int(header["bytes"]) != len(data):
        raise DamagedLanguageModelError(path, f"{len(data)} bytes instead of {int(header['bytes'])}")
    start = PREAMBLE.size + length
    return header, data, start + -start % 8


def _section(section: dict[str, Any], data: mmap.mmap, start: int) -> Array:
    if section["dtype"] not in DTYPES:
        raise ValueError(f"a section of type {section['dtype']}")
    return np.frombuffer(data, section["dtype"], section["count"], start + section["offset"])


def _check(levels: tuple[Level, ...], words: int) -> None:
    """Sizes that must agree, so that no later look-up leaves its array."""
    for level, longer in zip(levels, (*levels[1:], None), strict=True):
        if len(level.log_probs) != len(level.words):
            raise ValueError("its arrays differ in length")
        if longer is not None and not (
            len(level.log_backoffs) == len(level.words)
            and len(level.first_child) == len(level.words) + 1
            and level.first_child[-1] == len(longer.words)
        ):
            raise ValueError("its orders do not fit together")
    if len(levels[0].words) != words:
        raise ValueError("its vocabulary has another size")
