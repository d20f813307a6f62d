"""The command line. Everything slow is imported inside the command that needs it."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from .cli_bench import app as bench_app
from .cli_inspect import app as inspect_app
from .cli_language import Alternatives, Beam, HotwordList, Language, Lm, LmWeight, Phrases, WordBonus
from .cli_live import app as live_app
from .cli_lm import app as lm_app
from .endings import BAD_INPUT, complain, quiet_endings
from .errors import MissingExtraError, RilletError
from .events import Event, Final
from .model_file import SHIPPED_MODEL, SHIPPED_SAMPLE

app = typer.Typer(
    name="rillet",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(live_app)
app.add_typer(bench_app)
app.add_typer(inspect_app)
app.add_typer(lm_app, name="lm")


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"rillet {version('rillet')}")
        raise typer.Exit


@app.callback()
def rillet(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Streaming speech recognition on your own machine.

    \b
    Examples:
      rillet listen
      rillet transcribe --sample
      rillet transcribe talk.wav
      rillet transcribe *.flac > notes.txt
      rillet transcribe interview.wav --channel 2
    """


@app.command()
def transcribe(
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FILE", help="A sound file; with --output also a folder, or an address such as s3://..."
        ),
    ] = None,
    sample: Annotated[
        bool, typer.Option("--sample", help="Transcribe the recording that comes with rillet, a synthetic voice.")
    ] = False,
    model: Annotated[
        Path | None, typer.Option(metavar="PATH", help="A model file; by default the English one that is included.")
    ] = None,
    channel: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Hear only this channel, counting from 1; else their mean.")
    ] = None,
    output: Annotated[
        str | None, typer.Option("--output", "-o", metavar="FOLDER", help="Write a file for each recording into this.")
    ] = None,
    formats: Annotated[
        str, typer.Option("--format", metavar="LIST", help="With --output: of txt, json, jsonl, srt and vtt.")
    ] = "txt",
    recursive: Annotated[
        bool, typer.Option("--recursive", "-r", help="With --output: search folders in folders too.")
    ] = False,
    jobs: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="With --output: workers; by default one for each CPU.")
    ] = None,
    engine: Annotated[
        Literal["local", "ray"], typer.Option(help="With --output: work on this machine, or on a Ray cluster.")
    ] = "local",
    lm: Lm = None,
    beam: Beam = None,
    lm_weight: LmWeight = None,
    word_bonus: WordBonus = None,
    hotword: HotwordList = None,
    phrases: Phrases = None,
    alternatives: Alternatives = None,
) -> None:
    """Print what recordings say, while it is being recognised; or with --output, write it into files.

    Printed, there is one paragraph for each file, after its name if there are several. With --output there are as many
    files for each recording as formats, and a progress bar; recordings that are done already, with the same settings,
    are left out, so that the same command goes on after it was stopped. A file that cannot be read is named on standard
    error, what was heard of it is kept, and the others go on; the exit code is then 2.

    \b
    Examples:
      rillet transcribe --sample
      rillet transcribe talk.wav
      rillet transcribe *.flac > notes.txt
      rillet transcribe interview.wav --channel 2
      rillet transcribe lecture.mp3 --hotword "Kubernetes" --hotword "Anna Karenina:8"
      rillet transcribe film.mp4 --output . --format srt
      rillet transcribe recordings --recursive --output texts --format txt,json --jobs 4
      rillet transcribe s3://bucket/calls --output s3://bucket/texts --engine ray
    """
    files = [*(files or []), *([str(SHIPPED_SAMPLE)] if sample else [])]
    if not files:
        raise typer.BadParameter("name at least one sound file, or say --sample.", param_hint="FILE")
    language = Language.of(lm, beam, lm_weight, word_bonus, hotword, phrases, alternatives)
    if output is not None:
        _transcribe_all(files, output, formats, model, channel, language, recursive=recursive, jobs=jobs, engine=engine)
        return
    if recursive or jobs or engine != "local" or formats != "txt" or alternatives:
        names = "--recursive, --jobs, --engine, --format and --alternatives"
        raise typer.BadParameter("this needs --output.", param_hint=names)
    from .places import as_local_file
    from .recogniser import Recognizer

    recogniser = Recognizer.load(model, **language.for_load)
    failed = False
    with quiet_endings():
        for place in files:
            try:
                with as_local_file(place) as path:
                    events = recogniser.events(path, channel=channel)
                    _print_while_it_goes(events, f"{place}:" if len(files) > 1 else "")
            except RilletError as error:
                complain(error)
                failed = True
    if failed:
        raise typer.Exit(BAD_INPUT)


def _transcribe_all(
    places: list[str],
    output: str,
    formats: str,
    model: Path | None,
    channel: int | None,
    language: Language,
    *,
    recursive: bool,
    jobs: int | None,
    engine: Literal["local", "ray"],
) -> None:
    from .batch import Setup
    from .batch_command import transcribe_all
    from .writers import WRITERS

    names = tuple(dict.fromkeys(name.strip().lower() for name in formats.split(",")))
    if not set(names) <= set(WRITERS):
        raise typer.BadParameter(f"choose of {', '.join(WRITERS)}, with commas between.", param_hint="--format")
    if language.alternatives and not {"json", "jsonl"} & set(names):
        raise typer.BadParameter("this needs --format json or jsonl.", param_hint="--alternatives")
    setup = Setup(output, names, None if model is None else str(model), channel=channel, language=language.for_load)
    with quiet_endings():
        summary = transcribe_all(places, setup, recursive=recursive, jobs=jobs, engine=engine, complain=complain)
        print(summary)
    if summary.failed:
        raise typer.Exit(BAD_INPUT)


def _print_while_it_goes(events: Iterator[Event], header: str) -> None:
    """Print committed text as it comes. It is never taken back, so that what is new is always a piece at the end."""
    printed, before = "", f"{header}\n" if header else ""
    heard = False
    try:
        for event in events:
            certain = event.text if isinstance(event, Final) else event.committed
            new = certain[len(printed) :]
            if new or not heard:
                print(before + new, end="", flush=True)
                before = ""
            heard, printed = True, certain
            if isinstance(event, Final):
                before = " " if event.text else before  # the next utterance goes on in the same paragraph
                printed = ""
    finally:
        if heard:
            print("\n" if header else "", flush=True)


@app.command()
def train(
    config: Annotated[Path, typer.Argument(metavar="CONFIG.toml", help="Data, sizes and schedule.")],
    init: Annotated[
        Path | None,
        typer.Option(metavar="MODEL", help="Begin with the weights of this checkpoint or .onnx file; 'shipped': ours."),
    ] = None,
) -> None:
    """Train an acoustic model, or go on with a training that was broken off. Needs: pip install 'rillet[train]'.

    \b
    Examples:
      rillet train english.toml
      rillet train mine.toml --init english/best.safetensors
      rillet train my-voice.toml --init shipped
      torchrun --nproc-per-node 4 -m rillet.pipeline.cli train english.toml
    """
    with quiet_endings():
        _run_from("models.train", "train", config, init=SHIPPED_MODEL if init == Path("shipped") else init)


@app.command()
def evaluate(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A checkpoint or an exported .onnx file.")],
    manifest: Annotated[Path, typer.Argument(metavar="MANIFEST", help="JSONL with audio files and their text.")],
    worst: Annotated[int, typer.Option(min=0, metavar="N", help="Show so many of the worst utterances.")] = 5,
    lm: Lm = None,
    beam: Beam = None,
    lm_weight: LmWeight = None,
    word_bonus: WordBonus = None,
    phrases: Phrases = None,
) -> None:
    """Measure word and character error rates. Needs: pip install 'rillet[train]'.

    A JSONL line is {"audio": path, "text": words}. A LibriSpeech folder, a Common Voice .tsv, an LJSpeech metadata.csv
    and a Kaldi data folder are understood as well.

    \b
    Examples:
      rillet evaluate en.onnx test.jsonl
      rillet evaluate run/best.safetensors LibriSpeech/test-clean --worst 20
      rillet evaluate en.onnx test.jsonl --lm none
    """
    with quiet_endings():
        language = Language.of(lm, beam, lm_weight, word_bonus, None, phrases)
        _run_from("models.evaluate", "main", model, manifest, worst=worst, language=language.for_load)


@app.command()
def export(
    model: Annotated[
        Path | None,
        typer.Argument(metavar="MODEL", help="A checkpoint; without -o a .onnx file, by default the shipped one."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="The .onnx file to make of a checkpoint.")
    ] = None,
    int8: Annotated[bool, typer.Option("--int8", help="8-bit weights: a quarter of the size.")] = False,
    describe: Annotated[
        Path | None,
        typer.Option(metavar="JSON", help="Its name, language, licence, training_data and error_rates, for the file."),
    ] = None,
    mean_with: Annotated[
        list[Path] | None,
        typer.Option(metavar="CHECKPOINT", help="Export the mean of its weights and this one's; may be given again."),
    ] = None,
    web: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Write a web page that recognises speech in the browser.")
    ] = None,
    ort: Annotated[
        Path | None, typer.Option(metavar="FILE.ort", help="Write it in ORT format, for small builds of onnxruntime.")
    ] = None,
    lm: Lm = None,
    runtime: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="For --web: an unpacked onnxruntime-web; otherwise npm fetches it."),
    ] = None,
) -> None:
    """Turn a checkpoint into a model file, or a model file into a web page or into ORT format.

    A model file is written only if it gives in onnxruntime what the checkpoint gives in torch; that needs:
    pip install 'rillet[train]'. A page works on any static web server and offline, and needs nothing more than npm.
    Beside FILE.ort, FILE.required_operators.config lists the operators to build onnxruntime with.

    \b
    Examples:
      rillet export run/best.safetensors -o en.onnx
      rillet export run/best.safetensors -o en.onnx --int8 --describe en.json
      rillet export run/end.safetensors -o en.onnx --mean-with run/best.safetensors
      rillet export --web page
      rillet export en.onnx --web page --lm none
      rillet export --ort en.ort
    """
    if web is None and (lm is not None or runtime is not None):
        raise typer.BadParameter("these need --web.", param_hint="--lm and --runtime")
    if output is not None:
        if model is None:
            raise typer.BadParameter("name the checkpoint that the .onnx file is made of.", param_hint="MODEL")
        _run_from("export.onnx", "main", model, output, int8=int8, describe=describe, mean_with=mean_with or ())
        model = output
    elif (web is None and ort is None) or int8 or describe is not None or mean_with:
        raise typer.BadParameter("say -o FILE.onnx, or --web or --ort alone.", param_hint="--output")
    if ort is not None:
        from ..export.ort import main as write_ort

        write_ort(model, ort)
    if web is not None:
        from ..export.web import main as write_page

        write_page(web, model, lm, runtime)


def _run_from(module: str, function: str, *arguments: Any, **options: Any) -> None:
    """Call a function of a room that needs the extra `train`; by name, so that nothing here depends on it otherwise."""
    from importlib import import_module

    try:
        getattr(import_module(f"rillet.{module}"), function)(*arguments, **options)
    except ModuleNotFoundError as error:
        missing = (error.name or "").split(".")[0]
        if missing in ("", "rillet"):
            raise  # no package to install: a bug of ours
        raise MissingExtraError("train", missing) from error


def main() -> None:
    """The entry point of the `rillet` command."""
    try:
        app()
    except Exception as error:
        if not type(error).__module__.startswith("rillet."):
            raise  # not written for a user's eyes
        complain(error)
        sys.exit(BAD_INPUT)


if __name__ == "__main__":
    main()
