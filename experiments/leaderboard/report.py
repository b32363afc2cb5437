"""What was measured, summed up, and as Markdown."""

from pathlib import Path
from typing import Any

import numpy as np
from agents import AGENTS

from slowfast_rl.evaluation.references import References
from slowfast_rl.evaluation.statistics import mean_interval, ratio_interval

FIRST = "slowfast"


def summary(
    kept: Path, worlds: list[str], references: dict[str, References | None]
) -> dict[str, Any]:
    """Return every agent's numbers; differences are the first agent's lead, seed by seed."""
    return {
        "command": "python experiments/leaderboard/run.py",
        "worlds": {
            world: [
                row
                for name in AGENTS
                for path in sorted(kept.glob(f"{world}-{name}-[0-9]*.npz"))
                for row in [_row(kept, world, name, int(path.stem.split("-")[-1]), references)]
            ]
            for world in worlds
        },
    }


def _row(
    kept: Path, world: str, name: str, seed: int, references: dict[str, References | None]
) -> dict[str, Any]:
    with np.load(kept / f"{world}-{name}-{seed}.npz") as file:
        own, default = file["own"], file["default"]
        row: dict[str, Any] = {
            "agent": name,
            "seed": seed,
            "return": list(mean_interval(own)),
            "sends": file["sends"].tolist(),
            "churn": float(file["churn"]),
            "cpu_seconds": float(file["cpu_seconds"]),
            "opportunities": int(file["opportunities"]),
        }
    known = references[world]
    if known is not None:
        gap = ratio_interval(default - known.best_fixed, known.oracle - known.best_fixed)
        row["gap_closed"] = None if gap is None else list(gap)
        row["over_best_fixed"] = list(mean_interval(own - known.best_fixed))
        row["own_over_default_executor"] = list(mean_interval(own - default))
    leads: list[list[float]] = []
    planners: list[list[float]] = []  # the same of plans alone, run by the default executor
    for first in sorted(kept.glob(f"{world}-{FIRST}-[0-9]*.npz")):
        if AGENTS[name].seeds is None and int(first.stem.split("-")[-1]) != seed:
            continue
        with np.load(first) as file:
            leads.append(list(mean_interval(file["own"] - own)))
            planners.append(list(mean_interval(file["default"] - default)))
    return row | {"lead": leads, "planner_lead": planners}


def tables(results: dict[str, Any]) -> str:
    """Return a table for each world."""
    lines = [f"`{results['command']}` wrote these tables."]
    for world, rows in results["worlds"].items():
        lines += [
            "",
            f"### `{world}`",
            "",
            "| agent | seed | return | gap closed | slowfast's lead | its executor's lead over the "
            "default one | sends a week | CPU-s | million opportunities |",
            "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
        ]
        for row in rows:
            executor = row.get("own_over_default_executor")
            cells = [
                row["agent"],
                str(row["seed"]) if AGENTS[row["agent"]].seeds is None else "–",
                _interval(row["return"], 2),
                _interval(row.get("gap_closed"), 3),
                "; ".join(_interval(lead, 2) for lead in row["lead"])
                if row["agent"] != FIRST
                else "–",
                _interval(executor, 2) if executor != [0, 0, 0] else "–",
                " + ".join(f"{value:.1f}" for value in row["sends"]),
                f"{row['cpu_seconds']:.0f}",
                f"{row['opportunities'] / 1e6:.0f}",
            ]
            lines.append(f"| {' | '.join(cells)} |")
        lines += ["", *_means(rows)]
    return "\n".join(lines)


def headline(results: dict[str, Any], world: str = "pronounced") -> str:
    """Return one line for each agent of a world, seeds side by side, as Markdown."""
    rows = results["worlds"][world]
    lines = [
        f"`{results['command']}`, world `{world}`: 2,048 members that training never sees, 4 "
        "lucks, 104 weeks; a number for each training seed, 95 % intervals paired over members.",
        "",
        "| agent | return | gap closed | lead of `slowfast` | training CPU-seconds |",
        "| --- | --- | --- | --- | --- |",
    ]
    by_agent = {name: [row for row in rows if row["agent"] == name] for name in AGENTS}
    for name, seeds in sorted(
        by_agent.items(), key=lambda item: -np.mean([r["return"][0] for r in item[1]] or [0])
    ):
        if not seeds:
            continue
        leads = [lead for row in seeds for lead in row["lead"]]
        cells = [
            f"`{name}`: {AGENTS[name].what}",
            " / ".join(f"{row['return'][0]:.2f}" for row in seeds),
            " / ".join(f"{row['gap_closed'][0]:.3f}" for row in seeds if row["gap_closed"]),
            "–" if name == FIRST else "; ".join(_interval(lead, 2) for lead in leads),
            " / ".join(f"{row['cpu_seconds']:.0f}" for row in seeds),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _means(rows: list[dict[str, Any]]) -> list[str]:
    """Return a list of mean gaps over seeds, for agents with several."""
    lines = []
    for name in AGENTS:
        gaps = [row["gap_closed"][0] for row in rows if row["agent"] == name and row["gap_closed"]]
        if len(gaps) > 1:
            lines.append(f"- `{name}`: mean gap closed {np.mean(gaps):.3f} over {len(gaps)} seeds")
    return lines


def _interval(values: list[float] | None, digits: int) -> str:
    if values is None:
        return "–"
    mean, low, high = values
    return f"{mean:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"
