"""Simulate members and write their log: a world of its own stands in for a company."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from slowfast_rl.logs.company import company_side
from slowfast_rl.logs.decisions import Columns, Watch, decide_slot
from slowfast_rl.logs.launches import write_launches
from slowfast_rl.logs.parquet import part_file, write_part
from slowfast_rl.logs.schema import LAUNCH_FILE, LOG_FILE, TABLES, VERSION
from slowfast_rl.members.arrays import Bool, Float32, Float64, Int64
from slowfast_rl.members.clock import DAY_SECONDS, WEEK_SECONDS
from slowfast_rl.members.launches import launch_counts
from slowfast_rl.members.population import Population
from slowfast_rl.members.random import Domain, ExplorationStream, random_words
from slowfast_rl.members.state import take_rows
from slowfast_rl.members.world import World
from slowfast_rl.policies.contracts import BaseExecutor, BasePlanner, PlanRequest
from slowfast_rl.policies.guard import feasible_target, pack_plans
from slowfast_rl.policies.plan_exchange import choose_plans, plan_request
from slowfast_rl.policies.settings import Settings, setting
from slowfast_rl.store import pacing_plan
from slowfast_rl.store.files import write_text_atomically

SHARD = 1024  # members that are simulated, and whose rows are written, together, at most
PART_ROWS = 1 << 21  # decisions of them, at most: they are in memory until they are written


@dataclass(frozen=True, kw_only=True)
class PlanDesign(Settings):
    """How the plans of a log are drawn."""

    random_plans: float = setting(
        1.0,
        "share of drawn plans that are uniform over the feasible ones; the planner chooses others",
        low=0,
        high=1,
    )  # fmt: skip
    held_share: float = setting(
        0.5, "share of members that hold a drawn plan for several weeks", low=0, high=1
    )
    hold_low: int = setting(2, "fewest weeks for which such a plan is held", low=1, high=520)
    hold_high: int = setting(8, "most weeks for which such a plan is held", low=1, high=520)
    seed: int = setting(0, "seed of the draws", low=0, high=2**32 - 1)

    def __post_init__(self) -> None:
        """Check every field, and that the fewest weeks are not more than the most."""
        super().__post_init__()
        if self.hold_low > self.hold_high:
            raise ValueError(
                f"hold_low is {self.hold_low}; allowed is at most hold_high, {self.hold_high}"
            )


class DrawnPlans:
    """The plans in force of N members, drawn by a design, with their propensities.

    Args:
        world: the world, for the menu.
        design: how plans are drawn.
        planner: chooses those that are not random; None for none.
        members: [N] ids.

    Raises:
        ValueError: the design leaves plans to a planner, and there is none.
    """

    def __init__(
        self, world: World, design: PlanDesign, planner: BasePlanner | None, members: Int64
    ) -> None:
        if planner is None and design.random_plans < 1:
            raise ValueError(
                f"random_plans is {design.random_plans} without a planner; allowed is 1"
            )
        self.world, self.design, self.planner = world, design, planner
        n = len(members)
        self.plans = np.zeros(n, np.int64)  # [N]
        self.propensity: Float64 = np.ones(n)  # [N]
        self.drawn_week = np.zeros(n, np.int64)  # [N]
        self.hold = _hold_weeks(design, members)  # [N]

    def begin_week(self, request: PlanRequest) -> Bool:
        """Draw the plans of members whose hold has ended; return which were drawn, [N].

        Args:
            request: of all N members, in one week.
        """
        week = int(request.weeks[0]) if len(request.weeks) else 0
        due: Bool = (week - self.drawn_week >= self.hold) | (week == 0)
        rows = np.flatnonzero(due)
        if rows.size:
            asked = request._replace(
                **{k: part[rows] for k, part in request._asdict().items() if part is not None}
            )
            self.plans[rows], self.propensity[rows] = self._draw(asked)
            self.drawn_week[rows] = week
        return due

    def _draw(self, request: PlanRequest) -> tuple[Int64, Float64]:
        """Return plans of B members and their probabilities, [B] each."""
        design, feasible = self.design, request.feasible
        words = random_words(
            design.seed, ExplorationStream.LOGGED_PLANS, request.entity_ids, request.weeks,
            Domain.EXPLORATION,
        )  # fmt: skip
        count = feasible.sum(axis=1)
        # The word's position in the share of random plans chooses which one it is.
        unit = words / 2**32 / max(design.random_plans, 1e-12)
        random = unit < 1
        rank = np.minimum((unit * count).astype(np.int64), count - 1)
        drawn = np.argmax(feasible.cumsum(axis=1) > rank[:, None], axis=1)
        probability = design.random_plans / count
        if self.planner is None:
            return drawn, probability
        own = choose_plans(self.planner, request)
        plans = np.where(random, drawn, own)
        return plans, probability * feasible[np.arange(len(plans)), plans] + (
            1 - design.random_plans
        ) * (plans == own)


def _hold_weeks(design: PlanDesign, members: Int64) -> Int64:
    """Return for how many weeks each of N members holds a drawn plan, [N]."""
    words = random_words(
        design.seed, ExplorationStream.LOGGED_PLANS, members, np.full(len(members), -1),
        Domain.EXPLORATION,
    )  # fmt: skip
    unit = words / 2**32
    held = unit < design.held_share
    span = design.hold_high - design.hold_low + 1
    weeks = design.hold_low + (unit / max(design.held_share, 1e-12) * span).astype(np.int64)
    found: Int64 = np.where(held, np.minimum(weeks, design.hold_high), 1)
    return found


def record(
    folder: Path | str,
    world: World,
    executor: BaseExecutor,
    *,
    num_members: int,
    weeks: int,
    planner: BasePlanner | None = None,
    design: PlanDesign | None = None,
    population_seed: int = 0,
    luck_seed: int = 0,
    first_member: int = 0,
    holds: bool = True,
    progress: Callable[[int], object] | None = None,
) -> Path:
    """Simulate members and write what a company would log of them; return the folder.

    The log holds sampled outcomes and no hidden state. Nothing in it says which world it is: only
    the company's side of the world is written.

    Args:
        folder: a new or empty folder of the log.
        world: the world.
        executor: the fast policy; one that explores makes a log that can answer.
        num_members: number of members.
        weeks: number of weeks from the members' first one.
        planner: chooses the plans that the design does not draw; None where it draws all.
        design: how plans are drawn; None for the default design.
        population_seed: seed of the members.
        luck_seed: seed of everything drawn over time, and of the executor's coins.
        first_member: id of the first member.
        holds: whether decisions to hold are written; without them a log has a fifth of the rows,
            and answers only questions about plans.
        progress: function that is called with the number of opportunities simulated so far.

    Raises:
        ValueError: the folder holds files, or an argument is not allowed.
    """
    folder, design = Path(folder), PlanDesign() if design is None else design
    if folder.is_dir() and any(folder.iterdir()):
        raise ValueError(f"{folder} holds files; allowed is a new or empty folder")
    if num_members < 1 or weeks < 1:
        raise ValueError(
            f"the log has {num_members} members in {weeks} weeks; allowed is 1 or more"
        )
    shard = min(SHARD, max(1, PART_ROWS // (weeks * world.slots_per_week)))
    starts, done = range(0, num_members, shard), 0
    for number, start in enumerate(starts):
        size = min(shard, num_members - start)
        population = Population(
            world, size, population_seed, luck_seed, first_member=first_member + start,
            reward="sampled", belief_filter=None if planner is None else planner.belief_filter,
        )  # fmt: skip
        rows: dict[str, list[Columns]] = {name: [] for name in TABLES}
        plans = DrawnPlans(world, design, planner, population.members)
        for week in range(weeks):
            _record_week(population, executor, plans, rows, luck_seed, holds)
            if progress is not None:
                progress(done + size * (week + 1) * world.slots_per_week)
        done += size * weeks * world.slots_per_week
        for name, columns in TABLES.items():
            part = part_file(number).removesuffix(".parquet")
            none = {"member": np.zeros(0, np.int64)}
            own = _in_order(rows[name]) if rows[name] else none
            write_part(folder / name, part, columns, [own])
    counts = launch_counts(world, luck_seed, -(-weeks // 64) * 64)[: 7 * weeks]
    write_log_file(folder, company_side(world), weeks, counts)
    return folder


def write_log_file(folder: Path, company: dict[str, Any], weeks: int, counts: Float32) -> None:
    """Write the launches, and last the file that makes a folder a log.

    Args:
        folder: of the log.
        company: the company's side of the world.
        weeks: T, number of weeks.
        counts: [7 T, D] launches of each day and topic.
    """
    write_launches(folder / LAUNCH_FILE, counts)
    head = {"schema": VERSION, "weeks": weeks, "world": company}
    write_text_atomically(folder / LOG_FILE, json.dumps(head, indent=1))


def _record_week(
    population: Population,
    executor: BaseExecutor,
    drawn: DrawnPlans,
    rows: dict[str, list[Columns]],
    seed: int,
    holds: bool,
) -> None:
    """Simulate one week, and add what is logged to the rows of each table."""
    world, week = population.world, int(population.weeks[0])
    drawn.begin_week(plan_request(population, planner=drawn.planner))
    alive, opted_in = population.alive, population.opted_in
    rows["plans"].append(
        {
            "member": population.members[alive],
            "week": np.full(int(alive.sum()), week, np.int32),
            "target": world.plans[drawn.plans[alive]],
            "shape": [world.shape_names[shape] for shape in world.plan_shapes[drawn.plans[alive]]],
            "propensity": drawn.propensity[alive],
            "drawn_week": drawn.drawn_week[alive].astype(np.int32),
            "opted_in": opted_in[alive],
        }
    )
    watch, shapes = Watch(population), world.plan_shapes[drawn.plans]
    living = np.flatnonzero(alive)
    for number, slot in enumerate(world.schedule):
        now = week * WEEK_SECONDS + slot.weekday * DAY_SECONDS + slot.second
        opted_in = population.opted_in
        target = feasible_target(world.plans[drawn.plans], opted_in)
        plan = pacing_plan(target, np.full(len(target), week), shape=shapes)
        decided = decide_slot(
            population, executor, take_rows(plan, living), pack_plans(target, target, shapes),
            living, np.full(len(living), now, np.int64), seed,
        )  # fmt: skip
        kept = slice(None) if holds else decided.columns["action"] > 0
        rows["decisions"].append(
            {name: np.asarray(column)[kept] for name, column in decided.columns.items()}
        )
        _, events = population.step(decided.actions)
        rows["outcomes"] += watch.events(events, opted_in, now, number)


def _in_order(batches: list[Columns]) -> Columns:
    """Return the rows of batches as one, in order of member and time; missing columns are null."""
    names = list(dict.fromkeys(name for batch in batches for name in batch))
    sizes = [len(batch["member"]) for batch in batches]
    time = "time" if "time" in names else "week"
    merged = {name: _merged(batches, sizes, name) for name in names}
    order = np.lexsort((merged[time], merged["member"]))
    return {name: column[order] for name, column in merged.items()}


def _merged(batches: list[Columns], sizes: list[int], name: str) -> Any:
    """Return a column of all batches; None, or NaN among numbers, where one lacks it."""
    present = [np.asarray(batch[name]) for batch in batches if name in batch]
    if present[0].dtype.kind in "US":
        parts = [
            np.asarray(batch[name], object) if name in batch else np.full(size, None, object)
            for batch, size in zip(batches, sizes, strict=True)
        ]
        return np.concatenate(parts)
    parts = [
        np.asarray(batch[name]) if name in batch else np.full(size, np.nan)
        for batch, size in zip(batches, sizes, strict=True)
    ]
    return np.concatenate(parts)
