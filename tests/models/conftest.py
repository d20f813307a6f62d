"""Speech made of tones and a network small enough to learn it in seconds."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile  # type: ignore[import-untyped]
import torch
from rillet.models.checkpoint import save_checkpoint
from rillet.models.network import AcousticNetwork, NetworkConfig
from rillet.models.train import train

WORDS = ("ab", "ba", "cab", "abc")
TINY = NetworkConfig(
    tokens=("", " ", "a", "b", "c"),
    look_ahead_frames=2,
    convolution_channels=16,
    lstm_size=32,
    lstm_layers=1,
    dropout=0,
)
CONFIG = """
run = "{run}"
cache = "cache"
train = [{{manifest = "train.jsonl"}}]
validation = ["dev.jsonl"]
steps = {steps}
validate_every_steps = {every}
log_every_steps = 5
learning_rate = 1e-2
warm_up_steps = 5
cool_down_steps = {cool_down}
average = 0.9
threads = 1
workers = {workers}
{extra}
[batches]
batch_s = 8.0
[augment]
speed_chance = 0.0
equaliser_chance = 0.0
telephone_chance = 0.0
low_pass_chance = 0.0
noise_only_chance = 0.0
frequency_masks = 0
time_masks_per_s = 0.0
[network]
tokens = ["", " ", "a", "b", "c"]
look_ahead_frames = 2
convolution_channels = 16
lstm_size = 32
lstm_layers = 1
dropout = 0.0
"""


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def write_set(folder: Path, name: str, count: int, speak: Callable[..., npt.NDArray[np.float32]], seed: int) -> Path:
    """A manifest of `count` utterances of one to three words in tones."""
    rng, manifest = np.random.default_rng(seed), folder / f"{name}.jsonl"
    rows = []
    for number in range(count):
        text = " ".join(rng.choice(WORDS, rng.integers(1, 4)))
        audio = speak(text) * np.float32(0.5)
        soundfile.write(folder / f"{name}{number}.wav", np.concatenate([audio, np.zeros(1_600, np.float32)]), 16_000)
        rows.append(json.dumps({"audio": f"{name}{number}.wav", "text": text}))
    manifest.write_text("\n".join(rows) + "\n")
    return manifest


@pytest.fixture(scope="session")
def tone_sets(tmp_path_factory: pytest.TempPathFactory, speak: Callable[..., npt.NDArray[np.float32]]) -> Path:
    """A folder with train.jsonl and dev.jsonl."""
    folder = tmp_path_factory.mktemp("tones")
    write_set(folder, "train", 24, speak, 1)
    write_set(folder, "dev", 6, speak, 2)
    return folder


Configure = Callable[..., Path]


@pytest.fixture
def configure(tone_sets: Path, tmp_path: Path) -> Configure:
    """`configure("run", steps=8)` writes a configuration of a tiny training that runs in the test's own folder."""

    def write(run: str, steps: int = 8, every: int = 4, cool_down: int = 0, workers: int = 0, extra: str = "") -> Path:
        path = tone_sets / f"{tmp_path.name}-{run}.toml"
        path.write_text(
            CONFIG.format(
                run=tmp_path / run, steps=steps, every=every, cool_down=cool_down, workers=workers, extra=extra
            )
        )
        return path

    return write


@pytest.fixture(scope="session")
def random_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of a network that has learnt nothing."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("random") / "random.safetensors"
    save_checkpoint(path, TINY, AcousticNetwork(TINY).state_dict(), {"step": 0})
    return path


@pytest.fixture(scope="session")
def tone_checkpoint(tone_sets: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The best checkpoint of a network that has learnt the tones."""
    folder = tmp_path_factory.mktemp("trained")
    config = tone_sets / "trained.toml"
    config.write_text(CONFIG.format(run=folder, steps=160, every=40, cool_down=80, workers=0, extra=""))
    return train(config)
