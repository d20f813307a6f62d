"""The MFCC front end against three libraries, and in pieces against itself."""

from itertools import pairwise

import kaldi_native_fbank  # type: ignore[import-not-found, import-untyped, unused-ignore]
import librosa
import numpy as np
import numpy.typing as npt
import pytest
import soundfile  # type: ignore[import-untyped]
import torch
import torchaudio
from hypothesis import given, settings
from hypothesis import strategies as st
from rillet.features import Mfcc, MfccConfig
from rillet.pipeline.model_file import SHIPPED_SAMPLE

FloatArray = npt.NDArray[np.float32]

RATE_HZ, HOP = 16_000, 160
CONFIG = MfccConfig()
# Kaldi raises energies to the distance between 1 and the next float; otherwise its defaults, but for the mean of each
# window, which it takes off and a stream of frames does not need.
KALDI = MfccConfig(mel_filters="kaldi", window="povey", log_floor=1.1920928955078125e-07)
EXACT = 1e-5  # one unit in the last place of a float32 above 64, as the first coefficient of silence is
ROUNDING = 2e-4  # of cepstra up to 60: float32 logarithms of energies over five decades, added up in another order


def signal(hops: int = 200) -> FloatArray:
    """A rising tone with swells in noise, then digital silence, float32 [hops * HOP]."""
    time_s = np.arange(hops * HOP) / RATE_HZ
    tone = 0.3 * np.sin(2 * np.pi * (200 * time_s + 900 * time_s**2)) * np.sin(5 * time_s) ** 2
    noisy = tone + 0.02 * np.random.default_rng(0).standard_normal(len(time_s))
    noisy[-40 * HOP :] = 0
    return np.asarray(noisy, np.float32)


def cepstra(config: MfccConfig, samples: FloatArray) -> FloatArray:
    with torch.inference_mode():
        mfcc, _ = Mfcc(config)(torch.from_numpy(samples[None]))
    return np.asarray(mfcc[0].numpy())


def emphasised(samples: FloatArray, window_delay: int) -> FloatArray:
    """Pre-emphasis, and zeros before it so that a library's first frame is the stream's first frame."""
    emphasis = samples - np.float32(CONFIG.pre_emphasis) * np.concatenate([[np.float32(0)], samples[:-1]])
    return np.concatenate([np.zeros(window_delay, np.float32), emphasis])


# A frame ends with its hop, so the first window begins 240 samples before the stream; torchaudio and librosa put the
# window of 400 samples into the middle of their 512, 56 later.
DELAY = CONFIG.window_samples - HOP
DELAY_CENTRED = DELAY + (CONFIG.fft_samples - CONFIG.window_samples) // 2


def largest_difference(theirs: FloatArray, ours: FloatArray) -> float:
    assert len(ours) - len(theirs) in (0, 1, 2)  # those that want 512 samples for a window of 400 end a little earlier
    return float(np.abs(theirs - ours[: len(theirs)]).max())


def torchaudio_mfcc() -> torchaudio.transforms.MFCC:
    mel = {"n_fft": 512, "win_length": 400, "hop_length": HOP, "n_mels": 40, "f_min": 20.0, "f_max": 7600.0}
    return torchaudio.transforms.MFCC(RATE_HZ, 40, log_mels=True, melkwargs={**mel, "center": False})


def test_torchaudio_gives_the_same() -> None:
    """But for what it does to silence: it adds 1e-6 to every energy, where rillet raises small ones to 1e-5."""
    samples = signal()
    theirs = torchaudio_mfcc()(torch.from_numpy(emphasised(samples, DELAY_CENTRED))).T.numpy()
    mfcc = Mfcc(MfccConfig(log_floor=1e-30))
    log_mel, _ = mfcc.log_mel(torch.from_numpy(samples[None]))
    ours = mfcc.cepstra(torch.log(log_mel.exp() + 1e-6))[0].numpy()
    assert largest_difference(theirs, ours) < ROUNDING
    # The rule for silence is all that differs: log(1e-5 / 1e-6) in each of the 40 mels of a silent frame.
    silent = largest_difference(theirs, cepstra(CONFIG, samples))
    assert silent == pytest.approx(np.log(10) * np.sqrt(40), rel=1e-3)


def test_librosa_gives_the_same() -> None:
    samples = signal()
    mel = librosa.feature.melspectrogram(
        y=emphasised(samples, DELAY_CENTRED), sr=RATE_HZ, n_fft=512, hop_length=HOP, win_length=400, window="hann",
        center=False, power=2.0, n_mels=40, fmin=20, fmax=7600, htk=True, norm=None,
    )  # fmt: skip
    theirs = librosa.feature.mfcc(S=np.log(np.maximum(mel, CONFIG.log_floor)), n_mfcc=40, norm="ortho").T
    assert largest_difference(theirs, cepstra(CONFIG, samples)) < ROUNDING


def test_kaldi_gives_the_same() -> None:
    """Kaldi emphasises each window by itself; the window is zero at its first sample, so that this changes nothing."""
    options = kaldi_native_fbank.MfccOptions()
    options.frame_opts.samp_freq, options.frame_opts.dither = RATE_HZ, 0
    options.frame_opts.remove_dc_offset = False
    options.mel_opts.num_bins, options.mel_opts.low_freq, options.mel_opts.high_freq = 40, 20, 7600
    options.num_ceps, options.use_energy, options.cepstral_lifter = 40, False, 0
    kaldi, samples = kaldi_native_fbank.OnlineMfcc(options), signal()
    kaldi.accept_waveform(RATE_HZ, [0.0] * DELAY + samples.tolist())
    kaldi.input_finished()
    theirs = np.stack([kaldi.get_frame(i) for i in range(kaldi.num_frames_ready)])
    assert largest_difference(theirs, cepstra(KALDI, samples)) < ROUNDING


def any_signal(hertz: float, tone: float, noise: float, hops: int = 60) -> torch.Tensor:
    """A tone in noise, then digital silence, float32 [1, hops * HOP]."""
    phase = 2 * np.pi * hertz / RATE_HZ * np.arange(hops * HOP)
    samples = tone * np.sin(phase) + noise * np.random.default_rng(0).standard_normal(len(phase))
    samples[-10 * HOP :] = 0
    return torch.from_numpy(np.clip(samples, -1, 1).astype(np.float32)[None])


def chunking_difference(mfcc: Mfcc, samples: torch.Tensor, cuts: list[int]) -> float:
    """The largest difference of cepstra in pieces cut at these hops; the tail must be the same to the bit."""
    whole, last_tail = mfcc(samples)
    pieces, tail = [], None
    for start, end in pairwise([0, *sorted(cuts), samples.shape[1] // HOP]):
        piece, tail = mfcc(samples[:, start * HOP : end * HOP], tail)
        pieces.append(piece)
    assert tail is not None
    assert torch.equal(tail, last_tail)
    return float((torch.cat(pieces, dim=1) - whole).abs().max())


CUTS = st.lists(st.integers(0, 60), max_size=12)
TONES = {"hertz": st.floats(50, 7_500), "tone": st.floats(0, 1), "noise": st.sampled_from([0, 1e-4, 0.01, 0.1, 1])}


@settings(max_examples=60)
@given(cuts=CUTS, kaldi=st.booleans(), **TONES)
def test_any_chunking_of_any_signal_gives_the_same(
    cuts: list[int], kaldi: bool, hertz: float, tone: float, noise: float
) -> None:
    """Pure tones too, beside which the other mels hold the rounding of the samples."""
    assert chunking_difference(Mfcc(KALDI if kaldi else CONFIG), any_signal(hertz, tone, noise), cuts) < EXACT


@pytest.mark.parametrize("step_hops", [1, 4, 16, 50])
def test_any_chunking_of_speech_gives_the_same(step_hops: int) -> None:
    samples, _ = soundfile.read(SHIPPED_SAMPLE, dtype="float32")
    samples = torch.from_numpy(samples[None, : len(samples) // HOP * HOP])
    assert chunking_difference(Mfcc(CONFIG), samples, list(range(0, samples.shape[1] // HOP, step_hops))) < EXACT


@pytest.mark.parametrize("config", [CONFIG, KALDI, MfccConfig(window_samples=512, hop_samples=128, coefficients=13)])
def test_an_exported_graph_computes_the_same(config: MfccConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """In float32, where beside a loud tone the other mels are its rounding; so there is some noise here."""
    samples = any_signal(1_000, 0.3, 0.01, 64)
    mfcc, tail = Mfcc(config), None
    exact, last_tail = mfcc(samples)
    monkeypatch.setattr(torch.onnx, "is_in_onnx_export", lambda: True)
    pieces = []
    for piece in samples.split(16 * HOP, dim=1):
        cepstra, tail = mfcc(piece, tail)
        pieces.append(cepstra)
    assert (torch.cat(pieces, dim=1) - exact).abs().max() < ROUNDING
    assert tail is not None
    assert torch.equal(tail, last_tail)


def test_rows_do_not_see_each_other() -> None:
    samples = torch.from_numpy(np.stack([signal(50), np.zeros(50 * HOP, np.float32), signal(50)[::-1]]))
    mfcc = Mfcc(CONFIG)
    together, tails = mfcc(samples)
    for row in range(3):
        alone, tail = mfcc(samples[row : row + 1])
        assert (alone[0] - together[row]).abs().max() < 1e-5
        assert torch.equal(tail[0], tails[row])


@pytest.mark.parametrize("level", [0.0, 1e-30, 1e-8, 1.0])
def test_silence_and_full_scale_are_finite(level: float) -> None:
    mfcc, _ = Mfcc(CONFIG)(torch.full((1, 20 * HOP), level))
    assert torch.isfinite(mfcc).all()


def test_a_frame_ends_with_its_hop() -> None:
    """A click late in hop 5 is heard in the frames 5 to 7, whose windows of 400 samples end with their hops."""
    samples = torch.zeros(1, 12 * HOP)
    samples[0, 6 * HOP - 40] = 1.0
    log_mel, _ = Mfcc(CONFIG).log_mel(samples)
    heard = (log_mel[0] > np.log(CONFIG.log_floor) + 1e-3).any(dim=1)
    assert heard.nonzero().flatten().tolist() == [5, 6, 7]


def test_half_precision_does_not_reach_the_spectrum() -> None:
    samples, mfcc = torch.from_numpy(signal(50)[None]), Mfcc(CONFIG)
    with torch.autocast("cpu", torch.bfloat16):
        automatic, _ = mfcc(samples)
    assert torch.equal(automatic, mfcc(samples)[0])


@pytest.mark.parametrize(
    "wrong",
    [
        {"hop_samples": 0}, {"window_samples": 100}, {"fft_samples": 256}, {"coefficients": 41}, {"high_hz": 9_000.0},
        {"low_hz": 8_000.0}, {"log_floor": 0.0},
    ],
)  # fmt: skip
def test_settings_that_do_not_fit_together(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        MfccConfig(**wrong)  # type: ignore[arg-type]
