"""Pronunciations of words from their letters, with the shipped model."""

from pathlib import Path

import numpy as np
import pytest
from rillet.pipeline.errors import DamagedModelError, ModelNotFoundError
from rillet.pipeline.model_file import SHIPPED_MODEL
from rillet.pipeline.pronounce import (
    BATCH_WORDS,
    NotAPronouncerError,
    Pronouncer,
    UnpronounceableError,
    prefix_beam_search,
)

PLAIN = {
    "cat": "K AE T",
    "speech": "S P IY CH",
    "ship": "SH IH P",
    "bring": "B R IH NG",
    "black": "B L AE K",
    "street": "S T R IY T",
    "making": "M EY K IH NG",
    "standing": "S T AE N D IH NG",
    "phone": "F OW N",
    "box": "B AA K S",
    "don't": "D OW N T",
    "information": "IH N F ER M EY SH AH N",
}


@pytest.fixture(scope="module")
def pronouncer() -> Pronouncer:
    return Pronouncer.load()


def spell(pronouncer: Pronouncer, phones: tuple[int, ...]) -> str:
    return " ".join(pronouncer.phones[phone - 1] for phone in phones)


@pytest.mark.parametrize("word", PLAIN)
def test_plain_words(pronouncer: Pronouncer, word: str) -> None:
    assert spell(pronouncer, pronouncer(word)[0]) == PLAIN[word]


def test_the_phones_are_those_of_the_dictionary(pronouncer: Pronouncer) -> None:
    assert len(pronouncer.phones) == 39
    assert (pronouncer.phones[0], pronouncer.phones[-1]) == ("AA", "ZH")


@pytest.mark.parametrize("word", ["kubernetes", "rillet", "zzyzx", "o'shaughnessy", "x", "llanfairpwllgwyngyll"])
def test_every_word_has_a_pronunciation(pronouncer: Pronouncer, word: str) -> None:
    (phones,) = pronouncer(word)
    assert phones
    assert all(1 <= phone <= 39 for phone in phones)


def test_case_does_not_matter(pronouncer: Pronouncer) -> None:
    assert pronouncer("Kubernetes") == pronouncer("kubernetes")


def test_further_pronunciations_come_after_the_best_and_differ(pronouncer: Pronouncer) -> None:
    found = pronouncer("kubernetes", 12)
    assert len(set(found)) == len(found) == 12
    assert found[:1] == pronouncer("kubernetes")
    assert found[:3] == pronouncer("kubernetes", 3)


def test_many_words_are_pronounced_as_each_alone(pronouncer: Pronouncer) -> None:
    """Of all lengths, in an order of their own, and more of one length than go into a batch."""
    rng = np.random.default_rng(0)
    words = [*PLAIN, *("".join(rng.choice(list("abdeinst"), 5)) for _ in range(BATCH_WORDS + 10)), "a", "kubernetes"]
    assert pronouncer.many(words) == [pronouncer.many([word])[0] for word in words]
    assert pronouncer.many(PLAIN) == [pronouncer(word)[0] for word in PLAIN]


def test_no_words(pronouncer: Pronouncer) -> None:
    assert pronouncer.many([]) == []


@pytest.mark.parametrize(("word", "character"), [("naïve", "ï"), ("x-ray", "-"), ("two words", " "), ("4th", "4")])
def test_characters_without_a_letter(pronouncer: Pronouncer, word: str, character: str) -> None:
    with pytest.raises(UnpronounceableError, match=f"^'{word}' .*there is no letter '{character}'"):
        pronouncer(word)
    with pytest.raises(UnpronounceableError, match=f"^'{word}' "):
        pronouncer.many(["cat", word])


def test_an_empty_word(pronouncer: Pronouncer) -> None:
    with pytest.raises(UnpronounceableError, match="it is empty"):
        pronouncer("")


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match=r"g\.onnx: there is no such pronunciation model"):
        Pronouncer.load(tmp_path / "g.onnx")


def test_a_file_that_is_no_onnx_file(tmp_path: Path) -> None:
    (tmp_path / "g.onnx").write_bytes(b"letters and phones")
    with pytest.raises(DamagedModelError, match=r"g\.onnx"):
        Pronouncer.load(tmp_path / "g.onnx")


def test_a_model_that_recognises_speech_instead() -> None:
    with pytest.raises(NotAPronouncerError, match=r"its metadata lacks rillet\.g2p\.letters"):
        Pronouncer.load(SHIPPED_MODEL)


def test_the_beam_search_adds_up_all_paths() -> None:
    """Two phones and the blank in two slots; the best path is the blank's, yet a sequence of one phone is likelier."""
    probs = np.array([[0.5, 0.4, 0.1], [0.5, 0.4, 0.1]])
    # 1: 0.4 * 0.5 + 0.5 * 0.4 + 0.4 * 0.4; 2: 0.05 + 0.05 + 0.01; 1 2 and 2 1: 0.04
    assert prefix_beam_search(probs) == [(1,), (2,), (1, 2), (2, 1)]
    assert prefix_beam_search(probs, width=1) == []  # all that was kept is silence


def test_the_beam_search_doubles_a_phone_only_across_a_blank() -> None:
    sure = np.full((3, 2), 1e-6)
    sure[[0, 1, 2], [1, 0, 1]] = 1
    assert prefix_beam_search(sure)[0] == (1, 1)
    sure[1] = [1e-6, 1]
    assert prefix_beam_search(sure)[0] == (1,)
