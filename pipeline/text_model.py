"""What a beam search knows of language: language model, hotwords and grammar, in one score that grows with the text.

A `Prose` is everything about a piece of text that the search has to carry. It is a value that follows from the text
alone, whatever the sound was.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from . import grammar as grammars
from . import hotwords as hot
from .beam_options import BeamOptions
from .fingerprint import fingerprint
from .grammar import Grammar
from .hotwords import HOTWORD_LOG_PROB, Hotwords
from .lm import CACHE_SIZE, LanguageModel, State

MAX_WORD_LETTERS = 64  # no longer word is spelled, so that noise cannot grow one for ever
LEAST_LETTER_SHARE = 1e-4  # of a letter that the language model never writes


class Prose(NamedTuple):
    """A text and what is known of it."""

    tokens: str  # one character per token, chr(index), since the last commit
    word: str  # letters of the unfinished word
    lm: State  # of the language model before that word
    hot: int  # node among the hotwords
    grammar: grammars.State
    settled: bool  # the text before the last token is whole words (in a grammar: phrases) and may be committed
    fixed: float  # nats for all that is finished
    weight: float  # the same with the promise of the unfinished word: what the search ranks by


class TextModel:
    """Language model, hotwords and grammar, each if there is one. Immutable but for the caches inside."""

    def __init__(
        self,
        tokens: Sequence[str],
        options: BeamOptions,
        lm: LanguageModel | None = None,
        hotwords: Hotwords | None = None,
        grammar: Grammar | None = None,
    ) -> None:
        self._pieces = list(tokens)
        plain = hotwords is None and grammar is None
        self._letters = ["" if not plain or " " in piece else piece for piece in tokens]
        self._options = options
        self._lm = lm
        self._hotwords = hotwords
        self.grammar = grammar
        self._unknown = lm.score((), "")[0] if lm else 0.0
        self._word_bonus = options.word_bonus if lm or grammar else 0.0
        self._hotword_promise = self._word_bonus + (options.lm_weight * HOTWORD_LOG_PROB if lm else 0.0)
        self._promises: dict[str, float] = {}
        self._penalties: dict[str, float] = {}  # of words that were finished
        # nats by token: network and language model both know how frequent letters are, and what both say would count
        # twice; so rare letters are raised
        self.lifts = [0.0 if lm is None else self._lift(lm, piece) for piece in tokens]

    def fingerprint(self) -> str:
        knowledge = (self._lm, self._hotwords, self.grammar)
        return fingerprint(self._pieces, self._options, *(each and each.fingerprint() for each in knowledge))

    def _lift(self, lm: LanguageModel, piece: str) -> float:
        shares = (max(lm.letter_shares.get(letter, 0.0), LEAST_LETTER_SHARE) for letter in piece)
        return -self._options.letter_prior * sum(map(math.log, shares))

    def start(self) -> Prose:
        """No text."""
        return Prose(
            tokens="",
            word="",
            lm=self._lm.start() if self._lm else (),
            hot=hot.ROOT,
            grammar=self.grammar.start() if self.grammar else (),
            settled=False,
            fixed=0.0,
            weight=0.0,
        )

    def extend(self, prose: Prose, token: int, least: float) -> Prose | None:
        """The text with one more token; None if its weight is below `least`, or grammar or length forbid it."""
        letter = self._letters[token]
        if letter:  # the most frequent case, without all that cannot happen in it
            word = prose.word + letter
            promise = self._promises.get(word)
            if promise is None:
                promise = self._promise(word, hot.ROOT)
            weight = prose.fixed + promise
            if weight < least or len(word) > MAX_WORD_LETTERS:
                return None
            return Prose(prose.tokens + chr(token), word, prose.lm, hot.ROOT, (), False, prose.fixed, weight)
        _, word, lm, node, place, _, fixed, _ = prose
        settled = False
        for i, character in enumerate(self._pieces[token]):
            if character == " ":
                if not word:
                    continue
                nats, lm = self._finish_word(word, lm, node)
                fixed += nats
                word = ""
            else:
                word += character
            if self._hotwords:
                node, earned = self._hotwords.step(node, character)
                fixed += earned
            if self.grammar:
                step = self.grammar.step(place, character)
                if step is None:
                    return None
                place, price = step
                fixed -= price
            if character == " " and i == 0:
                settled = self.grammar is None or self.grammar.is_settled(place, len(prose.tokens))
        if len(word) > MAX_WORD_LETTERS:
            return None
        weight = fixed
        if word:
            weight += self._promise(word, node)
        if self._hotwords and node > hot.ROOT:
            weight += self._hotwords.pending[node]
        if weight < least:
            return None
        return Prose(prose.tokens + chr(token), word, lm, node, place, settled, fixed, weight)

    def ended(self, prose: Prose) -> float | None:
        """Nats of the text if it ends here; None if the grammar does not let it."""
        fixed, lm = prose.fixed, prose.lm
        if prose.word:
            nats, lm = self._finish_word(prose.word, lm, prose.hot)
            fixed += nats
            if self._hotwords:
                fixed += self._hotwords.step(prose.hot, " ")[1]
        if self.grammar:
            price = self.grammar.accepts(prose.grammar)
            if price is None:
                return None
            fixed -= price
        return fixed + (self._options.lm_weight * self._lm.end(lm) if self._lm else 0.0)

    def _finish_word(self, word: str, lm: State, node: int) -> tuple[float, State]:
        """Nats for a whole word, and the language model's state behind it."""
        options = self._options
        if self._lm is None:
            return self._word_bonus, ()
        log_prob, after = self._lm.score(lm, word)
        penalty = self._penalties.get(word)
        if penalty is None:
            penalty = 0.0 if word in self._lm else self._unknown_penalty(word)
            if len(self._penalties) >= CACHE_SIZE:
                self._penalties.clear()
            self._penalties[word] = penalty
        nats = options.lm_weight * log_prob - penalty
        if self._hotwords and self._hotwords.ends_word(node):
            nats = max(nats, options.lm_weight * HOTWORD_LOG_PROB)
        return nats + self._word_bonus, after

    def _promise(self, letters: str, node: int) -> float:
        """Nats to expect of a word that begins so: the best of a known word, an unknown one and a hotword."""
        promise = self._promises.get(letters)
        if promise is None:
            promise = self._word_bonus
            if self._lm is not None:
                known = self._options.lm_weight * self._lm.begins(letters)
                unknown = self._options.lm_weight * self._unknown - self._unknown_penalty(letters)
                promise += max(known, unknown)
            if len(self._promises) >= CACHE_SIZE:
                self._promises.clear()
            self._promises[letters] = promise
        if node > hot.ROOT:
            return max(promise, self._hotword_promise)
        return promise

    def _unknown_penalty(self, letters: str) -> float:
        return self._options.unknown_word_penalty + self._options.unknown_letter_penalty * len(letters)
