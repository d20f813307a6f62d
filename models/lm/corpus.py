"""Text as arrays of word ids, and the n-grams that stand in it."""

from __future__ import annotations

import bz2
import gzip
import itertools
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...pipeline.lm_errors import TextError
from ...pipeline.ngrams import BEGIN, END, UNKNOWN

HELD_OUT_ONE_IN = 100
PLACES_AT_A_TIME = 4_000_000  # counting sorts places in the text, and this bounds the memory it takes
Ints = NDArray[np.int32]


@dataclass(frozen=True)
class Source:
    """Some text files that are estimated together, and the share they have in the finished model."""

    paths: tuple[Path, ...]
    weight: float


@dataclass(frozen=True)
class NgramCounts:
    """The n-grams of one order found in any source. All arrays are int32, and sorted by (parent, word).

    words      [n]                 last word
    parents    [n]                 index of the first n-1 words in the order below
    suffixes   [n]                 index of the last n-1 words in the order below
    counts     [sources, n]        how often each source has it
    companies  [sources, n]        behind how many different words each source has it; 0 in the highest order
    left_out   [sources, parents]  n-grams found once that are not in these arrays
    """

    words: Ints
    parents: Ints
    suffixes: Ints
    counts: Ints
    companies: Ints
    left_out: Ints


def is_held_out(sentence: str) -> bool:
    """One sentence in a hundred, by its hash, is never counted: the text perplexity is measured on."""
    return zlib.crc32(sentence.encode()) % HELD_OUT_ONE_IN == 0


def read_sentences(path: Path, held_out: bool | None = False) -> Iterator[str]:
    """Lines of a plain, .gz or .bz2 text, one sentence each; held_out=None gives all of them.

    Raises:
        TextError: the file cannot be read, or no further.
    """
    opener = {".bz2": bz2.open, ".gz": gzip.open}.get(path.suffix, open)
    try:
        with opener(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                sentence = " ".join(line.split())
                if sentence and (held_out is None or is_held_out(sentence) == held_out):
                    yield sentence
    except UnicodeDecodeError as error:
        raise TextError(path, "the file is not text in UTF-8") from error
    except (OSError, EOFError, zlib.error) as error:  # also of what is not compressed as its name says
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise TextError(path, f"the file cannot be read ({reason})") from error


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


def count_ngrams(
    encoded: Sequence[NDArray[np.uint32]], vocabulary: list[str], order: int, thin: bool = False
) -> list[NgramCounts]:
    """Count all n-grams up to `order` by sorting; no n-gram reaches over the end of a sentence.

    Args:
        thin: leave out n-grams of the highest order that were found once in all. What the estimation needs to know of
            them is kept in `left_out` and `companies`, so all that stays has the same probability.
    """
    tokens = np.concatenate(encoded).astype(np.int32)
    bounds = np.cumsum([len(piece) for piece in encoded])[:-1]
    size = len(vocabulary)
    nothing = np.zeros(size, np.int32)
    unigrams = np.stack([np.bincount(piece, minlength=size) for piece in encoded]).astype(np.int32)
    none = np.zeros((len(encoded), 1), np.int32)
    levels = [NgramCounts(np.arange(size, dtype=np.int32), nothing, nothing, unigrams, np.zeros_like(unigrams), none)]
    inside = tokens != vocabulary.index(BEGIN)
    ends = inside  # where an n-gram ends
    ending_here = tokens  # index of the n-gram whose last word stands here
    for n in range(2, order + 1):
        ends = ends & np.concatenate([[False], ends[:-1] if n > 2 else np.ones(len(ends) - 1, np.bool_)])
        level, companies, ending_here = _count_order(tokens, ends, ending_here, bounds, levels[-1], thin and n == order)
        levels[-1] = replace(levels[-1], companies=companies)
        levels.append(level)
    return levels


def _count_order(
    tokens: Ints, ends: NDArray[np.bool_], shorter: Ints, bounds: Ints, below: NgramCounts, thin: bool
) -> tuple[NgramCounts, Ints, Ints]:
    """Count the n-grams of one order, a range of parents at a time.

    Args:
        ends: where one ends.
        shorter: index of the n-gram of the order below that ends at each place.
        bounds: where the second source begins, the third, ...

    Returns:
        the n-grams, the companies of the order below, and the index of the n-gram that ends at each place.
    """
    sources, contexts = len(bounds) + 1, len(below.words)
    companies, left_out = np.zeros((2, sources, contexts), np.int32)
    before, ends = shorter[:-1], ends[1:]
    per_parent = np.cumsum(np.bincount(before[ends], minlength=contexts))
    cuts = np.searchsorted(per_parent, np.arange(0, per_parent[-1], PLACES_AT_A_TIME)[1:])
    longer = np.zeros(len(tokens), np.int32)
    parts: list[tuple[Ints, Ints, Ints, Ints]] = []
    found = 0
    for low, high in itertools.pairwise([0, *(int(cut) + 1 for cut in cuts), contexts]):
        places = np.flatnonzero(ends & (before >= low) & (before < high)) + 1
        keys = shorter[places - 1].astype(np.int64) << 32 | tokens[places]
        distinct, first, which = np.unique(keys, return_index=True, return_inverse=True)
        pieces = np.split(which, np.searchsorted(places, bounds))
        counts = np.stack([np.bincount(piece, minlength=len(distinct)) for piece in pieces]).astype(np.int32)
        parents, suffixes = (distinct >> 32).astype(np.int32), shorter[places[first]]
        longer[places] = which + found
        for source, count in enumerate(counts):
            companies[source] += np.bincount(suffixes[count > 0], minlength=contexts).astype(np.int32)
        if thin:
            once = counts.sum(axis=0) == 1
            for source, count in enumerate(counts):
                left_out[source] += np.bincount(parents[once & (count > 0)], minlength=contexts).astype(np.int32)
            distinct, parents, suffixes, counts = distinct[~once], parents[~once], suffixes[~once], counts[:, ~once]
        found += len(distinct)
        parts.append(((distinct & 0xFFFFFFFF).astype(np.int32), parents, suffixes, counts))
    words, parents, suffixes = (np.concatenate([part[i] for part in parts]) for i in range(3))
    all_counts = np.concatenate([part[3] for part in parts], axis=1)
    return NgramCounts(words, parents, suffixes, all_counts, np.zeros_like(all_counts), left_out), companies, longer
