"""How fast the feature stores are, beside what the bare memory or server gives in the same run."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any

import numpy as np

from slowfast_rl.benchmarks.env import Case
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
_SECONDS = 0.2  # of a repeat


def stores(
    world: World, ids: Int64, redis_url: str | None, stack: ExitStack
) -> dict[str, FeatureStore]:
    """Return an empty store of each kind that can be reached, by name.

    Args:
        world: whose channels a plan has.
        ids: members whose plans will be written; ``stack`` deletes them at its end.
        redis_url: of a server; None leaves it out.
        stack: cleans up.

    Raises:
        ValueError: the server cannot be reached.
    """
    found: dict[str, FeatureStore] = {
        "in memory": InMemoryFeatureStore(),
        "shared memory": SharedMemoryFeatureStore(),
    }
    if redis_url is not None:
        from slowfast_rl.store import RedisFeatureStore  # needs an extra

        namespace = f"slowfast-bench-{time.time_ns()}"
        found["Redis"] = RedisFeatureStore(redis_url, namespace, timeout_seconds=10)
    for store in found.values():
        store.apply([plan_view(len(world.channels))])
        try:
            store.delete("plans", ids)
        except StoreUnavailableError as error:
            raise ValueError(
                f"redis_url: {error}; allowed is a server that answers, or null"
            ) from error
        stack.callback(store.delete, "plans", ids)
    return found


def store_cases(
    world: World, members: int, weeks: int, seed: int, redis_url: str | None, stack: ExitStack
) -> list[Case]:
    """Return the cases of the stores: plans of all members, read and written a batch at a time.

    Rows per second of real time, as a server's work is part of it.

    Args:
        world: whose channels a plan has.
        members: rows in a batch.
        weeks: of the environment, whose store's share is measured.
        seed: of the order in which rows are read.
        redis_url: of a server; None leaves it out.
        stack: cleans up.
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
                Case(RAW_MGET, members, "rows", partial(_rate, members, _mget(store, ids)))
            )
        read, write = partial(read_plans, store, ids, 1), _writes(store, ids, plan)
        cases.append(Case(f"{name}, read", members, "rows", partial(_rate, members, read)))
        cases.append(Case(f"{name}, write", members, "rows", partial(_rate, members, write)))
    share = partial(_share, world, members, weeks, seed)
    return [*cases, Case("in memory, share of a Messaging-v0 step", members, "%", share)]


def _take(rows: Any, ids: Int64, out: Any) -> None:
    np.take(rows, ids, axis=0, out=out, mode="clip")


def _mget(store: Any, ids: Int64) -> Callable[[], Any]:
    """Return a bare MGET of the rows of these ids, its keys made beforehand."""
    form = store._form("plans")
    return partial(store._client.mget, store._keys(form, ids))


def _writes(store: FeatureStore, ids: Int64, plan: PacingPlan) -> Callable[[], Any]:
    """Return a write of plans of a later week each time it is called."""
    weeks = iter(range(1, 1 << 40))

    def write() -> None:
        week = next(weeks)
        later = plan._replace(week=np.full(len(ids), week))
        write_plans(store, ids, later, week * 7 * 86_400)

    return write


def _rate(rows: int, once: Callable[[], Any]) -> float:
    """Return rows a second of real time."""
    begin, count = time.perf_counter(), 0
    while (spent := time.perf_counter() - begin) < _SECONDS:
        once()
        count += 1
    return rows * count / spent


class TimedStore:
    """Passes calls on and adds up the CPU time spent in them."""

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
    """Return which share of stepping an environment with plans its store takes, in percent.

    The planner's own time is left out.
    """
    store = TimedStore(InMemoryFeatureStore())
    source: Any = PlanSource(RandomPlanner(seed), store)
    env = MessagingVectorEnv(members, world, weeks=weeks + 1, plan_source=source, luck_seed=seed)
    env.reset(seed=seed)
    hold = np.zeros(members, np.int64)
    reader: Any = env.plan_exchange.reader
    remembered = TimedStore(reader._memory)  # the executor's memory of plans is part of it
    reader._memory = remembered
    store.seconds = 0.0
    spent = sum(_steps(env, hold, weeks * world.slots_per_week))
    return 100 * (store.seconds + remembered.seconds) / spent


def _steps(env: MessagingVectorEnv, actions: Int64, steps: int) -> Iterator[float]:
    for _ in range(steps):
        begin = time.process_time()
        env.step(actions)
        yield time.process_time() - begin
