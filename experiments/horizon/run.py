"""How often to write, by how far one looks; and when looking far has paid.

python experiments/horizon/run.py [--quick] [--members 2048]
"""

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from figure import draw
from limits import limit_worlds
from report import tables

import slowfast_rl as sf
from slowfast_rl.evaluation.markdown import as_json
from slowfast_rl.evaluation.world.horizons import cumulative_reward, overtaking, tension
from slowfast_rl.evaluation.world.properties import best_plan, crossover
from slowfast_rl.evaluation.world.sweeps import CHECK_POPULATION, HORIZONS, check_protocol, sweep
from slowfast_rl.store.files import write_block, write_text_atomically

FOLDER = Path(__file__).parent
WORLDS = ("pronounced", "calibrated")
SHORT = 8  # weeks up to which more lucks tell plans apart
NEAR, FAR = (1, 2, 4, 8, 13, 26), 104
LUCKS = {SHORT: 16, FAR: 2}


def main() -> None:
    """Measure, print, and write if this is the full run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--members", type=int, default=2048)
    parser.add_argument("--quick", action="store_true", help="64 members; writes nothing")
    options = parser.parse_args()
    members = 64 if options.quick else options.members
    results = {
        "command": f"python experiments/horizon/run.py --members {members}",
        "members": members,
        "population_seed": CHECK_POPULATION,
        "worlds": {name: measure(sf.load_world(name), members) for name in WORLDS},
        "limits": limit_worlds(members // 4),
    }
    sys.stdout.write(tables(results) + "\n")
    if options.quick:
        return
    write_text_atomically(FOLDER / "results.json", json.dumps(results, indent=1))
    draw(results, FOLDER / "horizon.png")
    write_block(FOLDER / "README.md", "horizon", tables(results))


def measure(world: sf.World, members: int) -> dict[str, Any]:
    """Return a world's best plans by horizon, fresh and burned in, and the races between them."""
    return {
        start: by_horizon(world, members, burn_in)
        for start, burn_in in (("fresh", 0), ("burned in", 8))
    }


def by_horizon(world: sf.World, members: int, burn_in: int) -> dict[str, Any]:
    """Return the best plan on each horizon, and each near-sighted one's race on other members."""
    name = f"{world.name}, {burn_in} weeks burned in"
    long = check_protocol(members, FAR, burn_in, LUCKS[FAR])
    short = check_protocol(members, SHORT, burn_in, LUCKS[SHORT])
    lived = {SHORT: sweep(world, short, progress=name), FAR: sweep(world, long, progress=name)}
    best = {h: best_plan(lived[SHORT if h <= SHORT else FAR], h) for h in HORIZONS}
    others = replace(long, num_members=4 * members, population_seed=CHECK_POPULATION + 1)
    totals = {
        plan: cumulative_reward(world, others, plan) for plan in {b.plan for b in best.values()}
    }
    return {
        "best": [as_json(b) for b in best.values()],
        "maximum_loses_from": crossover(lived[FAR]),
        "tension": as_json(tension(lived[FAR], 1, 52)),
        "races": [
            {"near": near, "far": far, "near_plan": best[near].plan, "far_plan": best[far].plan}
            | as_json(overtaking(totals[best[far].plan], totals[best[near].plan]))
            for far in ((FAR,) if best[52].plan == best[FAR].plan else (52, FAR))
            for near in NEAR
            if best[near].plan != best[far].plan
        ],
    }


if __name__ == "__main__":
    main()
