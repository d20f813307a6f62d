"""Decoders side by side on the same log-probabilities in the same run: error rates and time, one thread.

    python benchmarks/decoders.py --lm en.lm --arpa en.arpa                          simulated log-probabilities
    python benchmarks/decoders.py --lm en.lm --arpa en.arpa --model m.onnx --manifest dev.jsonl

ours by letters: greedy, beam, beam with language model, the same with hotwords; and by sounds, where model and language
model have them: what users get. Others, where they are installed: pyctcdecode with KenLM (pip install pyctcdecode
kenlm, which need numpy < 2) and the C++ lexicon decoder of flashlight-text (pip install ufal-flashlight-text), which
can do both; they read the ARPA file and get the whole sentence at once. Times are of the process, not of the clock,
because other things may run. --weights and --bonuses try several for what users get.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import simulated_ctc
from numpy.typing import NDArray
from rillet.pipeline.beam import BeamDecoder
from rillet.pipeline.beam_options import PRONUNCIATIONS, BeamOptions
from rillet.pipeline.decoder import Decoder
from rillet.pipeline.decoding import make_decoder
from rillet.pipeline.events import Word
from rillet.pipeline.greedy import GreedyDecoder
from rillet.pipeline.hotwords import Hotword, Hotwords
from rillet.pipeline.lm import LanguageModel
from rillet.pipeline.model_file import AcousticModel, ModelInfo

FloatArray = NDArray[np.float32]
STEP_FRAMES = 4  # frames that a stream hands on at a time
BINS = (0.0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 1.0)


@dataclass(frozen=True)
class Utterance:
    text: str
    log_probs: FloatArray  # [frames, columns]


@dataclass(frozen=True)
class Setting:
    """What all decoders share."""

    tokens: list[str]
    phones: tuple[str, ...]
    frame_s: float
    lm: LanguageModel
    arpa: Path
    options: BeamOptions  # of the search by letters


def edits(reference: str | list[str], found: str | list[str]) -> int:
    """Least number of substitutions, insertions and deletions."""
    row = list(range(len(found) + 1))
    for i, wanted in enumerate(reference, start=1):
        diagonal, row[0] = row[0], i
        for j, got in enumerate(found, start=1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (wanted != got))
    return row[-1]


def compare(rows: dict[str, Callable[[FloatArray], str]], utterances: list[Utterance], frame_s: float) -> None:
    """Print a table. They take turns at each utterance, so that a machine whose speed changes is fair to all."""
    seconds, found = dict.fromkeys(rows, 0.0), {name: list[str]() for name in rows}
    for decode in rows.values():
        decode(utterances[0].log_probs)  # load what is loaded at first use
    for each in utterances:
        for name, decode in rows.items():
            start = time.process_time()
            found[name].append(decode(each.log_probs))
            seconds[name] += time.process_time() - start
    frames = sum(len(each.log_probs) for each in utterances)
    print(f"{'decoder':34} {'WER %':>6} {'CER %':>6} {'ms/frame':>9} {'RTF':>9}")
    for name, texts in found.items():
        words = sum(edits(each.text.split(), text.split()) for each, text in zip(utterances, texts, strict=True))
        letters = sum(edits(each.text, text) for each, text in zip(utterances, texts, strict=True))
        wer = words / sum(len(each.text.split()) for each in utterances)
        cer = letters / sum(len(each.text) for each in utterances)
        per_frame_s = seconds[name] / frames
        print(f"{name:34} {100 * wer:6.2f} {100 * cer:6.2f} {1000 * per_frame_s:9.4f} {per_frame_s / frame_s:9.5f}")


def streaming(decoder: Decoder) -> Callable[[FloatArray], str]:  # type: ignore[type-arg]
    """One of ours, fed as a stream feeds it."""

    def decode(log_probs: FloatArray) -> str:
        return " ".join(word.text for word in _words(decoder, log_probs))

    return decode


def _words(decoder: Decoder, log_probs: FloatArray) -> list[Word]:  # type: ignore[type-arg]
    state, words = decoder.start(), []
    for start in range(0, len(log_probs), STEP_FRAMES):
        decoded, state = decoder.step(log_probs[start : start + STEP_FRAMES], state)
        words += decoded.committed
    return [*words, *decoder.finish(state)[0].committed]


def pyctcdecode(setting: Setting) -> Callable[[FloatArray], str]:
    from pyctcdecode import build_ctcdecoder

    options = setting.options
    known = [word for word in setting.lm.vocabulary if not word.startswith("<")]
    decoder = build_ctcdecoder(
        setting.tokens, str(setting.arpa), known, alpha=options.lm_weight, beta=options.word_bonus
    )
    letters = len(setting.tokens)
    return lambda log_probs: str(decoder.decode(log_probs[:, :letters], beam_width=options.width))


def flashlight(setting: Setting, by_sounds: bool = False) -> Callable[[FloatArray], str]:
    from flashlight.lib.text.decoder import (
        CriterionType,
        KenLM,
        LexiconDecoder,
        LexiconDecoderOptions,
        SmearingMode,
        Trie,
    )
    from flashlight.lib.text.dictionary import Dictionary

    tokens, options = setting.tokens, PRONUNCIATIONS if by_sounds else setting.options
    columns = slice(len(tokens), None) if by_sounds else slice(len(tokens))
    count, separator = (1 + len(setting.phones), 0) if by_sounds else (len(tokens), tokens.index(" "))
    known = [word for word in setting.lm.vocabulary if not word.startswith("<")]
    if by_sounds:
        assert setting.lm.lexicon is not None
        said = setting.lm.lexicon.pronunciations(set(known))
    else:
        said = {word: [(*map(tokens.index, word), separator)] for word in known}
    words = Dictionary(known)
    words.add_entry("<unk>")
    lm = KenLM(str(setting.arpa), words)
    trie = Trie(count, separator)
    for word, several in said.items():
        index = words.get_index(word)
        _, score = lm.score(lm.start(False), index)
        for spelled in several:
            trie.insert(list(spelled), index, score)
    trie.smear(SmearingMode.MAX)
    decoder = LexiconDecoder(
        LexiconDecoderOptions(
            beam_size=options.width,
            beam_size_token=options.tokens_per_frame + 1,
            beam_threshold=25.0,
            lm_weight=options.lm_weight * math.log(10),  # its language model counts in powers of ten
            word_score=options.word_bonus,
            unk_score=-math.inf,
            sil_score=0.0,
            log_add=True,
            criterion_type=CriterionType.CTC,
        ),
        trie, lm, separator, 0, words.get_index("<unk>"), [], False,
    )  # fmt: skip

    def decode(log_probs: FloatArray) -> str:
        emissions = np.array(log_probs[:, columns], np.float32, order="C")
        emissions[:, 0] -= options.blank_penalty
        results = decoder.decode(emissions.ctypes.data, *emissions.shape)
        return " ".join(words.get_entry(index) for index in results[0].words if index >= 0) if results else ""

    return decode


def reliability(
    decoder: Decoder,  # type: ignore[type-arg]
    utterances: list[Utterance],
) -> None:
    """Print how often words of each confidence are right, and how far the two are apart on average (ECE)."""
    pairs: list[tuple[float, bool]] = []
    for each in utterances:
        words = _words(decoder, each.log_probs)
        partners = aligned(each.text.split(), [word.text for word in words])
        pairs += [(word.confidence, partner is not None) for word, partner in zip(words, partners, strict=True)]
    print("\nconfidence      words  right %  mean %")
    error = 0.0
    for low, high in itertools.pairwise(BINS):
        inside = [(conf, ok) for conf, ok in pairs if low <= conf < high or (high == 1.0 and conf == 1.0)]
        if inside:
            mean = sum(conf for conf, _ in inside) / len(inside)
            share = sum(ok for _, ok in inside) / len(inside)
            error += len(inside) / len(pairs) * abs(mean - share)
            print(f"{low:.2f} to {high:.2f} {len(inside):8} {100 * share:8.1f} {100 * mean:7.1f}")
    print(f"expected calibration error {100 * error:.1f} %")


def aligned(reference: list[str], found: list[str]) -> list[int | None]:
    """For each found word which word of the reference it is in the best alignment; None if it is a wrong one."""
    table = [[i + j if not i or not j else 0 for j in range(len(found) + 1)] for i in range(len(reference) + 1)]
    for i, wanted in enumerate(reference, start=1):
        for j, got in enumerate(found, start=1):
            table[i][j] = min(table[i - 1][j] + 1, table[i][j - 1] + 1, table[i - 1][j - 1] + (wanted != got))
    partners: list[int | None] = [None] * len(found)
    i, j = len(reference), len(found)
    while i and j:
        same = reference[i - 1] == found[j - 1]
        if table[i][j] == table[i - 1][j - 1] + (not same):
            i, j = i - 1, j - 1
            partners[j] = i if same else None
        elif table[i][j] == table[i - 1][j] + 1:
            i -= 1
        else:
            j -= 1
    return partners


def stability(
    decoder: Decoder,  # type: ignore[type-arg]
    utterances: list[Utterance],
    frame_s: float,
) -> None:
    """Print how long words wait for their commit, and how often a shown word is changed before."""
    waits: list[float] = []
    shown_words = changed = 0
    for each in utterances:
        state, done, shown = decoder.start(), 0, list[str]()
        for frame in range(len(each.log_probs)):
            decoded, state = decoder.step(each.log_probs[frame : frame + 1], state)
            waits += [(frame + 1) * frame_s - word.end_s for word in decoded.committed]
            now = [word.text for word in (*decoded.committed, *decoded.volatile)]
            finished = shown[:-1]  # the last word may still be growing, which is no change
            changed += sum(a != b for a, b in zip(finished, now, strict=False)) + max(len(finished) - len(now), 0)
            shown_words += len(decoded.committed)
            done += len(decoded.committed)
            shown = now[len(decoded.committed) :]
        last, _ = decoder.finish(state)
        waits += [len(each.log_probs) * frame_s - word.end_s for word in last.committed]
        shown_words += len(last.committed)
    middle, late = np.percentile(waits, [50, 95])
    print(f"\nwords are committed {middle:.2f} s (median), {late:.2f} s (95 %) after they end;", end=" ")
    print(f"{changed / max(shown_words, 1):.2f} changes of a finished shown word per word")


def simulated(path: Path, count: int) -> list[Utterance]:
    lines = [line for line in path.read_text().splitlines() if line]
    return [Utterance(line, simulated_ctc.simulate(line, i)[0]) for i, line in enumerate(lines[:count])]


def recorded(model_path: Path, manifest: Path, count: int) -> tuple[list[Utterance], ModelInfo]:
    """Log-probabilities of a model for the recordings of a manifest, the look-ahead taken off."""
    import soundfile
    from rillet.pipeline.resample import resampler_between

    model = AcousticModel.load(model_path)
    info = model.info
    utterances = []
    for line in manifest.read_text().splitlines()[:count]:
        entry = json.loads(line)
        audio, rate_hz = soundfile.read(manifest.parent / entry["audio"], dtype="float32", always_2d=True)
        resampler = resampler_between(rate_hz, info.sample_rate_hz)
        first, state = resampler.step(audio.mean(axis=1), resampler.start())
        samples = np.concatenate([first, resampler.finish(state)[0]])
        frames = -(-len(samples) // info.samples_per_frame) + info.look_ahead_frames
        steps = -(-frames // info.step_frames)
        samples = np.pad(samples, (0, steps * info.step_samples - len(samples)))
        rows, carried = [], model.initial_state()
        for start in range(0, len(samples), info.step_samples):
            row, carried = model.step(samples[None, start : start + info.step_samples], carried)
            rows.append(row[0])
        utterances.append(Utterance(entry["text"].lower(), np.concatenate(rows)[info.look_ahead_frames : frames]))
    return utterances, info


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lm", type=Path, required=True, help="compact file or ARPA")
    parser.add_argument("--arpa", type=Path, help="the same model for the others")
    parser.add_argument("--text", type=Path, help="sentences to simulate, one on a line")
    parser.add_argument("--model", type=Path)
    parser.add_argument("--manifest", type=Path)
    parser.add_argument("--count", type=int, default=200, help="utterances")
    parser.add_argument("--hotword", action="append", default=[])
    parser.add_argument("--beam", type=int, default=BeamOptions.width)
    parser.add_argument("--weights", type=float, nargs="*", default=[], help="language model weights to try")
    parser.add_argument("--bonuses", type=float, nargs="*", default=[BeamOptions.word_bonus])
    arguments = parser.parse_args()
    lm = LanguageModel.load(arguments.lm)
    tokens, phones, frame_s = simulated_ctc.TOKENS, tuple[str, ...](), simulated_ctc.FRAME_S
    if arguments.model:
        utterances, info = recorded(arguments.model, arguments.manifest, arguments.count)
        tokens, phones, frame_s = list(info.tokens), info.phones, info.frame_s
    else:
        utterances = simulated(arguments.text, arguments.count)
    options = replace(BeamOptions(), width=arguments.beam)
    setting = Setting(tokens, phones, frame_s, lm, arguments.arpa, options)

    rows: dict[str, Callable[[FloatArray], str]] = {}
    rows["greedy"] = streaming(GreedyDecoder(tokens, frame_s))
    rows[f"beam {options.width}"] = streaming(BeamDecoder(tokens, frame_s, options))
    best: Decoder = BeamDecoder(tokens, frame_s, options, lm)  # type: ignore[type-arg]
    rows[f"beam {options.width} + language model"] = streaming(best)
    same_pruning = replace(options, token_log_prob=-5.0, prune_nats=10.0)  # what pyctcdecode has by default
    rows["  the same, pruned as pyctcdecode"] = streaming(BeamDecoder(tokens, frame_s, same_pruning, lm))
    hotwords = Hotwords([Hotword.parse(text) for text in arguments.hotword or ["kubernetes"]], tokens)
    rows[f"beam {options.width} + lm + hotwords"] = streaming(BeamDecoder(tokens, frame_s, options, lm, hotwords))
    by_sounds = bool(phones and lm.lexicon)
    if by_sounds:
        best = make_decoder(tokens, frame_s, phones=phones, lm=lm)
        rows[f"sounds, beam {PRONUNCIATIONS.width} + lm"] = streaming(best)
        narrow = make_decoder(tokens, frame_s, phones=phones, lm=lm, options={"width": 16})
        rows["sounds, beam 16 + lm"] = streaming(narrow)
        wanted = arguments.hotword or ["kubernetes"]
        hot = make_decoder(tokens, frame_s, phones=phones, lm=lm, hotwords=wanted)
        rows["sounds, beam + lm + hotwords"] = streaming(hot)
    for weight in arguments.weights:
        for bonus in arguments.bonuses:
            changes = {"lm_weight": weight, "word_bonus": bonus}
            tried = make_decoder(tokens, frame_s, phones=phones, lm=lm, options=changes)
            rows[f"  weight {weight} bonus {bonus}"] = streaming(tried)
    if arguments.arpa:
        for name, make in (("pyctcdecode", pyctcdecode), ("flashlight-text (C++)", flashlight)):
            try:
                decode = make(setting)
            except ImportError as error:
                print(f"{name:34} not measured: {error}")
            else:
                rows[f"{name} {options.width}"] = decode
                if by_sounds and make is flashlight:
                    rows[f"{name}, sounds {PRONUNCIATIONS.width}"] = flashlight(setting, by_sounds=True)
    compare(rows, utterances, frame_s)
    reliability(best, utterances)
    stability(best, utterances, frame_s)


if __name__ == "__main__":
    main()
