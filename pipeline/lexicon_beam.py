"""CTC beam search over sounds: the words of a pronunciation lexicon that explain the sound and are likely together.

How words are spelled need not be heard, so a network trained on little speech gets far more words right than with
letters. Every hypothesis stands at a node of the lexicon's trie, behind words that are finished. A word is finished
when the next one begins (or the utterance ends), and then the language model counts; before, the likeliest word that
the sounds can become is a promise (Ney and Ortmanns 2000, "Progress in dynamic programming search for LVCSR").
Hypotheses with the same node and the same language-model state have the same future: they become one, whose mass is
their sum and whose words are those of the likelier.

Letters, which the model tells beside sounds, have one thing to say: where none of them is certain, as in noise, nobody
spoke, and words are not believed. The less sure a word is, the more certain letters it takes.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from . import hotwords as hot
from .beam import COMMIT_EVERY_FRAMES
from .beam_options import PRONUNCIATIONS, BeamOptions
from .decoder import Decoded, FloatArray, Reading
from .events import Word
from .fingerprint import fingerprint
from .hotwords import HOTWORD_LOG_PROB, Hotwords
from .lexicon import ROOT, Lexicon
from .lm import CACHE_SIZE, State, Way

BLANK = 0
NO_SOUND = -1
PEAK_S = 0.037  # a sound is heard as a peak in its middle: a word reaches so much further than its peaks
CERTAIN_BEFORE, CERTAIN_AFTER = 25, 12  # letters count that are certain so many frames before a word to behind it
CONFIDENCE = (2.6, 1.4, 1.4)  # log-odds: constant, weight of the mean log-probability, of the logarithm of the share


class Said(NamedTuple):
    """A finished word."""

    text: str
    first: int  # frame of its first sound
    last: int  # frame of its last sound
    log_prob: float  # mean of its sounds
    share: float  # posterior when it was first seen finished in the best hypothesis; 0 until then
    settled: bool  # whether the text may be committed up to here


class Hypothesis(NamedTuple):
    """Words, sounds of the next word, and how likely the sound so far is under both."""

    node: int  # of the lexicon; ROOT before the first sound of an utterance
    lm: State  # behind the finished words
    hot: int  # node among the hotwords behind them
    blank: float  # mass of alignments that end in blank, language counted in; the best hypothesis has about one
    nonblank: float  # mass of those that end in the last sound
    sound: int  # the last one
    words: tuple[Said, ...]  # finished and not committed
    first: int  # frame of the open word's first sound
    last: int  # frame of its last sound
    log_prob: float  # sum over its sounds
    sounds: int  # how many


class LexiconState(NamedTuple):
    """All that is open."""

    frame: int  # the next one, counted from the start of the stream
    hypotheses: tuple[Hypothesis, ...]  # best first
    until_s: float  # where the last committed word ended
    certain: tuple[int, ...]  # frames in which a letter was certain, as far back as words are open


class _Finish(NamedTuple):
    """What it means that an open word was this one."""

    text: str
    factor: float  # of the mass
    lm: State
    hot: int
    settled: bool
    hope: float  # factor, and what hotwords may still earn


class WordModel(Protocol):
    """Says how likely words are: a language model, or phrases."""

    def start(self) -> State: ...
    def ways(self, state: State, word: str) -> Sequence[Way]: ...
    def end(self, state: State) -> float: ...
    def fingerprint(self) -> str: ...


class LexiconBeamDecoder:
    """A `Decoder` for models that tell sounds. Immutable but for caches of bounded size."""

    def __init__(
        self,
        tokens: int,
        frame_s: float,
        lm: WordModel,
        lexicon: Lexicon,
        options: BeamOptions = PRONUNCIATIONS,
        hotwords: Hotwords | None = None,
    ) -> None:
        """A decoder.

        Args:
            tokens: columns of log-probabilities before those of the sounds, which begin with their blank.
            frame_s: seconds of audio to a row.
            lm: says how likely words are.
            lexicon: says how they sound; made with the same vocabulary, and with the hotwords.
            hotwords: preferred.
        """
        self._tokens, self._frame_s = tokens, frame_s
        self._lm, self._lexicon, self.options, self._hotwords = lm, lexicon, options, hotwords
        promises = np.exp(options.lm_weight * lexicon.promises + options.word_bonus)
        promises[ROOT] = 1.0
        self._promises = promises.data
        self._best_beginning = max((float(promises[node]) for node in lexicon.children(ROOT).values()), default=0.0)
        self._pending = [math.exp(nats) for nats in hotwords.pending] if hotwords else [1.0]
        self._finishes: dict[tuple[int, State, int], tuple[_Finish, ...]] = {}
        self._certain = math.log(options.certain_blank_prob)
        self._belief = options.belief if tokens else 0.0
        self._wait_frames = round(options.commit_after_s / frame_s)

    def start(self) -> LexiconState:
        return self._begin(0)

    def _begin(self, frame: int) -> LexiconState:
        nothing = Hypothesis(ROOT, self._lm.start(), hot.ROOT, 1.0, 0.0, NO_SOUND, (), frame, frame, 0.0, 0)
        return LexiconState(frame, (nothing,), frame * self._frame_s, ())

    def fingerprint(self) -> str:
        parts = (self._lm, self._lexicon, self._hotwords)
        knowledge = [each and each.fingerprint() for each in parts]
        return fingerprint("lexicon beam", self._tokens, self._frame_s, self.options, *knowledge)

    def step(self, log_probs: FloatArray, state: LexiconState) -> tuple[Decoded, LexiconState]:
        """Read frames (see `Decoder.step`); log_probs are float32 [frames, tokens + 1 + sounds]."""
        committed: list[Word] = []
        certain = log_probs[:, BLANK] <= self._certain if self._tokens else np.ones(len(log_probs), bool)
        for sure, (blank, sounds) in zip(certain, self._likely_sounds(log_probs[:, self._tokens :]), strict=True):
            if sure:
                state = state._replace(certain=(*_still_asked_for(state), state.frame))
            state = self._hear(state, blank, sounds) if sounds else self._hear_nothing(state)
            if state.frame % COMMIT_EVERY_FRAMES == 0:
                words, state = self._commit(state)
                committed += words
        volatile = self._words(state, self._believed(state, self._open(state)))
        return Decoded(tuple(committed), volatile, self._unfinished_s(state)), state

    def finish(self, state: LexiconState) -> tuple[Decoded, LexiconState]:
        best = self.n_best(state, max(self.options.alternatives, 1), whole=True)
        if not best:  # no last word could end, as where a recording is cut off; the words before it are not lost
            settled = _settled_words(state.hypotheses[0].words)
            best = [Reading(self._words(state, self._believed(state, settled)), 0.0)]
        return Decoded(best[0].words, readings=tuple(best[: self.options.alternatives])), self._begin(state.frame)

    def n_best(self, state: LexiconState, count: int, whole: bool = False) -> list[Reading]:
        """The best readings if all words ended now, best first, no two alike, without what is committed.

        Args:
            whole: the sentence ends, too.
        """
        masses: dict[tuple[str, ...], float] = {}
        bearers: dict[tuple[str, ...], tuple[float, tuple[Said, ...]]] = {}
        for hypothesis in state.hypotheses:
            mass = hypothesis.blank + hypothesis.nonblank
            ends = [(mass, hypothesis.words, hypothesis.lm)]
            if hypothesis.node != ROOT:
                finishes = self._finished(hypothesis.node, hypothesis.lm, hypothesis.hot)
                ends = [
                    (mass * each.factor, (*hypothesis.words, _said(hypothesis, each)), each.lm) for each in finishes
                ]
            for mass, words, lm in ends:
                if whole:
                    end = self._lm.end(lm)
                    if end == -math.inf:  # in the middle of a phrase
                        continue
                    mass *= math.exp(self.options.lm_weight * end)
                words = self._believed(state, words)
                key = tuple(word.text for word in words)
                masses[key] = masses.get(key, 0.0) + mass
                if mass > bearers.get(key, (0.0, ()))[0]:
                    bearers[key] = mass, words
        ranked = sorted(bearers, key=lambda key: (-masses[key], key))
        total = sum(masses.values())
        readings: dict[tuple[str, ...], Reading] = {}
        for key in ranked:
            # whether somebody spoke does not depend on which word it was: all are as doubtful as the best one
            words = self._believed(state, bearers[key][1], masses[ranked[0]] / total)
            reading = Reading(self._words(state, words, masses[key] / total), math.log(masses[key]))
            readings.setdefault(tuple(word.text for word in words), reading)
            if len(readings) == count:
                break
        return list(readings.values())

    def _open(self, state: LexiconState) -> tuple[Said, ...]:
        """The words of the best hypothesis whose last word could end here."""
        for hypothesis in state.hypotheses:
            if hypothesis.node == ROOT:
                return _settled_words(hypothesis.words)
            finishes = self._finished(hypothesis.node, hypothesis.lm, hypothesis.hot)
            if finishes:
                last = _said(hypothesis, max(finishes, key=lambda finish: finish.factor))
                return _settled_words((*hypothesis.words, last))
        return _settled_words(state.hypotheses[0].words)

    def _unfinished_s(self, state: LexiconState) -> float | None:
        """Where the last word of a phrase ends that has only begun."""
        words = state.hypotheses[0].words
        begun = self._believed(state, words[len(_settled_words(words)) :])
        return (begun[-1].last + 1) * self._frame_s if begun else None

    def _likely_sounds(self, log_probs: FloatArray) -> list[tuple[float, list[tuple[int, float, float]]]]:
        """For each frame the probability of blank, lowered, and the sounds worth trying with both kinds of theirs."""
        options = self.options
        silent, lowered = math.log(options.blank_prob), math.exp(-options.blank_penalty)
        frames: list[tuple[float, list[tuple[int, float, float]]]] = []
        for row in log_probs.tolist():
            blank = row[BLANK]
            sounds: list[tuple[int, float, float]] = []
            if blank <= silent:
                tried = [sound for sound in range(1, len(row)) if row[sound] >= options.token_log_prob]
                tried.sort(key=lambda sound: (-row[sound], sound))
                sounds = [(sound, row[sound], math.exp(row[sound])) for sound in tried[: options.tokens_per_frame]]
            frames.append((math.exp(blank) * lowered, sounds))
        return frames

    def _hear_nothing(self, state: LexiconState) -> LexiconState:
        """A frame in which only blank is possible changes no ranking."""
        hypotheses = state.hypotheses
        if any(hypothesis.nonblank for hypothesis in hypotheses):
            hypotheses = tuple(each._replace(blank=each.blank + each.nonblank, nonblank=0.0) for each in hypotheses)
        return state._replace(frame=state.frame + 1, hypotheses=hypotheses)

    def _hear(self, state: LexiconState, blank: float, sounds: list[tuple[int, float, float]]) -> LexiconState:
        """One frame of the search."""
        options, promises, pending, children = self.options, self._promises, self._pending, self._lexicon.children
        probs = {sound: prob for sound, _, prob in sounds}
        hypotheses = state.hypotheses
        floor = math.exp(-options.prune_nats) * max(blank, sounds[0][2])
        floor *= max((each.blank + each.nonblank) * promises[each.node] * pending[each.hot] for each in hypotheses)

        # [blank, nonblank, mass of the likeliest way here, where that came from, the word it finished, the new sound]
        reached: dict[tuple[int, State, int], list[Any]] = {}
        for hypothesis in hypotheses:
            total = hypothesis.blank + hypothesis.nonblank
            held = hypothesis.nonblank * probs.get(hypothesis.sound, 0.0)
            reached[hypothesis[:3]] = [total * blank, held, total * blank + held, hypothesis, None, 0]

        beginnings = children(ROOT)
        for hypothesis in hypotheses:
            node, lm, hotword, mass_blank, mass_nonblank, last = hypothesis[:6]
            total = mass_blank + mass_nonblank
            longer = children(node)
            near = pending[hotword]
            finishes = self._finished(node, lm, hotword) if node != ROOT else ()
            # nothing below a node promises more than it does
            most = (promises[node] if node != ROOT else self._best_beginning) * near
            if finishes:
                most = max(most, finishes[0].hope * self._best_beginning)
            for sound, _, prob in sounds:
                if total * prob * most <= floor:  # nor do the sounds after this one, which are less likely
                    break
                mass = (mass_blank if sound == last else total) * prob
                if not mass:
                    continue
                child = longer.get(sound)
                if child is not None and mass * promises[child] * near > floor:
                    key = (child, lm, hotword)
                    there = reached.get(key)
                    if there is None:
                        reached[key] = [0.0, mass, mass, hypothesis, None, sound]
                    else:
                        there[1] += mass
                        if mass > there[2]:
                            there[2:] = mass, hypothesis, None, sound
                if finishes and (child := beginnings.get(sound)) is not None:
                    promised = mass * promises[child]
                    for finish in finishes:
                        _, factor, next_lm, next_hot, _, hope = finish
                        if promised * hope <= floor:
                            break
                        key = (child, next_lm, next_hot)
                        there = reached.get(key)
                        if there is None:
                            reached[key] = [0.0, mass * factor, mass * factor, hypothesis, finish, sound]
                        else:
                            there[1] += mass * factor
                            if mass * factor > there[2]:
                                there[2:] = mass * factor, hypothesis, finish, sound

        ranked = [((there[0] + there[1]) * promises[key[0]] * pending[key[2]], key) for key, there in reached.items()]
        ranked.sort(reverse=True)
        best = ranked[0][0]
        least, scale = best * math.exp(-options.prune_nats), 1.0 / best
        log_probs = {sound: log_prob for sound, log_prob, _ in sounds}
        kept = []
        for score, key in ranked[: options.width]:
            if score < least:
                break
            kept.append(_moved(key, reached[key], scale, state.frame, log_probs))
        return state._replace(frame=state.frame + 1, hypotheses=tuple(kept))

    def _finished(self, node: int, lm: State, hotword: int) -> tuple[_Finish, ...]:
        """The words that the open one can be, the most hopeful first."""
        key = (node, lm, hotword)
        found = self._finishes.get(key)
        if found is None:
            words = self._lexicon.words(node)
            finishes = [self._finish(word, way, hotword) for word in words for way in self._lm.ways(lm, word)]
            found = tuple(sorted(finishes, key=lambda finish: -finish.hope))
            if len(self._finishes) >= CACHE_SIZE:
                self._finishes.clear()
            self._finishes[key] = found
        return found

    def _finish(self, word: str, way: Way, hotword: int) -> _Finish:
        options = self.options
        nats = options.lm_weight * way.log_prob
        if self._hotwords:
            earned = 0.0
            for character in word:
                hotword, more = self._hotwords.step(hotword, character)
                earned += more
            if self._hotwords.ends_word(hotword):
                nats = max(nats, options.lm_weight * HOTWORD_LOG_PROB)
            hotword, more = self._hotwords.step(hotword, " ")
            nats += earned + more
        factor = math.exp(nats + options.word_bonus)
        return _Finish(way.text, factor, way.state, hotword, way.settled, factor * self._pending[hotword])

    def _commit(self, state: LexiconState) -> tuple[tuple[Word, ...], LexiconState]:
        """Give out what is certain: the words that all hypotheses share, or that have waited long enough in the best.

        Hypotheses that disagree are dropped.
        """
        state = self._with_shares(state)
        best = state.hypotheses[0].words
        if not best:
            return (), state
        shared = min(_common(best, each.words) for each in state.hypotheses)
        oldest = state.frame - self._wait_frames
        waited = sum(word.last < oldest for word in best)
        decided = (word.last + CERTAIN_AFTER < state.frame or self._is_believed(word, state) for word in best)
        known = next((i for i, yes in enumerate(decided) if not yes), len(best))
        count = _settled(best, min(known, max(shared, waited)))
        if not count:
            return (), state
        agreeing = tuple(
            each._replace(words=each.words[count:])
            for each in state.hypotheses
            if _common(best[:count], each.words) == count
        )
        following = best[count].first if count < len(best) else state.hypotheses[0].first
        words = self._words(state, self._believed(state, best[:count]), following=following)
        until_s = words[-1].end_s if words else state.until_s
        return words, state._replace(hypotheses=agreeing, until_s=until_s)

    def _with_shares(self, state: LexiconState) -> LexiconState:
        """Write down the posterior of each finished word of the best hypothesis when it is first seen.

        Later it would say little: what disagrees is soon dropped, and then the rest is certain whatever it is.
        """
        best = state.hypotheses[0]
        if all(word.share for word in best.words):
            return state
        masses = [(e.blank + e.nonblank) * self._promises[e.node] * self._pending[e.hot] for e in state.hypotheses]
        total, words = sum(masses), list[Said]()
        for count, word in enumerate(best.words, start=1):
            if not word.share:
                heads = zip(masses, state.hypotheses, strict=True)
                agreeing = sum(mass for mass, each in heads if _common(best.words[:count], each.words) == count)
                word = word._replace(share=agreeing / total)
            words.append(word)
        return state._replace(hypotheses=(best._replace(words=tuple(words)), *state.hypotheses[1:]))

    def _words(
        self, state: LexiconState, said: Sequence[Said], share: float = 1.0, following: int | None = None
    ) -> tuple[Word, ...]:
        """Words in seconds.

        Args:
            share: the posterior of words that have none yet.
            following: frame in which the word behind them begins, if there is one.
        """
        until_s, words = state.until_s, list[Word]()
        firsts = [*(each.first for each in said[1:]), following][: len(said)]
        for each, next_first in zip(said, firsts, strict=True):
            # in the hypothesis that was the best then, committed words may have ended later
            start_s = max(each.first * self._frame_s - PEAK_S, until_s)
            end_s = max((each.last + 1) * self._frame_s, start_s + self._frame_s)
            until_s = end_s + PEAK_S
            if next_first is not None:
                until_s = max(end_s, min(until_s, next_first * self._frame_s - PEAK_S))
            words.append(Word(each.text, start_s, until_s, _confidence(each.log_prob, each.share or share)))
        return tuple(words)

    def _believed(self, state: LexiconState, said: Sequence[Said], share: float = 1.0) -> tuple[Said, ...]:
        return tuple(word for word in said if self._is_believed(word, state, share))

    def _is_believed(self, word: Said, state: LexiconState, share: float = 1.0) -> bool:
        """Whether letters were certain near it; `share` is its posterior if it has none yet."""
        first = bisect_left(state.certain, word.first - CERTAIN_BEFORE)
        letters = bisect_right(state.certain, word.last + CERTAIN_AFTER) - first
        return letters > 0 and letters * _confidence(word.log_prob, word.share or share) >= self._belief


def _still_asked_for(state: LexiconState) -> tuple[int, ...]:
    """The frames with certain letters that an open word may yet be believed by."""
    firsts = (each.words[0].first if each.words else each.first for each in state.hypotheses if each.sounds)
    oldest = min(firsts, default=state.frame) - CERTAIN_BEFORE
    return state.certain[bisect_left(state.certain, oldest) :]


def _confidence(log_prob: float, share: float) -> float:
    """How often such a word is right: logistic regression on a thousand recognised words (benchmarks/decoders.py)."""
    constant, of_log_prob, of_share = CONFIDENCE
    return 1.0 / (1.0 + math.exp(-(constant + of_log_prob * log_prob + of_share * math.log(max(share, 1e-9)))))


def _moved(
    key: tuple[int, State, int], there: list[Any], scale: float, frame: int, log_probs: dict[int, float]
) -> Hypothesis:
    """The hypothesis that was reached, with its masses scaled."""
    blank, nonblank, _, before, finish, sound = there
    assert isinstance(before, Hypothesis)
    if not sound:  # it stayed where it was
        last = frame if nonblank > blank and before.nonblank > before.blank else before.last
        return before._replace(blank=blank * scale, nonblank=nonblank * scale, last=last)
    log_prob = log_probs[sound]
    if finish is None and before.node != ROOT:
        words, first, log_prob, sounds = before.words, before.first, before.log_prob + log_prob, before.sounds + 1
    else:
        words = before.words if finish is None else (*before.words, _said(before, finish))
        first, sounds = frame, 1
    return Hypothesis(*key, blank * scale, nonblank * scale, sound, words, first, frame, log_prob, sounds)


def _said(hypothesis: Hypothesis, finish: _Finish) -> Said:
    mean = hypothesis.log_prob / hypothesis.sounds
    return Said(finish.text, hypothesis.first, hypothesis.last, mean, 0.0, finish.settled)


def _settled(words: Sequence[Said], count: int) -> int:
    """How many of the first `count` words may be committed."""
    while count and not words[count - 1].settled:
        count -= 1
    return count


def _settled_words(words: tuple[Said, ...]) -> tuple[Said, ...]:
    """Without a phrase that has only begun."""
    return words[: _settled(words, len(words))]


def _common(some: Sequence[Said], others: Sequence[Said]) -> int:
    """How many words both begin with."""
    count = 0
    for a, b in zip(some, others, strict=False):
        if a.text != b.text:
            break
        count += 1
    return count
