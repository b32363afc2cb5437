"""The agents of the comparison: how each is made, trained, and entered."""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import slowfast_rl as sf
from slowfast_rl.evaluation.contestants import (
    Contestant,
    dealt_contestant,
    named_contestant,
    trained_contestant,
    trained_contestant,
)
from slowfast_rl.evaluation.protocol import EvaluationProtocol
from slowfast_rl.evaluation.references import load_references

Maker = Callable[[str, int, bool], Contestant]  # world, seed, quick
FLAT_SECONDS = 120  # CPU time of PPO at every opportunity: what the default planner may take
LONG_SECONDS = 1200  # in this time it does not play as many opportunities as the default planner


class Entry(NamedTuple):
    """An agent of the table."""

    what: str
    make: Maker
    seeds: int | None = None  # the first so many are run at most; None for all asked for


def executor() -> sf.fast.PacedExecutor:
    """Return the default agent's executor, untrained."""
    return sf.fast.PacedExecutor(sf.fast.BidPricePacer(), sf.fast.AffinityRanker())


@cache
def slowfast(world: str, seed: int, quick: bool) -> Contestant:
    """Return the default agent; the dealt control deals the very same one's plans."""
    return two_levels(rollouts())(world, seed, quick)


def two_levels(
    planner: Callable[[bool], sf.slow.SavedPlanner],
    opportunities: int = 300_000_000,
    plans_for: str = "default",
) -> Maker:
    """Return a maker of an agent with a planner, made by ``planner(quick)``."""

    def maker(world: str, seed: int, quick: bool) -> Contestant:
        agent = sf.SlowFastAgent(planner(quick), executor(), plans_for=plans_for)
        budget = 100_000 if quick else opportunities
        agent.learn(sf.load_world(world), total_opportunities=budget, seed=seed)
        return trained_contestant(agent, sf.load_world(world))

    return maker


def rollouts(**settings: bool) -> Callable[[bool], sf.slow.RolloutPlanner]:
    """Return a maker of rollout planners, small ones for a quick run."""
    return lambda quick: sf.slow.RolloutPlanner(**({"states": 200} if quick else {}), **settings)


def flat_ppo(seconds: float) -> Maker:
    """Return a maker of PPO at every opportunity, trained for so many CPU-seconds."""

    def maker(world: str, seed: int, quick: bool) -> Contestant:
        agent, home = sf.FlatPPOAgent(), sf.load_world(world)
        if quick:
            agent.learn(home, total_opportunities=100_000, seed=seed)
        else:
            agent.learn(home, total_cpu_seconds=seconds, seed=seed)
        return trained_contestant(agent, home)

    return maker


def threshold(world: str, seed: int, quick: bool) -> Contestant:
    """Return the uplift threshold, tuned on return."""
    agent = sf.ThresholdAgent(num_members=64, weeks=4) if quick else sf.ThresholdAgent()
    return trained_contestant(agent.learn(sf.load_world(world), seed=seed), sf.load_world(world))


def named(name: str) -> Maker:
    """Return a maker of a baseline."""

    def maker(world: str, seed: int, quick: bool) -> Contestant:
        home = sf.load_world(world)
        return named_contestant(name, home, load_references(home, EvaluationProtocol()))

    return maker


def ppo(quick: bool) -> sf.slow.PPOPlanner:
    """Return PPO on weekly options."""
    return sf.slow.PPOPlanner(**({"num_envs": 128} if quick else {}))


def segments(quick: bool) -> sf.slow.SegmentsPlanner:
    """Return the planner of plans per segment."""
    return sf.slow.SegmentsPlanner(**({"num_members": 64, "weeks": 4} if quick else {}))


def utility(quick: bool) -> sf.slow.UtilityPlanner:
    """Return the published formulation."""
    return sf.slow.UtilityPlanner(**({"num_members": 1024, "weeks": 16} if quick else {}))


AGENTS = {
    "slowfast": Entry("rollout policy iteration with beliefs; bid price, affinity", slowfast),
    "slowfast_dealt": Entry(
        "its own plans, dealt at random among members with the same opt-ins",
        lambda world, seed, quick: dealt_contestant(slowfast(world, seed, quick)),
    ),
    "slowfast_own": Entry(
        "trained to plan for its own executor", two_levels(rollouts(), plans_for="own")
    ),
    "plain_rollouts": Entry("without beliefs", two_levels(rollouts(beliefs=False))),
    "privileged": Entry(
        "with all latents instead: an upper bound",
        two_levels(rollouts(beliefs=False, privileged=True)),
    ),
    "utility": Entry("the published utility planner", two_levels(utility)),
    "ppo": Entry(
        "SB3 PPO on weekly options",
        two_levels(
            lambda quick: sf.slow.PPOPlanner(**({"num_envs": 128} if quick else {})), 60_000_000
        ),
    ),
    "segments": Entry("best plan per segment", two_levels(segments), 1),
    "threshold": Entry("uplift threshold, tuned on return", threshold),
    "flat_ppo": Entry(
        f"SB3 PPO at every opportunity, {FLAT_SECONDS} CPU-seconds", flat_ppo(FLAT_SECONDS)
    ),
    "flat_ppo_long": Entry("the same, 20 CPU-minutes", flat_ppo(LONG_SECONDS)),
    "best_fixed": Entry("the best fixed plan, default executor", named("best_fixed"), 1),
    "oracle": Entry("the best constant plan per member, default executor", named("oracle"), 1),
    "never": Entry("nothing", named("never"), 1),
    "always": Entry("the most", named("always"), 1),
}
