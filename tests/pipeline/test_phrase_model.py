"""Phrases heard by their sounds; letters stand for sounds, as in test_lexicon_beam.py."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rillet.pipeline.decoding import make_decoder
from rillet.pipeline.events import Word
from rillet.pipeline.hotwords import UnspellableError
from rillet.pipeline.lexicon import Pronunciations
from rillet.pipeline.lexicon_beam import LexiconBeamDecoder
from rillet.pipeline.lm import LanguageModel
from rillet.pipeline.ngrams import NgramTrie
from simulated_ctc import FRAME_S, SOUNDS, TOKENS, Noise, simulate_sounds, sounds_of

FloatArray = npt.NDArray[np.float32]


@pytest.fixture(scope="module")
def lm(small_trie: NgramTrie) -> LanguageModel:
    said = {i: [sounds_of(word)] for i, word in enumerate(small_trie.vocabulary) if word[0] != "<"}
    return LanguageModel(replace(small_trie, pronunciations=Pronunciations.of(SOUNDS, said)))


def decoder(lm: LanguageModel, *phrases: str) -> LexiconBeamDecoder:
    made = make_decoder(TOKENS, FRAME_S, phones=SOUNDS, lm=lm, phrases=phrases)
    assert isinstance(made, LexiconBeamDecoder)
    return made


def decode(decoder: LexiconBeamDecoder, log_probs: FloatArray, sizes: list[int]) -> list[Word]:
    state, words, start = decoder.start(), list[Word](), 0
    for size in sizes:
        decoded, state = decoder.step(log_probs[start : start + size], state)
        words += decoded.committed
        start += size
    return [*words, *decoder.finish(state)[0].committed]


def with_tokens(log_probs: FloatArray) -> FloatArray:
    """Behind columns of letters, which nobody reads."""
    return np.concatenate([np.full((len(log_probs), len(TOKENS)), -3, np.float32), log_probs], axis=1)


def hear(phrases: LexiconBeamDecoder, sentence: str, seed: int = 3) -> str:
    log_probs, _ = simulate_sounds(sentence, seed, Noise(spread=0.5))
    words = decode(phrases, with_tokens(log_probs), [len(log_probs)])
    return " ".join(word.text for word in words)


def test_only_phrases_come_out(lm: LanguageModel) -> None:
    phrases = decoder(lm, "the cat", "the dog sat", "no")
    assert hear(phrases, "the cat") == "the cat"
    assert hear(phrases, "no the cat the dog sat no") == "no the cat the dog sat no"
    assert hear(phrases, "the cap") == "the cat"
    for sentence in ("my sister saw the sea", "a bird was near the river bank"):
        for word in hear(phrases, sentence).replace("the cat", "").replace("the dog sat", "").split():
            assert word == "no"


def test_a_phrase_that_only_begins_does_not_come_out(lm: LanguageModel) -> None:
    phrases = decoder(lm, "the cat sat", "no")
    assert hear(phrases, "no the cat") in ("no", "no the cat sat", "no no")
    log_probs, _ = simulate_sounds("no the cat sat no", 3, Noise(spread=0.5))
    state, committed = phrases.start(), []
    for row in with_tokens(log_probs):
        decoded, state = phrases.step(row[None], state)
        committed += [word.text for word in decoded.committed]
        shown = " ".join([*committed, *(word.text for word in decoded.volatile)])
        assert all(part in ("", "no") for part in shown.replace("the cat sat", "").split(" "))


def test_phrases_that_begin_alike_are_told_apart(lm: LanguageModel) -> None:
    phrases = decoder(lm, "the", "the cat", "the cat sat on", "sat")
    assert hear(phrases, "the cat sat") == "the cat sat"
    assert hear(phrases, "the the cat sat on the") == "the the cat sat on the"


def test_other_words_are_unknown_where_that_is_allowed(lm: LanguageModel) -> None:
    assert hear(decoder(lm, "the cat", "[unk]"), "my sister saw the cat") == "[unk] [unk] [unk] the cat"
    assert hear(decoder(lm, "[unk]"), "no") == "[unk]"
    # also a word of a phrase, said outside of it
    assert hear(decoder(lm, "the cat sat", "[unk]"), "the river the cat sat") == "[unk] [unk] the cat sat"


def test_a_phrase_that_cannot_be_spelled_is_refused(lm: LanguageModel) -> None:
    with pytest.raises(UnspellableError, match="7"):
        decoder(lm, "channel 7")


@settings(deadline=None, max_examples=20)
@given(cut=st.integers(1, 80), seed=st.integers(0, 20), unknown=st.booleans())
def test_cutting_changes_nothing(lm: LanguageModel, cut: int, seed: int, unknown: bool) -> None:
    phrases = decoder(lm, "the", "the cat", "the cat sat on", "sat", *(["[unk]"] if unknown else []))
    log_probs, _ = simulate_sounds("the cat sat on the cat the mat", seed)
    rows = with_tokens(log_probs)
    cut = min(cut, len(rows))
    assert decode(phrases, rows, [cut, len(rows) - cut]) == decode(phrases, rows, [len(rows)])
