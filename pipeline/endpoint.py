"""Endpointing: when an utterance is over, and why, from the words that the decoder has and the level of the sound."""

from dataclasses import dataclass, field

import numpy as np

from .errors import EndpointRulesError
from .events import Reason
from .samples import FloatArray

QUIET_DB = 15.0  # so far under the loudest frame of its utterance, a frame is a pause for certain
LOWEST_DBFS = -120.0  # digital silence


@dataclass(frozen=True)
class EndpointRules:
    """Three ways in which an utterance ends: the first that applies. Seconds of audio, as far as it is decoded."""

    before_speech_s: float = 5.0  # without any word yet; the `Final` is empty, its reason `silence`
    after_speech_s: float = 0.8  # without a word after the last one, time that is not quiet counting half: `silence`
    longest_s: float = 30.0  # since the first word; words not yet committed begin the next utterance: `max_length`

    def __post_init__(self) -> None:
        for name, value_s in vars(self).items():
            if not value_s > 0:
                raise EndpointRulesError(name, value_s)


@dataclass(frozen=True)
class EndpointState:
    """All that is carried; an immutable value."""

    levels_dbfs: FloatArray = field(default_factory=lambda: np.empty(0, np.float32))  # of the latest frames heard
    heard_frames: int = 0  # since the start of the stream
    decoded_frames: int = 0  # fewer, by the look-ahead
    begin_frame: int = 0  # of the utterance
    loudest_dbfs: float = LOWEST_DBFS  # of its decoded frames


@dataclass(frozen=True)
class Endpointer:
    """The rules for a model whose frames last `frame_s` seconds and which answers `look_ahead_frames` late."""

    rules: EndpointRules
    frame_s: float
    look_ahead_frames: int

    def step(
        self,
        levels_dbfs: FloatArray,
        decoded_frames: int,
        speech: tuple[float, float] | None,
        unfinished_s: float | None,
        state: EndpointState,
    ) -> tuple[Reason | None, EndpointState]:
        """Whether the utterance ends here.

        Args:
            levels_dbfs: [frames] of audio that went into the model; see `frame_levels`.
            decoded_frames: how many frames the decoder has got meanwhile.
            speech: from the start of the utterance's first word to the end of its last one, in seconds of the stream;
                None if it has no words.
            unfinished_s: where the last word of a phrase ends that is not complete, if there is one. Before any words,
                it is waited for.
            state: what `step` or `next_utterance` returned.
        """
        frame, heard = state.decoded_frames + decoded_frames, state.heard_frames + len(levels_dbfs)
        levels = np.concatenate([state.levels_dbfs, levels_dbfs])
        oldest = heard - len(levels)  # frame that levels[0] belongs to
        loudest = max([state.loudest_dbfs, *levels[state.decoded_frames - oldest : frame - oldest].tolist()])

        reason: Reason | None = None
        if speech is None:
            begun = max(state.begin_frame, round((unfinished_s or 0.0) / self.frame_s))
            if frame - begun >= self._frames(self.rules.before_speech_s):
                reason = "silence"
        else:
            first, last = (round(time_s / self.frame_s) for time_s in speech)
            pause = levels[max(last - oldest, 0) : frame - oldest]
            quiet = int((pause < loudest - QUIET_DB).sum())
            if quiet + len(pause) >= 2 * self._frames(self.rules.after_speech_s):
                reason = "silence"
            elif frame - first >= self._frames(self.rules.longest_s):
                reason = "max_length"

        kept = self.look_ahead_frames + 2 * self._frames(self.rules.after_speech_s)  # all that may be asked for
        return reason, EndpointState(levels[-kept:].copy(), heard, frame, state.begin_frame, loudest)

    def next_utterance(self, state: EndpointState) -> EndpointState:
        """The state that begins an utterance where the last one ended."""
        return EndpointState(state.levels_dbfs, state.heard_frames, state.decoded_frames, state.decoded_frames)

    def _frames(self, time_s: float) -> int:
        return max(1, round(time_s / self.frame_s))


def frame_levels(audio: FloatArray, samples_per_frame: int) -> FloatArray:
    """The level of each frame: float32 [frames], dB, where a full-scale square wave is 0 and silence -120.

    Args:
        audio: [frames * samples_per_frame], -1..1.
    """
    power = np.square(audio.reshape(-1, samples_per_frame), dtype=np.float64).mean(axis=1)
    levels_dbfs: FloatArray = (10 * np.log10(np.maximum(power, 10 ** (LOWEST_DBFS / 10)))).astype(np.float32)
    return levels_dbfs
