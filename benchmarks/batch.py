"""Files heard together in one call of the model, beside the same files one after the other, in the same run.

    python benchmarks/batch.py                       # an untrained network, float32 and int8; needs rillet[train]
    python benchmarks/batch.py --model mine.onnx     # a model file as it is

The ratio is of CPU time, which is right on a busy machine too. `same` says whether every word, time and confidence is
what it was alone; only then may a batch do it (pipeline/batch_model.py).
"""

import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import soundfile
import typer
from rillet.pipeline import SHIPPED_SAMPLE, Event, Final, Recognizer
from rillet.pipeline.batch_model import BatchedModel
from rillet.pipeline.samples import FloatArray

RATE_HZ = 16_000
CLIPS = 16


def clips() -> list[FloatArray]:
    """The sample, each time at another loudness, as recordings differ."""
    samples, rate_hz = soundfile.read(SHIPPED_SAMPLE, dtype="float32")
    assert rate_hz == RATE_HZ
    return [samples * np.float32(gain) for gain in np.geomspace(0.1, 1.0, CLIPS)]


def hear(recogniser: Recognizer, samples: FloatArray) -> list[Final]:
    stream = recogniser.stream()
    events: list[Event] = []
    for start in range(0, len(samples), 1_600):
        events += stream.accept(samples[start : start + 1_600], RATE_HZ)
    return [event for event in [*events, *stream.finish()] if isinstance(event, Final)]


def hear_together(recogniser: Recognizer, group: list[FloatArray]) -> list[list[Final]]:
    model = BatchedModel.share(recogniser.model, len(group))
    shared = replace(recogniser, model=model)
    heard: list[list[Final]] = [[] for _ in group]

    def run(n: int) -> None:
        try:
            heard[n] = hear(shared, group[n])
        finally:
            model.leave()

    threads = [threading.Thread(target=run, args=(n,)) for n in range(len(group))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return heard


def compare(name: str, recogniser: Recognizer) -> None:
    audio = clips()
    audio_s = sum(map(len, audio)) / RATE_HZ
    hear(recogniser, audio[0])  # what is only done once is not counted
    rows = []
    alone: list[list[Final]] = []
    for size in (1, 2, 4, 8, 16):
        cpu_s, heard = time.process_time(), []
        for start in range(0, CLIPS, size):
            group = audio[start : start + size]
            heard += hear_together(recogniser, group) if size > 1 else [hear(recogniser, group[0])]
        rows.append((time.process_time() - cpu_s) / audio_s)
        alone = alone or heard
        print(
            f"{name:10}{size:8}{rows[-1]:15.4f}{rows[0] / rows[-1]:8.2f}  {'yes' if heard == alone else 'NO'}",
            flush=True,
        )


def untrained(folder: Path) -> dict[str, Path]:
    """The default network with random weights: its speed does not depend on what it has learnt."""
    import torch
    from rillet.export.onnx import Description, export
    from rillet.models.network import AcousticNetwork, NetworkConfig

    torch.manual_seed(0)
    network, files = AcousticNetwork(NetworkConfig()), {}
    for name, int8 in (("float32", False), ("int8", True)):
        files[name] = folder / f"{name}.onnx"
        files[name].write_bytes(export(network, Description(), int8=int8).model)
    return files


def main(
    model: Annotated[Path | None, typer.Option(help="A model file; by default an untrained network.")] = None,
) -> None:
    """Print real-time factors, ratios, and whether the words stay the same."""
    print(f"{'model':10}{'streams':>8}{'RTF, CPU time':>15}{'ratio':>8}  same")
    with tempfile.TemporaryDirectory() as folder:
        files = {model.stem: model} if model else untrained(Path(folder))
        for name, path in files.items():
            compare(name, Recognizer.load(path))


if __name__ == "__main__":
    typer.run(main)
