"""Worlds whose best frequency is known beforehand, on every horizon."""

from dataclasses import replace
from typing import Any

import numpy as np

import slowfast_rl as sf
from slowfast_rl.evaluation.formatting import as_json
from slowfast_rl.evaluation.world.properties import best_plan, lead, personal_gap
from slowfast_rl.evaluation.world.sweeps import check_protocol, sweep

HORIZONS = (1, 8, 52)
KNOWN = {
    "null": "never, on every horizon",
    "costly": "never, on every horizon",
    "no_fatigue": "the maximum, on every horizon",
    "homogeneous": "one plan suits all: no gap",
    "two_type": "the type that hardly tires gets more than the one that tires",
}


def limit_worlds(members: int) -> dict[str, Any]:
    """Return what each limit world shows, and whether it is what is known."""
    return {name: _limit(sf.load_world(name), members) for name in KNOWN}


def _limit(world: sf.World, members: int) -> dict[str, Any]:
    protocol = check_protocol(members, HORIZONS[-1], 0, 4)
    swept = sweep(world, protocol, progress=world.name)
    best = {h: best_plan(swept, h) for h in HORIZONS}
    result = {"expected": KNOWN[world.name], "best": [as_json(b) for b in best.values()]}
    if world.name in ("null", "costly"):
        return result | {"holds": all(sum(b.plan) == 0 for b in best.values())}
    if world.name == "no_fatigue":
        return result | {"holds": all(b.is_maximum for b in best.values())}
    if world.name == "homogeneous":
        others = replace(protocol, streams=tuple(range(4, 8)))
        scored = sweep(world, others, progress=world.name)
        gap = personal_gap(swept, scored, HORIZONS[-1])
        return result | {"gap": as_json(gap), "holds": not gap.exists}
    tires, returns = swept.sensitivity > 1, swept.returns[HORIZONS[-1]]
    plans = [
        swept.plans[int(returns[:, t].mean(axis=1).argmax())].tolist() for t in (~tires, tires)
    ]
    leads = [lead(returns, ~tires, tires), lead(returns, tires, ~tires)]
    enough = all(interval.low > 0 for interval in leads)
    more = int(np.sum(plans[0])) > int(np.sum(plans[1]))
    return result | {"plans": plans, "leads": as_json(leads), "holds": enough and more}
