"""What the writers write, read by the parsers that other programs use."""

import io
import json
import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
import srt
import webvtt
from hypothesis import given, settings
from hypothesis import strategies as st
from rillet.pipeline.errors import OutputFormatError, OutputUnwritableError
from rillet.pipeline.events import Final, Word, spell
from rillet.pipeline.subtitles import subtitles
from rillet.pipeline.writers import WRITERS, open_writer

LINE_CHARACTERS, LONGEST_S = 42, 7.0  # what broadcasters allow

STORY = """it was a bright cold day in april and the clocks were striking thirteen so i went to the window because i
wanted to see what the people in the street were doing but nobody was there when i looked out of it"""


def said(text: str, start_s: float = 0.0, pauses: dict[str, float] | None = None) -> tuple[Word, ...]:
    """The words at an even pace, with a pause in seconds behind some."""
    words = []
    for word in text.split():
        words.append(Word(word, start_s, start_s + 0.06 * len(word) + 0.1, 0.9))
        start_s = words[-1].end_s + 0.03 + (pauses or {}).get(word, 0.0)
    return tuple(words)


def final(number: int, words: tuple[Word, ...]) -> Final:
    return Final(number, spell(words), words, "silence")


FINALS = (
    final(0, said(STORY)),
    final(1, ()),
    final(2, said("yes", 30.0)),
    final(3, said("and this begins at once", 30.5)),
    final(4, said("x" * 64 + " two hours later", 7_200.0)),
)


@pytest.fixture(params=sorted(WRITERS))
def written(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / f"notes.{request.param}"
    writer = open_writer(path)
    for each in FINALS:
        writer.write(each)
    writer.close()
    return path


def test_every_format_holds_every_word(written: Path) -> None:
    text = written.read_text(encoding="utf-8")
    if written.suffix == ".json":
        lines = [utterance["text"] for utterance in json.loads(text)["utterances"]]
    elif written.suffix == ".jsonl":
        lines = [json.loads(line)["text"] for line in text.splitlines()]
    elif written.suffix == ".srt":
        lines = [each.content for each in srt.parse(text)]
    elif written.suffix == ".vtt":
        lines = [caption.text for caption in webvtt.read(written)]
    else:
        lines = text.splitlines()
    whole = spell(word for each in FINALS for word in each.words)
    assert "".join(" ".join(lines).split()) == "".join(whole.split())
    if written.suffix in (".txt", ".json", ".jsonl"):
        assert lines == [each.text for each in FINALS if each.words]


def test_json_has_times_and_confidence(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    writer = open_writer(path)
    writer.write(FINALS[2])
    writer.close()
    whole = json.loads(path.read_text())
    assert whole["text"] == "yes"
    (utterance,) = whole["utterances"]
    assert utterance["reason"] == "silence"
    assert utterance["words"] == [{"text": "yes", "start_s": 30.0, "end_s": 30.28, "confidence": 0.9}]


def parsed_srt(finals: tuple[Final, ...]) -> list[srt.Subtitle]:
    class Kept(io.StringIO):
        def close(self) -> None:
            pass

    file = Kept()
    writer = WRITERS["srt"](file)
    for each in finals:
        writer.write(each)
    writer.close()
    return list(srt.parse(file.getvalue()))  # raises on anything that is not SubRip


@st.composite
def utterances(draw: st.DrawFn) -> tuple[Final, ...]:
    """Words of any length and pace with any pauses, in utterances that end for any reason."""
    time_s, finals = 0.0, []
    for number in range(draw(st.integers(1, 3))):
        words = []
        for length in draw(st.lists(st.integers(1, 64), max_size=40)):
            time_s += draw(st.sampled_from([0.0, 0.04, 0.4, 2.0, 9.0]))
            end_s = time_s + draw(st.sampled_from([0.04, 0.2, 0.6, 3.0, 12.0]))
            words.append(Word("abcdefgh"[length % 8] * length, time_s, end_s, 0.5))
            time_s = end_s
        reason = draw(st.sampled_from(["silence", "max_length", "finish"]))
        finals.append(Final(number, spell(words), tuple(words), reason))  # type: ignore[arg-type]
    return tuple(finals)


@given(utterances())
@settings(deadline=None, max_examples=60)
def test_whatever_is_said_makes_proper_subtitles(finals: tuple[Final, ...]) -> None:
    found = parsed_srt(finals)
    words = [word for each in finals for word in each.words]
    assert [each.index for each in found] == list(range(1, len(found) + 1))
    assert "".join("".join(each.content.split()) for each in found) == "".join(word.text for word in words)
    end = timedelta(0)
    for each in found:
        lines = each.content.split("\n")
        assert len(lines) <= 2
        assert all(1 <= len(line) <= LINE_CHARACTERS for line in lines)
        assert end <= each.start < each.end
        longest_word_s = max((word.end_s - word.start_s for word in words), default=0.0)
        assert (each.end - each.start).total_seconds() <= max(LONGEST_S, longest_word_s) + 0.001
        end = each.end


def test_a_short_subtitle_stands_on_into_the_silence() -> None:
    (yes,) = parsed_srt((FINALS[2],))
    assert (yes.end - yes.start).total_seconds() == pytest.approx(0.88)  # 0.28 s of speech and what is allowed
    first, second = parsed_srt((FINALS[2], FINALS[3]))
    assert first.end <= second.start


def test_breaks_are_where_a_reader_expects_them() -> None:
    words = said("we went home early and the others stayed on until it was dark", pauses={"early": 0.6})
    (lines,) = [each.lines for each in subtitles(words)]
    assert lines == ("we went home early", "and the others stayed on until it was dark")
    # a long pause ends a subtitle even where there is room
    assert [each.lines for each in subtitles(said("one two", pauses={"one": 2.0}))] == [("one",), ("two",)]
    # nothing ends with a word that leans on the next if there is another way
    for each in subtitles(said(STORY)):
        for line in each.lines:
            assert line.split()[-1] not in {"a", "the", "in", "of", "and", "to"}


def test_an_hour_without_a_final_is_quick_to_break() -> None:
    words = [Word("word", second * 0.4, second * 0.4 + 0.3, 0.9) for second in range(9_000)]
    assert sum(len(" ".join(each.lines).split()) for each in subtitles(words)) == 9_000


@pytest.mark.skipif(os.name == "nt", reason="kill -9 of POSIX")
@pytest.mark.parametrize("name", ["txt", "jsonl", "srt", "vtt"])
def test_what_was_written_survives_a_kill(name: str, tmp_path: Path) -> None:
    path = tmp_path / f"notes.{name}"
    code = """
import os, signal, sys
from rillet.pipeline.events import Final, Word
from rillet.pipeline.writers import open_writer
writer = open_writer(sys.argv[1])
for n in range(3):
    writer.write(Final(n, f"part {n}", (Word("part", n, n + .3, 1.0), Word(str(n), n + .4, n + .5, 1.0)), "silence"))
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", code, path], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    text = path.read_text()
    assert [f"part {n}" in text for n in range(3)] == [True] * 3
    if name == "srt":
        assert len(list(srt.parse(text))) == 3
    if name == "vtt":
        assert len(webvtt.read(path)) == 3


def test_webvtt_escapes_what_would_be_markup(tmp_path: Path) -> None:
    path = tmp_path / "a.vtt"
    writer = open_writer(path)
    writer.write(final(0, said("a<b &c")))
    writer.close()
    assert "a&lt;b &amp;c" in path.read_text()


def test_where_it_cannot_write_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(OutputFormatError, match="use one of: json, jsonl, srt, txt, vtt"):
        open_writer(tmp_path / "notes.docx")
    with pytest.raises(OutputUnwritableError, match="cannot be written"):
        open_writer(tmp_path / "no folder" / "notes.txt")
