"""Measure the properties that every release shows, and write this folder's results.

python experiments/world_checks/run.py [--quick] [--world pronounced calibrated] [--members 8192]
"""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

import slowfast_rl as sf
from slowfast_rl.evaluation import figures
from slowfast_rl.evaluation import formatting as fmt
from slowfast_rl.evaluation.statistics import mean_interval
from slowfast_rl.evaluation.studies import Flag, Options, Results, Study
from slowfast_rl.evaluation.world import properties
from slowfast_rl.evaluation.world.recovery import recovery
from slowfast_rl.evaluation.world.sweeps import HORIZONS, check_protocol, sweep
from slowfast_rl.members.loading import world_hash

WORLDS, STARTS = ("pronounced", "calibrated"), {"fresh": 0, "burned in": 8}
LADDER = ((1, 1), (3, 1), (5, 2), (5, 5), (14, 7))
LIGHT, PROBE = (1, 1), (3, 2)


def measure(options: Options) -> Results:
    """Return all measurements; a run of one world keeps what was measured of the other."""
    members, kept = options.members, options.before
    options.writes &= set(options.world) <= set(WORLDS)
    if options.writes and set(options.world) < set(WORLDS) and kept["members"] != members:
        sys.exit(f"members is {members}; the other world was measured on {kept['members']}")
    worlds = {name: of_world(sf.load_world(name), members) for name in options.world}
    if options.writes:
        worlds = {name: worlds.get(name) or kept["worlds"][name] for name in WORLDS}
    protocol = check_protocol(members, 1)
    return {
        "population_seed": protocol.population_seed,
        "luck_seed": protocol.luck_seed,
        "members": members,
        "worlds": worlds,
    }


def of_world(world, members):
    """Return all measurements of a world."""
    swept = {
        start: sweep(world, check_protocol(members, 104, weeks), progress=f"{world.name}, {start}")
        for start, weeks in STARTS.items()
    }
    after, fresh = swept["burned in"], swept["fresh"]
    fifths = {"base rate": after.base_rate, "fatigue sensitivity": after.sensitivity}
    long = check_protocol(members, 104, 8, 4)
    return {
        "channels": world.channels,
        "world_hash": world_hash(world),
        "frequency": fmt.as_json(properties.frequency(fresh, LADDER)) | {"plans": LADDER},
        "first_week": {s: first_week(world, members, weeks) for s, weeks in STARTS.items()},
        "best_plan": {s: [properties.best_plan(p, h) for h in HORIZONS] for s, p in swept.items()},
        "crossover": {s: properties.crossover(part) for s, part in swept.items()},
        "fifths": {
            name: {h: properties.by_fifth(after, trait, h, LIGHT) for h in (52, 104)}
            for name, trait in fifths.items()
        },
        "channel": properties.by_channel(after, 104),
        "recovery": recovery(world, check_protocol(members, 8, 0), PROBE),
        "hazard": properties.always_send_by_hazard(world, long),
    }


def first_week(world, members, burn_in):
    """Return the best plan on a 1-week horizon by 32 lucks, its lead measured on 128 others.

    One luck does not separate the best plans of so short a time.
    """
    protocol = check_protocol(members, 1, burn_in, 32)
    best = properties.best_plan(sweep(world, protocol, progress=f"{world.name}, 1 week"), 1)
    others = replace(protocol, streams=tuple(range(32, 160)))
    two = sweep(world, others, (best.plan, best.next_plan), f"{world.name}, best two").returns[1]
    return best._replace(over_next=mean_interval(two[0] - two[1]))


def tables(results: Results) -> str:
    """Return the verdicts of all worlds side by side, then the numbers behind them."""
    worlds = results["worlds"]
    columns = [dict(verdicts(w)) for w in worlds.values()]
    return fmt.paragraphs(
        f"`{results['command']}` wrote these tables: {results['members']} members of population "
        f"seed {results['population_seed']}, luck seed {results['luck_seed']}. Plans are push + "
        "email a week; returns are in discounted viewing days; brackets hold 95 % intervals over "
        "members, paired where plans are compared.",
        fmt.table(
            ["property", *(f"`{name}`" for name in worlds)],
            [[name, *(column[name] for column in columns)] for name in columns[0]],
        ),
        *(text for name, w in worlds.items() for text in (f"### World `{name}`", *details(w))),
    )


def verdicts(w):
    """Yield one world's properties and verdicts.

    A property fails where an interval lies on the wrong side, and is not resolved where one that
    decides holds 0.
    """
    number, points, plan = fmt.number, fmt.points, fmt.plan_text
    f, r, h = w["frequency"], w["recovery"], w["hazard"]
    falls, rises, steps = f["open_rate_steps"], f["left_steps"], h["steps"]
    base_rate = w["fifths"]["base rate"]["104"]
    lowest, *others = base_rate["responses"]

    name = "1. open rate per send falls with frequency, at every step"
    holds, fails = all(step[2] < 0 for step in falls), any(step[1] > 0 for step in falls)
    yield name, fmt.verdict(holds, fails, f"smallest fall {points(max(falls))} points")

    name = "1. cumulative opt-out rises with frequency, at every step"
    holds, fails = all(step[1] > 0 for step in rises), any(step[2] < 0 for step in rises)
    yield name, fmt.verdict(holds, fails, f"smallest rise {points(min(rises))} points")

    for start, b in w["first_week"].items():
        name = f"2. the maximum is best on a 1-week horizon, {start}"
        holds, fails = b["is_maximum"] and b["over_next"][1] > 0, b["over_maximum"][1] > 0
        text = f"{plan(b['plan'])} leads {plan(b['next_plan'])} by {number(b['over_next'], 4)}"
        yield name, fmt.verdict(holds, fails, text)

    for start, by_horizon in w["best_plan"].items():
        name = f"2. an interior plan is best on 52 weeks, {start}"
        b = next(b for b in by_horizon if b["horizon"] == 52)
        never, maximum = b["over_never"], b["over_maximum"]
        text = f"{plan(b['plan'])} leads never by {number(never)}, the maximum by {number(maximum)}"
        yield name, fmt.verdict(b["interior"], never[2] <= 0 or maximum[2] <= 0, text)
        text = f"from a horizon of {w['crossover'][start]} weeks (one luck, point estimate)"
        yield f"2. crossover: the maximum is no longer best, {start}", text

    for trait, groups in w["fifths"].items():
        g = groups["104"]
        low, high = g["low_lead"], g["high_lead"]
        text = f"lowest fifth {plan(g['plans'][0])}, leads the highest's by {number(low)}; "
        text += f"highest fifth {plan(g['plans'][-1])}, leads the lowest's by {number(high)}"
        result = fmt.verdict(g["differs"], low[2] <= 0 or high[2] <= 0, text)
        yield f"3. the best plan differs by {trait}", result

    name, channels = "3. the best frequency differs by channel", w["channel"]
    holds, fails = all(c["differs"] for c in channels), len({c["sends"] for c in channels}) == 1
    text = "; ".join(_alone(n, c) for n, c in zip(w["channels"], channels, strict=True))
    yield name, fmt.verdict(holds, fails, text)

    name = "3. response per send is lowest in the lowest fifth of the base rate"
    holds, fails = base_rate["lowest_responds_least"], lowest[1] > min(o[2] for o in others)
    text = f"{fmt.percent(lowest)} against {fmt.percent(min(others))} in the next lowest"
    yield name, fmt.verdict(holds, fails, text)

    name = "4. fatigue halves in silence as set, among the living"
    halves = zip(w["channels"], r["half_life"], r["expected"], strict=True)
    text = "; ".join(f"{c} {m:.3f} days, set {e:.3f}" for c, m, e in halves)
    yield name, fmt.verdict(r["halves_as_set"], not r["halves_as_set"], text)

    name = "4. response per send recovers in silence"
    fails = any(v[2] < 0 for v in r["regained"].values())
    text = "; ".join(f"{n} weeks {points(v)}" for n, v in r["regained"].items()) + " points"
    yield name, fmt.verdict(r["response_returns"], fails, text)

    name = "the return of always-send falls as the opt-out hazard goes ×½, ×1, ×2"
    text = " / ".join(f"{v[0]:.2f}" for v in h["returns"])
    text += f"; steps {', '.join(map(number, steps))}"
    yield name, fmt.verdict(h["holds"], any(step[1] > 0 for step in steps), text)


def _alone(name, channel):
    others = ", ".join(f"{o} by {fmt.number(v)}" for o, v in channel["over_others"].items())
    return f"{name} alone {channel['sends']} a week" + (f", leads {others}" if others else "")


def details(w):
    """Yield the numbers behind one world's verdicts."""
    channels, f, r = w["channels"], w["frequency"], w["recovery"]
    opens = [f"opens per send, {c}" for c in channels]
    left = [f"opted-in that left {c} at least once" for c in channels]
    yield "Property 1, fresh members, 104 weeks:"
    yield fmt.table(
        ["plan", *opens, *left],
        [
            [fmt.plan_text(plan), *map(fmt.percent, (*rates, *shares))]
            for plan, rates, shares in zip(f["plans"], f["open_rate"], f["left"], strict=True)
        ],
    )
    yield (
        "Property 2, best of all plans by horizon, one luck (its lead over never and over the "
        "maximum is measured on members that did not choose it; for the horizon of 1 week the "
        "table above chooses by 32 lucks and measures on 128 others):"
    )
    for start, by_horizon in w["best_plan"].items():
        yield fmt.best_plans(f"weeks, {start}", by_horizon)
    yield (
        "Property 3, by fifth, lowest first, after burn-in (response: causal opens per send under "
        f"{fmt.plan_text(LIGHT)}, 104 weeks):"
    )
    rows = []
    for name, groups in w["fifths"].items():
        for h, g in groups.items():
            rows.append([f"{name}: best plan, {h} weeks", *map(fmt.plan_text, g["plans"])])
        rows.append([f"{name}: response", *map(fmt.percent, groups["104"]["responses"])])
    yield fmt.table(["fifths by", *"12345"], rows)
    yield (
        "Property 4, causal opens per send in a week of 3 + 2, after eight weeks of the maximum "
        "and then silence, against twins that kept receiving the maximum:"
    )
    header = ["weeks of silence", "rested", "twins", "difference, points"]
    parts = [r[name].items() for name in ("rested", "unrested", "regained")]
    yield fmt.table(
        header,
        [
            (weeks, fmt.percent(rested), fmt.percent(twins), fmt.points(gain))
            for (weeks, rested), (_, twins), (_, gain) in zip(*parts, strict=True)
        ],
    )


def draw(results: Results, path: Path) -> None:
    """Draw four properties, a row per world."""
    worlds = results["worlds"]
    titles, size = [f"World: {name}" for name in worlds], (14, 3.3 * len(worlds))
    with figures.panels(path, len(worlds), 4, size, titles) as axes:
        for row, world in zip(axes, worlds.values(), strict=True):
            for ax, part in zip(row, (_frequency, _horizon, _fifths, _recovery), strict=True):
                part(ax, world)


def _frequency(ax, w):
    f, at = w["frequency"], np.arange(len(LADDER))
    for name, values, colour, offset in (
        ("opted-in that left push", f["left"], figures.ORANGE, (-9, -3)),
        ("opens per push", f["open_rate"], figures.BLUE, (0, 9)),
    ):
        v = 100 * np.array([row[0] for row in values])  # the first channel
        figures.intervals(ax, at, v, fmt="o-", color=colour)
        style = {"textcoords": "offset points", "color": colour, "ha": "right"}
        ax.annotate(name, (at[-1], v[-1, 0]), offset, **style)
    ax.set_xticks(at, [f"{p}+{e}" for p, e in f["plans"]])
    ax.set(title="1  Fewer opens, more opt-outs", ylim=(0, 75), ylabel="share (%)")
    ax.set_xlabel("plan (push + email a week)")


def _horizon(ax, w):
    for (start, best), (colour, style) in zip(
        w["best_plan"].items(), ((figures.GREY, "--"), (figures.BLUE, "-")), strict=True
    ):
        sends = [sum(b["plan"]) for b in best]
        figures.line(ax, HORIZONS, sends, color=colour, linestyle=style, label=start)
    style = {"textcoords": "offset points", "color": figures.BLUE}
    for b in w["best_plan"]["burned in"]:
        at = (b["horizon"], sum(b["plan"]))
        if b["horizon"] == 1:  # beside the axis: its label above the line, the others below
            ax.annotate("{}+{}".format(*b["plan"]), at, (4, 4), **style)
        elif b["horizon"] in (4, 13, 104):
            ax.annotate("{}+{}".format(*b["plan"]), at, (-2, -7), ha="right", va="top", **style)
    figures.log2_axis(ax, HORIZONS)
    ax.legend()
    ax.set(title="2  The longer the view, the fewer messages", xlabel="horizon (weeks)")
    ax.set(ylabel="messages a week, best plan", ylim=(0, 24), xlim=(0.6, 130))


def _fifths(ax, w):
    for name, groups in w["fifths"].items():
        figures.line(ax, range(5), [sum(p) for p in groups["104"]["plans"]], label=name)
    ax.set_xticks(range(5), ["lowest", "2", "3", "4", "highest"])
    ax.legend(title="fifths by")
    ax.set(title="3  Members differ in what suits them", xlabel="fifth of members")
    ax.set(ylabel="messages a week, best plan", ylim=(0, 24))


def _recovery(ax, w):
    fatigue = np.array(w["recovery"]["fatigue"])
    for c, (name, style) in enumerate(zip(w["channels"], ("-", "--"), strict=False)):
        label = f"{name}, half-life {w['recovery']['half_life'][c]:.1f} days"
        ax.plot(100 * fatigue[:, c] / fatigue[0, c], label=label, linestyle=style)
    figures.zero(ax, at=50, linestyle=":")
    ax.legend()
    ax.set(title="4  Silence heals", xlabel="days of silence", ylabel="fatigue left (%)")
    ax.set(ylim=(0, 100), xlim=(0, len(fatigue) - 1))


FLAGS = {
    "world": Flag(list(WORLDS), choices=sf.world_names(), selects=True),
    "members": Flag(8192, quick=256),
}
STUDY = Study(__file__, measure, tables, draw, FLAGS, figure="properties")

if __name__ == "__main__":
    STUDY.run()
