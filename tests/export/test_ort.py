"""ORT format: the same words from a file that small builds of onnxruntime read, and the list of what they must have."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from rillet.export.ort import OrtExportError, main
from rillet.pipeline import Recognizer
from rillet.pipeline.errors import DamagedModelError, RilletError
from rillet.pipeline.model_file import SHIPPED_MODEL, AcousticModel

Speak = Callable[..., npt.NDArray[np.float32]]


def operators(config: Path) -> set[str]:
    lines = [line for line in config.read_text().splitlines() if line and not line.startswith("#")]
    assert all(line.count(";") == 2 for line in lines)  # domain;opset;operators
    return {name for line in lines for name in line.split(";")[2].split(",")}


def test_it_says_the_same(tone_model: Path, tmp_path: Path, speak: Speak, capsys: pytest.CaptureFixture[str]) -> None:
    main(tone_model, tmp_path / "tones.ort")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tones.ort", "tones.required_operators.config"]
    assert capsys.readouterr().out.startswith(f"{tmp_path / 'tones.ort'}: ")
    recognizer = Recognizer.load(tmp_path / "tones.ort", lm=None, verify=True)
    assert recognizer.transcribe(speak("the same words"), 16_000).text == "the same words"
    assert recognizer.info.fingerprint == AcousticModel.load(tone_model).info.fingerprint
    assert operators(tmp_path / "tones.required_operators.config") >= {"MatMul", "LogSoftmax"}


@pytest.mark.skipif(not SHIPPED_MODEL.is_file(), reason="there is no trained model yet")
def test_the_shipped_model_from_the_command_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "rillet.pipeline.cli", "export", "--ort", str(tmp_path / "en.ort")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    model, original = AcousticModel.load(tmp_path / "en.ort"), AcousticModel.load()
    assert model.info.fingerprint == original.info.fingerprint
    state = np.random.default_rng(0).normal(0, 0.3, (2, model.info.state_size)).astype(np.float32)
    audio = np.random.default_rng(1).normal(0, 0.1, (2, model.info.step_samples)).astype(np.float32)
    for got, want in zip(model.step(audio, state), original.step(audio, state), strict=True):
        assert np.abs(got - want).max() < 1e-3
    assert (tmp_path / "en.ort").stat().st_size < 1.1 * SHIPPED_MODEL.stat().st_size
    recurrent = {node.op_type for node in onnx.load(SHIPPED_MODEL).graph.node if "LSTM" in node.op_type}
    assert recurrent <= operators(tmp_path / "en.required_operators.config")


def test_what_cannot_be_done_is_said_and_leaves_nothing(tone_model: Path, tmp_path: Path) -> None:
    (tmp_path / "no.onnx").write_bytes(b"no")
    with pytest.raises(OrtExportError, match=r"end in \.ort"):
        main(tone_model, tmp_path / "tones.onnx")
    with pytest.raises(OrtExportError, match="no folder"):
        main(tone_model, tmp_path / "none" / "tones.ort")
    with pytest.raises(DamagedModelError):
        main(tmp_path / "no.onnx", tmp_path / "tones.ort")
    assert issubclass(OrtExportError, RilletError)
    assert [path.name for path in tmp_path.iterdir()] == ["no.onnx"]
