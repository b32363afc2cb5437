"""Measure confounding and ranking, and which findings survive other protocols and other worlds.

python experiments/ablations/run.py [--quick] [--members 512] [--lucks 8]
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

import slowfast_rl as sf
from slowfast_rl.evaluation import figures
from slowfast_rl.evaluation import formatting as fmt
from slowfast_rl.evaluation.protocol import SEGMENTS
from slowfast_rl.evaluation.studies import Flag, Options, Results, Study
from slowfast_rl.evaluation.world.findings import SCALED, SWITCHES, changed, findings
from slowfast_rl.evaluation.world.sweeps import CHECK_POPULATION

# Fewer plans than the world's own menu, around the same ladder: a third of the time.
MENU = ((0, 1, 3, 5, 7, 14), (0, 1, 2, 5, 7))
WORLDS, WEEKS, BURN_IN = ("pronounced", "calibrated"), 52, 8
QUICK = ("base", "without")
PARTS = ("logged", "caused", "overstated")  # slopes of the confounded log
MARKS = {True: "holds", False: "**fails**", None: "not resolved"}
COLOURS = {True: figures.BLUE, None: "#c9ccd1", False: figures.ORANGE}


def cases(world, members, lucks):
    """Yield group, name, world and protocol: the base case, properties 7 and 8."""

    def protocol(weeks=WEEKS, burn_in=BURN_IN, other=0):
        seed = CHECK_POPULATION + other
        return sf.EvaluationProtocol(members, weeks, burn_in, seed, seed, tuple(range(lucks)))

    yield "base", "base", world, protocol()
    for weeks in (0, 26):
        yield "burn-in", f"{weeks} weeks", world, protocol(burn_in=weeks)
    for weeks in (26, 104):
        yield "horizon", f"{weeks} weeks", world, protocol(weeks=weeks)
    for other in (1, 2):
        yield "population", str(CHECK_POPULATION + other), world, protocol(other=other)
    for name, changes in SWITCHES.items():
        yield "without", name, changed(world, changes), protocol()
    for name in SCALED:
        for factor in (0.5, 2):
            yield name, f"× {factor:g}", changed(world, {name: factor}, scaled=True), protocol()


def measure(options: Options) -> Results:
    """Return the findings of all cases of both worlds."""
    return {
        "members": options.members,
        "lucks": options.lucks,
        "population_seed": CHECK_POPULATION,
        "worlds": {
            name: [
                {"group": group, "name": case, "weeks": protocol.weeks}
                | fmt.as_json(findings(world, protocol, f"{name}, {group}, {case}"))
                for group, case, world, protocol in cases(
                    replace(sf.load_world(name), menu=MENU), options.members, options.lucks
                )
                if not options.quick or group in QUICK
            ]
            for name in WORLDS
        },
    }


def tables(results: Results) -> str:
    """Return properties 5 and 6, then every case's verdicts, then what does not hold."""
    worlds = results["worlds"]
    logs = [
        by_world[0]["confounding"][key] | {"world": name, "outcome": outcome, "scale": scale}
        for name, by_world in worlds.items()
        for key, outcome, scale in (
            ("viewing", "viewing days a week", 1),
            ("retention", "points of retention after 26 weeks", 100),
        )
    ]
    for log in logs:
        log |= {part: [log["scale"] * x for x in log[part]] for part in PARTS}
        log["mark"] = MARKS[log["holds"]]
    return fmt.paragraphs(
        f"`{results['command']}` wrote these tables: {results['members']} members of population "
        f"seed {results['population_seed']} (confounding and ranking: sixteen times as many, 26 "
        f"weeks), {results['lucks']} lucks, three quarters of which choose plans. Brackets hold "
        "95 % intervals over members. A finding is not resolved where an interval that decides "
        "holds 0.",
        "### Property 5: confounding",
        "Members get a plan by their viewing of the last weeks (30 % get one at random). Slopes "
        "are per message a week, over members as the log has them and over each member's branches:",
        fmt.table_of(
            "world | outcome | logged | caused | overstated by | ",
            "`{world}` | {outcome} | {logged:+.3i} | {caused:+.3i} | {overstated:+.3i} | {mark}",
            logs,
        ),
        "### Property 6: who opens is not who gains",
        "Open rates are logged before; uplift is what 26 weeks of 3 + 2 add to viewing, in days:",
        fmt.table(
            ["world", "quantity", "measured"],
            [[f"`{name}`", *row] for name, by_world in worlds.items() for row in rank(by_world[0])],
        ),
        *(
            text
            for name, by_world in worlds.items()
            for text in (
                f"### Properties 7 and 8 in `{name}`",
                verdicts(by_world),
                failures(by_world),
            )
        ),
    )


def rank(base):
    """Yield property 6 of a world's base case, quantity and number."""
    r = base["ranking"]
    for key, shown in (("open_rate", fmt.percent), ("uplift", fmt.number)):
        for segment, value in zip(SEGMENTS, r[key], strict=True):
            yield f"{key.replace('_', ' ')}, {segment}", shown(value)
    for key, what in {
        "over_credit": "open rate minus uplift, each as a multiple of the mean",
        "by_open_rate": "uplift of the half that opens more",
        "by_uplift": "uplift of the half that gains more (by other lucks)",
        "lost": "lost by ranking on opens",
    }.items():
        yield f"heavy: {what}", fmt.number(r[key])
    for finding in ("over-credit", "wrong pick"):
        yield f"verdict: {finding}", MARKS[base["verdicts"][finding]]


def verdicts(by_world):
    """Return a world's table of cases and findings."""
    names = list(by_world[0]["verdicts"])
    header = " | ".join(["changed | to | best plan | on 1 week | gap", *names])
    row = "{group} | {name} | {best[plan]:+} | {tension[near_plan]:+} | {gap[relative]:.1i%} | "
    rows = [
        case | {"marks": " | ".join(MARKS[case["verdicts"][name]] for name in names)}
        for case in by_world
    ]
    return fmt.table_of(header, row + "{marks}", rows)


def worst(leads):
    """Return the lead that decides: the one least above 0."""
    return fmt.number(min(leads, key=lambda lead: lead[1]), 4)


def failures(by_world):
    """Return a world's findings that do not hold, each with the lead that decides."""
    rows = [
        (case["group"], case["name"], finding, MARKS[verdict], worst(case["leads"][finding]))
        for case in by_world
        for finding, verdict in case["verdicts"].items()
        if verdict is not True
    ]
    if not rows:
        return "Every finding holds in every case."
    return fmt.paragraphs(
        "What does not hold, with the lead that decides (it would have to lie above 0):",
        fmt.table(["changed", "to", "finding", "", "lead"], rows),
    )


def draw(results: Results, path: Path) -> None:
    """Draw what holds where, and how large the gap is."""
    worlds = results["worlds"]
    with figures.panels(path, len(worlds), 2, (12, 4.6 * len(worlds)), width_ratios=(3, 2)) as axes:
        for (left, right), (name, by_world) in zip(axes, worlds.items(), strict=True):
            shown, at = list(by_world[0]["verdicts"]), np.arange(len(by_world))
            labels = [
                c["name"] if c["group"] in ("base", "without") else f"{c['group']} {c['name']}"
                for c in by_world
            ]
            for y, case in enumerate(by_world):
                colours = [COLOURS[case["verdicts"][finding]] for finding in shown]
                left.barh([y] * len(shown), 0.94, 0.9, np.arange(len(shown)) - 0.47, color=colours)
            left.set_xticks(range(len(shown)), shown, rotation=25, ha="right")
            left.set_yticks(at, labels)
            left.tick_params(length=0)
            left.set_title(f"{name}: holds (blue), not resolved (grey), fails (orange)")
            gaps = 100 * np.array([c["gap"]["relative"] or [np.nan] * 3 for c in by_world])
            figures.intervals(right, at, gaps, across=True)
            figures.zero(right, across=True)
            figures.zero(right, across=True, at=gaps[0, 0], linestyle=":")
            right.set_yticks(at, [])
            right.set(title="What personal plans add", xlabel="% of the best fixed plan's return")
            for ax in (left, right):
                ax.set_ylim(len(at) - 0.5, -0.5)


FLAGS = {"members": Flag(512, quick=64), "lucks": Flag(8, quick=4)}
STUDY = Study(__file__, measure, tables, draw, FLAGS)

if __name__ == "__main__":
    STUDY.run()
