"""Benchmarks of the feature stores, with raw reads of the same memory or server as reference."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Any

import numpy as np

from slowfast_rl.benchmarks.cases import Case, step_seconds
from slowfast_rl.envs import MessagingVectorEnv
from slowfast_rl.members.arrays import Int64
from slowfast_rl.members.world import World
from slowfast_rl.policies import PlanSource
from slowfast_rl.slow import RandomPlanner
from slowfast_rl.store import (
    FeatureStore,
    InMemoryFeatureStore,
    PacingPlan,
    SharedMemoryFeatureStore,
    StoreUnavailableError,
    pacing_plan,
    plan_view,
    read_plans,
    write_plans,
)

RAW_TAKE, RAW_MGET = "raw np.take of as many bytes", "raw MGET of as many bytes"
PEERS = {"in memory, read": RAW_TAKE, "shared memory, read": RAW_TAKE, "Redis, read": RAW_MGET}
_SECONDS = 0.2  # per run


def stores(
    world: World, ids: Int64, redis_url: str | None, stack: ExitStack
) -> dict[str, FeatureStore]:
    """Return an empty store of each available kind, by name.

    Args:
        world: the world, whose channels the plans have.
        ids: [N] ids of the members whose plans will be written.
        redis_url: URL of a Redis server; None leaves Redis out.
        stack: exit stack that deletes the plans of these members from the stores.

    Raises:
        ValueError: the server cannot be reached.
    """
    result: dict[str, FeatureStore] = {
        "in memory": InMemoryFeatureStore(),
        "shared memory": SharedMemoryFeatureStore(),
    }
    if redis_url is not None:
        from slowfast_rl.store import RedisFeatureStore  # needs an extra

        namespace = f"slowfast-bench-{time.time_ns()}"
        result["Redis"] = RedisFeatureStore(redis_url, namespace, timeout_seconds=10)
    for store in result.values():
        store.apply([plan_view(len(world.channels))])
        try:
            store.delete("plans", ids)
        except StoreUnavailableError as error:
            raise ValueError(
                f"redis_url: {error}; allowed is a server that answers, or null"
            ) from error
        stack.callback(store.delete, "plans", ids)
    return result


def store_cases(
    world: World, members: int, weeks: int, seed: int, redis_url: str | None, stack: ExitStack
) -> list[Case]:
    """Return the benchmarks of the stores: reads and writes of the plans of a batch of members.

    The unit is rows per second of wall-clock time, because the server's work counts too.

    Args:
        world: the world, whose channels the plans have.
        members: rows per batch.
        weeks: weeks that are simulated to measure the store's share of an environment's time.
        seed: seed of plans and of the order in which rows are read.
        redis_url: URL of a Redis server; None leaves Redis out.
        stack: exit stack that deletes the plans from the stores.
    """
    draws = np.random.default_rng(seed)
    ids = draws.permutation(members).astype(np.int64)
    plan = pacing_plan(draws.integers(0, 8, (members, len(world.channels))), 0)
    row_bytes = sum(column.nbytes for column in plan) // members
    rows = np.zeros((members, -(-row_bytes // 4)), np.float32)
    out = np.empty_like(rows)
    cases = [
        Case(RAW_TAKE, members, "rows", partial(_rate, members, partial(_take, rows, ids, out)))
    ]
    for name, store in stores(world, ids, redis_url, stack).items():
        write_plans(store, ids, plan, 0)
        if name == "Redis":
            cases.append(
                Case(RAW_MGET, members, "rows", partial(_rate, members, raw_mget(store, ids)))
            )
        read, write = partial(read_plans, store, ids, 1), _writes(store, ids, plan)
        cases.append(Case(f"{name}, read", members, "rows", partial(_rate, members, read)))
        cases.append(Case(f"{name}, write", members, "rows", partial(_rate, members, write)))
    share = partial(_share, world, members, weeks, seed)
    return [*cases, Case("in memory, share of a Messaging-v0 step", members, "%", share)]


def _take(rows: Any, ids: Int64, out: Any) -> None:
    np.take(rows, ids, axis=0, out=out, mode="clip")


def raw_mget(store: Any, ids: Int64) -> Callable[[], Any]:
    """Return a function that calls MGET for the rows of these ids, with keys made in advance."""
    return partial(store._client.mget, store._keys(store._layout("plans"), ids))


def _writes(store: FeatureStore, ids: Int64, plan: PacingPlan) -> Callable[[], Any]:
    """Return a function that writes the plans, for a later week at each call."""
    weeks = iter(range(1, 1 << 40))

    def write() -> None:
        week = next(weeks)
        later = plan._replace(week=np.full(len(ids), week))
        write_plans(store, ids, later, week * 7 * 86_400)

    return write


def _rate(rows: int, once: Callable[[], Any]) -> float:
    """Return the rows per second of wall-clock time of repeated calls."""
    begin, count = time.perf_counter(), 0
    while (spent := time.perf_counter() - begin) < _SECONDS:
        once()
        count += 1
    return rows * count / spent


class TimedStore:
    """Wrapper of a store that adds up the CPU seconds spent in its methods."""

    def __init__(self, store: Any) -> None:
        self.store, self.seconds = store, 0.0

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.store, name)
        if not callable(method):
            return method

        def timed(*arguments: Any) -> Any:
            begin = time.process_time()
            try:
                return method(*arguments)
            finally:
                self.seconds += time.process_time() - begin

        return timed


def _share(world: World, members: int, weeks: int, seed: int) -> float:
    """Return the store's share of the CPU time of stepping an environment with plans, in percent.

    The reader of plans and its memory count as part of the store, the planner does not.
    """
    store = TimedStore(InMemoryFeatureStore())
    source: Any = PlanSource(RandomPlanner(seed), store)
    env = MessagingVectorEnv(
        members, world, weeks=weeks + 1, plan_source=source, luck_seed=seed, first_member=0
    )
    env.reset(seed=seed)
    hold = np.zeros(members, np.int64)
    exchange: Any = env.plan_exchange
    exchange.reader.store = store.store  # whose time is part of the reader's
    exchange.reader = reader = TimedStore(exchange.reader)
    store.seconds = 0.0
    total = step_seconds(env, weeks * world.slots_per_week, lambda: hold)
    return 100 * (store.seconds + reader.seconds) / total
