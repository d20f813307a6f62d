"""Modified Kneser-Ney estimates of several sources, mixed linearly.

Chen and Goodman 1998, "An empirical study of smoothing techniques for language modeling": the interpolated form with
three discounts per order. Every source is estimated alone on the n-grams of all sources together, so mixing is a
weighted sum of arrays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .corpus import Ints, NgramCounts

Floats = NDArray[np.float64]
FALLBACK_DISCOUNTS = (0.5, 1.0, 1.5)


@dataclass(frozen=True)
class NgramProbs:
    """The n-grams of one order with their mixed probabilities.

    words, parents, suffixes  as in NgramCounts
    probs    float64 [n]  p(word | the words before it)
    shares   float64 [n]  weighted relative frequency of the n-gram, what pruning weighs its loss with
    """

    words: Ints
    parents: Ints
    suffixes: Ints
    probs: Floats
    shares: Floats


def estimate(levels: Sequence[NgramCounts], weights: Sequence[float], begin: int) -> list[NgramProbs]:
    """Mixed probabilities of every counted n-gram; `begin` is the id of <s>, which is never predicted.

    Args:
        levels: n-grams of order 1, 2, ...
        weights: share of each source, summing to 1.
    """
    mixed = [np.zeros(len(level.words)) for level in levels]
    shares = [np.zeros(len(level.words)) for level in levels]
    for source, weight in enumerate(weights):
        total = levels[0].counts[source].sum()
        for n, probs in enumerate(_source_probs(levels, source, begin)):
            mixed[n] += weight * probs
            shares[n] += weight * levels[n].counts[source] / total
    return [
        NgramProbs(level.words, level.parents, level.suffixes, probs, share)
        for level, probs, share in zip(levels, mixed, shares, strict=True)
    ]


def _source_probs(levels: Sequence[NgramCounts], source: int, begin: int) -> list[Floats]:
    probs: list[Floats] = []
    for n, counts in enumerate(_adjusted_counts(levels, source, begin)):
        level = levels[n]
        once = level.left_out[source]
        by_count = _discounts(counts, int(once.sum()))
        discounts = by_count[np.minimum(counts, 3)]
        contexts = len(levels[n - 1].words) if n else 1
        totals = np.bincount(level.parents, counts, contexts) + once
        left_over = np.bincount(level.parents, discounts, contexts) + by_count[1] * once
        # a context this source has never seen says nothing of its own: all of its mass goes to the shorter one
        seen = totals > 0
        scale = np.divide(1.0, totals, out=np.zeros(contexts), where=seen)
        back_off = np.where(seen, left_over * scale, 1.0)
        lower = probs[n - 1][level.suffixes] if n else np.full(len(counts), 1.0 / (len(counts) - 1))
        values = (counts - discounts) * scale[level.parents] + back_off[level.parents] * lower
        if n == 0:
            values[begin] = 0.0
        probs.append(values)
    return probs


def _adjusted_counts(levels: Sequence[NgramCounts], source: int, begin: int) -> list[Ints]:
    """Below the highest order: in how many different words' company an n-gram stands, not how often.

    An n-gram that begins with <s> has no word before it and keeps its plain count.
    """
    adjusted = []
    at_begin = levels[0].words == begin
    for n, level in enumerate(levels):
        if n:
            at_begin = at_begin[level.parents]
        counts = level.counts[source]
        if n + 1 < len(levels):
            counts = np.where(at_begin, counts, level.companies[source])
        if n == 0:
            counts = np.where(level.words == begin, 0, counts)
        adjusted.append(counts)
    return adjusted


def _discounts(counts: Ints, more_ones: int) -> Floats:
    """What is taken from a count of 0, 1, 2, and 3 or more: float64 [4]; `more_ones` are not among `counts`."""
    n1, n2, n3, n4 = (int(np.count_nonzero(counts == k)) for k in (1, 2, 3, 4))
    n1 += more_ones
    if n1 and n2 and n3 and n4:
        y = n1 / (n1 + 2 * n2)
        found = (1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3)
        if all(0 <= d <= k for k, d in enumerate(found, 1)):
            return np.array([0.0, *found])
    return np.array([0.0, *FALLBACK_DISCOUNTS])
