"""How often to write, by how far one looks; and when looking far has paid.

python experiments/horizon/run.py [--quick] [--members 2048]
"""

from dataclasses import replace
from pathlib import Path

from limits import limit_worlds

import slowfast_rl as sf
from slowfast_rl.evaluation import figures
from slowfast_rl.evaluation import formatting as fmt
from slowfast_rl.evaluation.studies import Flag, Options, Results, Study
from slowfast_rl.evaluation.world.horizons import cumulative_reward, overtaking, tension
from slowfast_rl.evaluation.world.properties import best_plan, crossover
from slowfast_rl.evaluation.world.sweeps import CHECK_POPULATION, HORIZONS, check_protocol, sweep

WORLDS, STARTS = ("pronounced", "calibrated"), {"fresh": 0, "burned in": 8}
SHORT = 8  # weeks up to which more lucks separate the plans
NEAR, FAR = (1, 2, 4, 8, 13, 26), 104
LUCKS = {SHORT: 16, FAR: 2}
DRAWN = {1: figures.ORANGE, 4: figures.GREEN, 13: figures.BLUE}  # races, by the near horizon


def measure(options: Options) -> Results:
    """Return best plans by horizon, fresh and burned in, races between them, and limit worlds."""
    return {
        "members": options.members,
        "population_seed": CHECK_POPULATION,
        "worlds": {
            name: {
                start: by_horizon(sf.load_world(name), options.members, weeks)
                for start, weeks in STARTS.items()
            }
            for name in WORLDS
        },
        "limits": limit_worlds(options.members // 4),
    }


def by_horizon(world, members, burn_in):
    """Return the best plan on each horizon, and each near-sighted one's race on other members."""
    name = f"{world.name}, {burn_in} weeks burned in"
    protocols = {weeks: check_protocol(members, weeks, burn_in, n) for weeks, n in LUCKS.items()}
    swept = {weeks: sweep(world, p, progress=name) for weeks, p in protocols.items()}
    best = {h: best_plan(swept[SHORT if h <= SHORT else FAR], h) for h in HORIZONS}
    seed = CHECK_POPULATION + 1
    others = replace(protocols[FAR], num_members=4 * members, population_seed=seed)
    totals = {p: cumulative_reward(world, others, p) for p in {b.plan for b in best.values()}}
    return {
        "best": list(best.values()),
        "maximum_loses_from": crossover(swept[FAR]),
        "tension": tension(swept[FAR], 1, 52),
        "races": [
            {"near": near, "far": far, "near_plan": best[near].plan, "far_plan": best[far].plan}
            | fmt.as_json(overtaking(totals[best[far].plan], totals[best[near].plan]))
            for far in ((FAR,) if best[52].plan == best[FAR].plan else (52, FAR))
            for near in NEAR
            if best[near].plan != best[far].plan
        ],
    }


def tables(results: Results) -> str:
    """Return the best plans by horizon, the races, and the limit worlds."""
    return fmt.paragraphs(
        f"`{results['command']}` wrote these tables: {results['members']} members of population "
        f"seed {results['population_seed']}, 2 lucks (16 for horizons up to 8 weeks). Plans are "
        "push + email a week; returns are in discounted viewing days. Brackets hold 95 % intervals "
        "over members; leads over never and the maximum are those of members that did not choose "
        "the plan.",
        *(
            text
            for name, starts in results["worlds"].items()
            for start, part in starts.items()
            for text in (f"### World `{name}`, {start}", *_best_and_races(part))
        ),
        "### Limit worlds",
        fmt.table_of(
            "world | known answer | shows | best plan by horizon in weeks",
            "`{world}` | {expected} | {shows} | {found}",
            [
                {"world": n, "shows": "yes" if w["holds"] else "**no**", "found": _found(w)} | w
                for n, w in results["limits"].items()
            ],
        ),
    )


def _best_and_races(part):
    t = part["tension"]
    yield fmt.best_plans("horizon, weeks", part["best"])
    yield (
        f"The maximum is no longer best from a horizon of {part['maximum_loses_from']} weeks on "
        f"(point estimate). One week against 52: {fmt.plan_text(t['near_plan'])} leads by "
        f"{fmt.number(t['near_lead'])} on one week and trails {fmt.plan_text(t['far_plan'])} by "
        f"{fmt.number(t['far_lead'])} on 52."
    )
    yield (
        "Executed forever by other members (four times as many), the far-sighted plan's cumulative "
        "reward passes the near-sighted one's for good:"
    )
    yield fmt.table_of(
        "best on (weeks) | is | against best on | is | passed after week | interval | "
        "furthest behind | ahead after 104 weeks",
        "{near} | {near_plan:+} | {far} | {far_plan:+} | {week} | {earliest} to {latest} | "
        "{behind:+.2i} | {ahead:+.2i}",
        [
            race
            | {name: race[name] or "never" for name in ("week", "earliest", "latest")}
            | {"behind": min(race["difference"]), "ahead": race["difference"][-1]}
            for race in part["races"]
        ],
    )


def _found(limit):
    found = ", ".join(f"{fmt.plan_text(b['plan'])} on {b['horizon']}" for b in limit["best"])
    if "gap" in limit:
        found += f"; personal plans gain {fmt.number(limit['gap']['gain'])} on 52 weeks"
    if "plans" in limit:
        (hardly, soon), leads = map(fmt.plan_text, limit["plans"]), limit["leads"]
        found += f"; who hardly tires {hardly} (leads the other's by {fmt.number(leads[0])}), "
        found += f"who tires {soon} ({fmt.number(leads[1])})"
    return found


def draw(results: Results, path: Path) -> None:
    """Draw the best frequency by horizon and the races over 104 weeks, a row per world."""
    worlds = results["worlds"]
    titles = [f"World: {name}" for name in worlds]
    size = (13, 3.4 * len(worlds))
    with figures.panels(path, len(worlds), 3, size, titles) as axes:
        for (first, *others), starts in zip(axes, worlds.values(), strict=True):
            colours = (figures.GREY, figures.BLUE)
            for (start, part), colour in zip(starts.items(), colours, strict=True):
                sends = [sum(b["plan"]) for b in part["best"]]
                figures.line(first, HORIZONS, sends, color=colour, label=start)
            figures.log2_axis(first, HORIZONS)
            first.legend()
            first.set(title="Best frequency by horizon", xlabel="horizon (weeks)")
            first.set(ylabel="messages a week", ylim=(0, 22))
            for ax, (start, part) in zip(others, starts.items(), strict=True):
                _races(ax, part["races"])
                ax.set_title(f"When the far-sighted plan is ahead, {start}")


def _races(ax, races):
    drawn = []
    figures.zero(ax)
    for race in races:
        if race["far"] != FAR or race["near"] not in DRAWN or race["near_plan"] in drawn:
            continue
        drawn.append(race["near_plan"])
        style, weeks = {"color": DRAWN[race["near"]]}, range(1, FAR + 1)
        far, near = ("{}+{}".format(*race[plan]) for plan in ("far_plan", "near_plan"))
        label = f"{far} minus {near} (best on {race['near']})"
        figures.line(ax, weeks, race["difference"], marker="", label=label, **style)
        if race["week"] is not None:
            ax.plot([race["week"]], [race["difference"][race["week"] - 1][0]], "o", **style)
    ax.legend(loc="upper left")
    ax.set(xlabel="week", ylabel="cumulative viewing days ahead")


STUDY = Study(__file__, measure, tables, draw, {"members": Flag(2048, quick=64)})

if __name__ == "__main__":
    STUDY.run()
