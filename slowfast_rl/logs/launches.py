"""The file of launches: how many there were of each topic on each day."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from slowfast_rl.logs.parquet import read_columns, write_columns
from slowfast_rl.members.arrays import Float32

_COLUMNS = ("day", "topic", "launches")


def write_launches(path: Path, counts: Float32) -> None:
    """Write the launches of each day and topic, [days, D]."""
    days, topics = np.nonzero(counts)
    found = days, topics, counts[days, topics].astype(np.int64)
    write_columns(path, dict(zip(_COLUMNS, found, strict=True)))


def read_launches(
    path: Path, days: int, num_topics: int, columns: Mapping[str, str] | None = None
) -> Float32:
    """Return the launches of each day and topic, [days, D]; rows of one day and topic add up.

    Args:
        path: the file, with the columns day, topic and launches.
        days: number of days.
        num_topics: D, number of topics.
        columns: names of columns in the file that differ; None for none.

    Raises:
        ValueError: the file is damaged, lacks a column, or has a value that is not allowed.
    """
    names = [(columns or {}).get(name, name) for name in _COLUMNS]
    read = read_columns(path, names)
    limits = days - 1, num_topics - 1, 2**24  # the last is what float32 counts exactly
    found = []
    for name, limit in zip(names, limits, strict=True):
        try:
            values = read[name].astype(np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"{path} has {name} of type {read[name].dtype}; allowed are whole numbers"
            ) from error
        wrong = np.flatnonzero(~((values >= 0) & (values <= limit) & (values % 1 == 0)))
        if wrong.size:
            raise ValueError(
                f"{path} has {name} {values[wrong[0]]:g} in row {wrong[0]}; allowed are whole "
                f"numbers from 0 to {limit}"
            )
        found.append(values.astype(np.int64))
    counts = np.zeros((days, num_topics), np.float32)
    np.add.at(counts, (found[0], found[1]), found[2])
    return counts
