"""A stream of ten hours: the last hour takes the memory and the time per chunk that the first took."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile  # type: ignore[import-untyped]
from rillet.pipeline import SHIPPED_SAMPLE, Final, Recognizer
from rillet.pipeline.model_file import SHIPPED_MODEL

Speak = Callable[..., npt.NDArray[np.float32]]

HEAR = r"""
import json, re, sys, time
from pathlib import Path
import numpy as np
from rillet.pipeline import Final, Recognizer

minute, hours = np.load(sys.argv[2]), float(sys.argv[3])
stream = Recognizer.load(sys.argv[1]).stream()

def kib(name):
    return int(re.search(rf"{name}:\s+(\d+)", Path("/proc/self/status").read_text())[1])

for quarter in range(round(hours * 4)):
    words = finals = longest = 0
    minutes_cpu_s = []
    for _ in range(15):
        started_s = time.process_time()
        for piece in np.split(minute, 375):  # 160 ms
            for event in stream.accept(piece, 16_000):
                longest = max(longest, len(event.words))
                if isinstance(event, Final) and event.words:
                    finals, words, last_s = finals + 1, words + len(event.words), event.words[-1].end_s
        minutes_cpu_s.append(time.process_time() - started_s)
    print(json.dumps({
        "cpu_s": min(minutes_cpu_s), "kib": kib("VmRSS"), "peak_kib": kib("VmHWM"), "words": words,
        "finals": finals, "longest": longest, "last_s": last_s, "snapshot": len(stream.snapshot()),
    }), flush=True)
"""


@pytest.mark.parametrize("hours", [0.75, pytest.param(10.0, marks=pytest.mark.slow)])
def test_memory_and_cost_stay_flat(tone_model: Path, speak: Speak, tmp_path: Path, hours: float) -> None:
    if not Path("/proc/self/status").exists():
        pytest.skip("needs /proc to read the memory")
    talk = speak("one two three four five six seven ")
    minute = np.zeros(60 * 16_000, np.float32)
    for start in range(0, len(minute) - len(talk) - 32_000, len(talk) + 32_000):  # two seconds of silence after each
        minute[start : start + len(talk)] = talk
    np.save(tmp_path / "minute.npy", minute)
    command = [sys.executable, "-c", HEAR, tone_model, tmp_path / "minute.npy", str(hours)]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=6_000, check=True)
    quarters = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(quarters) == hours * 4
    first, *_, last = quarters[1:]  # in the first, everything is allocated
    assert last["peak_kib"] - quarters[0]["peak_kib"] < 2_048  # 15 minutes of audio are 56 MB as float32
    assert last["kib"] - first["kib"] < 2_048
    # a minute of each quarter, the least of many, for other programs take the processor's cache meanwhile
    third = max(1, len(quarters) // 3)
    assert min(q["cpu_s"] for q in quarters[-third:]) < 2 * min(q["cpu_s"] for q in quarters[:third])
    assert {q["words"] for q in quarters[1:-1]} <= {first["words"]}
    assert first["words"] == first["finals"] * 7
    assert {q["longest"] for q in quarters} == {7}
    assert last["snapshot"] < first["snapshot"] + 200
    assert last["last_s"] == pytest.approx(hours * 3_600, abs=10)  # and the times are still true


@pytest.mark.skipif(not SHIPPED_MODEL.is_file(), reason="there is no trained model yet")
def test_english_without_a_pause() -> None:
    """Nobody draws breath for five minutes: the last of them is understood as the first."""
    recognizer = Recognizer.load()
    stream, events = recognizer.stream(), []
    samples, rate_hz = soundfile.read(SHIPPED_SAMPLE, dtype="float32")
    once = recognizer.transcribe(SHIPPED_SAMPLE).words
    repeats = round(300 / (len(samples) / rate_hz))
    for _ in range(repeats):
        events += stream.accept(samples, rate_hz)
    events += stream.finish()
    words = [word for event in events if isinstance(event, Final) for word in event.words]
    for first in range(0, repeats, 8):
        begin_s, end_s = (part * len(samples) / rate_hz for part in (first, first + 8))
        heard = [word.text for word in words if begin_s <= word.start_s < end_s]
        assert len(heard) == pytest.approx(min(8, repeats - first) * len(once), rel=0.15)
        assert len({word.text for word in once} & set(heard)) > 0.7 * len({word.text for word in once})
