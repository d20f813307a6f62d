"""Loading a model file: what it says about itself, its step, and one sentence for everything that is wrong with it."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from rillet.pipeline import AcousticModel, model_file
from rillet.pipeline.errors import (
    DamagedModelError,
    ModelError,
    ModelNotFoundError,
    ModelVersionError,
    NotARilletModelError,
)

FloatArray = np.ndarray
MakeModel = Callable[..., Path]


def test_what_it_says_about_itself(tone_model: Path) -> None:
    info = AcousticModel.load(tone_model).info
    assert (info.sample_rate_hz, info.samples_per_frame, info.step_frames) == (16_000, 640, 4)
    assert (info.frame_s, info.step_samples, info.look_ahead_frames) == (0.04, 2_560, 8)
    assert info.tokens[:3] == ("", " ", "'")
    assert info.language == "zxx"
    assert [(rate.set, rate.wer) for rate in info.error_rates] == [("tones", 0.0)]


def test_a_step_is_pure_and_rows_are_separate_streams(
    tone_model: Path, speak: Callable[..., FloatArray], tmp_path: Path
) -> None:
    model = AcousticModel.load(tone_model)
    audio = np.stack([speak("ab"), speak("xy")])[:, :5_120]
    state = model.initial_state(2)
    log_probs, after = model.step(audio, state)
    assert not state.any()
    assert log_probs.shape == (2, 8, len(model.info.tokens))
    assert np.exp(log_probs).sum(axis=2) == pytest.approx(1, abs=1e-5)
    for row in range(2):
        alone, alone_after = model.step(audio[row : row + 1], state[row : row + 1])
        assert log_probs[row] == pytest.approx(alone[0], abs=0.1)  # the scale is that of the whole batch
        assert after[row] == pytest.approx(alone_after[0], abs=0.01)
    again, _ = model.step(audio, state)
    assert again.tobytes() == log_probs.tobytes()


def test_the_golden_vector(tone_model: Path, make_tone_model: MakeModel, tmp_path: Path) -> None:
    model = AcousticModel.load(tone_model)
    assert model.verify() <= model.info.golden.tolerance
    broken = onnx.load(tone_model)
    (sines,) = (t for t in broken.graph.initializer if t.name == "sines")
    weights = onnx.numpy_helper.to_array(sines).copy()
    weights[100:103] += 0.01
    sines.CopyFrom(onnx.numpy_helper.from_array(weights, "sines"))
    onnx.save(broken, tmp_path / "bits.onnx")
    with pytest.raises(DamagedModelError, match=r"self-test is off by .* onnxruntime \d"):
        AcousticModel.load(tmp_path / "bits.onnx").verify()


def test_a_golden_vector_of_nan_is_not_passed(tone_model: Path, make_tone_model: MakeModel, tmp_path: Path) -> None:
    golden = json.loads(onnx_metadata(tone_model)["rillet.golden"])
    path = make_tone_model(tmp_path / "nan.onnx", golden=json.dumps({**golden, "tolerance": "nan"}))
    with pytest.raises(DamagedModelError):
        AcousticModel.load(path).verify()


def onnx_metadata(path: Path) -> dict[str, str]:
    return {entry.key: entry.value for entry in onnx.load(path).metadata_props}


def one_sentence(error: ModelError, path: Path) -> bool:
    text = str(error)
    return text.startswith(f"{path}: ") and text.endswith(".") and "\n" not in text


def test_missing_file_and_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "none.onnx", tmp_path):
        with pytest.raises(ModelNotFoundError) as caught:
            AcousticModel.load(path)
        assert one_sentence(caught.value, path)
        assert isinstance(caught.value, FileNotFoundError)


def test_the_shipped_model_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(model_file, "SHIPPED_MODEL", tmp_path / "en.onnx")
    with pytest.raises(ModelNotFoundError, match="no English model in it; reinstall rillet, or name a model"):
        AcousticModel.load()


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.9])
def test_a_file_that_was_cut(tone_model: Path, tmp_path: Path, kept: float) -> None:
    whole = tone_model.read_bytes()
    path = tmp_path / "cut.onnx"
    path.write_bytes(whole[: int(kept * len(whole))])
    with pytest.raises(ModelError) as caught:
        AcousticModel.load(path)
    assert one_sentence(caught.value, path)


def test_a_file_that_is_no_model(tmp_path: Path) -> None:
    path = tmp_path / "text.onnx"
    path.write_text("This is not a model.\n" * 100)
    with pytest.raises(DamagedModelError) as caught:
        AcousticModel.load(path)
    assert one_sentence(caught.value, path)


def test_a_model_of_somebody_else(tone_model: Path, tmp_path: Path) -> None:
    other = onnx.load(tone_model)
    del other.metadata_props[:]
    path = tmp_path / "other.onnx"
    onnx.save(other, path)
    with pytest.raises(NotARilletModelError, match=r"lacks rillet\.format_version") as caught:
        AcousticModel.load(path)
    assert one_sentence(caught.value, path)


def test_a_format_of_the_future(make_tone_model: MakeModel, tmp_path: Path) -> None:
    path = make_tone_model(tmp_path / "new.onnx", format_version="2", tokens="something new")
    with pytest.raises(ModelVersionError, match="format version 2 and this rillet reads version 1") as caught:
        AcousticModel.load(path)
    assert one_sentence(caught.value, path)


@pytest.mark.parametrize(
    "metadata",
    [
        {"tokens": None},
        {"tokens": "not JSON"},
        {"tokens": '["a", "b"]'},
        {"tokens": '["", "a"]'},  # not as many as the tensor has
        {"tokens": "7"},
        {"state_size": "12"},
        {"state_size": "many"},
        {"samples_per_frame": "0"},
        {"samples_per_frame": "320"},
        {"look_ahead_frames": "-1"},
        {"words_early_s": "nan"},
        {"step_frames": None},
        {"error_rates": '[{"set": "x"}]'},
        {"golden": "{}"},
        {"golden": '{"audio_int16": "AA==", "log_probs_float32": "", "tolerance": 1}'},
        {"mfcc": "[1, 2]"},
    ],
    ids=str,
)
def test_metadata_that_make_no_sense(make_tone_model: MakeModel, tmp_path: Path, metadata: dict[str, str]) -> None:
    path = make_tone_model(tmp_path / "strange.onnx", **metadata)
    with pytest.raises(NotARilletModelError) as caught:
        AcousticModel.load(path)
    assert one_sentence(caught.value, path)
