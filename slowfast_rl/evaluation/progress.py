"""Progress bars that update continuously on a terminal and rarely in a log file."""

import os
import sys
from typing import Any
from weakref import WeakSet

from numba.core.event import Listener, register
from tqdm import tqdm

_QUIET = 30.0  # seconds between lines in a log file
# Short enough for 80 columns with two results at the end: tqdm cuts what is too long.
_FORMAT = "{l_bar}{bar}| {n_fmt}/{total_fmt}, {remaining} left{postfix}"
_FORMAT_WITHOUT_TOTAL = "{desc}: {n_fmt}{unit}, {elapsed}{postfix}"
_BARS: "WeakSet[tqdm[Any]]" = WeakSet()


def progress_bar(
    total: float | None,
    name: str | None,
    unit: str,
    *,
    leave: bool = False,
    unit_scale: bool = False,
    initial: int = 0,
) -> "tqdm[Any]":
    """Return a progress bar, to be used in a ``with`` statement.

    Args:
        total: number of units; None if it is unknown.
        name: text before the bar; None disables the bar.
        unit: name of the unit, shown where the total is unknown.
        leave: whether the bar stays when it is full.
        unit_scale: whether 1,200,000 is written as 1.2M.
        initial: number of units at the beginning.
    """
    on_terminal = _on_terminal()
    try:
        columns, rows = os.get_terminal_size(sys.stderr.fileno())
    except (OSError, ValueError, AttributeError):
        columns, rows = 0, 0
    bar = tqdm(
        total=total,
        desc=name,
        unit=unit,
        leave=leave,
        unit_scale=unit_scale,
        initial=initial,
        smoothing=0,  # the mean rate: that of the last seconds jumps with what is done in them
        disable=name is None or sys.stderr is None,
        ncols=columns or 100,  # a terminal may report 0 too, where tqdm would show nothing
        nrows=rows or 24,
        bar_format=_FORMAT_WITHOUT_TOTAL if total is None else _FORMAT,
        mininterval=0.1 if on_terminal else _QUIET,
        maxinterval=10 if on_terminal else _QUIET,
        delay=0 if on_terminal else _QUIET,
    )
    _BARS.add(bar)
    return bar


def _on_terminal() -> bool:
    """Return whether stderr is a terminal; Python has None for it where it was closed."""
    return sys.stderr is not None and sys.stderr.isatty()


class _Compilation(Listener):  # type: ignore[misc]  # numba is untyped
    """Counts functions while they compile, and leaves that time out of what the bars estimate."""

    def __init__(self) -> None:
        self._unfinished = self._finished = 0
        self._bar: tqdm[Any] | None = None

    def on_start(self, event: Any) -> None:
        """Show the count, on a terminal."""
        if not self._unfinished and _on_terminal():
            self._bar = progress_bar(None, "compiling", " functions", initial=self._finished)
        self._unfinished += 1  # a function compiles those that it calls

    def on_end(self, event: Any) -> None:
        """Count the function, and let the bars' clocks go on from here."""
        self._unfinished -= 1
        self._finished += 1
        for bar in _BARS:
            if bar is not self._bar:
                bar.unpause()
        if self._bar is not None:
            self._bar.update()
            if not self._unfinished:
                self._bar.close()
                self._bar = None


register("numba:compile", _Compilation())
