"""Training audio decoded once: 16-bit samples of all utterances of a manifest behind one another in one file.

Decoding FLAC or MP3 again in every epoch costs more than the network does; read from a pack, audio costs nothing.
"""

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .manifest import Utterance, read_manifest
from .tokens import Tokens, frames_needed


@dataclass(frozen=True)
class Clip:
    """One utterance of a pack."""

    start: int  # first sample
    samples: int
    tokens: tuple[int, ...]


@dataclass(frozen=True)
class AudioPack:
    """The clips that can be trained on, and why others were refused ("name: reason")."""

    audio: NDArray[np.int16]
    clips: list[Clip]
    refused: list[str]

    @property
    def hours(self) -> float:
        return sum(clip.samples for clip in self.clips) / 16_000 / 3600


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
    than CTC needs to write its text.

    Raises:
        ManifestError: as `read_manifest`.
    """
    utterances = read_manifest(manifest)
    key = hashlib.sha256(repr((sample_rate_hz, utterances)).encode()).hexdigest()[:16]
    data, index = cache / f"{manifest.stem}-{key}.i16", cache / f"{manifest.stem}-{key}.json"
    if not index.exists():
        progress(f"decoding {manifest}: {len(utterances)} utterances")
        cache.mkdir(parents=True, exist_ok=True)
        _decode(utterances, data, index, sample_rate_hz)
    clips, refused = [], []
    for utterance, (start, samples, problem) in zip(utterances, json.loads(index.read_text()), strict=True):
        name = utterance.audio.name
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
            clips.append(Clip(start, samples, tuple(spelled)))
    size = data.stat().st_size // 2
    audio = np.memmap(data, np.int16, "r", shape=(size,)) if size else np.zeros(0, np.int16)
    return AudioPack(audio, clips, refused)


def _decode(utterances: list[Utterance], data: Path, index: Path, sample_rate_hz: int) -> None:
    import librosa  # takes a second to import, and only decoding needs it

    rows: list[tuple[int, int, str]] = []
    position = 0
    with data.open("wb") as file:
        for utterance in utterances:
            try:
                samples, _ = librosa.load(
                    utterance.audio, sr=sample_rate_hz, offset=utterance.start_s, duration=utterance.duration_s
                )
            except Exception as error:  # whatever a decoder raises on a broken file, the others are still of use
                rows.append((position, 0, f"cannot be read ({type(error).__name__}: {error})"))
                continue
            file.write((np.clip(samples, -1, 1) * 32_767).astype("<i2").tobytes())
            rows.append((position, len(samples), "" if len(samples) else "is empty"))
            position += len(samples)
    partial = index.with_suffix(".partial")
    partial.write_text(json.dumps(rows))
    os.replace(partial, index)  # the index appears last, so that a broken-off decoding is begun again
