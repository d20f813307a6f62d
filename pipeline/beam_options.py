"""The settings of the beam search."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from numbers import Integral, Real
from typing import Any

from .errors import BeamOptionError, UnknownBeamOptionError

# What makes sense of each, with much room: beyond it, scores overflow, or nothing is ever recognised.
RANGES: dict[str, tuple[float, float]] = {
    "width": (1, 10**9),
    "prune_nats": (0, math.inf),
    "token_log_prob": (-math.inf, 0),
    "tokens_per_frame": (1, 10**9),
    "blank_prob": (1e-6, 1),
    "commit_after_s": (0, 86_400),
    "lm_weight": (0, 20),
    "word_bonus": (-50, 50),
    "letter_prior": (0, 10),
    "unknown_word_penalty": (0, 1000),
    "unknown_letter_penalty": (0, 1000),
    "blank_penalty": (-50, 50),
    "certain_blank_prob": (1e-6, 1),
    "belief": (0, 1000),
    "alternatives": (0, 10**6),
}


@dataclass(frozen=True)
class BeamOptions:
    """How wide the search is, how much it trusts language, and how long it may wait."""

    width: int = 64  # texts kept after each frame
    prune_nats: float = 10.0  # texts that fall behind the best by more are dropped (with a grammar: 30)
    token_log_prob: float = -6.0  # tokens less likely than this in a frame are not tried (with a grammar: -14)
    tokens_per_frame: int = 10  # nor more than the best so many (with a grammar: all)
    blank_prob: float = 0.999  # a frame whose blank is likelier than this says nothing
    commit_after_s: float = 0.8  # a finished word is committed at the latest so long after it was heard
    lm_weight: float = 0.75  # how much a nat of the language model counts against one of the acoustic model
    word_bonus: float = 1.0  # nats for each word, against the liking of language model and grammar for few words
    letter_prior: float = 0.25  # share of a letter's frequency that is taken out of the acoustic model; language has it
    unknown_word_penalty: float = 12.0  # nats for a word that the language model does not know, beyond its <unk> ...
    unknown_letter_penalty: float = 0.5  # ... and for each of its letters
    blank_penalty: float = 0.0  # nats by which blanks are taken to be less likely: little speech teaches to leave out
    certain_blank_prob: float = 0.05  # over sounds: a letter is certain where their blank is no likelier
    belief: float = 0.95  # over sounds: words are believed if certain letters near by, times confidence, make so many
    alternatives: int = 0  # readings that come with each final; they differ in what was not committed before it

    def __post_init__(self) -> None:
        """Raises BeamOptionError if one of them is no number or makes no sense."""
        for field in fields(self):
            value = getattr(self, field.name)
            low, high = RANGES[field.name]
            whole = isinstance(field.default, int)
            number = isinstance(value, Integral if whole else Real)
            if not number or not low <= value <= high:  # NaN is in no range
                raise BeamOptionError(field.name, value, low, high, whole=whole)

    def but_with(self, changes: Mapping[str, Any]) -> "BeamOptions":
        """These with some changed by name.

        Raises:
            BeamOptionError, UnknownBeamOptionError
        """
        for name in changes:
            if name not in RANGES:
                raise UnknownBeamOptionError(name, RANGES)
        return replace(self, **changes)


LETTERS = BeamOptions()  # the defaults are for a search over letters
PRONUNCIATIONS = BeamOptions(  # and these for one over the sounds of a lexicon
    width=150,
    prune_nats=13.0,
    token_log_prob=-6.0,
    tokens_per_frame=12,
    blank_prob=0.9995,
    commit_after_s=3.0,
    lm_weight=1.2,
    word_bonus=0.7,
)
PHRASES = replace(  # over the sounds of phrases: hardly anything is said, and what was said may have been unlikely
    PRONUNCIATIONS,
    prune_nats=30.0,
    token_log_prob=-14.0,
    tokens_per_frame=40,
    lm_weight=1.0,
    word_bonus=-4.0,
    blank_penalty=1.2,
    certain_blank_prob=0.2,
    belief=0.0,  # one letter
)
