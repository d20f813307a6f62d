"""The trie of sounds against plain dictionaries, and what a file keeps of it."""

import math
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rillet.pipeline import lm_file
from rillet.pipeline.lexicon import ROOT, Lexicon, Pronunciations, Sounds
from rillet.pipeline.lm import LanguageModel
from rillet.pipeline.lm_errors import DamagedLanguageModelError
from rillet.pipeline.ngrams import NgramTrie, quantise

PHONES = ("A", "B", "C", "D")
VOCABULARY = [f"w{i:02}" for i in range(20)]
SAID = st.dictionaries(
    st.integers(0, len(VOCABULARY) - 1),
    st.lists(st.lists(st.integers(1, len(PHONES)), min_size=1, max_size=6).map(tuple), min_size=1, max_size=3),
    max_size=len(VOCABULARY),
)
LOG_PROBS = np.log(np.random.default_rng(1).dirichlet(np.ones(len(VOCABULARY))))


def walk(lexicon: Lexicon, sounds: Sounds) -> int | None:
    node: int | None = ROOT
    for sound in sounds:
        node = None if node is None else lexicon.children(node).get(sound)
    return node


def check(lexicon: Lexicon, said: dict[str, list[Sounds]], log_probs: dict[str, float]) -> None:
    """Every string of sounds leads where the words say, and no other does."""
    words: dict[Sounds, set[str]] = defaultdict(set)
    promises: dict[Sounds, float] = defaultdict(lambda: -math.inf)
    for word, several in said.items():
        for sounds in several:
            words[sounds].add(word)
            for end in range(len(sounds) + 1):
                promises[sounds[:end]] = max(promises[sounds[:end]], log_probs[word])
    left = [((), ROOT)]
    while left:
        sounds, node = left.pop()
        assert set(lexicon.words(node)) == words[sounds]
        if sounds:
            assert lexicon.promises[node] == pytest.approx(promises[sounds])
        children = lexicon.children(node)
        assert {(*sounds, sound) for sound in children} == {p for p in promises if p and p[:-1] == sounds}
        left += [((*sounds, sound), child) for sound, child in children.items()]


@given(SAID)
def test_the_trie_has_every_pronunciation_and_no_other(said: dict[int, list[Sounds]]) -> None:
    arrays = Pronunciations.of(PHONES, said)
    arrays.check(len(VOCABULARY))
    by_word = {VOCABULARY[i]: several for i, several in said.items()}
    lexicon = Lexicon(arrays, VOCABULARY, LOG_PROBS)
    check(lexicon, by_word, dict(zip(VOCABULARY, LOG_PROBS.tolist(), strict=True)))
    for word in (VOCABULARY[3], "neither"):
        # the others are in no vocabulary, and the last would stand where this one stands
        known = lexicon.pronunciations([word + "x", word, "w02x"])
        assert {key: set(several) for key, several in known.items()} == (
            {word: set(by_word[word])} if word in by_word else {}
        )


@given(SAID, st.lists(st.lists(st.integers(1, 4), min_size=1, max_size=6).map(tuple), min_size=1, max_size=3))
def test_words_can_be_added_without_changing_the_first_lexicon(
    said: dict[int, list[Sounds]], several: list[Sounds]
) -> None:
    lexicon = Lexicon(Pronunciations.of(PHONES, said), VOCABULARY, LOG_PROBS)
    by_word = {VOCABULARY[i]: [*each] for i, each in said.items()}
    log_probs = dict(zip(VOCABULARY, LOG_PROBS.tolist(), strict=True))
    longer = lexicon.with_words({"new": several}, -1.0)
    check(longer, {**by_word, "new": several}, {**log_probs, "new": -1.0})
    check(lexicon, by_word, log_probs)
    assert longer.fingerprint() != lexicon.fingerprint()


def test_a_language_model_file_keeps_pronunciations(small_trie: NgramTrie, tmp_path: Path) -> None:
    vocabulary = small_trie.vocabulary
    said = Pronunciations.of(PHONES, {vocabulary.index("cat"): [(1, 2), (1, 2, 3)], vocabulary.index("dog"): [(4,)]})
    lm_file.write(quantise(replace(small_trie, pronunciations=said)), tmp_path / "said.lm")
    lexicon = LanguageModel.load(tmp_path / "said.lm").lexicon
    assert lexicon is not None
    assert lexicon.phones == PHONES
    assert lexicon.pronunciations(["cat", "dog", "the"]) == {"cat": [(1, 2), (1, 2, 3)], "dog": [(4,)]}
    lm_file.write(quantise(replace(small_trie, pronunciations=None)), tmp_path / "mute.lm")
    assert LanguageModel.load(tmp_path / "mute.lm").lexicon is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"words": np.array([10_000], np.uint16)},
        {"lengths": np.array([3], np.uint8)},
        {"lengths": np.array([0], np.uint8), "sounds": np.zeros(0, np.uint8)},
        {"sounds": np.array([1, 5], np.uint8)},
        {"sounds": np.array([0, 1], np.uint8)},
        {
            "words": np.array([3, 4], np.uint16),
            "lengths": np.array([2, 1], np.uint8),
            "sounds": np.array([1, 2, 1], np.uint8),
        },
    ],
)
def test_pronunciations_that_do_not_fit_are_refused(
    wrong: dict[str, np.ndarray], small_trie: NgramTrie, tmp_path: Path
) -> None:
    said = Pronunciations(PHONES, np.array([3], np.uint16), np.array([2], np.uint8), np.array([1, 2], np.uint8))
    lm_file.write(quantise(replace(small_trie, pronunciations=replace(said, **wrong))), tmp_path / "wrong.lm")
    with pytest.raises(DamagedLanguageModelError, match="pronunciations"):
        LanguageModel.load(tmp_path / "wrong.lm")
