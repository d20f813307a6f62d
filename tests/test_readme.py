"""What the README shows is run: Python snippets, console blocks marked `test`, the training configuration.

Its two installing commands are run by .ci/run.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from rillet.pipeline.model_file import SHIPPED_MODEL

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^(?:<!-- (\w+) -->\n)?```(\w+)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def blocks(language: str, mark: str = "") -> list[str]:
    found = [text for label, kind, text in BLOCKS if (label, kind) == (mark, language)]
    assert found, f"the README has no {language} block"
    return found


def run(command: list[str] | str, folder: Path) -> str:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        command,
        shell=isinstance(command, str),
        cwd=folder,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


needs_model = pytest.mark.skipif(not SHIPPED_MODEL.is_file(), reason="there is no trained model yet")


@needs_model
@pytest.mark.parametrize("code", blocks("python"))
def test_python_snippets(code: str, tmp_path: Path) -> None:
    assert len(run([sys.executable, "-c", code], tmp_path).split()) > 5


@needs_model
@pytest.mark.parametrize("block", blocks("console", "test"))
def test_console_blocks(block: str, tmp_path: Path) -> None:
    """Lines with a dollar are run; the lines that follow one, if any, are what it must print."""
    for command, shown in re.findall(r"^\$ (.+)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE):
        printed = run(command, tmp_path)
        assert printed.strip()
        assert shown in ("", printed)


def test_training_configuration(tmp_path: Path) -> None:
    from rillet.models.config import read_config

    for text in blocks("toml"):
        path = tmp_path / "my.toml"
        path.write_text(text)
        assert read_config(path).train


def test_links_lead_to_files() -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", README):
        assert (Path(__file__).parent.parent / target).exists(), target


def test_it_installs_with_two_commands() -> None:
    commands = "".join(blocks("console", "installs")).splitlines()
    assert [command.startswith("$ python3 -m venv .venv && ") for command in commands] == [True, True]
