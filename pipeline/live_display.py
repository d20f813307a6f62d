"""What `rillet listen` shows: text that grows on a terminal, lines for other programs, or JSON."""

import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from .events import Event, Final, Partial
from .level import LOWEST_DBFS
from .writers import event_to_json

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

REFRESH_S = 0.1
BAR_CELLS = 12
BAR_DBFS = (-60.0, -6.0)  # level at the empty and at the full bar


@dataclass(frozen=True)
class Status:
    """How the listening goes."""

    level_dbfs: float = LOWEST_DBFS  # of the last tenth of a second
    lag_s: float = 0.0  # sound that waits to be recognised
    lost_s: float = 0.0  # sound that went missing so far


class Display(Protocol):
    def show(self, event: Event) -> None: ...

    def status(self, status: Status) -> None: ...

    def hint(self, sentence: str) -> None:
        """Tell something that is not speech."""
        ...

    def close(self) -> None: ...


class PlainDisplay:
    """Finals, one line each, flushed; hints go to standard error."""

    def show(self, event: Event) -> None:
        if isinstance(event, Final) and event.words:
            print(event.text, flush=True)

    def status(self, status: Status) -> None:
        pass

    def hint(self, sentence: str) -> None:
        print(f"rillet: {sentence}", file=sys.stderr, flush=True)

    def close(self) -> None:
        pass


class JsonDisplay(PlainDisplay):
    """Every event, one JSON object a line, flushed."""

    def show(self, event: Event) -> None:
        print(event_to_json(event), flush=True)


class TerminalDisplay:
    """One line for each utterance; the one under way stands below, committed text bright and volatile text dim."""

    def __init__(self, console: "Console | None" = None) -> None:
        from rich.console import Console
        from rich.live import Live

        self._console = console or Console()
        self._partial = Partial(0, "", "", ())
        self._status = Status()
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._live.start()
        self._shown_s = 0.0
        self._refresh()

    def show(self, event: Event) -> None:
        if isinstance(event, Partial):
            self._partial = event
            self._refresh()
            return
        self._partial = Partial(event.utterance + 1, "", "", ())
        self._refresh()
        if event.words:
            self._console.print(event.text, markup=False, highlight=False)

    def status(self, status: Status) -> None:
        self._status = status
        if time.monotonic() - self._shown_s >= REFRESH_S:
            self._refresh()

    def hint(self, sentence: str) -> None:
        self._console.print(sentence, style="yellow", markup=False, highlight=False)

    def close(self) -> None:
        self._live.stop()

    def _refresh(self) -> None:
        self._shown_s = time.monotonic()
        self._live.update(self._picture(), refresh=True)

    def _picture(self) -> "RenderableType":
        from rich.console import Group
        from rich.text import Text

        text = Text.assemble((self._partial.committed, "bold"), " ", (self._partial.volatile, "dim"))
        room = self._console.width * max(2, self._console.height // 2)  # a picture higher than the terminal would jump
        if len(text) > room:
            text = text[-room:]
        status = self._status
        low, high = BAR_DBFS
        cells = round(BAR_CELLS * min(max((status.level_dbfs - low) / (high - low), 0.0), 1.0))
        line = Text.assemble(
            ("━" * cells, "red" if status.level_dbfs > high else "green"),
            ("━" * (BAR_CELLS - cells), "bright_black"),
            (f" {status.level_dbfs:4.0f} dBFS  lag {status.lag_s:.1f} s", "bright_black"),
            (f"  lost {status.lost_s:.1f} s" if status.lost_s else "", "red"),
            ("  Ctrl-C ends", "bright_black"),
        )
        return Group(text, line) if self._partial.text else line
