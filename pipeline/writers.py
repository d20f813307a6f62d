"""Where finals go: one class per format, each writing an utterance as soon as it is over.

A writer gets an open text file, so that whoever opens it decides what it is: a file that grows while people speak, a
temporary one that is renamed when it is complete, or standard output.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TextIO

from .errors import OutputFormatError
from .events import Event, Final, Word


class Writer(Protocol):
    """Something that finals are written to, in order."""

    def write(self, final: Final) -> None:
        """Write an utterance and flush: what was written survives the process. One without words leaves no trace."""
        ...

    def close(self) -> None:
        """Write what the format needs at its end, and close the file."""
        ...


class TextWriter:
    """One line per utterance."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, final: Final) -> None:
        if final.words:
            print(final.text, file=self._file, flush=True)

    def close(self) -> None:
        self._file.close()


class JsonLinesWriter:
    """One JSON object per utterance, on a line of its own; see `event_to_json`."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, final: Final) -> None:
        if final.words:
            print(event_to_json(final), file=self._file, flush=True)

    def close(self) -> None:
        self._file.close()


def event_to_json(event: Event) -> str:
    """An event as one line: `type` is partial or final, the other names are those of the event."""
    fields: dict[str, Any]
    if isinstance(event, Final):
        fields = {"type": "final", "utterance": event.utterance, "text": event.text, "reason": event.reason}
    else:
        fields = {"type": "partial", "utterance": event.utterance}
        fields |= {"committed": event.committed, "volatile": event.volatile}
    return json.dumps({**fields, "words": [word_fields(word) for word in event.words]}, ensure_ascii=False)


def word_fields(word: Word) -> dict[str, Any]:
    """A word for JSON: seconds to the millisecond, confidence to three digits."""
    return {
        "text": word.text,
        "start_s": round(word.start_s, 3),
        "end_s": round(word.end_s, 3),
        "confidence": round(word.confidence, 3),
    }


WRITERS: dict[str, Callable[[TextIO], Writer]] = {"txt": TextWriter, "jsonl": JsonLinesWriter}


def open_writer(path: str | Path) -> Writer:
    """A new file in the format that its ending names; what was there is replaced.

    Raises:
        OutputFormatError: no writer has this ending.
    """
    path = Path(path)
    make = WRITERS.get(path.suffix.removeprefix(".").lower())
    if make is None:
        raise OutputFormatError(path, sorted(WRITERS))
    return make(path.open("w", encoding="utf-8"))
