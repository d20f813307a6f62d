"""Many recordings: what is to be done, and one worker's part of it.

A recording is done when all its results exist and were made of it with the same settings (see batch_records.py). They
are written in one piece, so that whatever stops a batch, the same command does the rest. What was heard of a recording
that breaks off, or was stopped, is written too, and the recording is not done.
"""

import io
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from .audio_file import read_blocks
from .batch_model import BatchedModel
from .batch_records import UNFINISHED, may_be_whole, read_records, record_for, write_record
from .errors import OutputClashError, RilletError
from .events import Final
from .fingerprint import fingerprint
from .places import Found, as_local_file, find, write_whole
from .recogniser import Recognizer
from .writers import WRITERS

STOP_S = 2.0  # so long after Ctrl-C, what was heard must be written


@dataclass(frozen=True, slots=True)
class Task:
    """A recording that is to be transcribed."""

    place: str  # path or address
    stem: str  # name of the results in the output folder, without the format's ending
    size_bytes: int
    record: bytes  # of its results, when they are whole
    keep: tuple[str, ...] = ()  # formats in which its whole text stands since an earlier time: half of it is worse


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a task."""

    task: Task
    audio_s: float
    error: str = ""  # a sentence; what was heard until then is written


@dataclass(frozen=True)
class Plan:
    """What a batch has to do."""

    tasks: tuple[Task, ...]  # the largest first, so that none is left alone at the end
    done_before: int


@dataclass(frozen=True)
class Setup:
    """What a worker needs to know; a value that can be sent to another machine."""

    output: str  # folder: path or address
    formats: tuple[str, ...]  # of `WRITERS`
    model: str | None = None  # path; None is the model that comes with rillet
    model_bytes: bytes | None = None  # the model file itself, for machines that do not have it
    channel: int | None = None
    language: Mapping[str, Any] = field(default_factory=dict)  # further arguments of `Recognizer.load`


def plan(places: Sequence[str], output: str, formats: Sequence[str], settings: str, *, recursive: bool) -> Plan:
    """Look for recordings, and leave out those that are done.

    Args:
        places: files and folders: paths, or addresses that fsspec opens.
        output: folder for the results; folders in a searched folder are repeated in it.
        settings: of the recogniser, see `settings_of`; what was heard with others is heard again.

    Raises:
        OutputClashError: two recordings have the same name.
        AudioError, OutputUnwritableError, MissingRemoteError
    """
    found = {each.place: each for place in places for each in find(place, recursive=recursive)}
    stems = _stems(list(found.values()))
    records = read_records(output, [f"{stem}.{name}" for stem in stems.values() for name in formats])
    tasks = []
    for each in found.values():
        stem, record = stems[each.place], record_for(each, settings)
        there = {name: records[f"{stem}.{name}"] for name in formats if f"{stem}.{name}" in records}
        if any(there.get(name) != record for name in formats):
            keep = tuple(name for name, written in there.items() if may_be_whole(written, record))
            tasks.append(Task(each.place, stem, each.size_bytes, record, keep))
    tasks.sort(key=lambda task: (-task.size_bytes, task.place))
    return Plan(tuple(tasks), len(found) - len(tasks))


def settings_of(recogniser: Recognizer, channel: int | None) -> str:
    """Tells apart what would hear a recording differently."""
    return fingerprint(recogniser.info.fingerprint, recogniser.decoder.fingerprint(), channel)


def _stems(found: list[Found]) -> dict[str, str]:
    """Names for results: talk for talk.wav; where there is a talk.mp3 beside it, talk.wav and talk.mp3."""
    short = {each.place: str(PurePosixPath(each.relative).with_suffix("")) for each in found}
    common = Counter(short.values())
    stems = {each.place: each.relative if common[short[each.place]] > 1 else short[each.place] for each in found}
    owners: dict[str, str] = {}
    for place, stem in stems.items():
        if stem in owners:
            raise OutputClashError(owners[stem], place, stem)
        owners[stem] = place
    return stems


def groups_of(tasks: Sequence[Task], rows: int, workers: int) -> list[tuple[Task, ...]]:
    """Tasks of similar size that are heard together, at most `rows`, and no more than keeps all workers busy."""
    size = max(1, min(rows, -(-len(tasks) // workers)))
    return [tuple(tasks[start : start + size]) for start in range(0, len(tasks), size)]


class Worker:
    """Loads the model once and transcribes groups of recordings."""

    def __init__(self, setup: Setup, recogniser: Recognizer | None = None) -> None:
        self._setup = setup
        self._recogniser = recogniser or _load(setup)

    def run(self, group: Sequence[Task]) -> list[Outcome]:
        """Transcribe recordings, several in one call of the model; whatever is wrong with one is in its outcome.

        Raises:
            KeyboardInterrupt: after writing what was heard until then.
        """
        model = BatchedModel.share(self._recogniser.model, len(group))
        recogniser = replace(self._recogniser, model=model)
        outcomes: dict[Task, Outcome] = {}
        stop = threading.Event()
        ended = {task: threading.Event() for task in group}  # a join that Ctrl-C interrupts takes its thread for ended

        def hear(task: Task) -> None:
            try:
                outcomes[task] = self._try(task, recogniser, stop)
            finally:
                model.leave()
                ended[task].set()

        # also for a single one: Ctrl-C comes to the main thread, and there it cannot break into the middle of a step
        try:
            for task in group:
                threading.Thread(target=hear, args=(task,), daemon=True).start()
            for task in group:
                while not ended[task].wait(0.2):  # on Windows, Ctrl-C comes when a wait is over
                    pass
        except KeyboardInterrupt:
            stop.set()
            until_s = time.monotonic() + STOP_S
            for task in group:
                ended[task].wait(max(0.0, until_s - time.monotonic()))
            raise
        return [outcomes[task] for task in group]

    def _try(self, task: Task, recogniser: Recognizer, stop: threading.Event) -> Outcome:
        try:
            with as_local_file(task.place) as path:
                heard = _hear(path, recogniser, self._setup.channel, stop)
            self._write(task, heard)
            if heard.error is not None:
                raise heard.error
        except RilletError as error:
            sentence = str(error)
            return Outcome(task, 0.0, sentence if task.place in sentence else f"{task.place}: {sentence}")
        except Exception as error:  # a bug of ours or of a decoder: it must not stop the others
            return Outcome(task, 0.0, f"{task.place}: {type(error).__name__}: {error}")
        return Outcome(task, heard.audio_s)

    def _write(self, task: Task, heard: "_Heard") -> None:
        """Results and their records; of half a recording only where something was heard and nothing is lost by it."""
        output = self._setup.output
        if not heard.whole and not any(final.words for final in heard.finals):
            return
        for name in self._setup.formats:
            if not heard.whole and name in task.keep:
                continue
            result = f"{task.stem}.{name}"
            write_record(output, result, UNFINISHED)  # first: stopped behind it, nothing passes for what it is not
            write_whole(output, result, render(name, heard.finals))
            if heard.whole:
                write_record(output, result, task.record)


def _load(setup: Setup) -> Recognizer:
    if setup.model_bytes is None:
        return Recognizer.load(setup.model, **setup.language)
    import tempfile

    with tempfile.TemporaryDirectory(prefix="rillet-") as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(setup.model_bytes)
        return Recognizer.load(path, **setup.language)


@dataclass(frozen=True, slots=True)
class _Heard:
    """The utterances of a file."""

    finals: list[Final]
    audio_s: float
    whole: bool
    error: Exception | None = None  # that broke it off


def _hear(path: Path, recogniser: Recognizer, channel: int | None, stop: threading.Event) -> _Heard:
    """Hear a file to its end, to the first error or until `stop` is set."""
    stream, finals = recogniser.stream(), list[Final]()
    try:
        for block in read_blocks(path, channel):
            if stop.is_set():
                break
            finals += [e for e in stream.accept(block.samples, block.sample_rate_hz) if isinstance(e, Final)]
        stopped = stop.is_set()
        finals += [event for event in stream.finish() if isinstance(event, Final)]
    except Exception as error:
        with suppress(Exception):  # if it was the stream that failed, its last utterance is lost
            finals += [event for event in stream.finish() if isinstance(event, Final)]
        return _Heard(finals, stream.duration_s, whole=False, error=error)
    return _Heard(finals, stream.duration_s, whole=not stopped)


def render(name: str, finals: Sequence[Final]) -> bytes:
    """What the writer of a format makes of utterances."""
    file = _Kept()
    writer = WRITERS[name](file)
    for final in finals:
        writer.write(final)
    writer.close()
    return file.content.encode()


class _Kept(io.StringIO):
    """Text in memory that is still there when a writer has closed it."""

    content = ""

    def close(self) -> None:
        if not self.closed:
            self.content = self.getvalue()
        super().close()
