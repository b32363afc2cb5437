"""Can planner and executor evolve apart: what does each swap bring, and does a test see it?

python experiments/independent_evolution/run.py [--quick]
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from figure import draw
from report import tables
from tqdm import tqdm

import slowfast_rl as sf
from slowfast_rl.evaluation.ab import (
    EFFECTS,
    assign_arms,
    factorial_effects,
    factorial_test,
    observed,
    true_effects,
)
from slowfast_rl.evaluation.statistics import mean_interval
from slowfast_rl.evaluation.twins import Twins
from slowfast_rl.store.files import write_block, write_text_atomically

FOLDER = Path(__file__).parent
WORLD, SEED = "pronounced", 0
POOL, WEEKS = 8192, 26  # members that live in every arm pair
TESTS, MEMBERS = 1000, 400  # small tests, each of so many members of the pool
OLD, NEW = 30_000_000, 100_000_000  # opportunities of the planners' training


def main() -> None:
    """Measure, print, and write if this is the full run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few members, little training")
    quick = parser.parse_args().quick
    torch.set_num_threads(1)
    protocol = (
        sf.EvaluationProtocol(300, 6, streams=(0,))
        if quick
        else sf.EvaluationProtocol(POOL, WEEKS, streams=(0,))
    )
    twins = Twins(sf.load_world(WORLD), protocol)
    planners, executors = arms(twins.world, quick)
    test = factorial_test(twins, planners, executors)
    results = {
        "command": "python experiments/independent_evolution/run.py",
        "world": WORLD,
        "pool": protocol.num_members,
        "weeks": protocol.weeks,
        "truth": true_effects(test.potential),
        "swaps": swaps(test.potential),
        "one_test": test.to_json(),
        "coverage": coverage(test.potential, test.covariates, 20 if quick else TESTS, quick),
    }
    text = tables(results)
    sys.stdout.write(text + "\n")
    if not quick:
        write_text_atomically(FOLDER / "results.json", json.dumps(results, indent=1))
        draw(results, FOLDER / "independent_evolution.png")
        write_block(FOLDER / "README.md", "independent_evolution", text)


def arms(
    world: sf.World, quick: bool
) -> tuple[list[sf.slow.RolloutPlanner], list[sf.fast.PacedExecutor | None]]:
    """Return two planners and two executors, an older and a newer one at each level."""
    small = {"states": 200} if quick else {}
    old = sf.slow.RolloutPlanner(beliefs=False, **small)
    old.learn(world, total_opportunities=100_000 if quick else OLD, seed=SEED)
    new = sf.slow.RolloutPlanner(**small)
    new.learn(world, total_opportunities=100_000 if quick else NEW, seed=SEED)
    ranker = sf.fast.AffinityRanker().learn(world, seed=SEED)
    pacer = sf.fast.BidPricePacer().learn(world, ranker, seed=SEED)
    return [old, new], [None, sf.fast.PacedExecutor(pacer, ranker)]


def swaps(potential: np.ndarray) -> list[dict[str, Any]]:
    """Return what each single exchange brings, paired over members."""
    cases = {
        "newer planner, older executor": potential[1, 0] - potential[0, 0],
        "newer planner, newer executor": potential[1, 1] - potential[0, 1],
        "newer executor, older planner": potential[0, 1] - potential[0, 0],
        "newer executor, newer planner": potential[1, 1] - potential[1, 0],
    }
    return [{"swap": name, "gain": list(mean_interval(gain))} for name, gain in cases.items()]


def coverage(
    potential: np.ndarray, observations: np.ndarray, tests: int, quick: bool
) -> dict[str, Any]:
    """Run small tests on members drawn from the pool; return how often intervals cover, how wide.

    The pool's own mean effect is the truth: a small test's members are a sample of it.
    """
    truth, size = true_effects(potential), 100 if quick else MEMBERS
    draws = np.random.default_rng(SEED)
    found: dict[str, Any] = {
        kind: {name: {"covered": 0, "width": 0.0} for name in EFFECTS}
        for kind in ("adjusted", "unadjusted")
    }
    for salt in tqdm(range(tests), desc="tests"):
        rows = draws.choice(potential.shape[2], size, replace=False)
        who = assign_arms(rows, salt)
        outcomes = observed(potential[:, :, rows], who)
        for kind, covariates in (("adjusted", observations[rows]), ("unadjusted", None)):
            for name, effect in factorial_effects(outcomes, who, covariates).items():
                found[kind][name]["covered"] += int(effect.low <= truth[name] <= effect.high)
                found[kind][name]["width"] += (effect.high - effect.low) / tests
    return {"tests": tests, "members": size, **found}


if __name__ == "__main__":
    main()
