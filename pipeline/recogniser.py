"""The recogniser: a model file ready for use. Immutable, shared by all threads; streams hold what changes."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt

from .audio_file import read_blocks
from .decoder import Decoder
from .endpoint import EndpointRules
from .errors import AudioError
from .events import Event, Final, Transcript, spell
from .greedy import GreedyDecoder
from .model_file import AcousticModel, ModelInfo
from .stream import Stream

Source = str | Path | npt.ArrayLike
DEFAULT_RULES = EndpointRules()


@dataclass(frozen=True)
class Recognizer:
    """Speech to text with one model file: `Recognizer.load().transcribe("meeting.flac").text`."""

    model: AcousticModel
    decoder: Decoder[Any]

    @classmethod
    def load(cls, path: str | Path | None = None, *, verify: bool = False) -> "Recognizer":
        """Load a model file.

        Args:
            path: a .onnx file written by `rillet export`; None is the English model that comes with rillet.
            verify: run the self-test that is in the file.

        Raises:
            ModelNotFoundError, NotARilletModelError, ModelVersionError, DamagedModelError
        """
        model = AcousticModel.load(path)
        if verify:
            model.verify()
        return cls(model, GreedyDecoder(model.info.tokens, model.info.frame_s))

    @property
    def info(self) -> ModelInfo:
        """What the model file says about itself."""
        return self.model.info

    def stream(self, *, channel: int | None = None, endpoints: EndpointRules | None = DEFAULT_RULES) -> Stream:
        """A new stream.

        Args:
            channel: as in `transcribe`.
            endpoints: when an utterance is over. None: when `finish` is called, and memory grows with the words.
        """
        return Stream(self.model, self.decoder, channel, endpoints)

    def events(
        self, source: Source, sample_rate: float | None = None, *, channel: int | None = None
    ) -> Iterator[Event]:
        """Transcribe and tell what has been understood as it comes: utterances, the last event being a `Final`.

        Arguments and errors are those of `transcribe`. When a file turns out to be broken somewhere, first comes the
        `Final` of all that was heard until there, then the error.
        """
        if not isinstance(source, str | Path):
            if sample_rate is None:
                raise TypeError("transcribing samples needs their sample_rate, in hertz")
            stream = self.stream(channel=channel)
            yield from stream.accept(source, sample_rate)
            yield from stream.finish()
            return
        if sample_rate is not None:
            raise TypeError("a file says its own sample rate; sample_rate belongs to samples")
        stream, heard = self.stream(), False
        try:
            for block in read_blocks(source, channel):
                events = stream.accept(block.samples, block.sample_rate_hz)
                heard = True
                yield from events
        except AudioError:
            if heard:
                yield from stream.finish()
            raise
        yield from stream.finish()

    def transcribe(self, source: Source, sample_rate: float | None = None, *, channel: int | None = None) -> Transcript:
        """The text of a whole recording.

        Args:
            source: a file that libsndfile reads (WAV, FLAC, MP3, Ogg Vorbis or Opus, ...), or samples: int16, int32 or
                floating point in -1..1, [samples] or [samples, channels].
            sample_rate: of the samples in hertz, 8 to 192 kHz; a file knows its own.
            channel: which one, counting from 1; None takes the mean of all.

        Raises:
            AudioError: one of its subclasses for each cause. For what can be heard of a broken file, use `events`.
        """
        finals = [event for event in self.events(source, sample_rate, channel=channel) if isinstance(event, Final)]
        words = tuple(word for final in finals for word in final.words)
        return Transcript(spell(words), words)
