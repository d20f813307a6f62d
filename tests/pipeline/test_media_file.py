"""Films and phone recordings: their sound becomes the same words as in a WAV file."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from rillet.pipeline import Event, Final, Recognizer
from rillet.pipeline.errors import (
    AudioError,
    ChannelError,
    EmptyAudioError,
    MissingMediaError,
    NotAudioError,
    TruncatedAudioError,
)

av = pytest.importorskip("av")
Speak = Callable[..., npt.NDArray[np.float32]]
KINDS = {"m4a": "aac", "mp4": "aac", "mov": "aac", "aac": "aac", "webm": "libopus", "mkv": "libopus", "mka": "flac"}
RATE_HZ = 48_000


def write_media(path: Path, codec: str, audio: npt.NDArray[np.float32] | None, picture_s: float = 0.0) -> None:
    """A container with sound [channels, samples] and pictures, each if wanted."""
    with av.open(str(path), "w") as container:
        film = container.add_stream("mpeg4" if path.suffix == ".mp4" else "vp8", rate=25) if picture_s else None
        if film is not None:
            film.width = film.height = 64
            film.pix_fmt = "yuv420p"
        sound = container.add_stream(codec, rate=RATE_HZ) if audio is not None else None
        if sound is not None and audio is not None:
            layout = "mono" if len(audio) == 1 else "stereo"
            sound.layout = layout
            kind = "s16" if codec == "flac" else "fltp"
            samples = (audio * 32_767).astype(np.int16).T.reshape(1, -1) if kind == "s16" else audio
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), format=kind, layout=layout)
            frame.rate, frame.pts = RATE_HZ, 0
            for each in (frame, None):
                container.mux(sound.encode(each))
        if film is not None:
            for n in range(round(picture_s * 25)):
                picture = av.VideoFrame.from_ndarray(np.full((64, 64, 3), n % 256, np.uint8), format="rgb24")
                picture.pts = n
                container.mux(film.encode(picture))
            container.mux(film.encode(None))


@pytest.fixture(scope="module")
def recogniser(tone_model: Path) -> Recognizer:
    return Recognizer.load(tone_model)


@pytest.mark.parametrize("kind", KINDS)
def test_sound_in_text_out(recogniser: Recognizer, speak: Speak, tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"talk.{kind}"
    write_media(path, KINDS[kind], speak("hello from a phone", RATE_HZ)[None])
    found = recogniser.transcribe(path)
    assert found.text == "hello from a phone"
    assert found.words[1].start_s == pytest.approx(1.2, abs=0.09)  # a codec may add its delay


def test_a_film_whose_sound_is_shorter(recogniser: Recognizer, speak: Speak, tmp_path: Path) -> None:
    for kind in ("mp4", "mkv"):
        path = tmp_path / f"film.{kind}"
        write_media(path, KINDS[kind], speak("film", RATE_HZ)[None], picture_s=4.0)
        assert recogniser.transcribe(path).text == "film"


def test_channels(recogniser: Recognizer, speak: Speak, tmp_path: Path) -> None:
    path = tmp_path / "two.m4a"
    write_media(path, "aac", np.stack([speak("left", RATE_HZ), speak("then", RATE_HZ)]))
    assert [recogniser.transcribe(path, channel=n).text for n in (1, 2)] == ["left", "then"]
    with pytest.raises(ChannelError, match="channels 1 to 2"):
        recogniser.transcribe(path, channel=3)


@pytest.mark.parametrize("kind", ["webm", "mkv", "mka"])
def test_a_file_that_breaks_off(recogniser: Recognizer, speak: Speak, tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"cut.{kind}"
    write_media(path, KINDS[kind], np.tile(speak("cut "), 12)[None])
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    heard: list[Event] = []
    with pytest.raises(TruncatedAudioError):
        heard.extend(recogniser.events(path))
    assert isinstance(heard[-1], Final)  # of what was heard until there


@pytest.mark.parametrize("kind", ["m4a", "mp4", "mov"])
def test_without_its_index_it_cannot_be_read(recogniser: Recognizer, speak: Speak, tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"cut.{kind}"
    write_media(path, "aac", speak("cut", RATE_HZ)[None])
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(NotAudioError):
        recogniser.transcribe(path)


def test_no_sound_and_no_sense(recogniser: Recognizer, tmp_path: Path) -> None:
    silent = tmp_path / "silent.mp4"
    write_media(silent, "aac", None, picture_s=1.0)
    with pytest.raises(EmptyAudioError):
        recogniser.transcribe(silent)
    for number, head in enumerate((b"\0\0\0\x1cftypM4A ", b"\x1a\x45\xdf\xa3", b"\xff\xf1", b"\x30\x26\xb2\x75")):
        nonsense = tmp_path / f"{number}.m4a"
        nonsense.write_bytes(head + bytes(range(256)) * 20)
        with pytest.raises(AudioError):
            recogniser.transcribe(nonsense)


def test_without_pyav_it_says_what_to_install(
    recogniser: Recognizer, speak: Speak, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "talk.m4a"
    write_media(path, "aac", speak("ok", RATE_HZ)[None])
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MissingMediaError) as caught:
        recogniser.transcribe(path)
    assert (
        str(caught.value) == f"{path}: to read the sound of such a file, install PyAV with: pip install 'rillet[media]'"
    )
