"""Training audio decoded once: 16-bit samples of all utterances of a manifest behind one another in one file.

Decoding FLAC or MP3 again in every epoch costs more than the network does; read from a pack, audio costs nothing.
"""

import hashlib
import json
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .manifest import ManifestError, Utterance, read_manifest
from .tokens import Tokens, frames_needed

MISSING = "is missing"


@dataclass(frozen=True)
class Clip:
    """One utterance of a pack."""

    start: int  # first sample, in the pack
    samples: int
    tokens: tuple[int, ...]  # without blanks
    speaker: str = ""


Place = tuple[int, Clip]  # which pack, which clip


@dataclass(frozen=True)
class AudioPack:
    """The clips that can be trained on, and why others were refused ("name: reason")."""

    audio: NDArray[np.int16]  # [samples of all clips], full scale 32768
    clips: list[Clip]
    refused: list[str]
    data: Path  # where `audio` is kept
    sample_rate_hz: int = 16_000

    @property
    def hours(self) -> float:
        """Of audio that can be trained on."""
        return sum(clip.samples for clip in self.clips) / self.sample_rate_hz / 3600

    def samples(self, clip: Clip) -> NDArray[np.float32]:
        """float32 [clip.samples], -1..1."""
        audio = self.audio[clip.start : clip.start + clip.samples].astype(np.float32)
        audio /= 32_768
        return audio


def open_pack(
    manifest: Path,
    cache: Path,
    tokens: Tokens,
    samples_per_frame: int,
    sample_rate_hz: int = 16_000,
    progress: Callable[[str], None] = lambda _: None,
) -> AudioPack:
    """Decode what a manifest names into `cache`, or open what an earlier call left there.

    An utterance is refused when its audio cannot be read, when its text cannot be spelled, or when it has fewer frames
    than CTC needs to write its text. The cache knows audio by the manifest's words, not by its content: empty the
    folder after changing recordings under the same names. Several processes may open the same pack at once.

    Args:
        manifest: what `read_manifest` knows.
        cache: folder for decoded audio, made if needed.
        tokens: to spell the texts with.
        samples_per_frame: of the network.
        sample_rate_hz: to which the audio is resampled.
        progress: told, in a sentence, when decoding begins.

    Raises:
        ManifestError: as `read_manifest`, or the cache folder cannot be written.
    """
    utterances = read_manifest(manifest)
    key = hashlib.sha256(repr((sample_rate_hz, utterances)).encode()).hexdigest()[:16]
    data, index = cache / f"{manifest.stem}-{key}.i16", cache / f"{manifest.stem}-{key}.json"
    if not index.exists() or _found_meanwhile(utterances, index):
        progress(f"decoding {manifest}: {len(utterances)} utterances")
        try:
            cache.mkdir(parents=True, exist_ok=True)
            _decode(utterances, data, index, sample_rate_hz)
        except OSError as error:
            raise ManifestError(f"the decoded audio of {manifest} cannot be kept in {cache}: {error}") from error
    clips, refused = [], []
    for utterance, (start, samples, problem) in zip(utterances, json.loads(index.read_text()), strict=True):
        name = utterance.name
        if problem:
            refused.append(f"{name}: {problem}")
            continue
        try:
            spelled = tokens.encode(utterance.text)
        except ValueError as error:
            refused.append(f"{name}: {error}")
            continue
        frames = -(-samples // samples_per_frame)
        if frames_needed(spelled) > frames:
            refused.append(f"{name}: {frames} frames are too few to write {frames_needed(spelled)} tokens")
        else:
            clips.append(Clip(start, samples, tuple(spelled), utterance.speaker))
    size = data.stat().st_size // 2
    audio = np.memmap(data, np.int16, "r", shape=(size,)) if size else np.zeros(0, np.int16)
    return AudioPack(audio, clips, refused, data, sample_rate_hz)


def _found_meanwhile(utterances: list[Utterance], index: Path) -> bool:
    """Whether files that were missing when the index was written are there now."""
    rows = zip(utterances, json.loads(index.read_text()), strict=True)
    return any(problem == MISSING and utterance.audio.exists() for utterance, (_, _, problem) in rows)


def _decode(utterances: list[Utterance], data: Path, index: Path, sample_rate_hz: int) -> None:
    """Write all samples to `data`, and to `index` a row for each utterance: first sample, samples, problem or ""."""
    rows: list[tuple[int, int, str]] = []
    position = 0
    partial = [path.with_suffix(f"{path.suffix}.{os.getpid()}.partial") for path in (data, index)]
    with partial[0].open("wb") as file:
        for utterance in utterances:
            samples, problem = _read(utterance, sample_rate_hz)
            rows.append((position, len(samples), problem))
            file.write(samples.tobytes())
            position += len(samples)
    partial[1].write_text(json.dumps(rows))
    os.replace(partial[0], data)
    os.replace(partial[1], index)  # the index appears last, so that a broken-off decoding is begun again


def _read(utterance: Utterance, sample_rate_hz: int) -> tuple[NDArray[np.int16], str]:
    """Little-endian int16 samples, and "" or what is wrong."""
    nothing = np.zeros(0, "<i2")
    try:
        samples = load_samples(utterance, sample_rate_hz)
    except FileNotFoundError:
        return nothing, MISSING
    except (ImportError, MemoryError):  # no fault of the file, and nothing to remember
        raise
    except Exception as error:  # whatever a decoder raises on a broken file, the others are still of use
        return nothing, f"cannot be read ({' '.join(f'{type(error).__name__}: {error}'.split())})"
    if not len(samples):
        return nothing, "is empty"
    return np.clip(np.round(samples * 32_768), -32_768, 32_767).astype("<i2"), ""


def load_samples(utterance: Utterance, sample_rate_hz: int) -> NDArray[np.float32]:
    """An utterance's audio, float32 [samples] of any length, -1..1, resampled, the mean of its channels.

    Raises:
        FileNotFoundError: there is no such file.
        Exception: of any kind, when a decoder cannot read it or finds samples that are not finite.
    """
    import librosa  # takes a second to import, and only decoding needs it

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the second decoder that librosa tries on what the first cannot read
        samples, _ = librosa.load(
            utterance.audio, sr=sample_rate_hz, offset=utterance.start_s, duration=utterance.duration_s
        )
    return np.asarray(samples, np.float32)
