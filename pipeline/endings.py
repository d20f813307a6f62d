"""How commands end: the exit codes, and no traceback for what is not a bug."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer

BAD_INPUT = 2  # exit code: something that was handed in could not be used
INTERRUPTED = 130  # as shells report Ctrl-C
BROKEN_PIPE = 141  # as shells report a reader that went away, such as `head`


@contextmanager
def quiet_endings() -> Iterator[None]:
    """End without a word on Ctrl-C, and when whoever reads the output goes away."""
    try:
        yield
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    except BrokenPipeError:
        # Python flushes standard output once more on its way out; let it go nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(BROKEN_PIPE) from None


def complain(error: Exception | str) -> None:
    """One sentence on standard error."""
    sys.stdout.flush()
    print(f"rillet: {error}", file=sys.stderr, flush=True)
