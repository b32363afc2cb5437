"""Simulated logs whose truth is known: the same members and luck under another policy."""

import numpy as np

import slowfast_rl as sf
from slowfast_rl.evaluation.protocol import burned_in
from slowfast_rl.ope.plans import HeldPlans, outcome_columns, outcome_weights, week_outcomes
from slowfast_rl.ope.policies import plan_probabilities
from slowfast_rl.policies.plan_exchange import plan_request
from slowfast_rl.policies.simulate import run_plans
from slowfast_rl.slow import FixedPlanner, RandomPlanner, UtilityPlanner

WORLD = "pronounced"


def start(world, members, seed, burn_in=8):
    """Return a population that saw random plans for some weeks; one log starts from it."""
    protocol = sf.EvaluationProtocol(members, 1, burn_in, seed, seed, streams=(0,))
    return burned_in(world, protocol, 0)


def outcomes_of(population, plans, horizons):
    """Return the discounted outcomes of plans that are held, [N, M] at each horizon."""
    world = population.world
    total = np.zeros((population.num_members, len(outcome_columns(world))), np.float32)
    found = {}
    for week in range(max(horizons)):
        alive = population.alive[:, None]  # a churned member's last week stays in the log
        total += world.reward.weekly_discount**week * alive * week_outcomes(run_plans(population, plans))
        if week + 1 in horizons:
            found[week + 1] = total.copy()
    return found


def held_plans(population, horizons, seed):
    """Return logs of plans drawn uniformly and held, by horizon."""
    asked = plan_request(population)
    plans = RandomPlanner(seed).plan(asked)
    share = 1 / asked.feasible.sum(axis=1)
    return {
        horizon: HeldPlans(
            asked.observations, asked.feasible, asked.entity_ids, asked.weeks, plans, share,
            outcomes, horizon,
        )
        for horizon, outcomes in outcomes_of(population.clone(), plans, horizons).items()
    }  # fmt: skip


def truth(population, policy, horizons):
    """Return each member's return under a policy whose plans are held, [N] at each horizon."""
    world = population.world
    target = plan_probabilities(world, policy, plan_request(population))
    found = outcomes_of(population.clone(), target.argmax(axis=1), horizons)
    return {horizon: outcomes @ outcome_weights(world) for horizon, outcomes in found.items()}


def policies(world, quick):
    """Return six planners by name."""
    size = {"num_members": 1024, "weeks": 16} if quick else {"num_members": 8192, "weeks": 52}
    utility = UtilityPlanner(**size).learn(world, seed=77)
    fixed = {f"{a} + {b}": FixedPlanner(world, (a, b)) for a, b in ((0, 0), (1, 1), (3, 1), (5, 2))}
    return {**fixed, "utility": utility, "utility, costly": utility.weighted(message_cost=0.3)}
