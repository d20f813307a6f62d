"""What was exported can be trained on: the weights come back, float ones exactly and int8 ones to their rounding."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from rillet.export.metadata import Description
from rillet.export.onnx import export
from rillet.export.verify import open_session, probability_moved, replay
from rillet.models.checkpoint import CheckpointError
from rillet.models.from_onnx import read_onnx
from rillet.models.network import AcousticNetwork, NetworkConfig

CONFIG = NetworkConfig(convolution_channels=24, lstm_size=40, lstm_layers=3, phone_layer=2, look_ahead_frames=3)


@pytest.fixture(scope="module")
def network() -> AcousticNetwork:
    torch.manual_seed(3)
    network = AcousticNetwork(CONFIG).eval()
    for parameter in network.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)  # none may be missed for being as it began
    network.mean -= 3.0
    network.deviation += 2.0
    return network


def write(network: AcousticNetwork, path: Path, *, int8: bool) -> Path:
    path.write_bytes(export(network, Description(), int8=int8).model)
    return path


def test_float_weights_come_back_exactly(network: AcousticNetwork, tmp_path: Path) -> None:
    checkpoint = read_onnx(write(network, tmp_path / "float.onnx", int8=False))
    assert checkpoint.network == CONFIG
    weights = network.state_dict()
    assert checkpoint.weights.keys() == weights.keys()
    assert all(torch.equal(checkpoint.weights[name], weights[name]) for name in weights)


def test_int8_weights_give_what_the_file_gives(network: AcousticNetwork, tmp_path: Path) -> None:
    path = write(network, tmp_path / "int8.onnx", int8=True)
    back = read_onnx(path).load_network()
    audio = (0.1 * np.random.default_rng(0).standard_normal((1, 32 * CONFIG.samples_per_frame))).astype(np.float32)
    state = np.zeros((1, network.state_size), np.float32)
    from_file = replay(open_session(path.read_bytes()), audio, state, [audio.shape[1]])[0]
    with torch.inference_mode():
        from_torch = back(torch.from_numpy(audio), torch.from_numpy(state))[0].numpy()
    assert probability_moved(from_torch, from_file) < 0.02  # the file also rounds activations
    moved = [(back.state_dict()[n] - w).abs().max() / w.abs().max() for n, w in network.state_dict().items()]
    assert 0 < max(moved) < 0.02


def test_what_is_no_model_file_is_refused(network: AcousticNetwork, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="there is no model file"):
        read_onnx(tmp_path / "absent.onnx")
    (tmp_path / "noise.onnx").write_bytes(b"not a model")
    with pytest.raises(CheckpointError, match="is not an ONNX file, or it is damaged"):
        read_onnx(tmp_path / "noise.onnx")
    model = onnx.load(write(network, tmp_path / "whole.onnx", int8=False))
    kept = [entry for entry in model.metadata_props if entry.key != "rillet.network"]
    del model.metadata_props[:]
    model.metadata_props.extend(kept)
    onnx.save(model, tmp_path / "foreign.onnx")
    with pytest.raises(CheckpointError, match="is not a model file to train from"):
        read_onnx(tmp_path / "foreign.onnx")
