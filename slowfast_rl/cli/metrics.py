"""Write metrics, among them Stable-Baselines3's, to TensorBoard and ``metrics.csv``.

The step of every metric is the number of send opportunities played.
"""

import csv
from collections.abc import Sequence
from io import StringIO
from numbers import Number
from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3.common.logger import KVWriter, Logger, TensorBoardOutputFormat

from slowfast_rl.store.files import write_text_atomically

Row = tuple[int, dict[str, Any], dict[str, Any]]


class Metrics:
    """Loggers for each level's training and for evaluation, that write to the same files.

    Args:
        folder: the folder of the run.
        events: the folder of the agent's TensorBoard events; those in it are replaced.
        slots_per_week: opportunities in a week, which is a step of a planner's learner.
        past: what a training that was stopped had written, as :attr:`written`; it is written again.
    """

    def __init__(
        self, folder: Path, events: Path, slots_per_week: int, past: Sequence[Row] = ()
    ) -> None:
        for file in events.glob("events.out.tfevents.*"):
            file.unlink()  # points after the stop would be there twice
        table = _WholeTable(folder / "metrics.csv", past)
        self._table = table
        writers: list[KVWriter] = [table, _Events(events, table)]
        self.training = {  # by level; dumped by Stable-Baselines3
            level: Logger(str(folder), [_OfLevel(writer, level, step) for writer in writers])
            for level, step in (("slow", slots_per_week), ("fast", 1))
        }
        self.evaluation = Logger(str(folder), writers)

    @property
    def written(self) -> list[Row]:
        """All numbers so far: step, values by tag, and the formats that leave a tag out."""
        return self._table.written

    def close(self) -> None:
        """Close the files."""
        self.evaluation.close()


class _WholeTable(KVWriter):
    """Rewrites the whole table with each row, so that an interrupted run leaves a valid file."""

    def __init__(self, path: Path, past: Sequence[Row] = ()) -> None:
        self._path = path
        self.written: list[Row] = list(past)

    def write(
        self,
        key_values: dict[str, Any],
        key_excluded: dict[str, tuple[str, ...]],
        step: int = 0,
    ) -> None:
        """Add a row of the numbers among some metrics."""
        numbers = {key: v for key, v in key_values.items() if isinstance(v, Number)}
        if not numbers:
            return
        numbers = {key: v.item() if isinstance(v, np.generic) else v for key, v in numbers.items()}
        left_out = {key: list(key_excluded[key]) for key in numbers if key_excluded.get(key)}
        self.written.append((step, numbers, left_out))
        rows = [{"step": at} | values for at, values, _ in self.written]
        columns = dict.fromkeys(key for row in rows for key in row)
        text = StringIO()
        table = csv.DictWriter(text, list(columns), lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
        write_text_atomically(self._path, text.getvalue())

    def close(self) -> None:
        """Do nothing: every row is on disk."""


class _Events(KVWriter):
    """Writes TensorBoard events; in a folder that somebody deleted, all of them again.

    Args:
        folder: of the events.
        table: of all numbers so far; it is written before.
    """

    def __init__(self, folder: Path, table: _WholeTable) -> None:
        self._folder, self._table = folder, table
        self._begin(table.written)

    def write(
        self,
        key_values: dict[str, Any],
        key_excluded: dict[str, tuple[str, ...]],
        step: int = 0,
    ) -> None:
        """Write metrics, and wait until they are in the file."""
        if not self._folder.exists():
            self._begin(self._table.written[:-1])
        self._writer.write(key_values, key_excluded, step)

    def close(self) -> None:
        """Close the file."""
        if not self._folder.exists():
            self._begin(self._table.written)
        self._writer.close()

    def _begin(self, written: Sequence[Row]) -> None:
        """Begin a file with what was written so far."""
        self._writer = TensorBoardOutputFormat(str(self._folder))
        for step, values, excluded in written:
            left_out = {name: tuple(excluded.get(name, ())) for name in values}
            self._writer.write(values, left_out, step)


class _OfLevel(KVWriter):
    """Puts a level's name before every tag, and counts opportunities instead of its steps."""

    def __init__(self, writer: KVWriter, prefix: str, opportunities: int) -> None:
        self._writer, self._prefix, self._opportunities = writer, prefix, opportunities

    def write(
        self,
        key_values: dict[str, Any],
        key_excluded: dict[str, tuple[str, ...]],
        step: int = 0,
    ) -> None:
        """Write a dictionary of metrics."""
        self._writer.write(
            {f"{self._prefix}/{key}": key_values[key] for key in sorted(key_values)},
            {f"{self._prefix}/{key}": key_excluded[key] for key in sorted(key_excluded)},
            step * self._opportunities,
        )

    def close(self) -> None:
        """Close the files."""
        self._writer.close()
