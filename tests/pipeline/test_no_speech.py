"""Where nobody speaks, the shipped model says nothing: silence, hum, fans, tones, clicks."""

import zlib
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from rillet.pipeline import Final, Recognizer
from rillet.pipeline.model_file import SHIPPED_MODEL

Array = npt.NDArray[np.float64]
RATE_HZ, LONG_S = 16_000, 12.0
TIME_S = np.arange(round(RATE_HZ * LONG_S)) / RATE_HZ

pytestmark = pytest.mark.skipif(not SHIPPED_MODEL.is_file(), reason="there is no trained model yet")


def noise(rng: np.random.Generator, tilt_db_per_octave: float, lowest_hz: float = 30.0) -> Array:
    """Noise with a spectrum that falls by so much, RMS 1."""
    spectrum = np.fft.rfft(rng.normal(size=len(TIME_S)))
    frequency_hz = np.fft.rfftfreq(len(TIME_S), 1 / RATE_HZ)
    spectrum *= np.maximum(frequency_hz, lowest_hz) ** (-tilt_db_per_octave / 6.02)
    spectrum[frequency_hz < lowest_hz] = 0
    sound: Array = np.fft.irfft(spectrum, len(TIME_S))
    return sound / np.sqrt((sound**2).mean())


def hum(rng: np.random.Generator, mains_hz: float = 50.0) -> Array:
    """Mains and its harmonics, RMS about 1."""
    parts = [np.sin(2 * np.pi * mains_hz * n * TIME_S + rng.uniform(0, 6)) / n for n in (1, 2, 3, 4, 5, 7, 9)]
    sound: Array = np.sum(parts, axis=0)
    return sound + 0.02 * noise(rng, 0)


def fan(rng: np.random.Generator) -> Array:
    """Rushing air that swells with the blades, and their tone."""
    swell = 1 + 0.2 * np.sin(2 * np.pi * 1.3 * TIME_S)
    return noise(rng, 4) * swell + 0.3 * np.sin(2 * np.pi * 118 * TIME_S)


def notes(rng: np.random.Generator) -> Array:
    """A tune of plucked chords, four in a second."""
    sound = np.zeros_like(TIME_S)
    for start_s in np.arange(0, LONG_S - 0.5, 0.25):
        since_s = TIME_S - start_s
        envelope = np.where(since_s >= 0, np.exp(-5 * np.maximum(since_s, 0)) * np.minimum(since_s / 0.01, 1), 0)
        root_hz = 220 * 2 ** (rng.integers(0, 12) / 12)
        for interval in (0, 4, 7):
            pitch_hz = root_hz * 2 ** (interval / 12)
            sound += envelope * sum(np.sin(2 * np.pi * pitch_hz * n * TIME_S) / n**2 for n in range(1, 5))
    return sound / 2


def clicks(rng: np.random.Generator) -> Array:
    """Keys being pressed in a quiet room."""
    sound = 0.01 * noise(rng, 3)
    for at in rng.integers(0, len(TIME_S) - 800, 40):
        sound[at : at + 800] += rng.normal(size=800) * np.exp(-np.arange(800) / 80)
    return sound


SOUNDS: dict[str, tuple[Callable[[np.random.Generator], Array], float]] = {  # with the gain in dB
    "digital silence": (lambda rng: np.zeros_like(TIME_S), 0),
    "a quiet room": (lambda rng: noise(rng, 3), -65),
    "white noise": (lambda rng: noise(rng, 0), -40),
    "pink noise": (lambda rng: noise(rng, 3), -30),
    "fan": (fan, -30),
    "mains hum, 50 Hz": (hum, -30),
    "mains hum, 60 Hz": (lambda rng: hum(rng, 60), -20),
    "a whistle": (lambda rng: np.sin(2 * np.pi * 1_000 * TIME_S), -20),
    "notes": (notes, -20),
    "keys": (clicks, -20),
}


@pytest.fixture(scope="module")
def recogniser() -> Recognizer:
    return Recognizer.load()


@pytest.mark.parametrize("name", SOUNDS)
def test_no_text(recogniser: Recognizer, name: str) -> None:
    make, gain_db = SOUNDS[name]
    sound = make(np.random.default_rng(zlib.crc32(name.encode()))) * 10 ** (gain_db / 20)
    finals = [event for event in recogniser.events(sound.clip(-1, 1), RATE_HZ) if isinstance(event, Final)]
    assert [final.text for final in finals if final.text] == []
    assert [final.reason for final in finals] == ["silence", "silence", "finish"]  # the rule before speech
