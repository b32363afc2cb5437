"""Sweep the utility planner's message cost, and measure what logs can tell of opt-outs.

python experiments/message_cost/run.py [--quick] [--seeds 0 1 2]
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from figure import draw
from identify import learned_error, opt_out_power
from report import tables

import slowfast_rl as sf
from slowfast_rl.evaluation import Twins, mean_interval
from slowfast_rl.evaluation.world.sweeps import check_protocol
from slowfast_rl.slow import FixedPlanner, SegmentsPlanner, UtilityPlanner
from slowfast_rl.store.files import write_block, write_text_atomically

FOLDER = Path(__file__).parent
COSTS = (0.0, 0.0025, 0.005, 0.01, 0.015, 0.02, 0.03, 0.045, 0.06)
WINDOWS = (1, 8, 26)  # weeks
LOG_SIZES = (256, 1024, 4096, 16_384, 65_536)  # members, 104 weeks each
FIXED_SEED = 78  # of the members that choose the best fixed plan
ONLY_OPT_OUTS = {"fatigue.goodwill_loss": 0, "organic.fatigue_weight": 0}


def main() -> None:
    """Measure, print, and write if this is the full run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one seed, few; writes nothing")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args()
    torch.set_num_threads(1)
    quick, seeds = options.quick, options.seeds[:1] if options.quick else options.seeds
    protocol = check_protocol(256 if quick else 2048, 20 if quick else 104, 8)
    size = {"num_members": 512, "weeks": 52} if quick else {}
    results: dict[str, Any] = {
        "command": f"python experiments/message_cost/run.py --seeds {' '.join(map(str, seeds))}",
        "seeds": seeds,
        "population_seed": protocol.population_seed,
        "members": protocol.num_members,
        "lucks": len(protocol.streams),
        "weeks": protocol.weeks,
        "log_members": UtilityPlanner(**size).settings["num_members"],
        "log_weeks": UtilityPlanner(**size).settings["weeks"],
        "worlds": {},
    }
    for name, world in worlds().items():
        twins = Twins(world, protocol)
        fixed = SegmentsPlanner(segments=1, num_members=64 if quick else 4096, lucks=1)
        plan = fixed.learn(world, seed=FIXED_SEED).wanted[0]
        results["worlds"][name] = {
            "best_fixed": list(plan),
            "sweep": sweep(twins, plan, seeds, size),
            "power": opt_out_power(twins, plan),
        }
    sizes = LOG_SIZES[:1] if quick else LOG_SIZES
    results["learned"] = learned_error(sf.load_world("pronounced"), sizes, seeds, quick)
    text = tables(results)
    sys.stdout.write(text + "\n")
    if not quick:
        write_text_atomically(FOLDER / "results.json", json.dumps(results, indent=1))
        draw(results, FOLDER / "message_cost.png")
        write_block(FOLDER / "README.md", "message_cost", text)


def worlds() -> dict[str, sf.World]:
    """Return the worlds by the name that the tables give them."""
    return {
        "pronounced": sf.load_world("pronounced"),
        "pronounced, opt-outs the only lasting harm": sf.load_world("pronounced", ONLY_OPT_OUTS),
        "calibrated": sf.load_world("calibrated"),
    }


def sweep(
    twins: Twins, plan: tuple[int, ...], seeds: list[int], size: dict[str, int]
) -> dict[str, Any]:
    """Return, by window and cost, what the planner gains over the best fixed plan and sends."""
    world = twins.world
    fixed = twins.rollout(FixedPlanner(world, plan)).returns
    never = twins.rollout(FixedPlanner(world, world.plans.min(axis=0).tolist())).returns
    always = twins.rollout(FixedPlanner(world, world.plans.max(axis=0).tolist()))
    result: dict[str, Any] = {
        "return": float(fixed.mean()),
        "never": list(mean_interval(never - fixed)),
        "always": list(mean_interval(always.returns - fixed)),
        "always_sends": sends(always.weekly),
        "windows": {},
    }
    for window in WINDOWS:
        learned = [UtilityPlanner(window=window, **size).learn(world, seed=s) for s in seeds]
        cases = {str(cost): {"message_cost": cost} for cost in COSTS}
        cases["0, opt-outs and churn not counted"] = {
            "message_cost": 0.0,
            "opt_out": 0.0,
            "churn": 0.0,
        }
        result["windows"][str(window)] = {
            case: outcome([twins.rollout(p.weighted(**weights)) for p in learned], fixed)
            for case, weights in cases.items()
        }
    return result


def outcome(rollouts: list[Any], fixed: Any) -> dict[str, Any]:
    """Return the gain of the mean over seeds with its interval over members, and per seed."""
    gains = [r.returns - fixed for r in rollouts]
    return {
        "gain": list(mean_interval(np.mean(gains, axis=0))),
        "by_seed": [list(mean_interval(gain)) for gain in gains],
        "sends": float(np.mean([sends(r.weekly) for r in rollouts])),
    }


def sends(weekly: dict[str, Any]) -> float:
    """Return sends a week per living member."""
    return float(weekly["sends"].sum() / weekly["alive"].sum())


if __name__ == "__main__":
    main()
