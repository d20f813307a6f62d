"""A large recogniser as a teacher: what its encoder makes of each clip is a second thing to learn.

Characters say little about each moment; an encoder that has heard a hundred thousand voices says much, and says the
same whoever speaks. Its features are guessed behind one of the LSTM layers, as by FitNets (Romero et al. 2015). The
teacher hears the clip as recorded, the network hears it augmented.
"""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from .audio_pack import AudioPack

Features = NDArray[np.float16]  # [rows, size]; a row for `samples_per_row` samples of a pack
FARTHEST = 6.0  # standard deviations that a feature is taken to be from its mean
LONGEST_S = 30.0  # clips beyond are not taught: attention costs the square of their length


class TeacherError(RuntimeError):
    """The teacher's file is missing or is no encoder that rillet can ask."""


class Teacher:
    """An ONNX encoder: samples in, features out, evenly spaced over the recording.

    Its first input is float32 [1, samples] at 16 kHz; the second, if there is one, a mask int64 [1, samples]; its first
    output float32 [1, frames, size]. So are the encoders of Moonshine (Jeffries et al. 2024).

    Raises:
        TeacherError
    """

    def __init__(self, path: Path) -> None:
        import onnxruntime  # type: ignore[import-untyped]

        if not path.is_file():
            raise TeacherError(f"there is no teacher {path}")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime has exceptions of its own
            raise TeacherError(f"onnxruntime cannot read the teacher {path}") from error
        self.path = path

    def __call__(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 [samples] to float32 [frames, size].

        Raises:
            TeacherError
        """
        inputs = [samples[None], np.ones((1, len(samples)), np.int64)]
        names = [each.name for each in self._session.get_inputs()]
        try:
            output = self._session.run(None, dict(zip(names, inputs, strict=False)))[0]
        except Exception as error:
            raise TeacherError(f"{self.path} is no encoder of samples: {error}") from error
        return np.asarray(output[0], np.float32)


def teach(pack: AudioPack, teacher: Path, samples_per_row: int) -> Features:
    """The teacher's features of all clips of a pack, computed once and kept beside its audio.

    Args:
        pack: as `open_pack` made it.
        teacher: the encoder's file; a file of another size is another teacher.
        samples_per_row: of the features that are wanted.

    Returns:
        float16 [pack's samples / samples_per_row, rounded up, size], read from disk as needed: row `i` describes the
        samples from `i * samples_per_row` on, and is not a number where no clip is.

    Raises:
        TeacherError
    """
    if not teacher.is_file():
        raise TeacherError(f"there is no teacher {teacher}")
    rows = -(-len(pack.audio) // samples_per_row)
    key = hashlib.sha256(repr((teacher.name, teacher.stat().st_size, samples_per_row)).encode()).hexdigest()[:8]
    path = pack.data.with_suffix(f".{key}.f16")
    if not path.exists():
        partial = path.with_suffix(f".{os.getpid()}.partial")
        with partial.open("wb") as file:
            for features in _rows(pack, Teacher(teacher), rows, samples_per_row):
                file.write(features.tobytes())
        os.replace(partial, path)
    size = path.stat().st_size // 2 // max(rows, 1)
    return np.memmap(path, np.float16, "r", shape=(rows, size)) if size else np.zeros((rows, 0), np.float16)


def _rows(pack: AudioPack, teacher: Teacher, rows: int, samples_per_row: int) -> Iterator[Features]:
    """All rows in order, those between clips too."""
    longest, done = LONGEST_S * pack.sample_rate_hz, 0
    nothing = np.full((1, teacher(np.zeros(pack.sample_rate_hz, np.float32)).shape[1]), np.nan, np.float16)
    for clip in sorted(pack.clips, key=lambda clip: clip.start):
        first, end = -(-clip.start // samples_per_row), -(-(clip.start + clip.samples) // samples_per_row)
        if first < done or clip.samples > longest:
            continue
        yield np.repeat(nothing, first - done, axis=0)
        samples = pack.samples(clip)
        shortest = pack.sample_rate_hz // 4
        heard = teacher(np.pad(samples, (0, max(0, shortest - len(samples)))))
        middles = (np.arange(first, end) + 0.5) * samples_per_row - clip.start
        yield between_rows(heard, middles * (len(heard) / max(clip.samples, shortest)) - 0.5).astype(np.float16)
        done = end
    yield np.repeat(nothing, rows - done, axis=0)


def between_rows(features: NDArray[np.float32], places: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """Rows at places between rows, on straight lines; before the first and behind the last row stand still."""
    places = np.clip(places, 0, len(features) - 1)
    before = places.astype(np.int64)
    after = np.minimum(before + 1, len(features) - 1)
    share = (places - before).astype(np.float32)[:, None]
    return np.asarray(features[before] * (1 - share) + features[after] * share, np.float32)


class TeacherHead(nn.Module):
    """Guesses the teacher's features from a layer's output; only training has it."""

    mean: Tensor  # float32 [size], of the features
    deviation: Tensor  # float32 [size], above zero

    def __init__(self, lstm_size: int, taught: list[Features]) -> None:
        super().__init__()
        some = [
            np.asarray(features[:: 1 + len(features) // 20_000], np.float32) for features in taught if len(features)
        ]
        known = np.concatenate(some)
        known = known[np.isfinite(known).all(axis=1)]
        if not len(known):
            raise TeacherError("no training utterance is short enough to be taught")
        self.register_buffer("mean", torch.from_numpy(known.mean(0)))
        self.register_buffer("deviation", torch.from_numpy(known.std(0)).clamp(min=1e-3))
        self.norm = nn.LayerNorm(lstm_size)
        self.linear = nn.Linear(lstm_size, known.shape[1])

    def forward(self, x: Tensor) -> Tensor:
        """float [batch, frames, lstm_size] to float [batch, frames, size], in standard deviations from the mean."""
        guess: Tensor = self.linear(self.norm(x))
        return guess

    def loss(self, guess: Tensor, features: Tensor) -> Tensor:
        """Mean squared error of what `forward` gave, without the look-ahead, where features are known.

        Args:
            guess: float [batch, at least frames, size].
            features: float16 [batch, frames, size], not a number where they are not known.
        """
        guess = guess[:, : features.shape[1]].float()
        wanted = ((features.float() - self.mean) / self.deviation).clamp(-FARTHEST, FARTHEST)
        known = torch.isfinite(features).all(dim=2)
        if not known.any():
            return guess.sum() * 0.0  # which still has a gradient: other processes wait for one
        return nn.functional.mse_loss(guess[known], wanted[known])
