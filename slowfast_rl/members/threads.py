"""Work on row shards in threads. Results do not depend on the number of threads.

Compiled functions run without Python's lock, and each row of a population is simulated on its own,
so that rows can be divided among threads in any way.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from threading import local
from typing import TypeVar

from slowfast_rl.members.bounds import whole_number

J = TypeVar("J")
T = TypeVar("T")

_LEAST_ROWS = 512  # of a shard: below it, a thread takes longer to start than to finish
#: The same where the work on a row is that of one slot.
LEAST_ROWS_OF_A_STEP = 4096
_MOST_THREADS = 1024


class _Threads:
    """The number of threads, and the threads themselves once they are needed."""

    number = 0  # 0: one for each core that the process may use
    pool: ThreadPoolExecutor | None = None
    own = local()  # whether a thread is one of the pool's, which must not wait for the pool

    @classmethod
    def started(cls) -> ThreadPoolExecutor:
        """Return the pool, which is started when it is first needed."""
        if cls.pool is None:
            begin = partial(setattr, cls.own, "busy", True)
            cls.pool = ThreadPoolExecutor(num_threads(), "slowfast_rl", begin)
        return cls.pool


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
    if shards < 2 or hasattr(_Threads.own, "busy"):
        work(0, num_rows)
        return
    edges = [num_rows * n // shards for n in range(shards + 1)]
    others = [_Threads.started().submit(work, *edges[n : n + 2]) for n in range(1, shards)]
    try:
        work(*edges[:2])
    finally:  # the arrays are in use until every thread has ended
        for other in others:
            other.exception()
    for other in others:
        other.result()


def map_in_threads(work: Callable[[J], T], jobs: Iterable[J]) -> Iterator[T]:
    """Yield the results of jobs in their order; jobs run in threads, a few ahead of the results.

    Args:
        work: a function that may run in several threads at once.
        jobs: its arguments, which are made in the present thread when they are needed.
    """
    if num_threads() < 2 or hasattr(_Threads.own, "busy"):
        yield from map(work, jobs)
        return
    running: deque[Future[T]] = deque()
    try:
        for job in jobs:
            running.append(_Threads.started().submit(work, job))
            if len(running) > num_threads():
                yield running.popleft().result()
        while running:
            yield running.popleft().result()
    finally:  # after an error or where the results are not wanted any more
        for future in running:
            future.cancel() or future.exception()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=forget_threads)
