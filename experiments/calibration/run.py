"""Measure the world ``calibrated`` against its targets, and write this folder's results.

python experiments/calibration/run.py [--quick] [--runs 1024]
"""

import json
from dataclasses import replace
from pathlib import Path

from targets import LIFT, PLAN, REPORT_WEEKS, RUN_MEMBERS, TARGETS, report

import slowfast_rl as sf
from slowfast_rl.evaluation import figures
from slowfast_rl.evaluation import formatting as fmt
from slowfast_rl.evaluation.studies import Flag, Options, Results, Study
from slowfast_rl.evaluation.world.calibration import viewing_lift
from slowfast_rl.evaluation.world.properties import personal_gap
from slowfast_rl.evaluation.world.sweeps import CHECK_POPULATION, check_protocol, sweep
from slowfast_rl.members.loading import world_hash

CHOOSING, SCORING = 8, 4  # lucks that choose plans and that score them
MET = {True: "yes", False: "**no**"}


def measure(options: Options) -> Results:
    """Return what the world shows of each target, and what planning adds in two years."""
    world, members = sf.load_world("calibrated"), options.menu_members
    protocol = check_protocol(members, 104, 8, CHOOSING)
    others = replace(protocol, streams=tuple(range(CHOOSING, CHOOSING + SCORING)))
    chosen = sweep(world, protocol, progress="lucks that choose")
    gap = personal_gap(chosen, sweep(world, others, progress="lucks that score"), 104)
    wide = replace(others, num_members=16 * members, population_seed=CHECK_POPULATION + 1)
    best = sweep(world, wide, ((0, 0), gap.best_fixed), progress="the best plan's lift")
    return {
        "world_hash": world_hash(world),
        "first_seed": CHECK_POPULATION,
        "runs": options.runs,
        "measured": report(world, options.runs, CHECK_POPULATION),
        "menu_members": members,
        "lift_members": wide.num_members,
        "lift": viewing_lift(best, gap.best_fixed),
        "gap": gap,
    }


def tables(results: Results) -> str:
    """Return the targets, what planning is worth, and the worlds that the search tried."""
    gap, searched = results["gap"], json.loads(Path(__file__).with_name("sweep.json").read_text())
    tried = [
        (
            move["why"],
            *(f"{value:g}" for value in move["values"].values()),
            *(f"{100 * share:.2f} %" for share in move["measured"].values()),
            f"{move['miss']:.2f}",
        )
        for move in searched["tried"]
    ]
    first = searched["tried"][0]
    names = [*(f"`{name}`" for name in first["values"]), *first["measured"]]
    return fmt.paragraphs(
        f"`{results['command']}` wrote these tables: {results['runs']} runs of {RUN_MEMBERS} "
        f"members each (seeds from {results['first_seed']}) under {fmt.plan_text(PLAN)} a week, "
        f"{REPORT_WEEKS} weeks after 8 (activity: the first 28 days of them), with 95 % "
        f"intervals over runs. The lift: {results['lift_members']} members that did not choose "
        "the plan, 104 weeks after 8 of random plans, 4 lucks, with an interval over members.",
        fmt.table(["quantity", "target", "measured", "met", "source"], map(_target, *of(results))),
        f"What planning is worth there: the best fixed plan is {fmt.plan_text(gap['best_fixed'])}; "
        f"personal constant plans, chosen on {CHOOSING} other lucks, gain "
        f"{fmt.number(gap['gain'])} discounted viewing days over it, "
        f"{fmt.percent(gap['relative'])} ({results['menu_members']} members; the "
        "leaderboard's protocol has more lucks and members).",
        f"`{searched['command']}` found the values, by {searched['runs']} runs with seeds from "
        f"{searched['first_seed']}. Every world that it tried (miss: the sum of squared "
        "distances from the targets, in units of half of what rounds to them; 1.3 is the "
        "least, because the survey's shares add up to 99 %):",
        fmt.table(["", *names, "miss"], tried),
    )


def of(results):
    """Return the targets and what was measured of them."""
    return (*TARGETS, LIFT), (*results["measured"], results["lift"])


def _target(target, value):
    shown = fmt.percent(value, 3 if target.high < 0.01 else 2)
    return target.quantity, target.says, shown, MET[target.met(value[0])], target.source


def draw(results: Results, path: Path) -> None:
    """Draw each target as a band and the world's value as a dot, on the target's scale."""
    targets, measured = of(results)
    with figures.panels(path, len(targets), 1, (8, 4.6)) as axes:
        for ax, target, value in zip(axes[:, 0], targets, measured, strict=True):
            low, high, margin = (
                100 * v for v in (target.low, target.high, 0.4 * (target.high - target.low))
            )
            ax.axvspan(low, high, color="#d5e3ec")
            colour = figures.BLUE if target.met(value[0]) else figures.ORANGE
            figures.intervals(ax, [0], [[100 * v for v in value]], across=True, color=colour)
            ax.set_xlim(low - margin, high + margin)
            ax.set_yticks([0], [f"{target.quantity} (%)"])
            ax.tick_params(axis="y", length=0)
            ax.spines["left"].set_visible(False)


FLAGS, SIZES = {"runs": Flag(1024, quick=8)}, {"menu_members": (512, 32)}
STUDY = Study(__file__, measure, tables, draw, FLAGS, SIZES)

if __name__ == "__main__":
    STUDY.run()
