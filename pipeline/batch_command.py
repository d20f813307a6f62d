"""`rillet transcribe --output`: a batch with a progress bar, a sentence for each failure and a summary."""

import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from .batch import Outcome, Setup, groups_of, plan, settings_of
from .batch_model import rows_for
from .batch_workers import run_here, run_in_processes, run_on_ray
from .places import check_writable
from .recogniser import Recognizer

Engine = Literal["local", "ray"]


@dataclass
class Summary:
    """How a batch went."""

    started_s: float
    done: int = 0
    failed: int = 0
    done_before: int = 0
    audio_s: float = 0.0

    @property
    def speed(self) -> float:
        """Seconds of sound per second."""
        return self.audio_s / max(time.monotonic() - self.started_s, 1e-9)

    def __str__(self) -> str:
        took_s = time.monotonic() - self.started_s
        text = f"{self.done} transcribed"
        if self.audio_s:
            text += f": {duration(self.audio_s)} of sound in {duration(took_s)}, {self.speed:.1f} times real time"
        text += f"; {self.done_before} done before" if self.done_before else ""
        return text + (f"; {self.failed} failed" if self.failed else "") + "."


def transcribe_all(
    places: Sequence[str],
    setup: Setup,
    *,
    recursive: bool,
    jobs: int | None,
    engine: Engine,
    complain: Callable[[str], None],
) -> Summary:
    """Transcribe files and folders into a folder.

    Args:
        jobs: how many workers; None takes as many as there are CPUs.
        complain: is told each failure in a sentence.

    Raises:
        RilletError: nothing can be done at all. What is wrong with one recording is told to `complain`.
        KeyboardInterrupt: after a summary.
    """
    check_writable(setup.output)
    # here too: it tells what was done with the same settings, and whatever is wrong with the model is told once
    recogniser = Recognizer.load(setup.model, **setup.language)
    settings = settings_of(recogniser, setup.channel)
    todo = plan(places, setup.output, setup.formats, settings, recursive=recursive)
    summary = Summary(time.monotonic(), done_before=todo.done_before)
    if not todo.tasks:
        if not todo.done_before:
            complain(f"{', '.join(map(str, places))}: there are no sound files here; is --recursive missing?")
            summary.failed = 1
        return summary
    workers = min(jobs or (64 if engine == "ray" else _cpus()), len(todo.tasks))
    groups = groups_of(todo.tasks, rows_for(recogniser.info), workers)
    outcomes: Iterator[Outcome]
    if engine == "ray":
        outcomes = run_on_ray(setup, groups, jobs)
    elif workers == 1:
        outcomes = run_here(setup, groups, recogniser)
    else:
        outcomes = run_in_processes(setup, groups, min(workers, len(groups)))
    try:
        with _progress(sum(task.size_bytes for task in todo.tasks), len(todo.tasks)) as advance:
            for outcome in outcomes:
                summary.audio_s += outcome.audio_s
                summary.done += not outcome.error
                summary.failed += bool(outcome.error)
                if outcome.error:
                    complain(outcome.error)
                advance(outcome.task.size_bytes, summary)
    except KeyboardInterrupt:
        complain(f"stopped. {summary} The same command does the rest, and begins anew what was only half heard.")
        raise
    finally:
        outcomes.close()  # type: ignore[attr-defined]  # a generator: this ends its workers
    return summary


@contextmanager
def _progress(size_bytes: int, count: int) -> Iterator[Callable[[int, Summary], None]]:
    """A bar on standard error, if that is a terminal. It measures bytes: lengths are known only when all is decoded."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.fields[done]} of {task.fields[count]}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[speed]}"),
        TimeRemainingColumn(),
        TextColumn("left"),
    )
    console = Console(stderr=True)
    # what is complained about is printed above the bar
    with Progress(*columns, console=console, disable=not console.is_terminal, redirect_stdout=False) as bar:
        task = bar.add_task("", total=max(size_bytes, 1), done=0, count=count, speed="")

        def advance(size_bytes: int, summary: Summary) -> None:
            speed = f"{summary.speed:.1f} x real time"
            bar.update(task, advance=size_bytes, done=summary.done + summary.failed, speed=speed)

        yield advance


def duration(seconds: float) -> str:
    """For people: 8.3 s, 12 min 5 s, 3 h 20 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = math.floor(seconds / 60)
    if minutes < 60:
        return f"{minutes} min {seconds - 60 * minutes:.0f} s"
    return f"{minutes // 60} h {minutes % 60} min"


def _cpus() -> int:
    try:
        return len(os.sched_getaffinity(0))  # those that this process may use; Linux says so
    except AttributeError:
        return os.cpu_count() or 1
