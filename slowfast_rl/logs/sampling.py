"""Keep a bounded number of a log's rows, drawn without bias, however a log is split into parts."""

from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np

from slowfast_rl.members.arrays import Int64, UInt32
from slowfast_rl.members.random import Domain, ExplorationStream, random_words
from slowfast_rl.members.state import take_rows

R = TypeVar("R", bound=NamedTuple)  # arrays [B, …]

#: Rows of a log that a fit uses at most, where nothing else is said.
MAX_ROWS = 1_000_000
_SPARE = 1.25  # rows that are held before they are thinned out, relative to the limit


class _Keys(NamedTuple):
    """What identifies B rows."""

    words: UInt32  # [B] random; rows with the smallest ones are kept
    members: Int64  # [B]
    times: Int64  # [B]


class RowSample(Generic[R]):
    """A sample of rows that are added in batches; each row has the same chance to be kept.

    Member, time and seed decide which rows are kept, so that the same rows are kept in whatever
    batches they come.

    Args:
        limit: the number of rows that are kept at most.
        seed: of the draws.

    Raises:
        ValueError: the limit is below 1.
    """

    def __init__(self, limit: int, seed: int = 0) -> None:
        if limit < 1:
            raise ValueError(f"max_rows is {limit}; allowed is 1 or more")
        self._limit, self._seed = limit, seed
        self._batches: list[tuple[_Keys, R]] = []
        self._size = 0  # rows in the batches
        self._largest = 2**32 - 1  # word with which a row can still be among those that are kept
        self.seen = 0  # rows that were added

    def add(self, members: Int64, times: Int64, rows: R) -> None:
        """Add B rows.

        Args:
            members: [B] ids.
            times: [B] of each row, from 0 and different for all rows of a member.
            rows: a named tuple of arrays, [B, ...] each.
        """
        words = random_words(
            self._seed, ExplorationStream.LOG_ROWS, members.astype(np.int64),
            times.astype(np.int64), Domain.EXPLORATION,
        )  # fmt: skip
        self.seen += len(words)
        keys = _Keys(words, members, times)
        if self._largest < 2**32 - 1:
            may = np.flatnonzero(words <= self._largest)
            keys, rows = take_rows(keys, may), take_rows(rows, may)
        self._batches.append((keys, rows))
        self._size += len(keys.words)
        if self._size > _SPARE * self._limit:
            self._shrink()

    def rows(self) -> R | None:
        """Return the rows that are kept, in order of member and time; None if none were added."""
        if not self._batches:
            return None
        self._shrink()
        ((keys, rows),) = self._batches
        return take_rows(rows, np.lexsort((keys.times, keys.members)))

    def _shrink(self) -> None:
        """Merge the batches to one, of no more rows than the limit."""
        keys, rows = (_merged(batches) for batches in zip(*self._batches, strict=True))
        if len(keys.words) > self._limit:
            first = np.lexsort((keys.times, keys.members, keys.words))[: self._limit]
            keys, rows = take_rows(keys, first), take_rows(rows, first)
            self._largest = int(keys.words[-1])
        self._batches, self._size = [(keys, rows)], len(keys.words)


def _merged(batches: Any) -> Any:
    """Return named tuples of arrays as one."""
    if len(batches) == 1:
        return batches[0]
    return type(batches[0])(*(np.concatenate(columns) for columns in zip(*batches, strict=True)))
