"""Trained agents in other worlds than their own, and agents retrained where the answer is known.

python experiments/robustness/run.py [--parts shifted limits apart] [--seeds 0 1 2] [--quick]

What was measured is kept in runs/robustness: a run that was stopped goes on where it was, and
several may share the work.
"""

import argparse
import json
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from apart import CASE, SEED, take_apart
from cases import LIMITS, SCORED, shifted
from limits import measure_limit
from report import tables

import slowfast_rl as sf
from slowfast_rl.evaluation.contestants import trained_contestant, trained_contestant
from slowfast_rl.evaluation.statistics import mean_interval
from slowfast_rl.evaluation.studies import Row, kept_rows, merge_rows, run_missing
from slowfast_rl.evaluation.twins import Twins
from slowfast_rl.store.files import write_block, write_text_atomically

FOLDER = Path(__file__).parent
KEPT = FOLDER.parent.parent / "runs" / "robustness"
TRAINED = "pronounced"
OPPORTUNITIES = 300_000_000  # of the shifted worlds' agent: the default
LIMIT_OPPORTUNITIES = 100_000_000  # retrained on limit worlds: a third of the default


def main() -> None:
    """Measure what is missing, then write what is there."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", nargs="+", default=["shifted", "limits", "apart"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--quick", action="store_true", help="few members, little training")
    options = parser.parse_args()
    torch.set_num_threads(1)
    quick, scratch = options.quick, TemporaryDirectory()  # it goes with the process
    kept = Path(scratch.name) if quick else KEPT
    seeds = options.seeds[:1] if quick else options.seeds
    jobs: dict[str, Callable[[], list[Row]]] = {}
    if "shifted" in options.parts:
        jobs |= {f"shifted-{s}": lambda s=s: measure_shifted(s, quick) for s in seeds}
    if "limits" in options.parts:
        protocol = (
            sf.EvaluationProtocol(64, 16) if quick else sf.EvaluationProtocol(1024, streams=SCORED)
        )
        budget = 100_000 if quick else LIMIT_OPPORTUNITIES
        jobs |= {
            f"limits-{w}-{s}": lambda w=w, s=s: [measure_limit(w, s, protocol, budget, quick)]
            for s in seeds
            for w in (LIMITS[:2] if quick else LIMITS)
        }
    if "apart" in options.parts:
        jobs["apart"] = lambda: measure_apart(quick)
    run_missing(jobs, kept)
    # Worlds and seeds that were not run here stay as they were measured.
    before = {} if quick else json.loads((FOLDER / "results.json").read_text())
    results: dict[str, Any] = {"command": "python experiments/robustness/run.py"}
    order = [case.name for case in worlds(quick)].index
    places = {"shifted": lambda row: (order(row["world"]), row["seed"]),
              "limits": lambda row: (row["world"], row["seed"])}  # fmt: skip
    apart = kept_rows(kept, "apart")
    results["apart"] = apart or before.get("apart", [])
    for part, place in places.items():
        results[part] = merge_rows(before.get(part, []), kept_rows(kept, f"{part}-*"), place)
    text = tables(results)
    sys.stdout.write(text + "\n")
    if not quick:
        write_text_atomically(FOLDER / "results.json", json.dumps(results, indent=1))
        write_block(FOLDER / "README.md", "robustness", text)


def measure_shifted(seed: int, quick: bool) -> list[dict[str, Any]]:
    """Return what an untouched agent brings in each world, against the base-tuned threshold."""
    home = sf.load_world(TRAINED)
    planner = sf.slow.RolloutPlanner(**({"states": 200} if quick else {}))
    executor = sf.fast.PacedExecutor(sf.fast.BidPricePacer(), sf.fast.AffinityRanker())
    agent = sf.SlowFastAgent(planner, executor)
    agent.learn(home, total_opportunities=100_000 if quick else OPPORTUNITIES, seed=seed)
    threshold = sf.ThresholdAgent(**({"num_members": 64, "weeks": 4} if quick else {}))
    threshold.learn(home, seed=seed)
    rows = []
    for number in range(len(worlds(quick))):
        case, twins = worlds(quick)[number], world_twins(number, quick)
        ours, theirs = (
            trained_contestant(agent, case.world),
            trained_contestant(threshold, case.world),
        )
        own = twins.rollout(ours.planner, ours.executor)
        other = twins.rollout(theirs.planner, theirs.executor)
        rows.append(
            {
                "world": case.name,
                "seed": seed,
                "return": list(mean_interval(own.returns)),
                "threshold": list(mean_interval(other.returns)),
                "lead": list(mean_interval(own.returns - other.returns)),
                "sends": sends(own.weekly),
                "threshold_sends": sends(other.weekly),
            }
        )
    return rows


def measure_apart(quick: bool) -> list[Row]:
    """Return what each part of the agent brings in the world where it ties."""
    number = [case.name for case in worlds(quick)].index(CASE)
    played = 100_000 if quick else OPPORTUNITIES
    return take_apart(world_twins(number, quick), sf.load_world(TRAINED), SEED, played, quick)


@cache
def worlds(quick: bool) -> list[Any]:
    """Return the shifted worlds."""
    return shifted(sf.load_world(TRAINED), *((64, 8) if quick else (2048, 104)))


@cache
def world_twins(number: int, quick: bool) -> Twins:
    """Return the burned-in members of a shifted world, shared by all seeds."""
    case = worlds(quick)[number]
    return Twins(case.world, case.protocol)


def sends(weekly: dict[str, Any]) -> float:
    """Return sends per living member-week."""
    return float(weekly["sends"].sum() / max(weekly["alive"].sum(), 1.0))


if __name__ == "__main__":
    main()
