"""Where finals go: one class per format, each writing an utterance as soon as it is over.

What was written survives the process, however it ends; json alone is one value and written when everything is there.

A writer gets an open text file, so that whoever opens it decides what it is: a file that grows while people speak, a
temporary one that is renamed when it is complete, or standard output.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TextIO

from .errors import OutputFormatError, OutputUnwritableError
from .events import Event, Final, Word, spell
from .subtitles import GAP_S, subtitles

LINGER_S = 0.6  # a subtitle may stand on for so long when its utterance ended in silence


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


class JsonWriter:
    """{"text": all of it, "utterances": [as in JSON lines]}, written by `close`."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._finals: list[Final] = []

    def write(self, final: Final) -> None:
        if final.words:
            self._finals.append(final)

    def close(self) -> None:
        with self._file as file:
            text = spell(word for final in self._finals for word in final.words)
            whole = {"text": text, "utterances": [event_fields(final) for final in self._finals]}
            print(json.dumps(whole, ensure_ascii=False, indent=1), file=file)


class SrtWriter:
    """SubRip subtitles, which every player reads."""

    point = ","  # between seconds and thousandths

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._count = 0
        self._end_s = 0.0  # of the last subtitle

    def write(self, final: Final) -> None:
        for subtitle in subtitles(final.words, LINGER_S if final.reason == "silence" else 0.0):
            start_s = subtitle.start_s
            if self._count:  # the last subtitle of the utterance before may still stand
                start_s = max(self._end_s, min(max(start_s, self._end_s + GAP_S), subtitle.end_s - GAP_S))
            self._end_s = max(subtitle.end_s, start_s + GAP_S)
            self._count += 1
            times = f"{_clock(start_s, self.point)} --> {_clock(self._end_s, self.point)}"
            print(self._block(times, subtitle.lines), end="\n\n", file=self._file)
        self._file.flush()

    def _block(self, times: str, lines: tuple[str, ...]) -> str:
        return "\n".join([str(self._count), times, *lines])

    def close(self) -> None:
        self._file.close()


class VttWriter(SrtWriter):
    """WebVTT subtitles, which browsers read (W3C, "WebVTT: The Web Video Text Tracks Format")."""

    point = "."

    def __init__(self, file: TextIO) -> None:
        super().__init__(file)
        print("WEBVTT", end="\n\n", file=file, flush=True)

    def _block(self, times: str, lines: tuple[str, ...]) -> str:
        plain = [line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;") for line in lines]
        return "\n".join([times, *plain])


def _clock(time_s: float, point: str) -> str:
    """Hours, minutes, seconds and thousandths; hours grow beyond 99 if they must."""
    minutes, milliseconds = divmod(round(time_s * 1000), 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{milliseconds // 1000:02}{point}{milliseconds % 1000:03}"


def event_to_json(event: Event) -> str:
    """An event as one line: `type` is partial or final, the other names are those of the event."""
    return json.dumps(event_fields(event), ensure_ascii=False)


def event_fields(event: Event) -> dict[str, Any]:
    """An event for JSON; see `event_to_json`."""
    fields: dict[str, Any]
    if isinstance(event, Final):
        fields = {"type": "final", "utterance": event.utterance, "text": event.text, "reason": event.reason}
    else:
        fields = {"type": "partial", "utterance": event.utterance}
        fields |= {"committed": event.committed, "volatile": event.volatile}
    fields["words"] = [word_fields(word) for word in event.words]
    if isinstance(event, Final) and event.alternatives:
        fields["alternatives"] = [
            {"text": each.text, "score": round(each.score, 3), "words": [word_fields(word) for word in each.words]}
            for each in event.alternatives
        ]
    return fields


def word_fields(word: Word) -> dict[str, Any]:
    """A word for JSON: seconds to the millisecond, confidence to three digits."""
    return {
        "text": word.text,
        "start_s": round(word.start_s, 3),
        "end_s": round(word.end_s, 3),
        "confidence": round(word.confidence, 3),
    }


WRITERS: dict[str, Callable[[TextIO], Writer]] = {
    "txt": TextWriter,
    "json": JsonWriter,
    "jsonl": JsonLinesWriter,
    "srt": SrtWriter,
    "vtt": VttWriter,
}


def open_writer(path: str | Path) -> Writer:
    """A new file in the format that its ending names; what was there is replaced.

    Raises:
        OutputFormatError: no writer has this ending.
        OutputUnwritableError: the file cannot be made.
    """
    path = Path(path)
    make = WRITERS.get(path.suffix.removeprefix(".").lower())
    if make is None:
        raise OutputFormatError(path, sorted(WRITERS))
    try:
        file = path.open("w", encoding="utf-8", newline="\n")
    except OSError as error:
        raise OutputUnwritableError(path, error.strerror or type(error).__name__) from error
    return make(file)
