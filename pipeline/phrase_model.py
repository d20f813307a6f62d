"""Only these phrases, for a search over sounds: a language model that knows nothing else.

What is said is a sequence of phrases; with [unk] in the list, any other word of the lexicon may stand in place of a
phrase, at a price. A state is one place in the tree of phrases: a text that can be read in two ways is two hypotheses.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from .fingerprint import fingerprint
from .grammar import UNKNOWN
from .hotwords import some_phrases, spellable
from .lm import State, Way

ROOT: State = ()  # between phrases; elsewhere the number of a node
UNKNOWN_PRICE = 6.0  # nats for a word that is in no phrase


class PhraseModel:
    """Phrases as a language model. Immutable."""

    def __init__(self, phrases: Iterable[str], tokens: Sequence[str]) -> None:
        """Build it from phrases, among which may be "[unk]".

        Raises:
            HotwordError, UnspellableError: there is no phrase, or one is empty or cannot be spelled.
        """
        given = some_phrases(phrases)
        self.allows_unknown = UNKNOWN in given
        self._phrases = sorted({tuple(spellable(phrase, tokens).split()) for phrase in given - {UNKNOWN}})
        self._children: list[dict[str, int]] = [{}]
        self._ends: set[int] = set()
        for words in self._phrases:
            node = 0
            for word in words:
                if word not in self._children[node]:
                    self._children[node][word] = len(self._children)
                    self._children.append({})
                node = self._children[node][word]
            self._ends.add(node)
        self.words = frozenset(word for words in self._phrases for word in words)

    def fingerprint(self) -> str:
        return fingerprint(self._phrases, self.allows_unknown)

    def start(self) -> State:
        return ROOT

    def ways(self, state: State, word: str) -> Sequence[Way]:
        """What a word can be: the next in a phrase, the last in one, or none of ours."""
        ways = []
        node = self._children[state[0] if state else 0].get(word)
        if node is not None:
            if node in self._ends:
                ways.append(Way(word, 0.0, ROOT, settled=True))
            if self._children[node]:
                ways.append(Way(word, 0.0, (node,), settled=False))
        if self.allows_unknown and state == ROOT:  # also a word of a phrase, said outside of it
            ways.append(Way(UNKNOWN, -UNKNOWN_PRICE, ROOT, settled=True))
        return ways

    def end(self, state: State) -> float:
        """Zero between phrases, and -inf in the middle of one."""
        return 0.0 if state == ROOT else -math.inf
