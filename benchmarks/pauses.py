"""Word times against sentences spoken by flite with known pauses between them: how far off starts and ends are.

    python benchmarks/pauses.py                       (apt-get install flite)

Each text is spoken by itself, its silent ends are cut off, and the pieces are joined with pauses of known length. So
it is known to about 10 ms when the first word of a piece begins and the last one ends, and no word may lie in a pause.
A word is compared where it was understood; the others are counted.
"""

from __future__ import annotations

import argparse
import random
from itertools import pairwise
from pathlib import Path

import numpy as np
from decoders import aligned
from own_words import spoken
from rillet.pipeline import Recognizer
from rillet.pipeline.model_file import SHIPPED_MODEL
from rillet.pipeline.resample import resampler_between

TEXTS = """the old man looked at the river|it was a cold and rainy day|she could not find her little brother
we went back to the house|nobody said anything for a long time|the horses were tired and hungry
he opened the door and went away|there is nothing more to be done|my father lived in the city
they came home late in the evening""".replace("\n", "|").split("|")
RATE_HZ = 16_000
PAUSES_S = (0.3, 0.6, 1.0, 1.5)
SILENT = 0.02  # of the loudest sample


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=SHIPPED_MODEL)
    parser.add_argument("--voices", nargs="+", default=["flite:slt", "flite:rms"])
    parser.add_argument("--lm", default="auto")
    arguments = parser.parse_args()
    recogniser = Recognizer.load(arguments.model, lm=arguments.lm)
    pick = random.Random(0)
    starts_s, ends_s = list[float](), list[float]()
    missed = inside = words = 0
    for voice in arguments.voices:
        pieces, spans, now = [np.zeros(RATE_HZ // 2, np.float32)], list[tuple[float, float]](), 0.5
        for _, _, audio, rate_hz in spoken(TEXTS, [voice]):
            resampler = resampler_between(rate_hz, RATE_HZ)
            first, state = resampler.step(audio, resampler.start())
            sound = np.concatenate([first, resampler.finish(state)[0]])
            loud = np.flatnonzero(np.abs(sound) > SILENT * np.abs(sound).max())
            sound = sound[loud[0] : loud[-1] + 1]
            rest = np.zeros(round(pick.choice(PAUSES_S) * RATE_HZ), np.float32)
            spans.append((now, now + len(sound) / RATE_HZ))
            now += (len(sound) + len(rest)) / RATE_HZ
            pieces += [sound, rest]
        found = recogniser.transcribe(np.concatenate(pieces), RATE_HZ).words
        said = [(word, place) for place, text in enumerate(TEXTS) for word in text.split()]
        partners = aligned([word for word, _ in said], [word.text for word in found])
        where = {partner: word for partner, word in zip(partners, found, strict=True) if partner is not None}
        for i, (_, place) in enumerate(said):
            first_of_piece = i == 0 or said[i - 1][1] != place
            last_of_piece = i + 1 == len(said) or said[i + 1][1] != place
            if (first_of_piece or last_of_piece) and i not in where:
                missed += 1
            elif first_of_piece:
                starts_s.append(where[i].start_s - spans[place][0])
            elif last_of_piece:
                ends_s.append(where[i].end_s - spans[place][1])
        silences = [(end, start) for (_, end), (start, _) in pairwise(spans)]
        words += len(found)
        inside += sum(low <= word.start_s and word.end_s <= high for word in found for low, high in silences)
        assert all(a.end_s <= b.start_s for a, b in pairwise(found)), "times are not monotonic"
    for name, offsets in (("start", starts_s), ("end", ends_s)):
        low, middle, high = np.percentile(offsets, [5, 50, 95])
        spread = f"{1000 * low:+.0f} to {1000 * high:+.0f}"
        print(f"{name} of {len(offsets)} words: {1000 * middle:+.0f} ms (median), 90 % within {spread}")
    print(f"{missed} words at an edge were not understood; {inside} of {words} words lie in a pause")


if __name__ == "__main__":
    main()
