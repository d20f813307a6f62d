"""Listening: from a live source through a stream to display and files, in one thread; recording is another's."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .capture import LiveSource
from .capture_errors import ContinuousFormatError, RecordingUnwritableError
from .endpoint import EndpointRules
from .errors import AudioError
from .events import Event, Final
from .level import SILENT, Level
from .live_display import Display, JsonDisplay, PlainDisplay, Status, TerminalDisplay
from .recogniser import Recognizer
from .resample import ResamplerState, resampler_between
from .samples import FloatArray, to_mono
from .writers import Writer, open_writer

if TYPE_CHECKING:
    import soundfile  # type: ignore[import-untyped]

SILENCE_HINT_S = 2.0
LEVEL_S = 0.1
SILENCE_S = 1.0  # of silence put in at a time where sound was lost


class Listener:
    """What happens to the sound of one session.

    Args:
        channel: of the source, counting from 1; None takes the mean of all.
        writer: gets every final, before it is shown.
        save_audio: a WAV file for exactly what the model hears: mono float32 at its rate.

    Raises:
        RecordingUnwritableError: `save_audio` cannot be made.
    """

    def __init__(
        self,
        recogniser: Recognizer,
        source: LiveSource,
        display: Display,
        *,
        endpoints: EndpointRules,
        channel: int | None = None,
        writer: Writer | None = None,
        save_audio: Path | None = None,
    ) -> None:
        self._source = source
        self._display = display
        self._channel = channel
        self._writer = writer
        self._model_rate_hz = recogniser.info.sample_rate_hz
        self._stream = recogniser.stream(endpoints=endpoints)
        self._resampling: ResamplerState | None = None
        self._recording = _open_recording(save_audio, self._model_rate_hz) if save_audio else None
        self._level = Level()
        self._level_dbfs = Level().rms_dbfs
        self._lost_frames = 0
        self._zeros = 0  # exact ones in a row, until the hint was given

    def run(self) -> None:
        """Listen until the source ends or is stopped; then finish what was being said.

        Raises:
            AudioError: the source broke; what was said until then has been shown and written.
        """
        with ExitStack() as cleanup:
            cleanup.callback(self._display.close)
            if self._writer is not None:
                cleanup.callback(self._writer.close)
            if self._recording is not None:
                cleanup.callback(self._recording.close)
            failure: AudioError | None = None
            try:
                for block in self._source.blocks():
                    if block is not None:
                        self._fill(block.lost_frames)
                        self._hear(block.samples)
                    self._show_status()
            except AudioError as error:
                failure = error
            for event in self._last_events():
                self._tell(event)
            if self._lost_frames:
                lost_s = self._lost_frames / self._source.rate_hz
                self._display.hint(f"{lost_s:.1f} s of sound were lost in all, and silence was put in their place.")
        if failure is not None:
            raise failure

    def _hear(self, samples: npt.NDArray[Any]) -> None:
        mono = to_mono(samples, self._channel, self._source.name)
        self._level += Level.of(mono)
        if self._level.samples >= LEVEL_S * self._source.rate_hz:
            self._level_dbfs, self._level = self._level.rms_dbfs, Level()
        self._look_for_zeros(mono)
        self._recognise(mono)

    def _fill(self, lost_frames: int) -> None:
        """Silence for what was lost, so that times stay true."""
        if not lost_frames:
            return
        rate_hz = self._source.rate_hz
        if not self._lost_frames:
            self._display.hint(
                "Sound is being lost, because this machine is too busy or too slow; silence is put in its place."
            )
        self._lost_frames += lost_frames
        piece = np.zeros(round(SILENCE_S * rate_hz), np.float32)
        for start in range(0, lost_frames, len(piece)):
            self._recognise(piece[: lost_frames - start])

    def _recognise(self, mono: FloatArray) -> None:
        resampler = resampler_between(self._source.rate_hz, self._model_rate_hz)
        audio, self._resampling = resampler.step(mono, self._resampling or resampler.start())
        for event in self._accept(audio):
            self._tell(event)

    def _last_events(self) -> Iterator[Event]:
        if self._resampling is not None:
            resampler = resampler_between(self._source.rate_hz, self._model_rate_hz)
            audio, self._resampling = resampler.finish(self._resampling)
            yield from self._accept(audio)
        yield from self._stream.finish()

    def _accept(self, audio: FloatArray) -> list[Event]:
        if self._recording is not None:
            self._recording.write(audio)
        return self._stream.accept(audio, self._model_rate_hz)

    def _tell(self, event: Event) -> None:
        if isinstance(event, Final) and self._writer is not None:
            self._writer.write(event)
        self._display.show(event)

    def _show_status(self) -> None:
        rate_hz = self._source.rate_hz
        self._display.status(Status(self._level_dbfs, self._source.lag_s, self._lost_frames / rate_hz))

    def _look_for_zeros(self, mono: FloatArray) -> None:
        if self._zeros < 0:
            return  # the hint was given
        self._zeros = 0 if mono.any() else self._zeros + len(mono)
        if self._zeros >= SILENCE_HINT_S * self._source.rate_hz:
            self._display.hint(SILENT)
            self._zeros = -1


def _open_recording(path: Path, rate_hz: int) -> "soundfile.SoundFile":
    import soundfile

    try:
        return soundfile.SoundFile(path, "w", rate_hz, 1, subtype="FLOAT", format="WAV")
    except (soundfile.LibsndfileError, OSError) as error:
        raise RecordingUnwritableError(path, str(error)) from error


def open_output(path: Path) -> Writer:
    """A writer for utterances as they come.

    Raises:
        ContinuousFormatError, OutputFormatError, OutputUnwritableError
    """
    if path.suffix.lower() == ".json":
        raise ContinuousFormatError(path)
    return open_writer(path)


def open_display(*, plain: bool, as_json: bool) -> Display:
    """What was asked for; without a terminal, lines."""
    if as_json:
        return JsonDisplay()
    if plain or not sys.stdout.isatty():
        return PlainDisplay()
    return TerminalDisplay()
