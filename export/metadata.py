"""What a model file says about itself (`metadata_props`); pipeline/model_file.py reads it."""

import base64
import json
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from ..models.network import NetworkConfig

FORMAT_VERSION = "1"
STEP_FRAMES = 4  # 160 ms: shorter steps waste time on overhead, longer ones make people wait


@dataclass(frozen=True)
class ErrorRate:
    """How well a model did on a test set."""

    set: str
    wer: float  # word and character error rate, 1.0 is 100 %
    cer: float
    how: str  # precision, decoder, streaming or whole


@dataclass(frozen=True)
class Description:
    """The part of the metadata that people write; `rillet export --describe FILE.json` reads it."""

    name: str = "unnamed"
    language: str = "en"
    licence: str = "not stated"
    training_data: str = "not stated"
    error_rates: tuple[ErrorRate, ...] = ()  # measured with the exported file
    words_early_s: float = (
        0.0  # by `benchmarks/pauses.py`: how much too early words begin and end, added to their times
    )


def metadata(
    config: NetworkConfig, state_size: int, precision: str, description: Description, golden: str
) -> dict[str, str]:
    """All entries of a model file's `metadata_props`; numbers as decimal text, structures as JSON.

    Args:
        config: of the network.
        state_size: length of a row of state.
        precision: "float32" or "int8".
        description: what people say about it.
        golden: what `golden_entry` made.
    """
    entries = {
        "format_version": FORMAT_VERSION,
        "sample_rate_hz": str(config.mfcc.sample_rate_hz),
        "samples_per_frame": str(config.samples_per_frame),
        "frame_s": repr(config.frame_s),
        "step_frames": str(STEP_FRAMES),
        "look_ahead_frames": str(config.look_ahead_frames),
        "words_early_s": repr(description.words_early_s),
        "state_size": str(state_size),
        "tokens": json.dumps(config.tokens),
        "phones": json.dumps(config.phones),
        "mfcc": json.dumps(asdict(config.mfcc)),
        "network": json.dumps(asdict(config)),  # to train on from the file
        "precision": precision,
        "name": description.name,
        "language": description.language,
        "licence": description.licence,
        "training_data": description.training_data,
        "error_rates": json.dumps([asdict(rate) for rate in description.error_rates]),
        "golden": golden,
    }
    return {f"rillet.{name}": value for name, value in entries.items()}


def golden_audio(config: NetworkConfig, steps: int = 4) -> NDArray[np.int16]:
    """A chirp with overtones in a little noise, which excites all of the network.

    Returns:
        int16 [steps * STEP_FRAMES * samples_per_frame].
    """
    size = steps * STEP_FRAMES * config.samples_per_frame
    time_s = np.arange(size) / config.mfcc.sample_rate_hz
    phase = 2 * np.pi * (120 * time_s + 200 * time_s**2)
    chirp = sum(np.sin(k * phase) / k for k in range(1, 12))
    noise = np.random.default_rng(0).standard_normal(size)
    return np.asarray(2_000 * chirp * np.sin(9 * time_s) ** 2 + 100 * noise, np.int16)


def golden_entry(audio: NDArray[np.int16], log_probs: NDArray[np.float32], tolerance: float) -> str:
    """The golden vector as JSON: little-endian arrays in base64.

    Args:
        audio: [samples], fed from a state of zeros in steps of STEP_FRAMES.
        log_probs: [frames, columns], what the file must give.
        tolerance: largest absolute difference that is still right.
    """
    return json.dumps(
        {
            "audio_int16": base64.b64encode(audio.astype("<i2").tobytes()).decode(),
            "log_probs_float32": base64.b64encode(log_probs.astype("<f4").tobytes()).decode(),
            "tolerance": tolerance,
        }
    )
