"""Entropy pruning, and the back-off weights of what is left.

Stolcke 1998, "Entropy-based pruning of backoff language models", with one change: how often a context occurs is taken
from the counts and not from the model, whose lower orders Kneser-Ney bends on purpose (Chelba et al. 2010).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...pipeline.ngrams import LN_10, Level, NgramTrie, first_children
from .kneser_ney import Floats, NgramProbs

BEGIN_LOG_PROB = -99.0 * LN_10  # ARPA's way to say that <s> is never predicted


def removal_costs(levels: Sequence[NgramProbs]) -> list[Floats]:
    """How much the model's cross-entropy (nats a word) grows when one n-gram alone is removed, per order."""
    costs = [np.full(len(levels[0].words), np.inf)]
    for n in range(1, len(levels)):
        level, below = levels[n], levels[n - 1]
        contexts = len(below.words)
        lower = below.probs[level.suffixes]
        left = np.maximum(1.0 - np.bincount(level.parents, level.probs, contexts), 1e-12)
        left_lower = np.maximum(1.0 - np.bincount(level.parents, lower, contexts), 1e-12)
        old = np.log(left / left_lower)[level.parents]
        new = np.log((left[level.parents] + level.probs) / (left_lower[level.parents] + lower))
        change = level.probs * (np.log(lower) + new - np.log(level.probs)) + left[level.parents] * (new - old)
        costs.append(-below.shares[level.parents] * change)
    return costs


def prune(levels: Sequence[NgramProbs], costs: Sequence[Floats], threshold: float) -> list[NgramProbs]:
    """Keep n-grams that cost at least `threshold` nats a word, and all that longer kept ones begin or end with."""
    keeps = [cost >= threshold for cost in costs]
    for n in range(len(levels) - 1, 1, -1):
        kept = np.flatnonzero(keeps[n])
        keeps[n - 1][levels[n].parents[kept]] = True
        keeps[n - 1][levels[n].suffixes[kept]] = True
    pruned = [levels[0]]
    for n in range(1, len(levels)):
        kept = np.flatnonzero(keeps[n])
        level, new_index = levels[n], np.cumsum(keeps[n - 1]) - 1
        pruned.append(
            NgramProbs(
                level.words[kept],
                new_index[level.parents[kept]],
                new_index[level.suffixes[kept]],
                level.probs[kept],
                level.shares[kept],
            )
        )
    return pruned


def with_backoffs(levels: Sequence[NgramProbs], vocabulary: list[str]) -> NgramTrie:
    """The finished model: each context's back-off weight is what makes its probabilities sum to one."""
    finished = []
    for n, level in enumerate(levels):
        with np.errstate(divide="ignore"):
            log_probs = np.maximum(np.log(level.probs), BEGIN_LOG_PROB)
        backoffs, children = np.zeros(0, np.float32), np.zeros(0, np.uint32)
        if n + 1 < len(levels):
            longer, size = levels[n + 1], len(level.words)
            lower = level.probs[longer.suffixes]
            left = 1.0 - np.bincount(longer.parents, longer.probs, size)
            left_lower = 1.0 - np.bincount(longer.parents, lower, size)
            backoffs = np.log(np.maximum(left, 1e-9) / np.maximum(left_lower, 1e-9)).astype(np.float32)
            children = first_children(longer.parents, size)
            backoffs[children[1:] == children[:-1]] = 0.0
        words = level.words.astype(np.uint16 if len(vocabulary) <= 65536 else np.uint32)
        finished.append(Level(words, log_probs.astype(np.float32), backoffs, children))
    return NgramTrie(vocabulary, tuple(finished))
