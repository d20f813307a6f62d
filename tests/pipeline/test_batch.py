"""Many recordings: everything is written once and whole, whatever happens on the way."""

import http.server
import json
import logging
import os
import re
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import ClassVar

import fsspec
import numpy as np
import numpy.typing as npt
import pytest
import soundfile  # type: ignore[import-untyped]
import srt
from rillet.pipeline import Final, Recognizer
from rillet.pipeline.audio_file import AudioBlock
from rillet.pipeline.batch import Outcome, Setup, Task, Worker, groups_of, plan
from rillet.pipeline.batch_command import duration, transcribe_all
from rillet.pipeline.batch_model import ROWS, BatchedModel, rows_for
from rillet.pipeline.batch_workers import Group, WorkerDiedError, _Process, dispatch, run_in_processes
from rillet.pipeline.cli import app
from rillet.pipeline.errors import (
    AudioFileNotFoundError,
    MissingRemoteError,
    OutputClashError,
    OutputUnwritableError,
    RilletError,
)
from rillet.pipeline.places import find, write_whole
from typer.testing import CliRunner

Speak = Callable[..., npt.NDArray[np.float32]]
RILLET = [sys.executable, "-m", "rillet.pipeline.cli"]
posix = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")


def rillet(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*RILLET, *map(str, arguments)], capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture
def recordings(tmp_path: Path, speak: Speak) -> Path:
    """Two good ones, a good one in a folder, two bad ones and a picture."""
    folder = tmp_path / "in"
    (folder / "calls" / "old").mkdir(parents=True)
    soundfile.write(folder / "one.wav", speak("number one", 8_000), 8_000)
    soundfile.write(folder / "two.flac", speak("number two"), 16_000)
    soundfile.write(folder / "calls" / "old" / "three.ogg", speak("number three"), 16_000)
    (folder / "bad.wav").write_text("no sound at all")
    (folder / "cut.wav").write_bytes((folder / "one.wav").read_bytes()[:-2_000])
    (folder / "picture.jpg").write_text("not to be opened")
    return folder


def names_in(folder: Path) -> set[str]:
    """Of the files, without the hidden ones."""
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    return {name for name in names if not name.startswith(".rillet/")}


def task_of(place: Path | str, stem: str) -> Task:
    return Task(str(place), stem, 1, b"made of it")


def batch(places: Sequence[Path | str], output: Path | str, model: Path, **options: object) -> tuple[str, list[str]]:
    """In this process: the summary, and what was complained about."""
    sentences: list[str] = []
    formats = options.pop("formats", ("txt",))
    settings = {"recursive": True, "jobs": 1, "engine": "local", "complain": sentences.append, **options}
    setup = Setup(str(output), formats, str(model))  # type: ignore[arg-type]
    return str(transcribe_all(list(map(str, places)), setup, **settings)), sentences  # type: ignore[arg-type]


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_folder_into_a_folder(tone_model: Path, recordings: Path, tmp_path: Path, jobs: str) -> None:
    out = tmp_path / "out"
    arguments = ["transcribe", "--model", tone_model, recordings, "--recursive", "--output", out]
    arguments += ["--format", "txt,json,jsonl,srt,vtt", "--jobs", jobs]
    done = rillet(*arguments)
    stems = ("one", "two", "calls/old/three")
    written = {f"{stem}.{name}" for stem in (*stems, "cut") for name in ("txt", "json", "jsonl", "srt", "vtt")}
    assert names_in(out) == written
    for stem in stems:
        text = f"number {stem.rpartition('/')[2]}"
        assert (out / f"{stem}.txt").read_text() == f"{text}\n"
        assert json.loads((out / f"{stem}.json").read_text())["text"] == text
        assert [each.content for each in srt.parse((out / f"{stem}.srt").read_text())] == [text]
    assert done.returncode == 2
    assert re.match(r"3 transcribed: \d\.\d s of sound in .* times real time; 2 failed\.\n$", done.stdout)
    assert sorted(line.split(": ")[1] for line in done.stderr.splitlines()) == [
        str(recordings / "bad.wav"),
        str(recordings / "cut.wav"),
    ]

    (recordings / "bad.wav").unlink()
    (recordings / "cut.wav").unlink()
    again = rillet(*arguments)
    assert (again.returncode, again.stdout, again.stderr) == (0, "0 transcribed; 3 done before.\n", "")


def test_without_recursive_only_the_folder_itself(tone_model: Path, recordings: Path, tmp_path: Path) -> None:
    batch([recordings], tmp_path / "out", tone_model, recursive=False)
    assert names_in(tmp_path / "out") == {"one.txt", "two.txt", "cut.txt"}


def test_what_changed_or_lacks_a_format_is_done_again(tone_model: Path, recordings: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert batch([recordings / "one.wav", recordings / "two.flac"], out, tone_model)[0].startswith("2 transcribed:")
    (out / "one.txt").unlink()
    later_s = (out / "two.txt").stat().st_mtime + 5
    assert batch([recordings / "one.wav", recordings / "two.flac"], out, tone_model)[0].startswith("1 transcribed:")
    os.utime(recordings / "two.flac", (later_s, later_s))
    assert batch([recordings / "one.wav", recordings / "two.flac"], out, tone_model)[0].startswith("1 transcribed:")
    found = batch([recordings / "one.wav"], out, tone_model, formats=("txt", "srt"))[0]
    assert found.startswith("1 transcribed:")


def test_a_namesake_from_another_folder_is_not_done_before(
    tone_model: Path, tmp_path: Path, speak: Speak, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        soundfile.write(tmp_path / name / "talk.wav", speak(name), 16_000)
        os.utime(tmp_path / name / "talk.wav", (1e9, 1e9))
    for name in ("first", "second", "first"):
        assert batch([tmp_path / name / "talk.wav"], out, tone_model)[0].startswith("1 transcribed:")
        assert (out / "talk.txt").read_text() == f"{name}\n"
    # each format is on its own: talk.txt is now of the first, talk.srt of the second
    assert batch([tmp_path / "second"], out, tone_model, formats=("srt",))[0].startswith("1 transcribed:")
    assert batch([tmp_path / "first"], out, tone_model)[0] == "0 transcribed; 1 done before."
    assert batch([tmp_path / "second"], out, tone_model, formats=("srt",))[0] == "0 transcribed; 1 done before."
    assert batch([tmp_path / "second"], out, tone_model, formats=("txt", "srt"))[0].startswith("1 transcribed:")
    # the same place is the same however it is called
    monkeypatch.chdir(tmp_path / "second")
    assert batch(["talk.wav"], out, tone_model)[0] == "0 transcribed; 1 done before."
    assert batch([f"file://{tmp_path}/second/talk.wav"], f"file://{out}", tone_model)[0].endswith("1 done before.")
    # an older copy that keeps its date is another recording
    soundfile.write("talk.wav", speak("third one"), 16_000)
    os.utime("talk.wav", (1e9, 1e9))
    assert batch(["talk.wav"], out, tone_model)[0].startswith("1 transcribed:")
    assert (out / "talk.txt").read_text() == "third one\n"


def test_other_settings_hear_anew(
    tone_model: Path, make_tone_model: Callable[..., Path], recordings: Path, tmp_path: Path
) -> None:
    arguments = ["transcribe", str(recordings / "two.flac"), "-o", str(tmp_path / "out")]
    other = make_tone_model(tmp_path / "other.onnx", precision="float32")
    copy = tmp_path / "copy.onnx"
    copy.write_bytes(tone_model.read_bytes())

    def summary(*more: str) -> str:
        return CliRunner().invoke(app, [*arguments, *more]).output

    for options in (
        ["--model", str(tone_model)],
        ["--model", str(other)],
        ["--model", str(tone_model), "--beam", "4"],
        ["--model", str(tone_model), "--channel", "1"],
        ["--model", str(tone_model), "--hotword", "two"],
    ):
        assert summary(*options).startswith("1 transcribed:"), options
        assert summary(*options) == "0 transcribed; 1 done before.\n", options
    assert summary("--model", str(copy), "--hotword", "two") == "0 transcribed; 1 done before.\n"  # the same inside


@pytest.fixture
def cut_recording(tmp_path: Path, speak: Speak) -> Path:
    """It breaks off in the third of four words; see `mend`."""
    (tmp_path / "cut").mkdir()
    path = tmp_path / "cut" / "talk.wav"
    mend(path, speak)
    ends = [len(speak(text)) for text in ("one two", "one two three")]
    path.write_bytes(path.read_bytes()[: 44 + sum(ends)])  # half of both, at two bytes a sample
    return path


def mend(path: Path, speak: Speak) -> None:
    soundfile.write(path, speak("one two three four"), 16_000)


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_what_was_heard_before_the_damage_is_written(
    tone_model: Path, cut_recording: Path, tmp_path: Path, speak: Speak, jobs: str
) -> None:
    out = tmp_path / "out"
    soundfile.write(cut_recording.with_name("whole.wav"), speak("whole"), 16_000)
    arguments = ["transcribe", "--model", tone_model, cut_recording.parent, "-o", out, "--format", "txt,json,srt"]
    for found in ("1 transcribed: .*; 1 failed", "0 transcribed; 1 done before; 1 failed"):
        done = rillet(*arguments, "--jobs", jobs)
        assert done.returncode == 2
        assert re.fullmatch(rf"{found}\.\n", done.stdout)
        assert "talk.wav: the file breaks off after" in done.stderr
        text = (out / "talk.txt").read_text()
        assert text.split()[:2] == ["one", "two"]
        assert "four" not in text
        assert json.loads((out / "talk.json").read_text())["text"] == text.strip()
        assert [each.content for each in srt.parse((out / "talk.srt").read_text())] == [text.strip()]
    mend(cut_recording, speak)
    assert rillet(*arguments, "--jobs", jobs).stdout.startswith("1 transcribed: ")
    assert (out / "talk.txt").read_text() == "one two three four\n"


def test_half_a_text_replaces_no_whole_one_of_the_same_recording(
    tone_model: Path, cut_recording: Path, tmp_path: Path, speak: Speak
) -> None:
    out = tmp_path / "out"
    damaged = cut_recording.read_bytes()
    mend(cut_recording, speak)
    batch([cut_recording], out, tone_model)
    cut_recording.write_bytes(damaged)
    for _ in range(2):
        assert batch([cut_recording], out, tone_model, formats=("txt", "srt"))[0] == "0 transcribed; 1 failed."
        assert (out / "talk.txt").read_text() == "one two three four\n"
        assert "four" not in (out / "talk.srt").read_text()
    namesake = tmp_path / "talk.wav"
    namesake.write_bytes(damaged)
    batch([namesake], out, tone_model)
    assert "four" not in (out / "talk.txt").read_text()
    noise = tmp_path / "in" / "talk.wav"  # of which nothing is heard
    noise.parent.mkdir()
    noise.write_text("no sound at all")
    batch([noise], out, tone_model)
    assert (out / "talk.txt").read_text().startswith("one two")


@posix
@pytest.mark.parametrize("precision", ["int8", "float32"])
def test_ctrl_c_writes_what_was_heard(
    make_tone_model: Callable[..., Path],
    tmp_path: Path,
    speak: Speak,
    monkeypatch: pytest.MonkeyPatch,
    precision: str,
) -> None:
    import rillet.pipeline.batch as module

    model, out = make_tone_model(tmp_path / "model.onnx", precision=precision), tmp_path / "out"
    for name in ("one", "two"):
        soundfile.write(tmp_path / f"{name}.wav", speak(name), 16_000)
    real = module.read_blocks

    def pressed(path: Path, channel: int | None) -> Iterator[AudioBlock]:
        yield from real(path, channel)
        os.kill(os.getpid(), signal.SIGINT)
        while True:
            yield AudioBlock(np.zeros(1_600, np.float32), 16_000)

    monkeypatch.setattr(module, "read_blocks", pressed)
    with pytest.raises(KeyboardInterrupt):
        batch([tmp_path], out, model, recursive=False)
    monkeypatch.setattr(module, "read_blocks", real)
    written = names_in(out)
    assert written
    for name in written:
        assert (out / name).read_text().strip() == name.removesuffix(".txt")
    assert batch([tmp_path], out, model, recursive=False)[0].startswith("2 transcribed:")


def test_what_was_stopped_between_result_and_record_is_done_again(
    tone_model: Path, recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import rillet.pipeline.batch as module

    out, one = tmp_path / "out", recordings / "one.wav"
    batch([one], out, tone_model)

    def killed(folder: str, relative: str, data: bytes) -> None:
        write_whole(folder, relative, data)
        raise OutputUnwritableError(relative, "this stands for a kill")

    other = recordings / "calls" / "one.wav"
    soundfile.write(other, soundfile.read(recordings / "two.flac")[0], 16_000)
    with monkeypatch.context() as patch:
        patch.setattr(module, "write_whole", killed)
        assert batch([other], out, tone_model)[0] == "0 transcribed; 1 failed."
    assert (out / "one.txt").read_text() == "number two\n"
    assert batch([one], out, tone_model)[0].startswith("1 transcribed:")
    assert (out / "one.txt").read_text() == "number one\n"


def test_names_that_would_clash(tone_model: Path, tmp_path: Path, speak: Speak) -> None:
    for name in ("a/talk.wav", "a/talk.flac", "b/talk.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        soundfile.write(tmp_path / name, speak(name[0]), 16_000)
    stems = {task.stem for task in plan([str(tmp_path)], str(tmp_path / "out"), ["txt"], "", recursive=True).tasks}
    assert stems == {"a/talk.wav", "a/talk.flac", "b/talk"}
    with pytest.raises(OutputClashError, match="would both be written to talk"):
        plan([str(tmp_path / "a" / "talk.wav"), str(tmp_path / "b" / "talk.wav")], "out", ["txt"], "", recursive=False)


def test_wrong_use_says_how(tone_model: Path, recordings: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    cases: list[tuple[list[str | Path], str]] = [
        ([recordings], "with --output a folder for all their texts"),
        ([recordings / "one.wav", "--recursive"], "this needs --output"),
        ([recordings, "--output", tmp_path / "out", "--format", "docx"], "choose of txt, json"),
        ([tmp_path / "empty", "--output", tmp_path / "out"], "there are no sound files here"),
        ([tmp_path / "none", "--output", tmp_path / "out"], "there is no such file"),
        ([recordings, "--output", tmp_path / "file"], "cannot be written"),
        ([recordings, "--output", "s4://bucket"], "this kind of address cannot be opened"),
    ]
    for arguments, sentence in cases:
        done = CliRunner().invoke(app, ["transcribe", "--model", str(tone_model), *map(str, arguments)])
        told = f"{done.output} {'' if isinstance(done.exception, SystemExit) else done.exception}"
        assert sentence in " ".join(told.replace("│", "").split())
        assert done.exit_code == 2 or isinstance(done.exception, RilletError)  # of which `main` makes a 2


@posix
def test_a_terminal_gets_a_bar(tone_model: Path, recordings: Path, tmp_path: Path) -> None:
    import pty

    parent, child = pty.openpty()
    command = [*RILLET, "transcribe", "--model", str(tone_model), str(recordings), "-o", str(tmp_path), "--jobs", "1"]
    environment = {**os.environ, "COLUMNS": "150", "TERM": "xterm"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=child, env=environment):
        os.close(child)
        seen = b""
        while True:
            try:
                piece = os.read(parent, 65_536)
            except OSError:
                break
            if not piece:
                break
            seen += piece
    os.close(parent)
    for expected in (b"of 4", b"100%", b"x real time", b"left", b"bad.wav: this is not WAV"):
        assert expected in seen


@pytest.fixture
def long_recordings(tmp_path: Path, speak: Speak) -> Path:
    folder = tmp_path / "long"
    folder.mkdir()
    for n in range(8):
        soundfile.write(folder / f"{n}.wav", np.tile(speak(f"part {'abcdefgh'[n]} "), 60), 16_000)
    return folder


@pytest.fixture
def endless_recording(long_recordings: Path) -> Path:
    """A day of silence that takes no space. The largest is heard first, so one of two workers is never done."""
    path, size = long_recordings / "endless.wav", 16_000 * 2 * 60 * 60 * 24
    header = struct.pack(
        "<4sI4s4sIHHIIHH4sI", b"RIFF", size + 36, b"WAVE", b"fmt ", 16, 1, 1, 16_000, 32_000, 2, 16, b"data", size
    )
    path.write_bytes(header)
    os.truncate(path, len(header) + size)
    return path


def running_descendants(root: int, *, group: bool = False) -> dict[int, str]:
    """Titles of the processes below one, or of its group, by number."""
    if not Path("/proc/self/stat").exists():
        pytest.skip("needs /proc to look at processes")
    found, titles = {root}, {}
    for stat in sorted(Path("/proc").glob("[0-9]*/stat"), key=lambda path: int(path.parent.name)):
        with suppress(OSError):  # it may have ended by now
            state, parent, its_group = stat.read_text().rpartition(")")[2].split()[:3]
            pid = int(stat.parent.name)
            if (int(its_group) == root if group else int(parent) in found) and state != "Z":
                found.add(pid)
                titles[pid] = (stat.parent / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    return titles


def wait_for_the_end_of_group(group: int) -> None:
    """However busy the machine is: what is left for so long stays."""
    until_s = time.monotonic() + 30
    while left := running_descendants(group, group=True):
        assert time.monotonic() < until_s, left
        time.sleep(0.02)


@posix
def test_it_goes_on_after_a_kill(
    tone_model: Path, long_recordings: Path, endless_recording: Path, tmp_path: Path, speak: Speak
) -> None:
    out = tmp_path / "out"
    arguments = ["transcribe", "--model", str(tone_model), str(long_recordings), "-o", str(out), "--jobs", "2"]
    with subprocess.Popen([*RILLET, *arguments], stdout=subprocess.DEVNULL, start_new_session=True) as process:
        while len(list(out.glob("*.txt"))) < 2 and process.poll() is None:
            time.sleep(0.02)
        process.kill()
    wait_for_the_end_of_group(process.pid)  # which nobody told to end
    before = {path: path.stat().st_mtime_ns for path in out.glob("*.txt")}
    assert len(before) >= 2
    assert out / "endless.txt" not in before
    for path in before:
        assert path.read_text().split() == ["part", "abcdefgh"[int(path.stem)]] * 60
    soundfile.write(endless_recording, speak("over"), 16_000)
    done = rillet(*arguments)
    assert done.returncode == 0
    assert {path.name for path in out.glob("*.txt")} == {"endless.txt", *(f"{n}.txt" for n in range(8))}
    assert all(path.stat().st_mtime_ns == written for path, written in before.items())


@posix
def test_ctrl_c_says_how_to_go_on(tone_model: Path, endless_recording: Path, tmp_path: Path, speak: Speak) -> None:
    out, folder = tmp_path / "out", endless_recording.parent
    with endless_recording.open("r+b") as file:
        file.seek(44)
        file.write((speak("begun") * 32_767).astype("<i2").tobytes())
    command = [*RILLET, "transcribe", "--model", str(tone_model), str(folder), "-o", str(out), "--jobs", "2"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        while len(list(out.glob("*.txt"))) < 3 and process.poll() is None:
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all processes
        printed, complained = process.communicate(timeout=300)
    assert process.returncode == 130
    assert printed == ""
    expected = r"rillet: stopped\. \d transcribed.*\. The same command does the rest, and begins anew .*\.\n"
    assert re.fullmatch(expected, complained)
    assert (out / "endless.txt").read_text() == "begun\n"  # what its worker had heard
    # Python's resource tracker ends when it sees that nobody is left, so a little later; an ending one has no title
    left = running_descendants(process.pid, group=True)
    assert [title for title in left.values() if title and "resource_tracker" not in title] == []
    wait_for_the_end_of_group(process.pid)


@posix
def test_a_worker_that_only_begins_is_deaf_to_ctrl_c(tone_model: Path, tmp_path: Path) -> None:
    """Else it would print a traceback in the midst of the parent's sentence."""
    outputs: list[Outcome] = []
    task = task_of(tmp_path / "none.wav", "none")
    hand = _Process(Setup(str(tmp_path), ("txt",), str(tone_model)))
    try:
        assert hand._process.pid is not None
        os.kill(hand._process.pid, signal.SIGINT)  # at once: it is not in Python code of ours yet
        hand.give((task,))
        outputs = hand.take()
    finally:
        hand.dismiss()
    assert [outcome.task for outcome in outputs] == [task]
    assert hand._process.exitcode == -signal.SIGTERM
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, set())  # and we are not


@posix
def test_a_killed_worker_is_replaced(tone_model: Path, long_recordings: Path, tmp_path: Path) -> None:
    import multiprocessing

    tasks = plan([str(long_recordings)], str(tmp_path / "out"), ["txt"], "", recursive=False).tasks
    outcomes = run_in_processes(Setup(str(tmp_path / "out"), ("txt",), str(tone_model)), groups_of(tasks, 1, 2), 2)
    found = [next(outcomes)]
    victim = multiprocessing.active_children()[0]
    assert victim.pid is not None
    os.kill(victim.pid, signal.SIGKILL)
    found += outcomes
    assert {outcome.task for outcome in found} == set(tasks)
    assert [outcome.error for outcome in found] == [""] * 8


class FakeHand:
    """Answers at once; dies of tasks that are called deadly, and once of those that are called risky."""

    met: ClassVar[set[str]] = set()

    def give(self, group: Group) -> None:
        self.group = group

    def take(self) -> list[Outcome]:
        for task in self.group:
            fatal = task.place == "risky" and "risky" not in self.met
            self.met.add(task.place)
            if task.place == "deadly" or fatal:
                raise WorkerDiedError("exit code -9")
        return [Outcome(task, 1.0) for task in self.group]

    def dismiss(self) -> None:
        pass


def test_a_recording_that_kills_is_named_and_its_neighbours_are_not() -> None:
    FakeHand.met.clear()
    tasks = [task_of(name, name) for name in ("fine", "risky", "deadly", "good", "well")]
    outcomes = list(dispatch([tuple(tasks[:3]), tuple(tasks[3:])], 2, FakeHand, lambda busy: busy[0]))
    assert {outcome.task.place: bool(outcome.error) for outcome in outcomes} == {
        "fine": False,
        "deadly": True,
        "risky": False,
        "good": False,
        "well": False,
    }
    assert len(outcomes) == 5


class TestRowsInOneCall:
    def test_only_where_the_words_do_not_depend_on_the_neighbours(
        self, tone_model: Path, make_tone_model: Callable[..., Path], tmp_path: Path
    ) -> None:
        floats = make_tone_model(tmp_path / "float.onnx", precision="float32")
        assert rows_for(Recognizer.load(floats).info) == ROWS
        assert rows_for(Recognizer.load(tone_model).info) == 1

    def test_the_words_are_the_same_as_alone(
        self, make_tone_model: Callable[..., Path], tmp_path: Path, speak: Speak, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        model = make_tone_model(tmp_path / "float.onnx", precision="float32")
        for n in range(11):  # of different lengths: some streams leave early
            soundfile.write(tmp_path / f"{n}.wav", speak("ab " * n + "end", 8_000), 8_000)
        (tmp_path / "5.wav").write_bytes(b"RIFF")
        sizes: list[int] = []
        step = BatchedModel._step_if_complete

        def spy(self: BatchedModel) -> None:
            rows = len(self.meeting.rows)
            step(self)
            if rows and not self.meeting.rows:
                sizes.append(rows)

        monkeypatch.setattr(BatchedModel, "_step_if_complete", spy)
        text, sentences = batch([tmp_path], tmp_path / "out", model)
        assert text.startswith("10 transcribed:")
        assert len(sentences) == 1
        assert max(sizes) == ROWS
        for n in {*range(11)} - {5}:
            assert (tmp_path / "out" / f"{n}.txt").read_text().split() == ["ab"] * n + ["end"]

    def test_an_error_of_the_model_reaches_every_stream(self, tone_model: Path) -> None:
        model = BatchedModel.share(Recognizer.load(tone_model).model, 2)
        errors: list[Exception] = []

        def run() -> None:
            try:
                model.step(np.zeros((1, 7), np.float32), model.initial_state())
            except Exception as error:
                errors.append(error)
            finally:
                model.leave()

        threads = [threading.Thread(target=run) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert len(errors) == 2


def test_sixteen_threads_hear_what_one_hears(tone_model: Path, speak: Speak) -> None:
    recogniser = Recognizer.load(tone_model)
    texts = [f"thread {'abcdefghijklmnop'[n]} of sixteen" for n in range(16)]
    rates = [8_000, 16_000, 44_100, 48_000] * 4

    def hear(n: int) -> list[Final]:
        stream, audio = recogniser.stream(), speak(texts[n], rates[n])
        events = [e for piece in np.array_split(audio, 50 + n) for e in stream.accept(piece, rates[n])]
        return [event for event in [*events, *stream.finish()] if isinstance(event, Final)]

    alone = [hear(n) for n in range(16)]
    assert [" ".join(final.text for final in finals) for finals in alone] == texts
    together: dict[int, list[Final]] = {}
    start = threading.Barrier(16)

    def run(n: int) -> None:
        start.wait()
        together[n] = hear(n)

    threads = [threading.Thread(target=run, args=(n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [together[n] for n in range(16)] == alone  # to the last bit of every confidence


class TestAddresses:
    @pytest.fixture(autouse=True)
    def _forget(self) -> Iterator[None]:
        yield
        files = fsspec.filesystem("memory")
        for name in files.find("/"):
            files.rm_file(name)

    def test_from_memory_to_memory(self, tone_model: Path, recordings: Path) -> None:
        files = fsspec.filesystem("memory")
        for name in names_in(recordings):
            files.pipe_file(f"/in/{name}", (recordings / name).read_bytes())
        text, sentences = batch(["memory://in"], "memory://out/texts", tone_model, formats=("txt", "srt"))
        assert text.startswith("3 transcribed:")
        assert len(sentences) == 2
        assert all(sentence.startswith("memory://") for sentence in sentences)
        stems = ("one", "two", "calls/old/three")
        written = {name for name in files.find("/out") if "/.rillet/" not in name}
        assert written == {f"/out/texts/{stem}.{name}" for stem in (*stems, "cut") for name in ("txt", "srt")}
        assert files.cat_file("/out/texts/calls/old/three.txt") == b"number three\n"
        again, _ = batch(["memory://in"], "memory://out/texts", tone_model, formats=("txt", "srt"))
        assert again == "0 transcribed; 3 done before; 2 failed."
        assert [each.relative for each in find("memory://in", recursive=False)] == [
            "bad.wav",
            "cut.wav",
            "one.wav",
            "two.flac",
        ]

    def test_from_the_web(self, tone_model: Path, recordings: Path, tmp_path: Path) -> None:
        handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(recordings))
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            address = f"http://127.0.0.1:{server.server_port}"
            try:
                out = tmp_path / "out"
                places = [f"{address}/one.wav", f"{address}/calls/old/"]
                text, sentences = batch(places, f"file://{out}", tone_model)
                assert (text[:13], sentences) == ("2 transcribed", [])
                assert (out / "three.txt").read_text() == "number three\n"
                with pytest.raises(AudioFileNotFoundError):
                    batch([f"{address}/none.wav"], out, tone_model)
                with pytest.raises(OutputUnwritableError):
                    batch([recordings], f"{address}/out", tone_model)
                printed = rillet("transcribe", "--model", tone_model, f"{address}/one.wav")
                assert (printed.returncode, printed.stdout) == (0, "number one\n")
            finally:
                server.shutdown()

    def test_without_fsspec_it_says_what_to_install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "fsspec", None)
        with pytest.raises(MissingRemoteError, match=r"pip install 'rillet\[remote\]'"):
            find("s3://bucket", recursive=False)


def test_a_result_appears_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_whole(str(tmp_path), "a/b.txt", b"old")

    def full(self: Path, data: bytes) -> int:
        with self.open("wb") as file:
            file.write(data[:1])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputUnwritableError, match="No space left"):
        write_whole(str(tmp_path), "a/b.txt", b"new")
    assert (tmp_path / "a" / "b.txt").read_bytes() == b"old"


def test_a_bug_in_one_recording_does_not_stop_the_rest(
    tone_model: Path, recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import rillet.pipeline.batch as module

    real = module.read_blocks

    def buggy(path: Path, channel: int | None) -> object:
        if path.name == "one.wav":
            raise ZeroDivisionError("division by zero")
        return real(path, channel)

    monkeypatch.setattr(module, "read_blocks", buggy)
    worker = Worker(Setup(str(tmp_path / "out"), ("txt",), str(tone_model)))
    outcomes = worker.run([task_of(recordings / name, name) for name in ("one.wav", "two.flac")])
    assert [outcome.error for outcome in outcomes] == [f"{recordings}/one.wav: ZeroDivisionError: division by zero", ""]


def test_durations_for_people() -> None:
    assert [duration(s) for s in (8.26, 59.0, 725, 12_000)] == ["8.3 s", "59.0 s", "12 min 5 s", "3 h 20 min"]


@pytest.mark.slow
def test_ray_with_a_killed_worker(tone_model: Path, long_recordings: Path, tmp_path: Path) -> None:
    """A local Ray of two workers, of which one is killed in the middle; then the rest is done before."""
    ray = pytest.importorskip("ray")
    ray.init(num_cpus=2, log_to_driver=False, include_dashboard=False, logging_level=logging.ERROR)
    try:
        (long_recordings / "bad.wav").write_text("no sound")
        killed = threading.Event()

        def kill_one() -> None:
            while not list((tmp_path / "out").glob("*.txt")):
                time.sleep(0.05)
            workers: list[int] = []
            while not workers:  # one may be between two recordings
                titles = running_descendants(os.getpid())
                workers = [pid for pid, title in titles.items() if "ray::Worker.run" in title]
            os.kill(workers[0], signal.SIGKILL)
            killed.set()

        threading.Thread(target=kill_one, daemon=True).start()
        text, sentences = batch([long_recordings], tmp_path / "out", tone_model, engine="ray", jobs=2)
        assert killed.is_set()
        assert text.startswith("8 transcribed:")
        assert text.endswith("1 failed.")
        assert len(sentences) == 1
        for n in range(8):
            assert (tmp_path / "out" / f"{n}.txt").read_text().split() == ["part", "abcdefgh"[n]] * 60
        again, _ = batch([long_recordings], tmp_path / "out", tone_model, engine="ray", jobs=2)
        assert again == "0 transcribed; 8 done before; 1 failed."
    finally:
        ray.shutdown()
