"""The results as Markdown tables."""

from typing import Any

import numpy as np

COLUMNS = {
    "sends": ("sends a week", "{:.2f}"),
    "relevance": ("relevance of a send", "{:.3f}"),
    "best": ("most relevant of the four", "{:.3f}"),
    "open_rate": ("opens per send", "{:.4f}"),
    "response": ("response per send", "{:.4f}"),
}
ARMS = {"threshold": "global threshold, no plan", "plan": "plan (push + email), exact pacer"}


def tables(results: dict[str, Any]) -> str:
    """Return the first seed's sweeps and all seeds' elasticities."""
    runs, members = results["runs"], results["members"]
    first = runs[0]
    lines = [
        f"`{results['command']}` wrote these tables: world `{results['world']}`, {members} members "
        f"that training never sees, {results['weeks']} weeks after the burn-in, one luck; ± is the "
        f"95 % interval over members. The causal model was trained on seed {first['seed']}.",
        "",
        f"| setting | {' | '.join(name for name, _ in COLUMNS.values())} |",
        f"| {'--- | ' * (len(COLUMNS) + 1)}".rstrip(),
    ]
    for arm, title in ARMS.items():
        lines.append(f"| **{title}** |{' |' * len(COLUMNS)}")
        for row in first[arm]:
            cells = [_cell(row[k], shown) for k, (_, shown) in COLUMNS.items()]
            lines.append(f"| {row['label']} | {' | '.join(cells)} |")
    lines += [
        "",
        "How much each measure moves when sends double (percent, by regression of logarithms over "
        "the sweep's settings), per training seed:",
        "",
        "| arm | seed | relevance of a send | opens per send | response per send |",
        "| --- | --- | --- | --- | --- |",
    ]
    for arm in ARMS:
        for run in runs:
            moved = [
                f"{doubling(run[arm], k):+.1f} %" for k in ("relevance", "open_rate", "response")
            ]
            lines.append(f"| {arm} | {run['seed']} | {' | '.join(moved)} |")
    return "\n".join(lines)


def doubling(rows: list[dict[str, Any]], measure: str) -> float:
    """Return by how many percent a measure moves when sends double."""
    sends = np.log2([row["sends"][0] for row in rows])
    slope = np.polyfit(sends, np.log2([row[measure][0] for row in rows]), 1)[0]
    return float(100 * (2**slope - 1))


def _cell(interval: list[float], shown: str) -> str:
    return f"{shown.format(interval[0])} ± {shown.format(interval[2] - interval[0])}"
