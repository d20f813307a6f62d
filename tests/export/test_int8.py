"""Rounded weights are near the exact ones, and no processor adds their products up wrongly."""

from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime  # type: ignore[import-untyped]
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from rillet.export.int8 import round_weights


@st.composite
def weights(draw: st.DrawFn) -> npt.NDArray[np.float32]:
    """Some of them far larger than the others, and some outputs without any."""
    inputs, outputs = draw(st.integers(1, 41)), draw(st.integers(1, 9))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    spread = draw(st.sampled_from([1e-3, 1.0, 40.0]))
    drawn = rng.standard_t(draw(st.integers(1, 30)), (inputs, outputs)) * spread
    return np.where(rng.random(outputs) < 0.1, 0, drawn).astype(np.float32)


@settings(deadline=None)
@given(weights())
def test_weights_are_as_near_as_their_scale_allows(exact: npt.NDArray[np.float32]) -> None:
    rounded, scale = round_weights(exact)
    assert (rounded.dtype, rounded.shape, scale.dtype, scale.shape) == (
        np.int8,
        exact.shape,
        np.float32,
        exact.shape[1:],
    )
    assert (np.abs(rounded * scale - exact) <= 0.501 * scale).all()
    largest = np.abs(exact).max(0)
    assert (scale[largest > 0] <= 2.001 * largest[largest > 0] / 127).all()  # at worst as wide as those of 7 bits


def product(rounded: npt.NDArray[np.int8], activations: npt.NDArray[np.uint8]) -> npt.NDArray[np.int32]:
    """As this processor multiplies them."""
    node = helper.make_node("MatMulInteger", ["a", "w"], ["y"])
    a = helper.make_tensor_value_info("a", TensorProto.UINT8, [None, len(rounded)])
    y = helper.make_tensor_value_info("y", TensorProto.INT32, None)
    graph = helper.make_graph([node], "product", [a], [y], [numpy_helper.from_array(rounded, "w")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    session: Any = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    found: npt.NDArray[np.int32] = session.run(None, {"a": activations})[0]
    return found


@settings(deadline=None)
@given(weights())
def test_no_sum_overflows(exact: npt.NDArray[np.float32]) -> None:
    rounded, _ = round_weights(exact)
    wide = np.concatenate([rounded, np.zeros((len(rounded) % 2, rounded.shape[1]), np.int8)]).astype(np.int32)
    pairs = 255 * wide.reshape(-1, 2, wide.shape[1])
    assert pairs.clip(min=0).sum(1).max() <= 32_767
    assert pairs.clip(max=0).sum(1).min() >= -32_768
    loudest = np.where(np.arange(4)[:, None] % 2, rounded[:, 0] > 0, rounded[:, 0] < 0) * np.uint8(255)
    assert (product(rounded, loudest) == loudest.astype(np.int32) @ rounded.astype(np.int32)).all()
