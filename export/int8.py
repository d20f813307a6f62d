"""8-bit weights: onnxruntime's quantiser rewrites the graph, and the weights are rounded here, finer than it does.

Processors without VNNI (AVX2, SSE) multiply unsigned activations by signed weights, and add the products of two
neighbours in 16 bits, which saturate. The usual way out is weights of 7 bits. But 255 * 128 fits into 16 bits, so it is
enough that no two neighbours of one sign are more than 128 together; weights are hardly ever both large, and the steps
become 0.63 times as wide.
"""

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic  # type: ignore[import-untyped]

KEPT_FLOAT = "/convolutions.0/"  # few weights, and a few cepstra are far larger than the others


def quantise(graph: onnx.ModelProto) -> onnx.ModelProto:
    """Weights of LSTMs and convolutions as int8, a scale for each output; scales of activations come from each call.

    The rest stays float: the spectrum and the first convolution need it, and the heads are small.
    """
    nodes = [node for node in graph.graph.node if node.op_type == "LSTM" or "/convolutions" in node.name]
    with tempfile.TemporaryDirectory() as folder, _quiet_logging():
        source, target = Path(folder) / "float.onnx", Path(folder) / "int8.onnx"
        onnx.save(graph, source)
        quantize_dynamic(
            source,
            target,
            op_types_to_quantize=["LSTM", "MatMul"],
            nodes_to_quantize=[node.name for node in nodes if KEPT_FLOAT not in node.name],
            per_channel=True,
            weight_type=QuantType.QInt8,
        )
        quantised = onnx.load(target)
    exact = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.graph.initializer}
    stored = {tensor.name: tensor for tensor in quantised.graph.initializer}
    for name, tensor in stored.items():
        if name.endswith("_quantized"):
            weight = exact[name.removesuffix("_quantized")]
            # an LSTM has [1, outputs, inputs], a convolution [inputs, outputs]; quantised, both have the inputs first
            rounded, scale = round_weights(weight[0].T if weight.ndim == 3 else weight)
            _replace(tensor, rounded)
            _replace(stored[f"{name.removesuffix('_quantized')}_scale"], scale)
    return quantised


def round_weights(weights: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """The nearest multiples of a scale for each output that no processor adds up wrongly.

    Args:
        weights: [inputs, outputs].

    Returns:
        int8 [inputs, outputs] and scales [outputs]; of inputs 2i and 2i + 1 those of one sign are at most 128 together.
    """
    inputs, outputs = weights.shape
    pairs = np.concatenate([weights, np.zeros((inputs % 2, outputs), np.float32)]).reshape(-1, 2, outputs)
    widest = np.maximum(pairs.clip(min=0).sum(1), -pairs.clip(max=0).sum(1)).max(0)
    scale = np.where(widest > 0, widest / 127, 1).astype(np.float32)  # rounding puts at most 1 on top of it
    return np.rint(weights / scale).astype(np.int8), scale


def _replace(tensor: onnx.TensorProto, values: NDArray[np.generic]) -> None:
    shape = tuple(tensor.dims)
    tensor.CopyFrom(numpy_helper.from_array(values.reshape(shape), tensor.name))


@contextmanager
def _quiet_logging() -> Iterator[None]:
    """onnxruntime's quantiser advises, on the root logger, a shape inference that changes nothing here."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
