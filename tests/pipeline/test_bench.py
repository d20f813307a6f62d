"""`rillet bench`: the table has what was measured, and nothing of it needs torch. No test here asks how fast it is."""

import subprocess
import sys
from pathlib import Path

import pytest
from rillet.pipeline.beam_options import BeamOptions
from rillet.pipeline.bench import Measured, bench, peak_memory_mb, processor
from rillet.pipeline.lm_file import write
from rillet.pipeline.ngrams import NgramTrie

# A file, which the process that measures runs again: so torch is blocked there too.
WITHOUT_TORCH = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "torchaudio", "librosa", "onnx", "scipy", "soxr"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocker())
from rillet.pipeline.cli import main

if __name__ == "__main__":
    main()
"""


@pytest.fixture
def small_lm_file(small_trie: NgramTrie, tmp_path: Path) -> Path:
    write(small_trie, tmp_path / "small.lm")
    return tmp_path / "small.lm"


def rillet_bench(folder: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    script = folder / "command.py"
    script.write_text(WITHOUT_TORCH)
    command = [sys.executable, str(script), "bench", "--seconds", "2", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def test_greedy_and_beam_are_rows_of_one_table(tone_model: Path, small_lm_file: Path, tmp_path: Path) -> None:
    done = rillet_bench(tmp_path, "--model", tone_model, "--lm", small_lm_file)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("tones, int8, ")
    rows = [line.split() for line in done.stdout.splitlines() if line.startswith((" greedy", " beam"))]
    assert [row[:-5] for row in rows] == [["greedy"], ["beam", str(BeamOptions().width), "+", "LM"]]
    for row in rows:
        factor, median_ms, most_ms, streams, memory_mb = map(float, row[-5:])
        assert 0 < median_ms <= most_ms
        # Both are rounded, and a tone model's factor has a digit or two left.
        assert 0.8 / (factor + 0.0005) - 1 <= streams <= 0.8 / max(factor - 0.0005, 1e-5) + 1
        assert 10 < memory_mb < 2_000
    assert "160 ms of sound" in done.stdout
    assert "320 ms after it was said" in done.stdout


def test_without_a_language_model_there_is_one_row(tone_model: Path, tmp_path: Path) -> None:
    done = rillet_bench(tmp_path, "--model", tone_model, "--lm", "none")
    assert done.returncode == 0
    assert " greedy" in done.stdout
    assert "beam" not in done.stdout


def test_it_measures_so_much_sound(tone_model: Path) -> None:
    rows = bench(tone_model, {"lm": None}, 1.6)
    assert [(row.decoder, row.audio_s, len(row.chunks_s)) for row in rows] == [("greedy", 1.6, 10)]


def test_what_is_not_a_model_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "no.onnx").write_bytes(b"no")
    done = rillet_bench(tmp_path, "--model", tmp_path / "no.onnx")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"rillet: {tmp_path / 'no.onnx'}: ")
    assert done.stderr.count("\n") == 1


def test_the_figures_follow_from_what_was_measured() -> None:
    measured = Measured("greedy", 0.1, audio_s=16.0, cpu_s=0.8, chunks_s=(*[0.008] * 98, 0.2, 0.4), peak_mb=None)
    assert measured.real_time_factor == 0.05
    assert measured.live_streams == 16
    assert measured.chunk_ms(50) == 8
    assert 8 < measured.chunk_ms(99) < 400
    assert measured.busy_ratio == pytest.approx(1.73)
    slow = Measured("greedy", 0.1, audio_s=16.0, cpu_s=20.0, chunks_s=(0.2,), peak_mb=None)
    assert slow.live_streams == 0


def test_memory_and_processor_of_this_machine() -> None:
    before_mb = peak_memory_mb()
    assert before_mb is not None
    block = bytearray(b"x") * 50_000_000
    after_mb = peak_memory_mb()
    assert after_mb is not None
    assert after_mb >= before_mb
    assert after_mb >= len(block) / 1e6
    assert processor()
