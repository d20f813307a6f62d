"""`rillet inspect`: the stages it draws are those of the recogniser, in the stretch that was asked for."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile  # type: ignore[import-untyped]
from rillet.pipeline import Recognizer
from rillet.pipeline.cli import app
from rillet.pipeline.errors import EmptyStretchError, MissingExtraError, OutputFormatError
from rillet.pipeline.picture import draw, hear
from typer.testing import CliRunner

Speak = Callable[..., npt.NDArray[np.float32]]


@pytest.fixture
def recording(tmp_path: Path, speak: Speak) -> Path:
    path = tmp_path / "talk.wav"
    soundfile.write(path, speak("abc de fgh", 44_100), 44_100)
    return path


def test_all_stages_share_one_time(tone_model: Path, recording: Path) -> None:
    recogniser = Recognizer.load(tone_model)
    whole = hear(recogniser, recording, 0.0, 30.0)
    assert len(whole.audio) == 2 * 16_000
    assert whole.posteriors.shape == (50, len(recogniser.info.tokens))
    assert [word.text for word in whole.words] == ["abc", "de", "fgh"]
    for word in whole.words:  # its first letter is the likeliest token where it begins
        row = whole.posteriors[round(word.start_s / 0.04)]
        assert recogniser.info.tokens[row.argmax()] == word.text[0]

    part = hear(recogniser, recording, 0.8, 0.5)
    assert len(part.audio) == 8_000
    assert np.array_equal(part.audio, whole.audio[12_800:20_800])
    assert np.array_equal(part.posteriors, whole.posteriors[20:32])
    assert [word.text for word in part.words] == ["de"]


def test_a_picture(tone_model: Path, recording: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    pytest.importorskip("librosa")
    picture = tmp_path / "talk.svg"
    done = CliRunner().invoke(app, list(map(str, ["inspect", recording, "-o", picture, "--model", tone_model])))
    assert (done.exit_code, done.output) == (0, f"{picture}: abc de fgh\n")
    drawn = picture.read_text()
    # text is drawn as outlines, with what it says in a comment
    for text in ("talk.wav, heard by tones", "amplitude", "MFCC / deviation", "posterior", "seconds", "abc", "fgh"):
        assert f"<!-- {text} -->" in drawn
    assert "<!-- 1.00 -->" in drawn  # figures on the time axis


def test_what_cannot_be_drawn_is_said(tone_model: Path, recording: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recogniser = Recognizer.load(tone_model)
    with pytest.raises(OutputFormatError, match="pdf, png, svg"):
        draw(recogniser, recording, Path("talk.docx"))
    with pytest.raises(EmptyStretchError, match=r"nothing at 7 s, for it is 2\.0 s long"):
        hear(recogniser, recording, 7.0, 1.0)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'rillet\[inspect\]'"):
        draw(recogniser, recording, Path("talk.png"))
