"""How many recordings without speech give text, as recorded and 20 dB quieter.

    python benchmarks/no_speech.py noise.jsonl                    (a manifest with empty texts)

The quieter copy is a microphone that is farther away. With --beside, other recognisers of references.py hear the same.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from references import RATE_HZ, REFERENCES, Hear, plain_words, rillet
from rillet.models.audio_pack import load_samples
from rillet.models.manifest import read_manifest


def main(
    manifest: Annotated[Path, typer.Argument(help="Recordings without speech.")],
    model: Annotated[Path | None, typer.Option(help="A model file; ours by default.")] = None,
    beside: Annotated[list[str] | None, typer.Option(help=f"Of {', '.join(REFERENCES)}.")] = None,
) -> None:
    """Count recordings with words that nobody said."""
    recognisers: dict[str, Hear] = {"rillet": rillet(model)}
    recognisers |= {name: REFERENCES[name].load() for name in beside or []}
    clips = [load_samples(utterance, RATE_HZ) for utterance in read_manifest(manifest)]
    for name, hear in recognisers.items():
        for how, gain in (("as recorded", 1.0), ("20 dB quieter", 0.1)):
            texts = [plain_words(hear(samples * np.float32(gain))) for samples in clips]
            words = Counter(text.split()[0] for text in texts if text)
            often = ", ".join(f"{word} {n}" for word, n in words.most_common(5))
            share = f"{words.total()} of {len(clips)} gave text ({100 * words.total() / len(clips):.1f} %)"
            print(f"{name}, {how}: {share}; first words: {often}", flush=True)


if __name__ == "__main__":
    typer.run(main)
