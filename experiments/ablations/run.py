"""Measure confounding and ranking, and which findings survive other protocols and other worlds.

python experiments/ablations/run.py [--quick] [--members 512] [--lucks 8]
"""

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from cases import MENU, cases
from figure import draw
from report import tables

import slowfast_rl as sf
from slowfast_rl.evaluation.markdown import as_json
from slowfast_rl.evaluation.world.findings import findings
from slowfast_rl.evaluation.world.sweeps import CHECK_POPULATION
from slowfast_rl.store.files import write_block, write_text_atomically

FOLDER = Path(__file__).parent
WORLDS = ("pronounced", "calibrated")
QUICK = ("base", "without")


def main() -> None:
    """Measure, print, and write if this is the full run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--members", type=int, default=512)
    parser.add_argument("--lucks", type=int, default=8)
    parser.add_argument("--quick", action="store_true", help="64 members, no sweeps; only prints")
    options = parser.parse_args()
    members, lucks = (64, 4) if options.quick else (options.members, options.lucks)
    results = {
        "command": f"python experiments/ablations/run.py --members {members} --lucks {lucks}",
        "members": members,
        "lucks": lucks,
        "population_seed": CHECK_POPULATION,
        "worlds": {name: measure(name, members, lucks, options.quick) for name in WORLDS},
    }
    sys.stdout.write(tables(results) + "\n")
    if options.quick:
        return
    write_text_atomically(FOLDER / "results.json", json.dumps(results, indent=1))
    draw(results, FOLDER / "ablations.png")
    write_block(FOLDER / "README.md", "ablations", tables(results))


def measure(name: str, members: int, lucks: int, quick: bool) -> list[dict[str, Any]]:
    """Return the findings of all cases of a world, as JSON holds them."""
    world = replace(sf.load_world(name), menu=MENU)
    return [
        {"group": case.group, "name": case.name, "weeks": case.protocol.weeks}
        | as_json(findings(case.world, case.protocol, f"{name}, {case.group}, {case.name}"))
        for case in cases(world, members, lucks)
        if not quick or case.group in QUICK
    ]


if __name__ == "__main__":
    main()
