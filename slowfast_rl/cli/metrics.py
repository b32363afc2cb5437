"""Write metrics, among them Stable-Baselines3's, to TensorBoard and ``metrics.csv``.

The step of every metric is the number of send opportunities played.
"""

import csv
from io import StringIO
from numbers import Number
from pathlib import Path
from typing import Any

from stable_baselines3.common.logger import KVWriter, Logger, TensorBoardOutputFormat

from slowfast_rl.store.files import write_text_atomically


class Metrics:
    """Loggers for each level's training and for evaluation, that write to the same files.

    Args:
        folder: the folder of the run.
        events: the folder of the agent's TensorBoard events.
        slots_per_week: opportunities in a week, which is a step of a planner's learner.
    """

    def __init__(self, folder: Path, events: Path, slots_per_week: int) -> None:
        table = _WholeTable(folder / "metrics.csv")
        writers: list[KVWriter] = [table, TensorBoardOutputFormat(str(events))]
        self.training = {  # by level; dumped by Stable-Baselines3
            level: Logger(str(folder), [_OfLevel(writer, level, step) for writer in writers])
            for level, step in (("slow", slots_per_week), ("fast", 1))
        }
        self.evaluation = Logger(str(folder), writers)

    def close(self) -> None:
        """Close the files."""
        self.evaluation.close()


class _WholeTable(KVWriter):
    """Rewrites the whole table with each row, so that an interrupted run leaves a valid file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rows: list[dict[str, Any]] = []

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
        self._rows.append({"step": step} | numbers)
        columns = dict.fromkeys(key for row in self._rows for key in row)
        text = StringIO()
        table = csv.DictWriter(text, list(columns), lineterminator="\n")
        table.writeheader()
        table.writerows(self._rows)
        write_text_atomically(self._path, text.getvalue())

    def close(self) -> None:
        """Do nothing: every row is on disk."""


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
