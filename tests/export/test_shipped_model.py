"""The shipped file is good ONNX, and no newer than the oldest onnxruntime that is allowed (1.17) reads.

.ci/run recognises with that version too.
"""

import onnx
import pytest
from rillet.export.onnx import OPSET
from rillet.pipeline.model_file import SHIPPED_MODEL

pytestmark = pytest.mark.skipif(not SHIPPED_MODEL.is_file(), reason="there is no trained model yet")


def test_it_is_good_onnx() -> None:
    onnx.checker.check_model(SHIPPED_MODEL, full_check=True)


def test_onnxruntime_1_17_reads_it() -> None:
    model = onnx.load(SHIPPED_MODEL)
    versions = {each.domain: each.version for each in model.opset_import}
    assert versions.pop("") <= OPSET == 17
    assert set(versions) <= {"com.microsoft"}
    assert model.ir_version <= 9


def test_viewers_find_what_they_show() -> None:
    """Names of nodes and of the axes, who made it, and what it is."""
    model = onnx.load(SHIPPED_MODEL)
    assert model.producer_name == "rillet"
    assert model.doc_string
    assert all(node.name for node in model.graph.node)
    axes = {v.name: v.type.tensor_type.shape.dim for v in (*model.graph.input, *model.graph.output)}
    assert list(axes) == ["audio", "state", "log_probs", "next_state"]
    assert [dim.dim_param for dim in axes["audio"]] == ["batch", "samples"]
    assert [dim.dim_param for dim in axes["log_probs"]][:2] == ["batch", "frames"]
