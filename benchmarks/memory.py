"""Peak memory of transcribing an hour against a minute: it must not depend on the length.

    python benchmarks/memory.py

Each file is transcribed by `rillet transcribe` in a process of its own; the peak is what the system counted for it.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import soundfile
import typer
from rillet.pipeline import SHIPPED_SAMPLE

CHILD = """
import resource, sys
from rillet.pipeline.cli import main
try:
    main()
finally:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # KiB, on macOS bytes
    print(peak / (2**20 if sys.platform == "darwin" else 2**10), file=sys.stderr)
"""


def repeat(sample: Path, minutes: float, target: Path) -> None:
    samples, rate_hz = soundfile.read(sample, dtype="int16")
    with soundfile.SoundFile(target, "w", rate_hz, 1) as file:
        while file.frames < minutes * 60 * rate_hz:
            file.write(samples)


def transcribe(path: Path, model: Path | None) -> tuple[int, float, float]:
    """Words, peak memory in MiB, wall time in seconds."""
    arguments = ["transcribe", str(path), *(["--model", str(model)] if model else [])]
    started_s = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", CHILD, *arguments], capture_output=True, text=True, check=True)
    return len(done.stdout.split()), float(done.stderr), time.perf_counter() - started_s


def main(
    model: Annotated[Path | None, typer.Option(help="A model file; by default the one that comes with rillet.")] = None,
    audio: Annotated[Path, typer.Option(help="Mono speech to repeat.")] = SHIPPED_SAMPLE,
    minutes: Annotated[float, typer.Option(help="Length of the long file.")] = 60,
) -> None:
    """Print both peaks and their ratio."""
    peaks_mib = []
    for length in (1, minutes):
        with TemporaryDirectory() as folder:
            path = Path(folder) / "speech.flac"
            repeat(audio, length, path)
            words, peak_mib, wall_s = transcribe(path, model)
        peaks_mib.append(peak_mib)
        print(f"{length:4g} minutes: peak {peak_mib:6.1f} MiB, {words} words, {wall_s:.1f} s")
    print(f"the long file takes {peaks_mib[1] / peaks_mib[0]:.2f} times the memory of the short one")


if __name__ == "__main__":
    typer.run(main)
