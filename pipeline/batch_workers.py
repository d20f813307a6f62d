"""Who does the work of a batch: this process, processes on this machine, or actors on a Ray cluster.

Each worker loads the model once and gets a group of recordings at a time. When one dies, another takes its place: of
what it had, every recording is tried once more and alone, and the one that kills its worker again has failed.
"""

import logging
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from multiprocessing import connection
from pathlib import Path
from typing import Any, Protocol

from .batch import Outcome, Setup, Task, Worker
from .errors import MissingExtraError
from .recogniser import Recognizer

Group = tuple[Task, ...]


class WorkerDiedError(Exception):
    """A worker ended without an answer."""


class Hand(Protocol):
    """A worker somewhere else."""

    def give(self, group: Group) -> None:
        """Start on a group."""
        ...

    def take(self) -> list[Outcome]:
        """What became of the group; waits for it.

        Raises:
            WorkerDiedError
        """
        ...

    def dismiss(self) -> None:
        """End the worker, whatever it is doing; one in a process of this machine writes what it has heard."""
        ...


def dispatch(
    groups: Sequence[Group],
    count: int,
    hire: Callable[[], Hand],
    first_ready: Callable[[Sequence[Any]], Any],
) -> Iterator[Outcome]:
    """Give groups to `count` workers and yield outcomes as they come.

    Args:
        hire: makes a worker.
        first_ready: waits until one of several busy workers has something to take, and returns it.
    """
    waiting = deque(groups)
    suspects: set[Task] = set()  # that were with a worker when it died
    busy: dict[Hand, Group] = {}
    idle: list[Hand] = []
    try:
        while waiting or busy:
            while waiting and len(busy) < count:
                hand = idle.pop() if idle else hire()
                busy[hand] = waiting.popleft()
                hand.give(busy[hand])
            hand = first_ready(list(busy))
            try:
                outcomes = hand.take()
                idle.append(hand)
            except WorkerDiedError as death:
                hand.dismiss()
                outcomes = []
                for task in busy[hand]:
                    if task in suspects:
                        outcomes.append(
                            Outcome(task, 0.0, f"{task.place}: the worker that heard it died twice: {death}")
                        )
                    else:
                        suspects.add(task)
                        waiting.append((task,))
            del busy[hand]
            yield from outcomes
    finally:
        hands = [*busy, *idle]
        with ThreadPoolExecutor(max(1, len(hands))) as pool:  # all at once, for each may still have to write
            list(pool.map(lambda hand: hand.dismiss(), hands))


def run_here(setup: Setup, groups: Sequence[Group], recogniser: Recognizer) -> Iterator[Outcome]:
    """One group after the other, in this process."""
    worker = Worker(setup, recogniser)
    for group in groups:
        yield from worker.run(group)


def run_in_processes(setup: Setup, groups: Sequence[Group], count: int) -> Iterator[Outcome]:
    """`count` processes on this machine."""

    def first_ready(busy: Sequence[_Process]) -> _Process:
        ready = connection.wait([hand.pipe for hand in busy])
        return next(hand for hand in busy if hand.pipe in ready)

    yield from dispatch(groups, count, lambda: _Process(setup), first_ready)


class _Process:
    def __init__(self, setup: Setup) -> None:
        context = multiprocessing.get_context("spawn")  # a fork would copy onnxruntime's locks
        self.pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(setup, theirs), daemon=True)
        with _deaf_to_ctrl_c():
            self._process.start()
        theirs.close()  # so that the pipe breaks when the process ends

    def give(self, group: Group) -> None:
        with suppress(OSError):  # it is dead, as `take` will find out
            self.pipe.send(group)

    def take(self) -> list[Outcome]:
        try:
            outcomes: list[Outcome] = self.pipe.recv()
        except (EOFError, OSError):
            self._process.join(10)
            raise WorkerDiedError(f"exit code {self._process.exitcode}") from None
        return outcomes

    def dismiss(self) -> None:
        self.pipe.close()
        self._process.terminate()
        self._process.join(10)
        self._process.kill()  # nothing is left behind, whatever the machine is busy with
        self._process.join(10)


@contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """Ctrl-C is for the parent, which ends its workers: they are started without hearing it, even before they run.

    Here it is only put off, and comes when this block is left.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # it would be started in this block, and open the ears again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(setup: Setup, pipe: "connection.Connection[Any, Any]") -> None:
    """The life of a process: groups in, outcomes out, until the pipe breaks."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    worker = Worker(setup)
    while True:
        try:
            group = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            signal.signal(signal.SIGTERM, _interrupt)  # `dismiss` in the middle of a recording: write what was heard
            outcomes = worker.run(group)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
        except KeyboardInterrupt:
            return
        pipe.send(outcomes)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _end_with_parent() -> None:
    """A parent that was killed told nobody; without it, the recording under way would be heard for nothing."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


def run_on_ray(setup: Setup, groups: Sequence[Group], count: int | None) -> Iterator[Outcome]:
    """Actors on the Ray cluster that RAY_ADDRESS names, or on this machine; `count` None takes all its CPUs.

    Recordings and results must be in places that all machines of the cluster reach. A model that was named goes along.

    Raises:
        MissingExtraError: Ray is not installed.
    """
    ray = start_ray()
    if setup.model is not None:
        setup = replace(setup, model=None, model_bytes=Path(setup.model).read_bytes())
    kept = ray.put(setup)  # once, not once for each worker
    actor = ray.remote(num_cpus=1, max_restarts=0)(Worker)

    class RayHand:
        def __init__(self) -> None:
            self._actor = actor.remote(kept)
            self.answer: Any = None

        def give(self, group: Group) -> None:
            self.answer = self._actor.run.remote(group)

        def take(self) -> list[Outcome]:
            try:
                outcomes: list[Outcome] = ray.get(self.answer)
            except ray.exceptions.RayActorError as error:
                raise WorkerDiedError(str(error).strip().splitlines()[0]) from None
            return outcomes

        def dismiss(self) -> None:
            ray.kill(self._actor)

    def first_ready(busy: Sequence[RayHand]) -> RayHand:
        ready, _ = ray.wait([hand.answer for hand in busy], num_returns=1)
        return next(hand for hand in busy if hand.answer == ready[0])

    count = count or max(1, int(ray.cluster_resources().get("CPU", 1)))
    yield from dispatch(groups, count, RayHand, first_ready)


def start_ray() -> Any:
    """Ray, connected.

    Raises:
        MissingExtraError: it is not installed.
    """
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # it warns of GPUs that nobody asked for
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nobody was asked whether statistics may be sent
    try:
        import ray
    except ModuleNotFoundError:
        raise MissingExtraError("ray", "Ray") from None
    if not ray.is_initialized():
        ray.init(log_to_driver=False, logging_level=logging.ERROR, include_dashboard=False)
    return ray
