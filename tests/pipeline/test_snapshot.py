"""A stream that is saved and restored goes on to the same words; anything else is refused."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rillet.pipeline import Event, Recognizer, Stream
from rillet.pipeline.beam_options import BeamOptions
from rillet.pipeline.decoding import make_decoder
from rillet.pipeline.endpoint import EndpointRules
from rillet.pipeline.errors import (
    DamagedSnapshotError,
    ForeignSnapshotError,
    NotASnapshotError,
    SnapshotError,
    SnapshotVersionError,
    StreamFinishedError,
)
from rillet.pipeline.lm import LanguageModel
from rillet.pipeline.snapshot import HEAD, MAGIC

Speak = Callable[..., npt.NDArray[np.float32]]
TEXT = "the cat sat on my sister saw"
DECODERS = ("greedy", "beam", "beam with lm and hotwords", "grammar")


@pytest.fixture(scope="module")
def recognisers(tone_model: Path, small_lm: LanguageModel) -> dict[str, Recognizer]:
    plain = Recognizer.load(tone_model)
    tokens, frame_s = plain.info.tokens, plain.info.frame_s
    decoders = {
        "greedy": plain.decoder,
        "beam": make_decoder(tokens, frame_s),
        "beam with lm and hotwords": make_decoder(tokens, frame_s, lm=small_lm, hotwords=["my sister:4", "cat"]),
        "grammar": make_decoder(tokens, frame_s, phrases=["the cat", "sat on", "the mat", "my sister", "[unk]"]),
    }
    return {name: replace(plain, decoder=decoder) for name, decoder in decoders.items()}


def noisy(speak: Speak, rate_hz: int) -> npt.NDArray[np.int16]:
    """Speech with a pause in it, and enough hiss that the beam has something to weigh."""
    audio = speak(TEXT, rate_hz)
    pause = np.zeros(rate_hz, np.float32)
    audio = np.concatenate([audio[: len(audio) // 2], pause, audio[len(audio) // 2 :]])
    hiss = np.random.default_rng(5).normal(0, 0.1, len(audio))
    return (np.clip(audio + hiss, -1, 1) * 32_767).astype(np.int16)


def go_on(stream: Stream, samples: npt.NDArray[np.int16], rate_hz: int) -> list[Event]:
    events = [
        e for start in range(0, len(samples), 1_234) for e in stream.accept(samples[start : start + 1_234], rate_hz)
    ]
    return events + stream.finish()


@pytest.mark.parametrize("name", DECODERS)
@given(cut=st.floats(0, 1), rate_hz=st.sampled_from([8_000, 16_000, 44_100]))
@settings(deadline=None, max_examples=4)
def test_wherever_it_is_saved_it_goes_on_the_same(
    recognisers: dict[str, Recognizer], speak: Speak, name: str, cut: float, rate_hz: int
) -> None:
    recogniser, samples = recognisers[name], noisy(speak, rate_hz)
    cut_samples = round(cut * len(samples))
    stream = recogniser.stream(endpoints=EndpointRules(after_speech_s=0.5))
    stream.accept(samples[:cut_samples], rate_hz)
    saved = stream.snapshot()
    restored = recogniser.restore(saved)
    assert restored.duration_s == stream.duration_s
    assert restored.snapshot() == saved
    # every event, to the last bit of every confidence; and being saved changes nothing
    assert go_on(restored, samples[cut_samples:], rate_hz) == go_on(stream, samples[cut_samples:], rate_hz)


GO_ON = """
import sys
import numpy as np
from pathlib import Path
from rillet.pipeline import Final, Recognizer

stream = Recognizer.load(sys.argv[1]).restore(Path(sys.argv[2]).read_bytes())
events = stream.accept(np.load(sys.argv[3]), 44_100) + stream.finish()
print([event for event in events if isinstance(event, Final)])
"""


def test_in_another_process(tone_model: Path, speak: Speak, tmp_path: Path) -> None:
    samples = noisy(speak, 44_100)
    stream = Recognizer.load(tone_model).stream(channel=1)
    half = len(samples) // 3
    stream.accept(samples[:half], 44_100)
    (tmp_path / "stream").write_bytes(stream.snapshot())
    np.save(tmp_path / "rest.npy", samples[half:])
    command = [sys.executable, "-c", GO_ON, tone_model, tmp_path / "stream", tmp_path / "rest.npy"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    here = stream.accept(samples[half:], 44_100) + stream.finish()
    assert done.stdout == f"{[event for event in here if hasattr(event, 'reason')]}\n"
    assert "Final(utterance=1, text=" in done.stdout


def test_before_anything_and_after_the_end(recognisers: dict[str, Recognizer], speak: Speak) -> None:
    recogniser = recognisers["greedy"]
    fresh = recogniser.restore(recogniser.stream().snapshot())
    assert [event.text for event in go_on(fresh, noisy(speak, 8_000), 8_000)][-1] != ""
    with pytest.raises(StreamFinishedError):
        recogniser.restore(fresh.snapshot()).finish()


@pytest.mark.parametrize("name", DECODERS)
def test_its_size_does_not_grow(recognisers: dict[str, Recognizer], speak: Speak, name: str) -> None:
    stream, samples = recognisers[name].stream(), noisy(speak, 16_000)
    sizes = []
    for _ in range(24):
        stream.accept(samples, 16_000)
        stream.accept(np.zeros(32_000, np.int16), 16_000)
        sizes.append(len(stream.snapshot()))
    assert max(sizes[-8:]) <= 1.02 * max(sizes[:8])  # how many texts compete differs from second to second


@pytest.fixture
def snapshot(recognisers: dict[str, Recognizer], speak: Speak) -> bytes:
    stream = recognisers["greedy"].stream()
    stream.accept(noisy(speak, 16_000)[:40_000], 16_000)
    return stream.snapshot()


@given(data=st.data())
@settings(deadline=None, max_examples=50)
def test_damage_is_refused(recognisers: dict[str, Recognizer], speak: Speak, data: st.DataObject) -> None:
    recogniser = recognisers["greedy"]
    stream = recogniser.stream()
    stream.accept(speak("ab cd"), 16_000)
    good = stream.snapshot()
    if data.draw(st.booleans(), "cut"):
        bad = good[: data.draw(st.integers(0, len(good) - 1), "length")]
    else:
        place, bit = data.draw(st.integers(0, len(good) - 1), "place"), data.draw(st.integers(0, 7), "bit")
        bad = good[:place] + bytes([good[place] ^ 1 << bit]) + good[place + 1 :]
    with pytest.raises(SnapshotError) as caught:
        recogniser.restore(bad)
    assert "\n" not in str(caught.value)


def test_what_is_no_snapshot_is_refused(recognisers: dict[str, Recognizer], snapshot: bytes, tone_model: Path) -> None:
    recogniser = recognisers["greedy"]
    for data in (b"", b"hello, I am a text", b"\x80\x04K\x01.", tone_model.read_bytes()[:5_000]):
        with pytest.raises(NotASnapshotError):
            recogniser.restore(data)
    with pytest.raises(DamagedSnapshotError):
        recogniser.restore(snapshot + b"\0")
    with pytest.raises(SnapshotVersionError, match="version 2, not 1"):
        recogniser.restore(HEAD.pack(MAGIC, 2, bytes(32)) + snapshot[HEAD.size :])


def test_another_model_or_decoder_is_refused(
    recognisers: dict[str, Recognizer],
    snapshot: bytes,
    make_tone_model: Callable[..., Path],
    tmp_path: Path,
    small_lm: LanguageModel,
) -> None:
    other = Recognizer.load(make_tone_model(tmp_path / "other.onnx", look_ahead_frames="7"))
    with pytest.raises(ForeignSnapshotError, match="another model"):
        other.restore(snapshot)
    same = Recognizer.load(make_tone_model(tmp_path / "same.onnx"))
    assert same.restore(snapshot).duration_s == 2.5

    tokens, frame_s = same.info.tokens, same.info.frame_s
    decoders = [
        make_decoder(tokens, frame_s),
        make_decoder(tokens, frame_s, options=BeamOptions(width=8)),
        make_decoder(tokens, frame_s, lm=small_lm),
        make_decoder(tokens, frame_s, hotwords=["cat:3"]),
        make_decoder(tokens, frame_s, hotwords=["cat:2"]),
        make_decoder(tokens, frame_s, phrases=["cat"]),
        make_decoder(tokens, frame_s, phrases=["cat", "[unk]"]),
    ]
    saved = [replace(same, decoder=decoder).stream().snapshot() for decoder in decoders]
    for n, decoder in enumerate(decoders):
        for m, data in enumerate([*saved, snapshot]):
            if n == m:
                replace(same, decoder=decoder).restore(data)
            else:
                with pytest.raises(ForeignSnapshotError, match="another decoder"):
                    replace(same, decoder=decoder).restore(data)


def test_hotwords_of_one_stream_are_given_again(tone_model: Path, speak: Speak, small_lm: LanguageModel) -> None:
    recogniser = Recognizer.load(tone_model, lm=small_lm)
    saved = recogniser.stream(hotwords=["zebra"]).snapshot()
    stream = recogniser.restore(saved, hotwords=["zebra"])
    assert [event.text for event in stream.accept(speak("a zebra "), 16_000) + stream.finish()][-1] == "a zebra"
    for other in ((), ("zebra:1",), ("zebras",)):
        with pytest.raises(ForeignSnapshotError):
            recogniser.restore(saved, hotwords=other)


def test_nothing_in_it_can_be_run(snapshot: bytes) -> None:
    """No pickle: the modules that read it cannot load code."""
    folder = Path(sys.modules["rillet.pipeline.snapshot"].__file__ or "").parent
    for name in ("snapshot.py", "values.py"):
        source = (folder / name).read_text()
        assert not [word for word in ("pickle", "eval(", "exec(", "import_module", "allow_pickle") if word in source]
