"""Means of checkpoints."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from rillet.models.checkpoint import CheckpointError, load_checkpoint, mean_checkpoint, save_checkpoint
from rillet.models.network import AcousticNetwork, NetworkConfig

CONFIG = NetworkConfig(convolution_channels=16, lstm_size=24, lstm_layers=1)


def write(path: Path, config: NetworkConfig, seed: int) -> Path:
    torch.manual_seed(seed)
    save_checkpoint(path, config, AcousticNetwork(config).state_dict(), {"step": seed})
    return path


def test_the_mean_counts_each_checkpoint_once(tmp_path: Path) -> None:
    a = write(tmp_path / "a", CONFIG, 1)
    b = write(tmp_path / "b", replace(CONFIG, dropout=0.3), 2)
    mean = mean_checkpoint([a, b, b])
    assert mean.network == CONFIG
    assert mean.progress == {"step": 1}
    one, other = load_checkpoint(a).weights, load_checkpoint(b).weights
    assert mean.weights.keys() == one.keys()
    for name, tensor in mean.weights.items():
        torch.testing.assert_close(tensor, (one[name] + 2 * other[name]) / 3)
    assert any(not torch.equal(mean.weights[name], one[name]) for name in one)
    mean.load_network()


def test_a_checkpoint_without_a_weight_has_no_mean(tmp_path: Path) -> None:
    a, b = write(tmp_path / "a", CONFIG, 1), tmp_path / "b"
    weights = AcousticNetwork(CONFIG).state_dict()
    del weights["head.bias"]
    save_checkpoint(b, CONFIG, weights, {"step": 2})
    for paths in ([a, b], [b, a]):
        with pytest.raises(CheckpointError):
            mean_checkpoint(paths).load_network()


def test_one_checkpoint_is_its_own_mean(tmp_path: Path) -> None:
    a = write(tmp_path / "a", CONFIG, 1)
    weights = load_checkpoint(a).weights
    assert all(torch.equal(tensor, weights[name]) for name, tensor in mean_checkpoint([a]).weights.items())


def test_another_network_has_no_mean_with_it(tmp_path: Path) -> None:
    a, b = write(tmp_path / "a", CONFIG, 1), write(tmp_path / "b", replace(CONFIG, lstm_size=32), 2)
    with pytest.raises(CheckpointError, match="another network"):
        mean_checkpoint([a, b])
    with pytest.raises(CheckpointError, match="there is no checkpoint"):
        mean_checkpoint([a, tmp_path / "c"])
