"""Measure the properties that every release shows, and write this folder's results.

python experiments/world_checks/run.py [--quick] [--world pronounced calibrated] [--members 8192]
"""

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from figure import draw
from report import tables

import slowfast_rl as sf
from slowfast_rl.evaluation.markdown import as_json
from slowfast_rl.evaluation.statistics import mean_interval
from slowfast_rl.evaluation.world.properties import (
    Best,
    always_send_by_hazard,
    best_plan,
    by_channel,
    by_fifth,
    crossover,
    frequency,
)
from slowfast_rl.evaluation.world.recovery import recovery
from slowfast_rl.evaluation.world.sweeps import HORIZONS, check_protocol, sweep
from slowfast_rl.members.loading import world_hash
from slowfast_rl.store.files import write_block, write_text_atomically

FOLDER = Path(__file__).parent
WORLDS = ("pronounced", "calibrated")
LADDER = ((1, 1), (3, 1), (5, 2), (5, 5), (14, 7))
LIGHT, PROBE = (1, 1), (3, 2)


def main() -> None:
    """Measure, print, and write; a run of one world keeps what was measured of the other."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--world", nargs="+", default=list(WORLDS), choices=sf.world_names())
    parser.add_argument("--members", type=int, default=8192)
    parser.add_argument("--quick", action="store_true", help="256 members; writes nothing")
    options = parser.parse_args()
    members = 256 if options.quick else options.members
    kept = json.loads((FOLDER / "results.json").read_text())
    writes = not options.quick and set(options.world) <= set(WORLDS)
    if writes and kept["members"] != members and set(options.world) < set(WORLDS):
        parser.error(f"members is {members}; the other world was measured on {kept['members']}")
    worlds = {name: measure(sf.load_world(name), members) for name in options.world}
    if not writes:
        sys.stdout.write(tables(header(members) | {"worlds": worlds}) + "\n")
        return
    worlds = {name: worlds.get(name) or kept["worlds"][name] for name in WORLDS}
    results = header(members) | {"worlds": worlds}
    sys.stdout.write(tables(results) + "\n")
    write_text_atomically(FOLDER / "results.json", json.dumps(results, indent=1))
    draw(results, FOLDER / "properties.png")
    write_block(FOLDER / "README.md", "world_checks", tables(results))


def header(members: int) -> dict[str, Any]:
    """Return what was run and on whom."""
    protocol = check_protocol(members, 1)
    return {
        "command": f"python experiments/world_checks/run.py --members {members}",
        "population_seed": protocol.population_seed,
        "luck_seed": protocol.luck_seed,
        "members": members,
    }


def measure(world: sf.World, members: int) -> dict[str, Any]:
    """Return all measurements of a world, as JSON holds them."""
    starts = {"fresh": 0, "burned in": 8}
    lived = {
        start: sweep(world, check_protocol(members, 104, weeks), progress=f"{world.name}, {start}")
        for start, weeks in starts.items()
    }
    after, fresh = lived["burned in"], lived["fresh"]
    fifths = {"base rate": after.base_rate, "fatigue sensitivity": after.sensitivity}
    return {
        "channels": world.channels,
        "world_hash": world_hash(world),
        "frequency": as_json(frequency(fresh, LADDER)) | {"plans": LADDER},
        "first_week": {s: as_json(first_week(world, members, w)) for s, w in starts.items()},
        "best_plan": {s: [as_json(best_plan(p, h)) for h in HORIZONS] for s, p in lived.items()},
        "crossover": {s: crossover(part) for s, part in lived.items()},
        "fifths": {
            name: {str(h): as_json(by_fifth(after, trait, h, LIGHT)) for h in (52, 104)}
            for name, trait in fifths.items()
        },
        "channel": [as_json(c) for c in by_channel(after, 104)],
        "recovery": as_json(recovery(world, check_protocol(members, 8, 0), PROBE)),
        "hazard": as_json(always_send_by_hazard(world, check_protocol(members, 104, 8, 4))),
    }


def first_week(world: sf.World, members: int, burn_in: int) -> Best:
    """Return the best plan on a 1-week horizon by 32 lucks, its lead measured on 128 others.

    One luck cannot tell the best plans of so short a time apart.
    """
    protocol = check_protocol(members, 1, burn_in, 32)
    best = best_plan(sweep(world, protocol, progress=f"{world.name}, 1 week"), 1)
    others = replace(protocol, streams=tuple(range(32, 160)))
    two = sweep(world, others, (best.plan, best.next_plan), f"{world.name}, best two").returns[1]
    return best._replace(over_next=mean_interval(two[0] - two[1]))


if __name__ == "__main__":
    main()
