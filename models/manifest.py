"""Transcribed recordings, from a JSONL manifest or from the layouts that people have on disk."""

import csv
import json
import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path


class ManifestError(ValueError):
    """The path holds no manifest or known layout, or a line of it cannot be read."""


@dataclass(frozen=True)
class Utterance:
    """A recording, or a part of one, and what is said in it."""

    audio: Path
    text: str  # normalised: lower case, letters, apostrophe, single spaces
    speaker: str = ""
    start_s: float = 0.0
    duration_s: float | None = None  # None: to the end of the file


def normalise_text(text: str) -> str:
    """Lower case; typographic apostrophes made plain, accents taken off, other punctuation made spaces.

    Digits stay, so that an utterance with "42" in it is refused later rather than trained with a hole.
    """
    text = unicodedata.normalize("NFKD", text.lower().replace("\u2019", "'").replace("`", "'"))
    text = "".join(c for c in text if not unicodedata.combining(c))
    text = re.sub(r"[^a-z0-9' ]+", " ", text)
    return " ".join(word for word in text.split() if word != "'")


def read_manifest(path: Path) -> list[Utterance]:
    """Utterances of a JSONL manifest, LibriSpeech tree, Common Voice TSV, LJSpeech metadata.csv or Kaldi directory.

    A JSONL line is {"audio": path, "text": ..., "speaker": ..., "duration": seconds}, the last two optional; relative
    paths are relative to the manifest.

    Raises:
        ManifestError: nothing of the kind is there, or a line of it cannot be read.
    """
    if not path.exists():
        raise ManifestError(f"{path} does not exist")
    reader: Callable[[Path], Iterator[Utterance]]
    if path.suffix == ".tsv":
        reader = _common_voice
    elif path.suffix == ".csv":
        reader = _ljspeech
    elif path.is_file():
        reader = _jsonl
    elif (path / "wav.scp").exists():
        reader = _kaldi
    elif (path / "metadata.csv").exists():
        path, reader = path / "metadata.csv", _ljspeech
    else:
        reader = _librispeech
    try:
        utterances = list(reader(path))
    except (KeyError, TypeError, IndexError, ValueError, UnicodeDecodeError) as error:
        raise ManifestError(f"{path} cannot be read as a manifest: {error or type(error).__name__}") from error
    if not utterances:
        raise ManifestError(f"{path} holds no transcribed recordings in a layout that rillet knows")
    return utterances


def _jsonl(path: Path) -> Iterator[Utterance]:
    for line in path.read_text().splitlines():
        if line.strip():
            row = json.loads(line)
            yield Utterance(path.parent / row["audio"], normalise_text(row["text"]), str(row.get("speaker", "")))


def _librispeech(root: Path) -> Iterator[Utterance]:
    for transcript in sorted(root.rglob("*.trans.txt")):
        for line in transcript.read_text().splitlines():
            name, text = line.split(maxsplit=1)
            yield Utterance(transcript.parent / f"{name}.flac", normalise_text(text), name.split("-")[0])


def _common_voice(path: Path) -> Iterator[Utterance]:
    with path.open(newline="") as file:
        for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            yield Utterance(path.parent / "clips" / row["path"], normalise_text(row["sentence"]), row["client_id"])


def _ljspeech(path: Path) -> Iterator[Utterance]:
    for line in path.read_text().splitlines():
        name, *texts = line.split("|")
        yield Utterance(path.parent / "wavs" / f"{name}.wav", normalise_text(texts[-1]), path.parent.name)


def _kaldi(root: Path) -> Iterator[Utterance]:
    def table(name: str) -> dict[str, str]:
        file = root / name
        rows = (line.split(maxsplit=1) for line in file.read_text().splitlines()) if file.exists() else ()
        return {row[0]: row[1] if len(row) > 1 else "" for row in rows if row}

    recordings, speakers, segments = table("wav.scp"), table("utt2spk"), table("segments")
    for name, text in table("text").items():
        recording, start_s, duration_s = name, 0.0, None
        if name in segments:
            recording, start, end = segments[name].split()
            start_s, duration_s = float(start), float(end) - float(start)
        source = recordings[recording].strip()
        if source.endswith("|"):
            raise ValueError(f"{recording} in wav.scp is a command, not a file; write the audio to files first")
        yield Utterance(root / source, normalise_text(text), speakers.get(name, ""), start_s, duration_s)
