"""Members of all ages, and what plans bring to them on the same luck."""

from collections.abc import Callable, Iterator

import numpy as np
import torch

from slowfast_rl.members.arrays import Bool, Float64, Int64
from slowfast_rl.members.population import Population, branch
from slowfast_rl.members.random import Domain, ExplorationStream, random_words
from slowfast_rl.policies.contracts import BasePlanner, Executor
from slowfast_rl.policies.plan_exchange import plan_request, plans_of_planner
from slowfast_rl.policies.simulate import discounted_returns, run_plans
from slowfast_rl.slow.simple import RandomPlanner

Played = Callable[[int], None]
_BLOCK = 64  # members at a time


def advance_population(
    population: Population,
    planner: BasePlanner,
    executor: Executor,
    *,
    weeks: int,
    ages: int,
    random_share: float,
    seed: int,
    played: Played,
) -> None:
    """Simulate members further under a planner, in some weeks under random plans instead.

    A row goes on with a new member when its member churns or reaches the greatest age. Members
    that all begin together spread over all ages within the first ``ages`` weeks: row i's first
    life ends at the latest after 1 + i modulo ``ages`` weeks.

    Args:
        population: N members at the beginning of a week.
        planner: whose plans they get.
        executor: the fast policy.
        weeks: how long.
        ages: greatest age (weeks).
        random_share: share of member-weeks with a random plan.
        seed: of the coins.
        played: called after each week with the number of its opportunities.
    """
    exploration_planner = RandomPlanner(seed)
    rows = np.arange(population.num_members)
    for _ in range(weeks):
        weeks_lived = population.weeks.astype(np.int64)
        coins = random_words(
            seed, ExplorationStream.MIXED_PLANS, population.members, weeks_lived, Domain.EXPLORATION
        )
        random = coins < random_share * 2**32
        drawn = exploration_planner.plan(plan_request(population))
        plans = np.where(random, drawn, plans_of_planner(population, planner))
        run_plans(population, plans, executor)
        played(population.num_members * population.world.slots_per_week)
        most = np.where(population.episodes == 0, 1 + rows % ages, ages)
        population.restart(rows[~population.alive | (population.weeks >= most)])


def feasible_sample(feasible: Bool, count: int, generator: torch.Generator) -> Int64:
    """Return different feasible plans for each of B members, [B, count]; if few, they repeat.

    Args:
        feasible: [B, O], one or more in each row.
        count: plans for each member.
        generator: of the choice.
    """
    keys = torch.rand(feasible.shape, generator=generator).numpy()
    order = np.argsort(np.where(feasible, keys, 2), axis=1)
    place = np.arange(count) % feasible.sum(axis=1, keepdims=True)
    return np.take_along_axis(order, place, axis=1).astype(np.int64)


def branched_returns(
    population: Population,
    plans: Int64,
    planner: BasePlanner,
    executor: Executor,
    hold: int,
    horizon: int,
    played: Played,
) -> Float64:
    """Return what each plan brings to each member on the same luck, [B, M], in viewing days.

    Args:
        population: B members at the beginning of a week; they stay there.
        plans: [B, M] indices into the menu.
        planner: takes over after the plan.
        executor: the fast policy.
        hold: weeks for which the plan is held.
        horizon: weeks in all; rewards are discounted by the week.
        played: called after each week with the number of its opportunities.
    """
    branches = branch(population, plans.shape[1])
    opportunities = branches.num_members * branches.world.slots_per_week

    def choose(members: Population, week: int) -> Int64:
        return plans.ravel() if week < hold else plans_of_planner(members, planner)

    returns = discounted_returns(
        branches, horizon, choose, executor, lambda number, week: played(opportunities)
    )
    return returns.reshape(plans.shape)


def burn_in(
    population: Population, weeks: int, seed: int, stream: int, executor: Executor | None = None
) -> None:
    """Simulate some weeks under random feasible plans, drawn by the burn-in's coins.

    Args:
        population: N members at the beginning of a week; they are changed.
        weeks: how many.
        seed: of the plans.
        stream: of the plans.
        executor: the fast policy; None for the default.
    """
    planner = RandomPlanner(seed, Domain.BURN_IN, stream)
    discounted_returns(
        population, weeks, lambda members, _: planner.plan(plan_request(members)), executor
    )


def constant_plan_returns(
    start: Population, weeks: int, executor: Executor | None = None
) -> Float64:
    """Return every member's discounted return under every constant plan, on one luck, [N, O].

    Args:
        start: N members at the beginning of a week; they stay as they are.
        weeks: length of the simulation.
        executor: the fast policy; None for the default.
    """
    plans = np.arange(len(start.world.plans))

    def returns(members: Population) -> Float64:
        held = np.tile(plans, members.num_members)  # [N O]
        branches = branch(members, len(plans))
        found = discounted_returns(branches, weeks, lambda *_: held, executor)
        return found.reshape(members.num_members, len(plans))

    return np.concatenate([returns(block) for block in blocks_of(start)])


def blocks_of(start: Population) -> Iterator[Population]:
    """Yield copies of a population in blocks, small enough for their branches to fit the cache."""
    for b in range(0, start.num_members, _BLOCK):
        yield start.shard(b, min(b + _BLOCK, start.num_members))
