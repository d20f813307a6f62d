"""A live stream: the one object that changes, and the thin loop around the pure steps.

samples -> to_mono -> Resampler.step -> fixed pieces -> AcousticModel.step -> Decoder.step -> Endpointer.step -> events
"""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from .decoder import Decoded, Decoder, Reading
from .endpoint import Endpointer, EndpointRules, EndpointState, frame_levels
from .errors import SampleRateChangedError, StreamFinishedError
from .events import Alternative, Event, Final, Partial, Reason, Word, spell
from .model_file import AcousticModel
from .resample import ResamplerState, resampler_between
from .samples import FloatArray, check_sample_rate, to_mono
from .snapshot import Origin, load, save


@dataclass
class StreamState:
    """All that a stream remembers: arrays and values, nothing alive."""

    model: FloatArray  # [1, state_size]
    decoder: Any  # the decoder's own immutable state
    sample_rate_hz: int | None = None  # of what comes in; known from the first samples on
    resampler: ResamplerState | None = None
    waiting: FloatArray = field(default_factory=lambda: np.empty(0, np.float32))  # less than a step
    samples: int = 0  # at the model's rate, so far
    frames: int = 0  # rows of log-probabilities so far, the look-ahead among them
    utterance: int = 0
    words: list[Word] = field(default_factory=list)  # committed, of this utterance
    text: str = ""  # of these words
    volatile: tuple[Word, ...] = ()
    endpoint: EndpointState = field(default_factory=EndpointState)
    shown: tuple[int, str] = (0, "")  # number of committed words and volatile text of the last Partial
    finished: bool = False


@dataclass(frozen=True)
class _Saved:
    """What a snapshot holds."""

    state: StreamState
    channel: int | None
    endpoints: EndpointRules | None


class Stream:
    """One conversation with a recogniser, from `Recognizer.stream()`. It belongs to one thread at a time.

    Feed it pieces of any size; the words, their times and the finals do not depend on how the audio is cut.
    """

    def __init__(
        self,
        model: AcousticModel,
        decoder: Decoder[Any],
        channel: int | None = None,
        endpoints: EndpointRules | None = None,
    ) -> None:
        self._model = model
        self._decoder = decoder
        self._channel = channel
        self._endpoints = endpoints
        info = model.info
        self._endpointer = Endpointer(endpoints, info.frame_s, info.look_ahead_frames) if endpoints else None
        self._state = StreamState(model.initial_state(), decoder.start())

    @classmethod
    def restore(cls, model: AcousticModel, decoder: Decoder[Any], snapshot: bytes) -> "Stream":
        """The stream of a snapshot; see `Recognizer.restore`."""
        saved: _Saved = load(snapshot, _Saved, _origin(model, decoder))
        stream = cls(model, decoder, saved.channel, saved.endpoints)
        stream._state = saved.state
        return stream

    def snapshot(self) -> bytes:
        """All that the stream is at this moment, for `Recognizer.restore` in this process or another; it goes on here.

        The size does not grow with the stream. See snapshot.py for what is in it.
        """
        saved = _Saved(self._state, self._channel, self._endpoints)
        return save(saved, _Saved, _origin(self._model, self._decoder))

    @property
    def duration_s(self) -> float:
        """Seconds of audio accepted; the resampler may still hold up to 50 ms of it."""
        return self._state.samples / self._model.info.sample_rate_hz

    def accept(self, samples: npt.ArrayLike, sample_rate: float) -> list[Event]:
        """Hear the next samples, of any number.

        Args:
            samples: int16, int32 or floating point in -1..1; [samples] or [samples, channels].
            sample_rate: in hertz, 8 to 192 kHz; the same for the whole stream.

        Returns:
            Finals of utterances that ended, then one `Partial` if what has been understood has changed. Often nothing.

        Raises:
            SamplesError, ChannelError, SampleRateError, SampleRateChangedError: these samples cannot be used. None of
                them has been heard, and the stream goes on with the next.
            StreamFinishedError: `finish` was called.
        """
        state = self._state
        if state.finished:
            raise StreamFinishedError
        rate_hz = check_sample_rate(sample_rate)
        if state.sample_rate_hz is not None and state.sample_rate_hz != rate_hz:
            raise SampleRateChangedError(state.sample_rate_hz, rate_hz)
        mono = to_mono(samples, self._channel)
        resampler = resampler_between(rate_hz, self._model.info.sample_rate_hz)
        state.sample_rate_hz = rate_hz
        audio, state.resampler = resampler.step(mono, state.resampler or resampler.start())
        return [*self._hear(audio), *self._news()]

    def finish(self) -> list[Event]:
        """Hear what is still under way, to the last sample, and end the stream; the last event is a `Final`.

        Raises:
            StreamFinishedError: it was called before.
        """
        state, info = self._state, self._model.info
        if state.finished:
            raise StreamFinishedError
        events: list[Event] = []
        if state.sample_rate_hz is not None and state.resampler is not None:
            resampler = resampler_between(state.sample_rate_hz, info.sample_rate_hz)
            audio, state.resampler = resampler.finish(state.resampler)
            events += self._hear(audio)
        if state.samples:
            end_frame = -(-state.samples // info.samples_per_frame) + info.look_ahead_frames
            steps = -(-(end_frame - state.frames) // info.step_frames)
            silence = np.zeros(steps * info.step_samples - len(state.waiting), np.float32)
            events += self._feed(np.concatenate([state.waiting, silence]), end_frame)
        state.finished = True
        return [*events, self._end_utterance("finish")]

    def _hear(self, audio: FloatArray) -> list[Event]:
        """Count samples at the model's rate, and feed those that fill a step."""
        state, step_samples = self._state, self._model.info.step_samples
        state.samples += len(audio)
        audio = np.concatenate([state.waiting, audio])
        whole = len(audio) // step_samples * step_samples
        state.waiting = audio[whole:].copy()
        return self._feed(audio[:whole])

    def _feed(self, audio: FloatArray, end_frame: int | None = None) -> list[Event]:
        """Step through the model and the decoder, which gets the rows from the look-ahead to `end_frame`.

        Every call of the model has the same size, because the scales of an int8 model depend on all that is in a call.
        """
        state, info = self._state, self._model.info
        events: list[Event] = []
        for start in range(0, len(audio), info.step_samples):
            piece = audio[start : start + info.step_samples]
            log_probs, state.model = self._model.step(piece[None], state.model)
            first = max(info.look_ahead_frames - state.frames, 0)  # rows before it are about the time before the audio
            last = None if end_frame is None else end_frame - state.frames
            rows = log_probs[0, first:last]
            decoded, state.decoder = self._decoder.step(rows, state.decoder)
            state.frames += info.step_frames
            self._commit(decoded)
            events += self._end_by_rules(piece, len(rows), decoded.unfinished_s)
        return events

    def _end_by_rules(self, piece: FloatArray, decoded_frames: int, unfinished_s: float | None) -> list[Event]:
        """The `Final` if the utterance ends with this step."""
        state = self._state
        if self._endpointer is None:
            return []
        words = [*state.words[:1], *state.words[-1:], *state.volatile]
        speech = (words[0].start_s, words[-1].end_s) if words else None
        levels_dbfs = frame_levels(piece, self._model.info.samples_per_frame)
        reason, state.endpoint = self._endpointer.step(
            levels_dbfs, decoded_frames, speech, unfinished_s, state.endpoint
        )
        if reason is None or (reason == "max_length" and not state.words):
            return []
        state.endpoint = self._endpointer.next_utterance(state.endpoint)
        return [self._end_utterance(reason)]

    def _commit(self, decoded: Decoded) -> None:
        state = self._state
        state.words += decoded.committed
        state.text = f"{state.text} {spell(decoded.committed)}".strip()
        state.volatile = decoded.volatile

    def _news(self) -> list[Event]:
        """A `Partial` if the text is no longer the one last shown."""
        state = self._state
        shown = (len(state.words), spell(state.volatile))
        if shown == state.shown:
            return []
        state.shown = shown
        return [Partial(state.utterance, state.text, shown[1], self._placed([*state.words, *state.volatile]))]

    def _placed(self, words: list[Word]) -> tuple[Word, ...]:
        """Words where they are heard; what is written last may seem to be heard after the end."""
        early_s, end_s = self._model.info.words_early_s, self.duration_s
        if not early_s:
            return tuple(words)

        def place(time_s: float) -> float:
            return min(max(time_s + early_s, 0.0), end_s)

        return tuple(replace(word, start_s=place(word.start_s), end_s=place(word.end_s)) for word in words)

    def _end_utterance(self, reason: Reason) -> Final:
        """One that is too long ends with what is committed, and the decoder goes on as if nothing had happened."""
        state = self._state
        alternatives: tuple[Alternative, ...] = ()
        if reason != "max_length":
            decoded, state.decoder = self._decoder.finish(state.decoder)
            alternatives = self._alternatives(decoded.readings)
            self._commit(decoded)
        final = Final(state.utterance, state.text, self._placed(state.words), reason, alternatives)
        state.utterance += 1
        state.words, state.text, state.shown = [], "", (0, "")
        return final

    def _alternatives(self, readings: tuple[Reading, ...]) -> tuple[Alternative, ...]:
        """The utterance as each reading ends it."""
        found = []
        for reading in readings:
            words = [*self._state.words, *reading.words]
            found.append(Alternative(spell(words), self._placed(words), reading.score - readings[0].score))
        return tuple(found)


def _origin(model: AcousticModel, decoder: Decoder[Any]) -> Origin:
    return Origin(model.info.fingerprint, decoder.fingerprint(), type(decoder.start()))
