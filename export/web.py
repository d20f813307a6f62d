"""The recogniser as a static web page: the same model file in onnxruntime-web, nothing to build and nothing to install.

The page lies in page/ as it is served. Added to it are the model, a language model, model.json with what the page must
know of them, and onnxruntime-web, which npm fetches. Nothing here needs torch or onnx.
"""

import hashlib
import json
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterable
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from ..pipeline.beam_options import LETTERS, PHRASES, PRONUNCIATIONS
from ..pipeline.endpoint import EndpointRules
from ..pipeline.errors import RilletError
from ..pipeline.lm_errors import DamagedLanguageModelError
from ..pipeline.lm_file import is_compact
from ..pipeline.lm_file import read as read_lm
from ..pipeline.model_file import PREFIX, SHIPPED_SAMPLE, AcousticModel
from ..pipeline.recogniser import SHIPPED_LM

PAGE = Path(__file__).parent / "page"
RUNTIME = "onnxruntime-web@1.30.0"
RUNTIME_FILES = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
WASM = f"ort/{RUNTIME_FILES[2]}"
WORKER = "service-worker.js"


class WebExportError(RilletError, RuntimeError):
    """The page could not be written."""


def main(folder: Path, model: Path | None = None, lm: str | None = None, runtime: Path | None = None) -> None:
    """Write the page into `folder`.

    Args:
        model: a .onnx file; None is the shipped one.
        lm: a compact language model; None is the shipped one, for English models, and "none" none.
        runtime: an unpacked onnxruntime-web package, or the folder ort/ of another page; None fetches it with npm.

    Raises:
        WebExportError, ModelError, LanguageModelError
    """
    acoustic = AcousticModel.load(model)
    if lm is None:
        lm_path = SHIPPED_LM if acoustic.info.language == "en" and SHIPPED_LM.is_file() else None
    else:
        lm_path = None if lm == "none" else Path(lm)
    if lm_path is not None:
        if not is_compact(lm_path):
            raise DamagedLanguageModelError(lm_path, "it is not compact; make it so with `rillet lm convert`")
        read_lm(lm_path)
    if folder.is_dir() and any(folder.iterdir()) and not (folder / "model.json").is_file():
        raise WebExportError(f"{folder}: there are other files in this folder; name a new one for the page.")
    with tempfile.TemporaryDirectory() as temporary:
        sources = _runtime_files(runtime or _fetch_runtime(Path(temporary)))
        try:
            size = _write(folder, acoustic, lm_path, sources)
        except OSError as error:
            raise WebExportError(f"{error.filename or folder}: this cannot be written ({error.strerror}).") from error
    print(
        f"{folder}: a page of {size / 1e6:.0f} MB. Put the folder on any web server with https; or to try it here:\n"
        f"  python3 -m http.server --bind 127.0.0.1 --directory {folder}\n"
        f"and open http://localhost:8000"
    )


def _write(folder: Path, model: AcousticModel, lm: Path | None, runtime: Iterable[Path]) -> int:
    """Put everything there, and return its size in bytes."""
    shutil.copytree(PAGE, folder, dirs_exist_ok=True, copy_function=shutil.copyfile)
    (folder / "ort").mkdir(exist_ok=True)
    for source in runtime:
        shutil.copyfile(source, folder / "ort" / source.name)
    shutil.copyfile(model.path, folder / "model.onnx")
    shutil.copyfile(SHIPPED_SAMPLE, folder / SHIPPED_SAMPLE.name)
    (folder / "language.lm").unlink(missing_ok=True)
    if lm is not None:
        shutil.copyfile(lm, folder / "language.lm")
    about = _about(model, folder)
    (folder / "model.json").write_text(json.dumps(about, indent=1), encoding="utf-8")
    files = {path.relative_to(PAGE).as_posix() for path in PAGE.rglob("*") if path.is_file()} - {WORKER}
    files |= {"model.json", SHIPPED_SAMPLE.name, *(f"ort/{name}" for name in RUNTIME_FILES)}
    return _complete_service_worker(folder, files | {file["path"] for file in about["files"].values()})


def _about(model: AcousticModel, folder: Path) -> dict[str, Any]:
    """What the page must know: metadata of the model file, which onnxruntime-web does not give, and our settings."""
    metadata = model.session.get_modelmeta().custom_metadata_map
    info = {field.name: getattr(model.info, field.name) for field in fields(model.info)}
    for name in ("golden", "mfcc"):
        del info[name]
    paths = {"model": "model.onnx", "wasm": WASM, "lm": "language.lm"}
    return {
        "info": {
            **info,
            "columns": model.info.columns,
            "error_rates": [asdict(rate) for rate in model.info.error_rates],
        },
        "golden": json.loads(metadata[PREFIX + "golden"]),
        "beam": {"letters": asdict(LETTERS), "pronunciations": asdict(PRONUNCIATIONS), "phrases": asdict(PHRASES)},
        "endpoints": asdict(EndpointRules()),
        "files": {
            name: {"path": path, "bytes": (folder / path).stat().st_size}
            for name, path in paths.items()
            if (folder / path).is_file()
        },
    }


def _runtime_files(package: Path) -> list[Path]:
    """What the page needs of onnxruntime-web."""
    found = []
    for name in (*RUNTIME_FILES, "package.json"):
        source = next((path for path in (package / "dist" / name, package / name) if path.is_file()), None)
        if source is None:
            raise WebExportError(f"{package}: this is no folder of onnxruntime-web, for there is no {name} in it.")
        found.append(source)
    return found


def _fetch_runtime(folder: Path) -> Path:
    """Download and unpack the package with npm."""
    npm = shutil.which("npm")
    if npm is None:
        raise WebExportError(
            f"the page needs {RUNTIME}, and npm, which fetches it, is not installed; install Node.js, "
            f"or name an unpacked package with --runtime."
        )
    done = subprocess.run([npm, "pack", RUNTIME, "--silent"], cwd=folder, capture_output=True, text=True, check=False)
    archive = next(folder.glob("*.tgz"), None)
    if done.returncode or archive is None:
        reason = (done.stderr.strip().splitlines() or ["it gave no reason"])[0]
        raise WebExportError(f"npm could not fetch {RUNTIME} ({reason}); try again, or name a package with --runtime.")
    wanted = {"package/package.json", *(f"package/dist/{name}" for name in RUNTIME_FILES)}
    (folder / "package" / "dist").mkdir(parents=True)
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.name in wanted and (content := tar.extractfile(member)) is not None:
                (folder / member.name).write_bytes(content.read())
    return folder / "package"


def _complete_service_worker(folder: Path, files: Iterable[str]) -> int:
    """Tell the service worker what to keep, and a version that follows from the content; return bytes in all."""
    worker, content, size = folder / WORKER, hashlib.sha256(), 0
    for name in sorted(files):
        data = (folder / name).read_bytes()
        content.update(f"{name} {len(data)} ".encode() + data)
        size += len(data)
    text = worker.read_text(encoding="utf-8")
    for line, value in (
        ('const VERSION = "written by rillet export --web";', f'const VERSION = "{content.hexdigest()[:16]}";'),
        ("const FILES = [];", f"const FILES = {json.dumps(['./', *sorted(files)])};"),
    ):
        assert line in text
        text = text.replace(line, value)
    worker.write_text(text, encoding="utf-8")
    return size + len(text)
