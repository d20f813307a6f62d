"""MP3 files, handed to libsndfile through a pipe.

In a file, libsndfile stops at an estimate of the length if there is no exact one, which loses most of an MP3 of
variable bit rate that was cut, or recorded from the radio. In a pipe it reads to the end, and prints no warnings.
"""

import os
import shutil
import threading
from contextlib import suppress
from pathlib import Path


def looks_like_mp3(head: bytes) -> bool:
    """Whether a file that begins so has an ID3v2 tag or a frame of MPEG audio at its start."""
    return os.name == "posix" and (head[:3] == b"ID3" or (head[0] == 0xFF and head[1:2] >= b"\xe0"))


def pipe_from_mp3(path: Path) -> int:
    """The reading end of a pipe through which a file comes, without the tag before the sound. Close it to stop."""
    read_end, write_end = os.pipe()

    def feed() -> None:
        with suppress(BrokenPipeError), os.fdopen(write_end, "wb") as pipe, path.open("rb") as file:
            tag = file.read(10)
            if tag[:3] == b"ID3":  # its length is four times seven bits
                file.seek(10 + sum(byte << shift for byte, shift in zip(tag[6:], (21, 14, 7, 0), strict=True)))
            else:
                file.seek(0)
            shutil.copyfileobj(file, pipe)

    threading.Thread(target=feed, name=f"rillet reads {path.name}", daemon=True).start()
    return read_end
