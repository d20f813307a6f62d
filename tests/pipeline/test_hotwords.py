"""Hotwords: what they earn along a path, what they give back, and what they change in what is recognised."""

import pytest
from rillet.pipeline.beam import BeamDecoder
from rillet.pipeline.hotwords import OUTSIDE, ROOT, Hotword, HotwordError, Hotwords, UnspellableError
from rillet.pipeline.lm import LanguageModel
from simulated_ctc import FRAME_S, TOKENS, simulate


def walk(hotwords: Hotwords, text: str) -> tuple[float, float]:
    """What is earned for good and what is pending at the end."""
    node, total = ROOT, 0.0
    for character in text:
        node, earned = hotwords.step(node, character)
        total += earned
    return total, 0.0 if node == OUTSIDE else hotwords.pending[node]


def test_a_path_earns_in_advance_and_gives_back() -> None:
    hotwords = Hotwords([Hotword("anna karenina", 13.0)], TOKENS)
    assert walk(hotwords, "anna k") == (0.0, pytest.approx(6.0))
    assert walk(hotwords, "anna karenina") == (0.0, pytest.approx(13.0))
    assert walk(hotwords, "anna karenina ") == (pytest.approx(13.0), 0.0)
    assert walk(hotwords, "anna kx") == (0.0, 0.0)
    assert walk(hotwords, "anna anna k") == (0.0, pytest.approx(6.0))


def test_only_whole_words_count() -> None:
    hotwords = Hotwords([Hotword("cat", 3.0)], TOKENS)
    assert walk(hotwords, "concat ") == (0.0, 0.0)
    assert walk(hotwords, "cats ") == (0.0, 0.0)
    assert walk(hotwords, "a cat sat ") == (pytest.approx(3.0), 0.0)


def test_phrases_that_overlap() -> None:
    hotwords = Hotwords([Hotword("new york", 4.0), Hotword("york minster", 6.0), Hotword("york", 2.0)], TOKENS)
    assert walk(hotwords, "new york ")[0] == pytest.approx(4.0)
    assert walk(hotwords, "new york minster ")[0] == pytest.approx(4.0 + 6.0)
    assert walk(hotwords, "old york town ")[0] == pytest.approx(2.0)


def test_the_weight_of_a_short_word_is_capped() -> None:
    assert walk(Hotwords([Hotword("at", 50.0)], TOKENS), "at ")[0] == pytest.approx(3.0)


@pytest.mark.parametrize(
    ("phrase", "character"), [("café", "é"), ("catch 22", "2"), ("e-mail", "-"), ("smile 🙂", "🙂")]
)
def test_what_cannot_be_spelled_is_named(phrase: str, character: str) -> None:
    with pytest.raises(UnspellableError, match=f"no token with '{character}'"):
        Hotwords([Hotword(phrase)], TOKENS)


def test_the_apostrophe_is_named_in_words() -> None:
    with pytest.raises(UnspellableError, match=r"spell it with: abcdefghijklmnopqrstuvwxyz and the apostrophe$"):
        Hotwords([Hotword("café")], TOKENS)


def test_from_the_command_line() -> None:
    assert Hotword.parse("Kubernetes") == Hotword("Kubernetes")
    assert Hotword.parse("Anna Karenina:8") == Hotword("Anna Karenina", 8.0)
    with pytest.raises(HotwordError, match="behind the colon"):
        Hotword.parse("a:b")
    for weight in ("nan", "inf", "-inf"):
        with pytest.raises(HotwordError, match=f"^'colander': its weight is {weight} and must be a number"):
            Hotword.parse(f"colander:{weight}")
    with pytest.raises(HotwordError, match="empty"):
        Hotwords([Hotword(" ")], TOKENS)


def recognised(decoder: BeamDecoder, sentence: str, seed: int) -> str:
    decoded, state = decoder.step(simulate(sentence, seed)[0], decoder.start())
    last, _ = decoder.finish(state)
    return " ".join(word.text for word in (*decoded.committed, *last.committed))


def test_hotwords_out_of_the_vocabulary_are_heard_and_their_neighbours_stay_whole(small_lm: LanguageModel) -> None:
    sentence = "the dog saw kubernetes"
    assert "kubernetes" not in small_lm
    without = BeamDecoder(TOKENS, FRAME_S, lm=small_lm)
    with_them = BeamDecoder(TOKENS, FRAME_S, lm=small_lm, hotwords=Hotwords([Hotword("Kubernetes")], TOKENS))
    seeds = range(40)
    heard_without = sum("kubernetes" in recognised(without, sentence, seed).split() for seed in seeds)
    heard_with = sum("kubernetes" in recognised(with_them, sentence, seed).split() for seed in seeds)
    assert heard_with >= heard_without + 8
    assert heard_with >= 0.8 * len(seeds)
    other = "the old man looked at the river bank"
    before = sum(recognised(without, other, seed) == other for seed in seeds)
    after = sum(recognised(with_them, other, seed) == other for seed in seeds)
    assert after >= before - 1
    assert not any("kubernetes" in recognised(with_them, other, seed) for seed in seeds)
