"""`rillet inspect`: what a recording is to the recogniser, in one picture: sound, cepstra, token posteriors, words."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .audio_file import read_blocks
from .decoder import Decoded, Decoder, FloatArray
from .errors import EmptyStretchError, MissingExtraError, OutputFormatError, OutputUnwritableError
from .events import Final, Word
from .recogniser import Recognizer
from .resample import resampler_between

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FORMATS = ("pdf", "png", "svg")
INCHES_PER_S = 1.1  # wide enough to read words
NARROWEST_IN, WIDEST_IN = 8.0, 60.0
AFTER_S = 2.0  # is heard beyond a stretch, so that its last word is what it would be anyway
LEAST_POSTERIOR = 0.02  # tokens that never reach it are left out


@dataclass(frozen=True)
class Heard:
    """All stages of a stretch of a recording."""

    audio: FloatArray  # [samples] at the model's rate
    posteriors: FloatArray  # [frames, tokens], 0..1
    words: tuple[Word, ...]  # times from the start of the recording
    start_s: float


def draw(recogniser: Recognizer, path: Path, picture: Path, *, start_s: float = 0.0, length_s: float = 30.0) -> Heard:
    """Write a picture of a stretch of a recording; the recording is heard from its beginning, as always.

    Args:
        picture: .png, .svg or .pdf.
        start_s, length_s: the stretch.

    Raises:
        AudioError, EmptyStretchError, MissingExtraError, OutputFormatError, OutputUnwritableError
    """
    if picture.suffix.lower().removeprefix(".") not in FORMATS:
        raise OutputFormatError(picture, list(FORMATS))
    try:
        from librosa.display import waveshow
        from matplotlib.figure import Figure
        from matplotlib.ticker import AutoLocator, ScalarFormatter
    except ModuleNotFoundError as error:
        raise MissingExtraError("inspect", (error.name or "matplotlib").partition(".")[0]) from None

    heard = hear(recogniser, path, start_s, length_s)
    info = recogniser.info
    rate_hz, seconds = info.sample_rate_hz, len(heard.audio) / info.sample_rate_hz
    figure = Figure(figsize=(min(max(seconds * INCHES_PER_S, NARROWEST_IN), WIDEST_IN), 10), layout="constrained")
    wave, cepstra, tokens, words = figure.subplots(4, 1, sharex=True, height_ratios=[2, 3, 5, 1])
    figure.suptitle(f"{path.name}, heard by {info.name}")

    waveshow(heard.audio, sr=rate_hz, ax=wave, offset=start_s, color="tab:blue")
    wave.set(ylabel="amplitude", xlabel="", ylim=(-1, 1))

    mfcc, hop_samples = _mfcc(heard.audio, rate_hz, info.mfcc)
    times_s = start_s + np.arange(mfcc.shape[1] + 1) * hop_samples / rate_hz
    edges = np.arange(1, len(mfcc) + 2) - 0.5
    cepstra.pcolormesh(times_s, edges, mfcc, cmap="magma", vmin=-2.5, vmax=2.5, rasterized=True)
    cepstra.set(ylabel="MFCC / deviation")

    shown = [n for n in range(len(info.tokens)) if heard.posteriors[:, n].max() >= LEAST_POSTERIOR]
    frames_s = start_s + np.arange(len(heard.posteriors) + 1) * info.frame_s
    # the square root shows what is unlikely too, where a decoder's alternatives come from
    posteriors = np.sqrt(heard.posteriors[:, shown].T)
    edges = np.arange(len(shown) + 1) - 0.5
    image = tokens.pcolormesh(frames_s, edges, posteriors, cmap="viridis", vmin=0, vmax=1, rasterized=True)
    tokens.set(ylabel="token")
    tokens.set_yticks(range(len(shown)), [_name(info.tokens[n], n) for n in shown], fontsize=7)
    bar = figure.colorbar(image, ax=tokens, pad=0.01, ticks=np.sqrt([0, 0.01, 0.1, 0.5, 1]))
    bar.ax.set_yticklabels(["0", "0.01", "0.1", "0.5", "1"])
    bar.set_label("posterior")

    _draw_words(words, heard.words)
    words.set(xlabel="seconds", xlim=(start_s, start_s + seconds))
    words.xaxis.set_major_locator(AutoLocator())  # librosa took the figures off the axis that all share
    words.xaxis.set_major_formatter(ScalarFormatter())
    words.tick_params(labelbottom=True)
    try:
        figure.savefig(picture, dpi=120)
    except OSError as error:
        raise OutputUnwritableError(picture, error.strerror or str(error)) from error
    return heard


def hear(recogniser: Recognizer, path: Path, start_s: float, length_s: float) -> Heard:
    """Recognise a recording up to the end of a stretch, and keep all that belongs to the stretch.

    Raises:
        AudioError
        EmptyStretchError: the recording ends before the stretch begins.
    """
    info = recogniser.info
    spy = _Spy(recogniser.decoder)
    stream = replace(recogniser, decoder=spy).stream()
    end_s = start_s + length_s
    pieces, heard_s = list[FloatArray](), 0.0
    events = []
    for block in read_blocks(path):
        events += stream.accept(block.samples, block.sample_rate_hz)
        resampler = resampler_between(block.sample_rate_hz, info.sample_rate_hz)
        if not pieces:
            state = resampler.start()
        piece, state = resampler.step(block.samples, state)
        pieces.append(piece)
        heard_s += len(block.samples) / block.sample_rate_hz
        if heard_s >= end_s + AFTER_S:
            break
    piece, state = resampler.finish(state)
    events += stream.finish()
    audio = np.concatenate([*pieces, piece])[round(start_s * info.sample_rate_hz) : round(end_s * info.sample_rate_hz)]
    first, last = round(start_s / info.frame_s), round(end_s / info.frame_s)
    posteriors = (
        np.exp(np.concatenate(spy.rows))[first:last, : len(info.tokens)]
        if spy.rows
        else np.empty((0, len(info.tokens)), np.float32)
    )
    if not len(audio) or not len(posteriors):
        raise EmptyStretchError(path, start_s, heard_s)
    words = tuple(
        word
        for event in events
        if isinstance(event, Final)
        for word in event.words
        if word.end_s > start_s and word.start_s < end_s
    )
    return Heard(audio, posteriors, words, start_s)


class _Spy:
    """A decoder that remembers the log-probabilities it was given."""

    def __init__(self, decoder: Decoder[Any]) -> None:
        self._decoder = decoder
        self.rows: list[FloatArray] = []
        self.start, self.finish, self.fingerprint = decoder.start, decoder.finish, decoder.fingerprint

    def step(self, log_probs: FloatArray, state: Any) -> tuple[Decoded, Any]:
        self.rows.append(log_probs)
        return self._decoder.step(log_probs, state)


def _mfcc(audio: FloatArray, rate_hz: int, settings: Any) -> tuple[FloatArray, int]:
    """Cepstra [coefficients - 1, hops] with mean 0 and deviation 1, and the samples in a hop.

    The first, which is the loudness, is left out: the waveform shows it.
    """
    import librosa

    hop_samples = settings.get("hop_samples", rate_hz // 100)
    emphasis = settings.get("pre_emphasis", 0.97)
    emphasised = np.append(audio[:1], audio[1:] - emphasis * audio[:-1])
    mel = librosa.feature.melspectrogram(
        y=emphasised,
        sr=rate_hz,
        n_fft=settings.get("fft_samples", 512),
        win_length=settings.get("window_samples", rate_hz // 40),
        hop_length=hop_samples,
        n_mels=settings.get("mels", 40),
        fmin=settings.get("low_hz", 20.0),
        fmax=settings.get("high_hz", None),
        htk=True,
        norm=None,
    )
    log_mel = np.log(np.maximum(mel, settings.get("log_floor", 1e-5)))
    cepstra = librosa.feature.mfcc(S=log_mel, n_mfcc=settings.get("coefficients", 40))
    mean, deviation = cepstra.mean(axis=1, keepdims=True), cepstra.std(axis=1, keepdims=True)
    return np.asarray((cepstra - mean)[1:] / np.maximum(deviation, 1e-6)[1:], np.float32), hop_samples


def _draw_words(axes: "Axes", words: tuple[Word, ...]) -> None:
    """A box for each word, the fainter the less certain, at alternating heights so that short ones stay apart."""
    for n, word in enumerate(words):
        low = 0.5 * (n % 2)
        box = {"facecolor": "tab:green", "edgecolor": "black", "alpha": 0.15 + 0.6 * word.confidence, "linewidth": 0.5}
        axes.broken_barh([(word.start_s, word.end_s - word.start_s)], (low, 0.5), **box)
        middle_s = (word.start_s + word.end_s) / 2
        axes.text(middle_s, low + 0.25, word.text, ha="center", va="center", fontsize=9, clip_on=True)
    axes.set(ylim=(0, 1), yticks=[], ylabel="words")


def _name(token: str, index: int) -> str:
    return "blank" if index == 0 else token.replace(" ", "␣")
