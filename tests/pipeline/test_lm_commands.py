"""`rillet lm`: what a user types, and what goes wrong."""

from pathlib import Path

import pytest
from rillet.models.lm.build import TextSourceError
from rillet.pipeline.cli import app
from rillet.pipeline.lm import LanguageModel
from rillet.pipeline.lm_errors import TextError
from typer.testing import CliRunner


def test_build_convert_and_measure(small_text: Path, tmp_path: Path) -> None:
    runner = CliRunner()
    other = tmp_path / "other.txt"
    other.write_text("yes\nno\nthank you\n" * 5)
    built, converted = tmp_path / "built.lm", tmp_path / "converted.lm"
    result = runner.invoke(app, ["lm", "build", f"{small_text}:0.8", f"{other}:0.2", "-o", str(built)])
    assert result.exit_code == 0, result.output
    result = runner.invoke(app, ["lm", "convert", str(tmp_path / "built.arpa"), "-o", str(converted)])
    assert result.exit_code == 0, result.output
    a, b = LanguageModel.load(built), LanguageModel.load(converted)
    assert a.log_probs(["the", "cat"]) == pytest.approx(b.log_probs(["the", "cat"]), abs=1e-3)
    result = runner.invoke(app, ["lm", "perplexity", str(built), str(small_text)])
    assert result.exit_code == 0, result.output
    assert "perplexity" in result.output


@pytest.mark.parametrize(
    ("texts", "message"), [(["none.txt"], "no such text"), (["{}:1", "{}"], "every text a weight")]
)
def test_texts_that_cannot_be_used(small_text: Path, tmp_path: Path, texts: list[str], message: str) -> None:
    arguments = [text.format(small_text) for text in texts]
    result = CliRunner().invoke(app, ["lm", "build", *arguments, "-o", str(tmp_path / "x.lm")])
    assert isinstance(result.exception, TextSourceError)
    assert message in str(result.exception)


@pytest.mark.parametrize(
    ("name", "content", "weight", "message"),
    [
        ("empty.txt", b"", "", "there is no sentence to count"),
        ("blank.txt", b" \n\n", ":1", "there is no sentence to count"),
        ("utf16.txt", "hello".encode("utf-16"), "", "not text in UTF-8"),
        ("plain.txt.gz", b"hello", "", "cannot be read"),
    ],
)
def test_texts_without_a_sentence(
    small_text: Path, tmp_path: Path, name: str, content: bytes, weight: str, message: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    texts = [f"{path}{weight}", *([f"{small_text}{weight}"] if weight else [])]
    result = CliRunner().invoke(app, ["lm", "build", *texts, "-o", str(tmp_path / "x.lm")])
    assert isinstance(result.exception, TextError)
    assert str(result.exception).startswith(f"{path}: ")
    assert message in str(result.exception)
    assert not (tmp_path / "x.lm").exists()
