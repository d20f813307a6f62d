"""What a decoder is: a pure step from token log-probabilities and a state to words and the next state.

The caller owns the state and the words that were committed; a decoder object itself never changes, so one serves all
streams. A state holds only what is still open (the unfinished word, the beams), which keeps it small for ever.
"""

from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from .events import Word

State = TypeVar("State")
FloatArray = npt.NDArray[np.float32]


class Reading(NamedTuple):
    """One of the n best ways to read what is not committed yet."""

    words: tuple[Word, ...]
    score: float  # nats, acoustic and language; differences between readings are what counts


@dataclass(frozen=True, slots=True)
class Decoded:
    """What one step brought."""

    committed: tuple[Word, ...] = ()  # newly certain words, to be put behind all those before; never taken back
    volatile: tuple[Word, ...] = ()  # the best guess for everything after them; the next step replaces it
    unfinished_s: float | None = None  # where the last word of a phrase ends that is not complete, if there is one
    readings: tuple[Reading, ...] = ()  # of `finish`, if asked for: `committed` and what it could have been, best first


class Decoder(Protocol[State]):
    """Greedy search, beam search, grammar: whatever turns log-probabilities into words.

    The stream takes the look-ahead off: the first row that a decoder sees belongs to the first frame of the audio, and
    row `n` to the time from `n * frame_s` to `(n + 1) * frame_s`.

    State is an immutable value. Cutting the same frames differently into steps gives the same committed words in the
    end, the same volatile words at the same frame and the same state.
    """

    def start(self) -> State:
        """The state before the first frame of a stream."""
        ...

    def step(self, log_probs: FloatArray, state: State) -> tuple[Decoded, State]:
        """Read the next frames.

        Args:
            log_probs: float32 [frames, columns], natural logarithms; any number of frames. First the columns of the
                tokens, CTC blank at index 0, then those of the sounds with a blank of their own, if it tells any.
            state: what `start`, `step` or `finish` returned; not altered.
        """
        ...

    def finish(self, state: State) -> tuple[Decoded, State]:
        """End the utterance: commit everything, and return the state that begins the next one at the same frame.

        The `volatile` of what is returned is empty. Times go on counting from the start of the stream.
        """
        ...

    def fingerprint(self) -> str:
        """The same for decoders that go on alike from the same state, whatever process they are in."""
        ...
