"""The batches of an epoch: repeatable, complete, and never too short for CTC."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rillet.features import Augment, AugmentConfig
from rillet.models.audio_pack import AudioPack, Clip
from rillet.models.batches import Batch, BatchConfig, EpochBatches
from rillet.models.tokens import frames_needed

RATE_HZ, UNIT, LOOK_AHEAD, SPACE = 16_000, 640, 3, 1
CONFIG = BatchConfig(batch_s=30.0)
APART = replace(CONFIG, join_below_s=0.0)


def pack(seconds: list[float], first_token: int = 2) -> AudioPack:
    """Clips of noise; clip `n` has the tokens (first_token + n, 2)."""
    rng, clips, start = np.random.default_rng(0), [], 0
    for number, length_s in enumerate(seconds):
        samples = round(length_s * RATE_HZ)
        clips.append(Clip(start, samples, (first_token + number, 2)))
        start += samples
    return AudioPack(rng.integers(-9_000, 9_000, start).astype(np.int16), clips, [], Path("none"))


def epoch(
    packs: list[AudioPack], config: BatchConfig = CONFIG, augment: AugmentConfig | None = None, seed: int = 1,
    epoch: int = 1, weights: list[float] | None = None,
) -> EpochBatches:  # fmt: skip
    augmentation = Augment(augment, [], []) if augment else None
    return EpochBatches(
        packs, weights or [1.0] * len(packs), config, augmentation, UNIT, LOOK_AHEAD, SPACE, seed, epoch
    )


def targets(batch: Batch) -> list[list[int]]:
    return [row.tolist() for row in torch.split(batch.targets, batch.target_lengths.tolist())]


def same(one: Batch, other: Batch) -> bool:
    return torch.equal(one.audio, other.audio) and targets(one) == targets(other)


LENGTHS_S = list(np.random.default_rng(1).uniform(0.3, 9.0, 40))


def test_the_same_seed_and_epoch_give_the_same() -> None:
    packs = [pack(LENGTHS_S)]
    one, again = epoch(packs, augment=AugmentConfig()), epoch(packs, augment=AugmentConfig())
    assert len(one) == len(again) > 5
    for number in (4, 0, 2):  # in any order, as several workers would take them
        assert same(one[number], again[number])
    for other in (epoch(packs, seed=2), epoch(packs, epoch=2)):
        assert not same(one[0], other[0])


def test_a_clip_is_changed_otherwise_in_every_epoch() -> None:
    packs = [pack([5.0])]  # the same batch 0 in each
    one, later, other = (epoch(packs, augment=AugmentConfig(), **k)[0] for k in ({}, {"epoch": 2}, {"seed": 2}))
    assert not same(one, later)
    assert not same(one, other)


def test_rows_are_padded_and_end_with_the_look_ahead() -> None:
    batches = epoch([pack(LENGTHS_S)], APART)
    for number in range(len(batches)):
        batch = batches[number]
        assert batch.audio.dtype == torch.float32
        assert batch.audio.shape == (len(batch.frames), (int(batch.frames.max()) + LOOK_AHEAD) * UNIT)
        for row, frames in zip(batch.audio, batch.frames.tolist(), strict=True):
            assert not row[frames * UNIT :].any()
            assert row[(frames - 1) * UNIT : frames * UNIT].any()


def test_batches_are_full_but_not_too_full() -> None:
    batches = epoch([pack(LENGTHS_S)])
    widths_s = [
        (b := batches[i]).audio.numel() / RATE_HZ - len(b.audio) * LOOK_AHEAD * 0.04 for i in range(len(batches))
    ]
    assert max(widths_s) < CONFIG.batch_s * 1.1
    assert np.mean(widths_s) > CONFIG.batch_s * 0.7


def test_the_first_epoch_goes_from_short_to_long() -> None:
    packs = [pack(LENGTHS_S)]
    widths = [b.audio.shape[1] for b in map(epoch(packs, APART, epoch=0).__getitem__, range(5))]
    assert widths == sorted(widths)
    later = [b.audio.shape[1] for b in map(epoch(packs, APART, epoch=1).__getitem__, range(5))]
    assert later != sorted(later)


def counts(batches: EpochBatches) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    tokens = [row[i] for n in range(len(batches)) for row in targets(batches[n]) for i in range(0, len(row), 2)]
    return np.bincount(tokens, minlength=300)


def test_weights_are_how_often_a_clip_comes() -> None:
    packs = [pack([0.1] * 50, 2), pack([0.1] * 50, 100), pack([0.1] * 90, 200)]
    heard = counts(epoch(packs, APART, weights=[2.0, 1.5, 0.25]))
    assert (heard[2:52] == 2).all()
    assert set(heard[100:150]) == {1, 2}
    assert 60 <= heard[100:150].sum() <= 90
    assert set(heard[200:290]) == {0, 1}
    assert 10 <= heard[200:290].sum() <= 38


def test_clips_that_are_too_long_are_left_out() -> None:
    heard = counts(epoch([pack([1.0, 2.5, 1.0])], replace(APART, longest_s=2.0)))
    assert heard[2:5].tolist() == [1, 0, 1]


def test_short_clips_are_joined_with_spaces_and_gaps() -> None:
    config = replace(CONFIG, join_below_s=1.0, joined_s=(2.0, 2.0), gap_s=(0.5, 0.5))
    batches = epoch([pack([0.5] * 20 + [4.0])], config)
    rows = [row for n in range(len(batches)) for row in targets(batches[n])]
    joined = [row for row in rows if len(row) > 2]
    # Three clips of 0.5 s with two gaps are 2.5 s, two are 1.5 s: a chain is closed when it has its 2 s.
    assert sorted(map(len, joined)) == [5] + [8] * 6
    assert all(row[2::3] == [SPACE] * (len(row) // 3) for row in joined)
    assert sorted(token for row in rows for token in row[::3]) == list(range(2, 23))
    audio = next(
        b.audio[targets(b).index(joined[0])]
        for b in map(batches.__getitem__, range(len(batches)))
        if joined[0] in targets(b)
    )
    assert audio[:8_000].any()
    assert not audio[8_000:16_000].any()
    assert audio[16_000:24_000].any()


def test_no_space_beside_a_clip_without_text() -> None:
    quiet = AudioPack(
        np.ones(30_000, np.int16),
        [Clip(10_000 * i, 10_000, (5,) if i == 1 else ()) for i in range(3)],
        [],
        Path("none"),
    )
    batches = epoch([quiet], replace(CONFIG, joined_s=(9.0, 9.0)))
    assert [row for n in range(len(batches)) for row in targets(batches[n])] == [[5]]


@settings(deadline=None, max_examples=50)
@given(seed=st.integers(0, 999), tokens=st.lists(st.integers(1, 4), min_size=1, max_size=12))
def test_there_are_always_frames_enough(seed: int, tokens: list[int]) -> None:
    """Clips that just fit, joined without a gap and sped up."""
    size = frames_needed(tokens) * UNIT - 600
    tight = AudioPack(np.full(size, 500, np.int16), [Clip(0, size, tuple(tokens))] * 9, [], Path("none"))
    config = replace(CONFIG, joined_s=(0.5, 1.5), gap_s=(0.0, 0.0))
    for augment in (None, AugmentConfig(speed=(1.3, 1.5), speed_chance=1.0, noise_only_chance=0.1)):
        batches = epoch([tight], config, augment, seed)
        for batch in map(batches.__getitem__, range(len(batches))):
            for row, frames in zip(targets(batch), batch.frames.tolist(), strict=True):
                assert frames >= frames_needed(row)


def test_noise_only_has_no_text() -> None:
    batches = epoch([pack([1.0] * 5)], APART, AugmentConfig(noise_only_chance=1.0))
    assert targets(batches[0]) == [[]] * 5
    assert len(batches[0].targets) == 0
    assert batches[0].targets.dtype == torch.int64


def test_an_epoch_without_clips_has_no_batches() -> None:
    assert len(epoch([pack([])])) == 0


@pytest.mark.parametrize("wrong", [{"batch_s": 0.0}, {"joined_s": (2.0, 1.0)}, {"gap_s": (-1.0, 1.0)}])
def test_settings_that_make_no_sense(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        BatchConfig(**wrong)  # type: ignore[arg-type]
