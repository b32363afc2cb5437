"""Lives without a store: weeks under random plans, and the return of every constant plan."""

import numpy as np

from slowfast_rl.members.arrays import Float64
from slowfast_rl.members.population import Population, branch
from slowfast_rl.members.random import Domain
from slowfast_rl.policies.executor import Executor, default_executor
from slowfast_rl.policies.guard import feasible_target
from slowfast_rl.policies.plan_exchange import plan_request
from slowfast_rl.slow.simple import RandomPlanner

_BLOCK = 64  # members at a time, so that their branches fit in the cache


def burn_in(
    population: Population, weeks: int, seed: int, stream: int, executor: Executor | None = None
) -> None:
    """Live for some weeks under random feasible plans, drawn by the burn-in's coins.

    Args:
        population: N members at the beginning of a week; they are changed.
        weeks: how many.
        seed: of the plans.
        stream: of the plans.
        executor: the fast policy; None for the default.
    """
    planner, executor = RandomPlanner(seed, Domain.BURN_IN, stream), executor or default_executor()
    world = population.world
    for _ in range(weeks):
        plans = planner.plan(plan_request(population))
        executor.run_week(population, world.plans[plans], shape=world.plan_shapes[plans])


def constant_plan_returns(
    start: Population, weeks: int, executor: Executor | None = None
) -> Float64:
    """Return every member's discounted return under every constant plan, on one luck, [N, O].

    Args:
        start: N members at the beginning of a week; they stay as they are.
        weeks: length of the lives.
        executor: the fast policy; None for the default.
    """
    blocks = range(0, start.num_members, _BLOCK)
    parts = [
        _block_returns(start.shard(b, min(b + _BLOCK, start.num_members)), weeks, executor)
        for b in blocks
    ]
    return np.concatenate(parts)


def _block_returns(start: Population, weeks: int, executor: Executor | None) -> Float64:
    world, executor = start.world, executor or default_executor()
    population = branch(start, len(world.plans))
    target = np.tile(world.plans, (start.num_members, 1))  # [N O, C]
    shape = np.tile(world.plan_shapes, start.num_members)  # [N O]
    returns = np.zeros(population.num_members)
    for week in range(weeks):
        feasible = feasible_target(target, population.opted_in)
        reward = executor.run_week(population, feasible, shape=shape).reward
        returns += world.reward.weekly_discount**week * reward
    return returns.reshape(start.num_members, len(world.plans))
