"""Workers on Ray, on this machine or on a cluster. Needs the extra ``ray``.

What is sent to a worker and back is pickled by Ray, between processes of one user; nothing of it is
ever read from a file.
"""

import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from time import process_time
from typing import Any, TypeVar

from slowfast_rl.members.workers import count_cpu_seconds, use_workers

# Read when Ray is imported or started: no usage reports, and no new handling of absent GPUs.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")

try:
    import ray
    from ray import cloudpickle
except ImportError as error:
    raise ImportError("engine=ray needs Ray: pip install 'slowfast_rl[ray]'") from error

S = TypeVar("S")
J = TypeVar("J")
R = TypeVar("R")

_OBJECT_STORE_BYTES = 200_000_000  # jobs and results on their way; what does not fit goes to disk
_AHEAD = 2  # jobs sent for each CPU where workers take all of them: none waits for its next job
_KEPT = 8  # results for each worker that wait for that of an earlier job


class RayWorkers:
    """Run jobs as Ray tasks of one CPU each.

    A job whose worker dies runs again, on another worker, three times at most.

    Args:
        num_workers: how many jobs run at once; None for one for each CPU that Ray has.
    """

    def __init__(self, num_workers: int | None = None) -> None:
        cpus = max(int(ray.cluster_resources().get("CPU", 1)), 1)
        self.num_workers = num_workers or cpus
        self._most_sent = self.num_workers * (_AHEAD if self.num_workers >= cpus else 1)

    def map(self, function: Callable[[S, J], R], shared: S, jobs: Iterable[J]) -> Iterator[R]:
        """Yield the results of the jobs, in their order.

        Raises:
            ChildProcessError: Ray lost a worker again and again, or its cluster.
        """
        torch = sys.modules.get("torch")  # a process without it has no networks to run
        threads = None if torch is None else torch.get_num_threads()
        sent = ray.put(cloudpickle.dumps((function, shared, threads)))
        ordered: deque[Any] = deque()  # of which no result was yielded yet
        running: list[Any] = []
        for job in jobs:
            if len(running) >= self._most_sent:
                _, running = ray.wait(running)
            running.append(_remote_run.remote(sent, cloudpickle.dumps(job)))
            ordered.append(running[-1])
            while ordered[0] not in running or len(ordered) > _KEPT * self.num_workers:
                yield _result(ordered.popleft())
        while ordered:
            yield _result(ordered.popleft())


@contextmanager
def ray_workers(num_workers: int | None = None) -> Iterator[RayWorkers]:
    """Run all jobs inside the block on Ray.

    Ray is started on this machine, and stopped in the end. It is not started where this process
    has a connection to Ray already, which is then used, or where the environment variable
    ``RAY_ADDRESS`` names a cluster.

    Args:
        num_workers: how many jobs run at once; None for one for each CPU.

    Raises:
        ValueError: ``num_workers`` is below 1.
        ChildProcessError: Ray cannot be started or reached.
    """
    if num_workers is not None and num_workers < 1:
        raise ValueError(f"workers is {num_workers}; allowed is 1 or more")
    own = not ray.is_initialized()
    if own:
        _start(num_workers)
    try:
        workers = RayWorkers(num_workers)
        with use_workers(workers):
            yield workers
    finally:
        if own:
            ray.shutdown()


def _start(num_workers: int | None) -> None:
    """Start Ray on this machine, or connect to the cluster that RAY_ADDRESS names."""
    options: dict[str, Any] = {}
    if not os.environ.get("RAY_ADDRESS"):
        options = {"num_cpus": num_workers, "object_store_memory": _OBJECT_STORE_BYTES}
        options |= {"include_dashboard": False}
    try:
        ray.init(log_to_driver=False, logging_level="ERROR", **options)
    except (ray.exceptions.RayError, ConnectionError, RuntimeError) as error:
        raise ChildProcessError(f"Ray does not start: {error}") from error


def _run(sent: bytes, job: bytes) -> tuple[bytes, float]:
    """Return the result of a job, and its CPU seconds.

    What is sent and returned is bytes, because Ray makes arrays that it unpacks itself read-only,
    and no kernel is compiled for those.
    """
    begin = process_time()
    function, shared, threads = cloudpickle.loads(sent)
    if threads is not None:
        import torch

        torch.set_num_threads(threads)
    result = cloudpickle.dumps(function(shared, cloudpickle.loads(job)))
    return result, process_time() - begin


_remote_run = ray.remote(num_cpus=1)(_run)


def _result(reference: Any) -> Any:
    """Wait for a job, and return its result or raise its error."""
    try:
        result, seconds = ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        cause = error.cause
        raise cause if isinstance(cause, Exception) else error from None
    except ray.exceptions.RayError as error:
        raise ChildProcessError(f"Ray lost a worker: {error}") from error
    count_cpu_seconds(seconds)
    return cloudpickle.loads(result)
