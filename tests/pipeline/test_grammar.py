"""The grammar: nothing but the phrases comes out, whatever is heard."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rillet.pipeline.beam import BeamDecoder
from rillet.pipeline.grammar import Grammar
from rillet.pipeline.hotwords import HotwordError, UnspellableError
from simulated_ctc import FRAME_S, TOKENS, Noise, simulate

DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
PHRASES = ["turn on the light", "turn off the light", "turn on", "stop", *DIGITS]


def recognised(decoder: BeamDecoder, log_probs: np.ndarray, step_frames: int = 7) -> list[str]:
    state, words = decoder.start(), []
    for start in range(0, len(log_probs), step_frames):
        decoded, state = decoder.step(log_probs[start : start + step_frames], state)
        words += decoded.committed
    last, _ = decoder.finish(state)
    return [word.text for word in (*words, *last.committed)]


def is_made_of(words: list[str], phrases: list[str]) -> bool:
    return not words or any(
        words[: len(phrase.split())] == phrase.split() and is_made_of(words[len(phrase.split()) :], phrases)
        for phrase in phrases
    )


@settings(max_examples=60, deadline=None)
@given(sentence=st.text(alphabet="abcdehilnorstu ", min_size=1, max_size=40).filter(str.strip), seed=st.integers(0, 99))
def test_only_phrases_come_out(sentence: str, seed: int) -> None:
    decoder = BeamDecoder(TOKENS, FRAME_S, grammar=Grammar(PHRASES, TOKENS))
    words = recognised(decoder, simulate(" ".join(sentence.split()), seed)[0])
    assert is_made_of(words, PHRASES)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 999))
def test_only_phrases_and_unk_come_out_of_noise(seed: int) -> None:
    logits = np.random.default_rng(seed).normal(0, 2, (60, len(TOKENS)))
    log_probs = (logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)).astype(np.float32)
    assert is_made_of(recognised(BeamDecoder(TOKENS, FRAME_S, grammar=Grammar(PHRASES, TOKENS)), log_probs), PHRASES)
    with_unknown = Grammar([*PHRASES, "[unk]"], TOKENS)
    words = recognised(BeamDecoder(TOKENS, FRAME_S, grammar=with_unknown), log_probs)
    assert is_made_of(words, [*PHRASES, "[unk]"])


def test_digits_are_heard_through_noise_that_greedy_decoding_fails_in() -> None:
    decoder = BeamDecoder(TOKENS, FRAME_S, grammar=Grammar(DIGITS, TOKENS))
    random = np.random.default_rng(5)
    right = said = 0
    for seed in range(30):
        words = random.choice(DIGITS, 6).tolist()
        right += recognised(decoder, simulate(" ".join(words), seed)[0]) == words
        said += 1
    assert right >= 0.9 * said


def test_other_words_become_unk() -> None:
    decoder = BeamDecoder(TOKENS, FRAME_S, grammar=Grammar(["turn on the light", "stop", "[unk]"], TOKENS))
    assert recognised(decoder, simulate("turn on the light", 1)[0]) == ["turn", "on", "the", "light"]
    assert recognised(decoder, simulate("wonderful stop", 2)[0]) == ["[unk]", "stop"]
    said = recognised(decoder, simulate("turn on wonderful things", 3, Noise(spread=0.8))[0])
    assert set(said) == {"[unk]"}


def test_an_unfinished_phrase_does_not_come_out() -> None:
    decoder = BeamDecoder(TOKENS, FRAME_S, grammar=Grammar(["turn on the light", "stop"], TOKENS))
    assert recognised(decoder, simulate("stop turn on the", 4)[0]) in (["stop"], ["stop", "turn", "on", "the", "light"])


def test_phrases_must_be_spellable() -> None:
    with pytest.raises(UnspellableError, match="no token with '2'"):
        Grammar(["2 sugars"], TOKENS)
    with pytest.raises(HotwordError, match="empty"):
        Grammar([""], TOKENS)
    Grammar(["Stop", "[unk]"], TOKENS)


def test_the_fewest_words_are_called_unknown() -> None:
    grammar = Grammar(["one", "one two three", "two four", "[unk]"], TOKENS)
    assert grammar.label(["one", "two", "four"]) == ["one", "two", "four"]
    assert grammar.label(["one", "two", "three"]) == ["one", "two", "three"]
    assert grammar.label(["one", "two", "five"]) == ["one", "[unk]", "[unk]"]
