"""Several streams in one call of the model: threads meet at each step, and the last to come takes it for all.

A call with 8 rows reads the weights once. With the default network (4 layers of 512) on one core, whole float32 files
take 4.0 times less CPU time 8 at a time (5.6 times 16 at a time), and words and confidences are the same to the last
bit. int8 files take 3.2 times less, but onnxruntime scales the activations of all rows in a call by one number: what
was heard in a file depended on the files beside it. That breaks contract 3, so int8 models hear one file at a time.
benchmarks/batch.py prints these figures.
"""

import threading
from dataclasses import dataclass, field

import numpy as np

from .model_file import AcousticModel, ModelInfo
from .samples import FloatArray

ROWS = 8  # more gain little, and wait longer for the longest file of a group


def rows_for(info: ModelInfo) -> int:
    """How many files to hear in one call."""
    return ROWS if info.precision == "float32" else 1


@dataclass
class _Row:
    """What a thread brings to a step, and what it takes away."""

    audio: FloatArray  # [1, samples]
    state: FloatArray  # [1, state_size]
    result: tuple[FloatArray, FloatArray] | None = None
    error: Exception | None = None


@dataclass
class _Meeting:
    """The threads that share a model. `changed` guards the rest."""

    members: int
    rows: list[_Row] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)


@dataclass(frozen=True)
class BatchedModel(AcousticModel):
    """A model for a fixed number of streams, each in a thread of its own, which must `leave` at its end."""

    meeting: _Meeting

    @classmethod
    def share(cls, model: AcousticModel, streams: int) -> "BatchedModel":
        return cls(model.path, model.info, model.session, _Meeting(streams))

    def step(self, audio: FloatArray, state: FloatArray) -> tuple[FloatArray, FloatArray]:
        """As `AcousticModel.step` with one row; returns when all streams have come to their step."""
        row = _Row(audio, state)
        with self.meeting.changed:
            self.meeting.rows.append(row)
            self._step_if_complete()
            while row.result is None and row.error is None:
                self.meeting.changed.wait()
        if row.error is not None:
            raise row.error
        assert row.result is not None
        return row.result

    def leave(self) -> None:
        """The others no longer wait for this stream."""
        with self.meeting.changed:
            self.meeting.members -= 1
            self._step_if_complete()

    def _step_if_complete(self) -> None:
        rows = self.meeting.rows
        if not rows or len(rows) < self.meeting.members:
            return
        try:
            log_probs, states = super().step(
                np.concatenate([row.audio for row in rows]), np.concatenate([row.state for row in rows])
            )
            for n, row in enumerate(rows):
                row.result = log_probs[n : n + 1], states[n : n + 1]
        except Exception as error:
            for row in rows:
                row.error = error
        self.meeting.rows = []
        self.meeting.changed.notify_all()
