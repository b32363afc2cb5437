"""The measurements as Markdown."""

from typing import Any

from slowfast_rl.evaluation.markdown import number, percent, plan_text, points, says, table


def tables(results: dict[str, Any]) -> str:
    """Return the verdicts of all worlds side by side, then the numbers behind them."""
    worlds = results["worlds"]
    lines = [
        f"`{results['command']}` wrote these tables: {results['members']} members of population "
        f"seed {results['population_seed']}, luck seed {results['luck_seed']}. Plans are push + "
        "email a week; returns are in discounted viewing days; brackets hold 95 % intervals over "
        "members, paired where plans are compared.",
        "",
        *table(["property", *(f"`{name}`" for name in worlds)], _verdicts(worlds)),
    ]
    for name, w in worlds.items():
        lines += ["", f"### World `{name}`", "", *_details(w)]
    return "\n".join(lines)


def _verdicts(worlds: dict[str, Any]) -> list[list[str]]:
    columns = [_verdict_column(w) for w in worlds.values()]
    return [[name, *(c[name] for c in columns)] for name in columns[0]]


def _verdict_column(w: dict[str, Any]) -> dict[str, str]:
    """Return one world's verdicts.

    A property fails where an interval lies on the wrong side, and is not resolved where one that
    decides holds 0.
    """
    f, response = w["frequency"], w["fifths"]["base rate"]["104"]["responses"]
    r, h = w["recovery"], w["hazard"]
    cells = {
        "1. open rate per send falls with frequency, at every step": says(
            all(s[2] < 0 for s in f["open_rate_steps"]),
            any(s[1] > 0 for s in f["open_rate_steps"]),
            f"smallest fall {points(max(f['open_rate_steps']))} points",
        ),
        "1. cumulative opt-out rises with frequency, at every step": says(
            all(s[1] > 0 for s in f["left_steps"]),
            any(s[2] < 0 for s in f["left_steps"]),
            f"smallest rise {points(min(f['left_steps']))} points",
        ),
    }
    for start, best in w["first_week"].items():
        cells[f"2. the maximum is best on a 1-week horizon, {start}"] = says(
            best["is_maximum"] and best["over_next"][1] > 0,
            best["over_maximum"][1] > 0,
            f"{plan_text(best['plan'])} leads {plan_text(best['next_plan'])} by "
            f"{number(best['over_next'], 4)}",
        )
    for start, by_horizon in w["best_plan"].items():
        best = next(b for b in by_horizon if b["horizon"] == 52)
        cells[f"2. an interior plan is best on 52 weeks, {start}"] = says(
            best["interior"],
            best["over_never"][2] <= 0 or best["over_maximum"][2] <= 0,
            f"{plan_text(best['plan'])} leads never by {number(best['over_never'])}, "
            f"the maximum by {number(best['over_maximum'])}",
        )
        cells[f"2. crossover: the maximum is no longer best, {start}"] = (
            f"from a horizon of {w['crossover'][start]} weeks (one luck, point estimate)"
        )
    for name, groups in w["fifths"].items():
        g = groups["104"]
        cells[f"3. the best plan differs by {name}"] = says(
            g["differs"],
            g["low_lead"][2] <= 0 or g["high_lead"][2] <= 0,
            f"lowest fifth {plan_text(g['plans'][0])}, leads the highest's by "
            f"{number(g['low_lead'])}; highest fifth {plan_text(g['plans'][-1])}, "
            f"leads the lowest's by {number(g['high_lead'])}",
        )
    cells["3. the best frequency differs by channel"] = says(
        all(c["differs"] for c in w["channel"]),
        len({c["sends"] for c in w["channel"]}) == 1,
        "; ".join(_alone(n, c) for n, c in zip(w["channels"], w["channel"], strict=True)),
    )
    cells["3. response per send is lowest in the lowest fifth of the base rate"] = says(
        w["fifths"]["base rate"]["104"]["lowest_responds_least"],
        response[0][1] > min(other[2] for other in response[1:]),
        f"{percent(response[0])} against {percent(min(response[1:]))} in the next lowest",
    )
    halves = zip(w["channels"], r["half_life"], r["expected"], strict=True)
    cells["4. fatigue halves in silence as set, among the living"] = says(
        r["halves_as_set"],
        not r["halves_as_set"],
        "; ".join(f"{c} {m:.3f} days, set {e:.3f}" for c, m, e in halves),
    )
    cells["4. response per send recovers in silence"] = says(
        r["response_returns"],
        any(v[2] < 0 for v in r["regained"].values()),
        "; ".join(f"{weeks} weeks {points(v)}" for weeks, v in r["regained"].items()) + " points",
    )
    cells["the return of always-send falls as the opt-out hazard goes ×½, ×1, ×2"] = says(
        h["holds"],
        any(s[1] > 0 for s in h["steps"]),
        " / ".join(f"{v[0]:.2f}" for v in h["returns"])
        + f"; steps {', '.join(number(s) for s in h['steps'])}",
    )
    return cells


def _details(w: dict[str, Any]) -> list[str]:
    channels, f = w["channels"], w["frequency"]
    lines = [
        "Property 1, fresh members, 104 weeks:",
        "",
        *table(
            [
                "plan",
                *(f"opens per send, {c}" for c in channels),
                *(f"opted-in that left {c} at least once" for c in channels),
            ],
            [
                [plan_text(plan), *map(percent, opens), *map(percent, left)]
                for plan, opens, left in zip(f["plans"], f["open_rate"], f["left"], strict=True)
            ],
        ),
        "",
        "Property 2, best of all plans by horizon, one luck (its lead over never and over the "
        "maximum is measured on members that did not choose it; for the horizon of 1 week the "
        "table above chooses by 32 lucks and measures on 128 others):",
        "",
    ]
    for start, by_horizon in w["best_plan"].items():
        lines += table(
            [f"weeks, {start}", "best plan", "over never", "over the maximum", "second", "over it"],
            [
                [
                    str(b["horizon"]),
                    plan_text(b["plan"]),
                    number(b["over_never"]),
                    number(b["over_maximum"]),
                    plan_text(b["next_plan"]),
                    number(b["over_next"], 3),
                ]
                for b in by_horizon
            ],
        )
        lines.append("")
    lines += [
        "Property 3, by fifth, lowest first, after burn-in (response: causal opens per send under "
        f"{plan_text([1, 1])}, 104 weeks):",
        "",
        *table(
            ["fifths by", *(str(i) for i in range(1, 6))],
            [
                row
                for name, groups in w["fifths"].items()
                for row in (
                    *(
                        [f"{name}: best plan, {h} weeks", *map(plan_text, g["plans"])]
                        for h, g in groups.items()
                    ),
                    [f"{name}: response", *map(percent, groups["104"]["responses"])],
                )
            ],
        ),
        "",
        "Property 4, causal opens per send in a week of 3 + 2, after eight weeks of the maximum "
        "and then silence, against twins that kept receiving the maximum:",
        "",
        *table(
            ["weeks of silence", "rested", "twins", "difference, points"],
            [
                [weeks, percent(rested), percent(unrested), points(gain)]
                for (weeks, rested), unrested, gain in zip(
                    w["recovery"]["rested"].items(),
                    w["recovery"]["unrested"].values(),
                    w["recovery"]["regained"].values(),
                    strict=True,
                )
            ],
        ),
    ]
    return lines


def _alone(name: str, channel: dict[str, Any]) -> str:
    others = ", ".join(f"{o} by {number(v)}" for o, v in channel["over_others"].items())
    return f"{name} alone {channel['sends']} a week" + (f", leads {others}" if others else "")
