"""The executor as a service: a simulated population with plans from the store."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from slowfast_rl.agents.disk import read_arrays, write_arrays
from slowfast_rl.fast.decide import sources
from slowfast_rl.logs.decisions import Watch, decide_slot
from slowfast_rl.logs.schema import LAUNCH_FILE, TABLES
from slowfast_rl.members.arrays import Float64, Int64
from slowfast_rl.members.clock import DAY_SECONDS, WEEK_SECONDS
from slowfast_rl.members.launches import launch_counts
from slowfast_rl.members.loading import world_hash
from slowfast_rl.members.population import Population, population_arrays, restore_population
from slowfast_rl.policies.contracts import BaseExecutor
from slowfast_rl.policies.plan_exchange import PlanExchange, pack_plan
from slowfast_rl.policies.plan_reader import Reading
from slowfast_rl.services.served_plans import RegisteredStore, ServedPlanReader
from slowfast_rl.services.store_clock import CHUNK, publish, published_views
from slowfast_rl.store import (
    FeatureStore,
    PacingPlan,
    StoreState,
    StoreUnavailableError,
    plan_view,
)

_STATE = "state.safetensors"
_PREFIX, _WATCH = "reader.", "watch."


class SimulationService:
    """Serves a simulated population: publishes clock and observations, reads plans, decides, logs.

    After each simulated day it writes the decisions to the log, and then its own state. If the
    process is killed, the next one resumes after the last finished day, or from the beginning if
    none is finished.

    Args:
        population: N members, all at the beginning of the same week.
        executor: the fast policy.
        store: the store to which the planner writes.
        seed: seed of the pacer's coins.
        folder: folder of the decision log and the state, from which the service resumes if there
            is one; None writes neither.

    Raises:
        ValueError: the state in the folder is of another population, or damaged.
    """

    def __init__(
        self,
        population: Population,
        executor: BaseExecutor,
        store: FeatureStore,
        seed: int = 0,
        folder: Path | None = None,
    ) -> None:
        self.population, self.executor, self.seed, self.folder = population, executor, seed, folder
        world = population.world
        self._views = [plan_view(len(world.channels)), *published_views(world)]
        self._store = RegisteredStore(store, self._views)
        self.plan_exchange = PlanExchange(world, self._store, executor)
        self.plan_exchange.reader = ServedPlanReader(world, self._store)
        self.version = executor_version(executor)
        self.service = int.from_bytes(os.urandom(7))  # identifies this service in the store's clock
        self.days = 0  # simulated so far
        self.unreachable = 0  # days whose observations could not be published
        self.vetoed = 0
        self.returns: Float64 = np.zeros(population.num_members)  # [N] discounted by the week
        self._first_week = int(population.weeks.max())
        self._watch = Watch(population)
        if folder is not None:
            if (folder / _STATE).exists():
                self._restore(folder / _STATE)
            else:  # so that a restart in the first day has the number that the store's clock names
                self._keep(folder / _STATE)

    @property
    def now(self) -> int:
        """The beginning of the next day, in simulated seconds."""
        return self._first_week * WEEK_SECONDS + self.days * DAY_SECONDS

    @property
    def counters(self) -> dict[str, int]:
        """Counts of fallbacks, unreachable days, vetoed sends, and the counters of the store."""
        return {
            **self.plan_exchange.reader.counters._asdict(),
            "unreachable_days": self.unreachable,
            "vetoed_sends": self.vetoed,
            **self.plan_exchange.store.counters,
        }

    def simulate_day(self, until: Callable[[int], object] | None = None) -> list[dict[str, Any]]:
        """Publish clock and observations, then serve the opportunities of the day.

        Args:
            until: function that waits until a simulated time, called before each event; None to
                simulate without waiting.

        Returns:
            The decisions of each opportunity of the day, as they are logged.

        Raises:
            ValueError: another service keeps the clock of this store.
        """
        population, day = self.population, self.days % 7
        wait = until or (lambda _: None)
        wait(self.now)
        try:
            self._store.apply(self._views)  # another process may have removed one
            publish(self._store, population, self.now, self.service)
        except StoreUnavailableError:
            self.unreachable += 1
        decisions: list[dict[str, Any]] = []
        happened: dict[str, list[dict[str, Any]]] = {"decisions": decisions, "outcomes": []}
        monday = self.now - day * DAY_SECONDS
        while True:
            slot = population.world.schedule[population.slot]
            if slot.weekday != day:
                break
            now = monday + day * DAY_SECONDS + slot.second
            wait(now)
            self._serve(now, happened)
            if population.slot == 0:
                break
        self.days += 1
        if self.folder is not None:
            self._write(happened)
            self._keep(self.folder / _STATE)
        return decisions

    def _serve(self, now: int, happened: dict[str, list[dict[str, Any]]]) -> None:
        """Decide for every living member, simulate the slot, and add the rows of the log."""
        population, n, slot = self.population, self.population.num_members, self.population.slot
        living = np.flatnonzero(population.alive)
        week = now // WEEK_SECONDS
        times = np.full(len(living), now)
        reading = self._read_plans(living, times)
        packed = pack_plan(reading.plan)
        plan_rows = np.zeros((n, packed.shape[1]), np.int32)
        plan_rows[living] = packed
        decided = decide_slot(
            population, self.executor, reading.plan, plan_rows, living, times, self.seed
        )
        columns = decided.columns
        self.vetoed += int(columns["vetoed"].sum())
        discount = population.world.reward.weekly_discount ** (week - self._first_week)
        if slot == 0:
            happened["plans"] = [self._plan_columns(reading.plan, living, week)]
        opted_in = population.opted_in
        rewards, events = population.step(decided.actions)
        self.returns += discount * rewards
        happened["outcomes"] += self._watch.events(events, opted_in, now, slot)
        known = columns | {
            "plan_source": sources(reading, times // WEEK_SECONDS),
            "plan_week": reading.plan.week,
            "plan_version": reading.plan.policy_version,
            "executor_version": [self.version] * len(living),
            "reward": rewards[living],
        }
        happened["decisions"].append(known)

    def _plan_columns(self, plan: PacingPlan, living: Int64, week: int) -> dict[str, Any]:
        """Return the week's rows of the table ``plans``; the store has no propensities."""
        names, population = self.population.world.shape_names, self.population
        return {
            "member": population.members[living],
            "week": np.full(len(living), week, np.int32),
            "target": plan.target,
            "shape": [names[shape] if shape < len(names) else names[0] for shape in plan.shape],
            "drawn_week": plan.week.astype(np.int32),
            "opted_in": population.opted_in[living],
            "plan_version": plan.policy_version,
        }

    def _read_plans(self, living: Int64, times: Int64) -> Reading:
        read = self.plan_exchange.read_plans_in_force
        parts = [read(self.population, living[some], times[some]) for some in _chunks(living)]
        plan = (np.concatenate(column) for column in zip(*(p.plan for p in parts), strict=True))
        return Reading(PacingPlan(*plan), np.concatenate([part.settled for part in parts]))

    def _write(self, happened: dict[str, list[dict[str, Any]]]) -> None:
        """Write the rows of a day, each table to its file; on Mondays also the launches."""
        from slowfast_rl.logs.launches import write_launches  # they need an extra
        from slowfast_rl.logs.parquet import write_part

        assert self.folder is not None
        name = f"day-{self.now // DAY_SECONDS - 1:06}"
        for table, batches in happened.items():
            if any(len(columns["member"]) for columns in batches):
                write_part(self.folder / table, name, TABLES[table], batches)
        if "plans" in happened:
            weeks, world = self.now // WEEK_SECONDS + 1, self.population.world
            counts = launch_counts(world, self.population.simulation.seed, -(-weeks // 64) * 64)
            write_launches(self.folder / LAUNCH_FILE, counts[: 7 * weeks])

    def _keep(self, path: Path) -> None:
        reader = self.plan_exchange.reader.snapshot()
        arrays = population_arrays(self.population, copy=False) | {"returns": self.returns}
        arrays |= {f"{_PREFIX}{name}": array for name, array in reader.arrays.items()}
        arrays |= {f"{_WATCH}{name}": array for name, array in self._watch.state().items()}
        head = {
            "identity": self._identity(),
            "service": self.service,
            "days": self.days,
            "first_week": self._first_week,
            "vetoed": self.vetoed,
            "unreachable": self.unreachable,
            "reader": reader.metadata,
        }
        write_arrays(path, arrays, head)

    def _identity(self) -> dict[str, Any]:
        """Return the numbers that identify these members, their luck and their coins."""
        population = self.population
        return {
            "members": population.num_members,
            "world": world_hash(population.world),
            "population_seed": population.population_seed,
            "luck_seed": population.simulation.seed,
            "luck_stream": int(population.simulation.state.stream[0]),
            "seed": self.seed,
        }

    def _restore(self, path: Path) -> None:
        arrays, head = read_arrays(path)
        try:
            if head["identity"] != self._identity():
                raise ValueError(f"they are {head['identity']}, not {self._identity()}")
            restore_population(self.population, arrays)
            reader = {k[len(_PREFIX) :]: a for k, a in arrays.items() if k.startswith(_PREFIX)}
            self.plan_exchange.reader.restore(StoreState(reader, head["reader"]))
            self.returns = arrays["returns"].copy()
            watch = {k[len(_WATCH) :]: a for k, a in arrays.items() if k.startswith(_WATCH)}
            self._watch.restore(watch)
            self.service = head["service"]
            self.days, self._first_week = head["days"], head["first_week"]
            self.vetoed, self.unreachable = head["vetoed"], head["unreachable"]
        except (ValueError, KeyError) as error:
            raise ValueError(f"{path} is not the state of these members: {error}") from error


def _chunks(rows: Int64) -> list[slice]:
    """Return slices that cover rows [B], at least one."""
    return [slice(first, first + CHUNK) for first in range(0, max(len(rows), 1), CHUNK)]


def executor_version(executor: BaseExecutor) -> str:
    """Return a digest of the executor's parts, their settings and their learned state."""
    text = json.dumps(executor.versioned(), sort_keys=True, default=_jsonable)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _jsonable(value: Any) -> Any:
    return hashlib.sha256(np.asarray(value).tobytes()).hexdigest()
