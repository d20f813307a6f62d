"""From packs of clips to the batches of an epoch, the same for the same seed, epoch and number."""

from dataclasses import dataclass
from itertools import chain as concatenate

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from ..features import Augment
from .audio_pack import AudioPack, Place
from .phones import phones_of
from .splices import Splices
from .teacher import Features, between_rows
from .tokens import Tokens, frames_needed

NOTHING_TAUGHT = np.zeros((0, 0), np.float16)


@dataclass(frozen=True)
class Utterance:
    """A row of a batch."""

    samples: NDArray[np.float32]
    tokens: list[int]
    features: Features  # the teacher's; fewer rows than the samples have frames are followed by nothing


@dataclass(frozen=True)
class BatchConfig:
    """How clips become batches.

    Raises:
        ValueError: a length that is not positive, or a range that runs backwards.
    """

    batch_s: float = 320.0  # seconds of audio in a batch, padding included, as long as the speed is not changed
    longest_s: float = 20.0  # longer clips are left out
    join_below_s: float = 3.0  # shorter clips are joined with others, as words are in speech ...
    joined_s: tuple[float, float] = (1.0, 10.0)  # ... to about this length
    gap_s: tuple[float, float] = (0.0, 0.5)  # silence between joined clips

    def __post_init__(self) -> None:
        if not (self.batch_s > 0 and self.longest_s > 0):
            raise ValueError("batch_s and longest_s must be positive")
        for name in ("joined_s", "gap_s"):
            low, high = getattr(self, name)
            if not 0 <= low <= high:
                raise ValueError(f"{name} must be [shortest, longest], neither negative")


@dataclass(frozen=True)
class Batch:
    """Padded audio and targets of several utterances."""

    audio: Tensor  # float32 [batch, frames * samples_per_frame], zeros behind each utterance and its look-ahead
    frames: Tensor  # int64 [batch]: log-probability rows of each utterance, without the look-ahead
    targets: Tensor  # int64 [sum of target lengths]
    target_lengths: Tensor  # int64 [batch]
    phones: Tensor  # int64 [sum of phone lengths]; empty where phones are not asked for
    phone_lengths: Tensor  # int64 [batch]; 0 also where a pronunciation is not known
    features: Tensor  # float16 [batch, frames, size], the teacher's; not a number where it says nothing
    speech_s: float  # without padding


class EpochBatches(Dataset[Batch]):
    """The batches of one epoch; item `i` always draws the same augmentation, in whatever process.

    Args:
        packs: the audio.
        weights: how many times a clip of each pack comes in an epoch; the fraction is a chance.
        config: sizes.
        augment: None for clean speech.
        samples_per_frame, look_ahead_frames, space: of the network; `space` is the token between joined clips.
        seed, epoch: what the draws depend on, neither negative.
        sample_rate_hz: of the packs.
        pronounced: the tokens of texts whose phones batches shall have; None for no phones.
        taught: what a teacher says to each pack, a row for `samples_per_frame` samples; None for no teacher.
        splices: puts new utterances together from pieces of others; None for none.
    """

    def __init__(
        self,
        packs: list[AudioPack],
        weights: list[float],
        config: BatchConfig,
        augment: Augment | None,
        samples_per_frame: int,
        look_ahead_frames: int,
        space: int,
        seed: int,
        epoch: int,
        sample_rate_hz: int = 16_000,
        pronounced: Tokens | None = None,
        taught: list[Features] | None = None,
        splices: Splices | None = None,
    ) -> None:
        self.taught, self.splices = taught, splices
        self.packs, self.config, self.augment = packs, config, augment
        self.samples_per_frame, self.look_ahead_frames, self.space = samples_per_frame, look_ahead_frames, space
        self.seed, self.epoch, self.sample_rate_hz, self.pronounced = seed, epoch, sample_rate_hz, pronounced
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
        frames = [-(-len(utterance.samples) // self.samples_per_frame) for utterance in utterances]
        width = (max(frames) + self.look_ahead_frames) * self.samples_per_frame
        audio = torch.zeros(len(utterances), width)
        features = torch.full((len(utterances), max(frames), max(u.features.shape[1] for u in utterances)), torch.nan)
        features = features.to(torch.float16)
        for row, taught, utterance in zip(audio, features, utterances, strict=True):
            row[: len(utterance.samples)] = torch.from_numpy(utterance.samples)
            if len(utterance.features):
                taught[: len(utterance.features)] = torch.from_numpy(utterance.features)
        targets = [utterance.tokens for utterance in utterances]
        phones = [self._phones(tokens, n) for tokens, n in zip(targets, frames, strict=True)]
        return Batch(
            audio,
            torch.tensor(frames),
            torch.tensor(list(concatenate.from_iterable(targets)), dtype=torch.int64),
            torch.tensor([len(tokens) for tokens in targets]),
            torch.tensor(list(concatenate.from_iterable(phones)), dtype=torch.int64),
            torch.tensor([len(said) for said in phones]),
            features,
            sum(len(utterance.samples) for utterance in utterances) / self.sample_rate_hz,
        )

    def _phones(self, tokens: list[int], frames: int) -> list[int]:
        phones = phones_of(self.pronounced.decode(tokens)) if self.pronounced else None
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
        """The length of a chain, its gaps taken to be of middle size."""
        gap_samples = round(sum(self.config.gap_s) / 2 * self.sample_rate_hz)
        return sum(clip.samples for _, clip in chain) + (len(chain) - 1) * gap_samples

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

    def _utterance(self, chain: list[Place], rng: np.random.Generator) -> Utterance:
        """A chain, augmented."""
        gap_s = self.config.gap_s
        if self.splices and self.augment and (spliced := self.splices.splice(chain, rng)):
            chain, gap_s = spliced, (0.0, 0.0)
        pieces: list[NDArray[np.float32]] = []
        starts: list[int] = []
        tokens: list[int] = []
        for pack, clip in chain:
            if pieces:
                pieces.append(np.zeros(int(rng.uniform(*gap_s) * self.sample_rate_hz), np.float32))
                tokens += [self.space] if tokens and clip.tokens else []
            starts.append(sum(map(len, pieces)))
            pieces.append(self.packs[pack].samples(clip))
            tokens += clip.tokens
        needed = frames_needed(tokens) * self.samples_per_frame
        if len(chain) > 1:  # each clip is long enough for CTC; the spaces between them may want a little more
            missing = needed - sum(map(len, pieces))
            pieces.append(np.zeros(max(0, missing), np.float32))
        samples = np.concatenate(pieces)
        if self.augment is None:
            return Utterance(samples, tokens, NOTHING_TAUGHT)
        if rng.random() < self.augment.config.noise_only_chance:
            return Utterance(self.augment.noise_only(len(samples), rng), [], NOTHING_TAUGHT)
        changed = self.augment(samples, rng)
        if len(changed) < needed:  # sped up too far for CTC: taken as it was
            changed = samples
        return Utterance(changed, tokens, self._features(chain, starts, len(samples) / len(changed), len(changed)))

    def _features(self, chain: list[Place], starts: list[int], speed: float, samples: int) -> Features:
        """What the teacher says to a chain whose clips began at `starts` before it was played `speed` times as fast."""
        if self.taught is None:
            return NOTHING_TAUGHT
        middles = (np.arange(-(-samples // self.samples_per_frame)) + 0.5) * self.samples_per_frame * speed
        features = np.full((len(middles), max(features.shape[1] for features in self.taught)), np.nan, np.float16)
        for (pack, clip), start in zip(chain, starts, strict=True):
            here = (middles >= start) & (middles < start + clip.samples)
            row = clip.start // self.samples_per_frame
            rows = self.taught[pack][row : -(-(clip.start + clip.samples) // self.samples_per_frame)]
            places = (middles[here] - start + clip.start) / self.samples_per_frame - 0.5 - row
            features[here] = between_rows(np.asarray(rows, np.float32), places)
        return features
