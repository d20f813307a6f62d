"""`rillet export`: a checkpoint becomes one ONNX file, contract 1 to the letter."""

import io
import json
import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime  # type: ignore[import-untyped]
import torch
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from ..models.checkpoint import mean_checkpoint
from ..models.network import AcousticNetwork
from .int8 import quantise
from .metadata import STEP_FRAMES, Description, golden_audio, golden_entry, metadata
from .verify import ExportError, open_session, probability_moved, replay, verify

OPSET = 17  # onnxruntime 1.17 and everything later runs it


def main(
    checkpoint: Path, output: Path, *, int8: bool = False, describe: Path | None = None, mean_with: Sequence[Path] = ()
) -> None:
    """Write `output`; see `export`.

    Args:
        checkpoint: what `rillet train` wrote.
        mean_with: further ones; the mean of the weights of all is exported.
        output: the .onnx file.
        int8: 8-bit weights.
        describe: JSON with fields of `Description`.

    Raises:
        CheckpointError, ExportError: in a sentence; nothing was written.
    """
    try:
        text = json.loads(describe.read_text(encoding="utf-8")) if describe else {}
        description = TypeAdapter(Description).validate_python(text, extra="forbid")
    except (OSError, ValueError, ValidationError) as error:
        raise ExportError(f"{describe} is not a description: {_first_problem(error)}") from error
    if not output.parent.is_dir():
        raise ExportError(f"there is no folder {output.parent} to write to; make it first")
    network = mean_checkpoint([checkpoint, *mean_with]).load_network()
    exported = export(network, description, int8=int8)
    partial = output.with_name(f"{output.name}.partial")
    try:
        partial.write_bytes(exported.model)
        os.replace(partial, output)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise ExportError(f"{output} cannot be written: {error.strerror}") from error
    line = f"{output}: {len(exported.model) / 1e6:.2f} MB, onnxruntime agrees with torch to {exported.difference:.1g}"
    print(line + (f"; int8 moves {exported.moved:.1%} of the probability to other tokens" if int8 else ""))


@dataclass(frozen=True)
class Exported:
    """A model file, and how it was checked."""

    model: bytes
    difference: float  # largest, of log-probabilities and state, between torch and the float graph
    moved: float  # share of the probability that int8 puts on other tokens, see `probability_moved`; 0 for float


def export(network: AcousticNetwork, description: Description, *, int8: bool = False) -> Exported:
    """A model file's bytes, replayed in onnxruntime against torch.

    Args:
        network: with its weights; left in evaluation mode.
        description: goes into the metadata.
        int8: 8-bit weights, see int8.py.

    Raises:
        ExportError: the replay does not agree.
    """
    graph = to_onnx(network)
    session = open_session(graph.SerializeToString())
    difference = verify(network, session)
    audio = golden_audio(network.config)
    log_probs = _feed(session, network, audio)
    moved = 0.0
    if int8:
        graph = quantise(graph)
        exact, log_probs = log_probs, _feed(open_session(graph.SerializeToString()), network, audio)
        moved = probability_moved(log_probs, exact)
    # int8 rounds activations, and the last bit before it differs between processors and versions of onnxruntime: 0.04
    # was seen, between 1.17 and 1.32. A hundred wrong signs among two million weights make 0.08 and more.
    golden = golden_entry(audio, log_probs, 0.08 if int8 else 1e-3)
    entries = metadata(network.config, network.state_size, "int8" if int8 else "float32", description, golden)
    onnx.helper.set_model_props(graph, entries)
    graph.producer_name = "rillet"
    graph.doc_string = "Streaming speech recogniser: (audio, state) -> (log_probs, next_state)"
    onnx.checker.check_model(graph, full_check=False)
    return Exported(graph.SerializeToString(), difference, moved)


def _feed(
    session: onnxruntime.InferenceSession, network: AcousticNetwork, audio: NDArray[np.int16]
) -> NDArray[np.float32]:
    """Log-probabilities [frames, columns] of a stream from its start, in the steps that users' streams make."""
    step = STEP_FRAMES * network.config.samples_per_frame
    samples = audio[None].astype(np.float32) / np.float32(32_768)
    state = np.zeros((1, network.state_size), np.float32)
    rows: NDArray[np.float32] = replay(session, samples, state, [step] * (len(audio) // step))[0]
    return np.asarray(rows[0])


def _first_problem(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc'])) or 'the whole'}: {first['msg']}"
    return str(error).splitlines()[0]


def to_onnx(network: AcousticNetwork) -> onnx.ModelProto:
    """The float graph, with free batch and time axes and no metadata.

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
            buffer,  # type: ignore[arg-type]  # the TorchScript exporter writes to a file object
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
    graph = onnx.load_from_string(buffer.getvalue())
    sizes = {"log_probs": network.config.columns, "next_state": network.state_size}
    for output in graph.graph.output:  # the exporter gives computed axes names of its own
        output.type.tensor_type.shape.dim[-1].dim_value = sizes[output.name]
    return graph
