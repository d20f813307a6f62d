"""Language models, hotwords and phrases from the command line and through `Recognizer`."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile  # type: ignore[import-untyped]
from rillet.pipeline import Recognizer
from rillet.pipeline.beam import BeamDecoder
from rillet.pipeline.greedy import GreedyDecoder
from rillet.pipeline.lm import LanguageModel

Speak = Callable[..., npt.NDArray[np.float32]]


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory, speak: Speak) -> Path:
    path = tmp_path_factory.mktemp("audio") / "seven.wav"
    soundfile.write(path, speak("seven two"), 16_000)
    return path


def transcribe(model: Path, recording: Path, *options: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "rillet.pipeline.cli", "transcribe", "--model", model, recording, *options]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=120, check=False)


def test_only_phrases_come_out(tone_model: Path, recording: Path, tmp_path: Path) -> None:
    phrases = tmp_path / "phrases.txt"
    phrases.write_text("seven\ntwo\n\nnine\n")
    assert transcribe(tone_model, recording, "--phrases", phrases).stdout == "seven two\n"
    phrases.write_text("seventy\nten\n")
    assert not set(transcribe(tone_model, recording, "--phrases", phrases).stdout.split()) - {"seventy", "ten"}


def test_phrases_reach_a_batch(tone_model: Path, recording: Path, tmp_path: Path) -> None:
    (tmp_path / "phrases.txt").write_text("ten\n")
    done = transcribe(tone_model, recording, "--phrases", tmp_path / "phrases.txt", "--output", tmp_path, "--jobs", "1")
    assert done.returncode == 0, done.stderr
    assert set((tmp_path / "seven.txt").read_text().split()) <= {"ten"}


def test_alternatives_want_a_place_to_be_in(tone_model: Path, recording: Path, tmp_path: Path) -> None:
    for options in (["--output", tmp_path], ["--output", tmp_path, "--format", "txt,srt"]):
        done = transcribe(tone_model, recording, "--alternatives", "3", *options)
        assert done.returncode == 2
        assert "--format json or jsonl" in " ".join(done.stderr.replace("│", " ").split())
    live = [sys.executable, "-m", "rillet.pipeline.cli", "listen", "-", "--model", tone_model, "--alternatives", "3"]
    done = subprocess.run(live, input=b"", capture_output=True, check=False)
    assert done.returncode == 2
    assert b"--json" in done.stderr


def test_alternatives_are_in_the_json(tone_model: Path, recording: Path, tmp_path: Path) -> None:
    done = transcribe(
        tone_model, recording, "--alternatives", "3", "--output", tmp_path, "--format", "json", "--jobs", "1"
    )
    assert done.returncode == 0, done.stderr
    (utterance,) = json.loads((tmp_path / "seven.json").read_text())["utterances"]
    first, *others = utterance["alternatives"]
    assert (first["text"], first["words"], first["score"]) == (utterance["text"], utterance["words"], 0.0)
    assert len(others) == 2
    for other in others:
        assert other["score"] < 0.0
        assert other["text"] != first["text"]
        assert [word["text"] for word in other["words"]] == other["text"].split()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--hotword", "naïve"), "ï"),
        (("--lm", "nowhere.lm"), "nowhere.lm"),
        (("--phrases", "nowhere.txt"), "nowhere.txt"),
    ],
)
def test_a_wrong_wish_is_one_sentence(tone_model: Path, recording: Path, options: tuple[str, str], said: str) -> None:
    done = transcribe(tone_model, recording, *options)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_what_decodes(tone_model: Path, small_lm: LanguageModel) -> None:
    greedy, beam = Recognizer.load(tone_model), Recognizer.load(tone_model, lm=small_lm)
    assert isinstance(greedy.decoder, GreedyDecoder)
    assert isinstance(beam.decoder, BeamDecoder)


def test_words_of_a_stream_replace_those_of_the_recogniser(tone_model: Path, speak: Speak) -> None:
    recogniser = Recognizer.load(tone_model, phrases=["seven", "two"])
    assert recogniser.transcribe(speak("two seven"), 16_000).text == "two seven"
    assert recogniser.transcribe(speak("two seven"), 16_000, phrases=["seven"]).text in ("seven", "seven seven", "")
    assert recogniser.transcribe(speak("to seven"), 16_000, hotwords=["to"]).text == "to seven"
