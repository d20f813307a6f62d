"""Many recordings: what is to be done, and one worker's part of it.

A recording is done when all its results exist and were made of it with the same settings (see batch_records.py). They
are written in one piece, so that whatever stops a batch, the same command does the rest.
"""

import io
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from .audio_file import read_blocks
from .batch_model import BatchedModel
from .batch_records import UNFINISHED, read_records, record_for, write_record
from .errors import OutputClashError, RilletError
from .events import Final
from .fingerprint import fingerprint
from .places import Found, as_local_file, find, write_whole
from .recogniser import Recognizer
from .writers import WRITERS


@dataclass(frozen=True, slots=True)
class Task:
    """A recording that is to be transcribed."""

    place: str  # path or address
    stem: str  # name of the results in the output folder, without the format's ending
    size_bytes: int
    record: bytes  # of its results, when they are whole


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a task."""

    task: Task
    audio_s: float
    error: str = ""  # a sentence; nothing was written then


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
        if any(records.get(f"{stem}.{name}") != record for name in formats):
            tasks.append(Task(each.place, stem, each.size_bytes, record))
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
        """Transcribe recordings, several in one call of the model; whatever is wrong with one is in its outcome."""
        if len(group) == 1:
            return [self._try(group[0], self._recogniser)]
        model = BatchedModel.share(self._recogniser.model, len(group))
        recogniser = replace(self._recogniser, model=model)
        outcomes: dict[Task, Outcome] = {}

        def hear(task: Task) -> None:
            try:
                outcomes[task] = self._try(task, recogniser)
            finally:
                model.leave()

        threads = [threading.Thread(target=hear, args=(task,), daemon=True) for task in group]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return [outcomes[task] for task in group]

    def _try(self, task: Task, recogniser: Recognizer) -> Outcome:
        try:
            with as_local_file(task.place) as path:
                finals, audio_s = _hear(path, recogniser, self._setup.channel)
            self._write(task, finals)
        except RilletError as error:
            sentence = str(error)
            return Outcome(task, 0.0, sentence if task.place in sentence else f"{task.place}: {sentence}")
        except Exception as error:  # a bug of ours or of a decoder: it must not stop the others
            return Outcome(task, 0.0, f"{task.place}: {type(error).__name__}: {error}")
        return Outcome(task, audio_s)

    def _write(self, task: Task, finals: Sequence[Final]) -> None:
        output = self._setup.output
        for name in self._setup.formats:
            result = f"{task.stem}.{name}"
            write_record(output, result, UNFINISHED)  # first: stopped behind it, nothing passes for what it is not
            write_whole(output, result, render(name, finals))
            write_record(output, result, task.record)


def _load(setup: Setup) -> Recognizer:
    if setup.model_bytes is None:
        return Recognizer.load(setup.model, **setup.language)
    import tempfile

    with tempfile.TemporaryDirectory(prefix="rillet-") as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(setup.model_bytes)
        return Recognizer.load(path, **setup.language)


def _hear(path: Path, recogniser: Recognizer, channel: int | None) -> tuple[list[Final], float]:
    """The utterances of a file, and its length in seconds."""
    stream, finals = recogniser.stream(), list[Final]()
    for block in read_blocks(path, channel):
        finals += [e for e in stream.accept(block.samples, block.sample_rate_hz) if isinstance(e, Final)]
    finals += [event for event in stream.finish() if isinstance(event, Final)]
    return finals, stream.duration_s


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
