"""`rillet listen` on pipes, and its parts without a device; real devices are in test_microphone.py."""

import io
import json
import os
import re
import shlex
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace, TracebackType

import numpy as np
import numpy.typing as npt
import pytest
import soundfile  # type: ignore[import-untyped]
from rich.console import Console
from rillet.pipeline import AudioError, EndpointRules, Event, Final, Partial, Recognizer, RilletError, Word
from rillet.pipeline.capture import QUEUE_S, STOP_S, Block, BlockQueue
from rillet.pipeline.capture_errors import DeviceLostError
from rillet.pipeline.cli import app
from rillet.pipeline.errors import FileInPipeError
from rillet.pipeline.level import Level
from rillet.pipeline.listen import Listener, open_output
from rillet.pipeline.live_display import PlainDisplay, Status, TerminalDisplay
from rillet.pipeline.microphone import Device, LossClock, Microphone
from rillet.pipeline.pcm_pipe import PcmPipe
from rillet.pipeline.resample import resampler_between
from rillet.pipeline.samples import to_mono
from typer.testing import CliRunner

FloatArray = npt.NDArray[np.float32]
Speak = Callable[..., FloatArray]
RILLET = [sys.executable, "-m", "rillet.pipeline.cli"]
posix = pytest.mark.skipif(os.name == "nt", reason="signals and pipes of POSIX")
full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is Linux's")


def s16(audio: FloatArray) -> bytes:
    return (audio * 32767).astype("<i2").tobytes()


def silence(time_s: float, rate_hz: int = 16_000) -> FloatArray:
    return np.zeros(round(time_s * rate_hz), np.float32)


def listen(tone_model: Path, *arguments: str | Path, stdin: bytes = b"") -> subprocess.CompletedProcess[str]:
    command = [*RILLET, "listen", "--model", str(tone_model), *map(str, arguments)]
    done = subprocess.run(command, input=stdin, capture_output=True, timeout=300, check=False)
    return subprocess.CompletedProcess(command, done.returncode, done.stdout.decode(), done.stderr.decode())


class TestPipes:
    def test_raw_samples(self, tone_model: Path, speak: Speak) -> None:
        sound = np.concatenate([speak("hello world"), silence(1.2), speak("bye")])
        done = listen(tone_model, "-", stdin=s16(sound))
        assert (done.returncode, done.stdout, done.stderr) == (0, "hello world\nbye\n", "")

    def test_rate_format_channel(self, tone_model: Path, speak: Speak) -> None:
        both = np.stack([speak("left", 44_100), speak("then", 44_100)], axis=1).astype("<f4")
        options = ["--rate", "44100", "--format", "f32", "--channels", "2", "--channel", "2"]
        assert listen(tone_model, "-", *options, stdin=both.tobytes()).stdout == "then\n"

    @pytest.mark.parametrize(("subtype", "extensible"), [("PCM_16", False), ("FLOAT", False), ("PCM_16", True)])
    def test_a_wav_header_says_better(
        self, tone_model: Path, speak: Speak, tmp_path: Path, subtype: str, extensible: bool
    ) -> None:
        path = tmp_path / "a.wav"
        both = np.stack([speak("header", 48_000)] * 2, axis=1)
        soundfile.write(path, both, 48_000, subtype=subtype, format="WAVEX" if extensible else "WAV")
        done = listen(tone_model, "-", stdin=path.read_bytes())
        assert (done.stdout, done.stderr) == ("header\n", "")

    def test_a_wav_stream_that_cannot_be_used(self, tone_model: Path) -> None:
        header = b"RIFF\xff\xff\xff\xffWAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 16_000, 16_000, 1, 8) + b"data"
        done = listen(tone_model, "-", stdin=header + b"\xff\xff\xff\xff" + bytes(100))
        assert done.returncode == 2
        assert done.stderr.startswith("rillet: standard input: this WAV stream cannot be used (it has 8 bits")
        assert done.stderr.count("\n") == 1

    @pytest.mark.parametrize(
        ("beginning", "kind"),
        [
            (b"fLaC\0\0\0\x22", "a FLAC file"),
            (b"OggS\0\x02\0\0", "an Ogg file"),
            (b"ID3\x04\0\0\0\0", "an MP3 file"),
            (b"\0\0\0\x20ftypM4A ", "an MP4 or M4A file"),
            (b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81", "a WebM or Matroska file"),
            ("Gehört, gelesen.\r\n".encode() * 20, "text"),
        ],
    )
    def test_a_file_is_not_taken_for_samples(self, beginning: bytes, kind: str) -> None:
        for pieces in ([beginning + bytes(1000)], [beginning[:3], beginning[3:9], beginning[9:], bytes(1000)]):
            with pytest.raises(FileInPipeError, match=f"^standard input: this is {kind} and no raw samples"):
                list(PcmPipe("-")._blocks_of(iter(pieces)))

    def test_a_short_text_is_no_sound(self, tone_model: Path) -> None:
        done = listen(tone_model, "-", stdin=b"hello, do you hear me?\n")
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
        assert "standard input: this is text and no raw samples" in done.stderr

    @pytest.mark.parametrize("sent", [b"", b"ab", b"RIFT" + bytes(20), b"ID3" + bytes(9), b"hello, do you" + bytes(5)])
    def test_samples_arrive_whole_however_they_begin(self, sent: bytes) -> None:
        for pieces in ([sent], [sent[i : i + 1] for i in range(len(sent))]):
            blocks = [block.samples.tobytes() for block in PcmPipe("-")._blocks_of(iter(pieces)) if block]
            assert b"".join(blocks) == sent[: len(sent) // 2 * 2]

    @full
    def test_a_full_disk_is_one_sentence(self, tone_model: Path, speak: Speak) -> None:
        command = [*RILLET, "listen", "-", "--model", str(tone_model)]
        with open("/dev/full", "wb") as nowhere:
            done = subprocess.run(
                command, input=s16(speak("hello")), stdout=nowhere, stderr=subprocess.PIPE, timeout=300, check=False
            )
        assert (done.returncode, done.stderr.count(b"\n")) == (2, 1)
        assert done.stderr.startswith(b"rillet: the output: not all of it could be written (No space")

    def test_what_was_said_before_bad_samples_is_kept(self, tone_model: Path, speak: Speak) -> None:
        sound = speak("so far").astype("<f4").tobytes() + np.full(3_000, np.nan, "<f4").tobytes()
        done = listen(tone_model, "-", "--format", "f32", stdin=sound)
        assert (done.returncode, done.stdout) == (2, "so far\n")
        assert "NaN" in done.stderr

    @posix
    def test_a_named_pipe(self, tone_model: Path, speak: Speak, tmp_path: Path) -> None:
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        command = [*RILLET, "listen", "--model", str(tone_model), str(pipe)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            pipe.write_bytes(s16(speak("through a pipe")))
            assert process.communicate(timeout=300)[0] == b"through a pipe\n"
            assert process.returncode == 0

    def test_no_pipe(self, tmp_path: Path) -> None:
        (tmp_path / "a.wav").touch()
        for path, sentence in [("a.wav", "read it with: rillet transcribe"), ("b", "there is no such file")]:
            with pytest.raises(AudioError, match=sentence):
                PcmPipe(str(tmp_path / path))

    def test_json(self, tone_model: Path, speak: Speak) -> None:
        sound = np.concatenate([speak("one two"), silence(1.2)])
        events = [json.loads(line) for line in listen(tone_model, "-", "--json", stdin=s16(sound)).stdout.splitlines()]
        assert [event["type"] for event in events][-2:] == ["final", "final"]
        assert {"partial", "final"} == {event["type"] for event in events}
        final = events[-2]
        assert (final["text"], final["reason"], final["utterance"]) == ("one two", "silence", 0)
        assert [word["text"] for word in final["words"]] == ["one", "two"]

    def test_the_pause_can_be_chosen(self, tone_model: Path, speak: Speak) -> None:
        sound = s16(np.concatenate([speak("one "), silence(1.2), speak("two")]))
        assert listen(tone_model, "-", "--endpoint-silence", "2", stdin=sound).stdout == "one two\n"
        done = listen(tone_model, "-", "--endpoint-silence", "0", stdin=sound)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)

    def test_zeros_get_a_hint_once(self, tone_model: Path, speak: Speak) -> None:
        short = listen(tone_model, "-", stdin=s16(np.concatenate([silence(1.9), speak("a")])))
        assert short.stderr == ""
        long = listen(tone_model, "-", stdin=s16(np.concatenate([silence(9), speak("a"), silence(3)])))
        assert long.stderr.count("digital silence") == 1
        assert long.stdout == "a\n"


class TestFiles:
    def test_the_saved_sound_gives_the_same_text(self, tone_model: Path, speak: Speak, tmp_path: Path) -> None:
        noise = np.random.default_rng(0).normal(0, 0.02, 44_100 * 5)
        noise[: 44_100 * 4] += np.concatenate([speak("exactly what", 44_100), silence(4, 44_100)])[: 44_100 * 4]
        saved = tmp_path / "saved.wav"
        done = listen(tone_model, "-", "--rate", "44100", "--save-audio", saved, stdin=s16(noise.clip(-1, 1)))
        assert soundfile.info(saved).samplerate == 16_000
        assert soundfile.info(saved).frames == 5 * 16_000
        recogniser = Recognizer.load(tone_model)
        again = [event for event in recogniser.events(saved) if isinstance(event, Final) and event.words]
        assert [final.text for final in again] == done.stdout.splitlines()
        sent = (noise.clip(-1, 1) * 32767).astype(np.int16)
        assert recogniser.transcribe(saved) == recogniser.transcribe(sent, 44_100)  # words, times and confidences
        resampler = resampler_between(44_100, 16_000)
        most, state = resampler.step(to_mono(sent), resampler.start())
        exactly = np.concatenate([most, resampler.finish(state)[0]])
        np.testing.assert_array_equal(soundfile.read(saved, dtype="float32")[0], exactly)

    @posix
    @pytest.mark.parametrize("ending", ["txt", "jsonl", "srt", "vtt"])
    def test_what_is_over_survives_a_kill(self, tone_model: Path, speak: Speak, tmp_path: Path, ending: str) -> None:
        output = tmp_path / f"notes.{ending}"
        command = [*RILLET, "listen", "-", "--model", str(tone_model), "--output", str(output)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(s16(np.concatenate([speak("kept"), silence(1.5), speak("lost for ever")])))
            process.stdin.flush()
            assert process.stdout.readline() == b"kept\n"
            process.kill()
        text = output.read_text()
        assert "kept" in text
        assert "lost" not in text
        assert text.endswith("\n")

    def test_outputs_that_cannot_be(self, tone_model: Path, tmp_path: Path) -> None:
        for name in ("notes.json", "notes.doc", "missing/notes.txt"):
            with pytest.raises(RilletError, match=name):
                open_output(tmp_path / name)
        done = listen(tone_model, "-", "--save-audio", tmp_path / "missing" / "a.wav")
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)


@posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_prints_the_final(
    tone_model: Path, speak: Speak, number: signal.Signals, patience: Callable[[float], float]
) -> None:
    command = [*RILLET, "listen", "-", "--json", "--model", str(tone_model)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(s16(np.concatenate([speak("not over"), silence(0.5)])))
        process.stdin.flush()
        while json.loads(process.stdout.readline())["volatile"] != "over":
            pass
        process.send_signal(number)
        started_s = time.monotonic()
        hanging = threading.Timer(120, process.kill)  # so that a broken one fails
        hanging.start()
        final = json.loads(process.stdout.read().splitlines()[-1])
        assert (final["type"], final["text"], final["reason"]) == ("final", "not over", "finish")
        assert (process.wait(300), process.stderr.read()) == (0, b"")
        took_s = time.monotonic() - started_s
        hanging.cancel()
    assert took_s < patience(1)


@posix
def test_the_reader_goes_away(tone_model: Path, speak: Speak) -> None:
    command = [*RILLET, "listen", "-", "--model", str(tone_model)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        process.stdin.write(s16(np.concatenate([speak("nobody"), silence(1.5)])))
        process.stdin.flush()
        assert (process.wait(300), process.stderr.read()) == (141, b"")
        process.stdin.close()


# ---- Parts ----------------------------------------------------------------------------------------------------------


class Recorder(PlainDisplay):
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.hints: list[str] = []
        self.last = Status()

    def show(self, event: Event) -> None:
        self.events.append(event)

    def status(self, status: Status) -> None:
        self.last = status

    def hint(self, sentence: str) -> None:
        self.hints.append(sentence)


class Source:
    """Blocks from a list; then the error, if there is one."""

    name = "a source"
    lag_s = 0.25

    def __init__(self, blocks: list[Block | None], rate_hz: int = 16_000, error: AudioError | None = None) -> None:
        self._blocks = blocks
        self.rate_hz = rate_hz
        self._error = error

    def blocks(self) -> Iterator[Block | None]:
        yield from self._blocks
        if self._error:
            raise self._error

    def stop(self) -> None: ...

    def __enter__(self) -> "Source":
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None: ...


def run(tone_model: Path, source: Source, save_audio: Path | None = None) -> Recorder:
    display = Recorder()
    recogniser = Recognizer.load(tone_model)
    Listener(recogniser, source, display, endpoints=EndpointRules(), save_audio=save_audio).run()
    return display


@pytest.mark.parametrize("rate_hz", [16_000, 44_100])
def test_lost_sound_becomes_silence_and_times_stay_true(
    tone_model: Path, speak: Speak, tmp_path: Path, rate_hz: int
) -> None:
    saved = tmp_path / "saved.wav"
    blocks: list[Block | None] = [Block(speak("one ", rate_hz)[:, None]), None]
    blocks += [Block(speak("two", rate_hz)[:, None], lost_frames=round(2.5 * rate_hz))]
    display = run(tone_model, Source(blocks, rate_hz), saved)
    words = [word for event in display.events if isinstance(event, Final) for word in event.words]
    assert [word.text for word in words] == ["one", "two"]
    assert words[1].start_s == pytest.approx(0.8 + 2.5, abs=0.041)
    assert soundfile.info(saved).duration == pytest.approx(0.8 + 2.5 + 0.6, abs=0.001)
    assert display.last == Status(display.last.level_dbfs, 0.25, 2.5)
    assert len(display.hints) == 2  # when it begins, and the sum at the end
    assert "2.5 s of sound were lost" in display.hints[1]


def test_unplugging_ends_with_what_was_said(tone_model: Path, speak: Speak) -> None:
    display = Recorder()
    source = Source([Block(speak("so far")[:, None])], error=DeviceLostError("USB"))
    with pytest.raises(DeviceLostError, match="USB: the microphone is gone"):
        Listener(Recognizer.load(tone_model), source, display, endpoints=EndpointRules()).run()
    assert [event.text for event in display.events if isinstance(event, Final)] == ["so far"]


def test_stop_does_not_wait_for_a_slow_recogniser(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now_s)
    source = BlockQueue(500)
    for _ in range(500):
        source._queue.put(Block(np.zeros((320, 1), np.float32)))
    heard = 0
    for _ in source.blocks():
        heard += 1
        if heard == 3:
            source.stop()
        now_s += 0.02  # as long as the block
    assert heard == pytest.approx(3 + STOP_S / 0.02, abs=1)


def test_the_readme_names_options_that_exist() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    commands = re.findall(r"^\$ (?:.*\| )?rillet ((?:listen|devices|doctor).*)$", readme, re.MULTILINE)
    assert {command.split()[0] for command in commands} == {"listen", "devices", "doctor"}
    for command in commands:
        done = CliRunner().invoke(app, [*shlex.split(command), "--help"])
        assert done.exit_code == 0, done.output


class TestCallback:
    """What PortAudio's thread does."""

    device = Device(0, "USB", "ALSA", channels=1, rate_hz=16_000, is_default=True)

    @staticmethod
    def call(microphone: Microphone, value: float, overflow: bool = False) -> None:
        samples = np.full((320, 1), value, np.float32)
        microphone._hear(samples, 320, None, SimpleNamespace(input_overflow=overflow))
        samples[:] = np.nan  # PortAudio uses its buffer again

    def test_a_full_queue_drops_and_counts(self) -> None:
        microphone, room = Microphone(self.device), round(QUEUE_S / 0.02)
        for n in range(room + 7):
            self.call(microphone, n / 1_000)
        assert microphone.lag_s == pytest.approx(QUEUE_S)
        blocks = microphone.blocks()
        first = next(blocks)
        assert first is not None
        assert (first.samples[0, 0], first.lost_frames) == (0, 0)
        self.call(microphone, 0.9)
        rest = [next(blocks) for _ in range(room)]
        lost = [block.lost_frames for block in rest if block]
        assert lost == [0] * (room - 1) + [7 * 320]
        assert rest[-1] is not None
        assert rest[-1].samples[0, 0] == np.float32(0.9)

    def test_the_clock_measures_what_an_overflow_lost(self) -> None:
        rng, clock, now_s = np.random.default_rng(0), LossClock(16_000), 100.0
        for n in range(9_000):
            overflow = n in (1_000, 8_000)
            now_s += 0.02002 + (1.5 if overflow else 0)  # a device that is a little slow
            late_s = rng.uniform(0, 0.03)  # blocks come late, for other things are going on
            if 3_000 < n < 3_020 or 7_990 < n < 8_000:
                late_s += 0.5  # sometimes very much so, without loss
            lost_frames = clock.tick(now_s + late_s, 320, overflow)
            if overflow:
                assert lost_frames / 16_000 == pytest.approx(1.5, abs=0.06)
            else:
                assert lost_frames == 0

    def test_the_clock_notices_what_was_lost_without_a_word(self) -> None:
        rng, clock, found_s, free_s = np.random.default_rng(0), LossClock(16_000), dict[float, float](), 0.0
        for n in range(10_000):
            made_s = n * 0.02002
            if 100 < made_s < 102.5 or 150 < made_s < 152.5:
                continue  # lost
            stopped = 60 < made_s < 65 or 150 < made_s < 155  # this process, while the sound system keeps the sound
            comes_s = (65.0 if made_s < 65 else 155.0) if stopped else made_s + rng.uniform(0, 0.03)
            if 60.1 < made_s < 65:
                comes_s = 67.0  # it wakes slowly
            free_s = max(comes_s, free_s + 0.001)  # blocks that have waited come one after the other
            lost_frames = clock.tick(free_s, 320, overflow=False)
            if lost_frames:
                found_s[made_s] = lost_frames / 16_000
        assert list(found_s.values()) == pytest.approx([2.5, 2.5], abs=0.06)
        assert list(found_s) == pytest.approx([103.5, 156.1], abs=0.06)  # a second after blocks come regularly again

    def test_an_overflow_is_a_loss(self, monkeypatch: pytest.MonkeyPatch) -> None:
        microphone, now_s = Microphone(self.device), 100.0
        monkeypatch.setattr(time, "monotonic", lambda: now_s)
        self.call(microphone, 0.1)
        now_s += 0.52
        self.call(microphone, 0.2, overflow=True)
        found = [microphone._queue.get_nowait() for _ in range(2)]
        assert [block.lost_frames for block in found if block] == [0, 8_000]


class TestTerminal:
    @pytest.fixture
    def console(self) -> Console:
        return Console(file=io.StringIO(), force_terminal=True, width=60, height=10, color_system="standard")

    @staticmethod
    def printed(console: Console) -> str:
        assert isinstance(console.file, io.StringIO)
        return console.file.getvalue()

    def test_committed_is_bright_and_volatile_dim(self, console: Console) -> None:
        display = TerminalDisplay(console)
        display.show(Partial(0, "this is", "cert", ()))
        assert "\x1b[1mthis is\x1b[0m" in self.printed(console)
        assert "\x1b[2mcert\x1b[0m" in self.printed(console)
        display.close()

    def test_one_line_per_utterance_and_none_for_silence(self, console: Console) -> None:
        display = TerminalDisplay(console)
        word = Word("x", 0, 1, 1)
        for number, text in enumerate(["first", "", "second [bold]"]):
            display.show(Partial(number, text, "", ()))
            display.show(Final(number, text, (word,) if text else (), "silence"))
        display.close()
        assert self.printed(console).count("second [bold]\n") == 1
        lines = [line for line in self.printed(console).splitlines() if line.strip() == ""]
        assert lines == []

    def test_level_lag_and_loss(self, console: Console) -> None:
        display = TerminalDisplay(console)
        display._shown_s = 0
        display.status(Status(-23.4, 0.7, 1.2))
        assert "-23 dBFS  lag 0.7 s" in self.printed(console)
        assert "lost 1.2 s" in self.printed(console)
        display.close()

    def test_a_long_utterance_shows_its_end(self, console: Console) -> None:
        display = TerminalDisplay(console)
        display.show(Partial(0, "begin " + "word " * 400, "end", ()))
        assert "end" in self.printed(console)
        assert "begin" not in self.printed(console)
        display.close()


class TestLevel:
    def test_figures(self) -> None:
        sine = np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000).astype(np.float32)
        level = Level.of(0.5 * sine[:8_000]) + Level.of(0.5 * sine[8_000:] + 0.1)
        assert level.peak_dbfs == pytest.approx(20 * np.log10(0.6), abs=0.01)
        assert level.dc == pytest.approx(0.05, abs=1e-4)
        assert Level.of(sine).rms_dbfs == pytest.approx(-3.01, abs=0.01)
        assert Level.of((2 * sine).clip(-1, 1)).clipped_share == pytest.approx(2 / 3, abs=0.01)

    @pytest.mark.parametrize(
        ("sound", "advice"),
        [
            (np.zeros(100), "digital silence"),
            (np.ones(100), "too loud"),
            (np.full(100, 0.1), "constant offset"),
            (np.tile([1e-4, -1e-4], 50), "very quiet"),
            (np.tile([0.1, -0.1], 50), ""),
        ],
    )
    def test_advice(self, sound: npt.NDArray[np.float64], advice: str) -> None:
        found = Level.of(sound.astype(np.float32)).advice()
        assert advice in found
        assert bool(advice) == bool(found)
