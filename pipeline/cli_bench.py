"""`rillet bench`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .cli_language import Beam, Language, Lm
from .endings import quiet_endings

if TYPE_CHECKING:
    from rich.table import Table

    from .bench import Measured
    from .model_file import ModelInfo

app = typer.Typer(rich_markup_mode=None)
BUSY_RATIO = 1.3  # clock to work, from which on the times of chunks say more about the neighbours


@app.command()
def bench(
    model: Annotated[
        Path | None, typer.Option(metavar="PATH", help="A model file; by default the English one that is included.")
    ] = None,
    lm: Lm = None,
    beam: Beam = None,
    seconds: Annotated[float, typer.Option(min=1, max=3_600, help="Feed so much sound.")] = 60.0,
) -> None:
    """Measure what recognising takes of this machine: time, memory, and how many live streams one core carries.

    \b
    Examples:
      rillet bench
      rillet bench --model mine.onnx --lm none
      rillet bench --beam 4
    """
    from rich.console import Console

    from .bench import bench as measure_all
    from .bench import processor
    from .model_file import AcousticModel

    console = Console(highlight=False)
    with quiet_endings():
        loaded = AcousticModel.load(model)
        info, size_mb = loaded.info, loaded.path.stat().st_size / 1e6
        with Console(stderr=True).status("listening to the sample recording ..."):
            measured = measure_all(model, Language.of(lm, beam, None, None, None, None).for_load, seconds)
        console.print(f"{info.name}, {info.precision}, {size_mb:.1f} MB, one thread of {processor()}", markup=False)
        console.print(_table(measured))
        for line in _notes(info, measured):
            console.print(line)


def _table(measured: list["Measured"]) -> "Table":
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("decoder")
    headings = ("real-time\nfactor", "chunk ms,\nmedian", "chunk ms,\n99 %", "live streams\non a core", "memory\nMB")
    for heading in headings:
        table.add_column(heading, justify="right")
    for row in measured:
        table.add_row(
            row.decoder,
            f"{row.real_time_factor:.3f}",
            f"{row.chunk_ms(50):.1f}",
            f"{row.chunk_ms(99):.1f}",
            str(row.live_streams),
            "unknown" if row.peak_mb is None else f"{row.peak_mb:.0f}",
        )
    return table


def _notes(info: "ModelInfo", measured: list["Measured"]) -> list[str]:
    from .bench import BUSY_SHARE

    step_ms, look_ahead_ms = (1_000 * n * info.frame_s for n in (info.step_frames, info.look_ahead_frames))
    lines = [
        f"A chunk is {step_ms:.0f} ms of sound. A word is understood {look_ahead_ms:.0f} ms after it was said, and up "
        f"to {step_ms:.0f} ms for its chunk to fill. Live streams may fill {BUSY_SHARE:.0%} of a core. Memory is the "
        "peak."
    ]
    if max(row.busy_ratio for row in measured) > BUSY_RATIO:
        lines.append("The processor was busy with other things: chunks take less time on an idle one.")
    if min(row.live_streams for row in measured) == 0:
        lines.append("This machine is too slow for live speech with this model; --lm none takes less.")
    return lines
