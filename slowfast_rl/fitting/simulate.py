"""Simulated weekly logs, under given plans or a planner and under a given launch calendar."""

from typing import NamedTuple

import numpy as np

from slowfast_rl.logs.weekly import WeeklyLog
from slowfast_rl.members.arrays import Bool, Float32, Int64
from slowfast_rl.members.population import Population
from slowfast_rl.members.world import World
from slowfast_rl.policies.contracts import BasePlanner, Executor
from slowfast_rl.policies.executor import default_executor
from slowfast_rl.policies.plan_exchange import plans_of_planner
from slowfast_rl.policies.simulate import run_plans


class Design(NamedTuple):
    """How the members of a log were treated.

    Attributes:
        weeks: T, the number of weeks of the log.
        calendar: [7 T, D] launches of each day and topic.
        plans: [T, M] plans in force of M members, all known; None where the planner decides.
        planner: chooses the plans each week, where ``plans`` is None.
        executor: the fast policy; None for the default.
        history: weeks that members had lived when the log begins.
        opted_in: [M, C] opt-ins of the M members at the beginning of the log, which replace those
            simulated where ``history`` is not 0.
    """

    weeks: int
    calendar: Float32
    plans: Int64 | None = None
    planner: BasePlanner | None = None
    executor: Executor | None = None
    history: int = 0
    opted_in: Bool | None = None


def simulate_log(
    world: World, design: Design, num_members: int, seed: int, first_member: int = 0
) -> WeeklyLog:
    """Simulate a weekly log.

    A member's life depends on the seed and on its id alone, so that shards of members together are
    the log of all of them, and so that logs of two worlds have common random numbers.

    Args:
        world: the world.
        design: how members are treated. Member i has plans of column ``order[i]``, where the order
            is random and uses each column equally often, as nearly as possible.
        num_members: N.
        seed: decides the members, their luck and which plans they have.
        first_member: id of the first member.
    """
    planner, n, weeks = design.planner, num_members, design.weeks
    history = design.history
    before = np.zeros((7 * history, world.num_topics), np.float32)
    population = Population(
        world,
        n,
        seed,
        seed,
        first_member=first_member,
        reward="sampled",
        belief_filter=None if planner is None else planner.belief_filter,
        calendar=np.concatenate([before, design.calendar]) if history else design.calendar,
    )
    columns = None
    if design.plans is not None:
        columns = plan_columns(design.plans.shape[1], seed, first_member, n)
    executor = design.executor or default_executor()
    for week in range(history):
        run_plans(population, _plans(population, design, week % weeks, columns), executor)
    if history:
        population, columns = _at_log_start(population, design, columns)
    return _record(population, design, columns, executor)


def _at_log_start(
    population: Population, design: Design, columns: Int64 | None
) -> tuple[Population, Int64 | None]:
    """Return the members who are still there when the log begins, opted in as in the log."""
    alive = np.flatnonzero(population.alive)
    population = population.take(alive)
    if columns is None:
        return population, None
    columns = columns[alive]
    if design.opted_in is not None:
        population.simulation.state.opted_in[:] = design.opted_in[columns]
    return population, columns


def _record(
    population: Population, design: Design, columns: Int64 | None, executor: Executor
) -> WeeklyLog:
    """Simulate the weeks of the log, and return it."""
    weeks, n = design.weeks, population.num_members
    channels = len(population.world.channels)
    log = WeeklyLog(
        members=population.members,
        plans=np.full((weeks, n), -1, np.int64),
        drawn=np.zeros((weeks, n), np.bool_),
        propensity=np.full((weeks, n), np.nan),
        sends=np.zeros((weeks, n, channels), np.float32),
        opens=np.zeros((weeks, n, channels), np.float32),
        dismissals=np.zeros((weeks, n, channels), np.float32),
        opt_outs=np.zeros((weeks, n, channels), np.float32),
        opted_in=np.zeros((weeks, n, channels), np.bool_),
        viewing_days=np.zeros((weeks, n), np.float32),
        alive=np.zeros((weeks, n), np.bool_),
        churned=np.zeros((weeks, n), np.bool_),
        launches=design.calendar,
    )
    for t in range(weeks):
        alive = population.alive
        plans = _plans(population, design, t, columns)
        log.alive[t], log.opted_in[t] = alive, population.opted_in
        log.plans[t] = np.where(alive, plans, -1)
        week = run_plans(population, plans, executor)
        log.sends[t], log.opens[t] = week.sends, week.opens
        log.dismissals[t], log.opt_outs[t] = week.dismissals, week.opt_outs
        log.viewing_days[t] = week.viewing_days
        log.churned[t] = week.churned > 0
    return log


def plan_columns(num_columns: int, seed: int, first_member: int, num_members: int) -> Int64:
    """Return which column of the plans each of some members has, [num_members].

    Members are dealt the columns in turns, in each turn in another random order.
    """
    turns = range(first_member // num_columns, (first_member + num_members - 1) // num_columns + 1)
    order = [np.random.default_rng((seed, turn)).permutation(num_columns) for turn in turns]
    start = first_member - turns[0] * num_columns
    return np.concatenate(order)[start : start + num_members].astype(np.int64)


def known_plans(log: WeeklyLog, seed: int = 0) -> Int64:
    """Return the plans of a log, [T, N], with unknown ones drawn as another member's.

    A member that has no plan in a week, as after its churn, goes on with the plans of a random
    member that has one, for as long as that one has any.

    Raises:
        ValueError: nobody has a plan in some week.
    """
    plans, random = log.plans.astype(np.int64), np.random.default_rng(seed)
    donor = np.arange(plans.shape[1])
    for t, row in enumerate(log.plans):
        known = np.flatnonzero(row >= 0)
        if not known.size:
            raise ValueError(
                f"the log has no plan in week {t}; allowed is a log with plans, or a planner="
            )
        lost = np.flatnonzero(row[donor] < 0)
        donor[lost] = known[random.integers(0, len(known), len(lost))]
        plans[t] = row[donor]
        back = row >= 0
        donor[back], plans[t, back] = np.flatnonzero(back), row[back]
    return plans


def _plans(population: Population, design: Design, week: int, columns: Int64 | None) -> Int64:
    """Return the plans of a week, [N]."""
    if columns is None or design.plans is None:
        if design.planner is None:
            raise ValueError("design has neither plans nor a planner; allowed is one of them")
        return plans_of_planner(population, design.planner)
    return np.asarray(design.plans[week, columns], np.int64)
