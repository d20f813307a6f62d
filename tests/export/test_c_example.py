"""The C example says what Python says, word for word, with any model of the format and while the sound still comes.

onnxruntime's wheel has the library; its headers are in $ORT_INCLUDE or where Debian's libonnxruntime-dev puts them.
"""

import json
import os
import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime  # type: ignore[import-untyped]
import pytest
import soundfile  # type: ignore[import-untyped]
from rillet.pipeline import SHIPPED_SAMPLE, Final, Recognizer
from rillet.pipeline.model_file import SHIPPED_MODEL

EXAMPLE = Path(__file__).parents[2] / "export" / "examples" / "c"
INCLUDES = [os.environ.get("ORT_INCLUDE", ""), "/usr/include/onnxruntime", "/usr/local/include/onnxruntime"]
Int16 = npt.NDArray[np.int16]
Speak = Callable[..., npt.NDArray[np.float32]]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example, built by its Makefile against the onnxruntime that Python uses."""
    include = next((Path(folder) for folder in INCLUDES if (Path(folder) / "onnxruntime_c_api.h").is_file()), None)
    library = next((Path(onnxruntime.__file__).parent / "capi").glob("libonnxruntime.so.*.*"), None)
    if shutil.which("cc") is None or shutil.which("make") is None:
        pytest.skip("there is no C compiler, or no make")
    if include is None:
        pytest.skip("there is no onnxruntime_c_api.h; set ORT_INCLUDE to its folder")
    if library is None:
        pytest.skip("this onnxruntime came without libonnxruntime.so")
    folder = tmp_path_factory.mktemp("c")
    release = folder / "release"  # looks like an unpacked release of onnxruntime
    (release / "lib").mkdir(parents=True)
    (release / "include").symlink_to(include.resolve())
    for name in ("libonnxruntime.so", "libonnxruntime.so.1"):
        (release / "lib" / name).symlink_to(library)
    source = Path(shutil.copytree(EXAMPLE, folder / "source"))
    flags = "-O2 -std=c99 -Wall -Wextra -Wpedantic -Wconversion -Werror"
    command = ["make", "-B", "-C", str(source), f"ORT={release}", f"CFLAGS={flags}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return source / "rillet"


def run(program: Path, model: Path, sound: bytes) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([program, model], input=sound, capture_output=True, timeout=120, check=False)
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def in_python(model: Path, samples: Int16) -> str:
    stream = Recognizer.load(model, lm=None).stream(endpoints=None)
    events = [*stream.accept(samples, 16_000), *stream.finish()]
    return " ".join(event.text for event in events if isinstance(event, Final))


def pcm(samples: npt.NDArray[np.float32]) -> Int16:
    return (samples * 32_767).astype("<i2")


def wav(
    samples: Int16,
    *,
    kind: int = 1,
    channels: int = 1,
    rate_hz: int = 16_000,
    bits: int = 16,
    size: int | None = None,
    before: bytes = b"",
    behind: bytes = b"",
) -> bytes:
    """A WAV file, well-formed or not; `before` and `behind` are chunks around it."""
    form = struct.pack("<HHIIHH", kind, channels, rate_hz, rate_hz * channels * bits // 8, channels * bits // 8, bits)
    data = samples.astype("<i2").tobytes()
    length = struct.pack("<I", len(data) if size is None else size)
    return b"RIFF\0\0\0\0WAVE" + before + b"fmt \x10\0\0\0" + form + b"data" + length + data + behind


def test_it_fits_on_a_few_pages() -> None:
    assert len((EXAMPLE / "rillet.c").read_text().splitlines()) <= 200


@pytest.mark.skipif(not SHIPPED_MODEL.is_file(), reason="there is no trained model yet")
def test_the_sample_with_the_shipped_model(program: Path) -> None:
    samples, rate_hz = soundfile.read(SHIPPED_SAMPLE, dtype="int16")
    assert rate_hz == 16_000
    expected = in_python(SHIPPED_MODEL, samples)
    assert len(expected.split()) > 5
    for sound in (wav(samples), samples.tobytes()):
        done = run(program, SHIPPED_MODEL, sound)
        assert (done.returncode, done.stdout, done.stderr) == (0, f"{expected}\n", "")


@pytest.mark.parametrize("cut", [0, 1, 639, 640, 641, 1_280])
def test_the_last_word_is_not_lost(program: Path, tone_model: Path, speak: Speak, cut: int) -> None:
    """Whatever the length, the look-ahead is flushed, and nothing more."""
    samples = pcm(speak("don't stop it now"))
    samples = samples[: len(samples) - 1_280 - cut]
    done = run(program, tone_model, samples.tobytes())
    assert (done.returncode, done.stdout) == (0, "don't stop it now\n")
    assert done.stdout == in_python(tone_model, samples) + "\n"


def test_silence_and_nothing_at_all(program: Path, tone_model: Path) -> None:
    for count in (0, 1, 640, 32_000):
        done = run(program, tone_model, np.zeros(count, "<i2").tobytes())
        assert (done.returncode, done.stdout, done.stderr) == (0, "\n", "")


def test_a_word_without_an_end_is_cut_where_python_cuts_it(program: Path, tone_model: Path, speak: Speak) -> None:
    samples = pcm(speak("ab" * 70 + " c"))
    expected = in_python(tone_model, samples)
    assert list(map(len, expected.split())) == [64, 64, 12, 1]
    assert run(program, tone_model, samples.tobytes()).stdout == f"{expected}\n"


def test_tokens_of_other_alphabets_and_of_many_letters(
    program: Path, tmp_path: Path, make_tone_model: Callable[..., Path], speak: Speak
) -> None:
    tokens = ["", " ", "'", *"abcdefghijklmnopqrstuvwxyz"]
    for letter, token in {"a": "ä", "b": "語", "c": '"', "d": "\\", "e": " the", "f": "ing ", "g": "of a"}.items():
        tokens[tokens.index(letter)] = token
    model = make_tone_model(tmp_path / "other.onnx", tokens=json.dumps(tokens))
    samples = pcm(speak("xax byc dexe fozf gz"))
    expected = in_python(model, samples)
    assert expected == 'xäx 語y" \\ thex the ing ozing of az'
    assert run(program, model, samples.tobytes()).stdout == f"{expected}\n"
    model = make_tone_model(tmp_path / "plain.onnx", tokens=json.dumps(tokens, ensure_ascii=False))
    assert run(program, model, samples.tobytes()).stdout == f"{expected}\n"


def test_a_model_that_tells_sounds(
    program: Path, tmp_path: Path, make_tone_model: Callable[..., Path], speak: Speak
) -> None:
    """Its rows are longer than there are tokens; here what is taken for sounds are the tones of more letters."""
    tokens, phones = ["", " ", "'", *"abcdefghijkl"], [*"NOPQRSTUVWXYZ"]
    model = make_tone_model(tmp_path / "sounds.onnx", tokens=json.dumps(tokens), phones=json.dumps(phones))
    samples = pcm(speak("a bad cafe"))
    assert in_python(model, samples) == "a bad cafe"
    assert run(program, model, samples.tobytes()).stdout == "a bad cafe\n"


def test_words_come_while_the_sound_still_comes(program: Path, tone_model: Path, speak: Speak) -> None:
    first, second = pcm(speak("hello there ")).tobytes(), pcm(speak("world")).tobytes()
    with subprocess.Popen([program, tone_model], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(first + bytes(2 * 16_000))
        process.stdin.flush()
        assert os.read(process.stdout.fileno(), 5) == b"hello"  # waits, were it not flushed, for ever
        process.stdin.write(second)
        process.stdin.close()
        assert process.stdout.read() == b" there world\n"


def test_wav_files_as_they_are(program: Path, tone_model: Path, speak: Speak) -> None:
    samples = pcm(speak("one two"))
    loud = b"LIST\x05\0\0\0" + bytes(range(1, 6)) + b"\0"  # of odd size, hence with a byte of padding
    for sound in (
        wav(samples, before=loud),
        wav(samples, behind=b"LIST\0\x40\0\0" + b"\x40\x7f" * 8_192),  # is not sound
        wav(samples, size=0),  # from a program that could not know the size
        wav(samples, size=2**32 - 1),
        wav(samples, kind=0xFFFE),
    ):
        done = run(program, tone_model, sound)
        assert (done.returncode, done.stdout, done.stderr) == (0, "one two\n", "")


@pytest.mark.parametrize(
    ("sound", "reason"),
    [
        (wav(np.zeros(4, np.int16), channels=2), "one channel of 16-bit samples"),
        (wav(np.zeros(4, np.int16), bits=8), "one channel of 16-bit samples"),
        (wav(np.zeros(4, np.int16), kind=3), "one channel of 16-bit samples"),
        (wav(np.zeros(4, np.int16), rate_hz=44_100), "not the model's sample rate"),
        (b"RIFF\0\0\0\0WAVE", "one channel of 16-bit samples"),
    ],
)
def test_sound_it_cannot_read_is_one_sentence(program: Path, tone_model: Path, sound: bytes, reason: str) -> None:
    done = run(program, tone_model, sound)
    assert (done.returncode, done.stdout) == (2, "")
    assert reason in done.stderr
    assert done.stderr.count("\n") == 1


def test_models_it_cannot_use_are_one_sentence(
    program: Path, tmp_path: Path, make_tone_model: Callable[..., Path]
) -> None:
    (tmp_path / "no.onnx").write_bytes(b"no")
    newer = make_tone_model(tmp_path / "newer.onnx", format_version="2")
    foreign = make_tone_model(tmp_path / "foreign.onnx", look_ahead_frames=None)
    for model, reason in (
        (tmp_path / "no.onnx", "onnxruntime"),
        (tmp_path / "none.onnx", "onnxruntime"),
        (newer, "another version"),
        (foreign, "rillet.look_ahead_frames"),
    ):
        done = run(program, model, bytes(64))
        assert (done.returncode, done.stdout) == (2, "")
        assert reason in done.stderr
        assert done.stderr.count("\n") == 1
