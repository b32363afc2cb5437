"""An agent retrained on a limit world, against what is known there."""

from typing import Any

import numpy as np

import slowfast_rl as sf
from slowfast_rl.evaluation.protocol import burned_in
from slowfast_rl.evaluation.statistics import Interval, mean_interval
from slowfast_rl.evaluation.twins import Twins
from slowfast_rl.members.arrays import Bool, Float64
from slowfast_rl.policies.plan_exchange import PlanExchange

_SETTLED = 8  # scored weeks after which the two types have shown what they are


def measure_limit(
    name: str, seed: int, protocol: sf.EvaluationProtocol, opportunities: int, quick: bool
) -> dict[str, Any]:
    """Train on a limit world and return what came of it.

    Args:
        name: the world.
        seed: of the training.
        protocol: who is evaluated.
        opportunities: for the planner.
        quick: whether to train little.
    """
    world = sf.load_world(name)
    agent = sf.SlowFastAgent(
        sf.slow.RolloutPlanner(**({"states": 200} if quick else {})),
        sf.fast.PacedExecutor(sf.fast.BidPricePacer(), sf.fast.AffinityRanker()),
    )
    agent.learn(world, total_opportunities=opportunities, seed=seed)
    twins = Twins(world, protocol)
    own = twins.rollout(agent.slow, agent.fast)
    weeks = max(own.weekly["alive"].sum(), 1.0)
    row: dict[str, Any] = {
        "world": name,
        "seed": seed,
        "return": list(mean_interval(own.returns)),
        "sends": float(own.weekly["sends"].sum() / weeks),
    }
    if name == "no_fatigue":
        always = sf.slow.FixedPlanner(world, world.plans.max(axis=0).tolist())
        most = twins.rollout(always, agent.fast).returns
        row["share_of_always"] = float(own.returns.mean() / most.mean())
    if name == "homogeneous":
        small = {"num_members": 64, "weeks": 4} if quick else {"num_members": 512}
        fixed = sf.slow.SegmentsPlanner(segments=1, **small).learn(world, seed=seed)
        both = [twins.rollout(planner).returns for planner in (agent.slow, fixed)]
        row["planner_over_fixed"] = list(mean_interval(both[0] - both[1]))
    if name == "two_type":
        row |= _two_types(agent, world, protocol)
    return row


def _two_types(
    agent: sf.SlowFastAgent, world: sf.World, protocol: sf.EvaluationProtocol
) -> dict[str, Any]:
    """Return how often each type is written to once it may be known, and their ratio."""
    population = burned_in(
        world, protocol, protocol.streams[0], belief_filter=agent.slow.belief_filter
    )
    plan_exchange = PlanExchange(world, sf.InMemoryFeatureStore(), agent.fast)
    sends, lived = np.zeros((2, population.num_members))
    for week in range(protocol.weeks):
        alive = population.alive
        plans = plan_exchange.choose_plans(population, agent.slow)
        plan_exchange.issue(population, plans, agent.slow.policy_version)
        done, _ = plan_exchange.run_week(population)
        if week >= _SETTLED:
            sends += done.sends.sum(axis=1)
            lived += alive
    kappa = population.simulation.traits.fatigue_sensitivity
    known = lived > 0
    rate = sends[known] / lived[known]
    tough = kappa[known] < kappa.mean()
    return {
        "sends_by_type": [float(rate[tough].mean()), float(rate[~tough].mean())],
        "ratio": list(_ratio(rate, tough)),
        "difference": list(_difference(rate, tough)),
    }


def _difference(rate: Float64, tough: Bool) -> Interval:
    """Return the tough members' lead over the sensitive, independent samples."""
    a, b = mean_interval(rate[tough]), mean_interval(rate[~tough])
    mean = a.mean - b.mean
    half = float(np.hypot(a.high - a.mean, b.high - b.mean))
    return Interval(mean, mean - half, mean + half)


def _ratio(rate: Float64, tough: Bool) -> Interval:
    """Return the ratio of the types' means, by the delta method on its logarithm."""
    a, b = mean_interval(rate[tough]), mean_interval(rate[~tough])
    tiny = np.finfo(np.float64).tiny
    log = np.log(max(a.mean, tiny) / max(b.mean, tiny))
    half = np.hypot((a.high - a.mean) / max(a.mean, tiny), (b.high - b.mean) / max(b.mean, tiny))
    return Interval(float(np.exp(log)), float(np.exp(log - half)), float(np.exp(log + half)))
