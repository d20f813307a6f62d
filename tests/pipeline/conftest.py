"""A language model small enough to build for every run of the tests."""

from dataclasses import replace
from pathlib import Path

import pytest
from rillet.models.lm.build import BuildOptions, build
from rillet.models.lm.corpus import Source
from rillet.pipeline.lexicon import Pronunciations
from rillet.pipeline.lm import LanguageModel
from rillet.pipeline.ngrams import NgramTrie
from simulated_ctc import SOUNDS, sounds_of

SUBJECTS = ["the cat", "the dog", "a bird", "the old man", "anna", "my sister"]
VERBS = ["sat on", "saw", "ran to", "looked at", "was near"]
OBJECTS = ["the mat", "a house", "the sea", "the cat", "my friend", "the river bank"]


@pytest.fixture(scope="session")
def small_text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("text") / "small.txt"
    lines = [f"{a} {b} {c}" for i, a in enumerate(SUBJECTS) for b in VERBS for c in OBJECTS[i % 3 :]]
    path.write_text("\n".join([*lines, *["yes", "thank you", "no"] * 5]))
    return path


@pytest.fixture(scope="session")
def small_trie(small_text: Path) -> NgramTrie:
    """Order 3, not quantised."""
    return build([Source((small_text,), 1.0)], BuildOptions(order=3, vocabulary=1000, pronounce=False))


@pytest.fixture(scope="session")
def small_lm(small_trie: NgramTrie) -> LanguageModel:
    return LanguageModel(small_trie)


@pytest.fixture(scope="session")
def spoken_lm(small_trie: NgramTrie) -> LanguageModel:
    """Words that sound as they are written."""
    said = {i: [sounds_of(word)] for i, word in enumerate(small_trie.vocabulary) if word[0] != "<"}
    return LanguageModel(replace(small_trie, pronunciations=Pronunciations.of(SOUNDS, said)))
