"""A language model in use: how likely a word is after others, and how likely a word begins with given letters.

The state is a tuple of positions in the trie: of the last word, of the last two words, and so on up to order - 1, as
far as the model knows them. It is a value, so a decoder can keep it, compare it and write it down.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np

from . import arpa, lm_file
from .fingerprint import fingerprint
from .lexicon import Lexicon
from .ngrams import BEGIN, END, UNKNOWN, Level, NgramTrie

State = tuple[int, ...]


class Way(NamedTuple):
    """What a word can be, in a model of language."""

    text: str  # what is written for it
    log_prob: float
    state: State  # behind it
    settled: bool  # whether a text may end with it


IMPOSSIBLE = -math.inf
CACHE_SIZE = 50_000  # entries of each cache; a full one is emptied, which costs a few milliseconds once in minutes


@dataclass(frozen=True)
class _Table:
    """One order as Python reads it fastest: memory views, which `bisect` searches without making arrays."""

    words: Sequence[int]
    log_probs: Sequence[int] | Sequence[float]
    log_backoffs: Sequence[int] | Sequence[float]
    first_child: Sequence[int]
    prob_book: list[float] | None
    backoff_book: list[float] | None

    @classmethod
    def of(cls, level: Level) -> _Table:
        return cls(
            level.words.data,
            level.log_probs.data,
            level.log_backoffs.data,
            level.first_child.data,
            None if level.prob_book is None else level.prob_book.tolist(),
            None if level.backoff_book is None else level.backoff_book.tolist(),
        )

    def log_prob(self, i: int) -> float:
        return self.log_probs[i] if self.prob_book is None else self.prob_book[self.log_probs[i]]  # type: ignore[index]

    def log_backoff(self, i: int) -> float:
        book = self.backoff_book
        return self.log_backoffs[i] if book is None else book[self.log_backoffs[i]]  # type: ignore[index]


class LanguageModel:
    """A back-off n-gram model. Immutable but for caches of bounded size; shared by all streams."""

    def __init__(self, trie: NgramTrie) -> None:
        self.order = trie.order
        self.vocabulary = trie.vocabulary
        self._tables = [_Table.of(level) for level in trie.levels]
        self._end = bisect_left(self.vocabulary, END)
        self._unknown = bisect_left(self.vocabulary, UNKNOWN)
        unigrams = trie.levels[0]
        log_probs = unigrams.log_probs if unigrams.prob_book is None else unigrams.prob_book[unigrams.log_probs]
        self._unigrams = log_probs.astype(np.float64)
        # p(word begins so) is a difference of two of these, because such words stand side by side
        self._cumulative = np.concatenate([[0.0], np.cumsum(np.exp(self._unigrams))]).data
        self._said = trie.pronunciations
        self._scores: dict[tuple[State, str], tuple[float, State]] = {}
        self._begins: dict[str, float] = {}

    @classmethod
    def load(cls, path: str | Path) -> LanguageModel:
        """Open a compact file in milliseconds, or read an ARPA file (also .gz), which takes seconds.

        Raises:
            LanguageModelError: one of its subclasses for each cause.
        """
        return cls(lm_file.read(path) if lm_file.is_compact(path) else arpa.read(path))

    def __contains__(self, word: str) -> bool:
        i = bisect_left(self.vocabulary, word)
        return i < len(self.vocabulary) and self.vocabulary[i] == word

    def fingerprint(self) -> str:
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        """Of all its numbers and words, which takes a moment."""
        tables = [tuple(each for each in vars(table).values() if each is not None) for table in self._tables]
        return fingerprint("\n".join(self.vocabulary), *(each for table in tables for each in table))

    def start(self) -> State:
        """The state at the beginning of a sentence."""
        return (bisect_left(self.vocabulary, BEGIN),) if self.order > 1 else ()

    def score(self, state: State, word: str) -> tuple[float, State]:
        """ln p(word | state) and the state behind it; a word out of the vocabulary counts as <unk>."""
        key = (state, word)
        found = self._scores.get(key)
        if found is None:
            i = bisect_left(self.vocabulary, word)
            known = i < len(self.vocabulary) and self.vocabulary[i] == word
            found = self._score(state, i if known else self._unknown)
            if len(self._scores) >= CACHE_SIZE:
                self._scores.clear()
            self._scores[key] = found
        return found

    def ways(self, state: State, word: str) -> Sequence[Way]:
        """The one thing that a word can be; models of phrases know several."""
        return (Way(word, *self.score(state, word), settled=True),)

    def end(self, state: State) -> float:
        """ln p(the sentence ends here)."""
        return self._score(state, self._end)[0]

    def begins(self, letters: str) -> float:
        """ln of the unigram probability that a word begins so; -inf if no word does."""
        found = self._begins.get(letters)
        if found is None:
            low = bisect_left(self.vocabulary, letters)
            high = bisect_left(self.vocabulary, letters + "\U0010ffff", low)
            mass = self._cumulative[high] - self._cumulative[low]
            found = math.log(mass) if high > low and mass > 0 else IMPOSSIBLE
            if len(self._begins) >= CACHE_SIZE:
                self._begins.clear()
            self._begins[letters] = found
        return found

    @cached_property
    def letter_shares(self) -> dict[str, float]:
        """How frequent each letter is in what the model expects, and the space behind words, summing to one."""
        special = {bisect_left(self.vocabulary, word) for word in (BEGIN, END, UNKNOWN)}
        masses = np.diff(np.asarray(self._cumulative))
        masses[list(special)] = 0.0
        text = "".join(f"{word} " for word in self.vocabulary)
        letters = np.frombuffer(text.encode("utf-32-le"), np.uint32)
        lengths = np.fromiter((len(word) + 1 for word in self.vocabulary), np.int64, len(masses))
        sums = np.bincount(letters, np.repeat(masses, lengths))
        total = float(sums.sum())
        return {chr(letter): float(sums[letter]) / total for letter in np.flatnonzero(sums)}

    @cached_property
    def lexicon(self) -> Lexicon | None:
        """How the words sound, if the file says it."""
        if self._said is None:
            return None
        return Lexicon(self._said, self.vocabulary, self._unigrams)

    def log_probs(self, sentence: Sequence[str]) -> list[float]:
        """ln p of each word and of the end of the sentence, from its beginning."""
        state, values = self.start(), []
        for word in sentence:
            value, state = self.score(state, word)
            values.append(value)
        return [*values, self.end(state)]

    def _score(self, state: State, word: int) -> tuple[float, State]:
        """Follow the word from every known context; the longest that has it gives the probability."""
        nodes = [word]
        for n, context in enumerate(state):
            children, longer = self._tables[n].first_child, self._tables[n + 1].words
            low, high = children[context], children[context + 1]
            i = bisect_left(longer, word, low, high)
            if i == high or longer[i] != word:
                break
            nodes.append(i)
        log_prob = self._tables[len(nodes) - 1].log_prob(nodes[-1])
        for n in range(len(nodes) - 1, len(state)):
            log_prob += self._tables[n].log_backoff(state[n])
        return log_prob, tuple(nodes[: self.order - 1])
