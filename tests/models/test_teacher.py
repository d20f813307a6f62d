"""A teacher's features: where they stand in a batch, and training with them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper
from rillet.features import Augment, AugmentConfig
from rillet.models.audio_pack import AudioPack, open_pack
from rillet.models.batches import BatchConfig, EpochBatches
from rillet.models.checkpoint import load_checkpoint
from rillet.models.teacher import TeacherError, TeacherHead, between_rows, teach
from rillet.models.tokens import ENGLISH_CHARACTERS
from rillet.models.train import train

from .test_train import change, everything_in, run_folder

Configure = Callable[..., Path]
HOP, UNIT, RATE_HZ = 400, 640, 16_000


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An encoder whose two features are the mean of each 25 ms, and its negative."""
    path = tmp_path_factory.mktemp("teacher") / "encoder.onnx"
    nodes = [
        helper.make_node("Unsqueeze", ["audio", "one"], ["channel"]),
        helper.make_node("AveragePool", ["channel"], ["means"], kernel_shape=[HOP], strides=[HOP]),
        helper.make_node("Neg", ["means"], ["negative"]),
        helper.make_node("Concat", ["means", "negative"], ["both"], axis=1),
        helper.make_node("Transpose", ["both"], ["features"], perm=[0, 2, 1]),
    ]
    graph = helper.make_graph(
        nodes,
        "encoder",
        [helper.make_tensor_value_info("audio", TensorProto.FLOAT, [1, "samples"])],
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, [1, "frames", 2])],
        [helper.make_tensor("one", TensorProto.INT64, [1], [1])],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def ramps(folder: Path) -> AudioPack:
    """Three clips that rise from 0 to 0.1, from 0.2 to 0.5 and from 0.6 to 0.7."""
    import soundfile  # type: ignore[import-untyped]

    lines = []
    for n, (low, high, seconds) in enumerate([(0.0, 0.1, 1.01), (0.2, 0.5, 2.003), (0.6, 0.7, 0.997)]):
        soundfile.write(folder / f"{n}.wav", np.linspace(low, high, round(seconds * RATE_HZ)), RATE_HZ)
        lines.append(f'{{"audio": "{n}.wav", "text": "ab"}}\n')
    (folder / "ramps.jsonl").write_text("".join(lines))
    return open_pack(folder / "ramps.jsonl", folder / "cache", ENGLISH_CHARACTERS, UNIT)


def test_rows_follow_the_audio_of_the_pack(teacher: Path, tmp_path: Path) -> None:
    pack = ramps(tmp_path)
    features = teach(pack, teacher, UNIT)
    assert features.shape == (-(-len(pack.audio) // UNIT), 2)
    for clip in pack.clips:
        first, end = -(-clip.start // UNIT), (clip.start + clip.samples) // UNIT
        means = [pack.audio[i * UNIT : (i + 1) * UNIT].mean() / 32_768 for i in range(first, end)]
        assert features[first:end, 0] == pytest.approx(np.array(means), abs=4e-3)
    assert features[:, 1] == pytest.approx(-features[:, 0])
    teacher_was_asked = next(tmp_path.glob("cache/*.f16")).stat().st_mtime_ns
    teach(pack, teacher, UNIT)
    assert next(tmp_path.glob("cache/*.f16")).stat().st_mtime_ns == teacher_was_asked


def dc(samples: NDArray[np.float32]) -> NDArray[np.float64]:
    """The mean of each frame."""
    return np.array([samples[i : i + UNIT].mean(dtype=np.float64) for i in range(0, len(samples), UNIT)])


@pytest.mark.parametrize("speed", [1.0, 0.8, 1.25])
def test_a_batch_has_the_features_of_its_audio_at_every_speed(teacher: Path, tmp_path: Path, speed: float) -> None:
    """The teacher tells the mean, which the batch's own audio must then have too, up to the level."""
    pack = ramps(tmp_path)
    empty = AudioPack(np.zeros(0, np.int16), [], [], tmp_path / "empty.i16")
    taught = [np.zeros((0, 0), np.float16), teach(pack, teacher, UNIT)]
    plain = AugmentConfig(
        speed=(speed, speed),
        speed_chance=1.0,
        low_pass_chance=0,
        telephone_chance=0,
        equaliser_chance=0,
        noise_chance=0,
        white_noise_chance=0,
        noise_only_chance=0,
    )
    batches = EpochBatches(
        [empty, pack], [1.0, 1.0], BatchConfig(joined_s=(9.0, 9.0), gap_s=(0.2, 0.4)), Augment(plain, [], []),
        UNIT, 3, 1, 0, 0, taught=taught,
    )  # fmt: skip
    compared = 0
    for batch in (batches[i] for i in range(len(batches))):
        for audio, frames, features in zip(batch.audio, batch.frames, batch.features, strict=True):
            own = dc(audio.numpy())[: len(features)]
            known = torch.isfinite(features[:, 0]).numpy()
            assert not known[int(frames) :].any()
            inner = np.zeros_like(known)  # at a clip's edge a frame holds silence too
            inner[1:-1] = known[:-2] & known[1:-1] & known[2:]
            wanted = features[:, 0].float().numpy()[inner]
            level = (own[inner] @ wanted) / (wanted @ wanted)
            assert own[inner] == pytest.approx(level * wanted, abs=0.02 * abs(own).max())
            compared += inner.sum()
    assert compared > 80 / speed


def test_between_rows() -> None:
    rows = np.array([[0.0], [10.0], [20.0]], np.float32)
    assert between_rows(rows, np.array([-1.0, 0.0, 0.25, 1.5, 7.0]))[:, 0].tolist() == [0, 0, 2.5, 15, 20]


def test_the_head_learns_and_knows_what_is_not_known() -> None:
    rng = np.random.default_rng(0)
    known = rng.normal(3, 2, (500, 4)).astype(np.float16)
    head = TeacherHead(8, [np.zeros((0, 0), np.float16), known, np.full((9, 4), np.nan, np.float16)])
    assert head.mean.numpy() == pytest.approx(np.full(4, 3), abs=0.4)
    features = torch.from_numpy(known[:6].reshape(2, 3, 4).copy())
    right = (features.float() - head.mean) / head.deviation
    guess = torch.cat([right, torch.ones(2, 2, 4)], dim=1)  # the look-ahead is longer than the utterance
    assert head.loss(guess, features) == pytest.approx(0, abs=1e-6)
    guess[0, 0] += 1
    assert head.loss(guess, features) == pytest.approx(1 / 6, abs=1e-6)
    features[0, 0, 0] = torch.nan
    assert head.loss(guess, features) == pytest.approx(0, abs=1e-6)
    assert head.loss(guess, torch.full_like(features, torch.nan)) == 0


def test_training_with_a_teacher_is_resumed_and_exports_nothing_of_it(configure: Configure, teacher: Path) -> None:
    told = f'teacher = "{teacher}"\nteacher_loss = 1.0\nteacher_layer = 1'
    through, broken = (configure(name, steps, 2, extra=told) for name, steps in (("through", 4), ("broken", 2)))
    train(through)
    train(broken)
    before = everything_in(run_folder(broken) / "last.safetensors")["extra.teacher_head.linear.weight"]
    train(change(broken, ("steps = 2", "steps = 4")))
    ends = [everything_in(run_folder(config) / "last.safetensors") for config in (through, broken)]
    assert ends[0].keys() == ends[1].keys()
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])
    assert not torch.equal(before, ends[1]["extra.teacher_head.linear.weight"])
    assert "teacher" not in " ".join(load_checkpoint(run_folder(broken) / "best.safetensors").weights)


def test_no_teacher(configure: Configure, tmp_path: Path) -> None:
    absent, wrong = tmp_path / "absent.onnx", tmp_path / "wrong.onnx"
    wrong.write_text("not a model")
    for path, complaint in ((absent, "there is no teacher"), (wrong, "cannot read the teacher")):
        told = f'teacher = "{path}"\nteacher_loss = 1.0\nteacher_layer = 1'
        with pytest.raises(TeacherError, match=complaint):
            train(configure("none", 2, extra=told))
