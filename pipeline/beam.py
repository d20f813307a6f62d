"""CTC prefix beam search: the texts that explain the sound best, each summed over all its alignments.

Hannun et al. 2014, "First-pass large vocabulary continuous speech recognition using bi-directional recurrent DNNs":
for every prefix two masses are kept, of the alignments that end in blank and of those that end in its last token. They
are plain probabilities, rescaled before they vanish or overflow; language enters when prefixes are compared.

A prefix is a string with one character per token, reaching back to the last commit: strings are quick to extend, hash
and compare, and a state made of them can be written down.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from heapq import heappush, heappushpop
from typing import NamedTuple

import numpy as np

from .beam_options import BeamOptions
from .decoder import Decoded, FloatArray, Reading
from .events import Word
from .fingerprint import fingerprint
from .grammar import Grammar
from .hotwords import Hotwords
from .lm import LanguageModel
from .text_model import Prose, TextModel
from .word_times import Mark, Span, spans_of, to_word

BLANK = 0
SMALLEST_MASS, LARGEST_MASS = 1e-120, 1e120  # lifted letters let masses grow, where nothing stops the talk
COMMIT_EVERY_FRAMES = 8  # commits happen at frames divisible by this, so that they do not depend on the chunking
LANGUAGE_GAIN_NATS = 4.0  # a text may gain so much by one more token, when a likely word is finished
GRAMMAR_PRUNE_NATS = 30.0  # leaving a phrase that was begun costs much at once: its words become unknown ones
GRAMMAR_TOKEN_LOG_PROB = -14.0  # a grammar forbids most tokens, and the right one may be unlikely


class Hypothesis(NamedTuple):
    """A text and how likely the sound so far is under it."""

    prose: Prose
    blank: float  # mass of alignments that end in blank, relative to exp(BeamState.log_scale)
    nonblank: float  # mass of those that end in the last token
    marks: tuple[Mark, ...]  # one for each token, on the best alignment


class BeamState(NamedTuple):
    """All that is open: a value made of numbers, strings and tuples."""

    frame: int  # the next one, counted from the start of the stream
    hypotheses: tuple[Hypothesis, ...]  # best first
    log_scale: float = 0.0
    shares: tuple[tuple[str, float], ...] = ()  # finished words of the best text: tokens up to there, posterior


class BeamDecoder:
    """A `Decoder` that searches for the best text. Immutable but for caches of bounded size."""

    def __init__(
        self,
        tokens: Sequence[str],
        frame_s: float,
        options: BeamOptions | None = None,
        lm: LanguageModel | None = None,
        hotwords: Hotwords | None = None,
        grammar: Grammar | None = None,
    ) -> None:
        self._tokens = list(tokens)
        self._frame_s = frame_s
        self.options = options or BeamOptions()
        self._text = TextModel(tokens, self.options, lm, hotwords, grammar)
        self._space_tokens = {i for i, token in enumerate(self._tokens) if token == " "}
        # with one more letter a word becomes less likely, unless that leads into a hotword
        self._gaining_tokens = {i for i, token in enumerate(self._tokens) if hotwords or " " in token}
        self._prune_nats = max(self.options.prune_nats, GRAMMAR_PRUNE_NATS if grammar else 0.0)
        self._wait_frames = round(self.options.commit_after_s / frame_s)

    def start(self) -> BeamState:
        return self._begin(0)

    def _begin(self, frame: int) -> BeamState:
        return BeamState(frame, (Hypothesis(self._text.start(), 1.0, 0.0, ()),))

    def step(self, log_probs: FloatArray, state: BeamState) -> tuple[Decoded, BeamState]:
        """Read frames (see `Decoder.step`); log_probs are float32 [frames, at least tokens]."""
        committed: list[Word] = []
        for blank, tokens in self._likely_tokens(log_probs):
            state = self._hear(state, blank, tokens) if tokens else self._hear_nothing(state, blank)
            if state.frame % COMMIT_EVERY_FRAMES == 0:
                words, state = self._commit(state)
                committed += words
        best = state.hypotheses[0]
        shares, whole = dict(state.shares), self._whole(best)
        unfinished = self._words(best, shares) if whole is not best else ()
        unfinished_s = unfinished[-1].end_s if unfinished else None
        return Decoded(tuple(committed), self._words(whole, shares), unfinished_s), state

    def finish(self, state: BeamState) -> tuple[Decoded, BeamState]:
        count = self.options.alternatives
        best = self.n_best(state, max(count, 1))
        best = best or [Reading(self._words(self._whole(state.hypotheses[0]), dict(state.shares)), 0.0)]
        return Decoded(best[0].words, readings=tuple(best[:count])), self._begin(state.frame)

    def fingerprint(self) -> str:
        return fingerprint("beam", self._frame_s, self._text.fingerprint())

    def n_best(self, state: BeamState, count: int) -> list[Reading]:
        """The best readings if the utterance ended now, best first, without what is committed.

        Texts that differ in spaces alone are one. With a grammar there may be none: every phrase is unfinished.
        """
        masses: dict[tuple[str, ...], float] = {}
        bearers: dict[tuple[str, ...], Hypothesis] = {}
        for hypothesis in state.hypotheses:
            language = self._text.ended(hypothesis.prose)
            if language is None:
                continue
            score = math.log(hypothesis.blank + hypothesis.nonblank) + language + state.log_scale
            key = tuple(self._spelled(hypothesis))
            if key in masses:
                high, low = max(score, masses[key]), min(score, masses[key])
                masses[key] = high + math.log1p(math.exp(low - high))
            else:
                masses[key], bearers[key] = score, hypothesis
        ranked = sorted(masses, key=lambda key: -masses[key])
        total = sum(math.exp(masses[key] - masses[ranked[0]]) for key in ranked)
        shares = dict(state.shares)
        readings = []
        for key in ranked[:count]:
            share = math.exp(masses[key] - masses[ranked[0]]) / total
            readings.append(Reading(self._words(bearers[key], shares, share), masses[key]))
        return readings

    def _likely_tokens(self, log_probs: FloatArray) -> list[tuple[float, list[tuple[int, float]]]]:
        """For each frame the log-probability of blank and the tokens worth trying, likeliest first and lifted."""
        options, lifts = self.options, self._text.lifts
        log_probs = log_probs[:, : len(self._tokens)]
        floor, most = options.token_log_prob, options.tokens_per_frame
        if self._text.grammar:
            floor, most = min(floor, GRAMMAR_TOKEN_LOG_PROB), len(self._tokens)
        blanks = log_probs[:, BLANK].tolist()
        silent = math.log(options.blank_prob) if options.blank_prob < 1 else math.inf
        tried: list[list[tuple[int, float]]] = [[] for _ in blanks]
        for frame, token in zip(*(axis.tolist() for axis in np.nonzero(log_probs >= floor)), strict=True):
            if token != BLANK and blanks[frame] <= silent:
                tried[frame].append((token, float(log_probs[frame, token]) + lifts[token]))
        for tokens in tried:
            tokens.sort(key=lambda each: (-each[1], each[0]))
            del tokens[most:]
        return list(zip(blanks, tried, strict=True))

    def _hear_nothing(self, state: BeamState, blank: float) -> BeamState:
        """A frame in which only blank is possible changes no ranking."""
        hypotheses = state.hypotheses
        if any(hypothesis.nonblank for hypothesis in hypotheses):
            hypotheses = tuple(
                Hypothesis(prose, mass + nonblank, 0.0, marks) for prose, mass, nonblank, marks in hypotheses
            )
        return BeamState(state.frame + 1, hypotheses, state.log_scale + blank, state.shares)

    def _hear(self, state: BeamState, blank: float, tokens: list[tuple[int, float]]) -> BeamState:
        """One frame of the search."""
        options, extend, log, lifts = self.options, self._text.extend, math.log, self._text.lifts
        frame = state.frame
        blank_prob = math.exp(blank)
        # number, name, probability, its logarithm, and that before it was lifted
        candidates = [(token, chr(token), math.exp(lifted), lifted, lifted - lifts[token]) for token, lifted in tokens]
        columns = {name: j for j, (_, name, *_) in enumerate(candidates)}
        space_prob = sum(prob for token, _, prob, *_ in candidates if token in self._space_tokens)

        # Every text may go on by one token, and can hope to be so likely then; the promise of a finished word may help.
        hypotheses = state.hypotheses
        log_masses = [log(each.blank + each.nonblank) for each in hypotheses]
        reaches = [log_mass + each.prose.weight for log_mass, each in zip(log_masses, hypotheses, strict=True)]
        floor = max(reaches) + max(blank, tokens[0][1]) - self._prune_nats
        spaces = np.array([token in self._space_tokens for token, _ in tokens])
        gaining = np.array([token in self._gaining_tokens for token, _ in tokens])
        closed = np.array([not each.prose.word for each in hypotheses])[:, None]  # no word is open
        hopes = np.add.outer(reaches, [lifted for _, lifted in tokens])
        hopes += np.where(closed | gaining, LANGUAGE_GAIN_NATS, 0.0)
        hopes[closed & spaces] = math.nan  # a space there is no different from a blank

        # Or it stays as it is, by a blank or by holding its last token; it may also be what a shorter one becomes.
        stays: list[Hypothesis] = []
        places = {each.prose.tokens: i for i, each in enumerate(hypotheses)}
        for prose, mass_blank, mass_nonblank, marks in hypotheses:
            total, name = mass_blank + mass_nonblank, prose.tokens[-1:]
            j = columns.get(name)
            prob, _, log_prob = candidates[j][2:] if j is not None else (0.0, 0.0, 0.0)
            if not prose.word and space_prob:
                stay, hold = total * (blank_prob + space_prob), 0.0
            else:
                stay, hold = total * blank_prob, mass_nonblank * prob
                if prob > blank_prob and mass_nonblank > mass_blank:
                    first, _, best, cut = marks[-1]
                    marks = (*marks[:-1], Mark(first, frame, max(best, log_prob), cut))
            if j is not None and (i := places.get(prose.tokens[:-1])) is not None:
                hopes[i, j] = math.nan
                shorter, mass_blank, mass_nonblank, its_marks = hypotheses[i]
                mass = (mass_blank if shorter.tokens[-1:] == name else mass_blank + mass_nonblank) * prob
                if mass > stay + hold:
                    marks = (*its_marks, Mark(frame, frame, log_prob, prose.settled))
                hold += mass
            stays.append(Hypothesis(prose, stay, hold, marks))
        ranked = [
            (log(mass) + each.prose.weight, each.prose.tokens, each)
            for each in stays
            if (mass := each.blank + each.nonblank)
        ]

        # What language says to a new text is looked up for the most hopeful first, and for as long as there is hope.
        least = sorted(each[0] for each in ranked)[-options.width :]  # a heap of the best scores so far
        if len(least) == options.width:
            floor = max(floor, least[0])
        hopeful = np.flatnonzero(hopes >= floor)
        hopeful = hopeful[np.argsort(-hopes.ravel()[hopeful], kind="stable")]
        for place, hope in zip(hopeful.tolist(), hopes.ravel()[hopeful].tolist(), strict=True):
            if hope < floor:
                break
            i, j = divmod(place, len(candidates))
            prose, mass_blank, mass_nonblank, marks = hypotheses[i]
            token, name, prob, lifted, _ = candidates[j]
            total, log_mass = mass_blank + mass_nonblank, log_masses[i]
            if prose.tokens[-1:] == name:  # the same again only behind a blank
                total, log_mass = mass_blank, log(mass_blank) if mass_blank else -math.inf
            longer = extend(prose, token, floor - log_mass - lifted)
            if longer is None or not (mass := total * prob):
                continue
            score = log_mass + lifted + longer.weight
            # its mark is made below, if it survives: many do not
            ranked.append((score, longer.tokens, Hypothesis(longer, 0.0, mass, marks)))
            if len(least) < options.width:
                heappush(least, score)
            else:
                heappushpop(least, score)
            if len(least) == options.width:
                floor = max(floor, least[0])
        ranked.sort(reverse=True)
        floor = ranked[0][0] - self._prune_nats
        kept = []
        for score, name, hypothesis in ranked[: options.width]:
            if score < floor:
                break
            if len(hypothesis.marks) < len(name):
                prose, _, mass, marks = hypothesis
                new = Mark(frame, frame, candidates[columns[name[-1]]][4], prose.settled)
                hypothesis = Hypothesis(prose, 0.0, mass, (*marks, new))
            kept.append(hypothesis)
        return _rescaled(BeamState(frame + 1, tuple(kept), state.log_scale, state.shares))

    def _commit(self, state: BeamState) -> tuple[tuple[Word, ...], BeamState]:
        """Give out what is certain: what all texts share, or what has waited long enough in the best one.

        Texts that disagree with it are dropped. A cut lies before a space, so that only whole words leave.
        """
        best = state.hypotheses[0]
        cuts = _cuts(best)
        if not cuts:
            return (), state
        shares = _shares(state, cuts)
        shared = _common_length([hypothesis.prose.tokens for hypothesis in state.hypotheses])
        oldest = state.frame - self._wait_frames
        cut = max((cut for cut in cuts if cut < shared or best.marks[cut - 1].last < oldest), default=0)
        if not cut:
            return (), state._replace(shares=shares)
        head = best.prose.tokens[: cut + 1]
        words = self._words(_first_tokens(best, cut), dict(shares))
        agreeing = tuple(
            hypothesis._replace(
                prose=hypothesis.prose._replace(tokens=hypothesis.prose.tokens[cut:]), marks=hypothesis.marks[cut:]
            )
            for hypothesis in state.hypotheses
            if hypothesis.prose.tokens.startswith(head)
        )
        left = tuple((tokens[cut:], share) for tokens, share in shares if len(tokens) > cut + 1)
        return words, BeamState(state.frame, agreeing, state.log_scale, left)

    def _whole(self, hypothesis: Hypothesis) -> Hypothesis:
        """Without a phrase that a grammar has only begun."""
        grammar = self._text.grammar
        if grammar is None or grammar.accepts(hypothesis.prose.grammar) is not None:
            return hypothesis
        return _first_tokens(hypothesis, max(_cuts(hypothesis), default=0))

    def _spans(self, hypothesis: Hypothesis) -> list[Span]:
        pieces = [self._tokens[ord(name)] for name in hypothesis.prose.tokens]
        return spans_of(pieces, hypothesis.marks)

    def _spelled(self, hypothesis: Hypothesis) -> list[str]:
        """Its words as they are given out: with a grammar, those outside all phrases are [unk]."""
        texts = [span.text for span in self._spans(hypothesis)]
        grammar = self._text.grammar
        return grammar.label(texts) if grammar and grammar.allows_unknown else texts

    def _words(self, hypothesis: Hypothesis, shares: dict[str, float], open_share: float = 1.0) -> tuple[Word, ...]:
        """Words in seconds; `shares` are the posteriors of finished words, `open_share` that of the last one."""
        tokens = hypothesis.prose.tokens
        spans = zip(self._spans(hypothesis), self._spelled(hypothesis), strict=True)
        return tuple(
            to_word(span._replace(text=text), self._frame_s, shares.get(tokens[: span.end + 1], open_share))
            for span, text in spans
        )


def _first_tokens(hypothesis: Hypothesis, count: int) -> Hypothesis:
    prose = hypothesis.prose._replace(tokens=hypothesis.prose.tokens[:count])
    return hypothesis._replace(prose=prose, marks=hypothesis.marks[:count])


def _cuts(hypothesis: Hypothesis) -> list[int]:
    """Numbers of the tokens before which the text may be committed."""
    return [i for i, mark in enumerate(hypothesis.marks) if mark.cut and i]


def _shares(state: BeamState, cuts: list[int]) -> tuple[tuple[str, float], ...]:
    """The posterior of each finished word of the best text, from when it was first seen finished.

    Later it would say little: what disagrees is soon dropped, and then the rest is certain whatever it is.
    """
    known = dict(state.shares)
    tokens = state.hypotheses[0].prose.tokens
    heads = [tokens[: cut + 1] for cut in cuts]
    if all(head in known for head in heads):
        return tuple((head, known[head]) for head in heads)
    scores = [math.log(each.blank + each.nonblank) + each.prose.weight for each in state.hypotheses]
    masses = [math.exp(score - scores[0]) for score in scores]
    total = sum(masses)
    for head in heads:
        if head not in known:
            agreeing = (
                mass for mass, each in zip(masses, state.hypotheses, strict=True) if each.prose.tokens.startswith(head)
            )
            known[head] = sum(agreeing) / total
    return tuple((head, known[head]) for head in heads)


def _common_length(texts: list[str]) -> int:
    """How many characters all texts share at their beginning: as many as the first and the last in order do."""
    low, high = min(texts), max(texts)
    return next((i for i, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), len(low))


def _rescaled(state: BeamState) -> BeamState:
    """The same with masses that can neither vanish nor overflow in the next frame."""
    largest = max(each.blank + each.nonblank for each in state.hypotheses)
    if SMALLEST_MASS < largest < LARGEST_MASS:
        return state
    hypotheses = tuple(
        each._replace(blank=each.blank / largest, nonblank=each.nonblank / largest) for each in state.hypotheses
    )
    return state._replace(hypotheses=hypotheses, log_scale=state.log_scale + math.log(largest))
