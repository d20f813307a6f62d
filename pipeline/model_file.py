"""One ONNX file is the whole acoustic model: what it says about itself, and its one pure step.

The format: inputs `audio` float32 [batch, samples] and `state` float32 [batch, state_size]; outputs `log_probs` float32
[batch, frames, tokens] and `next_state` float32 [batch, state_size]; everything else is metadata, see `ModelInfo`.
A model that tells sounds, too, has their log-probabilities, blank first, in further columns behind those of the tokens.
"""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from .errors import DamagedModelError, ModelNotFoundError, ModelVersionError, NotARilletModelError
from .fingerprint import fingerprint
from .samples import FloatArray

if TYPE_CHECKING:
    import onnxruntime  # type: ignore[import-untyped]  # slow to import; `AcousticModel.load` does it

T = TypeVar("T")

FORMAT_VERSION = "1"
PREFIX = "rillet."
SHIPPED_MODEL = Path(__file__).parent.parent / "models" / "pretrained" / "en.onnx"
SHIPPED_SAMPLE = SHIPPED_MODEL.with_name("sample.flac")  # a synthetic voice, 9 s: something to try a model with


@dataclass(frozen=True)
class ErrorRate:
    """How well a model did on a test set."""

    set: str
    wer: float  # word and character error rate, 1.0 is 100 %
    cer: float
    how: str  # precision, decoder, streaming or whole


@dataclass(frozen=True)
class Golden:
    """A short recording and what the model must say to it."""

    audio: FloatArray  # [samples]
    log_probs: FloatArray  # [frames, columns]
    tolerance: float  # largest absolute difference that is still right


@dataclass(frozen=True)
class ModelInfo:
    """What a model file says about itself."""

    sample_rate_hz: int
    samples_per_frame: int
    step_frames: int  # frames per call: what a stream feeds at a time
    look_ahead_frames: int  # row i of the log-probabilities describes the audio of frame i - look_ahead_frames
    words_early_s: float  # words are written so much earlier than that says; streams add it to their times
    state_size: int
    tokens: tuple[str, ...]  # tokens[0] is the CTC blank; a space inside a token is a word boundary
    phones: tuple[str, ...]  # sounds that the columns behind the tokens and one more blank tell; often none
    precision: str  # float32 or int8
    name: str
    language: str
    licence: str
    training_data: str
    error_rates: tuple[ErrorRate, ...]
    mfcc: Mapping[str, Any]
    golden: Golden

    @property
    def frame_s(self) -> float:
        return self.samples_per_frame / self.sample_rate_hz

    @property
    def columns(self) -> int:
        """Of the log-probabilities."""
        return len(self.tokens) + (1 + len(self.phones) if self.phones else 0)

    @property
    def step_samples(self) -> int:
        return self.step_frames * self.samples_per_frame

    @cached_property
    def fingerprint(self) -> str:
        """Tells models apart: what it says about itself, and the golden vector, into which all weights go."""
        golden = self.golden
        rest = [value for name, value in vars(self).items() if name not in ("golden", "fingerprint")]
        return fingerprint(rest, golden.audio.data, golden.log_probs.data)

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str], path: Path) -> "ModelInfo":
        """Parse the `metadata_props` of the file at `path`.

        Raises:
            NotARilletModelError: an entry is missing or makes no sense.
            ModelVersionError: the format is another version.
        """

        def read(name: str, parse: Callable[[str], T], default: str | None = None) -> T:
            try:
                return parse(metadata[PREFIX + name] if default is None else metadata.get(PREFIX + name, default))
            except KeyError:
                raise NotARilletModelError(path, f"its metadata lacks {PREFIX}{name}") from None
            except (ValueError, TypeError, AttributeError) as error:
                raise NotARilletModelError(path, f"its metadata {PREFIX}{name} makes no sense: {error}") from error

        if (version := read("format_version", str)) != FORMAT_VERSION:
            raise ModelVersionError(path, version, FORMAT_VERSION)
        tokens = read("tokens", _tokens)
        phones = read("phones", lambda text: tuple(map(str, json.loads(text))), default="[]")  # older files lack it
        columns = len(tokens) + (1 + len(phones) if phones else 0)
        return cls(
            sample_rate_hz=read("sample_rate_hz", _positive),
            samples_per_frame=read("samples_per_frame", _positive),
            step_frames=read("step_frames", _positive),
            look_ahead_frames=read("look_ahead_frames", _count),
            words_early_s=read("words_early_s", _seconds, default="0"),  # older files lack it
            state_size=read("state_size", _positive),
            tokens=tokens,
            phones=phones,
            precision=read("precision", str),
            name=read("name", str),
            language=read("language", str),
            licence=read("licence", str),
            training_data=read("training_data", str),
            error_rates=read("error_rates", lambda text: tuple(ErrorRate(**rate) for rate in json.loads(text))),
            mfcc=read("mfcc", lambda text: dict(json.loads(text))),
            golden=read("golden", lambda text: _golden(text, columns)),
        )


@dataclass(frozen=True)
class AcousticModel:
    """A loaded model file. Immutable; any number of threads may step it at once."""

    path: Path
    info: ModelInfo
    session: "onnxruntime.InferenceSession"

    @classmethod
    def load(cls, path: str | Path | None = None, *, threads: int = 1) -> "AcousticModel":
        """Load a model file.

        Args:
            path: the file; None is the English model that comes with rillet.
            threads: for the arithmetic of one step. A small recurrent model is fastest with one.

        Raises:
            ModelNotFoundError, NotARilletModelError, ModelVersionError, DamagedModelError
        """
        path = _existing(path)
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 4  # errors become exceptions; nothing else belongs on a user's terminal
        try:
            session = onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"], enable_fallback=0
            )  # else it prints that it tries the same again
        except Exception as error:  # onnxruntime raises a dozen kinds, none of which says more than its text
            raise DamagedModelError(path, _first_line(error)) from error
        model = cls(path, ModelInfo.from_metadata(session.get_modelmeta().custom_metadata_map, path), session)
        model._check_tensors()
        return model

    def initial_state(self, batch: int = 1) -> FloatArray:
        """float32 [batch, state_size]: the start of `batch` streams."""
        return np.zeros((batch, self.info.state_size), np.float32)

    def step(self, audio: FloatArray, state: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Hear the next piece of audio; a pure function.

        Args:
            audio: float32 [batch, frames * samples_per_frame], mono, -1..1, at the model's sample rate.
            state: float32 [batch, state_size], from `initial_state` or from the step before.

        Returns:
            Natural log-probabilities float32 [batch, frames, columns], and the next state.
        """
        log_probs, next_state = self.session.run(["log_probs", "next_state"], {"audio": audio, "state": state})
        return log_probs, next_state

    def verify(self) -> float:
        """Run the file's golden vector and return the largest difference from what it must give.

        Raises:
            DamagedModelError: the difference is above the file's tolerance: a damaged file, or a broken onnxruntime.
        """
        golden, state, rows = self.info.golden, self.initial_state(), []
        for start in range(0, len(golden.audio), self.info.step_samples):
            log_probs, state = self.step(golden.audio[None, start : start + self.info.step_samples], state)
            rows.append(log_probs[0])
        difference = float(abs(np.concatenate(rows) - golden.log_probs).max())
        if not difference <= golden.tolerance:  # so that NaN is caught
            import onnxruntime

            raise DamagedModelError(
                self.path,
                f"its self-test is off by {difference:.3g} and {golden.tolerance:.3g} is allowed, "
                f"with onnxruntime {onnxruntime.__version__}",
            )
        return difference

    def _check_tensors(self) -> None:
        """Run one step of silence and look at what comes out, so that no stream meets a surprise."""
        info = self.info
        try:
            log_probs, state = self.step(np.zeros((1, info.step_samples), np.float32), self.initial_state())
        except Exception as error:
            raise NotARilletModelError(self.path, f"a first step fails: {_first_line(error)}") from error
        if log_probs.shape != (1, info.step_frames, info.columns) or state.shape != (1, info.state_size):
            raise NotARilletModelError(self.path, "its tensors have not the sizes that its metadata gives")


def _existing(path: str | Path | None) -> Path:
    if path is None:
        if not SHIPPED_MODEL.is_file():
            raise ModelNotFoundError(
                "this installation of rillet has no English model in it; "
                "reinstall rillet, or name a model file with --model or Recognizer.load(path)."
            )
        return SHIPPED_MODEL
    path = Path(path)
    if path.is_dir():
        raise ModelNotFoundError(f"{path}: this is a folder; name the .onnx model file in it.")
    if not path.exists():
        raise ModelNotFoundError(f"{path}: there is no such model file; check the spelling and the folder.")
    return path


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _count(text: str) -> int:
    if (value := int(text)) < 0:
        raise ValueError(f"{text} is negative")
    return value


def _positive(text: str) -> int:
    if (value := _count(text)) == 0:
        raise ValueError("it is zero")
    return value


def _seconds(text: str) -> float:
    if not abs(value := float(text)) <= 1:  # of NaN, too
        raise ValueError(f"{text} is not within a second")
    return value


def _tokens(text: str) -> tuple[str, ...]:
    tokens = tuple(map(str, json.loads(text)))
    if len(tokens) < 2 or tokens[0] != "":
        raise ValueError('tokens must begin with the blank, ""')
    return tokens


def _golden(text: str, columns: int) -> Golden:
    entry = json.loads(text)
    audio = np.frombuffer(base64.b64decode(entry["audio_int16"]), "<i2").astype(np.float32) / np.float32(32768)
    log_probs = np.frombuffer(base64.b64decode(entry["log_probs_float32"]), "<f4").astype(np.float32)
    return Golden(audio, log_probs.reshape(-1, columns), float(entry["tolerance"]))
