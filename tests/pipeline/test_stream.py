"""The promises of events.py, on streams from sound to text."""

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rillet.pipeline import Decoded, Event, Final, Partial, Recognizer, Stream
from rillet.pipeline.errors import (
    ChannelError,
    NonFiniteSamplesError,
    SampleRateChangedError,
    SampleRateError,
    StreamFinishedError,
)

Speak = Callable[..., npt.NDArray[np.float32]]
MakeModel = Callable[..., Path]
TEXT = "it's a small stream"
RATES_HZ = (8_000, 16_000, 44_100, 48_000)


@pytest.fixture(scope="module")
def recogniser(tone_model: Path) -> Recognizer:
    return Recognizer.load(tone_model)


def listen(
    stream: Stream, samples: npt.NDArray[np.generic], rate_hz: int, cuts: list[int] | None = None
) -> list[Event]:
    events: list[Event] = []
    for piece in np.split(samples, sorted(cuts or [])):
        events += stream.accept(piece, rate_hz)
    return events + stream.finish()


@pytest.mark.parametrize("rate_hz", [*RATES_HZ, 11_025, 22_050, 96_000, 192_000])
def test_sound_in_text_out(recogniser: Recognizer, speak: Speak, rate_hz: int) -> None:
    *_, final = listen(recogniser.stream(), speak(TEXT, rate_hz), rate_hz)
    assert isinstance(final, Final)
    assert (final.text, final.reason, final.utterance) == (TEXT, "finish", 0)
    assert [word.text for word in final.words] == TEXT.split()
    # every character takes 0.2 s, of which the last 0.08 are silent
    at = [sum(len(word) + 1 for word in TEXT.split()[:n]) * 0.2 for n in range(len(TEXT.split()))]
    for word, start_s in zip(final.words, at, strict=True):
        assert word.start_s == pytest.approx(start_s, abs=0.041)
        assert word.end_s == pytest.approx(start_s + len(word.text) * 0.2 - 0.08, abs=0.041)
        assert word.confidence > 0.9


@pytest.mark.parametrize(("early_s", "moved_s"), [("0.1", 0.1), ("0.3", 0.3), ("-0.1", -0.1)])
def test_a_model_that_is_early_says_so(
    recogniser: Recognizer, make_tone_model: MakeModel, speak: Speak, tmp_path: Path, early_s: str, moved_s: float
) -> None:
    """Times are moved, within the recording."""
    early = Recognizer.load(make_tone_model(tmp_path / "early.onnx", words_early_s=early_s))
    audio = speak(TEXT, 16_000)
    *_, partial, before = listen(recogniser.stream(), audio, 16_000)
    *_, partial_moved, after = listen(early.stream(), audio, 16_000)
    end_s = len(audio) / 16_000
    for event, moved in ((partial, partial_moved), (before, after)):
        assert len(event.words) == len(moved.words) > 0
        for word, other in zip(event.words, moved.words, strict=True):
            wanted = [min(max(time_s + moved_s, 0), end_s) for time_s in (word.start_s, word.end_s)]
            assert [other.start_s, other.end_s] == pytest.approx(wanted)


def test_alternatives_are_whole_readings_the_best_first(tone_model: Path, speak: Speak) -> None:
    options = {"alternatives": 4, "commit_after_s": 0.4}
    recogniser = Recognizer.load(tone_model, options=options)
    audio = speak(TEXT, 16_000) + np.random.default_rng(0).normal(0, 0.2, len(speak(TEXT, 16_000)))
    *_, partial, final = listen(recogniser.stream(), audio.clip(-1, 1), 16_000)
    assert isinstance(partial, Partial)
    assert isinstance(final, Final)
    assert partial.committed
    texts = [each.text for each in final.alternatives]
    assert len(set(texts)) == 4
    assert (texts[0], final.alternatives[0].words) == (final.text, final.words)
    for text in texts:
        assert text.startswith(partial.committed)
    scores = [each.score for each in final.alternatives]
    assert scores[0] == 0.0
    assert scores == sorted(scores, reverse=True)
    plain = Recognizer.load(tone_model, options={"commit_after_s": 0.4})
    *_, same = listen(plain.stream(), audio.clip(-1, 1), 16_000)
    assert isinstance(same, Final)
    assert (same.text, same.words, same.alternatives) == (final.text, final.words, ())


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_every_chunking_gives_the_same_words(recogniser: Recognizer, speak: Speak, data: st.DataObject) -> None:
    rate_hz = data.draw(st.sampled_from(RATES_HZ), "rate")
    text = data.draw(st.text(alphabet="abcxyz' ", max_size=12), "text")
    hiss = np.random.default_rng(len(text)).normal(0, 0.03, len(text) * rate_hz // 5 + 77)
    hiss[: len(text) * rate_hz // 5] += speak(text, rate_hz)
    int16 = (hiss * 32_768).astype(np.int16)
    whole = listen(recogniser.stream(), int16, rate_hz)[-1]
    assert isinstance(whole, Final)
    assert whole.text == " ".join(text.split())

    cuts = data.draw(st.lists(st.integers(0, len(int16)), max_size=12), "cuts")
    kind = data.draw(st.sampled_from([np.int16, np.float32, np.float64]), "kind")
    samples = int16 if kind is np.int16 else (int16 / 32_768).astype(kind)
    events = listen(recogniser.stream(), samples, rate_hz, cuts)
    assert events[-1] == whole  # to the last bit of every confidence
    assert promises_kept(events)


def promises_kept(events: list[Event]) -> bool:
    """Committed text only grows and is a prefix of the final, which comes once; the words spell the text."""
    committed = ""
    for event in events[:-1]:
        assert isinstance(event, Partial)
        assert event.committed.startswith(committed)
        assert event.text == " ".join(word.text for word in event.words)
        committed = event.committed
    assert isinstance(events[-1], Final)
    assert events[-1].text.startswith(committed)
    times = [time for word in events[-1].words for time in (word.start_s, word.end_s)]
    return times == sorted(times)


def test_text_comes_while_it_is_spoken(recogniser: Recognizer, speak: Speak) -> None:
    stream = recogniser.stream()
    seen: list[tuple[str, str]] = []
    first_s = 0.0
    for piece in np.split(speak("ab cd ef"), 100):
        for event in stream.accept(piece, 16_000):
            assert isinstance(event, Partial)
            seen.append((event.committed, event.volatile))
            first_s = first_s or stream.duration_s
    assert seen[:4] == [("", "a"), ("", "ab"), ("ab", ""), ("ab", "c")]
    assert first_s <= 0.04 + 0.32 + 0.16  # the first frame, the look-ahead and a step after the beginning


def test_an_event_only_when_there_is_news(recogniser: Recognizer, speak: Speak) -> None:
    stream = recogniser.stream()
    assert stream.accept(np.zeros(16_000, np.int16), 16_000) == []
    events = [event for piece in np.split(speak("abc"), 40) for event in stream.accept(piece, 16_000)]
    assert len({event.text for event in events}) == len(events)


@pytest.mark.parametrize("samples", [0, 400, 640, 1_000, 2_500, 2_560, 2_800, 9_200, 10_240])
def test_finish_flushes_exactly_the_look_ahead(recogniser: Recognizer, samples: int) -> None:
    """A tone that lasts to the last sample is heard to the last frame, and no further."""
    tone = 0.5 * np.sin(2 * np.pi * 700 * np.arange(samples) / 16_000)  # what the model hears as an a
    (*_, final) = listen(recogniser.stream(), tone, 16_000)
    assert isinstance(final, Final)
    heard = [(word.text, word.start_s, word.end_s) for word in final.words]
    assert heard == ([("a", 0.0, -(-samples // 640) * 0.04)] if samples else [])


class CountingDecoder:
    """Spells nothing and remembers how many rows it was given."""

    def start(self) -> int:
        return 0

    def step(self, log_probs: npt.NDArray[np.float32], state: int) -> tuple[Decoded, int]:
        return Decoded(), state + len(log_probs)

    def finish(self, state: int) -> tuple[Decoded, int]:
        self.rows = state
        return Decoded(), state


@given(st.integers(0, 12_000), st.lists(st.integers(0, 12_000), max_size=3))
@settings(deadline=None, max_examples=30)
def test_the_decoder_gets_a_row_for_each_frame_of_audio(recogniser: Recognizer, samples: int, cuts: list[int]) -> None:
    """No row for the look-ahead before the audio, and none for the silence that pads the last step."""
    decoder = CountingDecoder()
    listen(Stream(recogniser.model, decoder), np.zeros(samples), 16_000, [min(cut, samples) for cut in cuts])
    assert decoder.rows == -(-samples // recogniser.info.samples_per_frame)


def test_streams_side_by_side_do_not_mix(recogniser: Recognizer, speak: Speak) -> None:
    texts = ["one stream", "another one", "a third", ""]
    alone = [listen(recogniser.stream(), speak(text, 48_000), 48_000)[-1] for text in texts]
    streams = [recogniser.stream() for _ in texts]
    for start in range(0, 120_000, 1_111):
        for stream, text in zip(streams, texts, strict=True):
            stream.accept(speak(text, 48_000)[start : start + 1_111], 48_000)
    assert [stream.finish()[-1] for stream in streams] == alone


def test_threads_share_a_recogniser(recogniser: Recognizer, speak: Speak) -> None:
    texts = [f"stream {letter}" for letter in "abcdefgh"]
    found: dict[str, str] = {}

    def run(text: str) -> None:
        final = listen(recogniser.stream(), speak(text), 16_000, list(range(0, 20_000, 333)))[-1]
        assert isinstance(final, Final)
        found[text] = final.text

    threads = [threading.Thread(target=run, args=(text,)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {text: text for text in texts}


def test_channels(recogniser: Recognizer, speak: Speak) -> None:
    both = np.stack([speak("left"), speak("then")], axis=1)
    assert recogniser.transcribe(both, 16_000, channel=1).text == "left"
    assert recogniser.transcribe(both, 16_000, channel=2).text == "then"
    assert recogniser.transcribe(np.repeat(speak("all")[:, None], 8, axis=1), 16_000).text == "all"
    with pytest.raises(ChannelError):
        recogniser.transcribe(both, 16_000, channel=3)


def test_what_cannot_be_used_is_refused_and_the_stream_goes_on(recogniser: Recognizer, speak: Speak) -> None:
    stream, audio = recogniser.stream(), speak("go on")
    stream.accept(audio[:7_000], 16_000)
    with pytest.raises(NonFiniteSamplesError):
        stream.accept(np.array([0.1, np.nan]), 16_000)
    with pytest.raises(SampleRateChangedError, match="from 16000 to 48000 Hz in the middle of a stream"):
        stream.accept(audio[7_000:], 48_000)
    with pytest.raises(SampleRateError):
        stream.accept(audio[7_000:], 4_000)
    stream.accept(audio[7_000:], 16_000)
    (*_, final) = stream.finish()
    assert isinstance(final, Final)
    assert final.text == "go on"


def test_the_first_piece_being_refused_does_not_set_the_rate(recogniser: Recognizer, speak: Speak) -> None:
    stream = recogniser.stream()
    with pytest.raises(NonFiniteSamplesError):
        stream.accept([np.inf], 48_000)
    stream.accept(speak("ok"), 16_000)
    assert [event.text for event in stream.finish()][-1] == "ok"


def test_nothing_after_finish(recogniser: Recognizer) -> None:
    stream = recogniser.stream()
    assert stream.finish() == [Final(0, "", (), "finish")]
    with pytest.raises(StreamFinishedError):
        stream.accept([0.0], 16_000)
    with pytest.raises(StreamFinishedError):
        stream.finish()


def test_samples_need_a_rate_and_files_do_not(recogniser: Recognizer, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="sample_rate"):
        recogniser.transcribe(np.zeros(100))
    with pytest.raises(TypeError, match="sample_rate"):
        recogniser.transcribe(tmp_path / "a.wav", 16_000)


def test_verify_on_load(tone_model: Path) -> None:
    assert Recognizer.load(tone_model, verify=True).info.name == "tones"
