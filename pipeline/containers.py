"""Whether a sound file is shorter than it says, which libsndfile keeps to itself: it plays what is there."""

import os
import struct
from pathlib import Path
from typing import BinaryIO

OGG_PAGE_BYTES = 65_307  # at most
UNKNOWN_LENGTH = 0x7FFF_0000  # programs that write WAV to a pipe put a number from here on, or none


def breaks_off(path: Path) -> bool:
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
        length: int = struct.unpack(f"{order}I", header[4:])[0]
        if header[:4] in (b"data", b"SSND"):
            return length < UNKNOWN_LENGTH and file.tell() + length > size
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
