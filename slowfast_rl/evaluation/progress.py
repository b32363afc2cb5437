"""Progress bars that update continuously on a terminal and rarely in a log file."""

import sys
from shutil import get_terminal_size
from typing import Any

from tqdm import tqdm

_QUIET = 30.0  # seconds between lines in a log file


def progress_bar(
    total: float | None,
    name: str | None,
    unit: str,
    *,
    leave: bool = False,
    unit_scale: bool = False,
) -> "tqdm[Any]":
    """Return a progress bar, to be used in a ``with`` statement.

    Args:
        total: number of units; None if it is unknown.
        name: text before the bar; None disables the bar.
        unit: name of the unit.
        leave: whether the bar stays when it is full.
        unit_scale: whether 1,200,000 is written as 1.2M.
    """
    on_terminal = sys.stderr.isatty()
    columns, rows = get_terminal_size((100, 24))  # tqdm shows nothing where a terminal reports 0
    return tqdm(
        total=total,
        desc=name,
        unit=unit,
        leave=leave,
        unit_scale=unit_scale,
        disable=name is None,
        ncols=columns,
        nrows=rows,
        mininterval=0.1 if on_terminal else _QUIET,
        maxinterval=10 if on_terminal else _QUIET,
        delay=0 if on_terminal else _QUIET,
    )
