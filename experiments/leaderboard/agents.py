"""The agents of the comparison: how each is made, trained, and entered."""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import slowfast_rl as sf
from slowfast_rl.evaluation import contestants
from slowfast_rl.evaluation.contestants import Contestant
from slowfast_rl.evaluation.references import load_references
from slowfast_rl.evaluation.studies import default_agent, rollout_planner

Maker = Callable[[str, int, bool], Contestant]  # world, seed, quick
FLAT_SECONDS = 120  # CPU time of PPO at every opportunity: what the default planner may take
LONG_SECONDS = 1200  # in this time it does not play as many opportunities as the default planner


class Entry(NamedTuple):
    """An agent of the table."""

    what: str
    make: Maker
    seeds: int | None = None  # the first so many are run at most; None for all asked for


@cache
def slowfast(world: str, seed: int, quick: bool) -> Contestant:
    """Return the default agent; the dealt control deals the very same one's plans."""
    return two_levels(rollouts())(world, seed, quick)


def two_levels(
    planner: Callable[[bool], sf.slow.BasePlanner],
    opportunities: int = 300_000_000,
    plans_for: str = "default",
) -> Maker:
    """Return a maker of an agent with a planner, made by ``planner(quick)``."""

    def maker(world: str, seed: int, quick: bool) -> Contestant:
        agent, budget = (
            default_agent(planner(quick), plans_for),
            100_000 if quick else opportunities,
        )
        agent.learn(sf.load_world(world), total_opportunities=budget, seed=seed)
        return contestants.trained_contestant(agent, sf.load_world(world))

    return maker


def rollouts(**settings: bool) -> Callable[[bool], sf.slow.RolloutPlanner]:
    """Return a maker of rollout planners."""
    return lambda quick: rollout_planner(quick, **settings)


def with_quick(
    make: Callable[..., sf.slow.BasePlanner], **small: int
) -> Callable[[bool], sf.slow.BasePlanner]:
    """Return a maker of planners with other settings in a quick run."""
    return lambda quick: make(**(small if quick else {}))


def flat_ppo(seconds: float) -> Maker:
    """Return a maker of PPO at every opportunity, trained for so many CPU-seconds."""

    def maker(world: str, seed: int, quick: bool) -> Contestant:
        budget = {"total_opportunities": 100_000} if quick else {"total_cpu_seconds": seconds}
        agent = sf.FlatPPOAgent().learn(sf.load_world(world), seed=seed, **budget)
        return contestants.trained_contestant(agent, sf.load_world(world))

    return maker


def threshold(world: str, seed: int, quick: bool) -> Contestant:
    """Return the uplift threshold, tuned on return."""
    agent = sf.ThresholdAgent(**({"num_members": 64, "weeks": 4} if quick else {}))
    agent.learn(sf.load_world(world), seed=seed)
    return contestants.trained_contestant(agent, sf.load_world(world))


def named(name: str) -> Maker:
    """Return a maker of a baseline."""

    def maker(world: str, seed: int, quick: bool) -> Contestant:
        home = sf.load_world(world)
        return contestants.named_contestant(
            name, home, load_references(home, sf.EvaluationProtocol())
        )

    return maker


segments = with_quick(sf.slow.SegmentsPlanner, num_members=64, weeks=4)
utility = with_quick(sf.slow.UtilityPlanner, num_members=1024, weeks=16)
ppo = with_quick(sf.slow.PPOPlanner, num_envs=128)
AGENTS = {
    "slowfast": Entry("rollout policy iteration with beliefs; bid price, affinity", slowfast),
    "slowfast_dealt": Entry(
        "its own plans, dealt at random among members with the same opt-ins",
        lambda world, seed, quick: contestants.dealt_contestant(slowfast(world, seed, quick)),
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
    "ppo": Entry("SB3 PPO on weekly options", two_levels(ppo, 60_000_000)),
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
