"""`rillet bench`: what a model takes of this machine, measured on a stream; each decoder in a process of its own."""

import multiprocessing
import platform
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .beam import BeamDecoder
from .lexicon_beam import LexiconBeamDecoder
from .model_file import SHIPPED_SAMPLE
from .recogniser import GREEDY, Recognizer

BUSY_SHARE = 0.8  # of a core that live streams may fill: they do not take turns, and now and then all come at once


@dataclass(frozen=True)
class Measured:
    """A stream of `audio_s` seconds, fed one step of the model at a time, as fast as it was taken."""

    decoder: str
    load_s: float  # until the recogniser was ready
    audio_s: float
    cpu_s: float  # of this process, without loading
    chunks_s: tuple[float, ...]  # by the clock: from handing in a chunk until its events are there
    peak_mb: float | None  # of the whole process; None where the system does not tell

    @property
    def real_time_factor(self) -> float:
        """Seconds of one core for a second of sound; by CPU time, which is right on a busy machine too."""
        return self.cpu_s / self.audio_s

    @property
    def live_streams(self) -> int:
        """How many streams one core carries; 0 if not even one."""
        return int(BUSY_SHARE / self.real_time_factor)

    @property
    def busy_ratio(self) -> float:
        """How many times as long the clock ran as the work took: well above 1 when others use the processor."""
        return sum(self.chunks_s) / self.cpu_s

    def chunk_ms(self, percent: float) -> float:
        """What so many per cent of the chunks did not exceed."""
        return 1_000 * float(np.percentile(self.chunks_s, percent))


def bench(model: Path | None, load: dict[str, Any], seconds: float) -> list[Measured]:
    """Measure greedy decoding and, if there is one, the search that users get.

    Args:
        model: a model file; None is the one that comes with rillet.
        load: arguments of `Recognizer.load` about language.
        seconds: of sound.

    Raises:
        ModelError, LanguageModelError: as `Recognizer.load`.
    """
    recognizer = Recognizer.load(model, **load)  # here, so that errors are those of every command
    loads: list[tuple[str, dict[str, Any]]] = [("greedy", {"lm": None, "options": GREEDY})]
    if isinstance(recognizer.decoder, BeamDecoder | LexiconBeamDecoder):
        width, lm = recognizer.decoder.options.width, " + LM" if recognizer.lm else ""
        loads.append((f"beam {width}{lm}", load))
    return [measure_apart(name, model, chosen, seconds) for name, chosen in loads]


def measure_apart(name: str, model: Path | None, load: dict[str, Any], seconds: float) -> Measured:
    """`measure` in a fresh process, whose memory is that of this recogniser alone."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(measure, name, model, load, seconds).result()


def measure(name: str, model: Path | None, load: dict[str, Any], seconds: float) -> Measured:
    """Feed the sample recording, over and over, to one stream; arguments as those of `bench`."""
    import soundfile  # type: ignore[import-untyped]

    started_s = time.perf_counter()
    recognizer = Recognizer.load(model, **load)
    load_s = time.perf_counter() - started_s
    samples, rate_hz = soundfile.read(SHIPPED_SAMPLE, dtype="float32")
    info, stream = recognizer.info, recognizer.stream()
    chunk = round(info.step_frames * info.frame_s * rate_hz)
    count = max(1, round(seconds * rate_hz / chunk))
    stream.accept(samples[:chunk], rate_hz)  # what is only done once is not counted
    chunks_s, cpu_s = [], -time.process_time()
    for n in range(count):
        piece = np.take(samples, range(n * chunk, (n + 1) * chunk), mode="wrap")
        before_s = time.perf_counter()
        stream.accept(piece, rate_hz)
        chunks_s.append(time.perf_counter() - before_s)
    cpu_s += time.process_time()
    return Measured(name, load_s, count * chunk / rate_hz, cpu_s, tuple(chunks_s), peak_memory_mb())


def peak_memory_mb() -> float | None:
    """The most physical memory that this process had at any time, in units of 1,000,000 bytes."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return int(status.split("VmHWM:")[1].split()[0]) * 1_024 / 1e6
    except (OSError, IndexError):  # not Linux
        pass
    try:
        import resource
    except ModuleNotFoundError:  # Windows
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1_024) / 1e6


def processor() -> str:
    """A name for this machine's processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith(("model name", "Model"))]
    return next(filter(None, [*names, platform.processor()]), platform.machine())
