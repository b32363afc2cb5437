"""The measurements as Markdown."""

from typing import Any

from slowfast_rl.evaluation.markdown import number, plan_text, table


def tables(results: dict[str, Any]) -> str:
    """Return the best plans by horizon, the races, and the limit worlds."""
    lines = [
        f"`{results['command']}` wrote these tables: {results['members']} members of population "
        f"seed {results['population_seed']}, 2 lucks (16 for horizons up to 8 weeks). Plans are "
        "push + email a week; returns are in discounted viewing days. Brackets hold 95 % intervals "
        "over members; leads over never and the maximum are those of members that did not choose "
        "the plan.",
    ]
    for name, starts in results["worlds"].items():
        for start, part in starts.items():
            lines += ["", f"### World `{name}`, {start}", "", *_best(part), "", *_races(part)]
    lines += ["", "### Limit worlds", "", *_limits(results["limits"])]
    return "\n".join(lines)


def _best(part: dict[str, Any]) -> list[str]:
    t, loses = part["tension"], part["maximum_loses_from"]
    return [
        *table(
            ["horizon, weeks", "best plan", "over never", "over the maximum", "second", "over it"],
            [
                [
                    str(b["horizon"]),
                    plan_text(b["plan"]),
                    number(b["over_never"]),
                    number(b["over_maximum"]),
                    plan_text(b["next_plan"]),
                    number(b["over_next"], 3),
                ]
                for b in part["best"]
            ],
        ),
        "",
        f"The maximum is no longer best from a horizon of {loses} weeks on (point estimate). One "
        f"week against 52: {plan_text(t['near_plan'])} leads by {number(t['near_lead'])} on one "
        f"week and trails {plan_text(t['far_plan'])} by {number(t['far_lead'])} on 52.",
    ]


def _races(part: dict[str, Any]) -> list[str]:
    return [
        "Executed forever by other members (four times as many), the far-sighted plan's cumulative "
        "reward passes the near-sighted one's for good:",
        "",
        *table(
            [
                "best on (weeks)",
                "is",
                "against best on",
                "is",
                "passed after week",
                "interval",
                "furthest behind",
                "ahead after 104 weeks",
            ],
            [
                [
                    str(race["near"]),
                    plan_text(race["near_plan"]),
                    str(race["far"]),
                    plan_text(race["far_plan"]),
                    _week(race["week"]),
                    f"{_week(race['earliest'])} to {_week(race['latest'])}",
                    number(min(race["difference"])),
                    number(race["difference"][-1]),
                ]
                for race in part["races"]
            ],
        ),
    ]


def _week(week: int | None) -> str:
    return "never" if week is None else str(week)


def _limits(limits: dict[str, Any]) -> list[str]:
    rows = []
    for name, limit in limits.items():
        found = ", ".join(f"{plan_text(b['plan'])} on {b['horizon']}" for b in limit["best"])
        if "gap" in limit:
            found += f"; personal plans gain {number(limit['gap']['gain'])} on 52 weeks"
        if "plans" in limit:
            hardly, soon = map(plan_text, limit["plans"])
            found += (
                f"; who hardly tires {hardly} (leads the other's by {number(limit['leads'][0])}), "
                f"who tires {soon} ({number(limit['leads'][1])})"
            )
        rows.append([f"`{name}`", limit["expected"], "yes" if limit["holds"] else "**no**", found])
    return table(["world", "known answer", "shows", "best plan by horizon in weeks"], rows)
