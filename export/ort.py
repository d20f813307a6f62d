"""`rillet export --ort`: a model in ORT format, and the operators that a reduced build of onnxruntime needs for it.

Reduced builds ("minimal builds") read no .onnx files, only this format, whose graph is optimised already. The metadata
comes along, so `Recognizer.load` and every other client take the file as they take the .onnx file.
"""

import logging
import os
import tempfile
from pathlib import Path

import onnxruntime  # type: ignore[import-untyped]
from onnxruntime.tools.ort_format_model import create_config_from_models  # type: ignore[import-untyped]

from ..pipeline.errors import RilletError
from ..pipeline.model_file import SHIPPED_MODEL, AcousticModel


class OrtExportError(RilletError, RuntimeError):
    """The file could not be written."""


def main(model: Path | None, output: Path) -> None:
    """Write `output`, and `NAME.required_operators.config` beside it.

    Args:
        model: a file that `rillet export` wrote; None is the shipped one.
        output: the .ort file.

    Raises:
        ModelError: the model cannot be used.
        OrtExportError: nothing can be written there.
    """
    if output.suffix != ".ort":
        raise OrtExportError(f"{output}: onnxruntime knows a file in ORT format by its name; let it end in .ort")
    if not output.parent.is_dir():
        raise OrtExportError(f"there is no folder {output.parent} to write to; make it first")
    AcousticModel.load(model).verify()
    operators = output.with_suffix(".required_operators.config")
    try:
        with tempfile.TemporaryDirectory(dir=output.parent, prefix=".rillet-") as folder:
            converted = Path(folder) / output.name
            convert(model or SHIPPED_MODEL, converted)
            AcousticModel.load(converted).verify()
            logging.getLogger("ort_format_model.utils").setLevel(logging.WARNING)  # it tells what it does
            create_config_from_models([converted], Path(folder) / operators.name, False)
            _say_of_what(Path(folder) / operators.name, output.name)
            os.replace(Path(folder) / operators.name, operators)
            os.replace(converted, output)
    except OSError as error:
        raise OrtExportError(f"{output} cannot be written: {error.strerror}") from error
    print(f"{output}: {output.stat().st_size / 1e6:.2f} MB; {operators.name} lists the operators it needs")


def convert(model: Path, output: Path) -> None:
    """The optimised graph in ORT format, for every processor."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.optimized_model_filepath = str(output)
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.add_session_config_entry("session.save_model_format", "ORT")
    onnxruntime.InferenceSession(
        str(model),
        options,
        providers=["CPUExecutionProvider"],
        disabled_optimizers=["NchwcTransformer"],  # its layout is one of x86 alone
    )


def _say_of_what(config: Path, name: str) -> None:
    """The generator names the model by its temporary place."""
    lines = [line for line in config.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    text = "\n".join([f"# {name}; for onnxruntime's build.sh --minimal_build --include_ops_by_config THIS", *lines, ""])
    config.write_text(text, encoding="utf-8")
