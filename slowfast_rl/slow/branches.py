"""Simulation of members of all ages, and the returns of plans under the same luck."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from slowfast_rl.members.arrays import Bool, Float64, Int64
from slowfast_rl.members.population import Population, branch
from slowfast_rl.members.random import Domain, ExplorationStream, random_words
from slowfast_rl.members.workers import row_shards, run_jobs
from slowfast_rl.policies.contracts import BasePlanner, Executor
from slowfast_rl.policies.plan_exchange import plan_request, plans_of_planner
from slowfast_rl.policies.simulate import discounted_returns, run_plans
from slowfast_rl.slow.simple import RandomPlanner

if TYPE_CHECKING:
    from torch import Generator

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
    """Simulate members under a planner, with random plans in some member-weeks.

    A row continues with a new member when its member churns or reaches the greatest age. So that
    members have all ages after the first ``ages`` weeks, the first episode of row i ends after at
    most 1 + i modulo ``ages`` weeks.

    Args:
        population: N members at the beginning of a week; they are changed.
        planner: the planner.
        executor: the fast policy.
        weeks: number of weeks.
        ages: the greatest age in weeks.
        random_share: share of member-weeks with a random plan.
        seed: seed of the random plans.
        played: function that is called with the number of opportunities of each week of each shard.
    """
    rules = _Advance(planner, executor, weeks, ages, random_share, seed)
    shards = row_shards(population.num_members)
    jobs = ((population.take(rows), rows.start) for rows in shards)
    for rows, shard in zip(shards, run_jobs(_advance, rules, jobs), strict=True):
        population.put(rows, shard)
        for _ in range(weeks):
            played(shard.num_members * population.world.slots_per_week)


class _Advance(NamedTuple):
    """What :func:`_advance` needs for all shards; see :func:`advance_population`."""

    planner: BasePlanner
    executor: Executor
    weeks: int
    ages: int
    random_share: float
    seed: int


def _advance(rules: _Advance, shard: tuple[Population, int]) -> Population:
    """Simulate the members of a shard, given the number of its first row, and return them."""
    population, first = shard
    exploration_planner = RandomPlanner(rules.seed)
    rows = np.arange(population.num_members)
    first_age = 1 + (first + rows) % rules.ages  # at which the first episode of a row ends
    for _ in range(rules.weeks):
        ages_in_weeks = population.weeks.astype(np.int64)
        coins = random_words(
            rules.seed,
            ExplorationStream.MIXED_PLANS,
            population.members,
            ages_in_weeks,
            Domain.EXPLORATION,
        )
        random = coins < rules.random_share * 2**32
        drawn = exploration_planner.plan(plan_request(population))
        plans = np.where(random, drawn, plans_of_planner(population, rules.planner))
        run_plans(population, plans, rules.executor)
        most = np.where(population.episodes == 0, first_age, rules.ages)
        population.restart(rows[~population.alive | (population.weeks >= most)])
    return population


def feasible_sample(feasible: Bool, count: int, generator: "Generator") -> Int64:
    """Return different feasible plans for each of B members, [B, count].

    If a member has fewer than ``count`` feasible plans, they are repeated.

    Args:
        feasible: [B, O], at least one plan in each row.
        count: number of plans for each member.
        generator: generator of the random choice.
    """
    from torch import rand

    keys = rand(feasible.shape, generator=generator).numpy()
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
    """Return each member's discounted return under each plan and the same luck, [B, M].

    Args:
        population: B members at the beginning of a week; they are not changed.
        plans: [B, M] indices into the menu.
        planner: the planner that chooses the plans of the later weeks.
        executor: the fast policy.
        hold: number of weeks in which the plan is held.
        horizon: number of weeks in total.
        played: function that is called with the number of opportunities of each week of each shard.
    """
    shards = row_shards(population.num_members)
    rules = _Branches(planner, executor, hold, horizon)
    jobs = ((population.take(rows), plans[rows]) for rows in shards)
    found = []
    for returns in run_jobs(_returns_of_branches, rules, jobs):
        found.append(returns)
        for _ in range(horizon):
            played(returns.size * population.world.slots_per_week)
    return np.concatenate(found)


class _Branches(NamedTuple):
    """What :func:`_returns_of_branches` needs; see :func:`branched_returns`."""

    planner: BasePlanner
    executor: Executor
    hold: int
    horizon: int


def _returns_of_branches(rules: _Branches, shard: tuple[Population, Int64]) -> Float64:
    """Return the returns of a shard's members under their plans, [B, M]."""
    population, plans = shard
    branches = branch(population, plans.shape[1])

    def choose(members: Population, week: int) -> Int64:
        return plans.ravel() if week < rules.hold else plans_of_planner(members, rules.planner)

    returns = discounted_returns(branches, rules.horizon, choose, rules.executor)
    return returns.reshape(plans.shape)


def burn_in(
    population: Population, weeks: int, seed: int, stream: int, executor: Executor | None = None
) -> None:
    """Simulate weeks under random feasible plans.

    Args:
        population: N members at the beginning of a week; they are changed.
        weeks: number of weeks.
        seed: seed of the plans.
        stream: luck stream of the plans.
        executor: the fast policy; None for the default.
    """
    planner = RandomPlanner(seed, Domain.BURN_IN, stream)
    discounted_returns(
        population, weeks, lambda members, _: planner.plan(plan_request(members)), executor
    )


def constant_plan_returns(
    start: Population, weeks: int, executor: Executor | None = None
) -> Float64:
    """Return every member's discounted return under every constant plan and the same luck, [N, O].

    Args:
        start: N members at the beginning of a week; they are not changed.
        weeks: number of weeks.
        executor: the fast policy; None for the default.
    """
    jobs = run_jobs(_constant_plan_returns, (weeks, executor), blocks_of(start))
    return np.concatenate(list(jobs))


def _constant_plan_returns(rules: tuple[int, Executor | None], members: Population) -> Float64:
    """Return the returns of one block's members, [B, O]."""
    weeks, executor = rules
    plans = np.arange(len(members.world.plans))
    held = np.tile(plans, members.num_members)  # [B O]
    branches = branch(members, len(plans))
    found = discounted_returns(branches, weeks, lambda *_: held, executor)
    return found.reshape(members.num_members, len(plans))


def blocks_of(start: Population) -> Iterator[Population]:
    """Yield copies of a population in blocks, small enough for their branches to fit the cache."""
    for b in range(0, start.num_members, _BLOCK):
        yield start.shard(b, min(b + _BLOCK, start.num_members))
