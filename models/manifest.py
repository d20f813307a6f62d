"""Transcribed recordings, from a JSONL manifest or from the layouts that people have on disk."""

import csv
import json
import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

SPOKEN_SIGNS = "&%@#+=$£€"  # read aloud in words that the text does not spell


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

    @property
    def name(self) -> str:
        """What messages call it: the file, and where in it."""
        return f"{self.audio.name} from {self.start_s:g} s" if self.start_s or self.duration_s else self.audio.name


def normalise_text(text: str) -> str:
    """Lower case; typographic apostrophes made plain, accents taken off, punctuation made spaces.

    Digits, letters of other alphabets and signs such as "%" stay, so that an utterance with "42 %" in it is refused
    later rather than trained with a hole.
    """
    text = re.sub("[\u2019\u02bc`]", "'", unicodedata.normalize("NFKD", text).lower())
    text = "".join(c for c in text if not unicodedata.combining(c))
    text = re.sub(rf"[^\w'{SPOKEN_SIGNS}]+|_", " ", text)
    return " ".join(word for word in text.split() if word != "'")


def read_manifest(path: Path) -> list[Utterance]:
    """Utterances of a JSONL manifest, LibriSpeech tree, Common Voice TSV, LJSpeech metadata.csv or Kaldi directory.

    A JSONL line is {"audio": path, "text": ..., "speaker": ...}, the speaker optional, other fields ignored; relative
    paths are relative to the manifest, in a Kaldi directory to that directory. Files are UTF-8. Whether the audio
    exists is seen when it is read.

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
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ManifestError(f"{path} cannot be read as a manifest: {reason}") from error
    if not utterances:
        raise ManifestError(f"{path} holds no transcribed recordings in a layout that rillet knows")
    return utterances


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    """The lines that are not blank, each with its place for messages."""
    with path.open(encoding="utf-8") as file:  # not splitlines(), which also splits at rare characters inside a text
        for number, line in enumerate(file, 1):
            if line.strip():
                yield line.rstrip("\n"), f"line {number} of {path.name}"


def _jsonl(path: Path) -> Iterator[Utterance]:
    for line, place in _lines(path):
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise ValueError(f"{place} is not JSON ({error.msg})") from error
        if not isinstance(row, dict) or not all(isinstance(row.get(name), str) for name in ("audio", "text")):
            raise ValueError(f'{place} is not an object with "audio" and "text"')
        yield Utterance(path.parent / row["audio"], normalise_text(row["text"]), str(row.get("speaker", "")))


def _librispeech(root: Path) -> Iterator[Utterance]:
    for transcript in sorted(root.rglob("*.trans.txt")):
        for line, _ in _lines(transcript):
            name, _, text = line.strip().partition(" ")
            yield Utterance(transcript.parent / f"{name}.flac", normalise_text(text), name.split("-")[0])


def _common_voice(path: Path) -> Iterator[Utterance]:
    with path.open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        for row in rows:
            if row.get("path") is None or row.get("sentence") is None:
                raise ValueError(f'line {rows.line_num} has not the columns "path" and "sentence"')
            audio = path.parent / "clips" / row["path"]
            yield Utterance(audio, normalise_text(row["sentence"]), row.get("client_id") or "")


def _ljspeech(path: Path) -> Iterator[Utterance]:
    for line, place in _lines(path):
        name, *texts = line.split("|")
        if not texts:
            raise ValueError(f"{place} has no text behind a |")
        yield Utterance(path.parent / "wavs" / f"{name}.wav", normalise_text(texts[-1]), path.parent.name)


def _kaldi(root: Path) -> Iterator[Utterance]:
    def table(name: str, needed: bool = False) -> dict[str, str]:
        file = root / name
        if not file.exists() and not needed:
            return {}
        rows = (line.split(maxsplit=1) for line, _ in _lines(file))
        return {row[0]: row[1].strip() if len(row) > 1 else "" for row in rows}

    recordings, texts = table("wav.scp", needed=True), table("text", needed=True)
    speakers, segments = table("utt2spk"), table("segments")
    for name, text in texts.items():
        recording, start_s, duration_s = name, 0.0, None
        if name in segments:
            try:
                recording, start, end = segments[name].split()
                start_s, end_s = float(start), float(end)
            except ValueError as error:
                raise ValueError(f"segments does not give {name} a recording, a start and an end") from error
            if end_s != -1:  # which stands for the end of the recording
                duration_s = end_s - start_s
            if start_s < 0 or (duration_s is not None and not duration_s > 0):
                raise ValueError(f"segments lets {name} end before it begins")
        source = recordings.get(recording)
        if source is None:
            raise ValueError(f"wav.scp does not name the recording {recording}")
        if source.endswith("|"):
            raise ValueError(f"{recording} in wav.scp is a command, not a file; write the audio to files first")
        yield Utterance(root / source, normalise_text(text), speakers.get(name, ""), start_s, duration_s)
