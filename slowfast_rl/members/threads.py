"""Work on row shards in threads. Results do not depend on the number of threads.

Compiled functions run without Python's lock, and each row of a population is simulated on its own,
so that rows can be divided among threads in any way.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from slowfast_rl.members.bounds import whole_number

_LEAST_ROWS = 512  # of a shard: below it, a thread takes longer to start than to finish
#: The same where the work on a row is that of one slot.
LEAST_ROWS_OF_A_STEP = 4096
_MOST_THREADS = 1024


class _Threads:
    """The number of threads, and the threads themselves once they are needed."""

    number = 0  # 0: one for each core that the process may use
    pool: ThreadPoolExecutor | None = None


def set_num_threads(number: int | None) -> None:
    """Set the number of threads of simulations; the results are the same for any number.

    Args:
        number: 1 to 1024; None for one thread for each core that the process may use.

    Raises:
        ValueError: the number is not allowed.
    """
    _Threads.number = 0 if number is None else whole_number("num_threads", number, 1, _MOST_THREADS)
    forget_threads()


def num_threads() -> int:
    """Return the number of threads of simulations."""
    if _Threads.number:
        return _Threads.number
    if hasattr(os, "sched_getaffinity"):  # fewer than all cores in many containers
        return min(len(os.sched_getaffinity(0)), _MOST_THREADS)
    return min(os.cpu_count() or 1, _MOST_THREADS)


def forget_threads() -> None:
    """Forget the threads; the next work starts new ones. A forked process has none of them."""
    _Threads.pool = None


def for_row_shards(
    work: Callable[[int, int], object], num_rows: int, least_rows: int = _LEAST_ROWS
) -> None:
    """Call ``work(start, stop)`` for shards that make up all rows, in threads if they are many.

    Args:
        work: a function that runs without Python's lock for most of its time.
        num_rows: the number of rows.
        least_rows: the least number of rows of a shard.
    """
    shards = min(num_threads(), num_rows // least_rows)
    if shards < 2:
        work(0, num_rows)
        return
    if _Threads.pool is None:
        _Threads.pool = ThreadPoolExecutor(num_threads() - 1, "slowfast_rl")
    edges = [num_rows * n // shards for n in range(shards + 1)]
    others = [_Threads.pool.submit(work, *edges[n : n + 2]) for n in range(1, shards)]
    try:
        work(*edges[:2])
    finally:  # the arrays are in use until every thread has ended
        for other in others:
            other.exception()
    for other in others:
        other.result()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=forget_threads)
