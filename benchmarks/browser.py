"""A page of `rillet export --web` in a real Chromium, for tests and measurements. Needs Debian's chromium-driver."""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--window-size=1100,820"),
]


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of the folder on a web server."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://localhost:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


def microphone_flags(wav: Path) -> list[str]:
    """A recording that plays once as the microphone, which is allowed without a question."""
    flags = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    return [*flags, f"--use-file-for-fake-audio-capture={wav}%noloop"]


class Page:
    """The page in a window."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def js(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def text(self, selector: str) -> str:
        """Of the last element that the selector finds; what is not there has none."""
        script = "return [...document.querySelectorAll(arguments[0])].at(-1)?.textContent ?? ''"
        return " ".join(str(self.js(script, selector)).split())

    def click(self, selector: str) -> None:
        self.driver.find_element("css selector", selector).click()

    def choose_phrases(self, phrases: Sequence[str]) -> None:
        """Open the settings and have only these heard; the settings stay open."""
        self.click("#open-settings")
        self.until(lambda: self.js("return document.querySelector('#settings').open"), "the settings")
        self.click("[value=phrases]")
        self.js("document.querySelector('#phrases').value = arguments[0]", "\n".join(phrases))

    @property
    def state(self) -> str:
        return str(self.js("return document.body.dataset.state"))

    def wait(self, *states: str, timeout_s: float = 180.0) -> None:
        """Until the page is in one of these states."""
        self.until(lambda: self.state in states, f"{states}, and it is {self.state}: {self.text('#status')}", timeout_s)

    def until(self, holds: Any, what: str, timeout_s: float = 60.0) -> None:
        end_s = time.monotonic() + timeout_s
        while not holds():
            if time.monotonic() > end_s:
                raise TimeoutError(f"waited {timeout_s:g} s for {what}; {self.text('#problem')} {self.errors()}")
            time.sleep(0.05)

    def open(self, path: Path) -> str:
        """Give it a recording, and return what it says."""
        before = self.js("return document.querySelectorAll('.recording').length")
        self.driver.find_element("css selector", "#file").send_keys(str(path))
        self.until(lambda: self.js("return document.querySelectorAll('.recording').length") > before, "a recording")
        self.wait("ready")
        return self.said()

    def said(self) -> str:
        """Committed text of the last recording."""
        script = (
            "return [...document.querySelectorAll('.recording:last-child .committed')].map(each => each.textContent)"
        )
        return " ".join(self.js(script))

    def errors(self) -> list[str]:
        """What the console complained of."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]


@contextmanager
def chromium(flags: Sequence[str] = (), preferences: dict[str, Any] | None = None) -> Iterator[Page]:
    """A new Chromium with a profile of its own."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = str(CHROMIUM)
        for flag in [*FLAGS, f"--user-data-dir={profile}", *flags]:
            options.add_argument(flag)
        options.add_experimental_option("prefs", preferences or {})
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        driver = webdriver.Chrome(options, Service(DRIVER))
        try:
            driver.set_script_timeout(180)
            yield Page(driver)
        finally:
            driver.quit()
