"""How many more errors noise, a telephone and a far microphone cost, beside the clean recording, in the same run.

    python benchmarks/noise.py --manifest dev/manifest.jsonl --noise noise.jsonl --rooms rooms.jsonl

The same noises at the same places for every model and for the other recognisers of references.py (--beside), which
hear whole utterances: utterance i meets noise i, and room i. Needs rillet[train].
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import numpy as np
import soxr
import typer
from references import RATE_HZ, REFERENCES, FloatArray, Hear, plain_words, rillet
from rich.console import Console
from rich.table import Table
from rillet.features.augment import add_noise, change_spectrum
from rillet.models.audio_pack import load_samples
from rillet.models.error_rate import character_errors, word_errors
from rillet.models.manifest import read_manifest

Change = Callable[[FloatArray, int], FloatArray]


def main(
    manifest: Annotated[Path, typer.Option(help="Recordings and what is said in them.")],
    noise: Annotated[Path, typer.Option(help="Manifest of background recordings.")],
    rooms: Annotated[Path, typer.Option(help="Manifest of room impulse responses.")],
    model: Annotated[Path | None, typer.Option(help="A model file; ours by default.")] = None,
    beside: Annotated[list[str] | None, typer.Option(help=f"Of {', '.join(REFERENCES)}.")] = None,
) -> None:
    """Print word and character error rates in each condition, and the ratio to clean."""
    utterances = read_manifest(manifest)
    said = [utterance.text for utterance in utterances]
    clean = [load_samples(utterance, RATE_HZ) for utterance in utterances]
    noises, responses = ([load_samples(u, RATE_HZ) for u in read_manifest(path)] for path in (noise, rooms))
    responses = [response for response in responses if len(response) < RATE_HZ]  # rooms, not warehouses
    recognisers: dict[str, Hear] = {"rillet": rillet(model)}
    recognisers |= {name: REFERENCES[name].load() for name in beside or []}

    def noisy(snr_db: float) -> Change:
        def change(samples: FloatArray, number: int) -> FloatArray:
            rng = np.random.default_rng(zlib.crc32(f"noise {number}".encode()))
            background = noises[int(rng.integers(len(noises)))]
            return add_noise(samples, np.resize(background, len(samples)), snr_db)

        return change

    def telephone(samples: FloatArray, number: int) -> FloatArray:
        return soxr.resample(soxr.resample(samples, RATE_HZ, 8_000), 8_000, RATE_HZ)

    def far(samples: FloatArray, number: int) -> FloatArray:
        return change_spectrum(samples, 1.0, responses[number % len(responses)], [(0.0, 0.0), (RATE_HZ / 2, 0.0)])

    conditions: dict[str, Change] = {
        "clean": lambda samples, number: samples,
        **{f"noise at {snr_db} dB": noisy(snr_db) for snr_db in (20, 10, 5)},
        "telephone, 8 kHz": telephone,
        "far, in a room": far,
    }
    table = Table(title=f"{manifest.name}: {len(said)} utterances; rillet streams in pieces of 160 ms")
    for column in ("recogniser", "condition", "WER %", "CER %", "WER to clean"):
        table.add_column(column, justify="left" if column in ("recogniser", "condition") else "right")
    firsts: dict[str, float] = {}
    for condition, change in conditions.items():
        changed = [change(samples, number) for number, samples in enumerate(clean)]
        for name, hear in recognisers.items():
            heard = [plain_words(hear(samples / max(1.0, float(np.abs(samples).max())))) for samples in changed]
            words, characters = word_errors(said, heard).rate, character_errors(said, heard).rate
            to_clean = words / firsts.setdefault(name, words)
            table.add_row(name, condition, f"{100 * words:.1f}", f"{100 * characters:.1f}", f"{to_clean:.2f}")
    Console(soft_wrap=True).print(table)


if __name__ == "__main__":
    typer.run(main)
