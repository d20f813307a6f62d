"""Greedy CTC: what it spells, when it commits, and that cutting the frames changes nothing."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rillet.pipeline.decoder import FloatArray
from rillet.pipeline.events import Word, spell
from rillet.pipeline.greedy import MAX_WORD_TOKENS, GreedyDecoder

CHARACTERS = ("", " ", "a", "b", "c")
DECODER = GreedyDecoder(CHARACTERS, frame_s=0.04)


def frames(text: str, tokens: tuple[str, ...] = CHARACTERS, posterior: float = 0.9) -> FloatArray:
    """Log-probabilities in which each character of `text` leads one frame; `-` is the blank."""
    rest = (1 - posterior) / (len(tokens) - 1)
    rows = np.full((len(text), len(tokens)), rest, np.float32)
    for frame, character in enumerate(text):
        rows[frame, 0 if character == "-" else tokens.index(character)] = posterior
    return np.log(rows)


def decode(log_probs: FloatArray, cuts: list[int] | None = None, decoder: GreedyDecoder = DECODER) -> list[Word]:
    words: list[Word] = []
    state = decoder.start()
    for piece in np.split(log_probs, sorted(cuts or [])):
        decoded, state = decoder.step(piece, state)
        words += decoded.committed
    return [*words, *decoder.finish(state)[0].committed]


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ("", ""),
        ("----", ""),
        ("    ", ""),
        ("ab", "ab"),
        ("aab--b", "abb"),
        ("a b", "a b"),
        ("-a-- --b-", "a b"),
        ("  a - - b  ", "a b"),  # several spaces are one
        ("aaaa", "a"),
        ("a-a", "aa"),
        ("a a", "a a"),
    ],
)
def test_repeats_merge_and_blanks_drop(said: str, text: str) -> None:
    assert spell(decode(frames(said))) == text


def test_times_reach_from_the_first_frame_to_the_end_of_the_last() -> None:
    first, second = decode(frames("--aab--c   b-"))
    assert (first.text, first.start_s, first.end_s) == ("abc", 2 * 0.04, 8 * 0.04)
    assert (second.text, second.start_s, second.end_s) == ("b", 11 * 0.04, 12 * 0.04)


def test_a_word_is_committed_at_the_space_behind_it() -> None:
    decoded, state = DECODER.step(frames("ab"), DECODER.start())
    assert (decoded.committed, spell(decoded.volatile)) == ((), "ab")
    decoded, state = DECODER.step(frames("--c"), state)
    assert (decoded.committed, spell(decoded.volatile)) == ((), "abc")
    decoded, state = DECODER.step(frames(" "), state)
    assert (spell(decoded.committed), decoded.volatile) == ("abc", ())
    decoded, state = DECODER.finish(state)
    assert (decoded.committed, decoded.volatile) == ((), ())


def test_finish_begins_the_next_utterance_and_time_goes_on() -> None:
    _, state = DECODER.step(frames("ab"), DECODER.start())
    decoded, state = DECODER.finish(state)
    assert spell(decoded.committed) == "ab"
    decoded, state = DECODER.step(frames("b-"), state)
    assert [(word.text, word.start_s) for word in decoded.volatile] == [("b", 2 * 0.04)]


def test_confidence_is_the_geometric_mean_of_the_peaks() -> None:
    said = [("a", 0.5), ("a", 0.8), ("a", 0.6), ("b", 0.4)]
    log_probs = np.concatenate([frames(token, posterior=posterior) for token, posterior in said])
    (word,) = decode(log_probs)
    assert word.confidence == pytest.approx(math.sqrt(0.8 * 0.4))


def test_word_pieces() -> None:
    """A token may hold a space before, behind or between letters."""
    pieces = ("", " the", " r", "ill", "et", "x y", "b ")
    decoder = GreedyDecoder(pieces, frame_s=0.04)
    rows = np.log(np.eye(len(pieces), dtype=np.float32)[[1, 0, 2, 3, 3, 0, 4, 5, 6, 6, 4]] * 0.9 + 0.01)
    words = decode(rows, decoder=decoder)
    assert spell(words) == "the rilletx yb et"
    assert [(round(w.start_s / 0.04), round(w.end_s / 0.04)) for w in words] == [(0, 1), (2, 8), (7, 9), (10, 11)]


def test_a_word_without_end_is_cut() -> None:
    """Bounded for ever: noise that never spells a space must not make the state grow."""
    decoded, state = DECODER.step(frames("ab" * MAX_WORD_TOKENS), DECODER.start())
    assert [len(word.text) for word in decoded.committed] == [MAX_WORD_TOKENS, MAX_WORD_TOKENS]
    assert not state.word


def random_log_probs(frame_count: int, seed: int) -> FloatArray:
    logits = np.random.default_rng(seed).normal(0, 2, (frame_count, len(CHARACTERS)))
    return np.asarray(logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)), np.float32)


@given(st.integers(0, 80), st.integers(0, 10_000), st.lists(st.integers(0, 80), max_size=10))
def test_every_cut_gives_the_same_words(frame_count: int, seed: int, cuts: list[int]) -> None:
    log_probs = random_log_probs(frame_count, seed)
    words = decode(log_probs)
    assert decode(log_probs, [min(cut, frame_count) for cut in cuts]) == words
    merged = [token for token, _ in itertools.groupby(log_probs.argmax(axis=1)) if token]
    assert spell(words) == " ".join("".join(CHARACTERS[token] for token in merged).split())


@given(st.integers(0, 200), st.integers(0, 10_000))
def test_times_and_confidence_are_in_order_and_in_range(frame_count: int, seed: int) -> None:
    words = decode(random_log_probs(frame_count, seed))
    times = [time for word in words for time in (word.start_s, word.end_s)]
    assert times == sorted(times)
    assert all(word.start_s < word.end_s <= frame_count * 0.04 + 1e-9 for word in words)
    assert all(0 < word.confidence <= 1 for word in words)


def test_the_state_given_is_not_altered() -> None:
    _, state = DECODER.step(frames("ab"), DECODER.start())
    once, _ = DECODER.step(frames("c a"), state)
    again, _ = DECODER.step(frames("c a"), state)
    assert once == again
