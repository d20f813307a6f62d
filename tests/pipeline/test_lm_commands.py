"""`rillet lm`: what a user types, and what goes wrong."""

from pathlib import Path

import pytest
from rillet.models.lm.build import TextSourceError
from rillet.pipeline import lm_file
from rillet.pipeline.cli import app
from rillet.pipeline.errors import OutputUnwritableError
from rillet.pipeline.lm import LanguageModel
from rillet.pipeline.lm_errors import ArpaError, TextError
from rillet.pipeline.ngrams import NgramTrie, quantise
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


@pytest.fixture
def small_lm_path(small_trie: NgramTrie, tmp_path: Path) -> Path:
    lm_file.write(quantise(small_trie), tmp_path / "small.lm", about="for a test")
    return tmp_path / "small.lm"


def test_bad_bytes_late_in_a_text(tmp_path: Path, small_lm_path: Path) -> None:
    path = tmp_path / "late.txt"
    path.write_bytes(b"the cat sat on the mat\n" * 2_000 + b"\xff\n")
    for command in (["build", str(path), "-o", str(tmp_path / "x.lm")], ["perplexity", str(small_lm_path), str(path)]):
        result = CliRunner().invoke(app, ["lm", *command])
        assert isinstance(result.exception, TextError)
        assert "UTF-8" in str(result.exception)


def test_perplexity_wants_sentences(tmp_path: Path, small_lm_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("\n\n")
    for path in (tmp_path / "empty.txt", tmp_path / "none.txt", tmp_path):
        result = CliRunner().invoke(app, ["lm", "perplexity", str(small_lm_path), str(path)])
        assert isinstance(result.exception, TextError)


def test_a_folder_that_is_not_there_is_told_before_the_work(tmp_path: Path, small_text: Path) -> None:
    for command in (["build", str(small_text)], ["convert", str(tmp_path / "none.arpa")]):
        result = CliRunner().invoke(app, ["lm", *command, "-o", str(tmp_path / "none" / "x.lm")])
        assert isinstance(result.exception, OutputUnwritableError)


def test_an_arpa_file_that_is_not_text(tmp_path: Path) -> None:
    (tmp_path / "x.arpa").write_bytes(b"\\data\\\n\xff")
    result = CliRunner().invoke(app, ["lm", "convert", str(tmp_path / "x.arpa"), "-o", str(tmp_path / "x.lm")])
    assert isinstance(result.exception, ArpaError)
