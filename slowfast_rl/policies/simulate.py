"""Simulation of weeks under plans that go straight to the executor, without a store."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from slowfast_rl.members.arrays import Float64, Int32, Int64
from slowfast_rl.members.population import Population
from slowfast_rl.members.state import Week
from slowfast_rl.policies.contracts import Executor
from slowfast_rl.policies.executor import default_executor
from slowfast_rl.policies.guard import feasible_target

ChoosePlans = Callable[[Population, int], Int64]


def run_plans(population: Population, plans: Int64, executor: Executor | None = None) -> Week:
    """Simulate one week under plans that go straight to the executor, without a store.

    Args:
        population: N members at the beginning of a week.
        plans: [N] indices into the menu; targets are 0 on channels that a member has left.
        executor: the fast policy; None for the default.
    """
    world = population.world
    target = feasible_target(world.plans[plans], population.opted_in)
    shape = world.plan_shapes[plans]
    return (executor or default_executor()).run_week(population, target, shape=shape)


def constant_plan_weeks(
    population: Population, plan: Sequence[int] | Int32, weeks: int
) -> Iterator[Week]:
    """Simulate weeks in which all members get one plan, and yield the events of each week.

    The plan goes straight to the default executor, without a store.

    Args:
        population: N members at the beginning of a week; they are changed.
        plan: [C] sends per week, with uniform pacing; 0 on channels that a member has left.
        weeks: number of weeks.
    """
    executor = default_executor()
    target = np.tile(np.array(plan, np.int32), (population.num_members, 1))
    for _ in range(weeks):
        yield executor.run_week(population, feasible_target(target, population.opted_in))


def discounted_returns(
    population: Population,
    weeks: int,
    choose: ChoosePlans,
    executor: Executor | None = None,
    each_week: Callable[[int, Week], None] | None = None,
) -> Float64:
    """Simulate weeks and return each member's discounted reward, [N], in viewing days.

    Args:
        population: N members at the beginning of a week; they are changed.
        weeks: number of weeks.
        choose: function that returns the plans [N] of a week, given the population and the number
            of the week from 0.
        executor: the fast policy; None for the default.
        each_week: function that is called after each week with its number and its events.
    """
    executor, discount = executor or default_executor(), population.world.reward.weekly_discount
    returns = np.zeros(population.num_members)
    for number in range(weeks):
        week = run_plans(population, choose(population, number), executor)
        returns += discount**number * week.reward
        if each_week is not None:
            each_week(number, week)
    return returns
