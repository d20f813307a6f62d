"""The arrays of a back-off n-gram model: a trie, one level per order, words in alphabetical order.

Level n holds every n-gram, sorted by (its first n-1 words, its last word). The first n-1 words are an entry of level
n-1, and `first_child[i]:first_child[i + 1]` are the entries of the next level that continue entry i. Word ids are
positions in the sorted vocabulary, so all words that begin with the same letters are one range of ids at every node.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .lexicon import Pronunciations

BEGIN, END, UNKNOWN = "<s>", "</s>", "<unk>"
LN_10 = 2.302585092994046
NEXT_TO_IMPOSSIBLE = -40.0  # a natural logarithm

Array = NDArray[Any]


@dataclass(frozen=True)
class Level:
    """All n-grams of one order. Logarithms are natural.

    words         uint16 or uint32 [n], the last word of each n-gram
    log_probs     float32 [n], or uint8 [n] codes into `prob_book`
    log_backoffs  float32 [n], or uint8 [n] codes into `backoff_book`; empty on the highest level
    first_child   uint32 [n + 1], positions in the next level; empty on the highest level
    """

    words: Array
    log_probs: Array
    log_backoffs: Array
    first_child: Array
    prob_book: Array | None = None
    backoff_book: Array | None = None

    def __len__(self) -> int:
        return len(self.words)


@dataclass(frozen=True)
class NgramTrie:
    """A whole model: the sorted vocabulary (with <s>, </s> and <unk>), one level per order, and how words sound."""

    vocabulary: list[str]
    levels: tuple[Level, ...]
    pronunciations: Pronunciations | None = None

    @property
    def order(self) -> int:
        return len(self.levels)


def first_children(parents: Array, parent_count: int) -> NDArray[np.uint32]:
    """Where the children of each parent begin, given the (sorted) parent of every child: uint32 [parent_count + 1]."""
    return np.searchsorted(parents, np.arange(parent_count + 1)).astype(np.uint32)


def quantise(trie: NgramTrie) -> NgramTrie:
    """Replace every probability and back-off weight by one of at most 256 values chosen per level.

    The values are the means of equally wide bins. Equally full bins, the usual choice, spend most codes on rare words
    and few on the likely n-grams that decide (measured: perplexity +4 % against +0.1 %).
    """
    levels = []
    for level in trie.levels:
        prob_codes, prob_book = _codes(level.log_probs)
        backoff_codes, backoff_book = _codes(level.log_backoffs)
        book = backoff_book if len(level.log_backoffs) else None
        levels.append(Level(level.words, prob_codes, backoff_codes, level.first_child, prob_book, book))
    return NgramTrie(trie.vocabulary, tuple(levels), trie.pronunciations)


def _codes(values: Array) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    distinct = np.unique(values)
    if len(distinct) <= 256:
        return np.searchsorted(distinct, values).astype(np.uint8), distinct.astype(np.float32)
    # Bin 0 is for what is next to impossible (<s> stands at -228), lest it widen all the others.
    low, high = float(distinct[np.searchsorted(distinct, NEXT_TO_IMPOSSIBLE)]), float(distinct[-1])
    bins = np.ceil((values.astype(np.float64) - low) / (high - low) * 254).astype(np.int64) + 1
    bins = np.where(values < low, 0, bins)
    counts = np.bincount(bins, minlength=256)
    means = np.bincount(bins, values, 256) / np.maximum(counts, 1)
    used = np.flatnonzero(counts)
    return np.searchsorted(used, bins).astype(np.uint8), means[used].astype(np.float32)
