"""Streaming speech recognition: sound in, text out, through one small ONNX file.

Read in this order: events, decoder, greedy, model_file, resample, samples, endpoint, stream, audio_file, recogniser,
snapshot, subtitles, writers, batch_records, batch, batch_workers, cli.
"""

import os

# Wheels of onnxruntime (1.32 for Linux) write down how they are used, to send it, unless told before they are imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

from .decoder import Decoded, Decoder
from .endpoint import EndpointRules
from .errors import AudioError, ModelError, RilletError
from .events import Alternative, Event, Final, Partial, Transcript, Word
from .model_file import SHIPPED_SAMPLE, AcousticModel, ModelInfo
from .recogniser import Recognizer
from .stream import Stream

__all__ = [
    "SHIPPED_SAMPLE",
    "AcousticModel",
    "Alternative",
    "AudioError",
    "Decoded",
    "Decoder",
    "EndpointRules",
    "Event",
    "Final",
    "ModelError",
    "ModelInfo",
    "Partial",
    "Recognizer",
    "RilletError",
    "Stream",
    "Transcript",
    "Word",
]
