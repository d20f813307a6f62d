"""`rillet doctor`: what is installed, is the model right, what does the microphone hear, how fast is it."""

import platform
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from .capture_errors import NoMicrophoneError, PortAudioMissingError
from .errors import AudioError, RilletError
from .level import Level
from .microphone import Device, Microphone, devices, find_device
from .model_file import AcousticModel
from .samples import to_mono

PACKAGES = ("numpy", "onnxruntime", "soundfile", "sounddevice", "soxr", "typer", "rich")
METER_S = 3.0
SPEED_S = 1.0  # how long the speed of this machine is measured
METER_CELLS = 40

Say = Callable[[str], None]


def doctor(model_path: Path | None, wanted_device: str | None, channel: int | None, say: Say) -> bool:
    """Look at everything and tell.

    Returns:
        Whether transcribing works. A machine without a microphone is not ill, but one that was named must be there.
    """
    say("versions")
    for line in _versions():
        say(f"  {line}")
    say("model")
    well = _model(model_path, say)
    say("microphones")
    try:
        for line in device_lines(devices()):
            say(f"  {line}")
        _meter(find_device(wanted_device), channel, say)
    except (NoMicrophoneError, PortAudioMissingError) as error:
        say(f"  {error}")
        well = well and wanted_device is None
    except AudioError as error:
        say(f"  {error}")
        well = False
    return well


def device_lines(known: list[Device]) -> list[str]:
    """A line for each, the default one with a star."""
    width = max((len(device.name) for device in known), default=0)
    return [
        f"{'*' if device.is_default else ' '}{device.number:3}  {device.name:{width}}  "
        f"{device.rate_hz} Hz  {device.channels} ch  {device.system}"
        for device in known
    ] or [str(NoMicrophoneError())]


def _versions() -> list[str]:
    lines = [f"rillet {version('rillet')}", f"Python {platform.python_version()} on {platform.platform()}"]
    for package in PACKAGES:
        try:
            lines.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            lines.append(f"{package} is missing: pip install {package}")
    return lines


def _model(path: Path | None, say: Say) -> bool:
    try:
        model = AcousticModel.load(path)
        info = model.info
        size_mb = model.path.stat().st_size / 1e6
        say(f"  {model.path}")
        say(f"  {info.name}, {info.language}, {info.precision}, {size_mb:.1f} MB, {info.licence}")
        say(f"  self-test passed: off by {model.verify():.2g}, {info.golden.tolerance:.2g} is allowed")
    except RilletError as error:
        say(f"  {error}")
        return False
    say("speed")
    slowest_s, speed = _speed(model)
    step_ms = 1000 * info.step_frames * info.frame_s
    say(f"  {speed:.0f} times as fast as real time; slowest step {1000 * slowest_s:.0f} ms of {step_ms:.0f} ms")
    if slowest_s > info.step_frames * info.frame_s:
        say("  This machine is too slow or too busy for live speech.")
    return True


def _speed(model: AcousticModel) -> tuple[float, float]:
    """Seconds of the slowest step, and seconds of sound per second."""
    info = model.info
    noise = np.random.default_rng(0).normal(0, 0.1, (1, info.step_samples)).astype(np.float32)
    state, took_s = model.initial_state(), list[float]()
    while sum(took_s) < SPEED_S:
        before_s = time.perf_counter()
        _, state = model.step(noise, state)
        took_s.append(time.perf_counter() - before_s)
    return max(took_s), len(took_s) * info.step_frames * info.frame_s / sum(took_s)


def _meter(device: Device, channel: int | None, say: Say) -> None:
    say(f"level of {device} for {METER_S:.0f} seconds: say something")
    level, lost_frames = Level(), 0
    with Microphone(device, channel) as microphone:
        first_s = last_s = 0.0
        first_frames = 0  # recorded before the clock was started
        shown = Level()
        for block in microphone.blocks():
            now_s = time.monotonic()
            if block is not None:
                part = Level.of(to_mono(block.samples, channel, device.name))
                level, shown = level + part, shown + part
                lost_frames += block.lost_frames
                if not first_s:
                    first_s, first_frames = now_s, part.samples
                last_s = now_s
            if shown.samples >= device.rate_hz / 2:
                say(f"  {meter(shown.rms_dbfs)} {shown.rms_dbfs:4.0f} dBFS")
                shown = Level()
            if first_s and now_s >= first_s + METER_S:
                break
    if not level.samples:
        say("  No sound came from it.")
        return
    say(f"  peak {level.peak_dbfs:.1f} dBFS, RMS {level.rms_dbfs:.1f} dBFS, clipped {100 * level.clipped_share:.2f} %")
    say(f"  constant offset {100 * level.dc:.2f} % of full scale, lost {lost_frames / device.rate_hz:.2f} s")
    if last_s > first_s:
        real_hz = (level.samples - first_frames) / (last_s - first_s)
        say(f"  rate {real_hz:.0f} Hz measured, {device.rate_hz} Hz announced")
    say(f"  {level.advice() or 'The level is fine.'}")


def meter(level_dbfs: float) -> str:
    """A bar from -80 to 0 dBFS."""
    cells = round(METER_CELLS * min(max(1 + level_dbfs / 80, 0.0), 1.0))
    return "#" * cells + "." * (METER_CELLS - cells)
