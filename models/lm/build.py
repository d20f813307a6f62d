"""From texts to a language model: the whole way, and what it costs to make it small."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...pipeline import arpa, lm_file
from ...pipeline.lm import LanguageModel
from ...pipeline.ngrams import BEGIN, NgramTrie, quantise
from . import corpus, kneser_ney
from .corpus import Source
from .kneser_ney import Floats, NgramProbs
from .prune import prune, removal_costs, with_backoffs


@dataclass(frozen=True)
class BuildOptions:
    """How a language model is built."""

    order: int = 3  # words in the longest n-gram, 2 to 5
    vocabulary: int = 60_000  # most frequent words that are known; fewer than 65,537 take two bytes each
    prune_nats: float = 0.0  # remove n-grams whose loss adds less than this to the cross-entropy of a word
    size_mb: float | None = None  # or remove as many as it takes for the compact file to have this size


def build(sources: Sequence[Source], options: BuildOptions) -> NgramTrie:
    """Estimate, mix, prune; the result is not quantised."""
    total = sum(source.weight for source in sources)
    vocabulary = corpus.choose_vocabulary(sources, options.vocabulary)
    counts = corpus.count_ngrams(corpus.encode(sources, vocabulary), vocabulary, options.order)
    levels = kneser_ney.estimate(counts, [source.weight / total for source in sources], vocabulary.index(BEGIN))
    costs = removal_costs(levels)
    threshold = options.prune_nats
    if options.size_mb is not None:
        threshold = max(threshold, _threshold_for(levels, costs, vocabulary, options.size_mb * 1e6))
    return with_backoffs(prune(levels, costs, threshold), vocabulary)


def _threshold_for(
    levels: Sequence[NgramProbs], costs: Sequence[Floats], vocabulary: list[str], size_bytes: float
) -> float:
    """The least threshold that brings the compact file down to `size_bytes`, by bisection over the sizes it gives."""
    low, high = math.log(1e-12), math.log(1e-3)
    if _compact_bytes(levels, vocabulary) <= size_bytes:
        return 0.0
    for _ in range(14):
        middle = (low + high) / 2
        if _compact_bytes(prune(levels, costs, math.exp(middle)), vocabulary) > size_bytes:
            low = middle
        else:
            high = middle
    return math.exp(high)


def _compact_bytes(levels: Sequence[NgramProbs], vocabulary: list[str]) -> int:
    word_bytes = 2 if len(vocabulary) <= 65536 else 4
    per_ngram = [word_bytes + 1 + (1 + 4 if n + 1 < len(levels) else 0) for n in range(len(levels))]
    headers_and_books = 4096 * len(levels)
    return (
        sum(each * len(level.words) for each, level in zip(per_ngram, levels, strict=True))
        + sum(len(word.encode()) + 1 for word in vocabulary)
        + headers_and_books
    )


def write(trie: NgramTrie, path: Path, about: str) -> None:
    """Write the compact file, and the ARPA file with full precision beside it."""
    arpa.write(trie, path.with_suffix(".arpa"))
    lm_file.write(quantise(trie), path, about)


@dataclass(frozen=True)
class Perplexity:
    """How well a model foresees a text; words out of its vocabulary are counted and left out, as KenLM's query does."""

    perplexity: float  # per word, ends of sentences included
    words: int
    unknown: int


def perplexity(model: LanguageModel, sentences: Iterable[str]) -> Perplexity:
    """Perplexity over known words and sentence ends."""
    log_probs, words, unknown = [], 0, 0
    for sentence in sentences:
        spelled = sentence.split()
        known = [word in model for word in spelled]
        values = model.log_probs(spelled)
        log_probs.append(sum(value for value, there in zip(values, [*known, True], strict=True) if there))
        words += len(spelled)
        unknown += known.count(False)
    counted = words - unknown + len(log_probs)
    return Perplexity(math.exp(-float(np.sum(log_probs)) / max(counted, 1)), words, unknown)
