"""Only these phrases: a finite automaton over letters and spaces that the beam search may not leave.

What is said is a sequence of phrases with spaces between them; with [unk] in the list, any other word may stand in
place of a phrase, at a price. A text can be read in several ways at once ("one two" as two phrases or as the beginning
of "one two three"), so a state is the set of all places where one could be, each with its extra price: a sorted tuple
of values.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .fingerprint import fingerprint
from .hotwords import some_phrases, spellable

UNKNOWN = "[unk]"
UNKNOWN_PRICE = 4.0  # nats for a word that is in no phrase ...
UNKNOWN_LETTER_PRICE = 0.5  # ... and for each of its letters

ROOT, IN_UNKNOWN = 0, -1  # places besides the nodes of the phrases' tree
State = tuple[tuple[int, float], ...]  # (place, price above the cheapest), sorted
MAX_WAYS = 64
CACHE_SIZE = 20_000


class Grammar:
    """The automaton. Immutable but for a cache of bounded size."""

    def __init__(self, phrases: Iterable[str], tokens: Sequence[str]) -> None:
        """Build it from phrases, among which may be "[unk]".

        Raises:
            HotwordError, UnspellableError: there is no phrase, or one is empty or cannot be spelled.
        """
        self._children: list[dict[str, int]] = [{}]
        self._ends: set[int] = set()
        given = some_phrases(phrases)
        self.allows_unknown = UNKNOWN in given
        self._phrases = {tuple(spellable(phrase, tokens).split()) for phrase in given - {UNKNOWN}}
        self._longest = max((len(words) for words in self._phrases), default=0)
        self._longest_letters = max((len(" ".join(words)) for words in self._phrases), default=0)
        for words in sorted(self._phrases):
            node = ROOT
            for character in " ".join(words):
                if character not in self._children[node]:
                    self._children[node][character] = len(self._children)
                    self._children.append({})
                node = self._children[node][character]
            self._ends.add(node)
        self._steps: dict[tuple[State, str], tuple[State, float] | None] = {}

    def fingerprint(self) -> str:
        return fingerprint(sorted(self._phrases), self.allows_unknown)

    def start(self) -> State:
        return ((ROOT, 0.0),)

    def step(self, state: State, character: str) -> tuple[State, float] | None:
        """Read one letter or one space behind a word: the next state and what it costs; None if that is not allowed."""
        key = (state, character)
        if key not in self._steps:
            if len(self._steps) >= CACHE_SIZE:
                self._steps.clear()
            self._steps[key] = self._step(state, character)
        return self._steps[key]

    def _step(self, state: State, character: str) -> tuple[State, float] | None:
        ways: dict[int, float] = {}
        for place, price in state:
            for after, extra in self._moves(place, character):
                ways[after] = min(ways.get(after, price + extra), price + extra)
        if not ways:
            return None
        cheapest = min(ways.values())
        kept = sorted(ways, key=lambda place: (ways[place], place))[:MAX_WAYS]
        return tuple(sorted((place, ways[place] - cheapest) for place in kept)), cheapest

    def _moves(self, place: int, character: str) -> Iterable[tuple[int, float]]:
        if character == " ":
            if place == IN_UNKNOWN or place in self._ends:
                yield ROOT, 0.0
        elif place == IN_UNKNOWN:
            yield IN_UNKNOWN, UNKNOWN_LETTER_PRICE
        elif place == ROOT and self.allows_unknown:
            yield IN_UNKNOWN, UNKNOWN_PRICE + UNKNOWN_LETTER_PRICE
        if place != IN_UNKNOWN and character in self._children[place]:
            yield self._children[place][character], 0.0

    def is_settled(self, state: State, letters: int) -> bool:
        """Whether everything so far, `letters` long, can be committed because it is whole phrases.

        It must be so in every reading, where another could still turn an unknown word into part of a phrase; but
        phrases that stay ambiguous for ever ("a", "a a") must not keep everything open.
        """
        wholes = [place == ROOT for place, _ in state]
        return all(wholes) or (any(wholes) and (not self.allows_unknown or letters > 2 * self._longest_letters))

    def accepts(self, state: State) -> float | None:
        """What it costs to end here; None if a phrase is unfinished."""
        prices = [price for place, price in state if place in (ROOT, IN_UNKNOWN) or place in self._ends]
        return min(prices, default=None)

    def label(self, words: Sequence[str]) -> list[str]:
        """The words with those outside all phrases replaced by [unk], as few as possible."""
        best: list[tuple[int, list[str]]] = [(0, [])]
        for end in range(1, len(words) + 1):
            unknown, labels = best[end - 1]
            options = [(unknown + 1, [*labels, UNKNOWN])]
            for start in range(max(end - self._longest, 0), end):
                if tuple(words[start:end]) in self._phrases:
                    options.append((best[start][0], [*best[start][1], *words[start:end]]))
            best.append(min(options, key=lambda option: option[0]))
        return best[-1][1]
