"""What a stream tells: words, partial results that grow, and one final result per utterance.

The promises, each with a test:

1. `Partial.committed` never changes again: it is a prefix of every later `committed` and of the coming `Final.text`.
2. There is exactly one `Final` per utterance; once out it is never altered. `finish()` gives the last one. Utterances
   end by the rules of endpoint.py; one in which nothing was said has no text and no words.
3. Times count from the start of the stream, never run backwards, and have the model's look-ahead subtracted.
4. Words, times and finals do not depend on how the audio was cut into chunks.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Reason = Literal["silence", "max_length", "finish"]


@dataclass(frozen=True, slots=True)
class Word:
    """A recognised word and where it was said."""

    text: str
    start_s: float  # seconds from the start of the stream
    end_s: float
    confidence: float  # 0..1


@dataclass(frozen=True, slots=True)
class Partial:
    """What has been understood so far of the utterance that is going on."""

    utterance: int  # counts from 0
    committed: str  # will not change again
    volatile: str  # may still change; shown behind `committed`
    words: tuple[Word, ...]  # of both, in order

    @property
    def text(self) -> str:
        return f"{self.committed} {self.volatile}".strip()


@dataclass(frozen=True, slots=True)
class Alternative:
    """One way to read an utterance."""

    text: str
    words: tuple[Word, ...]
    score: float  # nats, sound and language together, against the best: 0 for that, less for the others


@dataclass(frozen=True, slots=True)
class Final:
    """An utterance that is over."""

    utterance: int
    text: str
    words: tuple[Word, ...]
    reason: Reason  # why it is over: silence, the longest utterance allowed, or finish()
    alternatives: tuple[Alternative, ...] = ()  # if asked for, `text` first; none after max_length: all was certain


Event = Partial | Final


@dataclass(frozen=True, slots=True)
class Transcript:
    """A whole recording."""

    text: str
    words: tuple[Word, ...]


def spell(words: Iterable[Word]) -> str:
    """The text that words make: lower case, one space between them."""
    return " ".join(word.text for word in words)
