"""Members of all ages, and what plans bring to them on the same luck."""

from collections.abc import Callable

import numpy as np
import torch

from slowfast_rl.members.arrays import Bool, Float64, Int64
from slowfast_rl.members.population import Population, branch
from slowfast_rl.members.random import Domain, ExplorationStream, random_words
from slowfast_rl.members.state import Week
from slowfast_rl.policies.executor import Executor
from slowfast_rl.policies.guard import feasible_target
from slowfast_rl.policies.plan_exchange import Planner, choose_plans, plan_request
from slowfast_rl.slow.simple import RandomPlanner

Played = Callable[[int], None]


def advance_population(
    population: Population,
    planner: Planner,
    executor: Executor,
    *,
    weeks: int,
    ages: int,
    random_share: float,
    seed: int,
    played: Played,
) -> None:
    """Let members live on under a planner, some weeks under random plans instead.

    A row goes on with a new member when its member churns or reaches the greatest age. Members
    that all begin together spread over all ages within the first ``ages`` weeks: row i's first
    life ends at the latest after 1 + i modulo ``ages`` weeks.

    Args:
        population: N members at the beginning of a week.
        planner: whose plans they live under.
        executor: the fast policy.
        weeks: how long.
        ages: greatest age (weeks).
        random_share: share of member-weeks with a random plan.
        seed: of the coins.
        played: told after each week how many opportunities it took.
    """
    exploration_planner = RandomPlanner(seed)
    rows = np.arange(population.num_members)
    for _ in range(weeks):
        weeks_lived = population.weeks.astype(np.int64)
        coins = random_words(
            seed, ExplorationStream.MIXED_PLANS, population.members, weeks_lived, Domain.EXPLORATION
        )
        random = coins < random_share * 2**32
        plans = np.where(
            random, exploration_planner.plan(plan_request(population)), chosen(population, planner)
        )
        execute(population, plans, executor, played)
        most = np.where(population.episodes == 0, 1 + rows % ages, ages)
        population.restart(rows[~population.alive | (population.weeks >= most)])


def execute(population: Population, plans: Int64, executor: Executor, played: Played) -> Week:
    """Live through a week under plans [N], handed over as they are, and tell of it."""
    world = population.world
    target = feasible_target(world.plans[plans], population.opted_in)
    week = executor.run_week(population, target, shape=world.plan_shapes[plans])
    played(population.num_members * world.slots_per_week)
    return week


def chosen(population: Population, planner: Planner) -> Int64:
    """Return the planner's choice for every member, 0 for the churned, [N]."""
    living = np.flatnonzero(population.alive)
    plans = np.zeros(population.num_members, np.int64)
    if living.size:
        plans[living] = choose_plans(planner, plan_request(population, living, planner))
    return plans


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
    planner: Planner,
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
        played: told after each week how many opportunities it took.
    """
    branches, discount = branch(population, plans.shape[1]), population.world.reward.weekly_discount
    returns = np.zeros(branches.num_members)
    for week in range(horizon):
        now = plans.ravel() if week < hold else chosen(branches, planner)
        returns += discount**week * execute(branches, now, executor, played).reward
    return returns.reshape(plans.shape)
