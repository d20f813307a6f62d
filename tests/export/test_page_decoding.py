"""The page's JavaScript against the Python it follows, on the same numbers. Runs in node."""

import base64
import io
import json
import math
import random
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import soundfile  # type: ignore[import-untyped]
from rillet.export.web import PAGE
from rillet.pipeline import EndpointRules, Event, Final, Word
from rillet.pipeline import beam_options as usual
from rillet.pipeline import lm_file as compact
from rillet.pipeline.beam import BeamDecoder
from rillet.pipeline.beam_options import LETTERS, PRONUNCIATIONS, BeamOptions
from rillet.pipeline.decoder import Decoder
from rillet.pipeline.decoding import make_decoder
from rillet.pipeline.lexicon import Pronunciations
from rillet.pipeline.lexicon_beam import LexiconBeamDecoder
from rillet.pipeline.lm import LanguageModel
from rillet.pipeline.model_file import AcousticModel
from rillet.pipeline.ngrams import quantise
from rillet.pipeline.recogniser import SHIPPED_LM
from rillet.pipeline.resample import resampler_between
from rillet.pipeline.stream import Stream
from rillet.pipeline.writers import SrtWriter, TextWriter
from simulated_ctc import FRAME_S, TOKENS, Noise, simulate

FloatArray = npt.NDArray[np.float32]
DRIVER = Path(__file__).with_name("page_driver.mjs")
NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(NODE is None, reason="node is not installed")

SENTENCES = [
    "the cat sat on the mat",
    "my sister looked at a house and the old man ran to the river bank",
    "it was not the first time that somebody said so",
]


def run(task: str, **job: Any) -> Any:
    """What the page's part gives."""
    done = subprocess.run(
        [str(NODE), str(DRIVER), str(PAGE)],
        input=json.dumps({"task": task, **job}),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def packed(array: FloatArray) -> str:
    return base64.b64encode(array.astype("<f4").tobytes()).decode()


def cut(array: FloatArray, seed: int, parts: int = 12) -> list[FloatArray]:
    """In random pieces, some of them empty."""
    places = sorted(random.Random(seed).choices(range(len(array) + 1), k=parts - 1))
    return np.split(array, places)


def same_words(found: list[dict[str, Any]], wanted: Sequence[Word]) -> None:
    assert [word["text"] for word in found] == [word.text for word in wanted]
    for ours, theirs in zip(found, wanted, strict=True):
        assert (ours["startS"], ours["endS"]) == (theirs.start_s, theirs.end_s)
        assert ours["confidence"] == pytest.approx(theirs.confidence, abs=1e-9)


def decodes_as_python(decoder: Decoder[Any], log_probs: FloatArray, about: dict[str, Any], seed: int = 0) -> list[Word]:
    """Compare what is committed and volatile after every piece, and return all words."""
    pieces = cut(log_probs, seed)
    found = run("decode", decoder=about, pieces=[packed(piece) for piece in pieces])
    state, words = decoder.start(), list[Word]()
    for piece, step in zip(pieces, found, strict=False):
        decoded, state = decoder.step(piece, state)
        same_words(step["committed"], decoded.committed)
        same_words(step["volatile"], decoded.volatile)
        assert step["unfinishedS"] == decoded.unfinished_s
        words += decoded.committed
    decoded, _ = decoder.finish(state)
    same_words(found[-1]["committed"], decoded.committed)
    return [*words, *decoded.committed]


def choice(kind: str, tokens: Sequence[str] = TOKENS, phones: Sequence[str] = (), **more: Any) -> dict[str, Any]:
    """What the page is told of a decoder."""
    columns = len(tokens) + (1 + len(phones) if phones else 0)
    about = {"tokens": list(tokens), "phones": list(phones), "columns": columns, "frame_s": FRAME_S}
    return {**about, "kind": kind, "phrases": [], "options": None, **more}


def plain(tokens: Sequence[str] = TOKENS) -> dict[str, Any]:
    return choice("plain", tokens)


@pytest.mark.parametrize("seed", range(3))
def test_greedy(seed: int) -> None:
    log_probs, _ = simulate(SENTENCES[seed], seed)
    decoder = make_decoder(TOKENS, FRAME_S, options=BeamOptions(width=1))
    assert decodes_as_python(decoder, log_probs, plain(), seed)


def test_greedy_with_tokens_of_several_letters_and_words_without_end() -> None:
    tokens = ["", " ", "a", "bc", " th", "e f", "g "]
    values = np.random.default_rng(1).normal(0, 2, (300, len(tokens)))
    values[150:290, [1, 4, 5, 6]] = -9  # no space
    log_probs = (values - np.logaddexp.reduce(values, axis=1, keepdims=True)).astype(np.float32)
    decoder = make_decoder(tokens, FRAME_S, options=BeamOptions(width=1))
    words = decodes_as_python(decoder, log_probs, plain(tokens))
    assert max(len(word.text) for word in words) >= 64


class RecordingModel:
    """A model that keeps what it said."""

    def __init__(self, model: AcousticModel) -> None:
        self.info = model.info
        self.initial_state = model.initial_state
        self._model = model
        self.log_probs: list[FloatArray] = []

    def step(self, audio: FloatArray, state: FloatArray) -> tuple[FloatArray, FloatArray]:
        log_probs, state = self._model.step(audio, state)
        self.log_probs.append(log_probs[0])
        return log_probs, state


def event_fields(event: Event) -> dict[str, Any]:
    fields = asdict(event)
    del fields["words"]
    fields.pop("alternatives", None)  # which the page does not tell
    return {"type": "final" if isinstance(event, Final) else "partial", **fields}


@pytest.mark.parametrize("samples", [0, 1, 2_560, 161_003, None])
def test_stream(samples: int | None, make_tone_model: Callable[..., Path], tmp_path: Path, speak: Any) -> None:
    """Events, one after another: partials, pauses, utterances that are too long, the end."""
    tone_model = make_tone_model(tmp_path / "early.onnx", words_early_s="0.14")
    quiet = np.random.default_rng(0).normal(0, 1e-4, 48_000).astype(np.float32)
    silence = np.zeros(3 * 48_000, np.float32)
    parts = [speak("one two"), quiet, speak("three four five six seven"), silence, speak("end")]
    events = streams_as_python(tone_model, np.concatenate(parts)[:samples])
    if samples is None:
        assert {event.reason for event in events if isinstance(event, Final)} == {"silence", "max_length", "finish"}


def test_stream_of_a_model_that_tells_sounds(
    make_tone_model: Callable[..., Path], tmp_path: Path, speak: Callable[..., FloatArray]
) -> None:
    """Its rows are longer than there are tokens; here what is taken for sounds are the tones of more letters."""
    more = {"tokens": json.dumps(TOKENS[:15]), "phones": json.dumps([letter.upper() for letter in TOKENS[16:]])}
    events = streams_as_python(make_tone_model(tmp_path / "sounds.onnx", **more), speak("a bad cafe"))
    assert isinstance(events[-1], Final)
    assert events[-1].text == "a bad cafe"


def streams_as_python(path: Path, audio: FloatArray) -> list[Event]:
    """Compare all events, and return them."""
    rules = EndpointRules(before_speech_s=2.0, after_speech_s=0.5, longest_s=3.0)
    model = RecordingModel(AcousticModel.load(path))
    info = model.info
    stream = Stream(model, make_decoder(info.tokens, info.frame_s, options=BeamOptions(width=1)), None, rules)  # type: ignore[arg-type]
    pieces = cut(audio, 3, 40)
    events = [event for piece in pieces for event in stream.accept(piece, 16_000)] + stream.finish()
    names = (
        "sample_rate_hz",
        "samples_per_frame",
        "step_frames",
        "look_ahead_frames",
        "state_size",
        "columns",
        "words_early_s",
    )
    found = run(
        "stream",
        decoder={**plain(info.tokens), "columns": info.columns, "frame_s": info.frame_s},
        info={name: getattr(info, name) for name in names},
        endpoints=asdict(rules),
        audio=[packed(piece) for piece in pieces],
        logProbs=[packed(rows) for rows in model.log_probs],
    )
    for ours, theirs in zip(found, events, strict=True):
        same_words(ours.pop("words"), theirs.words)
        assert ours == event_fields(theirs)
    return events


@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 16_000, 32_000, 44_100, 48_000, 96_000])
def test_resampler(rate_hz: int) -> None:
    """The same filter: what differs is the order of additions in single precision."""
    audio = np.random.default_rng(0).uniform(-1, 1, rate_hz // 2 + 7).astype(np.float32)
    resampler = resampler_between(rate_hz, 16_000)
    first, state = resampler.step(audio, resampler.start())
    last, _ = resampler.finish(state)
    found = np.array(run("resample", rateHz=rate_hz, targetHz=16_000, pieces=[packed(p) for p in cut(audio, rate_hz)]))
    wanted = np.concatenate([first, last])
    assert found.shape == wanted.shape
    assert abs(found - wanted).max() < 1e-6


@pytest.fixture(scope="module", params=["small", "quantised", "shipped"])
def lm_path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A compact language model: two small ones, and the one that comes with rillet."""
    if request.param == "shipped":
        if not SHIPPED_LM.is_file():
            pytest.skip("there is no language model yet")
        return SHIPPED_LM
    from rillet.models.lm.build import BuildOptions, build
    from rillet.models.lm.corpus import Source

    folder = tmp_path_factory.mktemp("lm")
    lines = [*SENTENCES * 3, *["the cat ran to the house", "naïve élan", "yes", "no no"] * 2]
    (folder / "text").write_text("\n".join(lines), encoding="utf-8")
    trie = build([Source((folder / "text",), 1.0)], BuildOptions(order=3, vocabulary=1000, pronounce=False))
    compact.write(quantise(trie) if request.param == "quantised" else trie, folder / "small.lm")
    return folder / "small.lm"


def test_language_model(lm_path: Path) -> None:
    lm = LanguageModel.load(lm_path)
    some = random.Random(0).sample(lm.vocabulary, min(40, len(lm.vocabulary)))
    sentences = [*(sentence.split() for sentence in SENTENCES), some, ["xqzzy", "the", "<unk>"], []]
    beginnings = ["", "t", "th", "the", "zzzzz", "é", *(word[:2] for word in some)]
    found = run("language", lm=str(lm_path), sentences=sentences, beginnings=beginnings)
    for words, scores in zip(sentences, found["scores"], strict=True):
        state = lm.start()
        for word, (value, after, known) in zip(words, scores, strict=False):
            wanted, state = lm.score(state, word)
            assert (value, tuple(after), known) == (wanted, state, word in lm)
        assert scores[-1][0] == lm.end(state)
    for letters, value in zip(beginnings, found["begins"], strict=True):
        wanted = lm.begins(letters)
        assert value == (None if wanted == -math.inf else pytest.approx(wanted, abs=1e-9))


def test_text_and_subtitles() -> None:
    chance = random.Random(4)
    vocabulary = "a the of water and house because looked children mr antidisestablishmentarianism-like " + "x" * 90
    finals, time_s = [], 0.0
    for number in range(40):
        words = []
        for _ in range(chance.choice([0, 1, 2, 5, 30])):
            length_s = chance.uniform(0.05, 0.8)
            words.append(Word(chance.choice(vocabulary.split()), time_s, time_s + length_s, 0.5))
            time_s += length_s + chance.choice([0, 0, 0.1, 0.5, 2.0])
        time_s += chance.choice([0, 1])
        text = " ".join(word.text for word in words)
        finals.append(Final(number, text, tuple(words), chance.choice(["silence", "max_length", "finish"])))
    txt, srt = io.StringIO(), io.StringIO()
    for writer in (TextWriter(txt), SrtWriter(srt)):
        for final in finals:
            writer.write(final)
    fields = [
        {
            "text": final.text,
            "reason": final.reason,
            "words": [{"text": w.text, "startS": w.start_s, "endS": w.end_s} for w in final.words],
        }
        for final in finals
    ]
    assert run("texts", finals=fields) == {"txt": txt.getvalue(), "srt": srt.getvalue()}


def test_sample_rates_are_read_from_headers(tmp_path: Path) -> None:
    known = soundfile.available_formats()
    wanted = {"a.wav": 22_050, "b.wav": 44_100, "c.flac": 96_000, "d.flac": 16_000, "e.ogg": 32_000, "f.txt": 0}
    if "MP3" in known:
        wanted |= {"g.mp3": 48_000, "h.mp3": 22_050}
    for name, rate_hz in wanted.items():
        if rate_hz:
            soundfile.write(tmp_path / name, np.zeros((rate_hz, 2)), rate_hz)
        else:
            (tmp_path / name).write_text("no sound")
    soundfile.write(tmp_path / "i.ogg", np.zeros(16_000), 16_000, subtype="OPUS")
    wanted["i.ogg"] = 48_000
    assert run("headerRates", files=[str(tmp_path / name) for name in wanted]) == list(wanted.values())


# ---- Beam search ----------------------------------------------------------------------------------------------------

PHRASES = ["turn on the light", "turn on", "one", "one two", "one two three", "stop", "Don't  stop"]


def beam(kind: str, options: BeamOptions, **more: Any) -> dict[str, Any]:
    return choice(kind, options=every(letters=options), **more)


def every(
    letters: BeamOptions = LETTERS, pronunciations: BeamOptions = PRONUNCIATIONS, phrases: BeamOptions = usual.PHRASES
) -> dict[str, Any]:
    """The options of every search, as the page has them."""
    return {"letters": asdict(letters), "pronunciations": asdict(pronunciations), "phrases": asdict(phrases)}


@pytest.mark.parametrize("width", [2, 16, 64])
def test_beam_with_a_language_model(lm_path: Path, width: int) -> None:
    options = BeamOptions(width=width)
    parts = [simulate(" ".join(SENTENCES), seed, Noise(right=5.0 + seed % 3))[0] for seed in range(4)]
    log_probs = np.concatenate(parts)
    decoder = make_decoder(TOKENS, FRAME_S, lm=LanguageModel.load(lm_path), options=options)
    assert decodes_as_python(decoder, log_probs, beam("language", options, lm=str(lm_path)), width)


def test_beam_with_tokens_of_several_letters(lm_path: Path) -> None:
    tokens = ["", " ", "a", "t", "th", "e ", " c", "o", "s", "n"]
    options = BeamOptions(token_log_prob=-4.0)
    values = np.random.default_rng(5).normal(0, 3, (200, len(tokens)))
    log_probs = (values - np.logaddexp.reduce(values, axis=1, keepdims=True)).astype(np.float32)
    decoder = make_decoder(tokens, FRAME_S, lm=LanguageModel.load(lm_path), options=options)
    about = beam("language", options, tokens=tokens, lm=str(lm_path))
    assert len(decodes_as_python(decoder, log_probs, about)) > 5


@pytest.mark.parametrize(
    "said", ["turn on the light stop", "one two one two three turn on", "the cat sat one on don't stop"]
)
@pytest.mark.parametrize("phrases", [PHRASES, [*PHRASES, "[unk]"], ["[unk]", "a", "a a"]])
def test_only_phrases(said: str, phrases: list[str]) -> None:
    options = BeamOptions()
    log_probs, _ = simulate(f"{said} {said}", 3)
    decoder = make_decoder(TOKENS, FRAME_S, options=options, phrases=phrases)
    decodes_as_python(decoder, log_probs, beam("phrases", options, phrases=phrases))


def test_long_noise_under_every_kind_of_search(lm_path: Path) -> None:
    """A minute of nonsense: commits, rescaling, full words, and texts that nearly tie."""
    values = np.random.default_rng(8).normal(0, 1.5, (1_500, len(TOKENS)))
    log_probs = (values - np.logaddexp.reduce(values, axis=1, keepdims=True)).astype(np.float32)
    options = BeamOptions(token_log_prob=-3.5)
    decoder = make_decoder(TOKENS, FRAME_S, lm=LanguageModel.load(lm_path), options=options)
    assert decodes_as_python(decoder, log_probs, beam("language", options, lm=str(lm_path)))
    decoder = make_decoder(TOKENS, FRAME_S, options=options, phrases=PHRASES)
    assert decodes_as_python(decoder, log_probs[:400], beam("phrases", options, phrases=PHRASES))


# ---- Beam search over sounds ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["small", "quantised", "shipped"])
def said_path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A compact language model that says how words sound: many alike, some in two ways, some as others begin."""
    if request.param == "shipped":
        if not SHIPPED_LM.is_file() or LanguageModel.load(SHIPPED_LM).lexicon is None:
            pytest.skip("there is no language model with pronunciations yet")
        return SHIPPED_LM
    from rillet.models.lm.build import BuildOptions, build
    from rillet.models.lm.corpus import Source

    folder = tmp_path_factory.mktemp("said")
    lines = [*SENTENCES * 3, *["the cat ran to the house", "naïve élan", "yes", "no no"] * 2]
    (folder / "text").write_text("\n".join(lines), encoding="utf-8")
    trie = build([Source((folder / "text",), 1.0)], BuildOptions(order=3, vocabulary=1000, pronounce=False))
    chance = random.Random(2)
    sounds = [tuple(chance.choices(range(1, 9), k=chance.choice([1, 2, 3, 4]))) for _ in range(20)]
    words = {
        i: chance.sample(sounds, chance.choice([1, 2])) for i, word in enumerate(trie.vocabulary) if word[0] != "<"
    }
    said = Pronunciations.of("ABCDEFGH", words)
    if request.param == "quantised":
        trie, said = quantise(trie), replace(said, words=said.words.astype(np.uint32))  # as of a large vocabulary
    compact.write(replace(trie, pronunciations=said), folder / "small.lm")
    return folder / "small.lm"


def normalised(logits: npt.NDArray[np.float64]) -> FloatArray:
    return (logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)).astype(np.float32)


def say(lm: LanguageModel, sentence: str, seed: int, peak: float = 5.0) -> FloatArray:
    """What a network hears that tells letters (here it does not) and sounds."""
    chance, sounds = np.random.default_rng(seed), list[int]()
    assert lm.lexicon is not None
    known = lm.lexicon.pronunciations(sentence.split())
    for word in sentence.split():
        for sound in known[word][0]:
            sounds += [sound] * chance.integers(1, 3) + [0] * chance.integers(0, 2)
        sounds += [-1] * chance.integers(0, 4)  # silence
    logits = chance.normal(0, 1, (len(sounds), 1 + len(lm.lexicon.phones)))
    for row, sound in zip(logits, sounds, strict=True):
        row[max(sound, 0)] += peak if sound >= 0 else 12.0
    return np.hstack([normalised(chance.normal(0, 3, (len(sounds), len(TOKENS)))), normalised(logits)])


def by_sounds(lm: LanguageModel, lm_path: Path, **options: Any) -> tuple[Decoder[Any], dict[str, Any]]:
    """The decoder, and what makes the page's."""
    assert lm.lexicon is not None
    phones, lm_options = lm.lexicon.phones, replace(PRONUNCIATIONS, **options)
    decoder = make_decoder(TOKENS, FRAME_S, phones=phones, lm=lm, options=lm_options)
    assert isinstance(decoder, LexiconBeamDecoder)
    return decoder, choice("language", phones=phones, lm=str(lm_path), options=every(pronunciations=lm_options))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("peak", [2.5, 5.0])
def test_words_by_their_sounds(said_path: Path, seed: int, peak: float) -> None:
    lm = LanguageModel.load(said_path)
    decoder, about = by_sounds(lm, said_path)
    log_probs = say(lm, " ".join(SENTENCES * 2), seed, peak)
    assert len(decodes_as_python(decoder, log_probs, about, seed)) > 20


@pytest.mark.parametrize(
    "options",
    [
        {"width": 2},
        {"width": 20, "commit_after_s": 0.3},
        {"word_bonus": -3.0, "blank_penalty": 0.0, "tokens_per_frame": 3},
        {"lm_weight": 0.3, "prune_nats": 6.0, "token_log_prob": -3.0},
    ],
)
def test_words_by_their_sounds_with_other_options(said_path: Path, options: dict[str, Any]) -> None:
    lm = LanguageModel.load(said_path)
    decoder, about = by_sounds(lm, said_path, **options)
    assert decodes_as_python(decoder, say(lm, " ".join(SENTENCES), 7, 3.5), about, 7)


def test_readings_that_tie(said_path: Path) -> None:
    """All sounds are equally likely in most frames, and the words of a quantised model often are: the order decides."""
    lm = LanguageModel.load(said_path)
    decoder, about = by_sounds(lm, said_path, width=30)
    columns = about["columns"] - len(TOKENS)
    logits = np.random.default_rng(3).choice([0.0, 3.0], (300, columns), p=[0.7, 0.3])
    log_probs = np.hstack([np.full((300, len(TOKENS)), -4, np.float32), normalised(logits)])
    assert decodes_as_python(decoder, log_probs, about)


def test_a_recording_cut_off_in_a_word_keeps_the_words_before(said_path: Path) -> None:
    lm = LanguageModel.load(said_path)
    decoder, about = by_sounds(lm, said_path, width=1, commit_after_s=60.0)
    log_probs = say(lm, SENTENCES[1], 1, 9.0)
    state, cut_off = decoder.start(), 0
    for frame in range(10, len(log_probs)):  # until there is a place in the middle of a word
        _, state = decoder.step(log_probs[:frame], decoder.start())
        (best,) = state.hypotheses
        if best.words and not decoder._lexicon.words(best.node):  # type: ignore[attr-defined]
            cut_off = frame
            break
    assert cut_off
    assert decodes_as_python(decoder, log_probs[:cut_off], about)[-1].text == best.words[-1].text


def test_decoders_by_letters_hear_no_sounds(said_path: Path) -> None:
    lm = LanguageModel.load(said_path)
    assert lm.lexicon is not None
    phones, letters = lm.lexicon.phones, simulate(SENTENCES[0], 1)[0]
    sounds = np.full((len(letters), 1 + len(phones)), 9, np.float32)
    log_probs = np.hstack([letters, sounds])
    greedy = make_decoder(TOKENS, FRAME_S, phones=phones, options=BeamOptions(width=1))
    assert decodes_as_python(greedy, log_probs, choice("plain", phones=phones))
    grammar = make_decoder(TOKENS, FRAME_S, phrases=PHRASES)
    decodes_as_python(grammar, log_probs, choice("phrases", phones=phones, phrases=PHRASES, options=every()))
    foreign = phones[::-1]  # sounds of another language: what the words sound like is not known
    by_letters = make_decoder(TOKENS, FRAME_S, phones=foreign, lm=lm)
    about = choice("language", phones=foreign, lm=str(said_path), options=every())
    assert decodes_as_python(by_letters, log_probs, about)


@pytest.mark.parametrize("belief", [0.5, 1.5])
@pytest.mark.parametrize("certain", [[], [0], [60], [5, 90, 91, 150]])
def test_words_are_believed_only_near_certain_letters(said_path: Path, certain: list[int], belief: float) -> None:
    lm = LanguageModel.load(said_path)
    decoder, about = by_sounds(lm, said_path, belief=belief)
    log_probs = say(lm, " ".join(SENTENCES), 5, 5.0)
    log_probs[:, 0] = np.log(np.float32(0.06))
    log_probs[certain, 0] = np.log(np.float32(0.04))
    assert bool(decodes_as_python(decoder, log_probs, about, 5)) == (len(certain) > belief)


SAID_PHRASES = [
    ["the"],
    ["the", "the cat", "the cat sat on", "sat"],
    ["the cat sat on the mat", "my sister looked at a house", "THE  mat", "no", "no"],
    ["a", "a a", "a a a", "the old man", "old man ran to the"],
]


def phrases_by_sounds(
    lm: LanguageModel, lm_path: Path, phrases: list[str], **options: Any
) -> tuple[Decoder[Any], dict[str, Any]]:
    """The decoder, and what makes the page's."""
    assert lm.lexicon is not None
    phones, wanted = lm.lexicon.phones, replace(usual.PHRASES, **options)
    decoder = make_decoder(TOKENS, FRAME_S, phones=phones, lm=lm, options=wanted, phrases=phrases)
    assert isinstance(decoder, LexiconBeamDecoder)
    about = choice("phrases", phones=phones, lm=str(lm_path), phrases=phrases, options=every(phrases=wanted))
    return decoder, about


@pytest.mark.parametrize("unknown", [[], ["[unk]"]])
@pytest.mark.parametrize("seed", range(len(SAID_PHRASES)))
def test_phrases_by_their_sounds(said_path: Path, seed: int, unknown: list[str]) -> None:
    lm = LanguageModel.load(said_path)
    decoder, about = phrases_by_sounds(lm, said_path, [*unknown, *SAID_PHRASES[seed]])
    said = "the cat sat on the cat a a a the mat my sister looked at a house no old man ran to the cat the"
    assert decodes_as_python(decoder, say(lm, said, seed, [2.5, 5.0, 9.0, 5.0][seed]), about, seed)


@pytest.mark.parametrize(
    ("phrases", "options"),
    [
        (SAID_PHRASES[1], {"width": 2}),
        ([*SAID_PHRASES[1], "[unk]"], {"width": 20, "commit_after_s": 0.3}),
        (["[unk]"], {"word_bonus": 1.0, "lm_weight": 0.4}),
    ],
)
def test_phrases_by_their_sounds_with_other_options(
    said_path: Path, phrases: list[str], options: dict[str, Any]
) -> None:
    lm = LanguageModel.load(said_path)
    decoder, about = phrases_by_sounds(lm, said_path, phrases, **options)
    assert decodes_as_python(decoder, say(lm, " ".join(SENTENCES), 7, 3.5), about, 7)


@pytest.mark.parametrize("unknown", [[], ["[unk]"]])
def test_phrases_that_tie(said_path: Path, unknown: list[str]) -> None:
    """All sounds are equally likely in most frames, and all words of phrases always: the order decides."""
    lm = LanguageModel.load(said_path)
    phrases = ["a", "a a", "the", "cat", "cat the", "sat", "on", "house", *unknown]
    # with a bonus and a penalty that both languages round alike: where exp differs in its last bit, nothing ties
    decoder, about = phrases_by_sounds(lm, said_path, phrases, width=30, word_bonus=-3.0, blank_penalty=2.4)
    columns = about["columns"] - len(TOKENS)
    logits = np.random.default_rng(3).choice([0.0, 3.0], (150, columns), p=[0.7, 0.3])
    log_probs = np.hstack([np.full((150, len(TOKENS)), -4, np.float32), normalised(logits)])
    assert decodes_as_python(decoder, log_probs, about)


@pytest.mark.parametrize("frames", [11, 19, 27])
def test_a_recording_cut_off_in_a_phrase(said_path: Path, frames: int) -> None:
    lm = LanguageModel.load(said_path)
    phrases = ["the cat sat on", "on the mat", "the"]
    decoder, about = phrases_by_sounds(lm, said_path, phrases, width=3, commit_after_s=0.1)
    decodes_as_python(decoder, say(lm, " ".join(SENTENCES), 1, 9.0)[:frames], about, frames)


def test_phrases_with_a_word_that_the_lexicon_lacks_are_found_by_letters(said_path: Path) -> None:
    """The page cannot guess how a word sounds; Python does."""
    lm = LanguageModel.load(said_path)
    assert lm.lexicon is not None
    phrases, phones = ["the cat", "zzyzx", "[unk]"], lm.lexicon.phones
    letters = simulate("the cat zzyzx the cat", 4)[0]
    log_probs = np.hstack([letters, np.full((len(letters), 1 + len(phones)), 9, np.float32)])
    decoder = make_decoder(TOKENS, FRAME_S, phrases=phrases)
    assert isinstance(decoder, BeamDecoder)
    about = choice("phrases", phones=phones, lm=str(said_path), phrases=phrases, options=every())
    assert decodes_as_python(decoder, log_probs, about)
