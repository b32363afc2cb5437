"""Measure the world ``calibrated`` against its targets, and write this folder's results.

python experiments/calibration/run.py [--quick] [--runs 1024]
"""

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from figure import draw
from report import tables
from targets import MENU_LUCKS, report

import slowfast_rl as sf
from slowfast_rl.evaluation.gap import personal_gap
from slowfast_rl.evaluation.markdown import as_json
from slowfast_rl.evaluation.world.calibration import viewing_lift
from slowfast_rl.evaluation.world.sweeps import CHECK_POPULATION, check_protocol, sweep
from slowfast_rl.members.loading import world_hash
from slowfast_rl.store.files import write_block, write_text_atomically

FOLDER = Path(__file__).parent
MENU_MEMBERS = 512  # that live the whole menu


def main() -> None:
    """Measure, print, and write if this is the full run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=1024)
    parser.add_argument("--quick", action="store_true", help="few members; writes nothing")
    options = parser.parse_args()
    runs, on_menu = (8, 32) if options.quick else (options.runs, MENU_MEMBERS)
    world = sf.load_world("calibrated")
    results = {
        "command": f"python experiments/calibration/run.py --runs {runs}",
        "world_hash": world_hash(world),
        "first_seed": CHECK_POPULATION,
        "runs": runs,
        "measured": as_json(report(world, runs, CHECK_POPULATION)),
        "menu_members": on_menu,
        "lift_members": 16 * on_menu,
        **planning(world, on_menu),
    }
    text = tables(results, json.loads((FOLDER / "sweep.json").read_text()))
    sys.stdout.write(text + "\n")
    if options.quick:
        return
    write_text_atomically(FOLDER / "results.json", json.dumps(results, indent=1))
    draw(results, FOLDER / "calibration.png")
    write_block(FOLDER / "README.md", "calibration", text)


def planning(world: sf.World, members: int) -> dict[str, Any]:
    """Return what the best plan, and personal plans, add in two years after the burn-in."""
    choose, score = MENU_LUCKS
    protocol = check_protocol(members, 104, 8, choose)
    others = replace(protocol, streams=tuple(range(choose, choose + score)))
    chosen = sweep(world, protocol, progress="lucks that choose")
    scored = sweep(world, others, progress="lucks that score")
    gap = personal_gap(chosen, scored, 104)
    wide = replace(others, num_members=16 * members, population_seed=CHECK_POPULATION + 1)
    lived = sweep(world, wide, ((0, 0), gap.best_fixed), progress="the best plan's lift")
    return {"lift": as_json(viewing_lift(lived, gap.best_fixed)), "gap": as_json(gap)}


if __name__ == "__main__":
    main()
