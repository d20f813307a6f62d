"""The run-time installation: no torch, nothing slow imported early, memory that does not grow."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile  # type: ignore[import-untyped]

Speak = Callable[..., npt.NDArray[np.float32]]

BLOCK_TRAINING = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "torchaudio", "librosa", "onnx", "scipy", "soxr"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocker())
"""


def python(code: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, timeout=300, check=False
    )


@pytest.fixture
def recording(tmp_path: Path, speak: Speak) -> Path:
    path = tmp_path / "a.flac"
    soundfile.write(path, speak("no torch", 48_000), 48_000)
    return path


@pytest.mark.parametrize("room", ["pipeline", "export.verify"])
def test_onnxruntime_writes_down_nothing_that_it_could_send(tone_model: Path, tmp_path: Path, room: str) -> None:
    code = f"import sys, rillet.{room}; from rillet.pipeline import Recognizer; Recognizer.load(sys.argv[1])"
    here = {name: str(tmp_path) for name in ("HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME")}
    usual = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    done = subprocess.run([sys.executable, "-c", code, tone_model], env=usual | here, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert [path for path in tmp_path.rglob("*") if "icrosoft" in str(path) or "onnxruntime" in str(path)] == []


def test_the_pipeline_runs_without_torch(tone_model: Path, recording: Path) -> None:
    code = f"""{BLOCK_TRAINING}
from rillet.pipeline.cli import main
sys.argv = ["rillet", "transcribe", "--model", *sys.argv[1:]]
main()
"""
    done = python(code, tone_model, recording)
    assert (done.returncode, done.stdout, done.stderr) == (0, "no torch\n", "")


@pytest.mark.parametrize(("command", "arguments"), [("train", ["a"]), ("export", ["a", "-o", "b"])])
def test_training_commands_say_what_to_install(command: str, arguments: list[str]) -> None:
    done = python(
        f"{BLOCK_TRAINING}\nfrom rillet.pipeline.cli import main\nsys.argv[0] = 'rillet'\nmain()", command, *arguments
    )
    assert done.returncode == 2
    assert done.stderr.startswith("rillet: this needs ")
    assert done.stderr.endswith("install it with: pip install 'rillet[train]'\n")
    assert done.stderr.count("\n") == 1


def test_nothing_slow_is_imported_early() -> None:
    code = """
import sys
import rillet.pipeline
slow = {"typer", "rich", "soundfile", "sounddevice", "soxr", "onnxruntime", "torch", "librosa", "scipy"}
print(sorted(slow & set(sys.modules)))
"""
    done = python(code)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_transcribing_does_not_import_what_it_does_not_need(tone_model: Path, recording: Path) -> None:
    code = """
import sys
sys.argv = ["rillet", "transcribe", "--model", *sys.argv[1:]]
from rillet.pipeline.cli import main
try:
    main()
except SystemExit:
    pass
print(sorted({"rich", "sounddevice", "soxr", "torch", "scipy", "onnx"} & set(sys.modules)))
"""
    assert python(code, tone_model, recording).stdout == "no torch\n[]\n"


def test_memory_does_not_grow_with_the_recording(tone_model: Path, tmp_path: Path, speak: Speak) -> None:
    """Twenty minutes need what one minute needs, but for the words themselves."""
    code = r"""
import re
import sys
from pathlib import Path
from rillet.pipeline import Final, Recognizer

recognizer = Recognizer.load(sys.argv[1])
words = 0
for event in recognizer.events(sys.argv[2]):
    if isinstance(event, Final):
        words += len(event.words)
print(words, *re.findall(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text()))
"""
    if not Path("/proc/self/status").exists():
        pytest.skip("needs /proc to read the peak memory")
    minute = np.tile(speak("one two three four "), 16)
    measured = []
    for minutes in (1, 20):
        path = tmp_path / f"{minutes}.flac"
        with soundfile.SoundFile(path, "w", 16_000, 1) as file:
            for _ in range(minutes):
                file.write(minute)
        done = python(code, tone_model, path)
        words, peak_kib = map(int, done.stdout.split())
        assert words == 4 * 16 * minutes
        measured.append(peak_kib)
    assert measured[1] - measured[0] < 4_096  # the audio alone would be 77 MB as float32
