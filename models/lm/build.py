"""From texts to a language model: the whole way, and what it costs to make it small."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ...pipeline import arpa, lm_file
from ...pipeline.errors import RilletError
from ...pipeline.lexicon import Pronunciations
from ...pipeline.lm import LanguageModel
from ...pipeline.ngrams import BEGIN, NgramTrie, quantise
from . import corpus, kneser_ney
from .corpus import Source
from .kneser_ney import NgramProbs
from .prune import prune, removal_costs, with_backoffs
from .sounds import pronunciations


class TextSourceError(RilletError, ValueError):
    """Texts that no language model can be built from."""


@dataclass(frozen=True)
class BuildOptions:
    """How a language model is built."""

    order: int = 3  # words in the longest n-gram, 2 to 5
    vocabulary: int = 60_000  # most frequent words that are known; fewer than 65,537 take two bytes each
    prune_nats: float = 0.0  # remove n-grams whose loss adds less than this to the cross-entropy of a word
    size_mb: float | None = None  # and remove as many as it takes for the compact file to have this size
    pronounce: bool = True  # say how the words sound in English
    thin: bool = False  # never hold longest n-grams that were found once: much less memory, and few survive pruning


def build(sources: Sequence[Source], options: BuildOptions) -> NgramTrie:
    """Estimate, mix, prune; the result is not quantised."""
    total = sum(source.weight for source in sources)
    vocabulary = corpus.choose_vocabulary(sources, options.vocabulary)
    encoded = corpus.encode(sources, vocabulary)
    counts = corpus.count_ngrams(encoded, vocabulary, options.order, options.thin)
    levels = kneser_ney.estimate(counts, [source.weight / total for source in sources], vocabulary.index(BEGIN))
    del encoded, counts  # the largest arrays there are
    if options.prune_nats:
        levels = prune(levels, removal_costs(levels), options.prune_nats)
    said = pronunciations(vocabulary) if options.pronounce else None
    if options.size_mb is not None:
        levels = _fit(levels, vocabulary, options.size_mb * 1e6 - (_sound_bytes(said) if said else 0))
    return replace(with_backoffs(levels, vocabulary), pronunciations=said)


def run(texts: Sequence[str], output: Path, options: BuildOptions) -> None:
    """`rillet lm build`: texts are "PATH" or "PATH:WEIGHT"; all have a weight, or none."""
    sources = parse_sources(texts)
    trie = build(sources, options)
    about = "modified Kneser-Ney of " + ", ".join(
        f"{path.name} {source.weight:g}" for source in sources for path in source.paths
    )
    write(trie, output, about)
    print(f"{output}: {output.stat().st_size / 1e6:.1f} MB,", " + ".join(f"{len(level):,}" for level in trie.levels))
    model = LanguageModel.load(output)
    for source in sources:
        found = perplexity(model, (s for path in source.paths for s in corpus.read_sentences(path, held_out=True)))
        if found.words:
            print(f"perplexity on held-out sentences of {source.paths[0].name}: {found.perplexity:.1f}")


def parse_sources(texts: Sequence[str]) -> list[Source]:
    """Sources from the command line; texts without weights are one source.

    Raises:
        TextSourceError: a file is missing, or only some have weights.
    """
    found: list[tuple[Path, float | None]] = []
    for text in texts:
        path, colon, weight = text.rpartition(":")
        try:
            found.append((Path(path), float(weight)) if colon else (Path(text), None))
        except ValueError:
            found.append((Path(text), None))
    for each, _ in found:
        if not each.is_file():
            raise TextSourceError(f"{each}: there is no such text; check the spelling and the folder.")
    if all(weight is None for _, weight in found):
        return [Source(tuple(each for each, _ in found), 1.0)]
    sources = [Source((each,), weight) for each, weight in found if weight is not None and weight > 0]
    if len(sources) < len(found):
        raise TextSourceError("give every text a weight above 0, as in books.txt:0.8 notes.txt:0.2, or none.")
    return sources


def _fit(levels: list[NgramProbs], vocabulary: list[str], size_bytes: float) -> list[NgramProbs]:
    """Remove what is worth least for its bytes until the compact file has `size_bytes`, by bisection.

    Bytes differ: an n-gram of the highest order takes 3 and one below it 8, for longer ones begin there.
    """
    if _compact_bytes(levels, vocabulary) <= size_bytes:
        return levels
    sizes = _bytes_per_ngram(len(levels), vocabulary)
    worth = [cost / size for cost, size in zip(removal_costs(levels), sizes, strict=True)]
    low, high = math.log(1e-13), math.log(1e-3)
    for _ in range(14):
        middle = (low + high) / 2
        if _compact_bytes(prune(levels, worth, math.exp(middle)), vocabulary) > size_bytes:
            low = middle
        else:
            high = middle
    return prune(levels, worth, math.exp(high))


def _bytes_per_ngram(order: int, vocabulary: list[str]) -> list[int]:
    word_bytes = 2 if len(vocabulary) <= 65536 else 4
    return [word_bytes + 1 + (1 + 4 if n + 1 < order else 0) for n in range(order)]


def _compact_bytes(levels: Sequence[NgramProbs], vocabulary: list[str]) -> int:
    headers_and_books = 4096 * len(levels)
    sizes = _bytes_per_ngram(len(levels), vocabulary)
    return (
        sum(size * len(level.words) for size, level in zip(sizes, levels, strict=True))
        + sum(len(word.encode()) + 1 for word in vocabulary)
        + headers_and_books
    )


def _sound_bytes(said: Pronunciations) -> int:
    return said.words.nbytes + said.lengths.nbytes + said.sounds.nbytes


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
