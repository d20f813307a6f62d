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
from rillet.pipeline.cli_language import Language
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
        (("--hotword", "colander:nan"), "its weight is nan"),
        (("--word-bonus", "800"), "word_bonus is 800.0"),
        (("--lm-weight", "inf"), "lm_weight is inf"),
        (("--phrases", "nowhere.txt"), "nowhere.txt: there is no such file;"),
        (("--phrases", "."), ".: the file cannot be read (Is a directory);"),
    ],
)
def test_a_wrong_wish_is_one_sentence(tone_model: Path, recording: Path, options: tuple[str, str], said: str) -> None:
    done = transcribe(tone_model, recording, *options)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no phrase in this file"),
        (b" \n\n", "no phrase in this file"),
        ("né".encode("latin1"), "not text in UTF-8"),
    ],
)
def test_phrases_that_cannot_be_read_are_one_sentence(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "phrases.txt"
    path.write_bytes(content)
    done = transcribe(tmp_path / "not loaded before", tmp_path / "nor this", "--phrases", path)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith(f"rillet: {path}: ")
    assert said in done.stderr


def test_the_mark_before_a_file_of_phrases_is_no_letter(tmp_path: Path) -> None:
    path = tmp_path / "phrases.txt"
    path.write_bytes("\ufeffyes\nno\n".encode())
    assert Language.of(None, None, None, None, None, path).phrases == ("yes", "no")


def test_what_decodes(tone_model: Path, small_lm: LanguageModel) -> None:
    greedy, beam = Recognizer.load(tone_model), Recognizer.load(tone_model, lm=small_lm)
    assert isinstance(greedy.decoder, GreedyDecoder)
    assert isinstance(beam.decoder, BeamDecoder)


def test_words_of_a_stream_replace_those_of_the_recogniser(tone_model: Path, speak: Speak) -> None:
    recogniser = Recognizer.load(tone_model, phrases=["seven", "two"])
    assert recogniser.transcribe(speak("two seven"), 16_000).text == "two seven"
    assert recogniser.transcribe(speak("two seven"), 16_000, phrases=["seven"]).text in ("seven", "seven seven", "")
    assert recogniser.transcribe(speak("to seven"), 16_000, hotwords=["to"]).text == "to seven"
