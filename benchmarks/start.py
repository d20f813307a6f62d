"""How long until the first word: fresh processes, medians, beside PocketSphinx.

    pip install pocketsphinx==5.1.1
    python benchmarks/start.py

Each line is a new Python process, from its start. The first word is the first text that a recogniser gives while it is
fed 160 ms at a time as fast as it takes them. CPU time is right on a busy machine too; the ratio is of CPU times.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Annotated

import typer
from rillet.pipeline import SHIPPED_SAMPLE

# Each prints one line at the moment that counts: the CPU time of its process in seconds.
NOW = "import time; print(time.process_time(), flush=True)"
PYTHON = NOW
IMPORT = f"import rillet.pipeline; {NOW}"
LOAD = f"import sys; from rillet.pipeline import Recognizer; Recognizer.load(sys.argv[1] or None); {NOW}"
FIRST_WORD = f"""
import sys
from rillet.pipeline import Recognizer
for event in Recognizer.load(sys.argv[1] or None).events(sys.argv[2]):
    if event.text:
        break
{NOW}
"""
POCKETSPHINX = f"""
import sys, soundfile
from pocketsphinx import Decoder
decoder = Decoder(loglevel="FATAL")
decoder.start_utt()
for piece in soundfile.blocks(sys.argv[2], 2_560, dtype="int16"):
    decoder.process_raw(piece.tobytes())
    if decoder.hyp() and decoder.hyp().hypstr:
        break
{NOW}
"""
COMMAND = "from rillet.pipeline.cli import main; main()"


def run(code: str, *arguments: str) -> tuple[float, float]:
    """Wall time from process start to the first output, and the CPU time that the process printed or used."""
    started_s = time.perf_counter()
    with subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        first = process.stdout.read(1)
        wall_s = time.perf_counter() - started_s
        rest = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode or not first.strip():
        raise SystemExit("a process failed, or recognised nothing")
    return wall_s, usage.ru_utime + usage.ru_stime if code is COMMAND else float(first + rest)


def main(
    model: Annotated[Path | None, typer.Option(help="A model file; by default the one that comes with rillet.")] = None,
    audio: Annotated[Path, typer.Option(help="Speech, mono, 16 kHz.")] = SHIPPED_SAMPLE,
    repeats: Annotated[int, typer.Option(min=1)] = 7,
) -> None:
    """Print medians of wall time and CPU time."""
    arguments = [str(model or ""), str(audio)]
    transcribe = ["transcribe", str(audio), *(["--model", str(model)] if model else [])]
    cases = {
        "Python alone": (PYTHON, arguments),
        "import rillet.pipeline": (IMPORT, arguments),
        "model loaded": (LOAD, arguments),
        "first word": (FIRST_WORD, arguments),
        "first word of `rillet transcribe` (CPU: whole run)": (COMMAND, transcribe),
        "PocketSphinx: first word": (POCKETSPHINX, arguments),
    }
    measured: dict[str, list[tuple[float, float]]] = {name: [] for name in cases}
    for _ in range(repeats):  # in turns, so that whatever else the machine does meets all of them
        for name, (code, given) in cases.items():
            measured[name].append(run(code, *given))
    print(f"{'median of ' + str(repeats) + ' processes':52}{'wall s':>8}{'CPU s':>8}")
    cpu_s = {name: median(cpu for _, cpu in runs) for name, runs in measured.items()}
    for name, runs in measured.items():
        print(f"{name:52}{median(wall for wall, _ in runs):8.2f}{cpu_s[name]:8.2f}")
    print(f"PocketSphinx takes {cpu_s['PocketSphinx: first word'] / cpu_s['first word']:.1f} times as long as rillet")


if __name__ == "__main__":
    typer.run(main)
