"""An agent retrained on a limit world, against what is known there."""

import numpy as np

import slowfast_rl as sf
from slowfast_rl.evaluation.protocol import burned_in
from slowfast_rl.evaluation.statistics import Interval, independent_difference, mean_interval
from slowfast_rl.evaluation.studies import default_agent, rollout_planner
from slowfast_rl.evaluation.twins import Twins
from slowfast_rl.policies.plan_exchange import PlanExchange, plans_of_planner

SETTLED = 8  # scored weeks after which the two types have shown what they are


def measure_limit(name, seed, options):
    """Train on a limit world and return its row.

    Args:
        name: the world.
        seed: of the training.
        options: of the study: who is evaluated, and how long is trained.
    """
    world, protocol = sf.load_world(name), options.limits
    agent = default_agent(rollout_planner(options.quick))
    agent.learn(world, total_opportunities=options.limit_opportunities, seed=seed)
    twins = Twins(world, protocol)
    own = twins.rollout(agent.slow, agent.fast)
    row = {
        "world": name,
        "seed": seed,
        "return": mean_interval(own.returns),
        "sends": own.sends_per_week.sum(),
    }
    if name == "no_fatigue":
        always = sf.slow.FixedPlanner(world, world.plans.max(axis=0).tolist())
        most = twins.rollout(always, agent.fast).returns
        row["share_of_always"] = own.returns.mean() / most.mean()
    if name == "homogeneous":
        fixed = sf.slow.SegmentsPlanner(segments=1, **options.fixed).learn(world, seed=seed)
        both = [twins.rollout(planner).returns for planner in (agent.slow, fixed)]
        row["planner_over_fixed"] = mean_interval(both[0] - both[1])
    if name == "two_type":
        row |= two_types(agent, world, protocol)
    return [row]


def two_types(agent, world, protocol):
    """Return how often each type is written to once it may be known, and their ratio."""
    population = burned_in(
        world, protocol, protocol.streams[0], belief_filter=agent.slow.belief_filter
    )
    plan_exchange = PlanExchange(world, sf.InMemoryFeatureStore(), agent.fast)
    sends, weeks = np.zeros((2, population.num_members))
    for week in range(protocol.weeks):
        alive = population.alive
        plans = plans_of_planner(population, agent.slow)
        plan_exchange.issue(population, plans, agent.slow.policy_version)
        done, _ = plan_exchange.run_week(population)
        if week >= SETTLED:
            sends += done.sends.sum(axis=1)
            weeks += alive
    known, kappa = weeks > 0, population.simulation.traits.fatigue_sensitivity
    rate, tough = sends[known] / weeks[known], kappa[known] < kappa.mean()
    types = [mean_interval(rate[tough]), mean_interval(rate[~tough])]
    return {
        "sends_by_type": [interval.mean for interval in types],
        "ratio": ratio(*types),
        "difference": independent_difference(*types),
    }


def ratio(one, other):
    """Return the ratio of two means of independent samples, by the delta method on its logarithm.

    Args:
        one: interval of the numerator.
        other: interval of the denominator.
    """
    tiny = np.finfo(np.float64).tiny
    a, b = max(one.mean, tiny), max(other.mean, tiny)
    half = np.hypot((one.high - one.mean) / a, (other.high - other.mean) / b)
    return Interval(*(float(np.exp(np.log(a / b) + side * half)) for side in (0, -1, 1)))
