"""`rillet inspect`."""

from pathlib import Path
from typing import Annotated

import typer

from .endings import quiet_endings
from .events import spell

app = typer.Typer(rich_markup_mode=None)


@app.command()
def inspect(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A recording.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="PICTURE", help="A .png, .svg or .pdf file.")],
    model: Annotated[
        Path | None, typer.Option(metavar="PATH", help="A model file; by default the English one that is included.")
    ] = None,
    start: Annotated[float, typer.Option(min=0, metavar="S", help="Draw from this second on.")] = 0.0,
    seconds: Annotated[float, typer.Option(min=0.1, max=600, metavar="S", help="Draw so many seconds.")] = 30.0,
) -> None:
    """Draw what the recogniser hears: waveform, MFCC, token posteriors and words on one time axis.

    Needs: pip install 'rillet[inspect]'.

    \b
    Examples:
      rillet inspect talk.wav -o talk.png
      rillet inspect talk.wav -o talk.svg --start 60 --seconds 10
    """
    from .picture import draw
    from .recogniser import Recognizer

    with quiet_endings():
        heard = draw(Recognizer.load(model), file, output, start_s=start, length_s=seconds)
        print(f"{output}: {spell(heard.words) or 'no words'}")
