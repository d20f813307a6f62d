"""Error rates against jiwer itself, and the same for checkpoint and file, streaming and whole."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import jiwer
import numpy as np
import pytest
import soundfile  # type: ignore[import-untyped]
import torch
from rillet.export.onnx import main as export
from rillet.models.checkpoint import CheckpointError, load_checkpoint
from rillet.models.error_rate import Errors, character_errors, show_alignment, word_errors
from rillet.models.evaluate import Evaluation, Mode, evaluate, main
from rillet.models.manifest import ManifestError, Utterance, read_manifest
from rillet.models.tokens import Tokens
from rillet.models.train import greedy
from rillet.pipeline import Recognizer


@pytest.fixture(scope="module")
def model_file(tone_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("exported") / "tones.onnx"
    export(tone_checkpoint, path)
    return path


def test_edits_are_counted_over_all_utterances() -> None:
    said, heard = ["a b c d", "e f", ""], ["a x c", "e f g", "h"]
    assert word_errors(said, heard) == Errors(substitutions=1, insertions=2, deletions=1, length=6)
    assert word_errors(said, heard).rate == pytest.approx(4 / 6)
    assert word_errors(said[:2], heard[:2]).rate == pytest.approx(jiwer.wer(said[:2], heard[:2]))
    assert character_errors(said[:2], heard[:2]).rate == pytest.approx(jiwer.cer(said[:2], heard[:2]))
    assert character_errors(["abcd"], ["abd"]) == Errors(0, 0, 1, 4)


def test_nothing_said_is_no_division_by_zero() -> None:
    assert word_errors([""], [""]).rate == 0
    assert word_errors([""], ["a b"]).rate == 2
    assert word_errors([], []) == Errors(0, 0, 0, 0)


def test_alignment() -> None:
    assert [line.rstrip() for line in show_alignment("a b c", "a x c d").splitlines()] == [
        "REF: a b c *",
        "HYP: a x c d",
        "       S   I",
    ]
    long = show_alignment("word " * 60, "word " * 59 + "end").splitlines()
    assert len(long) > 6
    assert max(map(len, long)) <= 101


def test_the_table_for_a_checkpoint(tone_checkpoint: Path, tone_sets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = tone_sets / "wrong.jsonl"  # some of the texts are not what is said, so that there is something to count
    said = [u.text for u in read_manifest(tone_sets / "dev.jsonl")]
    said = [f"{text} cab" if i == 1 else text.replace("a", "c", 1) if i == 2 else text for i, text in enumerate(said)]
    lines = (json.dumps({"audio": f"dev{i}.wav", "text": text}) + "\n" for i, text in enumerate(said))
    manifest.write_text("".join(lines))
    results = main(tone_checkpoint, manifest, worst=2)
    printed = capsys.readouterr().out
    kinds = [(r.precision, r.mode) for r in results]
    assert kinds == [(p, m) for p in ("float32", "int8") for m in ("streaming", "whole")]
    rows = [line for line in printed.splitlines() if "streaming" in line or "whole" in line]
    for result, row in zip(results, rows, strict=True):
        assert result.said == said
        expected = jiwer.process_words(said, result.heard)
        assert 0 < expected.wer < 0.6
        assert result.words.rate == pytest.approx(expected.wer)
        assert result.characters.rate == pytest.approx(jiwer.cer(said, result.heard))
        cells = row.replace("│", " ").split()
        counts = [str(n) for n in (expected.substitutions, expected.insertions, expected.deletions)]
        words = str(sum(len(text.split()) for text in said))
        assert cells[:-1] == [
            result.precision, result.mode, f"{100 * expected.wer:.2f}", f"{100 * jiwer.cer(said, result.heard):.2f}",
            *counts, words,
        ]  # fmt: skip
        assert 0 < float(cells[-1]) == pytest.approx(result.real_time_factor, abs=1e-4)
    assert results[0].heard == results[1].heard  # contract 3
    worst = max(range(len(said)), key=lambda i: jiwer.wer(said[i], results[2].heard[i]))
    shown = printed.split(rows[-1])[1]
    assert shown.count("REF: ") == 2
    assert f"dev{worst}.wav" in shown
    assert show_alignment(said[worst], results[2].heard[worst]) in shown


def test_what_torch_hears_is_what_the_file_hears(tone_checkpoint: Path, model_file: Path, tone_sets: Path) -> None:
    utterances, network = read_manifest(tone_sets / "dev.jsonl"), load_checkpoint(tone_checkpoint).load_network()
    heard, unit = [], network.config.samples_per_frame
    for utterance in utterances:
        samples, _ = soundfile.read(utterance.audio, dtype="float32")
        frames = -(-len(samples) // unit)
        audio = torch.zeros(1, (frames + network.config.look_ahead_frames) * unit)
        audio[0, : len(samples)] = torch.from_numpy(samples)
        with torch.inference_mode():
            log_probs, _ = network(audio, network.initial_state(1))
        rows = log_probs[0, network.config.look_ahead_frames :].argmax(-1)
        heard.append(greedy(rows.tolist(), Tokens(network.config.tokens)))
    recogniser = Recognizer.load(model_file, lm=None)
    assert evaluate(recogniser, utterances, "whole").heard == heard
    assert evaluate(recogniser, utterances, "streaming").heard == heard
    assert [recogniser.transcribe(u.audio).text for u in utterances] == heard
    # and it is what the validation in training counted
    wer = load_checkpoint(tone_checkpoint).progress["best_wer"]
    assert jiwer.wer([u.text for u in utterances], heard) == pytest.approx(wer)


class Listener:
    """A decoder that keeps the rows it is given."""

    def __init__(self, decoder: Any) -> None:
        self.decoder, self.rows = decoder, list[Any]()
        self.start, self.finish = decoder.start, decoder.finish

    def step(self, log_probs: Any, state: Any) -> Any:
        self.rows.append(log_probs)
        return self.decoder.step(log_probs, state)


def test_the_decoder_gets_a_row_for_each_frame_of_audio(model_file: Path, tone_sets: Path) -> None:
    """The same rows streaming and whole: the look-ahead taken off at the beginning, and flushed at the end."""
    utterance, rows = read_manifest(tone_sets / "dev.jsonl")[0], list[Any]()
    frames = -(-soundfile.info(utterance.audio).frames // 640)
    for mode in ("streaming", "whole"):
        recogniser = Recognizer.load(model_file, lm=None)
        listener = Listener(recogniser.decoder)
        evaluate(dataclasses.replace(recogniser, decoder=listener), [utterance], cast(Mode, mode))
        rows.append(np.concatenate(listener.rows))
    assert rows[0].shape == rows[1].shape == (frames, 5)
    assert np.abs(rows[0] - rows[1]).max() < 1e-4


def test_a_model_file_has_two_rows(model_file: Path, tone_sets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = main(model_file, tone_sets / "dev.jsonl", worst=0)
    assert [(r.precision, r.mode) for r in results] == [("float32", "streaming"), ("float32", "whole")]
    assert "REF" not in capsys.readouterr().out


def test_other_rates_channels_and_parts_of_files(model_file: Path, tone_sets: Path, tmp_path: Path) -> None:
    """What lies around a segment is not heard, and 44.1 kHz stereo is heard as 16 kHz mono is."""
    utterance = read_manifest(tone_sets / "train.jsonl")[0]
    samples, _ = soundfile.read(utterance.audio, dtype="float32")
    import librosa

    louder = librosa.resample(samples, orig_sr=16_000, target_sr=44_100)
    around = np.sin(np.arange(44_100) / 7).astype(np.float32)
    soundfile.write(tmp_path / "long.wav", np.stack([np.concatenate([around, louder, around])] * 2, axis=1), 44_100)
    part = Utterance(tmp_path / "long.wav", utterance.text, start_s=1.0, duration_s=len(samples) / 16_000)
    recogniser = Recognizer.load(model_file, lm=None)
    expected = evaluate(recogniser, [utterance], "whole").heard
    assert expected != [""]
    assert evaluate(recogniser, [part], "streaming").heard == expected
    assert evaluate(recogniser, [part], "whole").heard == expected


def test_what_cannot_be_read(model_file: Path, tone_sets: Path, tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_text("no sound")
    for name in ("a.wav", "missing.wav"):
        with pytest.raises(ManifestError, match=f"{name} cannot be read"):
            evaluate(Recognizer.load(model_file, lm=None), [Utterance(tmp_path / name, "a")], "streaming")
    with pytest.raises(CheckpointError, match="there is no checkpoint"):
        main(tmp_path / "none.safetensors", tone_sets / "dev.jsonl")


def test_nothing_but_computing_is_timed(model_file: Path, tone_sets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two seconds of computing for each utterance, by a clock of our own."""
    ticks = iter(range(0, 10_000, 2))
    monkeypatch.setattr("rillet.models.evaluate.time.perf_counter", lambda: float(next(ticks)))
    utterances = read_manifest(tone_sets / "dev.jsonl")
    audio_s = sum(soundfile.info(u.audio).duration for u in utterances)
    result = evaluate(Recognizer.load(model_file, lm=None), utterances, "streaming")
    assert isinstance(result, Evaluation)
    assert result.real_time_factor == pytest.approx(2 * len(utterances) / audio_s)


def rillet(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "rillet.pipeline.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_command_line(model_file: Path, tone_sets: Path, tmp_path: Path) -> None:
    done = rillet("evaluate", model_file, tone_sets / "dev.jsonl", "--worst", "1")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("REF: ") == 1
    broken = tmp_path / "broken.jsonl"
    broken.write_text(json.dumps({"audio": "nowhere.wav", "text": "a"}))
    for arguments, reason in (
        ((model_file, tmp_path / "none.jsonl"), "none.jsonl does not exist"),
        ((tmp_path / "none.onnx", tone_sets / "dev.jsonl"), "there is no such model file"),
        ((model_file, broken), "nowhere.wav cannot be read"),
    ):
        done = rillet("evaluate", *arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert reason in done.stderr
        assert done.stderr.count("\n") == 1


def test_training_from_the_command_line(tmp_path: Path) -> None:
    done = rillet("train", tmp_path / "none.toml")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"rillet: {tmp_path / 'none.toml'} cannot be read: No such file or directory\n"
