"""Any kind of samples becomes mono float32, or a sentence."""

import numpy as np
import pytest
from rillet.pipeline.errors import ChannelError, NonFiniteSamplesError, SampleRangeError, SampleRateError, SamplesError
from rillet.pipeline.samples import check_sample_rate, to_mono

INT16 = np.array([0, 1, -32_768, 32_767, 1_234], np.int16)


def test_integers_and_floats_mean_the_same_sound() -> None:
    expected = (INT16 / 32_768).astype(np.float32)
    for samples in (INT16, INT16.astype(np.int32) * 65_536, expected, expected.astype(np.float64), expected.tolist()):
        mono = to_mono(samples)
        assert mono.dtype == np.float32
        assert mono.tobytes() == expected.tobytes()


def test_channels_are_averaged_or_chosen_whatever_their_layout() -> None:
    channels = np.random.default_rng(0).uniform(-1, 1, (500, 8)).astype(np.float32)
    mean = to_mono(channels)
    assert mean == pytest.approx(channels.mean(axis=1), abs=1e-7)
    assert to_mono(np.asfortranarray(channels)).tobytes() == mean.tobytes()
    assert np.concatenate([to_mono(channels[:13]), to_mono(channels[13:])]).tobytes() == mean.tobytes()
    assert to_mono(channels, channel=3).tobytes() == channels[:, 2].tobytes()
    assert to_mono(INT16[:, None], channel=1).tobytes() == to_mono(INT16).tobytes()


def test_the_input_is_not_altered_or_shared() -> None:
    samples = np.zeros(10, np.float32)
    mono = to_mono(samples)
    mono[:] = 1
    assert not samples.any()


def test_nothing_is_nothing() -> None:
    assert len(to_mono([])) == len(to_mono(np.zeros((0, 2), np.int16))) == 0


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_not_a_number(bad: float) -> None:
    samples = np.zeros((10, 2), np.float32)
    samples[7, 1] = bad
    with pytest.raises(NonFiniteSamplesError, match=r"here\.wav: .*NaN or infinite"):
        to_mono(samples, where="here.wav")
    assert len(to_mono(samples, channel=1)) == 10  # the channel that is heard is sound


def test_integers_cast_to_float_are_noticed() -> None:
    with pytest.raises(SampleRangeError, match="divide by the full scale"):
        to_mono(INT16.astype(np.float32))


@pytest.mark.parametrize(
    ("samples", "sentence"),
    [
        (np.zeros((2, 2, 2)), "shape"),
        (np.zeros(()), "shape"),
        (np.zeros((2, 16_000)), "shape"),  # channels first
        (np.zeros(3, np.uint8), "type"),
        (np.zeros(3, np.complex64), "type"),
        (np.zeros(3, bool), "type"),
        ("sound", "shape"),
        (["a", "b"], "type"),
    ],
)
def test_strange_samples(samples: object, sentence: str) -> None:
    with pytest.raises(SamplesError, match=f"the {sentence} must be"):
        to_mono(samples)  # type: ignore[arg-type]


@pytest.mark.parametrize("channel", [0, 3, -1])
def test_no_such_channel(channel: int) -> None:
    with pytest.raises(ChannelError, match=f"channel {channel} was asked for and there is channels 1 to 2"):
        to_mono(np.zeros((10, 2)), channel)


def test_sample_rates() -> None:
    assert check_sample_rate(48_000.0) == 48_000
    for rate in (0, -16_000, 7_999, 192_001, 44_100.5, float("nan"), float("inf")):
        with pytest.raises(SampleRateError, match="whole number from 8000 to 192000 Hz"):
            check_sample_rate(rate)
