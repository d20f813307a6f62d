"""How large an installation is, by package.

    python -m venv user && user/bin/pip install --no-compile . -c export/examples/small.txt
    python benchmarks/install_size.py user

Lengths of files, without pip and setuptools. What can be removed is counted apart: byte code, which Python writes again
when it is missing (`pip install --no-compile` leaves it out), and onnxruntime's library for C, which comes with its
wheel for Linux a second time and which Python does not load.
"""

from __future__ import annotations

from collections import Counter
from importlib.metadata import distributions
from pathlib import Path
from typing import Annotated

import typer

NOT_OURS = {"pip", "setuptools", "wheel"}


def sizes(site_packages: Path) -> tuple[Counter[str], Counter[str]]:
    """Bytes of each package's files, and of those that can be removed, which are not among the first."""
    needed, removable = Counter[str](), Counter[str]()
    for package in distributions(path=[str(site_packages)]):
        name = package.metadata["Name"].lower()
        if name in NOT_OURS:
            continue
        for entry in package.files or []:
            path = Path(str(entry.locate()))
            if path.is_file():
                is_removable = path.suffix == ".pyc" or path.name.startswith("libonnxruntime.so")
                (removable if is_removable else needed)[name] += path.stat().st_size
    return needed, removable


def main(
    venv: Annotated[Path, typer.Argument(help="A virtual environment.")],
    limit: Annotated[float | None, typer.Option(metavar="MB", help="Fail if it is larger.")] = None,
) -> None:
    """Print a table, the largest first."""
    needed, removable = sizes(next(venv.glob("lib/python3*/site-packages"), venv / "Lib" / "site-packages"))
    print(f"{'package':24}{'needed MB':>12}{'removable MB':>14}")
    for name, number in [*needed.most_common(), ("together", needed.total())]:
        more = removable.total() if name == "together" else removable[name]
        print(f"{name:24}{number / 1e6:12.1f}{more / 1e6:14.1f}")
    if limit is not None and needed.total() + removable.total() > limit * 1e6:
        raise SystemExit(f"the installation has more than {limit:g} MB")


if __name__ == "__main__":
    typer.run(main)
