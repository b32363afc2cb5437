"""The measurements as Markdown."""

from typing import Any

from slowfast_rl.evaluation.markdown import number, percent, plan_text, table

MARKS = {True: "holds", False: "**fails**", None: "not resolved"}
SEGMENTS = ("casual", "regular", "heavy")


def tables(results: dict[str, Any]) -> str:
    """Return properties 5 and 6, then every case's verdicts, then what does not hold."""
    worlds = results["worlds"]
    lines = [
        f"`{results['command']}` wrote these tables: {results['members']} members of population "
        f"seed {results['population_seed']} (confounding and ranking: sixteen times as many, 26 "
        f"weeks), {results['lucks']} lucks, three quarters of which choose plans. Brackets hold "
        "95 % intervals over members. A finding is not resolved where an interval that decides "
        "holds 0.",
        "",
        "### Property 5: confounding",
        "",
        "Members get a plan by their viewing of the last weeks (30 % get one at random). Slopes "
        "are per message a week, over members as the log has them and over each member's branches:",
        "",
        *_confounding(worlds),
        "",
        "### Property 6: who opens is not who gains",
        "",
        "Open rates are logged before; uplift is what 26 weeks of 3 + 2 add to viewing, in days:",
        "",
        *_ranking(worlds),
    ]
    for name, cases in worlds.items():
        lines += ["", f"### Properties 7 and 8 in `{name}`", "", *_verdicts(cases)]
        lines += ["", *_failures(cases)]
    return "\n".join(lines)


def _confounding(worlds: dict[str, Any]) -> list[str]:
    return table(
        ["world", "outcome", "logged", "caused", "overstated by", ""],
        [
            [
                f"`{name}`",
                outcome,
                *(number([scale * x for x in c[key]], 3) for key in PARTS),
                MARKS[c["holds"]],
            ]
            for name, cases in worlds.items()
            for outcome, scale, c in (
                ("viewing days a week", 1, cases[0]["confounding"]["viewing"]),
                ("points of retention after 26 weeks", 100, cases[0]["confounding"]["retention"]),
            )
        ],
    )


PARTS = ("logged", "caused", "overstated")


def _ranking(worlds: dict[str, Any]) -> list[str]:
    rows = []
    for name, cases in worlds.items():
        r = cases[0]["ranking"]
        rows += [
            [f"`{name}`", f"open rate, {s}", percent(v)]
            for s, v in zip(SEGMENTS, r["open_rate"], strict=True)
        ]
        rows += [
            [f"`{name}`", f"uplift, {s}", number(v)]
            for s, v in zip(SEGMENTS, r["uplift"], strict=True)
        ]
        rows += [
            [f"`{name}`", what, number(r[key])]
            for what, key in (
                ("heavy: open rate minus uplift, each as a multiple of the mean", "over_credit"),
                (
                    "heavy: uplift of the half that opens more",
                    "by_open_rate",
                ),
                ("heavy: uplift of the half that gains more (by other lucks)", "by_uplift"),
                ("heavy: lost by ranking on opens", "lost"),
            )
        ]
        rows += [
            [f"`{name}`", f"verdict: {finding}", MARKS[cases[0]["verdicts"][finding]]]
            for finding in ("over-credit", "wrong pick")
        ]
    return table(["world", "quantity", "measured"], rows)


def _verdicts(cases: list[dict[str, Any]]) -> list[str]:
    names = list(cases[0]["verdicts"])
    return table(
        ["changed", "to", "best plan", "on 1 week", "gap", *names],
        [
            [
                case["group"],
                case["name"],
                plan_text(case["best"]["plan"]),
                plan_text(case["tension"]["near_plan"]),
                "–" if case["gap"]["relative"] is None else percent(case["gap"]["relative"], 1),
                *(MARKS[case["verdicts"][name]] for name in names),
            ]
            for case in cases
        ],
    )


def _failures(cases: list[dict[str, Any]]) -> list[str]:
    rows = [
        [case["group"], case["name"], name, MARKS[verdict], number(worst(case, name), 4)]
        for case in cases
        for name, verdict in case["verdicts"].items()
        if verdict is not True
    ]
    if not rows:
        return ["Every finding holds in every case."]
    return [
        "What does not hold, with the lead that decides (it would have to lie above 0):",
        "",
        *table(["changed", "to", "finding", "", "lead"], rows),
    ]


def worst(case: dict[str, Any], name: str) -> list[float]:
    """Return the lead that decides: of those of a finding, the one least above 0."""
    leads: list[list[float]] = case["leads"][name]
    return min(leads, key=lambda lead: lead[1])
