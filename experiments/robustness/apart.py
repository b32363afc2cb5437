"""Take the tie apart: which part of the untouched agent is wrong in the other world?"""

from typing import Any

import slowfast_rl as sf
from slowfast_rl.evaluation.contestants import trained_contestant
from slowfast_rl.evaluation.statistics import mean_interval
from slowfast_rl.evaluation.twins import Twins

CASE, SEED = "responsiveness × 2", 2


def take_apart(twins: Twins, home: sf.World, seed: int, played: int, quick: bool) -> list[Any]:
    """Return what each part brings once it is trained in the world it acts in.

    Args:
        twins: members of the shifted world.
        home: where the untouched agent and the threshold were trained.
        seed: of all trainings.
        played: opportunities of each planner's training.
        quick: little training.
    """
    there = twins.world
    small: dict[str, Any] = {"num_members": 64, "weeks": 4} if quick else {}
    threshold = sf.ThresholdAgent(**small).learn(home, seed=seed)
    retuned = sf.ThresholdAgent(**small).learn(there, seed=seed)
    own, other = (agent(world, seed, played, quick) for world in (home, there))
    effect = sf.fast.PacedExecutor(
        sf.fast.BidPricePacer().learn(home, threshold.ranker, seed=seed), threshold.ranker
    )
    cases: dict[str, tuple[Any, Any]] = {
        "the untouched agent": (own.slow, own.fast),
        "its plans, default executor": (own.slow, None),
        "its plans, the threshold's ranker with a bid price": (own.slow, effect),
        "its plans, executor retrained there": (own.slow, other.fast),
        "planner retrained there, its executor": (other.slow, own.fast),
        "both retrained there": (other.slow, other.fast),
    }
    single = trained_contestant(retuned, there)
    cases["the threshold retuned there"] = (single.planner, single.executor)
    base = trained_contestant(threshold, there)
    against = twins.rollout(base.planner, base.executor)
    rows = [row("the untouched threshold", against, against)]
    for name, (planner, executor) in cases.items():
        rows.append(row(name, twins.rollout(planner, executor), against))
    return [r | {"world": CASE, "seed": seed} for r in rows]


def agent(world: sf.World, seed: int, played: int, quick: bool) -> sf.SlowFastAgent:
    """Return the default agent, trained in a world."""
    made = sf.SlowFastAgent(
        sf.slow.RolloutPlanner(**({"states": 200} if quick else {})),
        sf.fast.PacedExecutor(sf.fast.BidPricePacer(), sf.fast.AffinityRanker()),
    )
    made.learn(world, total_opportunities=played, seed=seed)
    return made


def row(name: str, rollout: Any, against: Any) -> dict[str, Any]:
    """Return a case's return, its lead over the untouched threshold, and its sends a week."""
    return {
        "case": name,
        "return": list(mean_interval(rollout.returns)),
        "lead": list(mean_interval(rollout.returns - against.returns)),
        "sends": float(rollout.weekly["sends"].sum() / rollout.weekly["alive"].sum()),
    }
