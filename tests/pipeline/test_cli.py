"""The `rillet` command as a user runs it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import pytest
import soundfile  # type: ignore[import-untyped]

Speak = Callable[..., npt.NDArray[np.float32]]
RILLET = [sys.executable, "-m", "rillet.pipeline.cli"]


def rillet(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*RILLET, *map(str, arguments)], capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory, speak: Speak) -> Path:
    path = tmp_path_factory.mktemp("audio") / "hello.wav"
    soundfile.write(path, speak("hello world", 44_100), 44_100)
    return path


def test_one_file_is_one_paragraph(tone_model: Path, recording: Path) -> None:
    done = rillet("transcribe", "--model", tone_model, recording)
    assert (done.returncode, done.stdout, done.stderr) == (0, "hello world\n", "")


def test_silence_adds_no_spaces(tone_model: Path, tmp_path: Path, speak: Speak) -> None:
    """Utterances without text, by the rule of silence before speech, leave no trace."""
    pause = np.zeros(16_000 * 11, np.float32)
    soundfile.write(tmp_path / "a.wav", np.concatenate([pause, speak("one"), pause, speak("two"), pause]), 16_000)
    assert rillet("transcribe", "--model", tone_model, tmp_path / "a.wav").stdout == "one two\n"


def test_the_sample_comes_along(tone_model: Path, recording: Path) -> None:
    done = rillet("transcribe", "--model", tone_model, recording, "--sample")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{recording}:\nhello world\n\n")
    assert "sample.flac:" in done.stdout


def test_bad_files_get_a_sentence_each_and_the_others_go_on(tone_model: Path, recording: Path, tmp_path: Path) -> None:
    text, empty, cut, nan = (tmp_path / name for name in ("text.wav", "empty.flac", "cut.wav", "nan.wav"))
    text.write_text("no sound here")
    empty.touch()
    cut.write_bytes(recording.read_bytes()[:-60_000])
    soundfile.write(nan, np.full(100, np.nan), 16_000, subtype="FLOAT")
    missing = tmp_path / "missing.ogg"
    done = rillet("transcribe", "--model", tone_model, text, empty, missing, tmp_path, cut, nan, recording)
    assert done.returncode == 2
    assert done.stdout == f"{cut}:\nhello wo\n\n{recording}:\nhello world\n\n"
    sentences = done.stderr.splitlines()
    assert [line.split(": ")[1] for line in sentences] == list(map(str, [text, empty, missing, tmp_path, cut, nan]))
    assert all(line.startswith("rillet: ") for line in sentences)


def test_a_bad_model_is_one_sentence(recording: Path, tmp_path: Path) -> None:
    for model in (tmp_path / "none.onnx", tmp_path, recording):
        done = rillet("transcribe", "--model", model, recording)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith(f"rillet: {model}: ")
        assert done.stderr.count("\n") == 1


def test_a_model_whose_weights_are_damaged_is_one_sentence(recording: Path, tmp_path: Path, tone_model: Path) -> None:
    broken = onnx.load(tone_model)
    (sines,) = (tensor for tensor in broken.graph.initializer if tensor.name == "sines")
    sines.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(sines) * 1.1, "sines"))
    onnx.save(broken, tmp_path / "bits.onnx")
    done = rillet("transcribe", recording, "--model", tmp_path / "bits.onnx")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "the model is damaged" in done.stderr


def test_a_channel_that_is_not_there(tone_model: Path, recording: Path) -> None:
    done = rillet("transcribe", "--model", tone_model, "--channel", "2", recording)
    assert (done.returncode, done.stdout) == (2, "")
    assert "channel 2 was asked for and there is only channel 1" in done.stderr


def test_version_and_help() -> None:
    assert rillet("--version").stdout.startswith("rillet 0.")
    assert "rillet transcribe talk.wav" in rillet("--help").stdout
    assert "Examples:" in rillet("transcribe", "--help").stdout
    for command in ("train", "evaluate", "export"):
        assert "rillet[train]" in rillet(command, "--help").stdout


def test_wrong_use_says_how(recording: Path) -> None:
    done = rillet("transcribe")
    assert done.returncode == 2
    assert "name at least one sound file" in done.stderr
    assert "Traceback" not in rillet("transcribe", "--channel", "left", recording).stderr


@pytest.mark.skipif(os.name == "nt", reason="signals and pipes of POSIX")
class TestQuietEndings:
    @pytest.fixture
    def long_recording(self, tmp_path: Path, speak: Speak) -> Path:
        path = tmp_path / "long.wav"
        soundfile.write(path, np.tile(speak("on and "), 3_000), 16_000)
        return path

    def test_the_reader_goes_away(self, tone_model: Path, long_recording: Path) -> None:
        command = [*RILLET, "transcribe", "--model", str(tone_model), str(long_recording)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            assert process.stdout.read(6) == b"on and"
            process.stdout.close()
            assert process.stderr.read() == b""
            assert process.wait(60) == 141

    def test_ctrl_c(self, tone_model: Path, long_recording: Path, patience: Callable[[float], float]) -> None:
        command = [*RILLET, "transcribe", "--model", str(tone_model), str(long_recording)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            assert process.stdout.read(6) == b"on and"
            process.send_signal(signal.SIGINT)
            started_s = time.monotonic()
            assert process.stdout.read().endswith(b"\n")
            assert process.stderr.read() == b""
            assert process.wait(60) == 130
            took_s = time.monotonic() - started_s
        assert took_s < patience(1)

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is Linux's")
    @pytest.mark.parametrize("buffered", [False, True])
    def test_a_full_disk_is_one_sentence(
        self, tone_model: Path, recording: Path, tmp_path: Path, buffered: bool
    ) -> None:
        output = ["--output", str(tmp_path)] if buffered else []  # its summary waits in Python until the end
        command = [*RILLET, "transcribe", "--model", str(tone_model), str(recording), *output]
        with open("/dev/full", "wb") as nowhere:
            done = subprocess.run(command, stdout=nowhere, stderr=subprocess.PIPE, timeout=300, check=False)
        assert (done.returncode, done.stderr.count(b"\n")) == (2, 1), done.stderr
        assert done.stderr.startswith(b"rillet: the output: not all of it could be written (No space")
