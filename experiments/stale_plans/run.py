"""What does an old plan cost, and what does an outage?

python experiments/stale_plans/run.py [--quick]
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
from slowfast_rl.evaluation.statistics import mean_interval
from slowfast_rl.evaluation.twins import Rollout, Twins
from slowfast_rl.slow import FixedPlanner
from slowfast_rl.store.files import write_block, write_text_atomically

FOLDER = Path(__file__).parent
WORLD, SEED = "pronounced", 0
EVERY = (1, 2, 3, 4, 5, 8, 13, 26)  # weeks from one planning to the next
OUTAGES = (1, 2, 4, 5, 8, 13, 26)  # weeks without a planner
BEGINS = 26  # scored week in which the outage begins
OPPORTUNITIES = 100_000_000  # of the planner's training: a third of the default's


def main() -> None:
    """Measure, print, and write if this is the full run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few members, little training")
    quick = parser.parse_args().quick
    torch.set_num_threads(1)
    protocol = (
        sf.EvaluationProtocol(64, 30, streams=(0,)) if quick else sf.EvaluationProtocol(weeks=78)
    )
    world = sf.load_world(WORLD)
    twins = Twins(world, protocol)
    agent = sf.SlowFastAgent(
        sf.slow.RolloutPlanner(**({"states": 200} if quick else {})),
        sf.fast.PacedExecutor(sf.fast.BidPricePacer(), sf.fast.AffinityRanker()),
    )
    agent.learn(world, total_opportunities=100_000 if quick else OPPORTUNITIES, seed=SEED)

    def live(planned: Any = None) -> Rollout:
        return twins.rollout(agent.slow, agent.fast, planned=planned)

    always = live()
    safe = twins.rollout(FixedPlanner(world, world.safe_plan), agent.fast)
    gain = float((always.returns - safe.returns).mean())
    rows: dict[str, list[dict[str, Any]]] = {"every": [], "outages": []}
    cases = [("every", n) for n in EVERY[1:]] + [("outages", n) for n in OUTAGES]
    for kind, number in tqdm(cases[:2] if quick else cases, unit="case"):
        rows[kind].append({"weeks": number} | outcome(live(up(kind, number)), always, safe))
    results = {
        "command": "python experiments/stale_plans/run.py",
        "world": WORLD,
        "members": protocol.num_members,
        "lucks": len(protocol.streams),
        "weeks": protocol.weeks,
        "begins": BEGINS,
        "remembered_weeks": 4,
        "gain": gain,
        **rows,
    }
    text = tables(results)
    sys.stdout.write(text + "\n")
    if not quick:
        write_text_atomically(FOLDER / "results.json", json.dumps(results, indent=1))
        draw(results, FOLDER / "stale_plans.png")
        write_block(FOLDER / "README.md", "stale_plans", text)


def up(kind: str, number: int) -> Any:
    """Return in which scored weeks the planner is up."""
    if kind == "every":
        return lambda week: week % number == 0
    return lambda week: not BEGINS <= week < BEGINS + number


def outcome(rollout: Rollout, always: Rollout, safe: Rollout) -> dict[str, Any]:
    """Return what was lost against a planner that is always up, and the share of its gain kept."""
    lost = rollout.returns - always.returns
    whole = float((always.returns - safe.returns).mean())
    alive = np.asarray(rollout.weekly["alive"]).sum()
    return {
        "lost": list(mean_interval(lost)),
        "kept": 1 + float(lost.mean()) / whole,
        "fallbacks": rollout.fallbacks / float(alive),
    }


if __name__ == "__main__":
    main()
