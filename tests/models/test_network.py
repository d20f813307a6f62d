"""The acoustic network keeps contracts 1 and 3: pieces, rows and the state."""

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rillet.features import MfccConfig
from rillet.models.network import AcousticNetwork, NetworkConfig
from torch import Tensor
from torch.nn import functional as F

SMALL = NetworkConfig(convolution_channels=24, lstm_size=32, lstm_layers=2, look_ahead_frames=3)
UNIT = SMALL.samples_per_frame
FRAMES = 40


def network(config: NetworkConfig = SMALL) -> AcousticNetwork:
    torch.manual_seed(0)
    made = AcousticNetwork(config).eval()
    made.mean += torch.randn(config.mfcc.coefficients)
    made.deviation *= 3
    for parameter in made.parameters():
        parameter.data *= 1.5  # less shy than at the beginning of a training
    return made


def audio(rows: int = 1, frames: int = FRAMES) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    swell = torch.sin(torch.arange(frames * UNIT) / 3_000.0) ** 2
    return 0.2 * swell * torch.randn(rows, frames * UNIT, generator=generator)


@torch.inference_mode()
def step(net: AcousticNetwork, samples: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
    log_probs, state = net(samples, net.initial_state(len(samples)) if state is None else state)
    return log_probs, state


@settings(deadline=None, max_examples=60)
@given(
    cuts=st.lists(st.integers(1, FRAMES - 1), unique=True, max_size=10),
    strides=st.sampled_from([(2, 2), (4,), (1, 2, 1)]),
)
def test_any_chunking_gives_the_same(cuts: list[int], strides: tuple[int, ...]) -> None:
    """Contract 3: 1e-4 of log-probabilities. 1e-5 is what is found."""
    net = network(replace(SMALL, convolution_strides=strides))
    unit = net.config.samples_per_frame
    samples = audio()[:, : FRAMES * unit]
    cuts = [0, *sorted(c for c in cuts if c * unit < samples.shape[1]), samples.shape[1] // unit]
    whole, last = step(net, samples)
    pieces, state = list[Tensor](), None
    for start, end in pairwise(cuts):
        piece, state = step(net, samples[:, start * unit : end * unit], state)
        pieces.append(piece)
    assert state is not None
    assert (torch.cat(pieces, dim=1) - whole).abs().max() < 3e-5
    assert (state - last).abs().max() < 3e-5


def test_rows_of_a_batch_are_streams_of_their_own() -> None:
    net, samples = network(), audio(4)
    states = torch.stack([step(net, audio(4, 9))[1][i] if i else net.initial_state(1)[0] for i in range(4)])
    together, nexts = step(net, samples, states)
    for row in range(4):
        alone, state = step(net, samples[row : row + 1], states[row : row + 1])
        assert (alone[0] - together[row]).abs().max() < 3e-5
        assert (state[0] - nexts[row]).abs().max() < 3e-5


def test_shapes_and_sizes() -> None:
    net = network()
    log_probs, state = step(net, audio(2, 7))
    assert log_probs.shape == (2, 7, 29)
    assert torch.allclose(log_probs.exp().sum(-1), torch.ones(2, 7), atol=1e-5)
    tail, first, second = 320, 3 * 40, 3 * 24
    assert net.state_size == tail + first + second + 2 * 2 * 32
    assert state.shape == net.initial_state(2).shape == (2, net.state_size)
    assert (log_probs.dtype, state.dtype) == (torch.float32, torch.float32)
    assert (UNIT, SMALL.frame_s) == (640, 0.04)


def test_the_whole_state_matters_and_all_of_it_is_carried() -> None:
    """Each piece of the state changes what comes next, and none is left as it was."""
    net = network()
    _, state = step(net, audio())
    following = audio(1, 6)
    expected, after = step(net, following, state)
    for number, piece in enumerate(torch.split(state, net.state_sizes, dim=1)):
        pieces = list(torch.split(state, net.state_sizes, dim=1))
        pieces[number] = piece + 0.1
        assert not torch.allclose(step(net, following, torch.cat(pieces, dim=1))[0], expected, atol=1e-4)
    for old, new in zip(*(torch.split(s, net.state_sizes, dim=1) for s in (state, after)), strict=True):
        assert not torch.allclose(old, new)


def test_a_row_knows_its_own_frame_and_nothing_later() -> None:
    """Causal to the frame: so row i can describe the audio of frame i - look_ahead with so many frames behind it."""
    net, samples = network(), audio()
    before, _ = step(net, samples)
    changed = samples.clone()
    changed[0, 20 * UNIT : 21 * UNIT] += 0.3 * torch.randn(UNIT)
    after, _ = step(net, changed)
    moved = (after - before).abs().amax(dim=(0, 2)) > 1e-4
    assert moved.nonzero()[0].item() == 20


def test_training_carries_gradients_to_every_weight() -> None:
    net = network().train()
    log_probs, _ = net(audio(2), net.initial_state(2))
    log_probs[:, SMALL.look_ahead_frames :, 3].sum().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_empty_targets_have_a_finite_loss_that_wants_blanks() -> None:
    net = network()
    log_probs, _ = net(audio(3), net.initial_state(3))
    frames, lengths = torch.full((3,), FRAMES), torch.tensor([0, 2, 0])
    loss = F.ctc_loss(log_probs.transpose(0, 1), torch.tensor([4, 4]), frames, lengths, reduction="none")
    assert torch.isfinite(loss).all()
    assert loss[0].item() == pytest.approx(-log_probs[0, :, 0].sum().item(), rel=1e-5)
    loss.sum().backward()  # type: ignore[no-untyped-call]
    assert all(torch.isfinite(p.grad).all() for p in net.parameters() if p.grad is not None)


def test_silence_from_the_start_is_finite() -> None:
    log_probs, state = step(network(), torch.zeros(1, 100 * UNIT))
    assert torch.isfinite(log_probs).all()
    assert torch.isfinite(state).all()


def test_half_precision_carries_its_state_in_float32() -> None:
    net = network()
    with torch.autocast("cpu", torch.bfloat16):
        log_probs, state = step(net, audio())
    assert (log_probs.dtype, state.dtype) == (torch.float32, torch.float32)
    assert (log_probs - step(net, audio())[0]).abs().max() < 0.2


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"tokens": ("a", "b")}, "blank"), ({"lstm_size": 0}, "at least 1"),
        ({"convolution_strides": ()}, "at least 1"),
        ({"convolution_kernel": 1}, "as large as the strides"), ({"look_ahead_frames": -1}, "at least 0"),
        ({"dropout": 1.0}, "dropout"), ({"lstm_layers": 0}, "at least 1"),
    ],
)  # fmt: skip
def test_sizes_that_make_no_network(wrong: dict[str, object], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        NetworkConfig(**wrong)  # type: ignore[arg-type]


def test_kernel_equal_to_stride_needs_no_context() -> None:
    net = network(replace(SMALL, convolution_kernel=2, mfcc=MfccConfig(mels=30, coefficients=13)))
    whole, _ = step(net, audio())
    first, state = step(net, audio()[:, : 10 * UNIT])
    second, _ = step(net, audio()[:, 10 * UNIT :], state)
    assert (torch.cat([first, second], dim=1) - whole).abs().max() < 3e-5
