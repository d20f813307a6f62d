"""`rillet train`: from a configuration to a network. Read from top to bottom.

CTC (Graves et al. 2006) on augmented speech, beside it phones and a teacher's features where the configuration says so;
AdamW, a running mean of the weights, validation by word error rate.
One process on a CPU or a GPU; started by torchrun, one process a GPU.
"""

import math
import os
import time
from collections.abc import Iterator
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader
from torch.utils.tensorboard import SummaryWriter

from ..features import Augment, spec_augment, warp_spectrum
from .audio_pack import AudioPack, load_samples, open_pack
from .batches import Batch, BatchConfig, EpochBatches
from .checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from .config import TrainConfig, read_config
from .denominator import LogDenominator, phone_trigram
from .error_rate import character_errors, word_errors
from .from_onnx import read_onnx
from .manifest import ManifestError, read_manifest
from .network import AcousticNetwork, cpu_has_bfloat16
from .phones import PHONES, phones_of
from .splices import Splices, word_cuts
from .teacher import Features, TeacherHead, teach
from .tokens import Tokens

MOST_SKIPPED_STEPS = 100  # in a row; weights that no batch can improve will not heal
LONGEST_WAIT = timedelta(days=1)  # of the other processes, while the first decodes audio or validates


class TrainingError(RuntimeError):
    """There is nothing to train on, or training has gone wrong for good."""


class TrainableNetwork(nn.Module):
    """The network with what only training has: masks on the MFCC's logarithm, guesses of a teacher's features."""

    def __init__(self, network: AcousticNetwork, config: TrainConfig, taught: list[Features] | None) -> None:
        super().__init__()
        self.network, self.config = network, config
        self.teacher_head = TeacherHead(config.network.lstm_size, taught) if taught else None

    def forward(self, audio: Tensor, state: Tensor) -> tuple[Tensor, list[Tensor], Tensor | None, Tensor]:
        """Log-probabilities of tokens and of phones, guesses of features, and the next state."""
        pieces, mfcc = torch.split(state, self.network.state_sizes, dim=1), self.config.network.mfcc
        with torch.no_grad():
            log_mel, tail = self.network.mfcc.log_mel(audio, pieces[0])
            log_mel = warp_spectrum(log_mel, self.config.augment)
            log_mel = spec_augment(log_mel, self.config.augment, mfcc.sample_rate_hz / mfcc.hop_samples)
        heard = self.network.recognise(log_mel, list(pieces[1:]))
        guess = self.teacher_head(heard.layers[self.config.teacher_layer - 1]) if self.teacher_head else None
        return heard.log_probs, heard.phones, guess, torch.cat([tail, *heard.pieces], dim=1)


def train(config_path: Path, init: Path | None = None) -> Path:
    """Run, or go on with, the training that a TOML file describes; returns the best checkpoint.

    Beside `best.safetensors`, `end.safetensors` has the running mean of the weights after the last step.

    Args:
        config_path: see `TrainConfig`. A run that has a `last.safetensors` goes on from there, to the step.
        init: a checkpoint or exported model whose weights a new run begins with; going on, it is not read.

    Raises:
        ConfigError, ManifestError, CheckpointError, TrainingError: with a sentence that says what to do.
    """
    config = read_config(config_path)
    rank, ranks, device = _start_process(config)
    if config.precision == "bfloat16" and device.type == "cpu" and not cpu_has_bfloat16():
        raise TrainingError('this processor has no bfloat16 that torch could use; set precision = "float32"')
    tokens, look_ahead = Tokens(config.network.tokens), config.network.look_ahead_frames
    say = _Reporter(config.run) if rank == 0 else None

    # Data: every rank opens the same packs; rank 0 decodes, asks the teacher and aligns, what is not on disk yet.
    if rank == 0:
        packs = [_open(config, source.manifest, say) for source in config.train]
        validation = [_open(config, path, say) for path in config.validation]
        taught, splices = _teach(config, packs), _splices(config, packs)
    if ranks > 1:
        dist.barrier()
    if rank != 0:
        packs = [_open(config, source.manifest, None) for source in config.train]
        validation = []  # rank 0 does it alone
        taught, splices = _teach(config, packs), _splices(config, packs)
    if not any(pack.clips for pack in packs):
        raise TrainingError("none of the training utterances can be used; the reasons are listed above")
    for path, pack in zip(config.validation, validation, strict=False):
        if not pack.clips:
            raise TrainingError(f"no utterance of {path} can be used for validation; the reasons are listed above")
    rate_hz = config.network.mfcc.sample_rate_hz
    trigram = _trigram(config.phone_text).to(device) if config.denominator and config.phone_text else None
    augment = Augment(config.augment, _recordings(config.noise, rate_hz), _recordings(config.rooms, rate_hz), rate_hz)

    # Network: from the last checkpoint, from another's weights, or from nothing but the data's mean and variance.
    last, best = config.run / "last.safetensors", config.run / "best.safetensors"
    torch.manual_seed(config.seed)
    network = AcousticNetwork(config.network)
    checkpoint = load_checkpoint(last) if last.exists() else _beginning(init)
    if checkpoint is None:
        network.mean, network.deviation = _statistics(network, packs, config.seed)
    else:
        _take_weights(network, checkpoint, whole=last.exists(), say=say)
    trainable = TrainableNetwork(network, config, taught).to(device)
    forward: nn.Module = trainable
    if ranks > 1:
        devices = [device.index] if device.type == "cuda" else None
        forward = DistributedDataParallel(trainable, devices, broadcast_buffers=False)  # no buffer ever changes
    average = {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}
    optimiser = torch.optim.AdamW(
        trainable.parameters(), config.learning_rate, betas=(0.9, 0.98), weight_decay=config.weight_decay, fused=True
    )
    carried = network.initial_state(1)
    # Epoch 0 goes from short to long, which is for networks that know nothing.
    epoch = 0 if checkpoint is None else 1
    progress: dict[str, Any] = {"step": 0, "epoch": epoch, "batch": 0, "hours": 0.0, "skipped": 0, "best_wer": math.inf}
    if checkpoint is not None and last.exists():
        progress |= checkpoint.progress
        average = {name: checkpoint.extra[f"average.{name}"].to(device) for name in average}
        carried = checkpoint.extra["carried"].to(device)
        _restore(optimiser, trainable, checkpoint)
    if say:
        parameters = sum(p.numel() for p in network.parameters())
        if init and last.exists():
            say(f"{last} goes on; {init} is not used, for that name another run folder")
        say(f"{parameters:,} parameters, from step {progress['step']} to {config.steps}")

    started, heard_s, losses, skipped_in_a_row = time.monotonic(), 0.0, list[float](), 0
    network.train()
    for batch in _batches(config, packs, augment, progress, rank, ranks, tokens, taught, splices):
        if progress["step"] >= config.steps:
            break
        step = progress["step"]
        torch.manual_seed(_seed(config.seed, step, rank))  # masks and dropout depend on the step alone
        for group in optimiser.param_groups:
            group["lr"] = config.learning_rate * _schedule(step, config)

        # One step: log-probabilities behind the look-ahead, CTC loss per token, gradients, weights.
        state = _starting_states(carried, len(batch.audio), network, config.carry_state_chance)
        with torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bfloat16"):
            log_probs, phones, guess, next_state = forward(batch.audio.to(device), state)
        loss = _ctc(log_probs[:, look_ahead:], batch.targets, batch.frames, batch.target_lengths)
        said = (batch.phone_lengths > 0) | (batch.target_lengths == 0)  # words of unknown pronunciation are no silence
        for told in phones:
            second = _ctc(told[said, look_ahead:], batch.phones, batch.frames[said], batch.phone_lengths[said])
            loss = loss + config.phone_loss * second
        if trigram is not None and said.any():
            others = LogDenominator.apply(phones[-1][said, look_ahead:], batch.frames[said].to(device), trigram)
            per_phone = others.sum() / batch.phone_lengths.sum().clamp(min=1)
            loss = loss + config.phone_loss * config.denominator * per_phone
        if trainable.teacher_head and guess is not None:
            error = trainable.teacher_head.loss(guess[:, look_ahead:], batch.features.to(device))
            loss = loss + config.teacher_loss * error
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(trainable.parameters(), config.clip_norm)
        if torch.isfinite(norm):  # the same on every rank, and never so where the loss is not a number
            optimiser.step()
            skipped_in_a_row = 0
            _move_average(average, network, min(config.average, (1 + step) / (10 + step)))
            carried = next_state.detach()
            losses.append(loss.item())
        else:
            progress["skipped"] += 1
            skipped_in_a_row += 1
            if say:
                say(f"step {step}: skipped, the loss or its gradient is not finite ({progress['skipped']} so far)")
            if skipped_in_a_row == MOST_SKIPPED_STEPS:
                raise TrainingError(
                    f"the last {MOST_SKIPPED_STEPS} steps gave no finite gradient; go on from the last checkpoint with "
                    "a lower learning_rate"
                )
        heard_s += batch.speech_s * ranks
        progress["step"] += 1
        progress["hours"] += batch.speech_s * ranks / 3600

        if say and progress["step"] % config.log_every_steps == 0 and losses:
            per_step_s = (time.monotonic() - started) / config.log_every_steps
            rate = optimiser.param_groups[0]["lr"]
            say.step(progress, sum(losses) / len(losses), float(norm), rate, heard_s, per_step_s, config)
            started, heard_s, losses = time.monotonic(), 0.0, []
        if progress["step"] % config.validate_every_steps == 0 or progress["step"] == config.steps:
            if say:
                paused = time.monotonic()
                rates = {
                    path.stem: _validate(config, average, pack, device, tokens)
                    for path, pack in zip(config.validation, validation, strict=True)
                }
                wer = sum(wer for wer, _ in rates.values()) / len(rates)
                say.validation(progress, rates)
                if wer < progress["best_wer"]:
                    progress["best_wer"] = wer
                    save_checkpoint(best, config.network, average, progress | {"validation": rates})
                extra = {f"average.{name}": tensor for name, tensor in average.items()} | {"carried": carried}
                extra |= _training_tensors(optimiser, trainable)
                save_checkpoint(last, config.network, network.state_dict(), progress, extra)
                if progress["step"] == config.steps:
                    save_checkpoint(config.run / "end.safetensors", config.network, average, progress)
                started += time.monotonic() - paused
            if ranks > 1:
                dist.barrier()
            network.train()
    if ranks > 1:
        dist.destroy_process_group()
    return best


def _ctc(log_probs: Tensor, targets: Tensor, frames: Tensor, target_lengths: Tensor) -> Tensor:
    """CTC loss per target of log-probabilities [batch, frames, targets]; zero for a batch without rows."""
    if not len(log_probs):
        return log_probs.sum()  # which still has a gradient: other processes wait for one
    device = log_probs.device
    targets, frames, lengths = targets.to(device), frames.to(device), target_lengths.to(device)
    loss = F.ctc_loss(log_probs.transpose(0, 1), targets, frames, lengths, reduction="sum", zero_infinity=True)
    return loss / lengths.sum().clamp(min=1)


def _trigram(text: Path) -> Tensor:
    """See `phone_trigram`; of the sentences that can be pronounced."""
    try:
        sentences = (phones_of(line.lower()) for line in text.read_text().splitlines())
    except (OSError, UnicodeDecodeError) as error:
        raise TrainingError(f"{text} cannot be read as text: {error}") from error
    return phone_trigram((phones for phones in sentences if phones), len(PHONES))


def _start_process(config: TrainConfig) -> tuple[int, int, torch.device]:
    """Rank, number of ranks, device."""
    rank, ranks = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    if torch.cuda.is_available():
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
        torch.cuda.set_device(device)
    else:
        device = torch.device("cpu")
        if config.threads:
            torch.set_num_threads(config.threads)
    if ranks > 1:
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=LONGEST_WAIT)
    return rank, ranks, device


def _seed(*numbers: int) -> int:
    """One seed from several numbers, the same on every machine."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)


def _open(config: TrainConfig, manifest: Path, say: "_Reporter | None") -> AudioPack:
    network = config.network
    pack = open_pack(
        manifest,
        config.cache,
        Tokens(network.tokens),
        network.samples_per_frame,
        network.mfcc.sample_rate_hz,
        say or (lambda _: None),
    )
    if say:
        say(f"{manifest.name}: {len(pack.clips)} utterances, {pack.hours:.2f} h, {len(pack.refused)} refused")
        for reason in pack.refused[:10]:
            say(f"  refused {reason}")
        if len(pack.refused) > 10:
            say(f"  and {len(pack.refused) - 10} more")
    return pack


def _teach(config: TrainConfig, packs: list[AudioPack]) -> list[Features] | None:
    """What the teacher says to the clips of each pack."""
    if not (config.teacher and config.teacher_loss):
        return None
    return [teach(pack, config.teacher, config.network.samples_per_frame) for pack in packs]


def _splices(config: TrainConfig, packs: list[AudioPack]) -> Splices | None:
    """What cuts the clips of all packs between words."""
    if not (config.aligner and config.splice_chance):
        return None
    aligner = _beginning(config.aligner)
    assert aligner is not None
    cuts = [word_cuts(pack, aligner, config.aligner) for pack in packs]
    return Splices(packs, cuts, Tokens(config.network.tokens).strings.index(" "), config.splice_chance)


def _recordings(manifest: Path | None, sample_rate_hz: int) -> list[NDArray[np.float32]]:
    """The audio of a manifest, each float32 [samples]."""
    recordings = []
    for utterance in read_manifest(manifest) if manifest else []:
        try:
            recordings.append(load_samples(utterance, sample_rate_hz))
        except Exception as error:  # whatever a decoder raises
            raise ManifestError(f"{utterance.audio} of {manifest} cannot be read: {error!r}") from error
    return recordings


def _statistics(network: AcousticNetwork, packs: list[AudioPack], seed: int) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of the cepstra over some hundred clips, each float32 [coefficients]."""
    rng = np.random.default_rng(seed)
    clips = [(pack, clip) for pack in packs for clip in pack.clips]
    frames = []
    for number in rng.choice(len(clips), min(300, len(clips)), replace=False):
        pack, clip = clips[number]
        samples = torch.from_numpy(pack.samples(clip))
        whole = len(samples) // network.config.mfcc.hop_samples * network.config.mfcc.hop_samples
        frames.append(network.mfcc(samples[None, :whole])[0][0])
    cepstra = torch.cat(frames)
    return cepstra.mean(0), cepstra.std(0, correction=min(1, len(cepstra) - 1)).clamp(min=1e-3)


def _beginning(init: Path | None) -> Checkpoint | None:
    if init is None:
        return None
    return read_onnx(init) if init.suffix == ".onnx" else load_checkpoint(init)


def _take_weights(network: AcousticNetwork, checkpoint: Checkpoint, whole: bool, say: "_Reporter | None") -> None:
    """All weights to resume with; to begin a new run with, those that fit, so that a network can grow by layers."""
    if whole and asdict(checkpoint.network) != asdict(network.config):
        raise TrainingError(
            "last.safetensors in the run folder has another [network] than the configuration; "
            "take its sizes, or another run folder with --init"
        )
    own = network.state_dict()
    fitting = {n: w for n, w in checkpoint.weights.items() if n in own and own[n].shape == w.shape}
    if whole and len(fitting) < len(own):
        raise TrainingError(
            "last.safetensors in the run folder was written by another version of rillet; "
            "take another run folder with --init"
        )
    if not any(name.startswith("lstms.") for name in fitting):
        raise TrainingError("no LSTM layer of the checkpoint fits the [network] of the configuration")
    network.load_state_dict(fitting, strict=False)
    if say and len(fitting) < len(own):
        say(f"begun afresh: {', '.join(sorted(own.keys() - fitting.keys()))}")


def _batches(
    config: TrainConfig,
    packs: list[AudioPack],
    augment: Augment,
    progress: dict[str, Any],
    rank: int,
    ranks: int,
    tokens: Tokens,
    taught: list[Features] | None,
    splices: Splices | None,
) -> Iterator[Batch]:
    """Batches without end, from where `progress` stands, which is moved on; each rank takes every `ranks`-th."""
    empty_epochs = 0
    while True:
        epoch = EpochBatches(
            packs,
            [source.weight for source in config.train],
            config.batches,
            augment,
            config.network.samples_per_frame,
            config.network.look_ahead_frames,
            tokens.strings.index(" "),
            config.seed,
            progress["epoch"],
            config.network.mfcc.sample_rate_hz,
            tokens if config.phone_loss else None,
            taught,
            splices,
        )
        empty_epochs = empty_epochs + 1 if len(epoch) < ranks else 0
        if empty_epochs == 10:  # a fraction as weight may leave one epoch empty
            raise TrainingError(
                f"an epoch has {len(epoch)} batches for {ranks} processes; add speech, or raise longest_s or the "
                "weights, or lower batch_s"
            )
        numbers = range(progress["batch"] + rank, len(epoch) - len(epoch) % ranks, ranks)
        loader = DataLoader(
            epoch,
            batch_size=None,
            sampler=numbers,
            multiprocessing_context="fork" if config.workers else None,  # audio and noise are not copied
            num_workers=config.workers,
            prefetch_factor=4 if config.workers else None,
        )
        for batch in loader:
            progress["batch"] += ranks
            yield batch
        progress["epoch"] += 1
        progress["batch"] = 0


def _schedule(step: int, config: TrainConfig) -> float:
    """Share of the learning rate: up, constant, down to zero. The constant middle lets a run be made longer later."""
    up = (step + 1) / max(1, config.warm_up_steps)
    down = (config.steps - step) / max(1, config.cool_down_steps)
    return max(0.0, min(1.0, up, down))


def _starting_states(carried: Tensor, batch: int, network: AcousticNetwork, chance: float) -> Tensor:
    """float32 [batch, state_size]: zeros, or for some rows the state in which an utterance of the last batch ended."""
    rows = carried[torch.randint(len(carried), (batch,))]
    keep = (torch.rand(batch, 1) < chance).to(rows)
    return rows * keep


def _move_average(average: dict[str, Tensor], network: AcousticNetwork, decay: float) -> None:
    for name, tensor in network.state_dict().items():
        average[name].lerp_(tensor, 1.0 - decay)


def _validate(
    config: TrainConfig, weights: dict[str, Tensor], pack: AudioPack, device: torch.device, tokens: Tokens
) -> tuple[float, float]:
    """Word and character error rate of the averaged network, greedy, whole utterances."""
    network = AcousticNetwork(config.network).to(device).eval()
    network.load_state_dict(weights)
    said, heard = [], []
    batches = EpochBatches(
        [pack],
        [1.0],
        BatchConfig(batch_s=120.0, longest_s=math.inf, join_below_s=0.0),
        None,
        config.network.samples_per_frame,
        config.network.look_ahead_frames,
        tokens.strings.index(" "),
        0,
        0,
        config.network.mfcc.sample_rate_hz,
    )
    with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bfloat16"):
        for batch in (batches[i] for i in range(len(batches))):
            audio = batch.audio.to(device)
            log_probs, _ = network(audio, network.initial_state(len(audio)))
            best = log_probs[:, config.network.look_ahead_frames :, : len(tokens.strings)].argmax(-1).cpu()
            heard += [greedy(row[:n].tolist(), tokens) for row, n in zip(best, batch.frames, strict=True)]
            spelled = torch.split(batch.targets, batch.target_lengths.tolist())
            said += [tokens.decode(row.tolist()) for row in spelled]
    return word_errors(said, heard).rate, character_errors(said, heard).rate


def greedy(indices: list[int], tokens: Tokens) -> str:
    """Best-path CTC: repeats merged, blanks dropped, words separated by single spaces."""
    merged = [b for a, b in zip([0, *indices], indices, strict=False) if b not in (0, a)]
    return " ".join(tokens.decode(merged).split())


def _training_tensors(optimiser: torch.optim.Optimizer, trainable: TrainableNetwork) -> dict[str, Tensor]:
    """AdamW's moments and step counts by the names of the weights, and the head for the teacher's features."""
    moments = {
        f"optimiser.{name}.{key}": value
        for name, parameter in trainable.named_parameters()
        for key, value in optimiser.state[parameter].items()
    }
    return moments | {n: t for n, t in trainable.state_dict().items() if n.startswith("teacher_head.")}


def _restore(optimiser: torch.optim.Optimizer, trainable: TrainableNetwork, checkpoint: Checkpoint) -> None:
    """Put back what `_training_tensors` took."""
    trainable.load_state_dict(
        {n: t for n, t in checkpoint.extra.items() if n.startswith("teacher_head.")}, strict=False
    )
    for name, parameter in trainable.named_parameters():
        prefix = f"optimiser.{name}."
        for key, value in checkpoint.extra.items():
            if key.startswith(prefix):
                moved = value if key.endswith(".step") else value.to(parameter.device)
                optimiser.state[parameter][key[len(prefix) :]] = moved


class _Reporter:
    """Progress for people on standard output, for TensorBoard in the run folder."""

    def __init__(self, run: Path) -> None:
        run.mkdir(parents=True, exist_ok=True)
        self.board = SummaryWriter(run)

    def __call__(self, line: str) -> None:
        print(line, flush=True)

    def step(
        self,
        progress: dict[str, Any],
        loss: float,
        norm: float,
        rate: float,
        heard_s: float,
        per_step_s: float,
        config: TrainConfig,
    ) -> None:
        step = progress["step"]
        times_real_time = heard_s / (per_step_s * config.log_every_steps)
        left_min = (config.steps - step) * per_step_s / 60
        self(
            f"step {step}/{config.steps}  epoch {progress['epoch']}  loss {loss:.3f}  gradient {norm:.2f}  "
            f"rate {rate:.2e}  {progress['hours']:.1f} h heard at {times_real_time:.0f} x real time  "
            f"{left_min:.0f} min left"
        )
        scalars = {"loss": loss, "gradient_norm": norm, "learning_rate": rate, "hours": progress["hours"]}
        for name, value in scalars.items():
            self.board.add_scalar(name, value, step)

    def validation(self, progress: dict[str, Any], rates: dict[str, tuple[float, float]]) -> None:
        for name, (wer, cer) in rates.items():
            self(f"step {progress['step']}  {name}: WER {wer:.1%}  CER {cer:.1%}")
            self.board.add_scalar(f"{name}/wer", wer, progress["step"])
            self.board.add_scalar(f"{name}/cer", cer, progress["step"])
        self.board.flush()
