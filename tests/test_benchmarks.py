"""The benchmarks that count: what they count is right."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from operations import multiply_adds
from rillet.export.metadata import Description
from rillet.export.onnx import export
from rillet.models.network import AcousticNetwork, NetworkConfig


def test_products_of_the_tone_model(tone_model: Path) -> None:
    """Two products of each frame with 28 sines and cosines: of 640 samples, 25 times a second."""
    assert multiply_adds(tone_model) == {"MatMul": 2 * 640 * 28 * 25}


@pytest.mark.parametrize("int8", [False, True])
def test_a_network_float_and_int8(tmp_path: Path, int8: bool) -> None:
    config = NetworkConfig(convolution_channels=32, lstm_size=96, lstm_layers=2)
    path = tmp_path / "model.onnx"
    path.write_bytes(export(AcousticNetwork(config), Description(), int8=int8).model)
    count = multiply_adds(path)
    assert count["LSTM"] == 2 * (96 + 96) * 4 * 96 * 25  # layers; inputs and memory; gates; frames a second
    coefficients, kernel = config.mfcc.coefficients, config.convolution_kernel
    first, second = kernel * coefficients * 32 * 50, kernel * 32 * 96 * 25
    products = count["MatMul"] + count["MatMulInteger"]
    assert products >= first + second + 96 * len(config.tokens) * 25
    if int8:
        assert count["MatMulInteger"] == second


def test_convolutions_and_transposed_products(tone_model: Path, tmp_path: Path) -> None:
    """Kinds that today's network has not: a file that does nothing else but give them shapes."""
    model = onnx.load(tone_model)
    weights = {"kernel": np.zeros((4, 1, 5), np.float32), "matrix": np.zeros((3, 7), np.float32)}
    weights["sound"], weights["rows"] = np.zeros((1, 1, 9), np.float32), np.zeros((3, 2), np.float32)
    model.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in weights.items())
    model.graph.node.append(helper.make_node("Conv", ["sound", "kernel"], ["convolved"]))
    model.graph.node.append(helper.make_node("Gemm", ["rows", "matrix"], ["product"], transA=1))
    for name in ("convolved", "product"):
        model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    onnx.save(model, tmp_path / "more.onnx")
    step_s = 0.16
    count = multiply_adds(tmp_path / "more.onnx")
    assert count["Conv"] == round(4 * 5 * 5 / step_s)  # outputs, places, kernel
    assert count["Gemm"] == round(2 * 3 * 7 / step_s)
