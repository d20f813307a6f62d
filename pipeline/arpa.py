"""ARPA, the text format of back-off n-gram models that SRILM, KenLM and others write and read."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from .lm_errors import ArpaError, LanguageModelNotFoundError
from .ngrams import BEGIN, END, LN_10, UNKNOWN, Array, Level, NgramTrie, first_children

MISSING_UNKNOWN_LOG10 = -100.0  # as KenLM takes it when a file has no <unk>
Ngram = tuple[int, ...]
Entries = dict[Ngram, tuple[float, float]]  # word ids -> log10 probability, log10 back-off weight


def read(path: str | Path) -> NgramTrie:
    """Read a whole ARPA file (also .gz); about 3 s for a million n-grams, so convert what is used often.

    N-grams that a longer one begins or ends with and that are missing (pruning tools drop them) are put in with the
    probability they have by backing off, which changes no probability.

    Raises:
        LanguageModelNotFoundError, ArpaError
    """
    opener = gzip.open if str(path).endswith(".gz") else open
    try:
        with opener(path, "rt", encoding="utf-8") as lines:
            return _read(path, enumerate(lines, start=1))
    except FileNotFoundError:
        raise LanguageModelNotFoundError(path) from None
    except UnicodeDecodeError as error:
        raise ArpaError(path, 1, "the file is not text in UTF-8") from error


def _read(path: str | Path, lines: Iterator[tuple[int, str]]) -> NgramTrie:
    order, number = 0, 0
    texts: list[list[tuple[list[str], float, float]]] = []
    for number, line in lines:
        line = line.strip()
        if line == "\\end\\":
            break
        section = re.fullmatch(r"\\(\d+)-grams:", line)
        if section:
            order = int(section[1])
            if order != len(texts) + 1:
                raise ArpaError(path, number, f"the {order}-grams stand in the wrong place")
            texts.append([])
        elif order and line:
            fields = line.split()
            try:
                log_prob = float(fields[0])
                words = fields[1 : order + 1]
                backoff = float(fields[order + 1]) if len(fields) > order + 1 else 0.0
            except ValueError:
                raise ArpaError(path, number, "a number was expected") from None
            if len(words) != order or len(fields) > order + 2:
                raise ArpaError(path, number, f"{order} words were expected")
            texts[-1].append((words, log_prob, backoff))
    else:
        raise ArpaError(path, number, "the file ends before \\end\\")
    if not texts or not texts[0]:
        raise ArpaError(path, number, "there are no 1-grams")
    return _to_trie(texts)


def _to_trie(texts: list[list[tuple[list[str], float, float]]]) -> NgramTrie:
    vocabulary = sorted({BEGIN, END, UNKNOWN, *(words[0] for words, _, _ in texts[0])})
    ids = {word: i for i, word in enumerate(vocabulary)}
    unknown = ids[UNKNOWN]
    entries: list[Entries] = [
        {tuple([ids.get(word, unknown) for word in words]): (log_prob, backoff) for words, log_prob, backoff in level}
        for level in texts
    ]
    for word in (BEGIN, END, UNKNOWN):
        entries[0].setdefault((ids[word],), (MISSING_UNKNOWN_LOG10, 0.0))
    for n in range(len(entries) - 1, 0, -1):
        for ngram in list(entries[n]):
            for part in (ngram[:-1], ngram[1:]):
                if part not in entries[n - 1]:
                    entries[n - 1][part] = (_backed_off(entries, part), 0.0)
    return NgramTrie(vocabulary, tuple(_levels(entries, np.uint16 if len(vocabulary) <= 65536 else np.uint32)))


def _backed_off(entries: list[Entries], ngram: Ngram) -> float:
    """log10 p(last word | the others) of an n-gram that is not there."""
    if ngram in entries[len(ngram) - 1]:
        return entries[len(ngram) - 1][ngram][0]
    context = entries[len(ngram) - 2].get(ngram[:-1])
    return (context[1] if context else 0.0) + _backed_off(entries, ngram[1:])


def _levels(entries: list[Entries], word_type: type) -> Iterator[Level]:
    index: dict[Ngram, int] = {(): 0}
    ordered: list[Ngram] = []
    parents: list[Array] = []
    tables: list[tuple[Array, Array]] = []
    for level in entries:
        ordered = sorted(level)
        parents.append(np.array([index[ngram[:-1]] for ngram in ordered], np.int64))
        values = np.array([level[ngram] for ngram in ordered]).reshape(-1, 2) * LN_10
        tables.append((np.array([ngram[-1] for ngram in ordered], word_type), values.astype(np.float32)))
        index = {ngram: i for i, ngram in enumerate(ordered)}
    for n, (words, values) in enumerate(tables):
        if n + 1 < len(tables):
            yield Level(words, values[:, 0], values[:, 1], first_children(parents[n + 1], len(words)))
        else:
            yield Level(words, values[:, 0], np.zeros(0, np.float32), np.zeros(0, np.uint32))


def write(trie: NgramTrie, path: str | Path) -> None:
    """Write an unquantised model as ARPA."""
    with open(path, "w", encoding="utf-8") as file:
        file.write("\\data\\\n")
        file.writelines(f"ngram {n}={len(level)}\n" for n, level in enumerate(trie.levels, start=1))
        texts = [""]
        for n, level in enumerate(trie.levels, start=1):
            file.write(f"\n\\{n}-grams:\n")
            words = [trie.vocabulary[i] for i in level.words.tolist()]
            if n > 1:
                children = np.diff(trie.levels[n - 2].first_child)
                repeated = np.repeat(np.arange(len(children)), children).tolist()
                words = [f"{texts[parent]} {word}" for parent, word in zip(repeated, words, strict=True)]
            log_probs = (level.log_probs / LN_10).tolist()
            if len(level.log_backoffs):
                backoffs = (level.log_backoffs / LN_10).tolist()
                lines = zip(log_probs, words, backoffs, strict=True)
                file.writelines(f"{log_prob:.7g}\t{text}\t{backoff:.7g}\n" for log_prob, text, backoff in lines)
            else:
                file.writelines(f"{log_prob:.7g}\t{text}\n" for log_prob, text in zip(log_probs, words, strict=True))
            texts = words
        file.write("\n\\end\\\n")
