"""Text as arrays of word ids, and the n-grams that stand in it."""

from __future__ import annotations

import bz2
import gzip
import itertools
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...pipeline.ngrams import BEGIN, END, UNKNOWN

HELD_OUT_ONE_IN = 100
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Source:
    """Some text files that are estimated together, and the share they have in the finished model."""

    paths: tuple[Path, ...]
    weight: float


@dataclass(frozen=True)
class NgramCounts:
    """The n-grams of one order found in any source. All arrays are sorted by (parent, word).

    words    int64 [n]           last word
    parents  int64 [n]           index of the first n-1 words in the order below
    suffixes int64 [n]           index of the last n-1 words in the order below
    counts   int64 [sources, n]  how often each source has it
    """

    words: Ints
    parents: Ints
    suffixes: Ints
    counts: NDArray[np.int64]


def is_held_out(sentence: str) -> bool:
    """One sentence in a hundred, by its hash, is never counted: the text perplexity is measured on."""
    return zlib.crc32(sentence.encode()) % HELD_OUT_ONE_IN == 0


def read_sentences(path: Path, held_out: bool | None = False) -> Iterator[str]:
    """Lines of a plain, .gz or .bz2 text, one sentence each; held_out=None gives all of them."""
    opener = {".bz2": bz2.open, ".gz": gzip.open}.get(path.suffix, open)
    with opener(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            sentence = " ".join(line.split())
            if sentence and (held_out is None or is_held_out(sentence) == held_out):
                yield sentence


def choose_vocabulary(sources: Sequence[Source], size: int) -> list[str]:
    """The `size` words of highest weighted relative frequency, sorted, with <s>, </s> and <unk> among them."""
    shares: Counter[str] = Counter()
    for source in sources:
        counts: Counter[str] = Counter()
        for path in source.paths:
            for sentence in read_sentences(path):
                counts.update(sentence.split())
        total = counts.total()
        for word, count in counts.items():
            shares[word] += source.weight * count / total  # type: ignore[assignment]  # a Counter of floats
    ranked = sorted(shares, key=lambda word: (-shares[word], word))
    return sorted({BEGIN, END, UNKNOWN, *ranked[: size - 3]})


def encode(sources: Sequence[Source], vocabulary: list[str]) -> list[NDArray[np.uint32]]:
    """Every source as one array of word ids, each sentence between <s> and </s>; other words become <unk>."""
    ids = {word: i for i, word in enumerate(vocabulary)}
    begin, end, unknown = ids[BEGIN], ids[END], ids[UNKNOWN]
    encoded = []
    for source in sources:
        pieces = []
        for path in source.paths:
            flat: list[int] = []
            for sentence in read_sentences(path):
                flat.append(begin)
                flat.extend([ids.get(word, unknown) for word in sentence.split()])
                flat.append(end)
            pieces.append(np.array(flat, np.uint32))
        encoded.append(np.concatenate(pieces))
    return encoded


def count_ngrams(encoded: Sequence[NDArray[np.uint32]], vocabulary: list[str], order: int) -> list[NgramCounts]:
    """Count all n-grams up to `order` by sorting; no n-gram reaches over the end of a sentence."""
    tokens = np.concatenate(encoded).astype(np.int64)
    bounds = np.cumsum([0, *(len(piece) for piece in encoded)])
    begin = vocabulary.index(BEGIN)
    starts = np.maximum.accumulate(np.where(tokens == begin, np.arange(len(tokens)), 0))
    place_in_sentence = np.arange(len(tokens)) - starts

    size = len(vocabulary)
    unigrams = np.stack([np.bincount(piece, minlength=size) for piece in encoded])
    nothing = np.zeros(size, np.int64)
    levels = [NgramCounts(np.arange(size), nothing, nothing, unigrams)]
    ending_here = tokens  # index of the n-gram whose last word stands here
    for n in range(2, order + 1):
        places = np.flatnonzero(place_in_sentence >= n - 1)
        keys = ending_here[places - 1] << 32 | tokens[places]
        distinct, first, which = np.unique(keys, return_index=True, return_inverse=True)
        cuts = np.searchsorted(places, bounds)
        counts = np.stack([np.bincount(which[a:b], minlength=len(distinct)) for a, b in itertools.pairwise(cuts)])
        levels.append(NgramCounts(distinct & 0xFFFFFFFF, distinct >> 32, ending_here[places[first]], counts))
        ending_here = np.zeros(len(tokens), np.int64)
        ending_here[places] = which
    return levels
