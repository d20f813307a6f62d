"""The beam search against its definition, and the promises that every decoder makes."""

import itertools
import math
import pickle
from collections import defaultdict

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rillet.pipeline.beam import BeamDecoder, BeamState
from rillet.pipeline.beam_options import BeamOptions
from rillet.pipeline.events import Word
from rillet.pipeline.grammar import Grammar
from rillet.pipeline.hotwords import Hotword, Hotwords
from rillet.pipeline.lm import LanguageModel
from simulated_ctc import FRAME_S, TOKENS, Noise, simulate

FloatArray = npt.NDArray[np.float32]
EVERYTHING = BeamOptions(
    width=10**6, prune_nats=math.inf, token_log_prob=-math.inf, tokens_per_frame=10**6, blank_prob=1.0
)


def random_log_probs(frames: int, tokens: int, seed: int) -> FloatArray:
    logits = np.random.default_rng(seed).normal(0, 2, (frames, tokens))
    return (logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)).astype(np.float32)


def decode(decoder: BeamDecoder, log_probs: FloatArray, sizes: list[int] | None = None) -> tuple[list[Word], BeamState]:
    """All words, and the state before the end; checks that nothing committed is taken back."""
    state, committed, start = decoder.start(), [], 0
    for size in sizes or [len(log_probs)]:
        decoded, state = decoder.step(log_probs[start : start + size], state)
        committed += decoded.committed
        start += size
    last, _ = decoder.finish(state)
    return [*committed, *last.committed], state


def text(words: list[Word]) -> str:
    return " ".join(word.text for word in words)


def chunkings(frames: int) -> st.SearchStrategy[list[int]]:
    cuts = st.lists(st.integers(0, frames), max_size=12).map(lambda cuts: sorted([0, *cuts, frames]))
    return cuts.map(lambda cuts: [b - a for a, b in itertools.pairwise(cuts)])


@pytest.mark.parametrize("tokens", [["", " ", "a", "b"], ["", "a", "b"], ["", " a", "b", " b"]])
@pytest.mark.parametrize("seed", range(4))
def test_with_nothing_pruned_every_text_has_the_sum_of_all_its_alignments(tokens: list[str], seed: int) -> None:
    log_probs = random_log_probs(6, len(tokens), seed)
    sums: dict[str, float] = defaultdict(float)
    for path in itertools.product(range(len(tokens)), repeat=len(log_probs)):
        spelled = "".join(tokens[token] for token, _ in itertools.groupby(path))
        probability = math.exp(sum(float(row[token]) for row, token in zip(log_probs, path, strict=True)))
        sums[" ".join(spelled.split())] += probability
    decoder = BeamDecoder(tokens, FRAME_S, BeamOptions(**{**vars(EVERYTHING), "word_bonus": 0.0}))
    _, state = decoder.step(log_probs, decoder.start())
    found = {text(list(each.words)): math.exp(each.score) for each in decoder.n_best(state, 10**6)}
    assert found.keys() == sums.keys()
    for spelled, probability in sums.items():
        assert found[spelled] == pytest.approx(probability, rel=1e-9)


def test_a_word_is_worth_its_language_model_score(small_lm: LanguageModel) -> None:
    few = {**vars(EVERYTHING), "token_log_prob": -50.0, "letter_prior": 0.0}
    options = BeamOptions(**{**few, "lm_weight": 0.7, "word_bonus": 1.5})
    plain = BeamDecoder(TOKENS, FRAME_S, BeamOptions(**{**few, "word_bonus": 0.0}))
    fused = BeamDecoder(TOKENS, FRAME_S, options, small_lm)
    log_probs = np.full((9, len(TOKENS)), -60, np.float32)
    for frame, letters in enumerate(["t", "h", "ea", "", " ", "c", "a", "", "tr"]):
        for letter in letters or [""]:
            log_probs[frame, TOKENS.index(letter)] = -math.log(len(letters or " "))
    _, state = plain.step(log_probs, plain.start())
    acoustic = {text(list(each.words)): each.score for each in plain.n_best(state, 4)}
    _, state = fused.step(log_probs, fused.start())
    for each in fused.n_best(state, 4):
        words = text(list(each.words)).split()
        unknown = [word for word in words if word not in small_lm]
        penalty = sum(options.unknown_word_penalty + options.unknown_letter_penalty * len(word) for word in unknown)
        language = 0.7 * sum(small_lm.log_probs(words)) + 1.5 * len(words) - penalty
        assert each.score == pytest.approx(acoustic[" ".join(words)] + language, abs=1e-6)


def test_a_letter_is_lifted_by_its_share_in_the_language_model(small_lm: LanguageModel) -> None:
    shares = small_lm.letter_shares
    unigrams = {word: math.exp(small_lm.score((), word)[0]) for word in small_lm.vocabulary if word[0] != "<"}
    total = sum(mass * (len(word) + 1) for word, mass in unigrams.items())
    assert shares[" "] == pytest.approx(sum(unigrams.values()) / total)
    assert shares["t"] == pytest.approx(sum(mass * word.count("t") for word, mass in unigrams.items()) / total)
    log_probs = np.full((4, len(TOKENS)), -60, np.float32)
    for frame, letter in enumerate(["c", "a", "t", ""]):
        log_probs[frame, TOKENS.index(letter)] = -0.5
    found = {}
    for prior in (0.0, 0.5):
        decoder = BeamDecoder(TOKENS, FRAME_S, BeamOptions(letter_prior=prior), small_lm)
        _, state = decoder.step(log_probs, decoder.start())
        (found[prior],) = decoder.n_best(state, 1)
    assert found[0.5].score - found[0.0].score == pytest.approx(
        -0.5 * sum(math.log(shares[letter]) for letter in "cat")
    )
    assert found[0.5].words == found[0.0].words  # confidence is about what was heard


@pytest.fixture(scope="module")
def full_decoder(small_lm: LanguageModel) -> BeamDecoder:
    """Everything on: language model, hotwords, grammar with unknown words, commits that come soon."""
    hotwords = Hotwords([Hotword("kubernetes"), Hotword("the cat sat", 3)], TOKENS)
    grammar = Grammar(["the cat", "the cat sat", "on the mat", "kubernetes", "[unk]"], TOKENS)
    return BeamDecoder(TOKENS, FRAME_S, BeamOptions(width=8, commit_after_s=0.8), small_lm, hotwords, grammar)


@pytest.fixture(scope="module")
def open_decoder(small_lm: LanguageModel) -> BeamDecoder:
    """Language model and hotwords, no grammar."""
    hotwords = Hotwords([Hotword("kubernetes"), Hotword("the cat sat", 3)], TOKENS)
    return BeamDecoder(TOKENS, FRAME_S, BeamOptions(width=8, commit_after_s=0.8), small_lm, hotwords)


SENTENCES = ["the cat sat on the mat and the dog sat on kubernetes", "yes the mat", "on on on the the cat", "a"]


@pytest.mark.parametrize("which", ["full_decoder", "open_decoder"])
@settings(deadline=None, max_examples=25)
@given(data=st.data(), seed=st.integers(0, 5), sentence=st.sampled_from(SENTENCES))
def test_any_chunking_gives_the_same_words_and_state(
    which: str, request: pytest.FixtureRequest, data: st.DataObject, seed: int, sentence: str
) -> None:
    decoder = request.getfixturevalue(which)
    log_probs, _ = simulate(sentence, seed)
    whole, state = decode(decoder, log_probs)
    pieces, same_state = decode(decoder, log_probs, data.draw(chunkings(len(log_probs))))
    assert pieces == whole
    assert same_state == state


@pytest.mark.parametrize("which", ["full_decoder", "open_decoder"])
@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10**6), sentence=st.sampled_from(SENTENCES))
def test_what_is_committed_begins_all_that_comes_after(
    which: str, request: pytest.FixtureRequest, seed: int, sentence: str
) -> None:
    decoder = request.getfixturevalue(which)
    log_probs, _ = simulate(sentence, seed)
    committed: list[Word] = []
    prefixes = []
    state = decoder.start()
    for row in log_probs:
        decoded, state = decoder.step(row[None], state)
        committed += decoded.committed
        prefixes.append(list(committed))
        ends = [0.0, *(word.end_s for word in (*committed, *decoded.volatile))]
        starts = [word.start_s for word in (*committed, *decoded.volatile)]
        assert all(end <= start + 1e-9 for end, start in zip(ends, starts, strict=False))
        assert all(word.start_s < word.end_s for word in (*committed, *decoded.volatile))
        assert all(0 <= word.confidence <= 1 for word in (*committed, *decoded.volatile))
    last, _ = decoder.finish(state)
    final = [*committed, *last.committed]
    assert all(prefix == final[: len(prefix)] for prefix in prefixes)


def test_words_are_committed_while_the_stream_goes_on(open_decoder: BeamDecoder) -> None:
    log_probs, times = simulate("the cat sat on the mat " * 5 + "the cat", seed=1)
    state, committed_by = open_decoder.start(), []
    for frame in range(len(log_probs)):
        decoded, state = open_decoder.step(log_probs[frame : frame + 1], state)
        committed_by += [(word, frame) for word in decoded.committed]
    assert len(committed_by) >= len(times) - 5
    # the next space may be long in coming, and commits are looked for every eighth frame
    waits_s = [frame * FRAME_S - word.end_s for word, frame in committed_by]
    assert max(waits_s) < 0.8 + 0.8


def test_times_are_those_of_the_letters(open_decoder: BeamDecoder) -> None:
    log_probs, times = simulate("the cat sat on the mat", 3, Noise(spread=0.8))
    words, _ = decode(open_decoder, log_probs)
    assert text(words) == "the cat sat on the mat"
    for word, (first, last) in zip(words, times, strict=True):
        assert abs(word.start_s - first * FRAME_S) <= FRAME_S
        assert abs(word.end_s - (last + 1) * FRAME_S) <= 2 * FRAME_S


def test_silence_says_nothing(open_decoder: BeamDecoder) -> None:
    log_probs = np.full((50, len(TOKENS)), -12, np.float32)
    log_probs[:, 0] = -1e-4
    words, state = decode(open_decoder, log_probs)
    assert words == []
    assert len(state.hypotheses) == 1


def test_a_new_utterance_goes_on_in_time(open_decoder: BeamDecoder) -> None:
    log_probs, _ = simulate("the cat", seed=3)
    utterances, state = [], open_decoder.start()
    for _ in range(2):
        decoded, state = open_decoder.step(log_probs, state)
        last, state = open_decoder.finish(state)
        utterances.append([*decoded.committed, *last.committed])
    first, second = utterances
    assert text(first) == text(second) == "the cat"
    for a, b in zip(first, second, strict=True):
        assert b.start_s - a.start_s == pytest.approx(len(log_probs) * FRAME_S)


def test_n_best_is_sorted_and_distinct(open_decoder: BeamDecoder) -> None:
    log_probs, _ = simulate("the cat sat on", seed=3)
    _, state = open_decoder.step(log_probs, open_decoder.start())
    alternatives = open_decoder.n_best(state, 5)
    scores = [each.score for each in alternatives]
    assert len(alternatives) == 5
    assert scores == sorted(scores, reverse=True)
    assert len({tuple(word.text for word in each.words) for each in alternatives}) == 5


def test_one_state_serves_many_steps_and_is_never_altered(open_decoder: BeamDecoder) -> None:
    log_probs, _ = simulate("the cat sat", seed=3)
    _, state = open_decoder.step(log_probs[:20], open_decoder.start())
    before = pickle.dumps(state)
    once = open_decoder.step(log_probs[20:], state)
    assert open_decoder.step(log_probs[20:], state) == once
    assert pickle.dumps(state) == before
    assert open_decoder.step(log_probs[20:], pickle.loads(before)) == once


@pytest.mark.parametrize("which", ["full_decoder", "open_decoder"])
def test_a_long_stream_keeps_a_small_state(which: str, request: pytest.FixtureRequest) -> None:
    decoder = request.getfixturevalue(which)
    pieces = [simulate(sentence, seed)[0] for seed, sentence in enumerate(SENTENCES * 8)]
    noise = random_log_probs(500, len(TOKENS), 1)  # nobody speaks like this, but it must not grow either
    state, largest = decoder.start(), 0
    for piece in (*pieces, noise, *pieces):
        _, state = decoder.step(piece, state)
        largest = max(largest, len(pickle.dumps(state)))
    assert largest < 60_000
    assert max(len(each.prose.tokens) for each in state.hypotheses) < 200


def test_without_a_language_model_the_word_bonus_splits_no_words() -> None:
    log_probs, _ = simulate("the cat sat on the mat", 3)
    found = []
    for bonus in (0.0, 5.0):
        decoder = BeamDecoder(TOKENS, FRAME_S, BeamOptions(word_bonus=bonus))
        found.append(decode(decoder, log_probs)[0])
    assert found[0] == found[1]


def test_masses_stay_in_range_where_nobody_pauses(small_lm: LanguageModel) -> None:
    """Letters that are rare to the language model are lifted, so that masses grow with every letter."""
    decoder = BeamDecoder(TOKENS, FRAME_S, BeamOptions(letter_prior=1.0), small_lm)
    log_probs, _ = simulate("my sister looked at the sea", 0, Noise(0.0))
    state, said = decoder.start(), []
    for _ in range(150):
        decoded, state = decoder.step(log_probs, state)
        said.append([word.text for word in decoded.committed])
        assert 0 < max(each.blank + each.nonblank for each in state.hypotheses) < math.inf
    assert [words.count("sister") for words in said[-10:]] == [1] * 10
