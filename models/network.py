"""The acoustic network: audio and state in, token log-probabilities and state out.

    samples -> MFCC -> fixed mean and variance -> two strided causal convolutions (10 ms frames to 40 ms frames)
            -> LSTM layers, each with layer normalisation before it and a residual around it -> CTC head
               (behind one of them: which phone is this? The layers above hear the guess, and learn to spell it)
            -> beside the head for tokens one for phones, if the network tells phones: a lexicon makes words of them

Everything is causal. Look-ahead is a delay of the output: the network is trained and flushed with `look_ahead_frames`
of silence after the speech, and what it says about a moment comes out that much later. So a stream and a whole
recording give the same answer, and the only state is the past.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..features import Mfcc, MfccConfig
from .phones import PHONES
from .tokens import ENGLISH_CHARACTERS, Tokens


def cpu_has_bfloat16() -> bool:
    """Whether torch can run an LSTM in bfloat16 on this processor; without AVX-512 it cannot."""
    onednn = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return bool(onednn and torch.ops.mkldnn._is_mkldnn_bf16_supported())


@dataclass(frozen=True)
class NetworkConfig:
    """The sizes of a network; stored in every checkpoint.

    Raises:
        ValueError: sizes that make no network.
    """

    tokens: tuple[str, ...] = ENGLISH_CHARACTERS.strings
    mfcc: MfccConfig = field(default_factory=MfccConfig)
    look_ahead_frames: int = 8  # of log-probabilities; 40 ms each with the default strides
    convolution_channels: int = 256
    convolution_kernel: int = 5
    convolution_strides: tuple[int, ...] = (2, 2)
    lstm_size: int = 512
    lstm_layers: int = 4
    phone_layer: int = 0  # the LSTM layer, from 1, that guesses phones, as the last one then tells them; 0: none does
    dropout: float = 0.1

    def __post_init__(self) -> None:
        Tokens(self.tokens)
        sizes = (self.convolution_channels, self.lstm_size, self.lstm_layers, *self.convolution_strides)
        if min(sizes) < 1 or not self.convolution_strides or self.look_ahead_frames < 0:
            raise ValueError("channels, strides, size and layers must be at least 1, look_ahead_frames at least 0")
        if self.convolution_kernel < max(self.convolution_strides):
            raise ValueError("convolution_kernel must be at least as large as the strides, or samples are skipped")
        if not 0 <= self.phone_layer <= self.lstm_layers:
            raise ValueError(f"phone_layer must be 0, or a layer up to {self.lstm_layers}, the number of LSTM layers")
        if not 0 <= self.dropout < 1:
            raise ValueError("dropout must be from 0 to below 1")

    @property
    def phones(self) -> tuple[str, ...]:
        """Names of the phones that the network tells, if it does."""
        return PHONES if self.phone_layer else ()

    @property
    def columns(self) -> int:
        """Of the log-probabilities: tokens, then a blank of their own and the phones."""
        return len(self.tokens) + (1 + len(self.phones) if self.phones else 0)

    @property
    def samples_per_frame(self) -> int:
        """Samples of audio to a row of log-probabilities."""
        samples = self.mfcc.hop_samples
        for stride in self.convolution_strides:
            samples *= stride
        return samples

    @property
    def frame_s(self) -> float:
        """Seconds of audio to a row of log-probabilities."""
        return self.samples_per_frame / self.mfcc.sample_rate_hz


class CausalConvolution(nn.Module):
    """Convolution over time that sees `kernel - stride` frames of the past, then layer normalisation and SiLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.inputs, self.kernel, self.stride, self.context_frames = inputs, kernel, stride, kernel - stride
        self.linear = nn.Linear(kernel * inputs, outputs)  # on frames side by side: int8 can do it, and nn.Conv1d not
        self.norm = nn.LayerNorm(outputs)

    def forward(self, x: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """One step.

        Args:
            x: float [batch, frames, inputs], frames a multiple of the stride.
            context: [batch, context_frames, inputs], the last frames of the past.

        Returns:
            [batch, frames / stride, outputs], and the next context.
        """
        x = torch.cat([context, x], dim=1)
        last = x.shape[1] - self.kernel + 1
        beside = torch.cat([x[:, i : last + i : self.stride] for i in range(self.kernel)], dim=2)
        return F.silu(self.norm(self.linear(beside))), x[:, x.shape[1] - self.context_frames :]


class ResidualLstm(nn.Module):
    """x + LSTM(norm(x)), with h and c carried by the caller as one [batch, 2 * size] tensor."""

    def __init__(self, size: int, dropout: float) -> None:
        super().__init__()
        self.size = size
        self.norm = nn.LayerNorm(size)
        self.lstm = nn.LSTM(size, size, batch_first=True)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        """One step: x float [batch, frames, size] and memory float32 [batch, 2 * size], to the same of both."""
        h, c = torch.split(memory.to(x.dtype), self.size, dim=1)
        y, (h, c) = self.lstm(self.norm(x), (h.unsqueeze(0).contiguous(), c.unsqueeze(0).contiguous()))
        if self.training:  # one mask for all frames of a row (Gal and Ghahramani 2016), which also costs less
            y = y * self.dropout(y.new_ones(len(y), 1, self.size))
        return x + y, torch.cat([h.squeeze(0), c.squeeze(0)], dim=1)


class PhoneGuess(nn.Module):
    """Which phone a frame is, told to the layers above: self-conditioned CTC (Nozaki and Komatsu 2021)."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.head = nn.Linear(size, 1 + len(PHONES))
        self.back = nn.Linear(1 + len(PHONES), size, bias=False)
        nn.init.zeros_(self.back.weight)  # a network without guesses, and its weights, are a place to begin

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x float [batch, frames, size] to the same shape, and log-probabilities float32 [batch, frames, phones]."""
        phones = F.log_softmax(self.head(x).float(), dim=-1)
        return x + self.back(phones.exp().to(x.dtype)), phones


class Heard(NamedTuple):
    """What a network makes of a step: what users get, and what only training looks at."""

    log_probs: Tensor  # natural, of tokens: float32 [batch, frames, tokens]
    phones: list[Tensor]  # guess and what is told, or none: natural, float32 [batch, frames, 1 + phones], blank first
    layers: list[Tensor]  # behind each LSTM layer: float [batch, frames, size]
    pieces: list[Tensor]  # of the next state, without the MFCC's tail


class AcousticNetwork(nn.Module):
    """Contract 1 of the model file, as a torch module.

    `state_size` is the length of a row of state: the MFCC's tail, each convolution's context, each LSTM's h and c.
    """

    mean: Tensor  # float32 [coefficients], of the training data's cepstra
    deviation: Tensor  # float32 [coefficients], above zero
    state_size: int

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        channels, size = config.convolution_channels, config.lstm_size
        self.mfcc = Mfcc(config.mfcc)
        self.register_buffer("mean", torch.zeros(config.mfcc.coefficients))
        self.register_buffer("deviation", torch.ones(config.mfcc.coefficients))
        widths = [config.mfcc.coefficients, *[channels] * (len(config.convolution_strides) - 1), size]
        convolutions = [
            CausalConvolution(i, o, config.convolution_kernel, stride)
            for i, o, stride in zip(widths[:-1], widths[1:], config.convolution_strides, strict=True)
        ]
        self.convolutions = nn.ModuleList(convolutions)
        self.lstms = nn.ModuleList(ResidualLstm(size, config.dropout) for _ in range(config.lstm_layers))
        self.phone_guess = PhoneGuess(size) if config.phone_layer else None
        self.norm = nn.LayerNorm(size)
        self.head = nn.Linear(size, len(config.tokens))
        self.phone_head = nn.Linear(size, 1 + len(config.phones)) if config.phones else None
        self.state_sizes = [
            config.mfcc.tail_samples,
            *(c.context_frames * c.inputs for c in convolutions),
            *[2 * size] * config.lstm_layers,
        ]
        self.state_size = sum(self.state_sizes)

    def initial_state(self, batch: int) -> Tensor:
        """float32 [batch, state_size]: the start of a stream."""
        return self.mean.new_zeros(batch, self.state_size)

    def forward(self, audio: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """One step of a stream, of any length.

        Args:
            audio: float32 [batch, frames * samples_per_frame], 16 kHz mono, -1..1.
            state: float32 [batch, state_size], zeros at the start, then what the last step returned.

        Returns:
            Natural log-probabilities float32 [batch, frames, config.columns], and the next state. Row `i` of the
            stream describes the audio of frame `i - look_ahead_frames`.
        """
        pieces = torch.split(state, self.state_sizes, dim=1)
        log_mel, tail = self.mfcc.log_mel(audio, pieces[0])
        heard = self.recognise(log_mel, list(pieces[1:]))
        log_probs = torch.cat([heard.log_probs, *heard.phones[-1:]], dim=2) if heard.phones else heard.log_probs
        return log_probs, torch.cat([tail, *heard.pieces], dim=1)

    def recognise(self, log_mel: Tensor, pieces: list[Tensor]) -> Heard:
        """The network behind the MFCC's logarithm, where training puts its masks.

        Args:
            log_mel: float32 [batch, hops, mels], hops a multiple of the product of the strides.
            pieces: the state without the MFCC's tail, cut by `state_sizes`.
        """
        x = (self.mfcc.cepstra(log_mel) - self.mean) / self.deviation
        batch, phones, layers, carried = x.shape[0], list[Tensor](), list[Tensor](), list[Tensor]()
        for convolution, context in zip(self.convolutions, pieces, strict=False):
            x, context = convolution(x, context.view(batch, -1, x.shape[2]))
            carried.append(context.reshape(batch, -1).float())
        for layer, (lstm, memory) in enumerate(zip(self.lstms, pieces[len(self.convolutions) :], strict=True), start=1):
            x, memory = lstm(x, memory)
            carried.append(memory.float())
            layers.append(x)
            if self.phone_guess is not None and layer == self.config.phone_layer:
                x, guess = self.phone_guess(x)
                phones.append(guess)
        x = self.norm(x)
        if self.phone_head is not None:
            phones.append(F.log_softmax(self.phone_head(x).float(), dim=-1))
        return Heard(F.log_softmax(self.head(x).float(), dim=-1), phones, layers, carried)
