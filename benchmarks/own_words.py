"""A user's own words on real recordings: lists of phrases, and hotwords, each with and without.

    python benchmarks/own_words.py --digits fsdd.jsonl --speaker theo --speaker yweweler
    python benchmarks/own_words.py --commands speechcommands-valid.jsonl --every 5
    python benchmarks/own_words.py --hotwords dev.jsonl

--digits: one digit to a clip; then strings of 4 to 7 digits, clips of one speaker with pauses of 0.1 to 0.3 s between.
--commands: one word to a clip; the phrases are the 35 words of Speech Commands, or else all that occur.
--say: strings of digits and commands spoken by engines, for instance festival:ked_diphone and espeak-ng:en-gb (apt-get
install festival festvox-kdlpc16k espeak-ng), on which the shipped model was not trained.
--hotwords: words that the language model knows least are chosen from the transcripts before anything is heard; how many
of them are found, and what it costs the other words.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import soundfile  # type: ignore[import-untyped]
from decoders import edits
from numpy.typing import NDArray
from rillet.models.manifest import Utterance, read_manifest
from rillet.pipeline import Recognizer
from rillet.pipeline.lm import LanguageModel
from rillet.pipeline.model_file import SHIPPED_MODEL
from rillet.pipeline.recogniser import SHIPPED_LM

DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
COMMANDS = [
    "turn on the light",
    "turn off the light",
    "stop",
    "play some music",
    "next song",
    "volume up",
    "volume down",
]
SPEECH_COMMANDS = [  # Warden 2018
    "backward", "bed", "bird", "cat", "dog", "down", "eight", "five", "follow", "forward", "four", "go",
    "happy", "house", "learn", "left", "marvin", "nine", "no", "off", "on", "one", "right", "seven",
    "sheila", "six", "stop", "three", "tree", "two", "up", "visual", "wow", "yes", "zero",
]  # fmt: skip
ENGINES = {  # text comes from standard input
    "espeak-ng": ["espeak-ng", "-v", "{voice}", "-w", "{file}"],
    "festival": ["text2wave", "-eval", "(voice_{voice})", "-o", "{file}"],
    "flite": ["flite", "-voice", "{voice}", "-o", "{file}"],
}
REST_S = 0.3  # silence before and after a clip that was cut at its word
WEIGHTS = (3.0, 6.0, 9.0)
Audio = NDArray[np.float32]


def read(utterance: Utterance) -> tuple[Audio, int]:
    audio, rate_hz = soundfile.read(utterance.audio, dtype="float32", always_2d=True)
    return audio.mean(axis=1), rate_hz


def joined(clips: Iterable[Audio], rate_hz: int, rests_s: Iterable[float]) -> Audio:
    """Clips with silence before each and behind the last."""
    pieces: list[Audio] = []
    for clip, rest_s in zip(clips, rests_s, strict=False):
        pieces += [np.zeros(round(rest_s * rate_hz), np.float32), clip]
    return np.concatenate([*pieces, np.zeros(round(REST_S * rate_hz), np.float32)])


class Tally:
    """How many items are right as a whole, and how many words are wrong."""

    def __init__(self) -> None:
        self.items = self.right = self.words = self.wrong = 0

    def add(self, said: str, heard: str) -> None:
        self.items, self.right = self.items + 1, self.right + (said == heard)
        self.words, self.wrong = self.words + len(said.split()), self.wrong + edits(said.split(), heard.split())

    def __str__(self) -> str:
        right, wrong = 100 * self.right / max(self.items, 1), 100 * self.wrong / max(self.words, 1)
        return f"{self.items:5} items {right:6.2f} % right, word error rate {wrong:6.2f} %"


def phrases(name: str, recogniser: Recognizer, items: Iterable[tuple[str, str, Audio, int]], only: list[str]) -> None:
    """Items are (group, said, audio, rate); heard with the list of phrases, and with the language model."""
    tallies: dict[str, Tally] = defaultdict(Tally)
    for group, said, audio, rate_hz in items:
        tallies[f"{group}, {len(only)} phrases"].add(said, recogniser.transcribe(audio, rate_hz, phrases=only).text)
        tallies[f"{group}, language model"].add(said, recogniser.transcribe(audio, rate_hz).text)
    for row, tally in sorted(tallies.items()):
        print(f"{name}: {row:32} {tally}", flush=True)


def single(clips: list[Utterance]) -> Iterable[tuple[str, str, Audio, int]]:
    for clip in clips:
        audio, rate_hz = read(clip)
        yield "single words", clip.text, joined([audio], rate_hz, [REST_S]), rate_hz


def strings(clips: list[Utterance], count: int) -> Iterable[tuple[str, str, Audio, int]]:
    pick = random.Random(0)
    by_speaker: dict[str, list[Utterance]] = defaultdict(list)
    for clip in clips:
        by_speaker[clip.speaker].append(clip)
    for speaker in sorted(by_speaker):
        for _ in range(count):
            chosen = pick.choices(by_speaker[speaker], k=pick.randint(4, 7))
            heard = [read(clip) for clip in chosen]
            rests_s = [REST_S, *(pick.uniform(0.1, 0.3) for _ in chosen[1:])]
            audio = joined([clip for clip, _ in heard], heard[0][1], rests_s)
            yield speaker, " ".join(clip.text for clip in chosen), audio, heard[0][1]


def spoken(texts: Iterable[str], voices: list[str]) -> Iterable[tuple[str, str, Audio, int]]:
    """Read by engines."""
    for text in texts:
        for voice in voices:
            engine, _, name = voice.partition(":")
            with tempfile.NamedTemporaryFile(suffix=".wav") as file:
                command = [part.format(voice=name, file=file.name) for part in ENGINES[engine]]
                subprocess.run(command, input=text, text=True, check=True)
                audio, rate_hz = soundfile.read(file.name, dtype="float32")
            yield voice, text, audio, rate_hz


def rare_words(lm: LanguageModel, utterances: list[Utterance], count: int) -> list[str]:
    """Chosen before anything is heard: what the language model knows least, of at least five letters."""
    words = {word for each in utterances for word in each.text.split() if len(word) >= 5}
    return sorted(words, key=lambda word: (word in lm, lm.score((), word)[0], word))[:count]


def hotwords(model: Path, lm: LanguageModel, utterances: list[Utterance], count: int) -> None:
    rare = rare_words(lm, utterances, count)
    print(f"{len(rare)} rare words, {sum(word not in lm for word in rare)} out of vocabulary: {' '.join(rare)}")
    for weight in (0.0, *WEIGHTS):
        recogniser = Recognizer.load(model, lm=lm, hotwords=[f"{word}:{weight}" for word in rare] if weight else [])
        total = found = extra = 0
        rest, whole = Tally(), Tally()
        for each in utterances:
            audio, rate_hz = read(each)
            heard = recogniser.transcribe(audio, rate_hz).text
            said_rare = [word for word in each.text.split() if word in rare]
            heard_rare = [word for word in heard.split() if word in rare]
            hits = sum(min(said_rare.count(word), heard_rare.count(word)) for word in set(said_rare))
            total, found, extra = total + len(said_rare), found + hits, extra + len(heard_rare) - hits
            (whole if said_rare else rest).add(each.text, heard)
        print(f"weight {weight:g}: {found} of {total} found, {extra} heard that were not said; sentences", end=" ")
        print(f"with them: {whole}; without: {rest}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=SHIPPED_MODEL)
    parser.add_argument("--lm", type=Path, default=SHIPPED_LM)
    parser.add_argument("--digits", type=Path)
    parser.add_argument("--speaker", action="append", default=[], help="only these; a part of the name is enough")
    parser.add_argument("--strings", type=int, default=30, help="strings of each speaker")
    parser.add_argument("--commands", type=Path)
    parser.add_argument("--every", type=int, default=1, help="take one clip of so many")
    parser.add_argument("--say", nargs="*", default=[], metavar="ENGINE:VOICE", help="have these speak")
    parser.add_argument("--hotwords", type=Path)
    parser.add_argument("--count", type=int, default=30, help="rare words")
    arguments = parser.parse_args()
    lm = LanguageModel.load(arguments.lm)
    recogniser = Recognizer.load(arguments.model, lm=lm)
    if arguments.digits:
        clips = [
            each
            for each in read_manifest(arguments.digits)
            if not arguments.speaker or any(name in each.speaker for name in arguments.speaker)
        ]
        phrases("digits", recogniser, single(clips[:: arguments.every]), DIGITS)
        phrases("digits", recogniser, strings(clips, arguments.strings), DIGITS)
    if arguments.commands:
        clips = read_manifest(arguments.commands)
        said = {each.text for each in clips}
        words = SPEECH_COMMANDS if said <= {*SPEECH_COMMANDS} else sorted(said)
        phrases("commands", recogniser, single(clips[:: arguments.every]), words)
    if arguments.say:
        pick = random.Random(0)
        digits = [" ".join(pick.choices(DIGITS, k=pick.randint(4, 7))) for _ in range(arguments.strings)]
        phrases("digits", recogniser, spoken(digits, arguments.say), DIGITS)
        phrases("commands", recogniser, spoken(COMMANDS, arguments.say), COMMANDS)
    if arguments.hotwords:
        hotwords(arguments.model, lm, read_manifest(arguments.hotwords), arguments.count)


if __name__ == "__main__":
    main()
