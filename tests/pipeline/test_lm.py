"""The language model against KenLM and against its own sums; its files, whole and damaged."""

import itertools
import math
import random
import struct
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rillet.models.lm import corpus
from rillet.models.lm.build import BuildOptions, build, perplexity
from rillet.models.lm.corpus import Source
from rillet.pipeline import arpa, lm_file
from rillet.pipeline.lm import LanguageModel
from rillet.pipeline.lm_errors import (
    ArpaError,
    DamagedLanguageModelError,
    LanguageModelNotFoundError,
    LanguageModelVersionError,
)
from rillet.pipeline.ngrams import LN_10, NgramTrie, quantise

# As a pruning tool leaves it: "the big cat" is there, while "big cat", with which it ends, is not.
HOLES = """\\data\\
ngram 1=6
ngram 2=2
ngram 3=1

\\1-grams:
-1.5\t<unk>
-99\t<s>\t-0.4
-0.9\t</s>
-0.5\tthe\t-0.3
-0.8\tbig\t-0.2
-0.7\tcat\t-0.1

\\2-grams:
-0.2\t<s> the\t-0.25
-0.3\tthe big\t-0.15

\\3-grams:
-0.1\tthe big cat

\\end\\
"""


def random_sentences(model: LanguageModel, count: int) -> list[list[str]]:
    pick = random.Random(0)
    words = [word for word in model.vocabulary if not word.startswith("<")] + ["zebra"]
    return [pick.choices(words, k=pick.randint(0, 8)) for _ in range(count)]


@pytest.mark.parametrize("order", [1, 2, 3, 4, 5])
def test_all_words_after_any_words_sum_to_one(small_text: Path, order: int) -> None:
    model = LanguageModel(build([Source((small_text,), 1.0)], BuildOptions(order=order, vocabulary=30)))
    for sentence in random_sentences(model, 10):
        state = model.start()
        for word in sentence:
            _, state = model.score(state, word)
        total = sum(math.exp(model.score(state, word)[0]) for word in model.vocabulary)
        assert total == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("pruned", [False, True])
def test_as_kenlm_says(small_text: Path, tmp_path: Path, pruned: bool) -> None:
    their = pytest.importorskip("flashlight.lib.text.decoder.kenlm", reason="pip install ufal-flashlight-text")
    from flashlight.lib.text.dictionary import Dictionary

    options = BuildOptions(order=3, vocabulary=30, prune_nats=2e-3 if pruned else 0.0)
    trie = build([Source((small_text,), 1.0)], options)
    arpa.write(trie, tmp_path / "small.arpa")
    ours = LanguageModel.load(tmp_path / "small.arpa")
    words = Dictionary()
    for word in [*ours.vocabulary, "zebra"]:
        words.add_entry(word)
    kenlm = their.KenLM(str(tmp_path / "small.arpa"), words)
    for sentence in random_sentences(ours, 200):
        state, scores = kenlm.start(False), []
        for word in sentence:
            state, log10_prob = kenlm.score(state, words.get_index(word))
            scores.append(log10_prob * LN_10)
        scores.append(kenlm.finish(state)[1] * LN_10)
        assert ours.log_probs(sentence) == pytest.approx(scores, abs=1e-4)


def test_an_arpa_file_with_holes(tmp_path: Path) -> None:
    path = tmp_path / "holes.arpa"
    path.write_text(HOLES)
    model = LanguageModel.load(path)
    the_big_cat = [-0.2, -0.25 - 0.3, -0.1, -0.1 - 0.9]
    assert model.log_probs(["the", "big", "cat"]) == pytest.approx([p * LN_10 for p in the_big_cat])
    big_cat = [-0.4 - 0.8, -0.2 - 0.7, -0.1 - 0.9]
    assert model.log_probs(["big", "cat"]) == pytest.approx([p * LN_10 for p in big_cat])
    cat_the_dog = [-0.4 - 0.7, -0.1 - 0.5, -0.3 - 1.5, -0.9]
    assert model.log_probs(["cat", "the", "dog"]) == pytest.approx([p * LN_10 for p in cat_the_dog])


@pytest.mark.parametrize("quantised", [False, True])
def test_the_compact_file_holds_the_same_model(small_trie: NgramTrie, tmp_path: Path, quantised: bool) -> None:
    path = tmp_path / "small.lm"
    lm_file.write(quantise(small_trie) if quantised else small_trie, path, about="a test")
    ours, before = LanguageModel.load(path), LanguageModel(small_trie)
    assert lm_file.about(path) == "a test"
    lm_file.read(path, verify=True)
    for sentence in random_sentences(before, 100):
        difference = np.array(ours.log_probs(sentence)) - before.log_probs(sentence)
        assert np.abs(difference).max() <= (0.2 if quantised else 0)


def test_quantising_costs_next_to_nothing(small_trie: NgramTrie, small_text: Path) -> None:
    sentences = list(corpus.read_sentences(small_text, held_out=None))
    exact = perplexity(LanguageModel(small_trie), sentences).perplexity
    assert perplexity(LanguageModel(quantise(small_trie)), sentences).perplexity == pytest.approx(exact, rel=0.01)


def test_pruning_keeps_to_the_size_and_keeps_the_best(small_text: Path) -> None:
    sources = [Source((small_text,), 1.0)]
    sentences = list(corpus.read_sentences(small_text, held_out=None))
    full = build(sources, BuildOptions(order=3, vocabulary=1000))
    sizes, perplexities = [], []
    for threshold in (0.0, 1e-3, 1e-2, 1.0):
        trie = build(sources, BuildOptions(order=3, vocabulary=1000, prune_nats=threshold))
        sizes.append(sum(len(level) for level in trie.levels))
        perplexities.append(perplexity(LanguageModel(trie), sentences).perplexity)
    assert sizes == sorted(sizes, reverse=True)
    assert perplexities == sorted(perplexities)
    assert sizes[0] == sum(len(level) for level in full.levels)
    assert sizes[-1] == len(full.levels[0])


def test_a_heavier_source_is_more_likely(tmp_path: Path) -> None:
    (tmp_path / "sea.txt").write_text("the sea is calm\nthe sea is deep\n" * 20)
    (tmp_path / "code.txt").write_text("the code is short\nthe code is clear\n" * 20)
    options = BuildOptions(order=2, vocabulary=100)
    probs = []
    for weight in (0.1, 0.5, 0.9):
        sources = [Source((tmp_path / "sea.txt",), weight), Source((tmp_path / "code.txt",), 1 - weight)]
        model = LanguageModel(build(sources, options))
        probs.append(model.score(model.score(model.start(), "the")[1], "sea")[0])
    assert probs[0] < probs[1] < probs[2]


def test_words_that_begin_so(small_lm: LanguageModel) -> None:
    for letters in ("t", "th", "the", "m", "ma", "mat", "zz", "'"):
        words = [word for word in small_lm.vocabulary if word.startswith(letters)]
        mass = sum(math.exp(small_lm.score((), word)[0]) for word in words)
        assert small_lm.begins(letters) == (pytest.approx(math.log(mass), abs=1e-6) if words else -math.inf)


def test_held_out_sentences_are_never_counted(tmp_path: Path) -> None:
    lines = [f"sentence number {n}" for n in range(2000)]
    (tmp_path / "n.txt").write_text("\n".join(lines))
    kept = set(corpus.read_sentences(tmp_path / "n.txt"))
    held_out = set(corpus.read_sentences(tmp_path / "n.txt", held_out=True))
    assert kept | held_out == set(lines)
    assert not kept & held_out
    assert 5 <= len(held_out) <= 50


def test_missing_and_foreign_files(tmp_path: Path) -> None:
    with pytest.raises(LanguageModelNotFoundError, match="no such language model"):
        LanguageModel.load(tmp_path / "none.lm")
    (tmp_path / "x.arpa").write_text("hello\n")
    with pytest.raises(ArpaError, match="ends before"):
        LanguageModel.load(tmp_path / "x.arpa")
    (tmp_path / "y.arpa").write_text(HOLES.replace("-0.7\tcat", "cat\tcat"))
    with pytest.raises(ArpaError, match="line 12: a number was expected"):
        LanguageModel.load(tmp_path / "y.arpa")


def test_a_newer_file_is_refused(small_trie: NgramTrie, tmp_path: Path) -> None:
    path = tmp_path / "new.lm"
    lm_file.write(small_trie, path)
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, 8, 2)
    path.write_bytes(data)
    with pytest.raises(LanguageModelVersionError, match="format version 2"):
        LanguageModel.load(path)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_a_damaged_file_is_refused(
    small_trie: NgramTrie, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("damaged") / "small.lm"
    lm_file.write(quantise(small_trie), path)
    whole = path.read_bytes()
    if data.draw(st.booleans()):
        path.write_bytes(whole[: data.draw(st.integers(8, len(whole) - 1))])
    else:
        header_bytes = struct.unpack_from("<I", whole, 12)[0]
        at = data.draw(st.integers(12, 19 + header_bytes))
        path.write_bytes(whole[:at] + bytes([whole[at] ^ data.draw(st.integers(1, 255))]) + whole[at + 1 :])
    with pytest.raises(DamagedLanguageModelError):
        LanguageModel.load(path)


def test_damage_in_the_middle_is_found_on_request(small_trie: NgramTrie, tmp_path: Path) -> None:
    path = tmp_path / "small.lm"
    lm_file.write(quantise(small_trie), path)
    whole = bytearray(path.read_bytes())
    whole[-3] ^= 1
    path.write_bytes(whole)
    assert zlib.crc32(whole)  # still a file of the right size
    with pytest.raises(DamagedLanguageModelError, match="check sum"):
        lm_file.read(path, verify=True)


def test_counting_piece_by_piece_is_counting_the_whole(small_text: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = Source((small_text,), 1.0)
    vocabulary = corpus.choose_vocabulary([source], 30)
    encoded = corpus.encode([source, source], vocabulary)
    whole = corpus.count_ngrams(encoded, vocabulary, 4)
    monkeypatch.setattr(corpus, "PLACES_AT_A_TIME", 50)
    for level, pieces in zip(whole, corpus.count_ngrams(encoded, vocabulary, 4), strict=True):
        for name, array in vars(level).items():
            assert np.array_equal(array, getattr(pieces, name)), name
    spelled = [[vocabulary[i] for i in piece] for piece in encoded]
    bigrams = Counter(itertools.pairwise(spelled[0]))
    found = {
        (vocabulary[p], vocabulary[w]): n
        for p, w, n in zip(whole[1].parents, whole[1].words, whole[1].counts[0].tolist(), strict=True)
    }
    assert found == {pair: n for pair, n in bigrams.items() if pair[1] != "<s>"}


def test_leaving_out_what_was_found_once_changes_nothing_else(small_text: Path) -> None:
    sources = [Source((small_text,), 1.0)]
    full = build(sources, BuildOptions(order=3, vocabulary=1000))
    thin = build(sources, BuildOptions(order=3, vocabulary=1000, thin=True))
    for ours, theirs in zip(thin.levels[:2], full.levels[:2], strict=True):
        assert np.array_equal(ours.log_probs, theirs.log_probs)
    ours, theirs = trigrams(thin), trigrams(full)
    assert 0 < len(ours) < len(theirs)
    assert ours.items() <= theirs.items()


def trigrams(trie: NgramTrie) -> dict[tuple[int, int], float]:
    """ln p by the number of the bigram and the last word."""
    first, level = trie.levels[1].first_child, trie.levels[2]
    parents = np.repeat(np.arange(len(first) - 1), np.diff(first)).tolist()
    return dict(zip(zip(parents, level.words.tolist(), strict=True), level.log_probs.tolist(), strict=True))
