"""How much a model computes, counted in its ONNX graph, and what that means for boards that were not at hand.

    python benchmarks/operations.py                # the model that comes with rillet
    python benchmarks/operations.py mine.onnx

The graph is run once, on one step of silence, to see the shapes of its tensors. Matrix products, convolutions and LSTMs
count; all the rest is small beside them. What comes out for boards is computed, not measured.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Annotated

import numpy as np
import onnx
import onnxruntime
import typer
from onnx import helper
from rillet.pipeline.model_file import SHIPPED_MODEL, AcousticModel

PRODUCTS = ("MatMul", "MatMulInteger", "Gemm", "Conv", "LSTM", "DynamicQuantizeLSTM")


@dataclass(frozen=True)
class Board:
    """A machine, and what one of its cores reaches in Linpack (HPL), in single precision."""

    name: str
    core: str
    core_gflops: float


# From the results of github.com/geerlingguy/top500-benchmark: double precision on four cores, hence divided by four and
# times two. (Of the Zero 2 W there is 0.37 there, for its 512 MB hold no problem of a useful size; so here it is the
# similar core of the RK3566, in proportion to the clock.)
BOARDS = (
    Board("Raspberry Pi 5", "Cortex-A76, 2.4 GHz", 30.249 / 4 * 2),
    Board("Raspberry Pi 4", "Cortex-A72, 1.8 GHz", 11.889 / 4 * 2),
    Board("RK3566 (Orange Pi CM4)", "Cortex-A55, 1.8 GHz", 5.604 / 4 * 2),
    Board("Raspberry Pi Zero 2 W", "Cortex-A53, 1.0 GHz", 5.604 / 4 * 2 / 1.8),
)
# How many times as long a model takes as its products would at that rate, for they wait for memory, and a step has some
# hundred small operators: 2.6 for int8 on an EPYC (`sizes.py --linpack`; 9 for float, which has four times the bytes).
SLOWER = 3.0


def multiply_adds(path: Path) -> Counter[str]:
    """Multiply-adds for a second of sound, by kind of operator, fed in the steps that streams make."""
    info = AcousticModel.load(path).info
    graph = onnx.load(path)
    counted = [node for node in graph.graph.node if node.op_type in PRODUCTS]
    wanted = dict.fromkeys(name for node in counted for name in (*node.input[:3], node.output[0]) if name)
    known = {value.name for value in graph.graph.output}
    constants = {weight.name: weight.dims for weight in graph.graph.initializer}
    watched = [name for name in wanted if name not in constants]
    graph.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in watched if name not in known)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL  # it would fuse them away
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])
    feed = {
        "audio": np.zeros((1, info.step_samples), np.float32),
        "state": np.zeros((1, info.state_size), np.float32),
    }
    shapes = {name: list(dims) for name, dims in constants.items()}
    shapes |= {name: list(np.shape(value)) for name, value in zip(watched, session.run(watched, feed), strict=True)}
    count = Counter[str]()
    for node in counted:
        count[node.op_type.removeprefix("DynamicQuantize")] += _of(node, shapes)
    step_s = info.step_frames * info.frame_s
    return Counter({kind: round(number / step_s) for kind, number in count.items()})


def _of(node: onnx.NodeProto, shapes: dict[str, list[int]]) -> int:
    first, second, out = shapes[node.input[0]], shapes[node.input[1]], shapes[node.output[0]]
    if node.op_type.endswith("LSTM"):  # X [frames, batch, inputs], W and R [directions, all their weights]
        return first[0] * first[1] * (prod(second) + prod(shapes[node.input[2]]))
    if node.op_type == "Conv":
        return prod(out) * prod(second[1:])
    transposed = any(each.name == "transA" and each.i for each in node.attribute)
    return prod(out) * (first[0] if transposed else first[-1])


def main(model: Annotated[Path, typer.Argument(help="A file that `rillet export` wrote.")] = SHIPPED_MODEL) -> None:
    """Print the count, and the expected real-time factor on boards."""
    count = multiply_adds(model)
    for kind, number in count.most_common():
        print(f"{kind:16}{number / 1e6:9.1f} million multiply-adds for a second of sound")
    gflops = 2 * count.total() / 1e9
    print(f"together {gflops:.2f} GFLOP for a second of sound\n")
    print("computed, not measured: one core, greedy")
    print(f"{'':24}{'core':22}{'GFLOP/s':>8}{'real-time factor':>18}")
    for board in BOARDS:
        least = gflops / board.core_gflops
        print(f"{board.name:24}{board.core:22}{board.core_gflops:8.1f}{f'{least:.2f} to {SLOWER * least:.2f}':>18}")


if __name__ == "__main__":
    typer.run(main)
