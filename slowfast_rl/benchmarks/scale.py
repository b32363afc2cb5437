"""Benchmarks of many members: what one costs in time and memory, in this process and on Ray.

The planner is the default one with untrained nets, which cost as much as trained ones.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from slowfast_rl.benchmarks.cases import Case
from slowfast_rl.benchmarks.population import sizes, state_bytes
from slowfast_rl.logs.parquet import write_columns
from slowfast_rl.members.clock import WEEK_SECONDS
from slowfast_rl.members.features import weekly_features
from slowfast_rl.members.observations import weekly_observation
from slowfast_rl.members.population import Population
from slowfast_rl.members.workers import SerialWorkers, cpu_seconds, use_workers
from slowfast_rl.members.world import World
from slowfast_rl.policies.belief_memory import BeliefMemory
from slowfast_rl.policies.executor import default_executor
from slowfast_rl.policies.guard import feasible_target
from slowfast_rl.services.batch_plans import PlanJob, Shard, find_shards, plan_shards, read_part
from slowfast_rl.slow import RandomPlanner, RolloutPlanner
from slowfast_rl.slow.branches import burn_in
from slowfast_rl.store import plan_view, write_plans

CPU, REAL, BYTES = "µs of CPU a member", "µs a member", "bytes a member"
BELIEFS = "beliefs kept by a service"
_SHARD = 1 << 13  # members in a file, at most
_WEEKS = 8  # before the features are taken, so that they are as varied as later ones


class _Planning:
    """Plans members from files to files, and measures CPU and real time in the same runs."""

    def __init__(
        self,
        job: PlanJob,
        shards: list[Shard],
        engine: Callable[[], AbstractContextManager[object]],
    ) -> None:
        self._job, self._shards, self._engine = job, shards, engine
        self._members = sum(shard.rows for shard in shards)
        self._cpu: list[float] = []

    def real(self) -> float:
        """Plan for all members, and return the real time of each, in µs."""
        with TemporaryDirectory() as place, self._engine():
            begin, cpu = time.perf_counter(), cpu_seconds()
            for _ in plan_shards(self._job._replace(folder=Path(place)), self._shards):
                pass
            seconds, spent = time.perf_counter() - begin, cpu_seconds() - cpu
        self._cpu.append(1e6 * spent / self._members)
        return 1e6 * seconds / self._members

    def cpu(self) -> float:
        """Return the CPU time of a member in a run of :meth:`real`, in µs; each run's once."""
        return self._cpu.pop(0)


def scale_cases(
    world: World,
    members: int,
    seed: int,
    workers: tuple[int, ...],
    redis_url: str | None,
    stack: ExitStack,
) -> list[Case]:
    """Return the benchmarks for 10,000 members, 100,000 and so on.

    Args:
        world: the world.
        members: the largest number of members; fewer than 10,000 are measured alone.
        seed: of population and luck.
        workers: numbers of Ray workers; empty to leave Ray out.
        redis_url: URL of a Redis server; None leaves Redis out.
        stack: exit stack that deletes files and rows.
    """
    place = Path(stack.enter_context(TemporaryDirectory()))
    planner = _untrained(world)
    engines = _engines(workers, stack)
    cases: list[Case] = []
    for size in sizes(members):
        population = Population(world, size, seed, seed)
        cases.append(Case("simulated week", size, CPU, partial(_week, population)))
        cases += _sizes(world, size, seed, planner)
    for size in sizes(members):
        folder = place / str(size)
        _write_members(folder, world, size, seed)
        shards, _ = find_shards(folder)
        job = PlanJob(world, planner, 1, _WEEKS, place, None)
        for name, engine in engines.items():
            planning = _Planning(job, shards, engine)
            cases.append(Case(f"planning, {name}", size, REAL, planning.real))
            cases.append(Case(f"planning, {name}", size, CPU, planning.cpu))
        cases.append(Case("features in parquet", size, BYTES, partial(_file_bytes, folder, size)))
    plans = place / "plans"  # random ones, which no file can hold in fewer bytes
    varied = job._replace(planner=RandomPlanner(seed).prepare(world), folder=plans)
    for _ in plan_shards(varied, shards):
        pass
    cases.append(Case("plans in parquet", size, BYTES, partial(_file_bytes, plans, size)))
    if redis_url is not None:
        cases += _redis_cases(world, plans, size, redis_url, stack)
    return cases


def _engines(
    workers: tuple[int, ...], stack: ExitStack
) -> dict[str, Callable[[], AbstractContextManager[object]]]:
    """Start Ray if it is wanted, and return where planning runs, by name."""
    found: dict[str, Callable[[], AbstractContextManager[object]]] = {
        "this process": partial(use_workers, SerialWorkers())
    }
    if workers:
        from slowfast_rl.policies.ray_workers import ray_workers  # needs an extra

        stack.enter_context(ray_workers(max(workers)))
        for count in workers:
            found[f"Ray, {count} worker{'s' * (count > 1)}"] = partial(ray_workers, count)
    return found


def _untrained(world: World) -> RolloutPlanner:
    """Return the default planner with as many nets as act after a training."""
    from torch import Generator

    planner = RolloutPlanner().prepare(world)
    generator = Generator().manual_seed(0)
    acting = range(planner.settings.acting)
    planner.values = [planner._new_value(world, generator) for _ in acting]
    return planner


def _week(population: Population) -> float:
    """Simulate a week under the safe plan; return the CPU time of a member."""
    world, executor = population.world, default_executor()
    target = np.tile(world.safe_plan, (population.num_members, 1)).astype(np.int32)
    begin = time.process_time()
    executor.run_week(population, feasible_target(target, population.opted_in))
    return 1e6 * (time.process_time() - begin) / population.num_members


def _sizes(world: World, size: int, seed: int, planner: RolloutPlanner) -> Iterator[Case]:
    """Yield what a member takes in memory: simulated, with beliefs, and in a planner's service."""
    for name, belief_filter in (("state", None), ("state and beliefs", planner.belief_filter)):
        found = partial(state_bytes, world, seed, belief_filter)
        yield Case(name, size, BYTES, found)
    if planner.belief_filter is not None:
        memory = BeliefMemory(planner.belief_filter, compact=True)
        yield Case(BELIEFS, size, BYTES, lambda: float(memory.bytes_per_member))


def _write_members(folder: Path, world: World, size: int, seed: int) -> None:
    """Write the features of members after weeks of random plans, in an even number of files."""
    names = [feature.name for feature in weekly_features(world)]
    files = 2 * -(-size // (2 * _SHARD))
    for rows in np.array_split(np.arange(size), files):
        population = Population(world, len(rows), seed, seed, first_member=int(rows[0]))
        burn_in(population, _WEEKS, seed, 0)
        columns = dict(zip(names, weekly_observation(population).T.copy(), strict=True))
        ids = {"entity_id": population.members}
        write_columns(folder / f"{rows[0]:012}.parquet", ids | columns)


def _file_bytes(folder: Path, size: int) -> float:
    """Return the bytes a member of the parquet files in a folder."""
    return sum(path.stat().st_size for path in folder.glob("*.parquet")) / size


def _redis_cases(
    world: World, plans: Path, size: int, redis_url: str, stack: ExitStack
) -> list[Case]:
    """Return the benchmarks of a server: memory and time of a plan, written by one client."""
    from slowfast_rl.store import RedisFeatureStore  # needs an extra

    parts = [read_part(world, path) for path in sorted(plans.glob("*.parquet"))]

    @contextmanager
    def filled() -> Iterator[tuple[float, float]]:
        """Write all plans to an empty namespace; give µs and bytes of each, and delete them."""
        namespace = f"slowfast-bench-{time.time_ns()}"
        store = RedisFeatureStore(redis_url, namespace, timeout_seconds=10)
        store.apply([plan_view(len(world.channels))])
        before, begin = _used_memory(store), time.perf_counter()
        for ids, plan in parts:
            write_plans(store, ids, plan, int(plan.week[0]) * WEEK_SECONDS)
        seconds = time.perf_counter() - begin
        try:
            yield 1e6 * seconds / size, (_used_memory(store) - before) / size
        finally:
            for ids, _ in parts:
                store.delete("plans", ids)

    def measured(which: int) -> float:
        with filled() as found:
            return found[which]

    return [
        Case("plan written to Redis", size, REAL, partial(measured, 0)),
        Case("plans in Redis", size, BYTES, partial(measured, 1)),
    ]


def _used_memory(store: Any) -> float:
    return float(store._client.info("memory")["used_memory"])
