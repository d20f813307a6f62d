"""How commands end: the exit codes, and no traceback for what is not a bug."""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from .errors import DiskFullError

BAD_INPUT = 2  # exit code: something that was handed in could not be used
INTERRUPTED = 130  # as shells report Ctrl-C
BROKEN_PIPE = 141  # as shells report a reader that went away, such as `head`
FULL = (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC))  # Windows knows no quotas


@contextmanager
def quiet_endings() -> Iterator[None]:
    """End without a word on Ctrl-C, and when whoever reads the output goes away.

    Raises:
        DiskFullError: there was no room for the output.
    """
    try:
        yield
        sys.stdout.flush()  # or what is left would be written where nobody catches its errors
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    except BrokenPipeError:
        _write_no_more()
        raise typer.Exit(BROKEN_PIPE) from None
    except OSError as error:
        if error.errno not in FULL:
            raise
        _write_no_more()
        raise DiskFullError(error.filename or "the output", error.strerror or type(error).__name__) from None


def _write_no_more() -> None:
    """Python flushes standard output once more on its way out; let it go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def complain(error: Exception | str) -> None:
    """One sentence on standard error."""
    sys.stdout.flush()
    print(f"rillet: {error}", file=sys.stderr, flush=True)
