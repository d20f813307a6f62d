"""Every layout of transcribed recordings, written here and read."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rillet.models.manifest import ManifestError, Utterance, normalise_text, read_manifest


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("Hello, World!", "hello world"),
        ("it\u2019s  DON`T \u02bctis", "it's don't 'tis"),
        ("na\u00efve caf\u00e9\tR\u00c9SUM\u00c9", "naive cafe resume"),
        ("well-known \u2014 and_so\u2026 on", "well known and so on"),
        ("' a ' b'", "a b'"),
        ("(\u201cyes\u201d)", "yes"),
        ("room 42", "room 42"),
        ("50 % of R&D, \u00a35", "50 % of r&d \u00a35"),
        ("stra\u00dfe \u043c\u0438\u0440", "stra\u00dfe \u043c\u0438\u0440"),
        ("  ", ""),
    ],
)
def test_normalised_text(text: str, normal: str) -> None:
    assert normalise_text(text) == normal


@given(st.text())
def test_normalising_twice_changes_nothing_more(text: str) -> None:
    once = normalise_text(text)
    assert normalise_text(once) == once
    assert once == " ".join(once.split())


def test_jsonl(tmp_path: Path) -> None:
    manifest = tmp_path / "set.jsonl"
    rows = [
        {"audio": "a/one.wav", "text": "One\u2028two.", "speaker": "x", "duration": 1.5},
        {"audio": "/elsewhere/two.flac", "text": ""},
    ]
    manifest.write_text("\n\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n", encoding="utf-8")
    assert read_manifest(manifest) == [
        Utterance(tmp_path / "a/one.wav", "one two", "x"),
        Utterance(Path("/elsewhere/two.flac"), ""),
    ]


def test_librispeech(tmp_path: Path) -> None:
    for speaker, chapter, lines in (
        ("84", "121", "84-121-0000 GO ON\n84-121-0001 \n"),
        ("8", "9", "8-9-0000 WELL\n\n"),
    ):
        folder = tmp_path / speaker / chapter
        folder.mkdir(parents=True)
        (folder / f"{speaker}-{chapter}.trans.txt").write_text(lines)
    assert [(u.audio.relative_to(tmp_path).as_posix(), u.text, u.speaker) for u in read_manifest(tmp_path)] == [
        ("8/9/8-9-0000.flac", "well", "8"),
        ("84/121/84-121-0000.flac", "go on", "84"),
        ("84/121/84-121-0001.flac", "", "84"),
    ]


def test_common_voice(tmp_path: Path) -> None:
    table = tmp_path / "validated.tsv"
    rows = [
        "client_id\tpath\tsentence\tup_votes",
        'c1\ta.mp3\t"No," he said.\t2',
        'c2\tb.mp3\t"Unclosed\t0',
        "c3\tc.mp3\tYes\t1",
    ]
    table.write_text("\n".join(rows) + "\n", encoding="utf-8")
    assert read_manifest(table) == [
        Utterance(tmp_path / "clips" / "a.mp3", "no he said", "c1"),
        Utterance(tmp_path / "clips" / "b.mp3", "unclosed", "c2"),
        Utterance(tmp_path / "clips" / "c.mp3", "yes", "c3"),
    ]


@pytest.mark.parametrize("named", ["file", "folder"])
def test_ljspeech(tmp_path: Path, named: str) -> None:
    folder = tmp_path / "LJSpeech"
    folder.mkdir()
    (folder / "metadata.csv").write_text("LJ1|In 1450, he|In fourteen fifty, he\nLJ2|Only once\n", encoding="utf-8")
    assert read_manifest(folder / "metadata.csv" if named == "file" else folder) == [
        Utterance(folder / "wavs" / "LJ1.wav", "in fourteen fifty he", "LJSpeech"),
        Utterance(folder / "wavs" / "LJ2.wav", "only once", "LJSpeech"),
    ]


def kaldi(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text)
    return folder


def test_kaldi(tmp_path: Path) -> None:
    kaldi(tmp_path, wav_scp="u1 a.wav\nu2 /far/b c.wav\n", text="u1 HELLO  THERE\nu2\n", utt2spk="u1 s1\nu2 s2\n")
    assert read_manifest(tmp_path) == [
        Utterance(tmp_path / "a.wav", "hello there", "s1"),
        Utterance(Path("/far/b c.wav"), "", "s2"),
    ]


def test_kaldi_segments(tmp_path: Path) -> None:
    kaldi(tmp_path, wav_scp="r a.wav\n", text="r-1 one\nr-2 two\n", segments="r-1 r 0.5 2.25\nr-2 r 3 -1\n")
    first, second = read_manifest(tmp_path)
    assert first == Utterance(tmp_path / "a.wav", "one", "", 0.5, 1.75)
    assert second == Utterance(tmp_path / "a.wav", "two", "", 3.0, None)
    assert (first.name, second.name) == ("a.wav from 0.5 s", "a.wav from 3 s")


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"wav_scp": "u sph2pipe a.sph |\n", "text": "u hi\n"}, "u in wav.scp is a command"),
        ({"wav_scp": "r a.wav\n", "text": "u hi\n"}, "wav.scp does not name the recording u"),
        ({"wav_scp": "r a.wav\n", "text": "u hi\n", "segments": "u r 5 3\n"}, "segments lets u end before"),
        ({"wav_scp": "r a.wav\n", "text": "u hi\n", "segments": "u r 5\n"}, "segments does not give u"),
        ({"wav_scp": "r a.wav\n"}, "No such file"),
    ],
)
def test_kaldi_errors(tmp_path: Path, files: dict[str, str], reason: str) -> None:
    with pytest.raises(ManifestError, match=reason):
        read_manifest(kaldi(tmp_path, **files))


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.jsonl", b'{"audio": "a.wav", "text": "x"}\n{"audio": ', "line 2 of a.jsonl is not JSON"),
        ("a.jsonl", b'{"audio": "a.wav"}\n', 'line 1 of a.jsonl is not an object with "audio" and "text"'),
        ("a.jsonl", b'{"audio": "a.wav", "text": null}\n', "line 1 of a.jsonl"),
        ("a.jsonl", b"[1]\n", "line 1 of a.jsonl"),
        ("a.jsonl", b"\n\n", "holds no transcribed recordings"),
        ("a.wav", b"RIFF\xff\xfe\x00\x00", "cannot be read as a manifest"),
        ("a.tsv", b"path\tsentence\na.mp3\n", "line 2 has not the columns"),
        ("a.tsv", b"client_id\twords\nx\ty\n", "has not the columns"),
        ("metadata.csv", b"LJ1 without text\n", "line 1 of metadata.csv has no text"),
    ],
)
def test_errors_name_the_place(tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ManifestError, match=reason) as error:
        read_manifest(tmp_path / name)
    assert "\n" not in str(error.value)
    assert str(tmp_path / name) in str(error.value)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="does not exist"):
        read_manifest(tmp_path / "none")
    with pytest.raises(ManifestError, match="holds no transcribed recordings"):
        read_manifest(tmp_path)
    (tmp_path / "folder.tsv").mkdir()
    with pytest.raises(ManifestError, match="Is a directory"):
        read_manifest(tmp_path / "folder.tsv")
