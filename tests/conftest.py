"""A model that hears tones, made without training: what the pipeline's tests recognise.

Every token has a frequency, so a text becomes a sequence of tones, and the model must give exactly that text back, at
exactly those times. It keeps contract 1 to the letter: matched filters on each frame, the answer delayed by the
look-ahead, all memory in `state`. Like an int8 model it quantises its input with a scale taken from the whole call, so
its log-probabilities change in the last digits when the calls are cut differently.
"""

import base64
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime  # type: ignore[import-untyped]
import pytest
from hypothesis import HealthCheck, settings
from onnx import TensorProto, helper, numpy_helper

# The same examples every time, and none is refused because a busy machine was slow to make or to run it.
settings.register_profile(
    "rillet", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow], database=None
)
settings.load_profile("rillet")

# A shell that runs the tests in the background lets them ignore Ctrl-C, and the commands they start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

FloatArray = npt.NDArray[np.float32]

RATE_HZ = 16_000
SAMPLES_PER_FRAME = 640
STEP_FRAMES = 4
LOOK_AHEAD_FRAMES = 8
STATE_SIZE = LOOK_AHEAD_FRAMES * SAMPLES_PER_FRAME
TOKENS = ["", " ", "'", *"abcdefghijklmnopqrstuvwxyz"]
TONE_HZ = {token: 500 + 100 * index for index, token in enumerate(TOKENS[1:])}  # below 3.3 kHz: fits into 8 kHz audio
TONE_S, GAP_S = 0.12, 0.08
LOUDNESS, THRESHOLD = 0.5, 0.1


def tones(text: str, rate_hz: int = RATE_HZ) -> FloatArray:
    """The audio of a text: for each letter a tone of 120 ms and a gap of 80 ms."""
    tone_samples, letter_samples = round(TONE_S * rate_hz), round((TONE_S + GAP_S) * rate_hz)
    audio = np.zeros(len(text) * letter_samples, np.float32)
    time_s = np.arange(tone_samples) / rate_hz
    for index, letter in enumerate(text):
        start = index * letter_samples
        audio[start : start + tone_samples] = LOUDNESS * np.sin(2 * np.pi * TONE_HZ[letter] * time_s)
    return audio


def build_tone_model(path: Path, **metadata: str | None) -> Path:
    """Write the model; `metadata` replaces entries (`state_size="3"`) or leaves them out (`tokens=None`)."""
    time_s = np.arange(SAMPLES_PER_FRAME) / RATE_HZ
    phase = 2 * np.pi * np.outer(time_s, list(TONE_HZ.values()))
    constants: dict[str, npt.NDArray[np.generic]] = {
        "sines": (np.sin(phase) * 2 / SAMPLES_PER_FRAME).astype(np.float32),
        "cosines": (np.cos(phase) * 2 / SAMPLES_PER_FRAME).astype(np.float32),
        "frame_shape": np.array([0, -1, SAMPLES_PER_FRAME], np.int64),
        "blank_pad": np.array([0, 0, 1, 0, 0, 0], np.int64),
        "threshold": np.array(THRESHOLD, np.float32),
        "sharpness": np.array(40, np.float32),
        "memory": np.array([-STATE_SIZE], np.int64),
        "end": np.array([2**31], np.int64),
        "zero": np.array([0], np.int64),
        "time": np.array([1], np.int64),
    }
    nodes = [
        helper.make_node("DynamicQuantizeLinear", ["audio"], ["quantised", "scale", "offset"]),
        helper.make_node("DequantizeLinear", ["quantised", "scale", "offset"], ["rounded"]),
        helper.make_node("Concat", ["state", "rounded"], ["heard"], axis=1),
        helper.make_node("Slice", ["heard", "memory", "end", "time"], ["next_state"]),
        helper.make_node("Slice", ["heard", "zero", "memory", "time"], ["delayed"]),
        helper.make_node("Reshape", ["delayed", "frame_shape"], ["frames"]),
        helper.make_node("MatMul", ["frames", "sines"], ["in_phase"]),
        helper.make_node("MatMul", ["frames", "cosines"], ["quadrature"]),
        helper.make_node("Mul", ["in_phase", "in_phase"], ["in_phase_power"]),
        helper.make_node("Mul", ["quadrature", "quadrature"], ["quadrature_power"]),
        helper.make_node("Add", ["in_phase_power", "quadrature_power"], ["power"]),
        helper.make_node("Sqrt", ["power"], ["amplitude"]),
        helper.make_node("Pad", ["amplitude", "blank_pad", "threshold"], ["scores"]),
        helper.make_node("Mul", ["scores", "sharpness"], ["logits"]),
        helper.make_node("LogSoftmax", ["logits"], ["log_probs"], axis=-1),
    ]
    real = TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "tones",
        [
            helper.make_tensor_value_info("audio", real, ["batch", "samples"]),
            helper.make_tensor_value_info("state", real, ["batch", STATE_SIZE]),
        ],
        [
            helper.make_tensor_value_info("log_probs", real, ["batch", "frames", len(TOKENS)]),
            helper.make_tensor_value_info("next_state", real, ["batch", STATE_SIZE]),
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    entries: dict[str, str | None] = {
        "format_version": "1",
        "sample_rate_hz": str(RATE_HZ),
        "samples_per_frame": str(SAMPLES_PER_FRAME),
        "step_frames": str(STEP_FRAMES),
        "look_ahead_frames": str(LOOK_AHEAD_FRAMES),
        "state_size": str(STATE_SIZE),
        "tokens": json.dumps(TOKENS),
        "mfcc": "{}",
        "precision": "int8",
        "name": "tones",
        "language": "zxx",
        "licence": "Apache-2.0",
        "training_data": "none",
        "error_rates": json.dumps([{"set": "tones", "wer": 0.0, "cer": 0.0, "how": "greedy, streaming"}]),
        "golden": _golden(model.SerializeToString()),
        **metadata,
    }
    helper.set_model_props(model, {f"rillet.{k}": v for k, v in entries.items() if v is not None})
    path.write_bytes(model.SerializeToString())
    return path


def _golden(model: bytes) -> str:
    audio = (tones("golden") * 32768).astype("<i2")
    audio = audio[: len(audio) // SAMPLES_PER_FRAME * SAMPLES_PER_FRAME]
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    state, rows = np.zeros((1, STATE_SIZE), np.float32), []
    for start in range(0, len(audio), STEP_FRAMES * SAMPLES_PER_FRAME):
        piece = audio[None, start : start + STEP_FRAMES * SAMPLES_PER_FRAME].astype(np.float32) / 32768
        log_probs, state = session.run(None, {"audio": piece, "state": state})
        rows.append(log_probs[0])
    return json.dumps(
        {
            "audio_int16": base64.b64encode(audio.tobytes()).decode(),
            "log_probs_float32": base64.b64encode(np.concatenate(rows).astype("<f4").tobytes()).decode(),
            "tolerance": 0.001,
        }
    )


@pytest.fixture(scope="session")
def tone_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model file that hears tones."""
    return build_tone_model(tmp_path_factory.mktemp("model") / "tones.onnx")


@pytest.fixture(scope="session")
def speak() -> Callable[..., FloatArray]:
    """`speak("some text", rate_hz)`: the tones that the model of `tone_model` recognises as the text."""
    return tones


@pytest.fixture(scope="session")
def make_tone_model() -> Callable[..., Path]:
    """`make_tone_model(path, state_size="3", tokens=None)`: the model with other metadata, or without."""
    return build_tone_model


@pytest.fixture(scope="session")
def patience() -> Callable[[float], float]:
    """`patience(1.0)`: how long something may take at this moment that takes a second where nothing else is running.

    Never less than 5 times as long; where many programs share the processors, as much longer as Python takes to start.
    """

    def allow(time_s: float) -> float:
        started_s = time.monotonic()
        subprocess.run([sys.executable, "-c", "import json, subprocess"], check=True)
        return time_s * max(5.0, (time.monotonic() - started_s) / 0.01)  # some 0.05 s alone

    return allow
