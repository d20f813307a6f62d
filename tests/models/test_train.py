"""Training, on tones: it learns, it can be broken off at any step, and it says what is wrong."""

import dataclasses
import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rillet.features import Augment
from rillet.models import train as training
from rillet.models.batches import Batch, EpochBatches
from rillet.models.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from rillet.models.config import ConfigError, TrainConfig, read_config
from rillet.models.manifest import ManifestError
from rillet.models.network import AcousticNetwork, NetworkConfig
from rillet.models.phones import PHONES, phones_of
from rillet.models.tokens import ENGLISH_CHARACTERS
from rillet.models.train import TrainingError, greedy, train
from safetensors import safe_open
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # type: ignore[import-untyped]

Configure = Callable[..., Path]


def change(config: Path, *changes: tuple[str, str]) -> Path:
    text = config.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    config.write_text(text)
    return config


def run_folder(config: Path) -> Path:
    return read_config(config).run


def everything_in(path: Path) -> dict[str, torch.Tensor]:
    with safe_open(path, "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)


def test_it_learns_and_writes_scalars(tone_checkpoint: Path) -> None:
    scalars = EventAccumulator(str(tone_checkpoint.parent)).Reload()
    loss = [event.value for event in scalars.Scalars("loss")]
    assert np.mean(loss[-3:]) < 0.3 * np.mean(loss[:3])
    wer = [event.value for event in scalars.Scalars("dev/wer")]
    assert min(wer) < 0.4
    assert {"gradient_norm", "learning_rate", "hours", "dev/cer"} <= set(scalars.Tags()["scalars"])
    last, end = (everything_in(tone_checkpoint.parent / f"{name}.safetensors") for name in ("last", "end"))
    ours = {name: tensor for name, tensor in end.items() if name.startswith("network.")}
    assert all(torch.equal(last[f"extra.average.{n.removeprefix('network.')}"], t) for n, t in ours.items())
    best = load_checkpoint(tone_checkpoint)
    assert best.progress["best_wer"] == pytest.approx(min(wer), abs=1e-6)
    assert best.progress["validation"]["dev"][0] == best.progress["best_wer"]


@pytest.mark.parametrize(("workers", "broken_at"), [(0, 6), (1, 10)])
def test_a_run_that_was_broken_off_ends_as_one_that_was_not(
    configure: Configure,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    workers: int,
    broken_at: int,
) -> None:
    """To the bit: weights, optimiser, running mean, carried state and counts, with dropout and masks at work."""
    restless = (("dropout = 0.0", "dropout = 0.2"), ("frequency_masks = 0", "frequency_masks = 2"))
    through, broken = (
        change(configure(name, 12, workers=workers, extra="carry_state_chance = 0.9"), *restless)
        for name in ("through", "broken")
    )
    train(through)
    move, step = training._move_average, iter(range(broken_at))

    def stop_after_a_while(*arguments: object) -> None:
        if next(step, None) is None:
            raise KeyboardInterrupt
        move(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(training, "_move_average", stop_after_a_while)
    with pytest.raises(KeyboardInterrupt):
        train(broken)
    monkeypatch.undo()
    assert load_checkpoint(run_folder(broken) / "last.safetensors").progress["step"] == broken_at // 4 * 4
    capsys.readouterr()
    train(broken)
    assert f"from step {broken_at // 4 * 4} to 12" in capsys.readouterr().out
    ends = [everything_in(run_folder(config) / "last.safetensors") for config in (through, broken)]
    assert ends[0].keys() == ends[1].keys()
    assert sum(name.startswith("extra.optimiser.") for name in ends[0]) == 3 * len(
        list(AcousticNetwork(read_config(through).network).parameters())
    )
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])
    progress = [load_checkpoint(run_folder(config) / "last.safetensors").progress for config in (through, broken)]
    assert progress[0] == progress[1]


def test_a_run_that_is_done_is_not_run_again(configure: Configure, capsys: pytest.CaptureFixture[str]) -> None:
    config = configure("done", 4)
    best = train(config)
    before = everything_in(best.with_name("last.safetensors"))
    capsys.readouterr()
    assert train(config) == best
    assert "step 5" not in capsys.readouterr().out
    after = everything_in(best.with_name("last.safetensors"))
    assert all(torch.equal(before[name], after[name]) for name in before)


def poison(monkeypatch: pytest.MonkeyPatch, every: int) -> None:
    """NaN in the audio of every so many batches."""
    get = EpochBatches.__getitem__

    def poisoned(self: EpochBatches, number: int) -> Batch:
        batch = get(self, number)
        if number % every == 1 % every:
            batch.audio[0, 1_000] = math.nan
        return batch

    monkeypatch.setattr(EpochBatches, "__getitem__", poisoned)


def test_steps_that_are_not_finite_are_skipped_and_reported(
    configure: Configure, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = configure("poisoned", 12, 12)
    monkeypatch.setattr(training, "_validate", lambda *_: (0.5, 0.5))
    poison(monkeypatch, 3)
    train(config)
    lines = capsys.readouterr().out.splitlines()
    skipped = [line for line in lines if "skipped, the loss or its gradient is not finite" in line]
    last = load_checkpoint(run_folder(config) / "last.safetensors")
    assert len(skipped) == last.progress["skipped"] > 1
    assert skipped[-1].endswith(f"({len(skipped)} so far)")
    tensors = everything_in(run_folder(config) / "last.safetensors")
    assert all(torch.isfinite(tensor).all() for tensor in tensors.values())
    assert tensors["extra.optimiser.network.head.weight.step"] == 12 - len(skipped)


def test_nothing_but_steps_that_are_not_finite_is_an_error(
    configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "MOST_SKIPPED_STEPS", 3)
    poison(monkeypatch, 1)
    with pytest.raises(TrainingError, match="last 3 steps gave no finite gradient"):
        train(configure("hopeless", 12))


def test_best_is_by_word_error_rate(configure: Configure, monkeypatch: pytest.MonkeyPatch) -> None:
    rates = iter([(0.5, 0.1), (0.3, 0.2), (0.4, 0.0), (0.3, 0.0)])
    monkeypatch.setattr(training, "_validate", lambda *_: next(rates))
    best = load_checkpoint(train(configure("best", 4, 1)))
    assert (best.progress["step"], best.progress["best_wer"]) == (2, 0.3)
    assert not best.extra
    last = load_checkpoint(run_folder(configure("best", 4, 1)) / "last.safetensors")
    assert (last.progress["step"], last.progress["best_wer"]) == (4, 0.3)


def test_best_is_the_mean_of_the_weights_and_last_the_weights(configure: Configure) -> None:
    best = load_checkpoint(train(configure("mean", 4, 4)))
    last = load_checkpoint(run_folder(configure("mean", 4, 4)) / "last.safetensors")
    assert torch.equal(best.weights["head.weight"], last.extra["average.head.weight"])
    assert not torch.equal(best.weights["head.weight"], last.weights["head.weight"])


def test_init_begins_with_the_weights(configure: Configure, tone_checkpoint: Path) -> None:
    config = change(configure("init", 1, 1), ("learning_rate = 1e-2", "learning_rate = 1e-9"))
    trained, begun = load_checkpoint(tone_checkpoint), load_checkpoint(train(config, init=tone_checkpoint))
    assert begun.progress["step"] == 1
    assert begun.progress["epoch"] >= 1  # not from short to long
    for name, weight in trained.weights.items():
        assert torch.allclose(begun.weights[name], weight, atol=1e-6), name
    assert begun.progress["best_wer"] == trained.progress["best_wer"]


def test_init_is_not_used_by_a_run_that_goes_on(
    configure: Configure, tone_checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(configure("going", 1, 1))
    train(configure("going", 2, 1), init=tone_checkpoint)
    assert f"{tone_checkpoint} is not used" in capsys.readouterr().out


@pytest.mark.parametrize("resume", [True, False])
def test_another_network_than_the_checkpoint(configure: Configure, tone_checkpoint: Path, resume: bool) -> None:
    if resume:
        train(configure("other", 1, 1))
    config = change(configure("other", 2, 1), ("lstm_size = 32", "lstm_size = 16"))
    reason = (
        r"last.safetensors in the run folder has another \[network\]" if resume else "no LSTM layer of the checkpoint"
    )
    with pytest.raises(TrainingError, match=reason):
        train(config, init=None if resume else tone_checkpoint)


def test_a_network_can_grow_by_a_layer(
    configure: Configure, tone_checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changes = (("lstm_layers = 1", "lstm_layers = 2"), ("learning_rate = 1e-2", "learning_rate = 1e-9"))
    grown = load_checkpoint(train(change(configure("grown", 1, 1), *changes), init=tone_checkpoint))
    assert torch.allclose(
        grown.weights["head.weight"], load_checkpoint(tone_checkpoint).weights["head.weight"], atol=1e-6
    )
    said = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("begun afresh: "))
    assert all(name.startswith("lstms.1.") for name in said.removeprefix("begun afresh: ").split(", "))


def test_a_run_of_another_version_is_not_half_taken(configure: Configure) -> None:
    config = configure("old", 1, 1)
    last = run_folder(config) / "last.safetensors"
    train(config)
    old = load_checkpoint(last)
    weights = {name.replace("head.", "former."): weight for name, weight in old.weights.items()}
    save_checkpoint(last, old.network, weights, old.progress, old.extra)
    with pytest.raises(TrainingError, match="written by another version of rillet"):
        train(configure("old", 2, 1))


def test_phones_of_a_text() -> None:
    assert [PHONES[k - 1] for k in phones_of("the cat's bed") or []] == [
        "DH",
        "AH",
        "K",
        "AE",
        "T",
        "S",
        "B",
        "EH",
        "D",
    ]
    assert [PHONES[k - 1] for k in phones_of("aardvark's") or []][-1] == "S"
    assert phones_of("the x7") is None
    assert phones_of("zzyxqua")  # guessed
    assert phones_of("") == []


@pytest.mark.parametrize("known", [True, False])
def test_the_phone_layer_trains_and_is_resumed(
    configure: Configure, tone_sets: Path, known: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when nobody knows how the words of a batch sound."""
    words = tone_sets / f"words-{known}.jsonl"
    words.write_text('{"audio": "train0.wav", "text": "cab"}\n')
    if not known:
        monkeypatch.setattr("rillet.models.batches.phones_of", lambda text: None)
    changes = (("train.jsonl", words.name), ("lstm_layers = 1", "lstm_layers = 2\nphone_layer = 1"))
    through, broken = (
        change(configure(name, steps, 2, extra="phone_loss = 1.0"), *changes)
        for name, steps in (("through", 4), ("broken", 2))
    )
    train(through)
    train(broken)
    before = everything_in(run_folder(broken) / "last.safetensors")["network.phone_guess.head.weight"]
    train(change(broken, ("steps = 2", "steps = 4")))
    ends = [everything_in(run_folder(config) / "last.safetensors") for config in (through, broken)]
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])
    assert not torch.equal(before, ends[1]["network.phone_guess.head.weight"])
    assert ends[0]["network.phone_guess.back.weight"].any()  # the layer above has begun to listen

    first = change(configure("first", 1, 1, extra="phone_loss = 1.0"), *changes)
    train(first)  # while nobody listens to the guess, only CTC on phones moves its head
    optimiser = "extra.optimiser.network.phone_guess.head.weight"
    moments = everything_in(run_folder(first) / "last.safetensors")[f"{optimiser}.exp_avg"]
    assert bool(moments.any()) == known  # an unknown word is not silence


def test_what_competes_with_the_phones_counts(configure: Configure, tone_sets: Path) -> None:
    words, text = tone_sets / "competing.jsonl", tone_sets / "phones.txt"
    words.write_text('{"audio": "train0.wav", "text": "cab"}\n')
    text.write_text("cab bad\nA CAB\nx7\n")
    changes = (("train.jsonl", words.name), ("lstm_layers = 1", "lstm_layers = 2\nphone_layer = 1"))
    heads = []
    for name, weight in (("without", 0.0), ("with", 0.8)):
        extra = f'phone_loss = 1.0\ndenominator = {weight}\nphone_text = "phones.txt"'
        config = change(configure(name, 2, 2, extra=extra), *changes)
        train(config)
        heads.append(everything_in(run_folder(config) / "last.safetensors")["network.phone_head.weight"])
    assert heads[1].isfinite().all()
    assert not torch.equal(heads[0], heads[1])
    text.unlink()
    with pytest.raises(TrainingError, match=r"phones.txt cannot be read as text"):
        train(change(config, ("steps = 2", "steps = 3")))


@pytest.mark.parametrize(("text", "learns"), [("", True), ("cab", False)])
def test_silence_has_no_phones_and_an_unknown_word_may_have_some(
    configure: Configure, tone_sets: Path, text: str, learns: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    quiet = tone_sets / f"quiet-{learns}.jsonl"
    quiet.write_text(f'{{"audio": "train0.wav", "text": "{text}"}}\n')
    monkeypatch.setattr("rillet.models.batches.phones_of", lambda text: [] if not text else None)
    changes = (("train.jsonl", quiet.name), ("lstm_layers = 1", "lstm_layers = 2\nphone_layer = 1"))
    config = change(configure(f"quiet{learns}", 1, 1, extra="phone_loss = 1.0"), *changes)
    train(config)
    moments = everything_in(run_folder(config) / "last.safetensors")
    assert bool(moments["extra.optimiser.network.phone_head.bias.exp_avg"].any()) == learns


def test_a_processor_without_bfloat16_is_told(configure: Configure, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "cpu_has_bfloat16", lambda: False)
    with pytest.raises(TrainingError, match="no bfloat16"):
        train(configure("half", extra='precision = "bfloat16"'))


def test_init_that_is_not_there(configure: Configure) -> None:
    with pytest.raises(CheckpointError, match="there is no checkpoint"):
        train(configure("none"), init=Path("nowhere.safetensors"))


def test_nothing_to_train_or_validate_on(configure: Configure, tone_sets: Path) -> None:
    unusable = tone_sets / "unusable.jsonl"
    unusable.write_text('{"audio": "train0.wav", "text": "not spelled"}\n')
    with pytest.raises(TrainingError, match="none of the training utterances"):
        train(change(configure("a"), ("train.jsonl", "unusable.jsonl")))
    with pytest.raises(TrainingError, match=r"unusable.jsonl can be used for validation"):
        train(change(configure("b"), ("dev.jsonl", "unusable.jsonl")))
    with pytest.raises(ManifestError, match=r"absent.jsonl does not exist"):
        train(change(configure("c"), ("dev.jsonl", "absent.jsonl")))
    with pytest.raises(TrainingError, match="an epoch has 0 batches"):
        train(change(configure("d"), ("batch_s = 8.0", "batch_s = 8.0\nlongest_s = 0.1")))


def test_background_that_cannot_be_read(configure: Configure, tone_sets: Path) -> None:
    (tone_sets / "noise.jsonl").write_text('{"audio": "noise.jsonl", "text": ""}\n')
    with pytest.raises(ManifestError, match=r"noise.jsonl of .*noise.jsonl cannot be read"):
        train(configure("noise", extra='noise = "noise.jsonl"'))


def test_background_and_rooms_are_heard(configure: Configure, tone_sets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tone_sets / "background.jsonl").write_text('{"audio": "train0.wav", "text": ""}\n')
    seen: list[tuple[int, int, int]] = []

    class Heard(Augment):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            seen.append((len(self.noises), len(self.rooms), self.sample_rate_hz))

    monkeypatch.setattr(training, "Augment", Heard)
    train(configure("rooms", 1, 1, extra='noise = "background.jsonl"\nrooms = "background.jsonl"'))
    assert seen == [(1, 1, 16_000)]


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("steps = 8", "stepz = 8", "stepz: there is no such setting"),
        ("steps = 8", "steps = 0", "steps: Input should be greater than 0"),
        ("steps = 8", 'steps = "many"', "steps: Input should be a valid integer"),
        ("steps = 8", "steps = = 8", "is not TOML"),
        ("threads = 1", 'precision = "half"', "precision: Input should be 'float32' or 'bfloat16'"),
        ("[{manifest = ", "[{manifst = ", "train.0.manifst: there is no such setting"),
        ('validation = ["dev.jsonl"]', "validation = []", "validation: Tuple should have at least 1 item"),
        ("average = 0.9", "average = 1.5", "average: Input should be less than or equal to 1"),
        ("lstm_size = 32", "lstm_size = 0", "network: Value error, channels, strides, size and layers"),
        ("lstm_size = 32", "lstm_sise = 32", "network.lstm_sise: there is no such setting"),
        ("[network]", "[network]\nmfcc = {mels = 10}", "network.mfcc: Value error, coefficients must be"),
        ("batch_s = 8.0", "batch_s = -8.0", "batches: Value error, batch_s"),
        ("speed_chance = 0.0", "speed = [1.2, 0.8]", "augment: Value error, speed must be"),
        ("threads = 1", "phone_loss = 0.5", "settings: Value error, phone_loss needs a phone_layer"),
        ("threads = 1", "denominator = 0.5", "settings: Value error, denominator needs phone_loss and a phone_text"),
        ("lstm_size = 32", "phone_layer = 2", "network: Value error, phone_layer must be 0, or a layer up to 1"),
    ],
)
def test_a_bad_configuration_is_one_sentence(configure: Configure, old: str, new: str, reason: str) -> None:
    config = change(configure("bad"), (old, new))
    with pytest.raises(ConfigError) as error:
        read_config(config)  # the first thing that train does
    assert str(error.value).startswith(str(config))
    assert reason in str(error.value)
    assert "\n" not in str(error.value)


def test_a_configuration_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none.toml cannot be read: No such file"):
        train(tmp_path / "none.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="is not TOML"):
        train(tmp_path / "binary.toml")


def test_paths_are_relative_to_the_configuration(configure: Configure, tone_sets: Path) -> None:
    config = read_config(configure("x"))
    assert config.train[0].manifest == tone_sets / "train.jsonl"
    assert (config.cache, config.noise) == (tone_sets / "cache", None)


def test_schedule() -> None:
    config = TrainConfig(Path(), (), (), Path(), steps=100, warm_up_steps=10, cool_down_steps=20)
    share = [training._schedule(step, config) for step in range(101)]
    assert share[0] == pytest.approx(0.1)
    assert share[9:81] == [1.0] * 72
    assert share[90] == pytest.approx(0.5)
    assert share[100] == 0.0
    flat = dataclasses.replace(config, warm_up_steps=0, cool_down_steps=0)
    assert [training._schedule(step, flat) for step in (0, 99)] == [1.0, 1.0]


def test_some_utterances_begin_where_others_ended() -> None:
    network = AcousticNetwork(NetworkConfig(convolution_channels=4, lstm_size=4, lstm_layers=1))
    carried = torch.randn(3, network.state_size)
    states = training._starting_states(carried, 400, network, 0.3)
    fresh = (states == 0).all(dim=1)
    assert 0.6 < fresh.float().mean() < 0.8
    assert all(any(torch.equal(row, old) for old in carried) for row in states[~fresh])
    assert not training._starting_states(carried, 9, network, 0.0).any()


def test_seeds_are_the_same_everywhere_and_all_different() -> None:
    assert training._seed(1, 2, 0) == 7_764_949_442_709_860_949
    assert len({training._seed(a, b, c) for a in range(3) for b in range(50) for c in range(4)}) == 600


def test_greedy_merges_and_drops_blanks() -> None:
    a, b, space = (ENGLISH_CHARACTERS.strings.index(s) for s in "ab ")
    assert greedy([0, a, a, 0, a, b, b, space, space, 0, space, b, 0, space], ENGLISH_CHARACTERS) == "aab b"
    assert greedy([], ENGLISH_CHARACTERS) == ""


def test_checkpoints_that_are_none(tmp_path: Path, tone_checkpoint: Path) -> None:
    cut, other = tmp_path / "cut.safetensors", tmp_path / "other.safetensors"
    cut.write_bytes(tone_checkpoint.read_bytes()[:-100])
    other.write_text("{}")
    for path in (cut, other):
        with pytest.raises(CheckpointError, match="not a checkpoint that rillet train wrote, or it is damaged"):
            load_checkpoint(path)
    good = load_checkpoint(tone_checkpoint)
    save_checkpoint(other, dataclasses.replace(good.network, lstm_size=8), good.weights, {})
    with pytest.raises(CheckpointError, match="do not fit"):
        load_checkpoint(other).load_network()


def test_no_checkpoint_is_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tone_checkpoint: Path) -> None:
    good, path = load_checkpoint(tone_checkpoint), tmp_path / "last.safetensors"
    save_checkpoint(path, good.network, good.weights, {"step": 1})

    def full_disk(*_: object) -> None:
        path.with_suffix(".partial").write_bytes(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr("rillet.models.checkpoint.save_file", full_disk)
    with pytest.raises(OSError, match="no space"):
        save_checkpoint(path, good.network, good.weights, {"step": 2})
    assert load_checkpoint(path).progress == {"step": 1}


@pytest.mark.slow
def test_two_processes_train_one_network(configure: Configure) -> None:
    """On gloo: both see the same data only once, and rank 0 writes a checkpoint that one process can go on from."""
    config = configure("two", 6, 3)
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [*command, "-m", "rillet.pipeline.cli", "train", str(config)],
        capture_output=True, text=True, timeout=1_800, check=False, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("from step 0 to 6") == 1
    last = load_checkpoint(run_folder(config) / "last.safetensors")
    assert (last.progress["step"], last.progress["batch"] % 2) == (6, 0)
    train(configure("two", 8, 4))
    assert load_checkpoint(run_folder(config) / "last.safetensors").progress["step"] == 8
