"""Independent jobs, run in threads of this process or by workers in others.

Work that splits into rows that do not affect each other is written as a function of a shard, and
:func:`run_jobs` runs it on every shard. Where it runs does not change a bit: shards have a fixed
size, and results come in the order of the jobs, for any number of workers.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from multiprocessing import get_context
from time import process_time
from typing import Any, Protocol, TypeVar

from slowfast_rl.members.threads import map_in_threads

S = TypeVar("S")
J = TypeVar("J")
R = TypeVar("R")

SHARD_ROWS = 1024
"""Rows of a shard: its branches fit the cache, and there are more shards than workers."""


class Workers(Protocol):
    """What runs jobs."""

    def map(self, function: Callable[[S, J], R], shared: S, jobs: Iterable[J]) -> Iterator[R]:
        """Yield ``function(shared, job)`` for each job, in the order of the jobs.

        Args:
            function: a function of a module, which changes nothing outside its result; it may be
                called in another process, with copies of its arguments.
            shared: what all jobs need; it is sent to each worker once.
            jobs: what tells them apart.
        """
        ...


class SerialWorkers:
    """Run jobs one after the other in this process."""

    def map(self, function: Callable[[S, J], R], shared: S, jobs: Iterable[J]) -> Iterator[R]:
        """Yield the results of the jobs; see :meth:`Workers.map`."""
        return (function(shared, job) for job in jobs)


class ThreadWorkers:
    """Run jobs in threads of this process, where their function and what it calls allow it."""

    def map(self, function: Callable[[S, J], R], shared: S, jobs: Iterable[J]) -> Iterator[R]:
        """Yield the results of the jobs; see :meth:`Workers.map`."""
        work = partial(function, shared)
        return map_in_threads(work, jobs) if may_run_in_threads(shared) else map(work, jobs)


def may_run_in_threads(shared: Any) -> bool:
    """Return whether all policies among what jobs share may be called from several threads.

    Policies say so by their attribute ``thread_safe``; without it they may not. What jobs share may
    rule it out by the same attribute.
    """
    if not getattr(shared, "thread_safe", True):
        return False
    parts = shared if isinstance(shared, tuple) else (shared,)
    policies = [part for part in parts if hasattr(part, "plan") or hasattr(part, "run_week")]
    return all(getattr(policy, "thread_safe", False) for policy in policies)


class ProcessWorkers:
    """Run jobs in processes of this machine, which start with each call.

    Args:
        num_workers: number of processes; 1 uses the present one.

    Raises:
        ValueError: ``num_workers`` is below 1.
    """

    def __init__(self, num_workers: int) -> None:
        if num_workers < 1:
            raise ValueError(f"workers is {num_workers}; allowed is 1 or more")
        self.num_workers = num_workers

    def map(self, function: Callable[[S, J], R], shared: S, jobs: Iterable[J]) -> Iterator[R]:
        """Yield the results of the jobs; see :meth:`Workers.map`."""
        if self.num_workers == 1:
            yield from SerialWorkers().map(function, shared, jobs)
            return
        # Spawn, because the fork of a process with threads (torch starts some) may hang.
        with ProcessPoolExecutor(self.num_workers, get_context("spawn")) as pool:
            yield from pool.map(partial(function, shared), jobs)


_workers: ContextVar[Workers] = ContextVar("workers", default=ThreadWorkers())  # noqa: B039 - has no state


def run_jobs(function: Callable[[S, J], R], shared: S, jobs: Iterable[J]) -> Iterator[R]:
    """Yield the results of jobs from the workers in use; see :meth:`Workers.map`."""
    return _workers.get().map(function, shared, jobs)


def runs_in_this_process() -> bool:
    """Return whether no other workers are in use than this process."""
    return isinstance(_workers.get(), SerialWorkers | ThreadWorkers)


@contextmanager
def use_workers(workers: Workers) -> Iterator[None]:
    """Run all jobs with these workers inside the block."""
    before = _workers.set(workers)
    try:
        yield
    finally:
        _workers.reset(before)


def row_shards(num_rows: int, size: int = SHARD_ROWS) -> list[slice]:
    """Return slices of a fixed number of rows that together are all rows, at least one slice."""
    return [slice(first, first + size) for first in range(0, max(num_rows, 1), size)]


_elsewhere = 0.0


def count_cpu_seconds(seconds: float) -> None:
    """Count CPU seconds that a worker in another process spent for this one."""
    global _elsewhere
    _elsewhere += seconds


def cpu_seconds() -> float:
    """Return the CPU seconds of this process and of those that workers spent for it."""
    return process_time() + _elsewhere
