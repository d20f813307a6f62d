"""From packs of clips to the batches of an epoch, the same for the same seed, epoch and number."""

from dataclasses import dataclass
from itertools import chain as concatenate

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from ..features import Augment
from .audio_pack import AudioPack, Clip
from .phones import phones_of
from .tokens import Tokens, frames_needed

Place = tuple[int, Clip]  # which pack, which clip


@dataclass(frozen=True)
class BatchConfig:
    """How clips become batches."""

    batch_s: float = 320.0  # seconds of audio in a batch, padding included
    longest_s: float = 20.0  # longer clips are left out
    join_below_s: float = 3.0  # shorter clips are joined with others, as words are in speech ...
    joined_s: tuple[float, float] = (1.0, 10.0)  # ... to about this length
    gap_s: tuple[float, float] = (0.0, 0.5)  # silence between joined clips


@dataclass(frozen=True)
class Batch:
    """Padded audio and targets of several utterances."""

    audio: Tensor  # float32 [batch, frames * samples_per_frame], zeros behind each utterance and its look-ahead
    frames: Tensor  # int64 [batch]: log-probability rows of each utterance, without the look-ahead
    targets: Tensor  # int64 [sum of target lengths]
    target_lengths: Tensor  # int64 [batch]
    phones: Tensor  # int64 [sum of phone lengths]; empty where phones are not asked for
    phone_lengths: Tensor  # int64 [batch]; 0 also where a pronunciation is not known
    speech_s: float  # without padding


class EpochBatches(Dataset[Batch]):
    """The batches of one epoch; item `i` always draws the same augmentation.

    Args:
        packs: the audio.
        weights: how many times a clip of each pack comes in an epoch; the fraction is a chance.
        config: sizes.
        augment: None for clean speech.
        samples_per_frame, look_ahead_frames, tokens: of the network.
        seed, epoch: what the draws depend on.
    """

    def __init__(
        self,
        packs: list[AudioPack],
        weights: list[float],
        config: BatchConfig,
        augment: Augment | None,
        samples_per_frame: int,
        look_ahead_frames: int,
        tokens: Tokens,
        seed: int,
        epoch: int,
        with_phones: bool = False,
        sample_rate_hz: int = 16_000,
    ) -> None:
        self.packs, self.config, self.augment = packs, config, augment
        self.samples_per_frame, self.look_ahead_frames, self.tokens = samples_per_frame, look_ahead_frames, tokens
        self.seed, self.epoch, self.with_phones, self.sample_rate_hz = seed, epoch, with_phones, sample_rate_hz
        rng = np.random.default_rng([seed, epoch])
        places: list[Place] = []
        for number, (pack, weight) in enumerate(zip(packs, weights, strict=True)):
            for clip in pack.clips:
                if clip.samples <= config.longest_s * sample_rate_hz:
                    places += [(number, clip)] * (int(weight) + int(rng.random() < weight % 1))
        order = rng.permutation(len(places))
        self.batches = self._group(self._join([places[i] for i in order], rng))
        if epoch > 0:  # the first epoch goes from short to long (SortaGrad, Amodei et al. 2016)
            self.batches = [self.batches[i] for i in rng.permutation(len(self.batches))]

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, number: int) -> Batch:
        rng = np.random.default_rng([self.seed, self.epoch, number])
        utterances = [self._utterance(places, rng) for places in self.batches[number]]
        frames = [-(-len(samples) // self.samples_per_frame) for samples, _ in utterances]
        width = (max(frames) + self.look_ahead_frames) * self.samples_per_frame
        audio = torch.zeros(len(utterances), width)
        for row, (samples, _) in zip(audio, utterances, strict=True):
            row[: len(samples)] = torch.from_numpy(samples)
        targets = [tokens for _, tokens in utterances]
        phones = [self._phones(tokens, n) for tokens, n in zip(targets, frames, strict=True)]
        return Batch(
            audio,
            torch.tensor(frames),
            torch.tensor(list(concatenate.from_iterable(targets)), dtype=torch.int64),
            torch.tensor([len(tokens) for tokens in targets]),
            torch.tensor(list(concatenate.from_iterable(phones)), dtype=torch.int64),
            torch.tensor([len(said) for said in phones]),
            sum(len(samples) for samples, _ in utterances) / self.sample_rate_hz,
        )

    def _phones(self, tokens: list[int], frames: int) -> list[int]:
        phones = phones_of(self.tokens.decode(tokens)) if self.with_phones else None
        return phones if phones and frames_needed(phones) <= frames else []

    def _join(self, places: list[Place], rng: np.random.Generator) -> list[list[Place]]:
        """Chains of short clips, and long clips alone."""
        chains: list[list[Place]] = []
        open_chain: list[Place] = []
        target_s = rng.uniform(*self.config.joined_s)
        for place in places:
            if place[1].samples >= self.config.join_below_s * self.sample_rate_hz:
                chains.append([place])
                continue
            open_chain.append(place)
            if self._samples(open_chain) >= target_s * self.sample_rate_hz:
                chains.append(open_chain)
                open_chain, target_s = [], rng.uniform(*self.config.joined_s)
        return chains + ([open_chain] if open_chain else [])

    def _samples(self, chain: list[Place]) -> int:
        return sum(clip.samples for _, clip in chain)

    def _group(self, chains: list[list[Place]]) -> list[list[list[Place]]]:
        """Chains of about the same length, as many as fill a batch."""
        limit = self.config.batch_s * self.sample_rate_hz
        batches: list[list[list[Place]]] = []
        group: list[list[Place]] = []
        for chain in sorted(chains, key=self._samples):
            if group and self._samples(chain) * (len(group) + 1) > limit:
                batches.append(group)
                group = []
            group.append(chain)
        return batches + ([group] if group else [])

    def _utterance(self, chain: list[Place], rng: np.random.Generator) -> tuple[np.ndarray, list[int]]:
        """Samples and tokens of a chain, augmented."""
        pieces, tokens = [], []
        for pack, clip in chain:
            if pieces:
                pieces.append(np.zeros(int(rng.uniform(*self.config.gap_s) * self.sample_rate_hz), np.float32))
                tokens += self.tokens.encode(" ") if tokens and clip.tokens else []
            audio = self.packs[pack].audio[clip.start : clip.start + clip.samples]
            pieces.append(audio.astype(np.float32) / 32_768)
            tokens += clip.tokens
        samples = np.concatenate(pieces)
        if self.augment is None:
            return samples, tokens
        if rng.random() < self.augment.config.noise_only_chance:
            return self.augment.noise_only(len(samples), rng), []
        changed = self.augment(samples, rng)
        short = len(changed) < frames_needed(tokens) * self.samples_per_frame
        return (samples if short else changed), tokens  # sped up too far for CTC to write: taken as it was
