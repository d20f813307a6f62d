"""`rillet listen`, `devices` and `doctor` with a real sound system: PulseAudio, whose null sink is heard as microphone.

A recording is played into it in real time while rillet runs as a user runs it. PortAudio reaches PulseAudio through the
`pulse` plugin of ALSA. Debian: apt install pulseaudio pulseaudio-utils libasound2-plugins libportaudio2
"""

import difflib
import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile  # type: ignore[import-untyped]
from rillet.pipeline import SHIPPED_SAMPLE, microphone
from rillet.pipeline.capture_errors import DeviceAmbiguousError, DeviceNotFoundError, NoMicrophoneError
from rillet.pipeline.doctor import device_lines
from rillet.pipeline.errors import ChannelError
from rillet.pipeline.microphone import Device
from rillet.pipeline.model_file import SHIPPED_MODEL

Speak = Callable[..., npt.NDArray[np.float32]]
RILLET = [sys.executable, "-m", "rillet.pipeline.cli"]
RATE_HZ = 44_100
TOOLS = ("pulseaudio", "pactl", "paplay")
PLUGIN = "alsa-lib/libasound_module_pcm_pulse.so"


def _missing() -> str:
    """What the sound system lacks for these tests."""
    tools = [tool for tool in TOOLS if not shutil.which(tool)]
    if tools:
        return f"{', '.join(tools)} not installed"
    try:
        import sounddevice  # type: ignore[import-untyped]  # noqa: F401
    except OSError:
        return "PortAudio not installed"
    if not any(Path("/usr/lib").glob(f"*/{PLUGIN}")) and not any(Path("/usr").glob(f"lib*/{PLUGIN}")):
        return "libasound2-plugins not installed"
    return ""


needs_sound_system = pytest.mark.skipif(bool(_missing()), reason=_missing() or "all is there")


def in_real_time(test: Callable[..., None]) -> Callable[..., None]:
    """Three attempts: on a busy machine the player and the sound system lose sound too, before rillet can hear it.

    Each failure is among pytest's warnings.
    """

    @functools.wraps(test)
    def attempts(**fixtures: object) -> None:
        for attempt in (1, 2):
            try:
                return test(**fixtures)
            except AssertionError as failure:
                warnings.warn(f"attempt {attempt} of {test.__name__} failed: {failure}", stacklevel=2)
        return test(**fixtures)

    return attempts


@dataclass
class SoundSystem:
    """A PulseAudio server of our own."""

    environment: dict[str, str]

    def pactl(self, *arguments: str) -> str:
        done = subprocess.run(
            ["pactl", *arguments], env=self.environment, capture_output=True, text=True, timeout=120, check=True
        )
        return done.stdout.strip()

    def play(self, path: Path) -> None:
        """Until the last sample has been played."""
        subprocess.run(["paplay", str(path)], env=self.environment, timeout=300, check=True)

    @contextmanager
    def playing(self, path: Path) -> Iterator[subprocess.Popen[bytes]]:
        """As long as it is needed."""
        with subprocess.Popen(["paplay", str(path)], env=self.environment, stderr=subprocess.DEVNULL) as player:
            try:
                yield player
            finally:
                player.kill()

    def rillet(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*RILLET, *map(str, arguments)],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    @contextmanager
    def listening(self, *arguments: str | Path) -> Iterator["Listening"]:
        """`rillet listen`, from when it hears: then it says that there are only zeros."""
        process = subprocess.Popen(
            [*RILLET, "listen", *map(str, arguments)],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stderr is not None
            assert "digital silence" in process.stderr.readline()
            yield Listening(process)
        finally:
            process.kill()
            process.communicate()


class Listening:
    """Its lines, as they come."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    def wait_for(self, text: str) -> None:
        deadline_s = time.monotonic() + 120
        while not any(text in line for line in self.lines):
            assert time.monotonic() < deadline_s, self.lines
            time.sleep(0.02)

    @staticmethod
    def hear_more(saved: Path, time_s: float) -> None:
        """Until it has heard so much more sound, which it saves there."""
        enough = saved.stat().st_size + round(time_s * 16_000 * 4)
        deadline_s = time.monotonic() + 120
        while saved.stat().st_size < enough:
            assert time.monotonic() < deadline_s
            time.sleep(0.02)

    def end(self) -> tuple[int, str, float]:
        """Exit code, the rest of standard error, and seconds until it was over."""
        started_s = time.monotonic()
        code = self.process.wait(120)
        took_s = time.monotonic() - started_s
        self._thread.join()
        assert self.process.stderr is not None
        return code, self.process.stderr.read(), took_s


@pytest.fixture(scope="module")
def sound_system() -> Iterator[SoundSystem]:
    with tempfile.TemporaryDirectory(prefix="rillet") as folder:  # short, for sockets have short names
        home, runtime = Path(folder, "home"), Path(folder, "run")
        home.mkdir()
        runtime.mkdir(mode=0o700)
        (home / ".asoundrc").write_text("pcm.!default { type pulse }\nctl.!default { type pulse }\n")
        environment = {**os.environ, "HOME": str(home), "XDG_RUNTIME_DIR": str(runtime), "OMP_NUM_THREADS": "1"}
        for name in ("PULSE_SERVER", "PULSE_RUNTIME_PATH", "DBUS_SESSION_BUS_ADDRESS"):
            environment.pop(name, None)
        options = ["-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no", "--log-level=error"]
        options += ["--load=module-native-protocol-unix", "--load=module-null-sink sink_name=speaker rate=48000"]
        with subprocess.Popen(["pulseaudio", *options], env=environment, stderr=subprocess.DEVNULL) as server:
            try:
                system = SoundSystem(environment)
                for _ in range(600):
                    time.sleep(0.1)
                    try:
                        system.pactl("info")
                        break
                    except subprocess.CalledProcessError:
                        assert server.poll() is None, "PulseAudio does not start"
                yield system
            finally:
                server.terminate()


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory, speak: Speak) -> Path:
    path = tmp_path_factory.mktemp("audio") / "hello.wav"
    pause = np.zeros(round(1.2 * RATE_HZ), np.float32)
    soundfile.write(path, np.concatenate([speak("hello world", RATE_HZ), pause, speak("good bye", RATE_HZ)]), RATE_HZ)
    return path


@pytest.fixture(scope="module")
def long_recording(tmp_path_factory: pytest.TempPathFactory, speak: Speak) -> Path:
    path = tmp_path_factory.mktemp("audio") / "long.wav"
    soundfile.write(path, speak("hello world " * 25, RATE_HZ), RATE_HZ)  # a minute
    return path


@needs_sound_system
@in_real_time
def test_a_recording_is_heard_as_it_is_played(
    sound_system: SoundSystem,
    tone_model: Path,
    recording: Path,
    tmp_path: Path,
    patience: Callable[[float], float],
) -> None:
    saved, written = tmp_path / "saved.wav", tmp_path / "words.jsonl"
    with sound_system.listening("--model", tone_model, "--save-audio", saved, "--output", written) as listening:
        player = threading.Thread(target=sound_system.play, args=(recording,))
        player.start()
        listening.wait_for("hello world")
        assert player.is_alive()  # the text came while the recording went on
        player.join()
        listening.hear_more(saved, 0.5)  # it is on its way through the sound system
        listening.process.send_signal(signal.SIGINT)
        code, complaints, took_s = listening.end()
    assert listening.lines == ["hello world", "good bye"]
    assert (code, complaints) == (0, "")
    assert took_s < patience(1)

    words = [word for line in written.read_text().splitlines() for word in json.loads(line)["words"]]
    begin_s = words[0]["start_s"]
    assert [word["start_s"] - begin_s for word in words] == pytest.approx([0, 1.2, 3.4, 4.4], abs=0.09)
    again = sound_system.rillet("transcribe", "--model", tone_model, saved)
    assert again.stdout == "hello world good bye\n"


@needs_sound_system
@in_real_time
def test_a_stopped_process_goes_on(sound_system: SoundSystem, tone_model: Path, speak: Speak, tmp_path: Path) -> None:
    """Ctrl-Z and fg: the sound system keeps the sound so long, and the microphone is not gone."""
    recording, saved, written = tmp_path / "recording.wav", tmp_path / "saved.wav", tmp_path / "words.jsonl"
    pause = np.zeros(9 * RATE_HZ, np.float32)
    soundfile.write(recording, np.concatenate([speak("hello", RATE_HZ), pause, speak("world", RATE_HZ)]), RATE_HZ)
    with sound_system.listening("--model", tone_model, "--save-audio", saved, "--output", written) as listening:
        player = threading.Thread(target=sound_system.play, args=(recording,))
        player.start()
        listening.wait_for("hello")
        listening.process.send_signal(signal.SIGSTOP)
        time.sleep(microphone.GONE_S + 1)
        listening.process.send_signal(signal.SIGCONT)
        player.join()
        listening.hear_more(saved, 0.5)
        listening.process.send_signal(signal.SIGINT)
        code, complaints, _ = listening.end()
    assert listening.lines == ["hello", "world"]
    assert (code, complaints) == (0, "")
    first, second = (json.loads(line)["words"][0] for line in written.read_text().splitlines())
    assert second["start_s"] - first["start_s"] == pytest.approx(10, abs=0.3)


@needs_sound_system
@pytest.mark.slow
@in_real_time
def test_sound_that_is_lost_without_a_word_is_missed(
    sound_system: SoundSystem, tone_model: Path, speak: Speak, tmp_path: Path
) -> None:
    """The sound system keeps some ten seconds of a stopped process's sound, and says nothing of the rest."""
    recording, written = tmp_path / "recording.wav", tmp_path / "words.jsonl"
    pause = np.zeros(35 * RATE_HZ, np.float32)
    soundfile.write(recording, np.concatenate([speak("hello", RATE_HZ), pause, speak("world", RATE_HZ)]), RATE_HZ)
    with sound_system.listening("--model", tone_model, "--output", written) as listening:
        player = threading.Thread(target=sound_system.play, args=(recording,))
        player.start()
        listening.wait_for("hello")
        listening.process.send_signal(signal.SIGSTOP)
        time.sleep(25)
        listening.process.send_signal(signal.SIGCONT)
        player.join()
        listening.wait_for("world")
        listening.process.send_signal(signal.SIGINT)
        code, complaints, _ = listening.end()
    assert (code, listening.lines) == (0, ["hello", "world"])
    assert "Sound is being lost" in complaints
    first, second = (json.loads(line)["words"][0] for line in written.read_text().splitlines())
    assert second["start_s"] - first["start_s"] == pytest.approx(36, abs=0.5)


@needs_sound_system
@in_real_time
def test_unplugging(sound_system: SoundSystem, tone_model: Path, long_recording: Path) -> None:
    with (
        sound_system.listening("--model", tone_model, "--json") as listening,
        sound_system.playing(long_recording),
    ):
        listening.wait_for('"committed": "hello", "volatile": "wor')
        sound_system.pactl("unload-module", "module-null-sink")
        try:
            code, complaints, _ = listening.end()
        finally:
            sound_system.pactl("load-module", "module-null-sink", "sink_name=speaker", "rate=48000")
    last = json.loads(listening.lines[-1])
    assert last["type"] == "final"
    assert last["text"].startswith("hello wor")
    assert code == 2
    assert complaints.count("\n") == 1
    assert "the microphone is gone" in complaints


@needs_sound_system
@in_real_time
def test_devices_and_doctor(sound_system: SoundSystem, tone_model: Path, long_recording: Path) -> None:
    listed = sound_system.rillet("devices")
    assert (listed.returncode, listed.stderr) == (0, "")
    (default,) = [line for line in listed.stdout.splitlines() if line.startswith("*")]
    assert "default" in default
    assert "ALSA" in default

    command = [*RILLET, "doctor", "--model", str(tone_model), "--device", default.split()[1]]
    with (
        subprocess.Popen(command, env=sound_system.environment, stdout=subprocess.PIPE, text=True) as process,
        sound_system.playing(long_recording),
    ):
        told, _ = process.communicate(timeout=300)
        assert process.returncode == 0
    assert "say something" in told
    for expected in (
        "onnxruntime ",
        "self-test passed",
        "times as fast as real time",
        "dBFS",
        "Hz measured",
        "is fine",
    ):
        assert expected in told


class TestFindDevice:
    known = (
        Device(0, "Built-in Microphone", "ALSA", 2, 48_000, False),
        Device(2, "USB Audio", "ALSA", 1, 44_100, True),
        Device(3, "USB Audio 2", "ALSA", 1, 44_100, False),
        Device(5, "Built-in Microphone", "JACK", 2, 48_000, False),
    )

    @pytest.fixture(autouse=True)
    def machine(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(microphone, "devices", lambda: list(self.known))

    @pytest.mark.parametrize(
        ("wanted", "number"), [(None, 2), ("3", 3), ("built", 0), ("usb audio", 2), ("AUDIO 2", 3), ("5", 5)]
    )
    def test_by_number_or_part_of_its_name(self, wanted: str | None, number: int) -> None:
        assert microphone.find_device(wanted).number == number

    def test_a_sentence_when_there_is_none_or_more_than_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for nothing in ("nonesuch", "1"):
            with pytest.raises(DeviceNotFoundError, match=rf"called {nothing}; choose one of these: 0 \(Built-in"):
                microphone.find_device(nothing)
        with pytest.raises(DeviceAmbiguousError, match=r"choose by number: 2 \(USB Audio\), 3 \(USB Audio 2\)"):
            microphone.find_device("USB")
        with pytest.raises(ChannelError, match="channel 3 was asked for"):
            microphone.Microphone(self.known[0], channel=3)
        monkeypatch.setattr(microphone, "devices", list)
        with pytest.raises(NoMicrophoneError):
            microphone.find_device()

    def test_the_list(self) -> None:
        assert device_lines(list(self.known))[1] == "*  2  USB Audio            44100 Hz  1 ch  ALSA"


@needs_sound_system
@pytest.mark.skipif(not SHIPPED_MODEL.is_file(), reason="there is no trained model yet")
@in_real_time
def test_the_sample_in_english(sound_system: SoundSystem, tmp_path: Path) -> None:
    """What is heard of it is what the file says, but for two changes of the sample rate on the way."""
    path, saved = tmp_path / "sample.wav", tmp_path / "saved.wav"
    soundfile.write(path, *soundfile.read(SHIPPED_SAMPLE))
    with sound_system.listening("--save-audio", saved) as listening:
        sound_system.play(path)
        listening.hear_more(saved, 1.0)
        listening.process.send_signal(signal.SIGINT)
        assert listening.end()[:2] == (0, "")
    heard = " ".join(listening.lines).split()
    expected = sound_system.rillet("transcribe", "--sample").stdout.split()
    assert difflib.SequenceMatcher(None, heard, expected).ratio() > 0.8
    assert sound_system.rillet("transcribe", saved).stdout.split() == heard


def test_without_portaudio_one_sentence_says_what_to_install(tone_model: Path) -> None:
    code = """
import ctypes.util, sys
ctypes.util.find_library = lambda name: None
sys.argv = ["rillet", *sys.argv[1:]]
from rillet.pipeline.cli import main
main()
"""
    if sys.platform != "linux":
        pytest.skip("the packages for macOS and Windows bring PortAudio along")
    for command, exit_code in [("listen", 2), ("doctor", 0)]:
        done = subprocess.run(
            [sys.executable, "-c", code, command, "--model", str(tone_model)],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == exit_code
        assert "apt install libportaudio2" in (done.stderr if exit_code else done.stdout)
        assert done.stderr.count("\n") == (1 if exit_code else 0)


def test_without_a_microphone(tone_model: Path, tmp_path: Path) -> None:
    if _missing() == "PortAudio not installed":
        pytest.skip("PortAudio not installed")
    if sys.platform != "linux" or Path("/dev/snd").exists():
        pytest.skip("this machine has sound devices")
    environment = {**os.environ, "HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)}
    done = subprocess.run(
        [*RILLET, "listen", "--model", str(tone_model)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "no microphone that can be opened" in done.stderr
