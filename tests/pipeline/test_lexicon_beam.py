"""The search over sounds against its definition, and the promises that every decoder makes.

Letters stand for sounds here: every word is pronounced as it is written, and nothing is heard of spaces.
"""

import itertools
import math
import pickle
from collections import defaultdict
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rillet.pipeline.beam_options import PRONUNCIATIONS
from rillet.pipeline.decoding import make_decoder
from rillet.pipeline.events import Word
from rillet.pipeline.hotwords import Hotword, Hotwords
from rillet.pipeline.lexicon import Lexicon, Pronunciations, Sounds
from rillet.pipeline.lexicon_beam import (
    CERTAIN_AFTER,
    CERTAIN_BEFORE,
    PEAK_S,
    LexiconBeamDecoder,
    LexiconState,
)
from rillet.pipeline.lm import LanguageModel, State, Way
from rillet.pipeline.values import from_bytes, to_bytes
from simulated_ctc import FRAME_S, SOUNDS, TOKENS, Noise, simulate_sounds, sounds_of

FloatArray = npt.NDArray[np.float32]
NOTHING_PRUNED = replace(
    PRONUNCIATIONS,
    width=10**6,
    prune_nats=700.0,
    token_log_prob=-math.inf,
    tokens_per_frame=10**6,
    blank_prob=0.999_999_999,
    blank_penalty=0.0,
)
SENTENCES = ["the cat sat on the mat", "my sister looked at the sea", "yes", "a bird was near the river bank no"]


@pytest.fixture(scope="module")
def decoder(spoken_lm: LanguageModel) -> LexiconBeamDecoder:
    """Narrow, with hotwords, one of which no language model knows."""
    hotwords = Hotwords([Hotword("kubernetes"), Hotword("the cat sat", 3)], TOKENS)
    assert spoken_lm.lexicon
    lexicon = spoken_lm.lexicon.with_words({"kubernetes": [sounds_of("kubernetes")]}, -9.0)
    return LexiconBeamDecoder(0, FRAME_S, spoken_lm, lexicon, replace(PRONUNCIATIONS, width=20), hotwords)


def decode(
    decoder: LexiconBeamDecoder, log_probs: FloatArray, sizes: list[int] | None = None
) -> tuple[list[Word], LexiconState]:
    """All words, and the state before the end."""
    state, committed, start = decoder.start(), [], 0
    for size in sizes or [len(log_probs)]:
        decoded, state = decoder.step(log_probs[start : start + size], state)
        committed += decoded.committed
        start += size
    last, _ = decoder.finish(state)
    return [*committed, *last.committed], state


def behind_letters(log_probs: FloatArray) -> FloatArray:
    """As a model tells both, with a certain letter in every frame."""
    return np.concatenate([np.full((len(log_probs), len(TOKENS)), -3, np.float32), log_probs], axis=1)


def text(words: list[Word]) -> str:
    return " ".join(word.text for word in words)


class WholeHistory:
    """A language model whose state is all words, so that no two texts become one."""

    def start(self) -> State:
        return ()

    def score(self, state: State, word: str) -> tuple[float, State]:
        number = 1 + ["a", "ab", "ba", "eight", "ate"].index(word)
        return -0.5 * number - 0.1 * len(state), (*state, number)

    def end(self, state: State) -> float:
        return -0.3 * len(state)

    def ways(self, state: State, word: str) -> list[Way]:
        return [Way(word, *self.score(state, word), settled=True)]

    def fingerprint(self) -> str:
        return "stub"


class NoHistory(WholeHistory):
    def score(self, state: State, word: str) -> tuple[float, State]:
        return super().score((), word)[0], ()


SAID = {"a": [(1,)], "ab": [(1, 2)], "ba": [(2, 1), (2, 2, 1)], "eight": [(1, 1)], "ate": [(1, 1)]}


def definition(log_probs: FloatArray, whole_history: bool) -> dict[str, float]:
    """By text: the mass of all alignments of all its pronunciations, times what language says."""
    strings: dict[Sounds, float] = defaultdict(float)
    for path in itertools.product(range(3), repeat=len(log_probs)):
        sounds = tuple(sound for sound, _ in itertools.groupby(path) if sound)
        strings[sounds] += math.exp(sum(float(row[sound]) for row, sound in zip(log_probs, path, strict=True)))
    lm = WholeHistory() if whole_history else NoHistory()
    found: dict[str, float] = defaultdict(float)
    for count in range(len(log_probs) + 1):
        for words in itertools.product(SAID, repeat=count):
            state, nats = lm.start(), 0.0
            for word in words:
                log_prob, state = lm.score(state, word)
                nats += 0.7 * log_prob + 0.2
            for several in itertools.product(*(SAID[word] for word in words)):
                found[" ".join(words)] += strings.get(sum(several, ()), 0.0) * math.exp(nats)
    return {text: mass for text, mass in found.items() if mass}


def tiny_decoder(whole_history: bool) -> LexiconBeamDecoder:
    vocabulary = sorted(SAID)
    arrays = Pronunciations.of(("A", "B"), {vocabulary.index(word): several for word, several in SAID.items()})
    lexicon = Lexicon(arrays, vocabulary, np.full(len(vocabulary), -1.0))
    lm = WholeHistory() if whole_history else NoHistory()
    options = replace(NOTHING_PRUNED, lm_weight=0.7, word_bonus=0.2)
    return LexiconBeamDecoder(0, FRAME_S, lm, lexicon, options)


@pytest.mark.parametrize("seed", range(4))
def test_with_nothing_pruned_every_text_has_the_sum_of_all_its_alignments(seed: int) -> None:
    logits = np.random.default_rng(seed).normal(0, 2, (5, 3))
    log_probs = (logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)).astype(np.float32)
    decoder = tiny_decoder(whole_history=True)
    _, state = decoder.step(log_probs, decoder.start())
    found = {text(list(each.words)): math.exp(each.score) for each in decoder.n_best(state, 10**6)}
    expected = definition(log_probs, whole_history=True)
    assert found.keys() == expected.keys()
    scale = found[""] / expected[""]  # masses are relative
    for words, mass in expected.items():
        assert found[words] == pytest.approx(scale * mass, rel=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_texts_that_become_one_keep_their_mass(seed: int) -> None:
    logits = np.random.default_rng(seed).normal(0, 2, (5, 3))
    log_probs = (logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)).astype(np.float32)
    decoder = tiny_decoder(whole_history=False)
    _, state = decoder.step(log_probs, decoder.start())
    found = {text(list(each.words)): math.exp(each.score) for each in decoder.n_best(state, 10**6)}
    expected = definition(log_probs, whole_history=False)
    assert sum(found.values()) == pytest.approx(sum(expected.values()) * found[""] / expected[""], rel=1e-6)


def test_the_language_model_chooses_among_words_that_sound_alike() -> None:
    decoder = tiny_decoder(whole_history=True)
    log_probs = np.full((5, 3), -20, np.float32)
    for frame, sound in enumerate([0, 1, 0, 1, 0]):
        log_probs[frame, sound] = -1e-6
    _, state = decoder.step(log_probs, decoder.start())
    found = {text(list(each.words)): each.score for each in decoder.n_best(state, 9)}
    assert found["eight"] - found["ate"] == pytest.approx(0.7 * 0.5, abs=1e-3)
    assert found["a a"] > -20


def chunkings(frames: int) -> st.SearchStrategy[list[int]]:
    cuts = st.lists(st.integers(0, frames), max_size=12).map(lambda cuts: sorted([0, *cuts, frames]))
    return cuts.map(lambda cuts: [b - a for a, b in itertools.pairwise(cuts)])


@settings(deadline=None, max_examples=40)
@given(data=st.data(), seed=st.integers(0, 5), sentence=st.sampled_from([*SENTENCES, "the kubernetes sat"]))
def test_any_chunking_gives_the_same_words_and_state(
    decoder: LexiconBeamDecoder, data: st.DataObject, seed: int, sentence: str
) -> None:
    log_probs, _ = simulate_sounds(sentence, seed)
    whole, state = decode(decoder, log_probs)
    pieces, same_state = decode(decoder, log_probs, data.draw(chunkings(len(log_probs))))
    assert pieces == whole
    assert same_state == state


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10**6), sentence=st.sampled_from(SENTENCES))
def test_what_is_committed_begins_all_that_comes_after(decoder: LexiconBeamDecoder, seed: int, sentence: str) -> None:
    log_probs, _ = simulate_sounds(sentence, seed, Noise(spread=2.5))
    committed: list[Word] = []
    prefixes = []
    state = decoder.start()
    for row in log_probs:
        decoded, state = decoder.step(row[None], state)
        committed += decoded.committed
        prefixes.append(list(committed))
        words = [*committed, *decoded.volatile]
        assert all(a.end_s <= b.start_s + 1e-9 for a, b in itertools.pairwise(words))
        assert all(word.start_s < word.end_s and 0 <= word.confidence <= 1 for word in words)
    last, _ = decoder.finish(state)
    final = [*committed, *last.committed]
    assert all(prefix == final[: len(prefix)] for prefix in prefixes)


def test_words_are_committed_while_the_stream_goes_on(decoder: LexiconBeamDecoder) -> None:
    log_probs, times = simulate_sounds("the cat sat on the mat " * 5 + "the cat", seed=1)
    state, committed_by = decoder.start(), []
    for frame in range(len(log_probs)):
        decoded, state = decoder.step(log_probs[frame : frame + 1], state)
        committed_by += [(word, frame) for word in decoded.committed]
    assert len(committed_by) >= len(times) - 8
    waits_s = [frame * FRAME_S - word.end_s for word, frame in committed_by]
    assert max(waits_s) < PRONUNCIATIONS.commit_after_s + 1.0  # a word is finished when the next one begins


def test_times_are_those_of_the_sounds(decoder: LexiconBeamDecoder) -> None:
    log_probs, times = simulate_sounds("the cat sat on the mat", 3, Noise(spread=0.8))
    words, _ = decode(decoder, log_probs)
    assert text(words) == "the cat sat on the mat"
    for word, (first, last) in zip(words, times, strict=True):
        assert abs(word.start_s + PEAK_S - first * FRAME_S) <= FRAME_S
        assert abs(word.end_s - PEAK_S - (last + 1) * FRAME_S) <= 2 * FRAME_S


def test_words_are_believed_where_letters_are_certain(spoken_lm: LanguageModel) -> None:
    sounds, times = simulate_sounds("the cat sat on the mat", 3, Noise(spread=0.5))
    nothing = np.full((20, 1 + len(SOUNDS)), -12, np.float32)
    nothing[:, 0] = -1e-4
    sounds = np.concatenate([sounds, nothing])

    def hear(certain: list[int], belief: float = 0.8) -> str:
        decoder = make_decoder(TOKENS, FRAME_S, phones=SOUNDS, lm=spoken_lm, options={"belief": belief})
        letters = np.full((len(sounds), len(TOKENS)), -9, np.float32)
        letters[:, 0] = -0.1
        letters[certain, 0] = -4.0
        state, words = decoder.start(), list[Word]()
        for row in np.concatenate([letters, sounds], axis=1):
            decoded, state = decoder.step(row[None], state)
            words += decoded.committed
        return text([*words, *decoder.finish(state)[0].committed])

    assert hear([]) == ""
    assert hear(list(range(len(sounds)))) == "the cat sat on the mat"
    first, last = times[-1]
    assert hear([last + CERTAIN_AFTER]) == "mat"
    assert hear([last + CERTAIN_AFTER + 2]) == ""
    assert "mat" not in hear([first - CERTAIN_BEFORE - 3])
    assert hear([last + 1], 1.6) == ""  # never so sure with one letter
    assert hear([last + 1, last + CERTAIN_AFTER], 1.6) == "mat"
    assert hear([last + 1], 0.0) != ""


@pytest.mark.parametrize("seed", range(5))
def test_alternatives_keep_their_words_however_unlikely_they_are(spoken_lm: LanguageModel, seed: int) -> None:
    """That somebody spoke is as sure for each of them."""
    sounds, _ = simulate_sounds("the cat sat on the mat", seed, Noise(spread=1.5))
    letters = np.full((len(sounds), len(TOKENS)), -4, np.float32)

    def texts(**options: float) -> list[str]:
        options |= {"alternatives": 6, "commit_after_s": 60}
        decoder = make_decoder(TOKENS, FRAME_S, phones=SOUNDS, lm=spoken_lm, options=options)
        _, state = decoder.step(np.concatenate([letters, sounds], axis=1), decoder.start())
        return [text(list(each.words)) for each in decoder.finish(state)[0].readings]

    assert len(set(texts())) == len(texts()) > 3
    assert texts() == texts(belief=0.0)


def test_silence_says_nothing(decoder: LexiconBeamDecoder) -> None:
    log_probs = np.full((50, 1 + len(SOUNDS)), -12, np.float32)
    log_probs[:, 0] = -1e-4
    words, state = decode(decoder, log_probs)
    assert words == []
    assert len(state.hypotheses) == 1


def test_a_new_utterance_goes_on_in_time(decoder: LexiconBeamDecoder) -> None:
    log_probs, _ = simulate_sounds("the cat sat on the mat", seed=3)
    utterances, state = [], decoder.start()
    for _ in range(2):
        decoded, state = decoder.step(log_probs, state)
        last, state = decoder.finish(state)
        utterances.append([*decoded.committed, *last.committed])
    first, second = utterances
    assert text(first) == text(second) == "the cat sat on the mat"
    for a, b in zip(first, second, strict=True):
        assert b.start_s - a.start_s == pytest.approx(len(log_probs) * FRAME_S)


def test_one_state_serves_many_steps_and_can_be_written_down(decoder: LexiconBeamDecoder) -> None:
    log_probs, _ = simulate_sounds("the cat sat on the mat", seed=3)
    _, state = decoder.step(log_probs[:20], decoder.start())
    before = pickle.dumps(state)
    once = decoder.step(log_probs[20:], state)
    assert decoder.step(log_probs[20:], state) == once
    assert pickle.dumps(state) == before
    restored = from_bytes(to_bytes(state, LexiconState, LexiconState), LexiconState, LexiconState)
    assert decoder.step(log_probs[20:], restored) == once


def test_a_long_stream_keeps_a_small_state(decoder: LexiconBeamDecoder) -> None:
    pieces = [simulate_sounds(sentence, seed)[0] for seed, sentence in enumerate(SENTENCES * 8)]
    logits = np.random.default_rng(1).normal(0, 2, (500, 1 + len(SOUNDS)))
    noise = (logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)).astype(np.float32)
    state = decoder.start()
    for piece in (*pieces, noise, *pieces):
        for start in range(0, len(piece), 8):
            _, state = decoder.step(piece[start : start + 8], state)
            assert max(len(each.words) for each in state.hypotheses) < 60
            assert all(0 < each.blank + each.nonblank < math.inf for each in state.hypotheses)


def test_a_hotword_that_nobody_knows_is_simulate_sounds(spoken_lm: LanguageModel, decoder: LexiconBeamDecoder) -> None:
    log_probs, _ = simulate_sounds("the kubernetes sat on the mat", 2, Noise(spread=0.5))
    assert spoken_lm.lexicon
    without = LexiconBeamDecoder(0, FRAME_S, spoken_lm, spoken_lm.lexicon)
    assert "kubernetes" not in text(decode(without, log_probs)[0])
    assert text(decode(decoder, log_probs)[0]) == "the kubernetes sat on the mat"


def test_a_hotword_is_preferred_to_what_sounds_alike(spoken_lm: LanguageModel) -> None:
    assert spoken_lm.lexicon
    log_probs = np.full((4, 1 + len(SOUNDS)), -20, np.float32)
    for frame, letters in enumerate(["c", "a", "tr", ""]):
        for letter in letters or [""]:
            log_probs[frame, 0 if not letter else 1 + SOUNDS.index(letter)] = -math.log(len(letters or " "))
    lexicon = spoken_lm.lexicon.with_words({"car": [sounds_of("car")]}, -9.0)
    for weight, expected in ((-30.0, "cat"), (30.0, "car")):
        hotwords = Hotwords([Hotword("car", weight)], TOKENS, nats_per_letter=20)
        decoder = LexiconBeamDecoder(0, FRAME_S, spoken_lm, lexicon, PRONUNCIATIONS, hotwords)
        assert text(decode(decoder, log_probs)[0]) == expected


def test_all_of_a_long_phrase_is_believed(spoken_lm: LanguageModel) -> None:
    """However long ago its first letters were certain."""
    phrase = " ".join(["the cat sat on the mat"] * 12)
    log_probs, _ = simulate_sounds(phrase, 3)
    assert len(log_probs) > 500
    rows = behind_letters(log_probs)
    decoder = make_decoder(TOKENS, FRAME_S, phones=SOUNDS, lm=spoken_lm, phrases=[phrase])
    assert isinstance(decoder, LexiconBeamDecoder)
    decoded, state = decoder.step(rows, decoder.start())
    last, _ = decoder.finish(state)
    assert text([*decoded.committed, *last.committed]) == phrase


def test_certain_letters_are_forgotten_when_no_word_can_be_believed_by_them(spoken_lm: LanguageModel) -> None:
    log_probs, _ = simulate_sounds(" ".join(["the cat sat on the mat"] * 12), 3)
    rows = behind_letters(log_probs)
    decoder = make_decoder(TOKENS, FRAME_S, phones=SOUNDS, lm=spoken_lm, options={"commit_after_s": 1.0})
    assert isinstance(decoder, LexiconBeamDecoder)
    _, state = decoder.step(rows, decoder.start())
    assert len(state.certain) < 100


def test_a_phrase_that_is_not_complete_has_an_end(spoken_lm: LanguageModel) -> None:
    log_probs, _ = simulate_sounds("the cat sat on the mat", 3)
    decoder = make_decoder(TOKENS, FRAME_S, phones=SOUNDS, lm=spoken_lm, phrases=["the cat sat on the mat"])
    assert isinstance(decoder, LexiconBeamDecoder)
    rows = behind_letters(log_probs)
    state, ends = decoder.start(), list[float]()
    for row in rows[: 2 * len(rows) // 3]:
        decoded, state = decoder.step(row[None], state)
        assert not decoded.volatile
        ends += [decoded.unfinished_s] if decoded.unfinished_s is not None else []
    assert len(set(ends)) > 2
    assert ends[0] < ends[-1]
    assert ends[-1] <= len(rows) * FRAME_S


def test_where_nothing_can_end_there_is_one_reading(spoken_lm: LanguageModel) -> None:
    log_probs, _ = simulate_sounds("the cat", 3)
    rows = behind_letters(log_probs)
    options = {"alternatives": 3, "token_log_prob": -4.0}
    decoder = make_decoder(TOKENS, FRAME_S, phones=SOUNDS, lm=spoken_lm, phrases=["the cat sat"], options=options)
    decoded, _ = decoder.finish(decoder.step(rows, decoder.start())[1])
    assert [reading.words for reading in decoded.readings] == [decoded.committed] == [()]


def test_sounds_are_heard_where_model_and_language_model_have_them(spoken_lm: LanguageModel) -> None:
    kinds = {
        "sounds": make_decoder(TOKENS, FRAME_S, phones=SOUNDS, lm=spoken_lm),
        "other sounds": make_decoder(TOKENS, FRAME_S, phones=SOUNDS[1:], lm=spoken_lm),
        "no sounds": make_decoder(TOKENS, FRAME_S, lm=spoken_lm),
        "no language": make_decoder(TOKENS, FRAME_S, phones=SOUNDS),
        "grammar": make_decoder(TOKENS, FRAME_S, phones=SOUNDS, lm=spoken_lm, phrases=["the cat"]),
    }
    assert [name for name, kind in kinds.items() if isinstance(kind, LexiconBeamDecoder)] == ["sounds", "grammar"]
    log_probs, _ = simulate_sounds("the cat sat on the mat", 3, Noise(spread=0.8))
    rows = behind_letters(log_probs)
    decoded, state = kinds["sounds"].step(rows, kinds["sounds"].start())
    last, _ = kinds["sounds"].finish(state)
    assert text([*decoded.committed, *last.committed]) == "the cat sat on the mat"
