"""What would the default learner reach if it knew more of each member?

python experiments/information/run.py [--worlds pronounced] [--seeds 0] [--planners ...] [--quick]

What was measured is kept in runs/information: a run that was stopped goes on where it was.
"""

import argparse
import json
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from planners import PLANNERS
from report import tables

import slowfast_rl as sf
from slowfast_rl.evaluation.references import load_references
from slowfast_rl.evaluation.statistics import mean_interval, ratio_interval
from slowfast_rl.evaluation.studies import kept_rows, merge_rows, run_missing
from slowfast_rl.evaluation.twins import Twins
from slowfast_rl.store.files import write_block, write_text_atomically

FOLDER = Path(__file__).parent
KEPT = FOLDER.parent.parent / "runs" / "information"
OPPORTUNITIES = 100_000_000  # for each planner: a third of the default's


def main() -> None:
    """Measure what is missing, then write what is there."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--worlds", nargs="+", default=["pronounced"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--planners", nargs="+", default=list(PLANNERS), choices=list(PLANNERS))
    parser.add_argument("--quick", action="store_true", help="few members, little training")
    options = parser.parse_args()
    torch.set_num_threads(1)
    quick, scratch = options.quick, TemporaryDirectory()  # it goes with the process
    kept = Path(scratch.name) if quick else KEPT
    protocol = sf.EvaluationProtocol(64, 8) if quick else sf.EvaluationProtocol()
    jobs = [(w, p, s) for w in options.worlds for s in options.seeds for p in options.planners]
    twins = cache(lambda name: Twins(sf.load_world(name), protocol))
    run_missing(
        {
            f"{w}-{p}-{s}": lambda w=w, p=p, s=s: [measure(p, s, twins(w), quick)]
            for w, p, s in (jobs[:2] if quick else jobs)
        },
        kept,
    )
    # Planners and seeds that were not run here stay as they were measured.
    before = [] if quick else json.loads((FOLDER / "results.json").read_text())["rows"]
    order = list(PLANNERS).index
    rows = merge_rows(
        before,
        kept_rows(kept),
        lambda row: (row["world"], order(row["planner"]), row["seed"]),
    )
    results = {
        "command": "python experiments/information/run.py",
        "opportunities": OPPORTUNITIES,
        "rows": rows,
    }
    text = tables(results)
    sys.stdout.write(text + "\n")
    if not quick:
        write_text_atomically(FOLDER / "results.json", json.dumps(results, indent=1))
        write_block(FOLDER / "README.md", "information", text)


def measure(name: str, seed: int, twins: Twins, quick: bool) -> dict[str, Any]:
    """Train a planner and return what its plans bring, run by the default executor."""
    settings = {"states": 200} if quick else {}
    planner = PLANNERS[name].make(twins.world, settings)
    budget = 100_000 if quick else OPPORTUNITIES
    planner.learn(twins.world, total_opportunities=budget, seed=seed)
    returns = twins.rollout(planner).returns
    known = load_references(twins.world, twins.protocol)
    gap = None
    if known is not None:
        gap = ratio_interval(returns - known.best_fixed, known.oracle - known.best_fixed)
    return {
        "world": twins.world.name,
        "planner": name,
        "seed": seed,
        "return": list(mean_interval(returns)),
        "gap_closed": None if gap is None else list(gap),
        "cpu_seconds": planner.cpu_seconds,
    }


if __name__ == "__main__":
    main()
