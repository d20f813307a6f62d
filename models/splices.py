"""New utterances from pieces of others by the same speaker, cut between words.

A network that hears the same thousand sentences a hundred times learns them by heart; of pieces put together anew there
is no end (Lam et al. 2021, "On-the-fly aligned data augmentation for sequence-to-sequence ASR"). Where words end is
found by CTC forced alignment with a network that was trained before, moved to the quietest moment near by.
"""

import hashlib
import json
import os
from pathlib import Path

import numpy as np
import torch
from torchaudio.functional import forced_align

from .audio_pack import AudioPack, Clip, Place
from .checkpoint import Checkpoint
from .network import AcousticNetwork
from .tokens import Tokens

Cuts = dict[int, tuple[int, ...]]  # by the start of a clip: samples from there to each place between two words
LONGEST_PIECE = 8  # words
LONGER_S = 0.5  # by which a new utterance may be longer than the one whose place it takes
LEAST_SCORE = -1.3  # mean log-probability of an alignment that is believed
EARLY_S = 0.095  # so much earlier than it is heard a network tends to write a letter
LOUDNESS_S = 0.02  # over which loudness is taken


def word_cuts(pack: AudioPack, aligner: Checkpoint, path: Path) -> Cuts:
    """The cuts of all clips of a pack that can be aligned, found once and kept beside its audio.

    Args:
        pack: as `open_pack` made it, with the tokens of the aligner.
        aligner: a trained network.
        path: its file; a file of another size is another aligner.
    """
    key = hashlib.sha256(repr((path.name, path.stat().st_size)).encode()).hexdigest()[:8]
    kept = pack.data.with_suffix(f".{key}.cuts.json")
    if not kept.exists():
        network = AcousticNetwork(aligner.network)
        network.load_state_dict(aligner.weights, strict=False)  # letters are enough to align, the rest may be lacking
        found = {clip.start: cuts for clip in pack.clips if (cuts := _cuts(network.eval(), pack, clip))}
        partial = kept.with_suffix(f".{os.getpid()}.partial")
        partial.write_text(json.dumps(list(found.items())))
        os.replace(partial, kept)
    return {start: tuple(cuts) for start, cuts in json.loads(kept.read_text())}


def _cuts(network: AcousticNetwork, pack: AudioPack, clip: Clip) -> tuple[int, ...]:
    """Between the words of a clip; none where it has one word, or the alignment is not to be trusted."""
    config = network.config
    space, unit = Tokens(config.tokens).strings.index(" "), config.samples_per_frame
    if space not in clip.tokens:
        return ()
    samples, frames = pack.samples(clip), -(-clip.samples // unit)
    audio = torch.zeros(1, (frames + config.look_ahead_frames) * unit)
    audio[0, : len(samples)] = torch.from_numpy(samples)
    with torch.inference_mode():
        log_probs = network(audio, network.initial_state(1))[0][:, config.look_ahead_frames :, : len(config.tokens)]
        path, scores = forced_align(log_probs.contiguous(), torch.tensor([clip.tokens], dtype=torch.int32))
    if float(scores.mean()) < LEAST_SCORE:
        return ()
    spans = _spans(path[0].tolist())
    loudness = np.convolve(samples**2, np.ones(round(LOUDNESS_S * pack.sample_rate_hz)), "same")
    early = EARLY_S * pack.sample_rate_hz
    cuts = []
    for (_, _, before), (token, _, _), (_, after, _) in zip(spans, spans[1:], spans[2:], strict=False):
        if token == space:
            end = min(int((after + 0.5) * unit + early), len(samples))
            first = min(int((before + 0.5) * unit + early), end - 1)
            cuts.append(first + int(np.argmin(loudness[first:end])))
    return tuple(cuts)


def _spans(path: list[int]) -> list[tuple[int, int, int]]:
    """Of a CTC path: each token with its first and last frame."""
    spans: list[tuple[int, int, int]] = []
    for frame, (previous, token) in enumerate(zip([0, *path], path, strict=False)):
        if token and token == previous:
            spans[-1] = (token, spans[-1][1], frame)
        elif token:
            spans.append((token, frame, frame))
    return spans


class Splices:
    """Draws pieces.

    Args:
        packs, cuts: the audio, and what `word_cuts` says of each pack.
        space: the token between words.
        chance: that an utterance is replaced.
    """

    def __init__(self, packs: list[AudioPack], cuts: list[Cuts], space: int, chance: float) -> None:
        self._packs, self._cuts, self._space, self._chance = packs, cuts, space, chance
        self._by_speaker: list[dict[str, list[Clip]]] = [{} for _ in packs]
        for clips, pack, known in zip(self._by_speaker, packs, cuts, strict=True):
            for clip in pack.clips:
                if clip.speaker and clip.start in known:
                    clips.setdefault(clip.speaker, []).append(clip)

    def splice(self, chain: list[Place], rng: np.random.Generator) -> list[Place] | None:
        """In place of a chain of one clip, pieces of its speaker that are about as long; None to leave it as it is."""
        number, clip = chain[0]
        clips = self._by_speaker[number].get(clip.speaker)
        if len(chain) > 1 or not clips or rng.random() >= self._chance:
            return None
        left = clip.samples + round(LONGER_S * self._packs[number].sample_rate_hz)
        pieces: list[Place] = []
        while True:
            piece = self._piece(clips[rng.integers(len(clips))], self._cuts[number], rng)
            if piece.samples > left:
                return pieces or None
            left -= piece.samples
            pieces.append((number, piece))

    def _piece(self, clip: Clip, cuts: Cuts, rng: np.random.Generator) -> Clip:
        """Some words of a clip."""
        edges = [0, *cuts[clip.start], clip.samples]
        words = _split(clip.tokens, self._space)
        count = min(int(rng.integers(1, LONGEST_PIECE + 1)), len(words))
        first = int(rng.integers(len(words) - count + 1))
        tokens = [token for word in words[first : first + count] for token in (self._space, *word)][1:]
        start, end = edges[first], edges[first + count]
        return Clip(clip.start + start, end - start, tuple(tokens), clip.speaker)


def _split(tokens: tuple[int, ...], space: int) -> list[list[int]]:
    words: list[list[int]] = [[]]
    for token in tokens:
        if token == space:
            words.append([])
        else:
            words[-1].append(token)
    return words
