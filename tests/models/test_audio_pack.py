"""Audio decoded once: what is in a pack, what is refused and why, and that it is not done twice."""

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile  # type: ignore[import-untyped]
from rillet.models import audio_pack
from rillet.models.audio_pack import AudioPack, open_pack
from rillet.models.manifest import ManifestError
from rillet.models.tokens import ENGLISH_CHARACTERS

RATE_HZ, SAMPLES_PER_FRAME = 16_000, 640


def noise(samples: int, seed: int = 0) -> npt.NDArray[np.int16]:
    return np.random.default_rng(seed).integers(-32_768, 32_768, samples).astype(np.int16)


def write_manifest(folder: Path, *rows: tuple[str, str]) -> Path:
    manifest = folder / "set.jsonl"
    manifest.write_text("".join(json.dumps({"audio": audio, "text": text}) + "\n" for audio, text in rows))
    return manifest


def open_set(manifest: Path, progress: list[str] | None = None) -> AudioPack:
    say = (progress if progress is not None else []).append
    return open_pack(manifest, manifest.parent / "cache", ENGLISH_CHARACTERS, SAMPLES_PER_FRAME, RATE_HZ, say)


def test_16_bit_audio_is_kept_to_the_bit(tmp_path: Path) -> None:
    for name, seed in (("a.wav", 1), ("b.flac", 2)):
        soundfile.write(tmp_path / name, noise(RATE_HZ, seed), RATE_HZ)
    pack = open_set(write_manifest(tmp_path, ("a.wav", "one"), ("b.flac", "two")))
    assert [clip.tokens for clip in pack.clips] == [tuple(ENGLISH_CHARACTERS.encode(text)) for text in ("one", "two")]
    for clip, seed in zip(pack.clips, (1, 2), strict=True):
        samples = pack.samples(clip)
        assert samples.dtype == np.float32
        assert np.array_equal(samples * 32_768, noise(RATE_HZ, seed))
    assert pack.hours == pytest.approx(2 / 3600)
    assert not pack.refused


def test_other_rates_and_channels_become_16_khz_mono(tmp_path: Path) -> None:
    time_s = np.arange(44_100) / 44_100
    left, right = 0.5 * np.sin(2 * np.pi * 440 * time_s), np.zeros(44_100)
    soundfile.write(tmp_path / "stereo.wav", np.stack([left, right], axis=1), 44_100)
    pack = open_set(write_manifest(tmp_path, ("stereo.wav", "a")))
    expected = 0.25 * np.sin(2 * np.pi * 440 * np.arange(RATE_HZ) / RATE_HZ)
    assert np.abs(pack.samples(pack.clips[0]) - expected)[200:-200].max() < 1e-3


def test_refusals_are_named_and_the_others_stay(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "good.wav", noise(RATE_HZ), RATE_HZ)
    soundfile.write(tmp_path / "short.wav", noise(3 * SAMPLES_PER_FRAME - 10), RATE_HZ)  # three frames
    soundfile.write(tmp_path / "empty.wav", noise(0), RATE_HZ)
    soundfile.write(tmp_path / "nan.wav", np.full(RATE_HZ, np.nan), RATE_HZ, subtype="FLOAT")
    (tmp_path / "text.wav").write_text("no sound")
    rows = [
        ("text.wav", "a"), ("missing.wav", "a"), ("empty.wav", "a"), ("nan.wav", "a"), ("good.wav", "room 42"),
        ("short.wav", "aa"), ("short.wav", "aab"), ("short.wav", "abc"), ("good.wav", ""), ("good.wav", "good"),
    ]  # fmt: skip
    pack = open_set(write_manifest(tmp_path, *rows))
    assert [ENGLISH_CHARACTERS.decode(list(clip.tokens)) for clip in pack.clips] == ["aa", "abc", "", "good"]
    reasons = [
        "text.wav: cannot be read", "missing.wav: is missing", "empty.wav: is empty", "nan.wav: cannot be read",
        "good.wav: '4' in 'room 42' is not", "short.wav: 3 frames are too few to write 4 tokens",
    ]  # fmt: skip
    assert [r[: len(s)] for r, s in zip(pack.refused, reasons, strict=True)] == reasons
    assert not any("\n" in reason for reason in pack.refused)


def test_segments_of_one_file(tmp_path: Path) -> None:
    audio = noise(3 * RATE_HZ)
    soundfile.write(tmp_path / "long.wav", audio, RATE_HZ)
    (tmp_path / "wav.scp").write_text("r long.wav\n")
    (tmp_path / "text").write_text("u1 one\nu2 42\nu3 three\n")
    (tmp_path / "segments").write_text("u1 r 0.25 1.0\nu2 r 1 2\nu3 r 2.5 -1\n")
    pack = open_set(tmp_path)
    first, last = (pack.samples(clip) * 32_768 for clip in pack.clips)
    assert np.array_equal(first, audio[4_000:16_000])
    assert np.array_equal(last, audio[40_000:])
    assert pack.refused == ["long.wav from 1 s: '4' in '42' is not among the tokens"]


def test_nothing_usable_is_an_empty_pack(tmp_path: Path) -> None:
    pack = open_set(write_manifest(tmp_path, ("missing.wav", "a")))
    assert (pack.clips, len(pack.audio), len(pack.refused), pack.hours) == ([], 0, 1, 0)


def test_a_pack_is_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    soundfile.write(tmp_path / "a.wav", noise(RATE_HZ), RATE_HZ)
    manifest, progress = write_manifest(tmp_path, ("a.wav", "one")), list[str]()
    first = open_set(manifest, progress)
    assert progress == [f"decoding {manifest}: 1 utterances"]
    monkeypatch.delattr(audio_pack, "_decode")
    again = open_set(manifest, progress)
    assert len(progress) == 1
    assert again.clips == first.clips
    assert np.array_equal(again.audio, first.audio)
    assert sorted(p.suffix for p in (tmp_path / "cache").iterdir()) == [".i16", ".json"]


def test_another_text_is_another_pack(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", noise(RATE_HZ), RATE_HZ)
    open_set(write_manifest(tmp_path, ("a.wav", "one")))
    pack = open_set(write_manifest(tmp_path, ("a.wav", "two")))
    assert pack.clips[0].tokens == tuple(ENGLISH_CHARACTERS.encode("two"))


def test_decoding_that_is_broken_off_begins_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    soundfile.write(tmp_path / "a.wav", noise(RATE_HZ), RATE_HZ)
    manifest = write_manifest(tmp_path, ("a.wav", "one"), ("a.wav", "two"))
    with monkeypatch.context() as patch:
        calls = iter([lambda: (noise(RATE_HZ), "")])
        patch.setattr(audio_pack, "_read", lambda *_: next(calls)())
        with pytest.raises(StopIteration):
            open_set(manifest)
    assert not list((tmp_path / "cache").glob("*.json"))
    assert len(open_set(manifest).clips) == 2


def test_a_cache_that_cannot_be_written(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", noise(RATE_HZ), RATE_HZ)
    (tmp_path / "cache").touch()
    with pytest.raises(ManifestError, match="cannot be kept in"):
        open_set(write_manifest(tmp_path, ("a.wav", "one")))
