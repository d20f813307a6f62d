"""What a mediocre acoustic model would say: random CTC log-probabilities for a given sentence.

For tuning and testing decoders without a model or a recording. Letters come as narrow peaks at about 15 a second,
compete with letters that sound alike and with blank, sometimes lose, and lie in noise: greedy decoding has 15 to 30 %
of the characters wrong.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

TOKENS = ["", " ", "'", *"abcdefghijklmnopqrstuvwxyz"]
FRAME_S = 0.04
SOUNDS = tuple(token for token in TOKENS if token not in ("", " "))  # every letter a sound
SOUND_ALIKE = ["aeiouy", "bpv", "ckqgxj", "dt", "fv", "szcx", "mn", "lrw", "hw", "ie", "ou", "gj", "' "]


@dataclass(frozen=True)
class Noise:
    """Logits (natural units) of the simulated network."""

    frames_per_letter: float = 1.67  # 15 letters a second at 25 frames a second
    right: float = 6.5  # of the letter that is said, in its frame
    alike: float = 2.8  # of letters that sound like it
    blank: float = 2.5  # of blank in a frame with a letter; between letters it is `right` + 3
    spread: float = 1.6  # standard deviation of each of these
    floor: float = 0.8  # standard deviation of all other logits


def simulate(sentence: str, seed: int, noise: Noise | None = None) -> tuple[NDArray[np.float32], list[tuple[int, int]]]:
    """Log-probabilities of a sentence.

    Returns:
        float32 [frames, tokens] over `TOKENS`, and the first and last frame of each word.
    """
    noise = noise or Noise()
    random = np.random.default_rng(seed)
    frames: list[int] = []  # the frame of each letter
    frame = 5
    for i, letter in enumerate(sentence):
        frames.append(frame)
        doubled = i + 1 < len(sentence) and sentence[i + 1] == letter
        frame += 1 + doubled + int(random.poisson(max(noise.frames_per_letter - 1, 0) + 2 * (letter == " ")))
    logits = random.normal(0, noise.floor, (frame + 8, len(TOKENS)))
    logits[:, 0] += noise.right + 3 + random.normal(0, 1, len(logits))
    for at, letter in zip(frames, sentence, strict=True):
        logits[at, 0] = random.normal(noise.blank, noise.spread)
        for group in SOUND_ALIKE:
            if letter in group:
                for other in group:
                    token = TOKENS.index(other)
                    logits[at, token] = max(logits[at, token], random.normal(noise.alike, noise.spread))
        token = TOKENS.index(letter)
        logits[at, token] = random.normal(noise.right, noise.spread)
        logits[at + 1, token] += random.uniform(1, 6)
    logits -= np.logaddexp.reduce(logits, axis=1, keepdims=True)
    words, start = [], 0
    for word in sentence.split(" "):
        words.append((frames[start], frames[start + len(word) - 1]))
        start += len(word) + 1
    return logits.astype(np.float32), words


def simulate_sounds(
    sentence: str, seed: int, noise: Noise | None = None
) -> tuple[NDArray[np.float32], list[tuple[int, int]]]:
    """The same of a language whose words sound as they are written: over blank and `SOUNDS`, a space being blank."""
    log_probs, words = simulate(sentence, seed, noise)
    space = TOKENS.index(" ")
    log_probs[:, 0] = np.logaddexp(log_probs[:, 0], log_probs[:, space])
    return np.delete(log_probs, space, axis=1), words


def sounds_of(word: str) -> tuple[int, ...]:
    """CTC indices of a word's sounds."""
    return tuple(1 + SOUNDS.index(letter) for letter in word)
