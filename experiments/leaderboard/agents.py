"""The agents of the comparison: how each is made, trained, and entered."""

from collections.abc import Callable
from typing import NamedTuple

import slowfast_rl as sf
from slowfast_rl.agents import FlatPPOAgent
from slowfast_rl.evaluation.contestants import (
    Contestant,
    dealt_contestant,
    named_contestant,
    single_contestant,
    trained_contestant,
)
from slowfast_rl.evaluation.protocol import Protocol
from slowfast_rl.evaluation.references import load_references
from slowfast_rl.members.world import World

_trained: dict[tuple[str, int, bool], sf.SlowFastAgent] = {}


class Entry(NamedTuple):
    """An agent of the table."""

    what: str
    make: Callable[[World, int, int], Contestant]  # world, seed, opportunities of the default agent
    seeds: int | None = None  # how many seeds are run at most; None for all asked for
    worlds: tuple[str, ...] = ()  # none for all


def make(name: str, world: World, seed: int, quick: bool) -> Contestant:
    """Return a trained agent as a contestant."""
    return AGENTS[name].make(world, seed, 3_000_000 if quick else 300_000_000)


def executor() -> sf.fast.Executor:
    """Return the default agent's executor, untrained."""
    return sf.fast.Executor(sf.fast.BidPricePacer(), sf.fast.AffinityRanker())


def slowfast(world: World, seed: int, opportunities: int) -> Contestant:
    """Return the default agent; the dealt control deals the very same one's plans."""
    key = (world.name, seed, opportunities < 10**7)
    if key not in _trained:
        agent = sf.SlowFastAgent(sf.slow.RolloutPlanner(), executor())
        _trained[key] = agent.learn(world, total_opportunities=opportunities, seed=seed)
    return trained_contestant(_trained[key], world)


def with_planner(
    planner: Callable[[], sf.slow.SavedPlanner], share: float = 1.0, plans_for: str = "default"
) -> Callable[[World, int, int], Contestant]:
    """Return a maker of an agent with another planner over the same executor."""

    def maker(world: World, seed: int, opportunities: int) -> Contestant:
        agent = sf.SlowFastAgent(planner(), executor(), plans_for=plans_for)
        agent.learn(world, total_opportunities=int(share * opportunities), seed=seed)
        return trained_contestant(agent, world)

    return maker


def flat_ppo(world: World, seed: int, opportunities: int) -> Contestant:
    """Return PPO at every opportunity, given 120 CPU-seconds: as many as the planner's."""
    agent = FlatPPOAgent()
    if opportunities < 10**7:
        agent.learn(world, total_opportunities=opportunities // 30, seed=seed)
    else:
        agent.learn(world, total_cpu_seconds=120, seed=seed)
    return single_contestant(agent, world)


def threshold(world: World, seed: int, opportunities: int) -> Contestant:
    """Return the uplift threshold, tuned on return."""
    few = {"num_members": 64, "weeks": 4} if opportunities < 10**7 else {}
    return single_contestant(sf.ThresholdAgent(**few).learn(world, seed=seed), world)


def named(name: str) -> Callable[[World, int, int], Contestant]:
    """Return a maker of a baseline."""

    def maker(world: World, seed: int, opportunities: int) -> Contestant:
        return named_contestant(name, world, load_references(world, Protocol()))

    return maker


AGENTS = {
    "slowfast": Entry("rollout policy iteration with beliefs; bid price, affinity", slowfast),
    "slowfast_dealt": Entry(
        "its own plans, dealt at random among members with the same opt-ins",
        lambda world, seed, opportunities: dealt_contestant(slowfast(world, seed, opportunities)),
    ),
    "slowfast_own": Entry(
        "the same, trained to plan for its own executor",
        with_planner(sf.slow.RolloutPlanner, plans_for="own"),
    ),
    "plain_rollouts": Entry(
        "without beliefs", with_planner(lambda: sf.slow.RolloutPlanner(beliefs=False))
    ),
    "privileged": Entry(
        "with all latents instead: an upper bound",
        with_planner(lambda: sf.slow.RolloutPlanner(beliefs=False, privileged=True)),
    ),
    "utility": Entry("the published utility planner", with_planner(sf.slow.UtilityPlanner)),
    "ppo": Entry("SB3 PPO on weekly options", with_planner(sf.slow.PPOPlanner, share=0.2)),
    "segments": Entry("best plan per segment", with_planner(sf.slow.SegmentsPlanner)),
    "threshold": Entry("uplift threshold, tuned on return", threshold),
    "flat_ppo": Entry("SB3 PPO at every opportunity, 120 CPU-seconds", flat_ppo),
    "best_fixed": Entry("the best fixed plan, default executor", named("best_fixed"), 1),
    "oracle": Entry("the best constant plan per member, default executor", named("oracle"), 1),
    "never": Entry("nothing", named("never"), 1),
    "always": Entry("the most", named("always"), 1),
}
