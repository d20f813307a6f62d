"""Export, then replay: the same audio through torch and through onnxruntime, in random pieces from a random state."""

from pathlib import Path

import numpy as np
import onnxruntime  # type: ignore[import-untyped]
import torch
from numpy.typing import NDArray

from ..models.network import AcousticNetwork

FloatArray = NDArray[np.float32]
TOLERANCE = 1e-4
MOST_MOVED = 0.25


class ExportError(RuntimeError):
    """The exported graph does not do what the network does; no file was written."""


def open_session(model: Path | bytes) -> onnxruntime.InferenceSession:
    """A model file or its bytes, on one thread and quiet."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    source = model if isinstance(model, bytes) else str(model)
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def replay(
    session: onnxruntime.InferenceSession, audio: FloatArray, state: FloatArray, sizes: list[int]
) -> tuple[FloatArray, FloatArray]:
    """Feed audio in pieces.

    Args:
        session: the model.
        audio: [batch, samples], -1..1.
        state: [batch, state_size].
        sizes: of the pieces, in samples; together all of the audio.

    Returns:
        Log-probabilities [batch, frames, columns], and the last state.
    """
    rows, start = [], 0
    for size in sizes:
        log_probs, state = session.run(
            ["log_probs", "next_state"], {"audio": audio[:, start : start + size], "state": state}
        )
        rows.append(log_probs)
        start += size
    return np.concatenate(rows, axis=1), state


def verify(network: AcousticNetwork, session: onnxruntime.InferenceSession, seed: int = 0, trials: int = 5) -> float:
    """The largest difference of log-probabilities or state between torch (whole) and onnxruntime (random pieces).

    Values above one, as the cells of an LSTM have them, count in parts of themselves.

    Raises:
        ExportError: it is above `TOLERANCE`, or the shapes differ.
    """
    rng, unit = np.random.default_rng(seed), network.config.samples_per_frame
    worst = 0.0
    for _ in range(trials):
        batch = int(rng.integers(1, 4))
        sizes = [int(n) * unit for n in rng.integers(1, 30, size=8)]
        audio = (0.2 * rng.standard_normal((batch, sum(sizes)))).astype(np.float32)
        state = (0.5 * rng.standard_normal((batch, network.state_size))).astype(np.float32)
        with torch.inference_mode():
            expected = [x.numpy() for x in network(torch.from_numpy(audio), torch.from_numpy(state))]
        for got, want in zip(replay(session, audio, state, sizes), expected, strict=True):
            if got.shape != want.shape:
                raise ExportError(f"onnxruntime gives {got.shape} where torch gives {want.shape}; nothing was written")
            # of a number and what is none, np.maximum takes the latter
            worst = float(np.maximum(worst, (np.abs(got - want) / np.maximum(1.0, np.abs(want))).max()))
    if not worst <= TOLERANCE:
        raise ExportError(f"onnxruntime is {worst:.2g} off torch, {TOLERANCE:g} is allowed; nothing was written")
    return worst


def probability_moved(log_probs: FloatArray, reference: FloatArray) -> float:
    """How far an int8 model is from the float one: the share of the probability, 0..1, that lies on other tokens.

    Mean total variation distance over the frames of two arrays [..., frames, columns]; where the columns are two
    distributions, the sum of both. Unlike a difference of logarithms it does not care how improbable an improbable
    token is.

    Raises:
        ExportError: more than MOST_MOVED of it, which no rounding to 8 bits does.
    """
    moved = float(0.5 * np.abs(np.exp(log_probs) - np.exp(reference)).sum(-1).mean())
    if not moved <= MOST_MOVED:
        raise ExportError(f"int8 moves {moved:.0%} of the probability to other tokens; nothing was written")
    return moved
