"""Logs of members whose plans were drawn at random."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from slowfast_rl.members.arrays import Bool, Float32, Int64
from slowfast_rl.members.population import Population
from slowfast_rl.members.state import Week, put_rows, take_rows
from slowfast_rl.members.world import World
from slowfast_rl.policies.contracts import Executor, PlanRequest
from slowfast_rl.policies.executor import default_executor
from slowfast_rl.policies.guard import feasible_target
from slowfast_rl.policies.plan_exchange import plan_request
from slowfast_rl.slow.simple import RandomPlanner


class PlanLogs(NamedTuple):
    """B windows, in each of which a member held one randomly drawn plan."""

    observations: Float32  # [B, F_week] when the plan was drawn
    feasible: Bool  # [B, O] plans that could be drawn
    members: Int64  # [B] ids
    plans: Int64  # [B] plans that were drawn
    outcomes: Float32  # [B, M] of ``outcome_names``, discounted sums over the window


def outcome_names(world: World) -> tuple[str, ...]:
    """Return the reward components of the logs, M = 3 + C."""
    return ("viewing_days", "opens", "churn", *(f"{c}_opt_outs" for c in world.channels))


def collect_plan_logs(
    world: World,
    num_members: int,
    weeks: int,
    window: int,
    seed: int,
    executor: Executor | None = None,
    progress: Callable[[int], object] | None = None,
) -> PlanLogs:
    """Simulate members under random feasible plans, each held for a window of weeks.

    A member's windows follow one another, and members begin theirs in different weeks. Windows that
    have not ended in the last week are left out. The window of a member that churns continues
    without further outcomes. Outcomes are logged events only.

    Args:
        world: the world.
        num_members: number of members, of population ``seed``.
        weeks: number of weeks.
        window: number of weeks in which a plan is held.
        seed: seed of population, luck and plans.
        executor: the fast policy that executes the plans; None for the default.
        progress: function that is called before each week with the opportunities simulated so far.
    """
    executor, planner = executor or default_executor(), RandomPlanner(seed)
    population, num_outcomes = Population(world, num_members, seed, seed), len(outcome_names(world))
    logs = _drawn(plan_request(population), planner, num_outcomes)
    whole = np.zeros(num_members, bool)  # [N] whether the log has the beginning of the window
    finished: list[PlanLogs] = []
    for week in range(weeks + 1):
        age = (week + population.members) % window  # [N] weeks since the plan was drawn
        ended = (age == 0) & whole
        finished.append(take_rows(logs, ended))
        if week == weeks:
            break
        if progress is not None:
            progress(week * num_members * world.slots_per_week)
        begins = np.flatnonzero((age == 0) & population.alive)
        whole = np.where(age == 0, population.alive, whole)
        put_rows(logs, begins, _drawn(plan_request(population, begins), planner, num_outcomes))
        target = feasible_target(world.plans[logs.plans], population.opted_in)
        simulated = executor.run_week(population, target)
        logs.outcomes[:] += world.reward.weekly_discount ** age[:, None] * _outcomes(simulated)
    return PlanLogs(*(np.concatenate(columns) for columns in zip(*finished, strict=True)))


def _drawn(asked: PlanRequest, planner: RandomPlanner, num_outcomes: int) -> PlanLogs:
    """Return a new window of each of B members."""
    return PlanLogs(
        observations=asked.observations,
        feasible=asked.feasible,
        members=asked.entity_ids,
        plans=planner.plan(asked),
        outcomes=np.zeros((len(asked.entity_ids), num_outcomes), np.float32),
    )


def _outcomes(week: Week) -> Float32:
    """Return the week's outcomes in the order of ``outcome_names``, [N, M]."""
    opens = week.opens.sum(axis=1)
    return np.column_stack([week.viewing_days, opens, week.churned, week.opt_outs])
