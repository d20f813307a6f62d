"""The web page: what `rillet export --web` writes, and how it works in a real Chromium.

Screenshots are kept in a folder that is printed (pytest -s), or in the one that RILLET_SCREENSHOTS names.
"""

import base64
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import soundfile  # type: ignore[import-untyped]
from browser import CHROMIUM, DRIVER, Page, chromium, microphone_flags, served
from rillet.export.web import PAGE, RUNTIME_FILES, WebExportError
from rillet.export.web import main as write_page
from rillet.pipeline import Recognizer
from rillet.pipeline.beam_options import LETTERS, PHRASES, PRONUNCIATIONS
from rillet.pipeline.model_file import SHIPPED_MODEL, SHIPPED_SAMPLE

FloatArray = npt.NDArray[np.float32]


# ---- Writing it -----------------------------------------------------------------------------------------------------


@pytest.fixture
def no_runtime(tmp_path: Path) -> Path:
    """A package of onnxruntime-web that is good for writing a page only."""
    folder = tmp_path / "package"
    (folder / "dist").mkdir(parents=True)
    for name in RUNTIME_FILES:
        (folder / "dist" / name).write_text(name)
    (folder / "package.json").write_text("{}")
    return folder


def export(*arguments: str | Path, path: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command where nothing of the training extra can be imported."""
    code = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "torchaudio", "librosa", "onnx", "scipy"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocker())
from rillet.pipeline.cli import main
sys.argv[0] = "rillet"
main()
"""
    environment = {**os.environ, "PATH": os.environ["PATH"] if path is None else path}
    return subprocess.run(
        [sys.executable, "-c", code, "export", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
        env=environment,
        check=False,
    )


def test_it_is_written_without_torch(tmp_path: Path, tone_model: Path, no_runtime: Path) -> None:
    page = tmp_path / "page"
    done = export(tone_model, "--web", page, "--runtime", no_runtime)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{page}: a page of ")
    assert (page / "model.onnx").read_bytes() == tone_model.read_bytes()
    about = json.loads((page / "model.json").read_text())
    assert about["info"]["tokens"][:3] == ["", " ", "'"]
    assert (about["info"]["phones"], about["info"]["columns"]) == ([], len(about["info"]["tokens"]))
    assert about["beam"]["letters"]["width"] == LETTERS.width
    assert about["beam"]["pronunciations"]["width"] == PRONUNCIATIONS.width
    assert about["beam"]["phrases"]["prune_nats"] == PHRASES.prune_nats
    assert set(about["files"]) == {"model", "wasm"}  # the model is not an English one, so there is no language model
    assert not (page / "language.lm").exists()


def test_the_service_worker_keeps_every_file_and_its_version_follows_the_content(
    tmp_path: Path, tone_model: Path, no_runtime: Path
) -> None:
    def version(folder: str) -> str:
        write_page(tmp_path / folder, tone_model, runtime=no_runtime)
        text = (tmp_path / folder / "service-worker.js").read_text()
        files = json.loads(text.partition("const FILES = ")[2].partition(";")[0])
        there = {path.relative_to(tmp_path / folder).as_posix() for path in (tmp_path / folder).rglob("*.*")}
        assert set(files) | {"service-worker.js", "ort/package.json"} == there | {"./"}
        return text.partition('VERSION = "')[2].partition('"')[0]

    first = version("a")
    assert first == version("b") == version("a")  # a page may be written over an older one
    (no_runtime / "dist" / RUNTIME_FILES[0]).write_text("new")
    assert first != version("a")


def test_what_goes_wrong_is_said_in_a_sentence(tmp_path: Path, tone_model: Path, no_runtime: Path) -> None:
    done = export(tone_model, "--web", tmp_path / "page", path="")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "npm, which fetches it, is not installed" in done.stderr
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").touch()
    with pytest.raises(WebExportError, match="there are other files in this folder"):
        write_page(tmp_path / "full", tone_model, runtime=no_runtime)
    with pytest.raises(WebExportError, match=r"there is no ort\.wasm\.min\.mjs in it"):
        write_page(tmp_path / "page", tone_model, runtime=tmp_path / "full")
    assert "say -o FILE.onnx, or --web" in export(tone_model).stderr
    assert "these need --web" in export(tone_model, "-o", tmp_path / "a.onnx", "--lm", "none").stderr


def test_the_page_loads_nothing_from_elsewhere() -> None:
    for path in PAGE.rglob("*.*"):
        if path.suffix in {".js", ".html", ".css", ".webmanifest"}:
            assert "https://" not in path.read_text(encoding="utf-8").replace("pages from https:// or", ""), path


# ---- In Chromium ----------------------------------------------------------------------------------------------------

in_chromium = [
    pytest.mark.slow,
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="chromium or its driver is not installed"),
    pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed"),
]
needs_model = pytest.mark.skipif(not SHIPPED_MODEL.is_file(), reason="there is no trained model yet")


def marked(test: Any) -> Any:
    pytest.importorskip("selenium")
    for mark in in_chromium:
        test = mark(test)
    return test


@pytest.fixture(scope="session")
def english(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page with the shipped model, as a user writes it: npm fetches onnxruntime-web."""
    folder = tmp_path_factory.mktemp("english") / "page"
    done = export("--web", folder)
    assert (done.returncode, done.stderr) == (0, "")
    return folder


@pytest.fixture(scope="session")
def tones(tmp_path_factory: pytest.TempPathFactory, english: Path, tone_model: Path) -> Path:
    """The page with a model that hears tones, and is never in doubt."""
    folder = tmp_path_factory.mktemp("tones") / "page"
    write_page(folder, tone_model, runtime=english / "ort")
    return folder


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped recording as WAV."""
    path = tmp_path_factory.mktemp("sample") / "sample.wav"
    soundfile.write(path, *soundfile.read(SHIPPED_SAMPLE, dtype="int16"))
    return path


@pytest.fixture(scope="session")
def late_sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with 4 s of silence before it, for as a microphone it plays before a busy machine is ready."""
    path = tmp_path_factory.mktemp("late") / "sample.wav"
    audio, rate_hz = soundfile.read(SHIPPED_SAMPLE, dtype="int16")
    soundfile.write(path, np.concatenate([np.zeros(4 * rate_hz, np.int16), audio]), rate_hz)
    return path


@pytest.fixture(scope="session")
def screenshots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = Path(os.environ.get("RILLET_SCREENSHOTS") or tmp_path_factory.mktemp("screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    print(f"\nscreenshots: {folder}")
    return folder


def command_line(recording: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "rillet.pipeline.cli", "transcribe", recording],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    return done.stdout.strip()


def wrong_words(found: str, wanted: str) -> int:
    """Substitutions, insertions and deletions."""
    row = list(range(len(wanted.split()) + 1))
    for i, ours in enumerate(found.split(), start=1):
        corner, row[0] = row[0], i
        for j, theirs in enumerate(wanted.split(), start=1):
            corner, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, corner + (ours != theirs))
    return row[-1]


def screenshot(page: Page, path: Path, *, dark: bool = False, phone: bool = False) -> None:
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    if phone:
        size = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
        page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    assert page.js("return document.documentElement.scrollWidth") <= (390 if phone else 1100), "it does not fit"
    image = page.driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})
    path.write_bytes(base64.b64decode(image["data"]))
    page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


@marked
def test_recordings_of_any_rate_say_what_they_say_in_python(tones: Path, tmp_path: Path, speak: Any) -> None:
    """Exactly: this model's log-probabilities leave no doubt, whatever the last digits are."""
    recogniser = Recognizer.load(tones / "model.onnx")
    pause = np.zeros(3 * 48_000)
    with served(tones) as address, chromium() as page:
        page.driver.get(address)
        page.wait("ready")
        for name, rate_hz in [("a.wav", 16_000), ("b.wav", 44_100), ("c.flac", 48_000), ("d.ogg", 22_050)]:
            audio = np.concatenate([speak("one two", rate_hz), pause, speak("three", rate_hz)])
            soundfile.write(tmp_path / name, np.stack([audio, audio], axis=1), rate_hz)
            assert page.open(tmp_path / name) == recogniser.transcribe(tmp_path / name).text == "one two three"
        times = page.js("return [...document.querySelectorAll('.recording:last-child time')].map(t => t.textContent)")
        assert len(times) == 2
        for phrases in (["one", "three"], ["one two"], ["öl"]):
            page.choose_phrases(phrases)
            page.click("dialog .main")
            said = page.open(tmp_path / "a.wav")
            if phrases == ["öl"]:
                assert "no token with" in page.text("#problem")
            else:
                assert said == recogniser.transcribe(tmp_path / "a.wav", phrases=phrases).text
        (tmp_path / "letter.wav").write_text("no sound")
        page.driver.find_element("css selector", "#file").send_keys(str(tmp_path / "letter.wav"))
        page.until(lambda: "letter.wav holds no sound" in page.text("#problem"), "a sentence about the file")
        assert page.state == "ready"


@marked
def test_the_microphone(tones: Path, tmp_path: Path, speak: Any) -> None:
    """Also exactly, through Chromium's own resampling of the recording and our worklet."""
    recording = tmp_path / "microphone.wav"
    second = np.zeros(16_000)
    parts = [*[second] * 8, speak("one two"), second, speak("three")]  # it plays before a busy machine is ready
    soundfile.write(recording, np.concatenate(parts), 16_000)
    with served(tones) as address, chromium(microphone_flags(recording)) as page:
        page.driver.get(address)
        page.wait("ready")
        page.click("#talk")
        page.until(lambda: page.said() == "one two three", f"the words, and there is {page.said()!r}", 180)
        assert page.state == "listening"
        page.click("#talk")
        page.wait("ready")
        assert page.said() == "one two three"
        assert not page.errors()


# The sound goes straight from the audio thread to the recogniser; this listens in.
KEEP_WHAT_IS_HEARD = """
    window.heard = [];
    const post = Worker.prototype.postMessage;
    Worker.prototype.postMessage = function (message, transfer) {
        if (message.type !== "listen") return post.call(this, message, transfer);
        const { port1, port2 } = new MessageChannel();
        message.port.onmessage = ({ data }) => {
            if (data !== "end") window.heard.push(data);
            port1.postMessage(data);
        };
        post.call(this, { ...message, port: port2 }, [port2]);
    };
"""
HEARD = """
    const bytes = heard.flatMap((piece) => [...new Uint8Array(piece.buffer, piece.byteOffset, piece.byteLength)]);
    return btoa(bytes.map((byte) => String.fromCharCode(byte)).join(""));
"""


@marked
@needs_model
def test_english(english: Path, sample: Path, late_sample: Path, screenshots: Path, tmp_path: Path) -> None:
    """The shipped model: dropped, through the microphone, in every light; and without a network."""
    wanted = command_line(sample)
    with chromium(microphone_flags(late_sample)) as page:
        page.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": KEEP_WHAT_IS_HEARD})
        with served(english) as address:
            page.driver.get(address)
            page.wait("ready")
            screenshot(page, screenshots / "welcome-light.png")
            screenshot(page, screenshots / "welcome-phone-dark.png", dark=True, phone=True)
            drop = """
                const [name, base64] = arguments;
                const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
                const dataTransfer = new DataTransfer();
                dataTransfer.items.add(new File([bytes], name));
                dispatchEvent(new DragEvent("drop", { dataTransfer, cancelable: true }));
            """
            page.js(drop, sample.name, base64.b64encode(sample.read_bytes()).decode())
            page.until(lambda: page.said(), "words")
            page.wait("ready")
            print(f"\ncommand line: {wanted}\ndropped:      {page.said()}\n{page.text('#status')}")
            assert wrong_words(page.said(), wanted) <= 1  # int8 arithmetic may tip a balance

            page.click("#talk")
            page.until(
                lambda: len(page.said().split()) > 8 and page.text(".live .volatile"), "words from the microphone"
            )
            for dark in (False, True):
                for phone in (False, True):
                    name = f"listening{'-phone' * phone}{'-dark' * dark}.png"
                    screenshot(page, screenshots / name, dark=dark, phone=phone)
            page.until(lambda: int(page.text("#status").rpartition(":")[2]) >= 15, "the end of the recording", 180)
            page.click("#talk")
            page.wait("ready")
            heard = np.frombuffer(base64.b64decode(page.js(HEARD)), "<f4")
            soundfile.write(tmp_path / "heard.wav", heard, 16_000, subtype="FLOAT")
            same_sound = command_line(tmp_path / "heard.wav")
            print(f"microphone:   {page.said()}\nsame sound:   {same_sound}, by the command line")
            assert wrong_words(page.said(), same_sound) <= 1
            assert wrong_words(page.said(), wanted) <= len(wanted.split()) / 2  # a busy machine loses some of it

            page.choose_phrases([])
            screenshot(page, screenshots / "settings-dark.png", dark=True)
            screenshot(page, screenshots / "settings-phone.png", phone=True)
            page.click("dialog .main")
            page.until(lambda: page.js("return !document.querySelector('#offline').hidden"), "the service worker")
            assert not page.errors()

        page.driver.refresh()  # and the server is gone
        page.wait("ready")
        page.click("#sample")
        page.until(lambda: page.said(), "words")
        page.wait("ready")
        assert wrong_words(page.said(), wanted) <= 1


@pytest.fixture
def fails(tones: Path, screenshots: Path) -> Any:
    """`fails(flags, preferences, script)`: what the page says when the button is pressed in such a Chromium."""

    def attempt(*flags: str, preferences: dict[str, Any] | None = None, script: str = "") -> tuple[str, str]:
        with served(tones) as address, chromium(flags, preferences) as page:
            page.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": script})
            page.driver.get(address)
            page.wait("ready", "failed")
            if page.state == "ready":
                page.click("#talk")
                page.until(lambda: page.text("#problem"), "a sentence")
                screenshot(page, screenshots / "problem-dark.png", dark=True)
            return page.state, page.text("#problem") or page.text("#status")

    return attempt


@marked
def test_what_is_not_there_is_said_in_a_sentence(fails: Any) -> None:
    fake = "--use-fake-device-for-media-stream"
    denied = {"profile.default_content_setting_values.media_stream_mic": 2}
    state, sentence = fails(fake, preferences=denied)
    assert (state, sentence.split(".")[0]) == ("ready", "The microphone is blocked")
    state, sentence = fails("--use-fake-ui-for-media-stream")
    assert (state, sentence.split(".")[0]) == ("ready", "There is no such microphone")
    state, sentence = fails(script="delete window.AudioWorkletNode")
    assert (state, sentence.split(",")[0]) == ("ready", "This browser has no AudioWorklet")
    state, sentence = fails(script="delete window.WebAssembly")
    assert (state, sentence.split(",")[0]) == ("failed", "This browser has no WebAssembly")
