"""What a model takes: size of the file, memory and time, as float and int8, ONNX and ORT format.

    python benchmarks/sizes.py               # the model that comes with rillet
    python benchmarks/sizes.py mine.onnx     # or a checkpoint
    OPENBLAS_NUM_THREADS=1 python benchmarks/sizes.py --linpack     # calibrates operations.py

All four files are made of the same weights (those of an int8 file are the multiples of their scales that they are), and
each is measured like `rillet bench` does it: greedy, one thread, in a process of its own. Needs rillet[train].
"""

from __future__ import annotations

import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import numpy as np
import typer
from rillet.pipeline.bench import measure_apart, processor
from rillet.pipeline.model_file import SHIPPED_MODEL
from rillet.pipeline.recogniser import GREEDY

GREEDILY = {"lm": None, "options": GREEDY}


def write_all(model: Path, folder: Path) -> list[Path]:
    """The four files."""
    # Not at the top, for the processes that measure read this file too, and would have torch in their memory.
    from rillet.export.metadata import Description
    from rillet.export.onnx import export
    from rillet.export.ort import convert
    from rillet.models.checkpoint import load_checkpoint
    from rillet.models.from_onnx import read_onnx

    checkpoint = read_onnx(model) if model.suffix == ".onnx" else load_checkpoint(model)
    paths = []
    for precision in ("float32", "int8"):
        path = folder / f"{precision}.onnx"
        exported = export(checkpoint.load_network(), Description(), int8=precision == "int8")
        path.write_bytes(exported.model)
        convert(path, path.with_suffix(".ort"))
        paths += [path, path.with_suffix(".ort")]
    return paths


def linpack_gflops() -> float:
    """What a product of two large float32 matrices reaches here; Linpack is hardly anything else."""
    a = np.random.default_rng(0).standard_normal((1_536, 1_536)).astype(np.float32)
    best = 0.0
    for _ in range(8):
        before_s = time.process_time()
        a @ a
        best = max(best, 2 * len(a) ** 3 / (time.process_time() - before_s) / 1e9)
    return best


def main(
    model: Annotated[Path, typer.Argument(help="A .onnx file or a checkpoint.")] = SHIPPED_MODEL,
    seconds: Annotated[float, typer.Option(min=1, help="Feed so much sound.")] = 120,
    linpack: Annotated[bool, typer.Option("--linpack", help="Compare with this machine's rate of products.")] = False,
) -> None:
    """Print the table."""
    print(f"one thread of {processor()}; real-time factors are of CPU time")
    print(f"{'file':20}{'MB':>8}{'peak memory MB':>16}{'real-time factor':>18}{'load s':>8}")
    with TemporaryDirectory() as folder:
        paths = write_all(model, Path(folder))
        measured = [measure_apart(path.name, path, GREEDILY, seconds) for path in paths]
        for path, row in zip(paths, measured, strict=True):
            size_mb, peak_mb = path.stat().st_size / 1e6, row.peak_mb or float("nan")
            print(f"{path.name:20}{size_mb:8.2f}{peak_mb:16.0f}{row.real_time_factor:18.4f}{row.load_s:8.2f}")
        if linpack:
            from operations import multiply_adds

            gflops, rate = 2 * multiply_adds(paths[0]).total() / 1e9, linpack_gflops()
            print(f"{gflops:.2f} GFLOP for a second of sound, products of matrices at {rate:.0f} GFLOP/s:")
            for path, row in zip(paths, measured, strict=True):
                print(f"{path.name:20}{row.real_time_factor * rate / gflops:5.1f} times as long as these would take")


if __name__ == "__main__":
    typer.run(main)
