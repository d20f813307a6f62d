"""An exported model file read back into a checkpoint's weights, so that training can begin from what is shipped.

int8 weights come back as the multiples of their scales that they are: the network that goes on is the one users run.
"""

import json
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from pydantic import TypeAdapter, ValidationError
from torch import Tensor

from .checkpoint import Checkpoint, CheckpointError
from .network import AcousticNetwork, NetworkConfig

Floats = NDArray[np.float32]


def read_onnx(path: Path) -> Checkpoint:
    """The weights of a file that `rillet export` wrote, float or int8.

    Raises:
        CheckpointError: there is no such file, or rillet cannot read weights from it.
    """
    if not path.is_file():
        raise CheckpointError(f"there is no model file {path}")
    try:
        model = onnx.load(path)
        about = {entry.key: entry.value for entry in model.metadata_props}
        config = TypeAdapter(NetworkConfig).validate_python(json.loads(about["rillet.network"]), extra="forbid")
        weights = _weights(model.graph)
    except (KeyError, ValueError, ValidationError) as error:
        raise CheckpointError(f"{path} is not a model file to train from; export it with this version") from error
    except Exception as error:  # protobuf has exceptions of its own
        raise CheckpointError(f"{path} is not an ONNX file, or it is damaged") from error
    expected = AcousticNetwork(config).state_dict()
    lacking = {
        name for name in expected.keys() - weights.keys() if not name.startswith("phone_head.")
    }  # older files do
    if lacking or any(name not in expected or weights[name].shape != expected[name].shape for name in weights):
        raise CheckpointError(f"{path} has other weights than its metadata says; it is damaged")
    return Checkpoint(config, weights, {}, {})


def _weights(graph: onnx.GraphProto) -> dict[str, Tensor]:
    """Tensors by their names in torch: most kept them; those of products and LSTMs are found by the node's name."""
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    # What the exporter moved into the graph under names of its own starts with "onnx::".
    weights = {name: array for name, array in stored.items() if "::" not in name}
    for node in graph.node:
        layer = node.name.removesuffix("_quant").strip("/").split("/")
        place = ".".join(layer[:-1])
        if node.op_type in ("MatMul", "MatMulInteger") and node.name.count("/") > 1:
            weights[f"{place}.weight"] = _float(stored, node.input[1].removesuffix("_quantized")).T
        elif node.op_type in ("LSTM", "DynamicQuantizeLSTM"):
            quantised = node.op_type == "DynamicQuantizeLSTM"
            for name, kind in ((node.input[1], "ih"), (node.input[2], "hh")):
                matrix = _float(stored, name.removesuffix("_quantized"))[0]
                weights[f"{place}.weight_{kind}_l0"] = _gates(matrix.T if quantised else matrix)
            for half, kind in zip(np.split(stored[node.input[3]][0], 2), ("ih", "hh"), strict=True):
                weights[f"{place}.bias_{kind}_l0"] = _gates(half)
    return {name: torch.from_numpy(np.array(array, np.float32)) for name, array in weights.items()}


def _float(stored: dict[str, NDArray[np.generic]], name: str) -> Floats:
    """A weight of any precision; int8 has one scale for each output and no zero point."""
    if name in stored:
        return np.asarray(stored[name], np.float32)
    scale = np.asarray(stored[f"{name}_scale"], np.float32)
    quantised = np.asarray(stored[f"{name}_quantized"], np.float32)
    return np.asarray(quantised * (scale[:, None, :] if quantised.ndim == 3 else scale), np.float32)


def _gates(rows: Floats) -> Floats:
    """ONNX's order of an LSTM's gates (input, output, forget, cell) to torch's (input, forget, cell, output)."""
    i, o, f, c = np.split(rows, 4)
    return np.concatenate([i, f, c, o])
