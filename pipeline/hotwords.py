"""A user's own words: phrases that the beam search prefers a little when it hears something like them.

The phrases form an Aho-Corasick automaton over letters and spaces in which matches begin at word beginnings only (Aho
and Corasick 1975, "Efficient string matching"). A state is the number of a node, so it is a value like all of a
decoder's state. Walking into a phrase earns a share of its bonus in advance; leaving it half-way takes that back,
because what is pending depends on the node alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .errors import RilletError
from .fingerprint import fingerprint

DEFAULT_WEIGHT = 6.0
HOTWORD_LOG_PROB = -9.0  # a word of a phrase is at least this likely to the language model, about once in 8000
OUTSIDE = -1  # in the middle of a word with which no phrase begins
ROOT = 0  # at the beginning of a word


class HotwordError(RilletError, ValueError):
    """A hotword that cannot be used."""


class UnspellableError(HotwordError):
    def __init__(self, phrase: str, character: str, known: str) -> None:
        letters = known.replace("'", "")  # an apostrophe among them looks like a quotation mark without its other half
        spelling = letters + (" and the apostrophe" if letters != known else "")
        super().__init__(
            f"{phrase!r} cannot be recognised because the model has no token with {character!r}; "
            f"spell it with: {spelling}"
        )


@dataclass(frozen=True)
class Hotword:
    """A phrase and how much it is preferred."""

    phrase: str  # one word or several
    weight: float = DEFAULT_WEIGHT  # nats that hearing the whole phrase is worth, at most `nats_per_letter` a letter

    def __post_init__(self) -> None:
        """Raises HotwordError if the weight is not a finite number."""
        if not math.isfinite(self.weight):
            raise HotwordError(f"{self.phrase!r}: its weight is {self.weight} and must be a number such as 8.")

    @classmethod
    def parse(cls, text: str) -> Hotword:
        """From "Kubernetes" or "Anna Karenina:8", as on the command line.

        Raises:
            HotwordError: the weight is not a finite number.
        """
        phrase, colon, weight = text.rpartition(":")
        if not colon:
            return cls(text)
        try:
            nats = float(weight)
        except ValueError:
            raise HotwordError(f"{text!r}: behind the colon stands the weight, a number such as 8.") from None
        return cls(phrase, nats)


def spellable(phrase: str, tokens: Sequence[str]) -> str:
    """The phrase as the model writes it: lower case, one space between words.

    Raises:
        UnspellableError: a character of it is in no token.
        HotwordError: it is empty.
    """
    written = " ".join(phrase.lower().split())
    characters = set("".join(tokens))
    if not written:
        raise HotwordError("an empty phrase cannot be recognised; give at least one word.")
    for character in written:
        if character not in characters and character != " ":
            raise UnspellableError(phrase, character, "".join(sorted(characters - {" "})))
    return written


def some_phrases(phrases: Iterable[str]) -> set[str]:
    """The phrases that alone may come out.

    Raises:
        HotwordError: there are none, so that nothing could ever be recognised.
    """
    given = set(phrases)
    if not given:
        raise HotwordError("there are no phrases to hear; give at least one, or None to hear everything.")
    return given


class Hotwords:
    """The automaton. Immutable."""

    def __init__(self, hotwords: Iterable[Hotword], tokens: Sequence[str], nats_per_letter: float = 1.5) -> None:
        """Build it from phrases.

        Args:
            nats_per_letter: cap on a phrase's weight; without it a heavy short word would replace its neighbours.

        Raises:
            HotwordError, UnspellableError
        """
        self._children: list[dict[str, int]] = [{}]
        self.pending: list[float] = [0.0]  # by node: what the way into it has earned in advance
        self._earned: list[float] = [0.0]  # by node: what is earned for good by the space that leads into it
        for hotword in hotwords:
            phrase = spellable(hotword.phrase, tokens)
            weight = min(hotword.weight, nats_per_letter * len(phrase))
            node = ROOT
            for depth, character in enumerate(phrase, start=1):
                node = self._child(node, character)
                self.pending[node] = max(self.pending[node], weight * depth / len(phrase), key=abs)
            node = self._child(node, " ")
            self._earned[node] = max(self._earned[node], weight, key=abs)
        self._links = self._suffix_links()

    def fingerprint(self) -> str:
        return fingerprint(self._children, self.pending, self._earned)

    def _child(self, node: int, character: str) -> int:
        if character not in self._children[node]:
            self._children[node][character] = len(self._children)
            self._children.append({})
            self.pending.append(0.0)
            self._earned.append(0.0)
        return self._children[node][character]

    def _suffix_links(self) -> list[int]:
        """By node: where the longest later beginning of a word in its text leads, found breadth first."""
        links = [OUTSIDE] * len(self._children)
        queue = [ROOT]
        for node in queue:
            for character, child in self._children[node].items():
                # the first word has no earlier word inside it, so its letters lead outside and its space to the root
                links[child] = self._follow(links[node], character, links) if node != ROOT else OUTSIDE
                if character == " ":
                    self._earned[child] = max(self._earned[child], self._earned[links[child]], key=abs)
                queue.append(child)
        return links

    def _follow(self, node: int, character: str, links: list[int]) -> int:
        while node != OUTSIDE:
            child = self._children[node].get(character)
            if child is not None:
                return child
            node = links[node]
        return ROOT if character == " " else OUTSIDE

    def ends_word(self, node: int) -> bool:
        """Whether the letters up to here are a whole word of a phrase."""
        while node > ROOT:
            if " " in self._children[node]:
                return True
            node = self._links[node]
        return False

    def step(self, node: int, character: str) -> tuple[int, float]:
        """Read one character: the next node and what is earned for good.

        A path that ends here moves on to what may still follow, so a node in a state always has a future.
        """
        after = self._follow(node, character, self._links)
        earned = self._earned[after] if after != OUTSIDE else 0.0
        while after > ROOT and not self._children[after]:
            after = self._links[after]
        return after, earned
