"""A pronunciation lexicon as a trie of sounds: which words can a string of sounds be, and which can it become?

It is made from flat arrays (`Pronunciations`, as a language model file holds them) in some milliseconds. Nodes are
numbered by depth, so that the children of a node are neighbours; being numbers they can be in a decoder's state.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .fingerprint import fingerprint

ROOT = 0  # before the first sound of a word
CACHE_SIZE = 20_000  # nodes whose children and words are kept as Python reads them fastest

Sounds = tuple[int, ...]  # indices of CTC outputs: sound k is phones[k - 1]


@dataclass(frozen=True)
class Pronunciations:
    """What the words of a vocabulary sound like, sorted by sounds.

    phones   names of the sounds; CTC output 0 is the blank and output k is phones[k - 1]
    words    uint16 or uint32 [n], positions in the vocabulary; a word has as many entries as pronunciations
    lengths  uint8 [n], sounds in each, above zero
    sounds   uint8 [sum of lengths], 1..len(phones)
    """

    phones: tuple[str, ...]
    words: NDArray[Any]
    lengths: NDArray[np.uint8]
    sounds: NDArray[np.uint8]

    @classmethod
    def of(cls, phones: Sequence[str], said: Mapping[int, Sequence[Sounds]]) -> Pronunciations:
        """From the pronunciations of each word of a vocabulary; words without any may be missing."""
        rows = sorted((bytes(sounds), word) for word, several in said.items() for sounds in set(several) if sounds)
        small = max(said, default=0) < 65536
        return cls(
            tuple(phones),
            np.array([word for _, word in rows], np.uint16 if small else np.uint32),
            np.array([len(sounds) for sounds, _ in rows], np.uint8),
            np.frombuffer(b"".join(sounds for sounds, _ in rows), np.uint8),
        )

    def check(self, vocabulary: int) -> None:
        """Raises ValueError unless the arrays fit each other and a vocabulary of this size."""
        fits = len(self.words) == len(self.lengths) and int(self.lengths.sum(dtype=np.int64)) == len(self.sounds)
        if not (fits and (not len(self.words) or int(self.words.max()) < vocabulary)):
            raise ValueError("its pronunciations do not fit its words")
        if len(self.words) and not (
            self.lengths.min() > 0 and 1 <= self.sounds.min() <= self.sounds.max() <= len(self.phones)
        ):
            raise ValueError("its pronunciations have sounds without names")
        table = self.table()
        first_difference = (table[1:] != table[:-1]).argmax(axis=1)[:, None]
        before, later = (np.take_along_axis(rows, first_difference, 1) for rows in (table[:-1], table[1:]))
        if (later < before).any():
            raise ValueError("its pronunciations are not sorted")

    def table(self) -> NDArray[np.uint8]:
        """The sounds of each pronunciation and zeros behind them, [n, longest + 1]."""
        table = np.zeros((len(self.lengths), int(self.lengths.max(initial=0)) + 1), np.uint8)
        table[np.arange(table.shape[1]) < self.lengths[:, None]] = self.sounds
        return table


class Lexicon:
    """The trie. Immutable but for caches of bounded size; shared by all streams."""

    def __init__(self, said: Pronunciations, vocabulary: Sequence[str], log_probs: NDArray[np.floating[Any]]) -> None:
        """Build it.

        Args:
            vocabulary: the words that `said` names by number.
            log_probs: of each of them, [words]; the best word below a node is what it promises.
        """
        self.phones = said.phones
        self._said = said
        self._vocabulary = vocabulary
        self._build(said, np.asarray(log_probs, np.float64))
        self._children: dict[int, dict[int, int]] = {}
        self._words: dict[int, tuple[str, ...]] = {}
        self._new_children: dict[int, dict[int, int]] = {}  # of `with_words`, as the next three
        self._new_words: dict[int, tuple[str, ...]] = {}
        self._new_promises: dict[int, float] = {}
        self._size = len(self._promises)

    def _build(self, said: Pronunciations, log_probs: NDArray[np.float64]) -> None:
        """Number the nodes level by level: pronunciations that begin alike are neighbours, because they are sorted."""
        lengths, table = said.lengths, said.table()
        rows, deepest = len(table), table.shape[1] - 1
        differs = np.ones((rows, deepest + 1), bool)
        differs[1:] = np.logical_or.accumulate(table[1:] != table[:-1], axis=1)
        above, above_count = np.zeros(rows, np.int64), 1  # the node of each row one level up; the root
        sounds, first_child, ends = [np.zeros(1, np.uint8)], list[NDArray[np.int64]](), np.zeros(rows, np.int64)
        parents, start = list[NDArray[np.int64]](), 1
        for depth in range(deepest):
            here = lengths > depth
            begins = here & differs[:, depth]
            nodes = start + np.cumsum(begins) - 1
            sounds.append(table[begins, depth])
            parents.append(above[begins])
            first_child.append(start + np.searchsorted(above[begins], np.arange(start - above_count, start)))
            ends[lengths == depth + 1] = nodes[lengths == depth + 1]
            above, above_count = nodes, int(begins.sum())
            start += above_count
        first_child.append(np.full(above_count + 1, start))
        self._sounds = np.concatenate(sounds).data
        self._first_child = np.concatenate(first_child).data
        order = np.argsort(ends, kind="stable")
        self._ids = said.words[order].data
        self._first_word = np.searchsorted(ends[order], np.arange(start + 1)).data
        promises = np.full(start, -math.inf)
        np.maximum.at(promises, ends, log_probs[said.words])
        level_end = start
        for parent in reversed(parents):
            np.maximum.at(promises, parent, promises[level_end - len(parent) : level_end])
            level_end -= len(parent)
        self._promises = promises

    @property
    def promises(self) -> NDArray[np.float64]:
        """By node: log-probability of the likeliest word below it, [nodes]; -inf where there is none."""
        new = [self._new_promises[node] for node in range(len(self._promises), self._size)]
        promises = np.concatenate([self._promises, new])
        for node, promise in self._new_promises.items():
            promises[node] = promise
        return promises

    def fingerprint(self) -> str:
        said = self._said
        arrays = (said.words.tobytes(), said.lengths.tobytes(), said.sounds.tobytes())
        return fingerprint(said.phones, *arrays, sorted(self._new_words.items()), sorted(self._new_promises.items()))

    def children(self, node: int) -> dict[int, int]:
        """The nodes one sound further on, by sound. Not to be altered."""
        found = self._children.get(node)
        if found is None:
            found = {}
            if node < len(self._promises):
                first, end = self._first_child[node], self._first_child[node + 1]
                found = {self._sounds[child]: child for child in range(first, end)}
            if node in self._new_children:
                found = found | self._new_children[node]
            if len(self._children) >= CACHE_SIZE:
                self._children.clear()
            self._children[node] = found
        return found

    def words(self, node: int) -> tuple[str, ...]:
        """The words that sound like the way to this node."""
        found = self._words.get(node)
        if found is None:
            found = ()
            if node < len(self._promises):
                ids = self._ids[self._first_word[node] : self._first_word[node + 1]]
                found = tuple(self._vocabulary[i] for i in ids)
            found += tuple(word for word in self._new_words.get(node, ()) if word not in found)
            if len(self._words) >= CACHE_SIZE:
                self._words.clear()
            self._words[node] = found
        return found

    def pronunciations(self, words: Collection[str]) -> dict[str, list[Sounds]]:
        """How these words sound, without those that it does not know."""
        places = [(bisect_left(self._vocabulary, word), word) for word in words]
        wanted = {i for i, word in places if i < len(self._vocabulary) and self._vocabulary[i] == word}
        found: dict[str, list[Sounds]] = {}
        ends = np.cumsum(self._said.lengths, dtype=np.int64)
        for row in np.flatnonzero(np.isin(self._said.words, list(wanted))).tolist():
            sounds = self._said.sounds[ends[row] - self._said.lengths[row] : ends[row]]
            found.setdefault(self._vocabulary[self._said.words[row]], []).append(tuple(sounds.tolist()))
        return found

    def evenly(self, log_prob: float) -> Lexicon:
        """The same words, all as promising as each other."""
        return Lexicon(self._said, self._vocabulary, np.full(len(self._vocabulary), log_prob))

    def empty(self) -> Lexicon:
        """No words, and the same sounds."""
        return Lexicon(Pronunciations.of(self.phones, {}), (), np.zeros(0))

    def with_words(self, said: Mapping[str, Sequence[Sounds]], log_prob: float) -> Lexicon:
        """The same with more words, each at least as promising as `log_prob` says."""
        longer = object.__new__(Lexicon)
        longer.__dict__.update(self.__dict__)
        longer._children, longer._words = {}, {}
        longer._new_children = {node: dict(children) for node, children in self._new_children.items()}
        longer._new_words, longer._new_promises = dict(self._new_words), dict(self._new_promises)
        for word, several in said.items():
            for sounds in several:
                longer._add(word, sounds, log_prob)
        return longer

    def _add(self, word: str, sounds: Sounds, log_prob: float) -> None:
        node = ROOT
        for sound in sounds:
            child = self.children(node).get(sound)
            if child is None:
                child, self._size = self._size, self._size + 1
                self._new_children.setdefault(node, {})[sound] = child
                self._children.pop(node, None)
            node = child
            old = self._promises[node] if node < len(self._promises) else -math.inf
            self._new_promises[node] = max(self._new_promises.get(node, old), log_prob)
        self._new_words[node] = (*self._new_words.get(node, ()), word)
        self._words.pop(node, None)
