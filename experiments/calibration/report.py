"""The measurements as Markdown."""

from typing import Any

from targets import LIFT, MENU_LUCKS, PLAN, TARGETS

from slowfast_rl.evaluation.markdown import number, percent, plan_text, table


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
            *(f"{value:g}" for value in move["values"].values()),
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
                    *(f"`{name}`" for name in searched["moves"][0]["values"]),
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
