"""The measurements as Markdown."""

from typing import Any

Interval = list[float]  # mean, low, high


def tables(results: dict[str, Any]) -> str:
    """Return a table of pacers and one of shapes, each with every row that was measured."""
    r = results
    channels, shapes = " + ".join(r["channels"]), r["shapes"]
    return "\n".join(
        [
            f"`{r['command']}` wrote these tables: world `{r['world']}`, {r['members']} members of "
            f"population seed {r['population_seed']}, {r['lucks']} lucks, {r['weeks']} weeks; "
            "brackets hold 95 % intervals over members, paired where policies are compared. What "
            f"learns was fitted on training seeds {', '.join(map(str, r['seeds']))}: the return is "
            f"the mean of the fits, whose own differences are in the last column. Plans are "
            f"{channels} a week; sends and opens are logged, per living member and per send.",
            "",
            *_table(
                [
                    "plan", "ranker", "pacer", "return", "minus exact", "minus exact + quality",
                    "sends a week", "opens", "minus exact, each fit",
                ],
                [_pacer_row(row) for row in r["pacers"]],
            ),
            "",
            f"Shapes, against even pacing in the same world with {len(r['offered'])} shapes on "
            f"offer: of {len(shapes)} differences {_count(shapes, 1)} lie above 0 with their "
            f"interval, {_count(shapes, -1)} below; about {len(shapes) / 40:.1f} on each side "
            "would if no shape did anything.",
            "",
            *_table(
                [
                    "plan", "pacer + ranker", "shape", "return", "minus uniform", "sends a week",
                    "opens", "minus uniform, each fit",
                ],
                [_shape_row(row) for row in shapes],
            ),
        ]
    )  # fmt: skip


def _pacer_row(row: dict[str, Any]) -> list[str]:
    is_exact, is_default = row["pacer"] == "exact", row["ranker"] == "quality"
    return [
        _plan(row["plan"]),
        row["ranker"],
        row["pacer"],
        f"{row['return'][0]:.2f}",
        "–" if is_exact else _number(row["minus_exact"]["mean"]),
        "–" if is_exact and is_default else _number(row["minus_default"]["mean"]),
        _sends(row),
        f"{100 * row['open_rate']:.2f} %",
        "–" if is_exact else _fits(row["minus_exact"]),
    ]


def _shape_row(row: dict[str, Any]) -> list[str]:
    return [
        _plan(row["plan"]),
        f"{row['pacer']} + {row['ranker']}",
        row["shape"],
        f"{row['return'][0]:.2f}",
        _number(row["minus_uniform"]["mean"]),
        _sends(row),
        f"{100 * row['open_rate']:.2f} %",
        _fits(row["minus_uniform"]),
    ]


def _count(rows: list[dict[str, Any]], sign: int) -> int:
    """Return how many differences lie on this side of 0 with their whole interval."""
    return sum(min(sign * v for v in row["minus_uniform"]["mean"]) > 0 for row in rows)


def _table(header: list[str], rows: list[list[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (header, ["---"] * len(header), *rows)]


def _plan(plan: list[int]) -> str:
    return " + ".join(str(sends) for sends in plan)


def _sends(row: dict[str, Any]) -> str:
    return " + ".join(f"{sends:.2f}" for sends in row["sends"])


def _number(v: Interval) -> str:
    return f"{v[0]:+.2f} [{v[1]:+.2f}, {v[2]:+.2f}]"


def _fits(difference: dict[str, Any]) -> str:
    return " / ".join(f"{value:+.2f}" for value in difference["fits"])
