"""`rillet export`: a checkpoint becomes one ONNX file, contract 1 to the letter."""

import io
import json
import logging
import os
import tempfile
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from pydantic import TypeAdapter, ValidationError

from ..models.checkpoint import load_checkpoint
from ..models.network import AcousticNetwork
from .metadata import STEP_FRAMES, Description, golden_audio, golden_entry, metadata
from .verify import ExportError, open_session, replay, verify

OPSET = 17  # onnxruntime 1.17 and everything later runs it


def main(checkpoint: Path, output: Path, *, int8: bool = False, describe: Path | None = None) -> None:
    """Write `output`; see `export`.

    Args:
        checkpoint: what `rillet train` wrote.
        output: the .onnx file.
        int8: 8-bit weights.
        describe: JSON with fields of `Description`.

    Raises:
        CheckpointError, ExportError: nothing was written.
    """
    try:
        text = json.loads(describe.read_text()) if describe else {}
        description = TypeAdapter(Description).validate_python(text, extra="forbid")
    except (OSError, ValueError, ValidationError) as error:
        raise ExportError(f"{describe} is not a description: {str(error).splitlines()[0]}") from error
    network = load_checkpoint(checkpoint).load_network()
    model, difference = export(network, description, int8=int8)
    partial = output.with_suffix(".partial")
    partial.write_bytes(model)
    os.replace(partial, output)
    before = " before quantisation" if int8 else ""
    print(f"{output}: {len(model) / 1e6:.2f} MB, agrees with torch to {difference:.1g}{before}")


def export(network: AcousticNetwork, description: Description, *, int8: bool = False) -> tuple[bytes, float]:
    """The model file's bytes, and the largest difference from torch that the replay found (of the float graph).

    Raises:
        ExportError: the replay in onnxruntime does not agree with torch.
    """
    graph = to_onnx(network)
    difference = verify(network, open_session(graph.SerializeToString()))
    if int8:
        graph = quantise(graph)
    audio = golden_audio(network.config)
    session = open_session(graph.SerializeToString())
    step = STEP_FRAMES * network.config.samples_per_frame
    state = np.zeros((1, network.state_size), np.float32)
    log_probs, _ = replay(session, audio[None].astype(np.float32) / 32_768, state, [step] * (len(audio) // step))
    # int8 rounds activations, and the last bit before the rounding differs between processors.
    golden = golden_entry(audio, log_probs[0], 0.05 if int8 else 1e-3)
    entries = metadata(network.config, network.state_size, "int8" if int8 else "float32", description, golden)
    onnx.helper.set_model_props(graph, entries)
    graph.producer_name = "rillet"
    graph.doc_string = "Streaming speech recogniser: (audio, state) -> (log_probs, next_state)"
    onnx.checker.check_model(graph, full_check=False)
    return graph.SerializeToString(), difference


def to_onnx(network: AcousticNetwork) -> onnx.ModelProto:
    """The float graph, with free batch and time axes.

    The TorchScript exporter is used because the dynamo one freezes the time axis of an LSTM (torch 2.13 and 2.14).
    """
    network = network.eval()
    audio = torch.randn(2, 3 * network.config.samples_per_frame)
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (audio, network.initial_state(2)),
            buffer,
            input_names=["audio", "state"],
            output_names=["log_probs", "next_state"],
            dynamic_axes={
                "audio": {0: "batch", 1: "samples"},
                "state": {0: "batch"},
                "log_probs": {0: "batch", 1: "frames"},
                "next_state": {0: "batch"},
            },
            opset_version=OPSET,
            dynamo=False,
        )
    return onnx.load_from_string(buffer.getvalue())


def quantise(graph: onnx.ModelProto) -> onnx.ModelProto:
    """Weights of LSTMs and convolutions as int8, a scale for each output; scales of activations come from each call.

    The rest stays float: the spectrum needs it, and the head is small. reduce_range keeps 7 bits, which processors
    without VNNI add up without overflow.
    """
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "float.onnx", Path(folder) / "int8.onnx"
        onnx.save(graph, source)
        logging.getLogger().setLevel(logging.ERROR)  # it advises a shape inference that changes nothing here
        quantize_dynamic(
            source,
            target,
            op_types_to_quantize=["LSTM", "MatMul"],
            nodes_to_quantize=[n.name for n in graph.graph.node if n.op_type == "LSTM" or "/convolutions" in n.name],
            per_channel=True,
            reduce_range=True,
            weight_type=QuantType.QInt8,
        )
        return onnx.load(target)
