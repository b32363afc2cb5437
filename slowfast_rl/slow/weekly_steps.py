"""Weekly steps of members under logged plans: what Q-learning over weekly plans learns from."""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from slowfast_rl.logs.sampling import MAX_ROWS, RowSample
from slowfast_rl.members.arrays import Bool, Float32, Int64
from slowfast_rl.members.observations import weekly_observation
from slowfast_rl.members.population import Population
from slowfast_rl.members.state import take_rows
from slowfast_rl.members.world import World
from slowfast_rl.policies.contracts import Executor
from slowfast_rl.policies.executor import default_executor
from slowfast_rl.policies.guard import feasible_target
from slowfast_rl.policies.plan_exchange import plan_request
from slowfast_rl.slow.plan_logs import (
    outcome_weights,
    reward_weight,
    simulated_outcomes,
)

if TYPE_CHECKING:
    from slowfast_rl.logs.reading import EventLog


class WeeklySteps(NamedTuple):
    """B weeks of members, each under one plan, drawn that week or held from before."""

    observations: Float32  # [B, F_week] on Monday
    plans: Int64  # [B] in force
    rewards: Float32  # [B] utility of the week by what is logged, in viewing days
    following: Float32  # [B, F_week] on the next Monday
    churned: Bool  # [B] in the week, after which nothing follows


def weekly_steps_of(log: "EventLog", max_rows: int = MAX_ROWS, seed: int = 0) -> WeeklySteps:
    """Return the weeks of a log's members whose plan is on the menu, in order of member and week.

    Args:
        log: the log; ``log.world`` has the reward.
        max_rows: number of weeks that are kept at most; which ones is drawn.
        seed: of this draw.

    Raises:
        ValueError: no week has a plan that is on the menu.
    """
    from slowfast_rl.logs.episodes import weekly_rewards
    from slowfast_rl.logs.histories import MemberHistories

    kept = RowSample[WeeklySteps](max_rows, seed)
    for part in log.parts():
        histories = MemberHistories(log, part)
        table = histories.table
        rewards = weekly_rewards(log.world, table).astype(np.float32)
        before: Float32 | None = None
        for replay in histories.replay():
            observations, week = replay.weekly_observations(), replay.week - 1
            if before is not None:
                rows = np.flatnonzero(table.alive[week] & (table.plans[week] >= 0))
                found = WeeklySteps(
                    before[rows], table.plans[week, rows], rewards[week, rows],
                    observations[rows], table.churned[week, rows],
                )  # fmt: skip
                kept.add(table.members[rows], np.full(len(rows), week), found)
            before = observations
    steps = kept.rows()
    if steps is None or not len(steps.plans):
        raise ValueError(f"{log.folder} has no week under a plan of the menu")
    return steps


def simulated_weekly_steps(
    world: World,
    num_members: int,
    weeks: int,
    seed: int,
    executor: Executor | None = None,
    progress: Callable[[int], object] | None = None,
) -> WeeklySteps:
    """Simulate members under random plans as a recorded log has them, and return their weeks.

    Args:
        world: the world.
        num_members: number of members, of population ``seed``.
        weeks: number of weeks.
        seed: seed of population, luck and plans.
        executor: the fast policy that executes the plans; None for the default.
        progress: function that is called before each week with the opportunities simulated so far.
    """
    from slowfast_rl.logs.recording import DrawnPlans, PlanDesign

    executor = executor or default_executor()
    population = Population(world, num_members, seed, seed)
    drawn = DrawnPlans(world, PlanDesign(seed=seed), None, population.members)
    found = []
    for week in range(weeks):
        if progress is not None:
            progress(week * num_members * world.slots_per_week)
        asked, alive = plan_request(population), population.alive
        drawn.begin_week(asked)
        target = feasible_target(world.plans[drawn.plans], population.opted_in)
        ended = executor.run_week(population, target, shape=world.plan_shapes[drawn.plans])
        rewards = _utility(world, simulated_outcomes(ended), ended.sends)
        following = weekly_observation(population)
        steps = WeeklySteps(asked.observations, drawn.plans, rewards, following, ended.churned > 0)
        found.append(take_rows(steps, alive))
    return WeeklySteps(*(np.concatenate(columns) for columns in zip(*found, strict=True)))


def _utility(world: World, outcomes: Float32, sends: Float32) -> Float32:
    """Return the utility of weeks by the world's weights, [...].

    Args:
        world: the world.
        outcomes: [..., M] of ``outcome_names``.
        sends: [..., C] messages that were sent.
    """
    cost = reward_weight(world, "message_cost") * sends.sum(axis=-1)
    utility: Float32 = (outcomes @ outcome_weights(world) - cost).astype(np.float32)
    return utility
