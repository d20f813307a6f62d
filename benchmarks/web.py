"""How fast the page of `rillet export --web` recognises, beside the same model in Python: the same recording, in turns.

    apt-get install chromium chromium-driver npm && pip install selenium
    python benchmarks/web.py                      # the sample that comes with rillet, and the shipped model
    python benchmarks/web.py --audio talk.wav --model my.onnx

The real-time factor is seconds of computing to a second of audio. The one of CPU time counts all that Chromium does,
its window too, and is right on a busy machine.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import soundfile
import typer
from browser import Page, chromium, served
from rillet.export.web import main as write_page
from rillet.pipeline import SHIPPED_SAMPLE, Recognizer


def cpu_s(root: int) -> float:
    """Processor time of a process and all its descendants that still live (Linux)."""
    children: dict[int, list[int]] = {}
    times: dict[int, float] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended
        pid = int(path.parent.name)
        children.setdefault(int(fields[1]), []).append(pid)
        times[pid] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    family = [root]
    for pid in family:
        family += children.get(pid, [])
    return sum(times.get(pid, 0.0) for pid in family)


def measure(work: Callable[[], str], cpu: Callable[[], float]) -> tuple[float, float, str]:
    """Seconds on the clock and of the processor, and what was understood."""
    clock_s, processor_s = time.perf_counter(), cpu()
    text = work()
    return time.perf_counter() - clock_s, cpu() - processor_s, text


def main(
    audio: Annotated[Path, typer.Option(help="What to hear.")] = SHIPPED_SAMPLE,
    model: Annotated[Path | None, typer.Option(help="A model file; by default the one that comes with rillet.")] = None,
    repeat: Annotated[int, typer.Option(min=1, help="The best of so many turns counts.")] = 5,
    runtime: Annotated[Path | None, typer.Option(help="An onnxruntime-web package, or npm fetches it.")] = None,
) -> None:
    length_s = soundfile.info(audio).duration
    recogniser = Recognizer.load(model)
    with tempfile.TemporaryDirectory() as folder:
        write_page(Path(folder) / "page", model, runtime=runtime)
        with served(Path(folder) / "page") as address, chromium() as page:
            opened, _, _ = measure(lambda: _open(page, address), lambda: 0.0)
            browser = page.driver.service.process.pid
            rows: dict[str, list[tuple[float, float, str]]] = {"Python": [], "Chromium": []}
            for _ in range(repeat):
                rows["Python"].append(measure(lambda: recogniser.transcribe(audio).text, time.process_time))
                rows["Chromium"].append(measure(lambda: page.open(audio), lambda: cpu_s(browser)))
            version = page.driver.capabilities["browserVersion"]
    print(f"\n{audio.name}, {length_s:.1f} s, best of {repeat}; the page was ready {opened:.1f} s after it was opened")
    best = {name: (min(row[0] for row in turns), min(row[1] for row in turns)) for name, turns in rows.items()}
    print("             real-time factor   of CPU time")
    for name, (clock, processor) in best.items():
        print(f"{name:12} {clock / length_s:16.3f} {processor / length_s:13.3f}")
    print(
        f"ratio        {best['Chromium'][0] / best['Python'][0]:16.1f} {best['Chromium'][1] / best['Python'][1]:13.1f}"
    )
    same = len({turn[2] for turns in rows.values() for turn in turns}) == 1
    print(f"Chromium {version}; {'all say the same' if same else 'they do not all say the same'}")


def _open(page: Page, address: str) -> str:
    page.driver.get(address)
    page.wait("ready")
    return page.state


if __name__ == "__main__":
    typer.run(main)
