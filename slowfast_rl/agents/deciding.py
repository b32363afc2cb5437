"""One decision of the executor: read the plan through the store, then choose a message."""

import numpy as np

from slowfast_rl.agents.fast_predict import Choice, choose_candidates
from slowfast_rl.envs.columns import opted_in_columns
from slowfast_rl.envs.guard import feasible_target
from slowfast_rl.envs.reader import PlanReader, Reading
from slowfast_rl.fast import Executor
from slowfast_rl.members.arrays import Float32, Int64
from slowfast_rl.members.world import World

SOURCES = ("plan", "remembered", "safe")  # of the plan in force, as logs name them


def decide(
    world: World,
    executor: Executor,
    reader: PlanReader,
    obs: Float32,
    entity_ids: Int64,
    times: Int64,
    seed: int,
) -> tuple[Reading, Choice]:
    """Return the plans in force and the executor's actions.

    Args:
        world: the world, for the layout of observations.
        executor: the fast policy.
        reader: of the store.
        obs: [B, F] observations of ``Messaging-v0``.
        entity_ids: [B] member ids, none twice.
        times: [B] simulated seconds.
        seed: of the pacer's coins.
    """
    plan, settled = reader.look(entity_ids, times)
    opted_in = obs[:, opted_in_columns(world)] > 0.5
    feasible = plan
    if not opted_in.all():
        feasible = plan._replace(
            target=feasible_target(plan.target, opted_in), cap=feasible_target(plan.cap, opted_in)
        )
    choice = choose_candidates(world, executor, obs, feasible, entity_ids, times, seed)
    return Reading(feasible, settled), choice


def sources(reading: Reading, weeks: Int64) -> list[str]:
    """Return where each plan in force comes from, [B], names of SOURCES.

    Args:
        reading: of B members.
        weeks: [B] the week that each is in.
    """
    earlier = reading.plan.week < weeks  # a safe plan is of this week
    number = np.where(reading.settled, 0, np.where(earlier, 1, 2))
    return [SOURCES[i] for i in number]
