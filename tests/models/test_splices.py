"""Pieces of utterances: the audio of a piece is that of its words, and cuts lie where it is quiet."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from rillet.models.audio_pack import AudioPack, Clip
from rillet.models.checkpoint import Checkpoint
from rillet.models.network import AcousticNetwork, NetworkConfig
from rillet.models.splices import EARLY_S, Splices, _cuts, word_cuts
from rillet.models.tokens import ENGLISH_CHARACTERS as TOKENS

SPACE, UNIT = TOKENS.strings.index(" "), 640
WORDS = ["a", "bee", "cat", "dog", "eel", "fox"]


def pack_of(
    sentences: list[list[int]], speakers: list[str], folder: Path = Path()
) -> tuple[AudioPack, dict[int, tuple[int, ...]]]:
    """Word n is 1000 + 200 n samples of value n + 1."""
    audio: list[int] = []
    clips, cuts = [], {}
    for words, speaker in zip(sentences, speakers, strict=True):
        start, edges = len(audio), []
        for word in words:
            audio += [word + 1] * (1000 + 200 * word)
            edges.append(len(audio) - start)
        tokens = tuple(TOKENS.encode(" ".join(WORDS[word] for word in words)))
        clips.append(Clip(start, len(audio) - start, tokens, speaker))
        cuts[start] = tuple(edges[:-1])
    return AudioPack(np.array(audio, np.int16), clips, [], folder / "pack.i16"), cuts


@given(st.lists(st.lists(st.integers(0, 5), min_size=2, max_size=8), min_size=1, max_size=5), st.integers(0, 10**6))
def test_the_audio_of_a_piece_is_that_of_its_words(sentences: list[list[int]], seed: int) -> None:
    pack, cuts = pack_of(sentences, ["one", "two", "one", "two", "one"][: len(sentences)])
    splices, rng = Splices([pack], [cuts], SPACE, 1.0), np.random.default_rng(seed)
    for clip in pack.clips:
        chain = splices.splice([(0, clip)], rng) or []  # the first piece drawn may be longer than all that fits
        assert sum(piece.samples for _, piece in chain) <= clip.samples + 8_000
        for number, piece in chain:
            assert (number, piece.speaker) == (0, clip.speaker)
            samples = np.round(pack.samples(piece) * 32_768).astype(int)
            heard = [
                WORDS[value - 1] for value, before in zip(samples, [0, *samples[:-1]], strict=True) if value != before
            ]
            said = TOKENS.decode(list(piece.tokens)).split()
            merged = [word for word, before in zip(said, ["", *said], strict=False) if word != before]
            assert heard == merged  # the same word twice is one value
            assert len(samples) == sum(1000 + 200 * WORDS.index(word) for word in said)


def test_what_cannot_be_cut_and_chains_stay_as_they_are() -> None:
    pack, cuts = pack_of([[1, 2], [3, 4], [0, 1]], ["one", "two", ""])
    rng = np.random.default_rng(0)
    known = {start: each for start, each in cuts.items() if start != pack.clips[1].start}
    splices = Splices([pack], [known], SPACE, 1.0)
    assert splices.splice([(0, pack.clips[0])], rng)
    assert splices.splice([(0, pack.clips[1])], rng) is None  # no cuts
    assert splices.splice([(0, pack.clips[2])], rng) is None  # nobody knows who speaks
    assert splices.splice([(0, pack.clips[0])] * 2, rng) is None
    chances = [bool(Splices([pack], [known], SPACE, 0.3).splice([(0, pack.clips[0])], rng)) for _ in range(400)]
    assert 0.2 < np.mean(chances) < 0.4


class Aligner:
    """A network that has heard every token in its frame."""

    def __init__(self, frames: dict[int, int]) -> None:
        self.frames = frames
        self.config = SimpleNamespace(tokens=TOKENS.strings, samples_per_frame=UNIT, look_ahead_frames=2)

    def initial_state(self, batch: int) -> None:
        return None

    def __call__(self, audio: torch.Tensor, state: Any) -> tuple[torch.Tensor, None]:
        log_probs = torch.full((1, audio.shape[1] // UNIT, len(TOKENS.strings) + 3), -9.0)
        log_probs[:, :, 0] = -0.1
        for frame, token in self.frames.items():
            log_probs[0, frame + 2, 0], log_probs[0, frame + 2, token] = -9.0, -0.1
        return log_probs, None


def test_cuts_lie_at_the_quietest_moment_between_two_words(tmp_path: Path) -> None:
    text = "a bee"
    tokens = tuple(TOKENS.encode(text))
    rng, frames = np.random.default_rng(0), 40
    audio = rng.integers(-3000, 3000, frames * UNIT).astype(np.int16)
    quiet = 12 * UNIT
    audio[quiet - 300 : quiet + 300] = 0
    pack = AudioPack(audio, [Clip(0, len(audio), tokens, "x")], [], tmp_path / "pack.i16")
    early = round(EARLY_S * 16_000 / UNIT)
    at = {7 - early: tokens[0], 11 - early: SPACE, 15 - early: tokens[2], 17 - early: tokens[3], 19 - early: tokens[4]}
    (cut,) = _cuts(Aligner(at), pack, pack.clips[0])  # type: ignore[arg-type]
    assert abs(cut - quiet) <= 300
    short = AudioPack(audio[: 8 * UNIT], [Clip(0, 8 * UNIT, tokens, "x")], [], tmp_path / "pack.i16")
    assert _cuts(Aligner({}), short, short.clips[0]) == ()  # type: ignore[arg-type]  # nothing of it was heard


def test_cuts_are_kept_beside_the_audio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pack, cuts = pack_of([[1, 2, 3], [4]], ["one", "two"], tmp_path)
    network = AcousticNetwork(NetworkConfig(lstm_size=8, lstm_layers=1, convolution_channels=8))
    aligner = Checkpoint(network.config, network.state_dict(), {}, {})
    (tmp_path / "aligner").write_text("x")
    asked: list[int] = []

    def found(network: AcousticNetwork, pack: AudioPack, clip: Clip) -> tuple[int, ...]:
        asked.append(clip.start)
        return cuts[clip.start]

    monkeypatch.setattr("rillet.models.splices._cuts", found)
    expected = {pack.clips[0].start: cuts[0]}  # one word has no cut
    assert word_cuts(pack, aligner, tmp_path / "aligner") == expected
    assert word_cuts(pack, aligner, tmp_path / "aligner") == expected
    assert len(asked) == 2
