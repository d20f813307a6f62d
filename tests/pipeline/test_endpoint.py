"""Utterances end where they should, for the reason that is told, however the audio is cut."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rillet.pipeline import EndpointRules, Event, Final, Partial, Recognizer, RilletError
from rillet.pipeline.beam import BeamDecoder
from rillet.pipeline.beam_options import BeamOptions
from rillet.pipeline.endpoint import Endpointer, EndpointState, frame_levels

FloatArray = npt.NDArray[np.float32]
Speak = Callable[..., FloatArray]
FRAME_S = 0.04
STEP_S = 0.16  # rules are looked at once per step
SHORT = EndpointRules(before_speech_s=2.0, after_speech_s=0.5, longest_s=4.0)


@pytest.fixture(scope="module")
def recogniser(tone_model: Path) -> Recognizer:
    return Recognizer.load(tone_model)


def silence(time_s: float) -> FloatArray:
    return np.zeros(round(time_s * 16_000), np.float32)


def hear(
    recogniser: Recognizer, audio: FloatArray, rules: EndpointRules | None, cuts: Sequence[int] = ()
) -> list[Event]:
    stream = recogniser.stream(endpoints=rules)
    pieces = np.split(audio, sorted(cuts))
    return [*(event for piece in pieces for event in stream.accept(piece, 16_000)), *stream.finish()]


def finals(events: list[Event]) -> list[Final]:
    return [event for event in events if isinstance(event, Final)]


def test_a_phrase_may_take_longer_than_the_silence_before_words(tone_model: Path, speak: Speak) -> None:
    phrase = "a phrase of many words"
    recogniser = Recognizer.load(tone_model, phrases=[phrase, "no"])
    audio = np.concatenate([speak(phrase), silence(1.5), speak("no"), silence(1.0)])
    assert [final.text for final in finals(hear(recogniser, audio, SHORT))][:2] == [phrase, "no"]


def test_half_a_phrase_is_not_waited_for_without_end(tone_model: Path, speak: Speak) -> None:
    recogniser = Recognizer.load(tone_model, phrases=["a phrase of many words", "no"])
    audio = np.concatenate([speak("a phrase of"), silence(3.0), speak("no"), silence(1.0)])
    first, second = finals(hear(recogniser, audio, SHORT))[:2]
    assert (first.reason, second.text) == ("silence", "no")  # the phrase may be guessed from its half


def test_a_pause_ends_an_utterance(recogniser: Recognizer, speak: Speak) -> None:
    stream = recogniser.stream()
    audio = np.concatenate([speak("one two"), silence(1.5), speak("three")])
    out_s: dict[int, float] = {}
    found = []
    for piece in np.split(audio, range(320, len(audio), 320)):
        for final in finals(stream.accept(piece, 16_000)):
            out_s[final.utterance] = stream.duration_s
            found.append(final)
    found += finals(stream.finish())
    assert [(final.utterance, final.text, final.reason) for final in found] == [
        (0, "one two", "silence"),
        (1, "three", "finish"),
    ]
    waited_s = out_s[0] - found[0].words[-1].end_s  # the rule, the look-ahead and up to a step
    assert 0.8 + 0.32 <= waited_s < 0.8 + 0.32 + STEP_S + FRAME_S
    assert found[1].words[0].start_s == pytest.approx(7 * 0.2 + 1.5, abs=FRAME_S)


@pytest.mark.parametrize(("pause_s", "count"), [(0.2, 1), (0.6, 1), (1.2, 2)])
def test_shorter_pauses_do_not(recogniser: Recognizer, speak: Speak, pause_s: float, count: int) -> None:
    audio = np.concatenate([speak("on "), silence(pause_s), speak("and on")])
    found = finals(hear(recogniser, audio, EndpointRules()))
    assert len(found) == count
    assert " ".join(final.text for final in found) == "on and on"


def test_before_speech_an_utterance_without_text(recogniser: Recognizer, speak: Speak) -> None:
    found = finals(hear(recogniser, np.concatenate([silence(5.5), speak("at last")]), SHORT))
    assert [(final.text, final.reason) for final in found] == [("", "silence"), ("", "silence"), ("at last", "finish")]
    assert [final.utterance for final in found] == [0, 1, 2]


def test_a_long_utterance_ends_between_words(recogniser: Recognizer, speak: Speak) -> None:
    text = " ".join(["never", "ending", "story"] * 6)
    events = hear(recogniser, speak(text), SHORT, range(0, 300_000, 2_560))
    found = finals(events)
    assert " ".join(final.text for final in found) == text
    assert {final.reason for final in found[:-1]} == {"max_length"}
    assert len(found) > 3
    for final in found:
        assert final.words[-1].end_s - final.words[0].start_s <= SHORT.longest_s
    # what was not committed goes on in the next utterance
    follows = {event.utterance: event for event in reversed(events) if isinstance(event, Partial)}
    assert any(partial.volatile and not partial.committed for number, partial in follows.items() if number)


@pytest.mark.parametrize("search", ["greedy", "beam"])
@pytest.mark.parametrize("rules", [EndpointRules(), SHORT])
def test_the_text_of_a_recording_does_not_depend_on_the_rules(
    recogniser: Recognizer, speak: Speak, rules: EndpointRules, search: str
) -> None:
    if search == "beam":
        info = recogniser.info
        recogniser = Recognizer(recogniser.model, BeamDecoder(info.tokens, info.frame_s, BeamOptions(word_bonus=0)))
    words = [f"{a}{b}" for a in "abcdef" for b in ("x", "yz")]
    pieces = [part for i, word in enumerate(words) for part in (speak(word + " "), silence(0.3 * (i % 5)))]
    audio = np.concatenate(pieces)
    whole = finals(hear(recogniser, audio, None))
    parts = finals(hear(recogniser, audio, rules))
    assert len(whole) == 1
    assert len(parts) > 2
    assert [word.text for word in whole[0].words] == words
    heard = [(word.text, word.start_s, word.end_s) for final in parts for word in final.words]
    assert heard == [(word.text, word.start_s, word.end_s) for word in whole[0].words]


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_every_chunking_ends_utterances_at_the_same_frames(
    recogniser: Recognizer, speak: Speak, data: st.DataObject
) -> None:
    parts = data.draw(st.lists(st.tuples(st.text("abc ", max_size=8), st.floats(0, 2.5)), min_size=1, max_size=4))
    audio = np.concatenate([part for text, pause_s in parts for part in (speak(text), silence(pause_s))])
    audio += np.random.default_rng(len(audio)).normal(0, 0.02, len(audio)).astype(np.float32)

    stream, expected, out_samples = recogniser.stream(endpoints=SHORT), [], []
    for piece in np.split(audio, range(640, len(audio), 640)):
        for final in finals(stream.accept(piece, 16_000)):
            expected.append(final)
            out_samples.append(round(stream.duration_s * 16_000))
    expected += finals(stream.finish())

    cuts = data.draw(st.lists(st.integers(0, len(audio)), max_size=6), "cuts")
    stream, found, position = recogniser.stream(endpoints=SHORT), [], 0
    for piece in np.split(audio, sorted(cuts)):
        before, position = position, position + len(piece)
        news = finals(stream.accept(piece, 16_000))
        assert len(news) == sum(before // 640 * 640 < at <= position // 640 * 640 for at in out_samples)
        found += news
    assert found + finals(stream.finish()) == expected


def test_a_stream_of_any_length_remembers_one_utterance(recogniser: Recognizer, speak: Speak) -> None:
    stream, sizes = recogniser.stream(endpoints=SHORT), []
    round_about = np.concatenate([speak("over and over "), silence(1)])
    for _ in range(30):
        stream.accept(round_about, 16_000)
        sizes.append((len(stream._state.words), len(stream._state.text), len(stream._state.endpoint.levels_dbfs)))
    assert (np.max(sizes, axis=0) <= [3, 13, 60]).all()


class TestRules:
    """The pure step."""

    @staticmethod
    def ends_at(
        levels_dbfs: Sequence[float], speech: tuple[float, float] | None, look_ahead: int = 0
    ) -> tuple[int, str]:
        """The number of frames after which it is over, and why; decoded `look_ahead` frames behind."""
        endpointer, state = Endpointer(SHORT, FRAME_S, look_ahead), EndpointState()
        for frame, level in enumerate(levels_dbfs):
            decoded = int(frame >= look_ahead)
            known = speech if speech and speech[0] < state.decoded_frames * FRAME_S else None
            reason, state = endpointer.step(np.array([level], np.float32), decoded, known, None, state)
            if reason:
                return frame + 1, reason
        return 0, ""

    @pytest.mark.parametrize("look_ahead", [0, 8])
    def test_quiet_counts_in_full_and_noise_half(self, look_ahead: int) -> None:
        spoken = [-20.0] * 25  # a second
        speech = (0.0, 25 * FRAME_S)
        needed = round(SHORT.after_speech_s / FRAME_S)
        assert self.ends_at([*spoken, *[-60.0] * 200], speech, look_ahead) == (25 + needed + look_ahead, "silence")
        assert self.ends_at([*spoken, *[-30.0] * 200], speech, look_ahead) == (25 + 2 * needed + look_ahead, "silence")
        mixed = [-30.0, -60.0, -60.0] * 100
        assert self.ends_at([*spoken, *mixed], speech, look_ahead)[0] == 25 + 15 + look_ahead  # 24 halves

    def test_loud_without_words_is_no_speech(self) -> None:
        assert self.ends_at([-10.0] * 200, None) == (50, "silence")

    def test_the_longest(self) -> None:
        assert self.ends_at([-20.0] * 200, (1.0, 10.0)) == (25 + 100, "max_length")

    @pytest.mark.parametrize("name", ["before_speech_s", "after_speech_s", "longest_s"])
    @pytest.mark.parametrize("value", [0.0, -1.0, float("nan")])
    def test_nonsense_is_refused(self, name: str, value: float) -> None:
        with pytest.raises(RilletError, match=f"{name} is .* must be above 0 seconds"):
            EndpointRules(**{name: value})

    def test_levels(self) -> None:
        audio = np.concatenate([np.zeros(640), np.ones(640), np.tile([0.1, -0.1], 320)]).astype(np.float32)
        assert frame_levels(audio, 640) == pytest.approx([-120, 0, -20], abs=1e-4)
