"""The recogniser: a model file ready for use. Immutable, shared by all threads; streams hold what changes."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt

from .audio_file import read_blocks
from .beam_options import BeamOptions
from .decoder import Decoder
from .decoding import make_decoder
from .endpoint import EndpointRules
from .errors import AudioError
from .events import Event, Final, Transcript, spell
from .hotwords import Hotword
from .lm import LanguageModel
from .model_file import AcousticModel, ModelInfo
from .stream import Stream

Source = str | Path | npt.ArrayLike
DEFAULT_RULES = EndpointRules()
SHIPPED_LM = Path(__file__).parent.parent / "models" / "pretrained" / "en.lm"
GREEDY = BeamOptions(width=1)


@dataclass(frozen=True)
class Recognizer:
    """Speech to text with one model file: `Recognizer.load().transcribe("meeting.flac").text`."""

    model: AcousticModel
    decoder: Decoder[Any]
    lm: LanguageModel | None = None
    options: BeamOptions | Mapping[str, Any] | None = None

    @classmethod
    def load(
        cls,
        path: str | Path | None = None,
        *,
        lm: LanguageModel | str | Path | None = "auto",
        options: BeamOptions | Mapping[str, Any] | None = None,
        hotwords: Iterable[str | Hotword] = (),
        phrases: Iterable[str] | None = None,
        verify: bool = False,
    ) -> "Recognizer":
        """Load a model file and a language model.

        Args:
            path: a .onnx file written by `rillet export`; None is the English model that comes with rillet.
            lm: a file written by `rillet lm build`, or an ARPA file. "auto" is the English one that comes with rillet,
                for English models, and none for others.
            options: of the beam search, or some of them by name, the others being as usual. None: the usual ones with
                a language model, and greedy decoding without.
            hotwords: words and phrases to prefer: "Kubernetes", "Anna Karenina:8" with a weight in nats.
            phrases: if given, only these come out, and "[unk]" for the rest if that is among them.
            verify: run the self-test that is in the model file.

        Raises:
            ModelNotFoundError, NotARilletModelError, ModelVersionError, DamagedModelError, LanguageModelError,
                HotwordError, UnspellableError, BeamOptionError, UnknownBeamOptionError
        """
        model = AcousticModel.load(path)
        if verify:
            model.verify()
        if lm == "auto":
            lm = SHIPPED_LM if model.info.language == "en" and SHIPPED_LM.is_file() else None
        if isinstance(lm, str | Path):
            lm = LanguageModel.load(lm)
        options = GREEDY if options is None and lm is None else options
        return cls(model, _decoder(model.info, lm, options, tuple(hotwords), phrases), lm, options)

    @property
    def info(self) -> ModelInfo:
        """What the model file says about itself."""
        return self.model.info

    def stream(
        self,
        *,
        channel: int | None = None,
        endpoints: EndpointRules | None = DEFAULT_RULES,
        hotwords: Iterable[str | Hotword] = (),
        phrases: Iterable[str] | None = None,
    ) -> Stream:
        """A new stream.

        Args:
            channel: as in `transcribe`.
            endpoints: when an utterance is over. None: when `finish` is called, and memory grows with the words.
            hotwords, phrases: as in `load`, for this stream instead.

        Raises:
            HotwordError, UnspellableError: a phrase cannot be recognised.
        """
        return Stream(self.model, self._decoder_for(hotwords, phrases), channel, endpoints)

    def _decoder_for(self, hotwords: Iterable[str | Hotword], phrases: Iterable[str] | None) -> Decoder[Any]:
        hotwords = tuple(hotwords)
        if not hotwords and phrases is None:
            return self.decoder
        return _decoder(self.info, self.lm, self.options, hotwords, phrases)

    def restore(
        self,
        snapshot: bytes,
        *,
        hotwords: Iterable[str | Hotword] = (),
        phrases: Iterable[str] | None = None,
    ) -> Stream:
        """The stream that `Stream.snapshot` saved, here or in another process; it goes on to the same words.

        Args:
            snapshot: the bytes.
            hotwords, phrases: those with which the stream was made, if any.

        Raises:
            NotASnapshotError, DamagedSnapshotError
            SnapshotVersionError: another rillet made it.
            ForeignSnapshotError: another model made it, or this one with another decoder.
        """
        return Stream.restore(self.model, self._decoder_for(hotwords, phrases), snapshot)

    def events(
        self,
        source: Source,
        sample_rate: float | None = None,
        *,
        channel: int | None = None,
        hotwords: Iterable[str | Hotword] = (),
        phrases: Iterable[str] | None = None,
    ) -> Iterator[Event]:
        """Transcribe and tell what has been understood as it comes: utterances, the last event being a `Final`.

        Arguments and errors are those of `transcribe`. When a file turns out to be broken somewhere, first comes the
        `Final` of all that was heard until there, then the error.
        """
        if not isinstance(source, str | Path):
            if sample_rate is None:
                raise TypeError("transcribing samples needs their sample_rate, in hertz")
            stream = self.stream(channel=channel, hotwords=hotwords, phrases=phrases)
            yield from stream.accept(source, sample_rate)
            yield from stream.finish()
            return
        if sample_rate is not None:
            raise TypeError("a file says its own sample rate; sample_rate belongs to samples")
        stream, heard = self.stream(hotwords=hotwords, phrases=phrases), False
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

    def transcribe(
        self,
        source: Source,
        sample_rate: float | None = None,
        *,
        channel: int | None = None,
        hotwords: Iterable[str | Hotword] = (),
        phrases: Iterable[str] | None = None,
    ) -> Transcript:
        """The text of a whole recording.

        Args:
            source: a file that libsndfile reads (WAV, FLAC, MP3, Ogg Vorbis or Opus, ...), or samples: int16, int32 or
                floating point in -1..1, [samples] or [samples, channels].
            sample_rate: of the samples in hertz, 8 to 192 kHz; a file knows its own.
            channel: which one, counting from 1; None takes the mean of all.
            hotwords, phrases: as in `stream`.

        Raises:
            HotwordError, UnspellableError: a phrase cannot be recognised.
            AudioError: one of its subclasses for each cause. For what can be heard of a broken file, use `events`.
        """
        events = self.events(source, sample_rate, channel=channel, hotwords=hotwords, phrases=phrases)
        finals = [event for event in events if isinstance(event, Final)]
        words = tuple(word for final in finals for word in final.words)
        return Transcript(spell(words), words)


def _decoder(
    info: ModelInfo,
    lm: LanguageModel | None,
    options: BeamOptions | Mapping[str, Any] | None,
    hotwords: tuple[str | Hotword, ...],
    phrases: Iterable[str] | None,
) -> Decoder[Any]:
    if options == GREEDY and (hotwords or phrases is not None):
        options = None  # greedy decoding has one text only, which nothing can be preferred to
    return make_decoder(
        info.tokens, info.frame_s, phones=info.phones, lm=lm, options=options, hotwords=hotwords, phrases=phrases
    )
