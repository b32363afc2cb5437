"""Simulated weekly logs, under given plans or a planner and under a given launch calendar."""

from typing import Any, NamedTuple

import numpy as np

from slowfast_rl.fitting.plans import LoggedPlans
from slowfast_rl.logs.weekly_log import WeeklyLog
from slowfast_rl.members.arrays import Float32, Int64
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
        plans: a log's plans, or the planner that chose them in each week.
        executor: the fast policy; None for the default.
        history: weeks of the members' history before the log begins.
    """

    weeks: int
    calendar: Float32
    plans: LoggedPlans | BasePlanner
    executor: Executor | None = None
    history: int = 0

    @property
    def planner(self) -> BasePlanner | None:
        """The planner, None where the plans are a log's."""
        return None if isinstance(self.plans, LoggedPlans) else self.plans


def simulate_log(
    world: World, design: Design, num_members: int, seed: int, first_member: int = 0
) -> WeeklyLog:
    """Simulate a weekly log.

    What happens to a member depends on the seed and on its id alone, so that shards of members
    together are the log of all of them, and so that logs of two worlds have common random numbers.

    Args:
        world: the world.
        design: how members are treated.
        num_members: N; with a history, those who churn in it are left out.
        seed: decides the members, their luck and whose plans they follow.
        first_member: id of the first member.
    """
    planner = design.planner
    population, chooser = begin_log(
        world,
        design,
        num_members,
        seed,
        first_member=first_member,
        reward="sampled",
        belief_filter=None if planner is None else planner.belief_filter,
    )
    return _record(population, design, chooser, design.executor or default_executor())


def begin_log(
    world: World, design: Design, num_members: int, seed: int, **settings: Any
) -> tuple[Population, "PlanChooser"]:
    """Return the members when the log begins, after their history, and what chooses their plans.

    Args:
        world: the world.
        design: how members are treated.
        num_members: N; with a history, those who churn in it are left out.
        seed: decides the members, their luck and whose plans they follow.
        **settings: of the population.
    """
    history = design.history
    before = np.zeros((7 * history, world.num_topics), np.float32)
    calendar = np.concatenate([before, design.calendar])
    population = Population(world, num_members, seed, seed, calendar=calendar, **settings)
    chooser = PlanChooser(design, seed, num_members)
    executor = design.executor or default_executor()
    for week in range(-history, 0):
        run_plans(population, chooser.plans(population, week % design.weeks), executor)
    if history:
        population = population.take(population.alive)
        chooser.begin_log(population)
    return population, chooser


class PlanChooser:
    """Chooses the plans of each week as they were in the log."""

    def __init__(self, design: Design, seed: int, num_members: int) -> None:
        self._design, self._seed = design, seed
        self._followed: Int64 = np.full(num_members, -1, np.int64)

    def plans(self, population: Population, week: int) -> Int64:
        """Return the plans of a week, [N]."""
        plans = self._design.plans
        if not isinstance(plans, LoggedPlans):
            return plans_of_planner(population, plans)
        self._followed, chosen = plans.follow(
            self._followed, week, population.opted_in, self._seed, population.members
        )
        return chosen

    def begin_log(self, population: Population) -> None:
        """Give members who have a history the opt-ins that the log begins with."""
        plans = self._design.plans
        self._followed = np.full(population.num_members, -1, np.int64)
        if isinstance(plans, LoggedPlans):
            opted_in = plans.opted_in(self._seed, population.members)
            population.simulation.state.opted_in[:] = opted_in


def _record(
    population: Population, design: Design, chooser: PlanChooser, executor: Executor
) -> WeeklyLog:
    """Simulate the weeks of the log, and return it."""
    weeks, n = design.weeks, population.num_members
    counts = weeks, n, len(population.world.channels)
    log = WeeklyLog(
        members=population.members,
        plans=np.full((weeks, n), -1, np.int64),
        drawn=np.zeros((weeks, n), np.bool_),
        propensity=np.full((weeks, n), np.nan),
        sends=np.zeros(counts, np.float32),
        opens=np.zeros(counts, np.float32),
        dismissals=np.zeros(counts, np.float32),
        opt_outs=np.zeros(counts, np.float32),
        opted_in=np.zeros(counts, np.bool_),
        viewing_days=np.zeros((weeks, n), np.float32),
        alive=np.zeros((weeks, n), np.bool_),
        churned=np.zeros((weeks, n), np.bool_),
        launches=design.calendar,
    )
    for t in range(weeks):
        alive = population.alive
        plans = chooser.plans(population, t)
        log.alive[t], log.opted_in[t] = alive, population.opted_in
        log.plans[t] = np.where(alive, plans, -1)
        week = run_plans(population, plans, executor)
        log.sends[t], log.opens[t] = week.sends, week.opens
        log.dismissals[t], log.opt_outs[t] = week.dismissals, week.opt_outs
        log.viewing_days[t] = week.viewing_days
        log.churned[t] = week.churned > 0
    return log
