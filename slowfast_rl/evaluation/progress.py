"""Progress bars that are live on a terminal and quiet in a log file."""

import sys
from shutil import get_terminal_size
from typing import Any

from tqdm import tqdm

_QUIET = 30.0  # seconds between lines where nobody watches


def progress_bar(
    total: float | None,
    name: str | None,
    unit: str,
    *,
    leave: bool = False,
    unit_scale: bool = False,
) -> "tqdm[Any]":
    """Return a progress bar, to be used in a ``with``.

    Args:
        total: units until the end; None if that is not known.
        name: shown before the bar; None shows nothing at all.
        unit: what is counted.
        leave: keep the bar when it is full.
        unit_scale: write 1.2M for 1,200,000.
    """
    live = sys.stderr.isatty()
    columns, rows = get_terminal_size((100, 24))  # where the terminal says 0, tqdm shows nothing
    return tqdm(
        total=total,
        desc=name,
        unit=unit,
        leave=leave,
        unit_scale=unit_scale,
        disable=name is None,
        ncols=columns,
        nrows=rows,
        mininterval=0.1 if live else _QUIET,
        maxinterval=10 if live else _QUIET,
        delay=0 if live else _QUIET,
    )
