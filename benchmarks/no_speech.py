"""How many recordings without speech give text, as recorded and 20 dB quieter.

    python benchmarks/no_speech.py noise.jsonl                    (a manifest with empty texts)

The quieter copy is the reference in the same run: a microphone that is farther away.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import soundfile
import typer
from rillet.models.manifest import read_manifest
from rillet.pipeline import Recognizer


def main(manifest: Path, model: Annotated[Path | None, typer.Option()] = None) -> None:
    """Count words in what nobody said."""
    recogniser = Recognizer.load(model)
    clips, loud, quiet = 0, Counter[str](), Counter[str]()
    for utterance in read_manifest(manifest):
        samples, rate_hz = soundfile.read(utterance.audio, dtype="float32")
        clips += 1
        for gain, words in ((1.0, loud), (0.1, quiet)):
            text = recogniser.transcribe(samples * gain, rate_hz).text
            words.update(text.split()[:1])
    for name, words in (("as recorded", loud), ("20 dB quieter", quiet)):
        often = ", ".join(f"{word} {n}" for word, n in words.most_common(5))
        print(
            f"{name}: {words.total()} of {clips} gave text ({100 * words.total() / clips:.1f} %); first words: {often}"
        )
    print(f"ratio: {loud.total() / max(quiet.total(), 1):.2f}")


if __name__ == "__main__":
    typer.run(main)
