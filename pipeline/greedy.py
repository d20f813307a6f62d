"""Greedy CTC: the likeliest token of each frame, repeats merged, blanks dropped (Graves et al., 2006, section 3.2)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from .decoder import Decoded, FloatArray
from .events import Word
from .fingerprint import fingerprint

BLANK = 0
MAX_WORD_TOKENS = 64  # noise without a space in it is cut here, so that an unfinished word cannot grow for ever


@dataclass(frozen=True, slots=True)
class Spelled:
    """A token of the unfinished word: the frames in which it led, and the best log-probability it had in them."""

    text: str
    first_frame: int
    last_frame: int
    log_prob: float


@dataclass(frozen=True, slots=True)
class GreedyState:
    frame: int = 0  # the next one, counted from the start of the stream
    token: int = BLANK  # that led in the frame before
    word: tuple[Spelled, ...] = ()  # unfinished


@dataclass(frozen=True)
class GreedyDecoder:
    """A `Decoder` that commits each word at the space behind it; only the unfinished word is volatile.

    A word reaches from the first frame of its first token to the last frame of its last one. Its confidence is the
    geometric mean of its tokens' posteriors, each taken where it peaks.
    """

    tokens: Sequence[str]  # tokens[0] is the blank; a space inside a token is a word boundary
    frame_s: float  # seconds of audio to a row

    def start(self) -> GreedyState:
        return GreedyState()

    def step(self, log_probs: FloatArray, state: GreedyState) -> tuple[Decoded, GreedyState]:
        committed: list[Word] = []
        previous, word = state.token, state.word
        best = log_probs[:, : len(self.tokens)].argmax(axis=1).tolist()
        for frame, token in enumerate(best, start=state.frame):
            if token != BLANK:
                log_prob = float(log_probs[frame - state.frame, token])
                if token != previous:
                    head, *tails = self.tokens[token].split(" ")
                    word = _spell(word, head, frame, log_prob)
                    for tail in tails:
                        committed += self._close(word)
                        word = _spell((), tail, frame, log_prob)
                    if len(word) == MAX_WORD_TOKENS:
                        committed += self._close(word)
                        word = ()
                elif word:
                    last = word[-1]
                    longer = Spelled(last.text, last.first_frame, frame, max(last.log_prob, log_prob))
                    word = (*word[:-1], longer)
            previous = token
        return Decoded(tuple(committed), self._close(word)), GreedyState(state.frame + len(best), previous, word)

    def finish(self, state: GreedyState) -> tuple[Decoded, GreedyState]:
        return Decoded(self._close(state.word)), GreedyState(state.frame)

    def fingerprint(self) -> str:
        return fingerprint("greedy", tuple(self.tokens), self.frame_s)

    def _close(self, word: tuple[Spelled, ...]) -> tuple[Word, ...]:
        """The word in seconds, or nothing if there is none."""
        if not word:
            return ()
        mean_log_prob = sum(token.log_prob for token in word) / len(word)
        return (
            Word(
                text="".join(token.text for token in word),
                start_s=word[0].first_frame * self.frame_s,
                end_s=(word[-1].last_frame + 1) * self.frame_s,
                confidence=min(math.exp(mean_log_prob), 1.0),
            ),
        )


def _spell(word: tuple[Spelled, ...], text: str, frame: int, log_prob: float) -> tuple[Spelled, ...]:
    return (*word, Spelled(text, frame, frame, log_prob)) if text else word
