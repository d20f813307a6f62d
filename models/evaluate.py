"""`rillet evaluate`: what a model gets wrong, and how fast, with the software that users run.

A checkpoint is exported first, so that one table shows float and int8, streaming and whole.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
import soundfile  # type: ignore[import-untyped]
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from ..pipeline import Recognizer
from ..pipeline.events import Final, spell
from ..pipeline.resample import resampler_between
from .error_rate import Errors, character_errors, show_alignment, word_errors
from .manifest import ManifestError, Utterance, read_manifest

Mode = Literal["streaming", "whole"]
PIECE_S = 0.16
GREEDY: Mapping[str, Any] = {"lm": None}


@dataclass(frozen=True)
class Evaluation:
    """The transcripts of one model in one mode, and what they cost."""

    precision: str  # float32 or int8
    mode: Mode
    said: list[str]  # normalised
    heard: list[str]  # as many
    real_time_factor: float  # seconds of computing to a second of audio

    @property
    def words(self) -> Errors:
        """Edits of words over all utterances."""
        return word_errors(self.said, self.heard)

    @property
    def characters(self) -> Errors:
        """Edits of characters over all utterances."""
        return character_errors(self.said, self.heard)


def main(model: Path, manifest: Path, *, worst: int = 5, language: Mapping[str, Any] = GREEDY) -> list[Evaluation]:
    """Print a table of error rates, and the worst utterances word by word.

    Args:
        model: a checkpoint (.safetensors) or a model file (.onnx).
        manifest: anything that `read_manifest` knows.
        worst: how many utterances to show, of the smallest model when streaming.
        language: arguments of `Recognizer.load`: language model, beam, phrases.

    Returns:
        The rows of the table: for a checkpoint float and int8, each streaming and whole.

    Raises:
        ManifestError, CheckpointError, ExportError, ModelError: with a sentence that says what is wrong.
    """
    utterances = read_manifest(manifest)
    evaluations = [
        evaluate(Recognizer.load(path, **language), utterances, mode)
        for path in _model_files(model)
        for mode in ("streaming", "whole")
    ]
    console = Console(soft_wrap=True)  # neither numbers nor alignments are cut to a terminal's width
    table = Table(title=f"{model.name} on {manifest.name}: {len(utterances)} utterances")
    for column in ("model", "mode", "WER %", "CER %", "sub", "ins", "del", "words", "real-time factor"):
        table.add_column(column, justify="left" if column in ("model", "mode") else "right")
    for result in evaluations:
        words, rates = result.words, (f"{100 * result.words.rate:.2f}", f"{100 * result.characters.rate:.2f}")
        counts = map(str, (words.substitutions, words.insertions, words.deletions, words.length))
        table.add_row(result.precision, result.mode, *rates, *counts, f"{result.real_time_factor:.4f}")
    console.print(table)
    shown = evaluations[-2]  # the smallest model, streaming: what users run
    by_errors = sorted(range(len(utterances)), key=lambda i: -word_errors([shown.said[i]], [shown.heard[i]]).rate)
    for number in by_errors[:worst]:
        console.print(f"\n{utterances[number].audio.name}", style="bold")
        console.print(show_alignment(shown.said[number], shown.heard[number]), markup=False, highlight=False)
    return evaluations


def evaluate(recogniser: Recognizer, utterances: list[Utterance], mode: Mode) -> Evaluation:
    """Transcribe all utterances; `streaming` in pieces of 160 ms, `whole` in one call of the model each.

    Raises:
        ManifestError: a recording cannot be read.
    """
    heard, audio_s, spent_s = list[str](), 0.0, 0.0
    for utterance in utterances:
        samples, rate_hz = _read(utterance)
        started = time.perf_counter()
        transcribe = _streaming if mode == "streaming" else _whole
        heard.append(transcribe(recogniser, samples, rate_hz))
        spent_s += time.perf_counter() - started
        audio_s += len(samples) / rate_hz
    return Evaluation(
        recogniser.info.precision, mode, [u.text for u in utterances], heard, spent_s / max(audio_s, 1e-9)
    )


def _streaming(recogniser: Recognizer, samples: NDArray[np.float32], rate_hz: int) -> str:
    stream, size = recogniser.stream(), round(PIECE_S * rate_hz)
    events = [e for i in range(0, len(samples), size) for e in stream.accept(samples[i : i + size], rate_hz)]
    return " ".join(e.text for e in [*events, *stream.finish()] if isinstance(e, Final)).strip()


def _whole(recogniser: Recognizer, samples: NDArray[np.float32], rate_hz: int) -> str:
    info, decoder = recogniser.info, recogniser.decoder
    resampler = resampler_between(rate_hz, info.sample_rate_hz)
    resampled, rest = resampler.step(samples, resampler.start())
    samples = np.concatenate([resampled, resampler.finish(rest)[0]])
    frames = -(-len(samples) // info.samples_per_frame)
    audio = np.zeros((1, (frames + info.look_ahead_frames) * info.samples_per_frame), np.float32)
    audio[0, : len(samples)] = samples
    log_probs, _ = recogniser.model.step(audio, recogniser.model.initial_state())
    first, state = decoder.step(log_probs[0, info.look_ahead_frames :], decoder.start())
    last, _ = decoder.finish(state)
    return spell((*first.committed, *last.committed))


def _read(utterance: Utterance) -> tuple[NDArray[np.float32], int]:
    try:
        with soundfile.SoundFile(utterance.audio) as file:
            file.seek(round(utterance.start_s * file.samplerate))
            frames = -1 if utterance.duration_s is None else round(utterance.duration_s * file.samplerate)
            samples: NDArray[np.float32] = file.read(frames, dtype="float32", always_2d=True).mean(axis=1)
            return samples, file.samplerate
    except (OSError, soundfile.LibsndfileError) as error:
        raise ManifestError(f"{utterance.audio} cannot be read: {error}") from error


@contextmanager
def _exported(checkpoint: Path) -> Iterator[list[Path]]:
    from ..export.metadata import Description
    from ..export.onnx import export
    from .checkpoint import load_checkpoint

    network = load_checkpoint(checkpoint).load_network()
    with TemporaryDirectory() as folder:
        files = [Path(folder) / name for name in ("float.onnx", "int8.onnx")]
        for file in files:
            file.write_bytes(export(network, Description(), int8=file.name == "int8.onnx").model)
        yield files


def _model_files(model: Path) -> Iterator[Path]:
    if model.suffix == ".onnx":
        yield model
    else:
        with _exported(model) as files:
            yield from files
