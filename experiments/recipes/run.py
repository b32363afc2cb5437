"""Which parts of the recipe make the slow level learn?

python experiments/recipes/run.py [--seeds 0 1 2] [--recipes default ...] [--quick]

What was measured is kept in runs/recipes: a run that was stopped goes on where it was, and several
may share the work.
"""

import argparse
import json
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time
from typing import Any

import torch
from planners import RECIPES, budget
from report import tables

import slowfast_rl as sf
from slowfast_rl.evaluation.references import load_references
from slowfast_rl.evaluation.statistics import mean_interval, ratio_interval
from slowfast_rl.evaluation.studies import kept_rows, merge_rows, run_missing
from slowfast_rl.evaluation.twins import Twins
from slowfast_rl.store.files import write_block, write_text_atomically

FOLDER = Path(__file__).parent
KEPT = FOLDER.parent.parent / "runs" / "recipes"
WORLD = "pronounced"


def main() -> None:
    """Measure what is missing, then write what is there."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--recipes", nargs="+", default=list(RECIPES), choices=list(RECIPES))
    parser.add_argument("--quick", action="store_true", help="few members, little training")
    options = parser.parse_args()
    torch.set_num_threads(1)
    quick, scratch = options.quick, TemporaryDirectory()  # it goes with the process
    kept = Path(scratch.name) if quick else KEPT
    jobs = {
        f"{recipe}-{seed}": lambda r=recipe, s=seed: [measure(r, s, quick)]
        for seed in (options.seeds[:1] if quick else options.seeds)
        for recipe in (["plain_1", "student_residual"] if quick else options.recipes)
    }
    run_missing(jobs, kept)
    before = [] if quick else json.loads((FOLDER / "results.json").read_text())["rows"]
    order = list(RECIPES).index
    rows = merge_rows(before, kept_rows(kept), lambda row: (order(row["recipe"]), row["seed"]))
    results = {"command": "python experiments/recipes/run.py", "world": WORLD, "rows": rows}
    text = tables(results)
    sys.stdout.write(text + "\n")
    if not quick:
        write_text_atomically(FOLDER / "results.json", json.dumps(results, indent=1))
        write_block(FOLDER / "README.md", "recipes", text)


def measure(name: str, seed: int, quick: bool) -> dict[str, Any]:
    """Train by a recipe and return what the plans bring, run by the default executor."""
    twins, recipe = members(quick), RECIPES[name]
    planner, start = recipe.make(quick), process_time()
    played = budget(recipe, planner, twins.world, quick)
    planner.learn(twins.world, total_opportunities=played, seed=seed)
    seconds, returns = process_time() - start, twins.rollout(planner).returns
    known = load_references(twins.world, twins.protocol)
    gap = None
    if known is not None:
        gap = list(ratio_interval(returns - known.best_fixed, known.oracle - known.best_fixed))
    return {
        "recipe": name,
        "seed": seed,
        "return": list(mean_interval(returns)),
        "gap_closed": gap,
        "cpu_seconds": seconds,
        "opportunities": planner.opportunities,
    }


@cache
def members(quick: bool) -> Twins:
    """Return the burned-in members that all recipes are evaluated on."""
    return Twins(
        sf.load_world(WORLD), sf.EvaluationProtocol(64, 8) if quick else sf.EvaluationProtocol()
    )


if __name__ == "__main__":
    main()
