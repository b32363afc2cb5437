"""The measurements as Markdown."""

from typing import Any

from targets import LIFT, MENU_LUCKS, PLAN, REPORT_WEEKS, RUN_MEMBERS, TARGETS

from slowfast_rl.evaluation.markdown import number, percent, plan_text, table


def tables(results: dict[str, Any], searched: dict[str, Any]) -> str:
    """Return the targets, what planning is worth, and the worlds that the search tried."""
    lift, gap = results["lift"], results["gap"]
    rows = [
        [t.quantity, t.says, percent(v, 3 if t.high < 0.01 else 2), met(t.met(v[0])), t.source]
        for t, v in zip((*TARGETS, LIFT), (*results["measured"], lift), strict=True)
    ]
    tried = [
        [
            move["why"],
            *(f"{value:g}" for value in move["values"].values()),
            *(f"{100 * share:.2f} %" for share in move["measured"].values()),
            f"{move['miss']:.2f}",
        ]
        for move in searched["tried"]
    ]
    first = searched["tried"][0]
    names = [*(f"`{name}`" for name in first["values"]), *first["measured"]]
    return "\n".join(
        [
            f"`{results['command']}` wrote these tables: {results['runs']} runs of {RUN_MEMBERS} "
            f"members each (seeds from {results['first_seed']}) under {plan_text(PLAN)} a week, "
            f"{REPORT_WEEKS} weeks after 8 (activity: the first 28 days of them), with 95 % "
            f"intervals over runs. The lift: {results['lift_members']} members that did not choose "
            "the plan, 104 weeks after 8 of random plans, 4 lucks, with an interval over members.",
            "",
            *table(["quantity", "target", "measured", "met", "source"], rows),
            "",
            f"What planning is worth there: the best fixed plan is {plan_text(gap['best_fixed'])}; "
            f"personal constant plans, chosen on {MENU_LUCKS[0]} other lucks, gain "
            f"{number(gap['gain'])} discounted viewing days over it, {percent(gap['relative'])} "
            f"({results['menu_members']} members; the leaderboard's protocol has more lucks and "
            "members).",
            "",
            f"`{searched['command']}` found the values, by {searched['runs']} runs with seeds from "
            f"{searched['first_seed']}. Every world that it tried (miss: the sum of squared "
            "distances from the targets, in units of half of what rounds to them; 1.3 is the "
            "least, because the survey's shares add up to 99 %):",
            "",
            *table(["", *names, "miss"], tried),
        ]
    )


def met(holds: bool) -> str:
    """Return a verdict."""
    return "yes" if holds else "**no**"
