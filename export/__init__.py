"""From a trained network to a model file."""

from .. import pipeline as pipeline  # which keeps onnxruntime from sending anything
