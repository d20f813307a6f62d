"""How fast rillet is, and how right, beside other recognisers: the same audio, the same run, one thread each.

    pip install pocketsphinx==5.1.1
    python benchmarks/speed.py                                   # the sample that comes with rillet
    python benchmarks/speed.py --manifest dev/manifest.jsonl     # error rates too; needs rillet[train]
    python benchmarks/speed.py --manifest dev/manifest.jsonl --beside pocketsphinx --beside moonshine-tiny

The recognisers take turns, utterance by utterance, so that whatever else the machine does meets all of them. The
real-time factor is seconds of computing to a second of audio; the one of CPU time is right on a busy machine too.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import numpy as np
import soundfile
import soxr
import typer
from references import RATE_HZ, REFERENCES, FloatArray, Hear, plain_words, rillet
from rillet.models.manifest import read_manifest
from rillet.pipeline import SHIPPED_SAMPLE


@dataclass
class Row:
    """A recogniser, and what it did so far."""

    name: str
    hear: Hear
    wall_s: float = 0.0
    cpu_s: float = 0.0
    heard: list[str] = field(default_factory=list)

    def take(self, samples: FloatArray) -> None:
        wall_s, cpu_s = time.perf_counter(), time.process_time()
        text = self.hear(samples)
        self.wall_s += time.perf_counter() - wall_s
        self.cpu_s += time.process_time() - cpu_s
        self.heard.append(plain_words(text))


def read(path: Path, start_s: float = 0.0, duration_s: float | None = None) -> FloatArray:
    """Mono at 16 kHz."""
    samples, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    end = None if duration_s is None else round((start_s + duration_s) * rate_hz)
    mono = samples[round(start_s * rate_hz) : end].mean(axis=1)
    return np.asarray(soxr.resample(mono, rate_hz, RATE_HZ), np.float32)


def main(
    model: Annotated[Path | None, typer.Option(help="A model file; by default the one that comes with rillet.")] = None,
    manifest: Annotated[Path | None, typer.Option(help="Recordings and their text, in any layout of rillet's.")] = None,
    audio: Annotated[Path, typer.Option(help="What to hear when there is no manifest.")] = SHIPPED_SAMPLE,
    beside: Annotated[list[str] | None, typer.Option(help=f"Of {', '.join(REFERENCES)}.")] = None,
    every: Annotated[int, typer.Option(min=1, help="Take only each N-th utterance.")] = 1,
) -> None:
    """Print real-time factors, ratios and word error rates."""
    rows = [Row("rillet", rillet(model)), Row("rillet, greedy", rillet(model, None))]
    for name in beside or ["pocketsphinx"]:
        try:
            rows.append(Row(name, REFERENCES[name].load()))
        except ModuleNotFoundError as error:
            raise SystemExit(f"{name} is not installed: pip install {REFERENCES[name].packages}") from error
    utterances = read_manifest(manifest)[::every] if manifest else []
    clips = [read(u.audio, u.start_s, u.duration_s) for u in utterances] or [read(audio)] * 5
    audio_s = sum(map(len, clips)) / RATE_HZ
    for row in rows:
        row.hear(clips[0][:RATE_HZ])  # what is only done once is not counted; see start.py
    for clip in clips:
        for row in rows:
            row.take(clip)

    print(f"{len(clips)} clips, {audio_s / 60:.1f} minutes, in pieces of 160 ms where the recogniser streams")
    print(f"{'recogniser':18}{'RTF, CPU time':>15}{'RTF, wall':>12}{'x rillet':>10}{'WER %':>8}")
    for row in rows:
        wer = word_error_percent([u.text for u in utterances], row.heard) if utterances else ""
        cpu, wall, ratio = row.cpu_s / audio_s, row.wall_s / audio_s, row.cpu_s / rows[0].cpu_s
        print(f"{row.name:18}{cpu:15.4f}{wall:12.4f}{ratio:10.1f}{wer:>8}")


def word_error_percent(said: list[str], heard: list[str]) -> str:
    from rillet.models.error_rate import word_errors

    return f"{100 * word_errors(said, heard).rate:.1f}"


if __name__ == "__main__":
    typer.run(main)
