"""Measure the world ``calibrated`` against its targets, and write this folder's results.

python experiments/calibration/run.py [--quick] [--members 262144]
"""

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from figure import draw
from sweep import PARAMETERS
from targets import LIFT, PLAN, TARGETS, report

import slowfast_rl as sf
from slowfast_rl.evaluation.calibration import viewing_lift
from slowfast_rl.evaluation.gap import personal_gap
from slowfast_rl.evaluation.markdown import as_json, number, percent, plan_text, table
from slowfast_rl.evaluation.sweeps import CHECK_POPULATION, check_protocol, sweep
from slowfast_rl.members.loading import world_hash
from slowfast_rl.store.files import write_block, write_text_atomically

FOLDER = Path(__file__).parent
MENU_MEMBERS, MENU_LUCKS = 512, (8, 4)  # that live the whole menu; lucks that choose and score


def main() -> None:
    """Measure, print, and write if this is the full run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--members", type=int, default=262_144)
    parser.add_argument("--quick", action="store_true", help="few members; writes nothing")
    options = parser.parse_args()
    members, on_menu = (4096, 32) if options.quick else (options.members, MENU_MEMBERS)
    world = sf.load_world("calibrated")
    results = {
        "command": f"python experiments/calibration/run.py --members {members}",
        "world_hash": world_hash(world),
        "population_seed": CHECK_POPULATION,
        "members": members,
        "menu_members": on_menu,
        "measured": as_json(report(world, members)),
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
    return {
        "lift": as_json(viewing_lift(chosen, 104)),
        "gap": as_json(personal_gap(chosen, scored, 104)),
    }


def tables(results: dict[str, Any], searched: dict[str, Any]) -> str:
    """Return the targets, what planning is worth, and the sweep's moves as Markdown."""
    lift, gap = results["lift"], results["gap"]
    rows = [
        [t.quantity, t.says, percent(v, 3 if t.high < 0.01 else 2), met(t.met(v[0])), t.source]
        for t, v in zip(TARGETS, results["measured"], strict=True)
    ]
    rows.append(
        [LIFT.quantity, LIFT.says, percent(lift["viewing"]), met(LIFT.met(lift["viewing"][0])),
         LIFT.source]
    )  # fmt: skip
    moves = [
        [
            str(move["tried"]),
            *(f"{move['values'][name]:g}" for name in PARAMETERS),
            *(f"{100 * share:.2f} %" for share in move["measured"][4:]),
            f"{move['miss']:.2f}",
        ]
        for move in searched["moves"]
    ]
    return "\n".join(
        [
            f"`{results['command']}` wrote these tables: {results['members']} members of "
            f"population seed {results['population_seed']} under {plan_text(PLAN)} a week, 52 "
            "weeks after 8 (activity: the first 28 days of them); the lift: "
            f"{results['menu_members']} members, 104 weeks after 8 of random plans, "
            f"{MENU_LUCKS[0]} lucks, of members that did not choose the plan. Brackets hold 95 % "
            "intervals over members.",
            "",
            *table(["quantity", "target", "measured", "met", "source"], rows),
            "",
            f"What planning is worth there: the best fixed plan is {plan_text(gap['best_fixed'])}; "
            f"personal constant plans, chosen on {MENU_LUCKS[0]} other lucks, gain "
            f"{number(gap['gain'])} discounted viewing days over it, "
            f"{percent(gap['relative'])} (the leaderboard's protocol has more lucks and members).",
            "",
            f"`{searched['command']}` found the values, on {searched['members']} members of "
            f"population seed {searched['population_seed']}. Its accepted moves:",
            "",
            *table(
                [
                    "worlds tried",
                    *(f"`{name}`" for name in PARAMETERS),
                    "churn a month",
                    "≥ 5 days",
                    "1–4",
                    "< 1",
                    "miss",
                ],
                moves,
            ),
        ]
    )


def met(holds: bool) -> str:
    """Return a verdict."""
    return "yes" if holds else "**no**"


if __name__ == "__main__":
    main()
