"""Sound files of every kind become mono blocks at their own rate; broken ones give what is there and one sentence."""

import os
import struct
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile  # type: ignore[import-untyped]
from rillet.pipeline import AudioError, Event, Final, Recognizer
from rillet.pipeline.audio_file import read_blocks
from rillet.pipeline.errors import (
    AudioFileNotFoundError,
    AudioFileUnreadableError,
    AudioIsDirectoryError,
    ChannelError,
    EmptyAudioError,
    NonFiniteSamplesError,
    NotAudioError,
    SampleRateError,
    TruncatedAudioError,
)

FloatArray = npt.NDArray[np.float32]
Speak = Callable[..., FloatArray]
TEXT = "read me"
LONG_TEXT = "a longer text to break off"
FORMATS = [
    ("wav", "WAV", "PCM_U8"),
    ("wav", "WAV", "PCM_16"),
    ("wav", "WAV", "PCM_24"),
    ("wav", "WAV", "PCM_32"),
    ("wav", "WAV", "FLOAT"),
    ("wav", "WAV", "DOUBLE"),
    ("wav", "WAVEX", "PCM_16"),
    ("flac", "FLAC", "PCM_16"),
    ("flac", "FLAC", "PCM_24"),
    ("mp3", "MP3", "MPEG_LAYER_III"),
    ("ogg", "OGG", "VORBIS"),
    ("opus", "OGG", "OPUS"),
    ("aiff", "AIFF", "PCM_16"),
]


@pytest.fixture(scope="module")
def recogniser(tone_model: Path) -> Recognizer:
    return Recognizer.load(tone_model)


def read(path: Path, channel: int | None = None) -> FloatArray:
    return np.concatenate([block.samples for block in read_blocks(path, channel)])


def refused(path: Path, kind: type[AudioError], channel: int | None = None) -> str:
    """The sentence with which a file is refused."""
    with pytest.raises(kind) as caught:
        read(path, channel)
    sentence = str(caught.value)
    assert sentence.startswith(f"{path}: ")
    assert sentence[-1] in ".v"  # "... ffmpeg -i INPUT output.wav"
    assert "\n" not in sentence
    return sentence


def heard_before_the_error(recogniser: Recognizer, path: Path) -> tuple[str, AudioError]:
    """The text of the last event, which must be a final, and what was raised after it."""
    events: list[Event] = []
    try:
        for event in recogniser.events(path):
            events.append(event)
    except AudioError as error:
        assert isinstance(events[-1], Final)
        return events[-1].text, error
    pytest.fail("there was no error")


@pytest.mark.parametrize(("suffix", "container", "subtype"), FORMATS)
@pytest.mark.parametrize("rate_hz", [8_000, 48_000])
def test_formats(
    recogniser: Recognizer, speak: Speak, tmp_path: Path, suffix: str, container: str, subtype: str, rate_hz: int
) -> None:
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, speak(TEXT, rate_hz), rate_hz, format=container, subtype=subtype)
    assert recogniser.transcribe(path).text == TEXT
    assert recogniser.transcribe(str(path)).text == TEXT


@pytest.mark.parametrize(("suffix", "container", "subtype"), FORMATS)
def test_blocks_are_the_whole(tmp_path: Path, suffix: str, container: str, subtype: str) -> None:
    """Exactly: soundfile itself makes clicks in MP3 when it reads in blocks, for it seeks after each."""
    path = tmp_path / f"a.{suffix}"
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 100_000)
    soundfile.write(path, noise, 48_000, format=container, subtype=subtype)
    whole, rate_hz = soundfile.read(path, dtype="float32")
    blocks = list(read_blocks(path))
    assert {block.sample_rate_hz for block in blocks} == {rate_hz}
    assert len(blocks) > 20
    assert np.concatenate([block.samples for block in blocks]).tobytes() == whole.tobytes()


@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 44_100, 192_000])
@pytest.mark.parametrize("channels", [1, 2, 5, 8])
def test_rates_and_channels(recogniser: Recognizer, speak: Speak, tmp_path: Path, rate_hz: int, channels: int) -> None:
    path = tmp_path / "a.wav"
    samples = np.zeros((len(speak(TEXT, rate_hz)), channels))
    samples[:, -1] = speak(TEXT, rate_hz)
    soundfile.write(path, samples, rate_hz)
    assert recogniser.transcribe(path, channel=channels).text == TEXT
    if channels > 1:
        assert recogniser.transcribe(path, channel=1).text == ""
    assert read(path) == pytest.approx(samples.mean(axis=1), abs=1e-4)
    assert f"channel {channels + 1} was asked for" in refused(path, ChannelError, channels + 1)


# ---- Broken files ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("suffix", "container", "subtype"),
    [row for row in FORMATS if row[2] in ("PCM_16", "FLOAT", "VORBIS", "OPUS", "MPEG_LAYER_III")],
)
@pytest.mark.parametrize("kept", [0.5, 0.9])
def test_a_file_that_breaks_off_gives_what_is_there_first(
    recogniser: Recognizer, speak: Speak, tmp_path: Path, suffix: str, container: str, subtype: str, kept: float
) -> None:
    path = tmp_path / f"a.{suffix}"
    audio = speak(LONG_TEXT, 48_000)
    audio += np.random.default_rng(0).normal(0, 0.01, len(audio)).astype(np.float32)  # so that no codec skips the gaps
    soundfile.write(path, audio, 48_000, format=container, subtype=subtype)
    assert recogniser.transcribe(path).text == LONG_TEXT
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole))])
    text, error = heard_before_the_error(recogniser, path)
    assert isinstance(error, TruncatedAudioError)
    assert LONG_TEXT.startswith(text[:-1])  # the last tone may be a stump
    assert len(text) >= (kept - 0.25) * len(LONG_TEXT)
    assert len(text) * 0.2 == pytest.approx(error.after_s, abs=0.5)


@pytest.mark.parametrize("announced", [0xFFFF_FFFF, 0x7FFF_FFFF])
def test_a_wav_from_a_pipe_that_knew_no_length(
    recogniser: Recognizer, speak: Speak, tmp_path: Path, announced: int
) -> None:
    path = tmp_path / "pipe.wav"
    soundfile.write(path, speak(TEXT), 16_000)
    content = bytearray(path.read_bytes())
    length_at = content.index(b"data") + 4
    content[length_at : length_at + 4] = struct.pack("<I", announced)
    path.write_bytes(content)
    assert recogniser.transcribe(path).text == TEXT


def test_a_flac_from_a_pipe_that_knew_no_length(recogniser: Recognizer, speak: Speak, tmp_path: Path) -> None:
    path = tmp_path / "pipe.flac"
    soundfile.write(path, speak(TEXT), 16_000)
    content = bytearray(path.read_bytes())
    content[21] &= 0xF0  # the 36 bits of STREAMINFO for the number of samples
    content[22:26] = bytes(4)
    path.write_bytes(content)
    assert recogniser.transcribe(path).text == TEXT


@pytest.mark.parametrize("tag_bytes", [0, 1_000, 200_000])
def test_an_mp3_without_a_length(recogniser: Recognizer, speak: Speak, tmp_path: Path, tag_bytes: int) -> None:
    """Variable bit rate, cut out of a longer one, where libsndfile stops too early; and a cover picture before it."""
    path = tmp_path / "a.mp3"
    soundfile.write(path, speak(TEXT, 44_100), 44_100)
    content = path.read_bytes()
    assert content[21:25] == b"Xing"
    second_frame = content.index(b"\xff\xfb", 100)
    length = bytes((tag_bytes >> shift) & 127 for shift in (21, 14, 7, 0))
    tag = b"ID3\x03\x00\x00" + length + bytes(tag_bytes) if tag_bytes else b""
    path.write_bytes(tag + content[second_frame:])
    assert soundfile.info(path).duration != pytest.approx(1.4, abs=0.1)
    assert recogniser.transcribe(path).text == TEXT


def test_a_file_need_not_be_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "a.mp3"
    soundfile.write(path, np.random.default_rng(0).uniform(-1, 1, 500_000), 16_000)
    blocks = read_blocks(path)
    assert len(next(blocks).samples) == 1_600
    before = {thread.name for thread in threading.enumerate()}
    assert "rillet reads a.mp3" in before
    blocks.close()  # type: ignore[attr-defined]
    for thread in threading.enumerate():
        if thread.name == "rillet reads a.mp3":
            thread.join(10)
            assert not thread.is_alive()


def test_no_such_file(tmp_path: Path) -> None:
    assert "no such file" in refused(tmp_path / "none.wav", AudioFileNotFoundError)


def test_a_folder(tmp_path: Path) -> None:
    assert "folder" in refused(tmp_path, AudioIsDirectoryError)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="needs a user whom permissions hold back")
def test_a_file_of_somebody_else(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, np.zeros(100), 16_000)
    path.chmod(0)
    assert "permissions" in refused(path, AudioFileUnreadableError)


@pytest.mark.parametrize("name", ["a.wav", "a.mp3", "a.raw", "notes.txt", "name without suffix"])
def test_not_audio(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text("Dear diary, nobody recorded this.\n" * 200)
    assert "ffmpeg" in refused(path, NotAudioError)


def test_empty_files(tmp_path: Path) -> None:
    nothing, silent = tmp_path / "a.wav", tmp_path / "b.wav"
    nothing.touch()
    soundfile.write(silent, np.zeros(0), 16_000)
    for path in (nothing, silent):
        assert "it is empty" in refused(path, EmptyAudioError)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_not_a_number(recogniser: Recognizer, speak: Speak, tmp_path: Path, bad: float) -> None:
    path = tmp_path / "a.wav"
    audio = speak(LONG_TEXT)
    audio[-100] = bad
    soundfile.write(path, audio, 16_000, subtype="FLOAT")
    assert "NaN or infinite" in refused(path, NonFiniteSamplesError)
    text, error = heard_before_the_error(recogniser, path)
    assert isinstance(error, NonFiniteSamplesError)
    assert text == LONG_TEXT


@pytest.mark.parametrize("rate_hz", [4_000, 384_000])
def test_a_rate_that_is_not_supported(tmp_path: Path, rate_hz: int) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, np.zeros(100), rate_hz)
    assert f"{rate_hz} Hz is not supported" in refused(path, SampleRateError)
