"""The results as Markdown."""

from typing import Any


def tables(results: dict[str, Any]) -> str:
    """Return the sweep of each world, the power calculation and the learned effects' errors."""
    lines = [
        f"`{results['command']}` wrote these tables. The planner learns from logs of "
        f"{results['log_members']} members over {results['log_weeks']} weeks, seeds "
        f"{', '.join(map(str, results['seeds']))}; returns are of {results['members']} members of "
        f"population seed {results['population_seed']}, {results['lucks']} lucks, "
        f"{results['weeks']} weeks, default executor, as the difference to the best fixed plan "
        "(found on population 78), mean over seeds with its paired 95 % interval over members. "
        "Sends are per living member and week; in brackets as a share of always-send's.",
    ]
    for name, w in results["worlds"].items():
        lines += ["", f"### World `{name}`", "", *_sweep(w)]
    lines += ["", "### How many member-weeks identify an opt-out effect", "", *_power(results)]
    lines += ["", "### What the planner's model learned of each component", ""]
    return "\n".join([*lines, *_learned(results["learned"])])


def _sweep(w: dict[str, Any]) -> list[str]:
    s = w["sweep"]
    most, windows = s["always_sends"], s["windows"]
    names = list(next(iter(windows.values())))
    rows = []
    for case in names:
        cells = [windows[window][case] for window in windows]
        rows.append([case, *(f"{_ends(c['gain'])}; {_sends(c['sends'], most)}" for c in cells)])
    return [
        f"Best fixed plan {_plan(w['best_fixed'])}: {s['return']:.2f}. Never {_ends(s['never'])}, "
        f"always {_ends(s['always'])} with {most:.1f} sends.",
        "",
        *_table(["cost per message", *(f"window {window} weeks" for window in windows)], rows),
    ]


def _power(results: dict[str, Any]) -> list[str]:
    rows = [
        [
            f"`{name}`",
            p["channel"],
            f"{_plan(p['plan'])} → {_plan(p['other'])}",
            f"{100 * p['rates'][0]:.3f} % → {100 * p['rates'][1]:.3f} %",
            f"{p['member_weeks']:,.0f}",
            f"{100 * p['member_weeks']:,.0f}",
        ]
        for name, w in results["worlds"].items()
        for p in w["power"]
    ]
    header = ["world", "channel", "plans", "opt-outs a week, of the opted-in"]
    header += ["member-weeks per plan: the average", "... for each of 100 kinds of members"]
    return [
        "Two-sided 5 %, power 80 %, no model; rates measured on the same twins.",
        "",
        *_table(header, rows),
    ]


def _learned(learned: dict[str, Any]) -> list[str]:
    names = list(learned["effects"])
    rows = [
        [
            f"{row['member_weeks']:,}",
            *(
                f"{_mean(row[n]['bias']) / learned['effects'][n]:+.0%}, "
                f"{_mean(row[n]['explained']):+.2f} ({_range(row[n]['explained'])})"
                for n in names
            ),
        ]
        for row in learned["sizes"]
    ]
    true = ["true mean effect", *(f"{learned['effects'][n]:+.4f}" for n in names)]
    return [
        f"World `pronounced`, the effect of the maximum against never over {learned['window']} "
        f"weeks on {learned['members']} members opted in to all channels, against twins. Each "
        "cell: error of the mean effect; share of the effect's variance over members that is "
        "explained (1 is perfect, 0 no better than one number for all), mean and range over seeds.",
        "",
        *_table(["member-weeks of logs", *(n.replace("_", " ") for n in names)], [true, *rows]),
    ]


def _table(header: list[str], rows: list[list[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (header, ["---"] * len(header), *rows)]


def _plan(plan: list[int]) -> str:
    return " + ".join(str(sends) for sends in plan)


def _sends(sends: float, most: float) -> str:
    return f"{sends:.1f} ({sends / most:.0%})"


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def _range(values: list[float]) -> str:
    return f"{min(values):+.2f} to {max(values):+.2f}"


def _ends(v: list[float]) -> str:
    return f"{v[0]:+.2f} [{v[1]:+.2f}, {v[2]:+.2f}]"
