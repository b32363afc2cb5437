"""The gains as Markdown."""

from typing import Any

_AGAINST = {"never": "never", "best_fixed": "the best fixed plan"}


def tables(results: dict[str, Any]) -> str:
    """Return a table per world and baseline."""
    first = next(iter(results["worlds"].values()))["board"]
    lines = [
        f"`{results['command']}` wrote these tables: {first['num_members']} members of population "
        f"seed {first['population_seed']} that no training sees, {first['weeks']} weeks; training "
        f"seeds {', '.join(map(str, results['seeds']))}, whose returns are averaged member by "
        "member. Segments are terciles of the base viewing rate. Gains are in discounted viewing "
        "days and, in brackets, in % of the baseline's return in that segment; ± is 95 %, paired "
        "over members; then sends a week.",
    ]
    for name, world in results["worlds"].items():
        for against, said in _AGAINST.items():
            levels = world["level"][against]
            lines += ["", f"World `{name}`, over {said}:", ""]
            header = ["planner", *(f"{p} ({v:.1f})" for p, v in levels.items())]
            rows = [
                [
                    planner,
                    *(_cell(cell) for cell in gains[against].values()),
                    _ends(world["trend"][planner][against]),
                ]
                for planner, gains in world["gains"].items()
            ]
            lines += _table([*header, "casual less heavy, absolute"], rows)
    return "\n".join(lines)


def _cell(cell: dict[str, Any]) -> str:
    absolute, relative = cell["absolute"], cell["relative"]
    share = "–" if relative is None else f"{_half([100 * v for v in relative], 1)} %"
    return f"{_half(absolute, 2)} ({share}); {cell['sends']:.1f}"


def _half(v: list[float], digits: int) -> str:
    return f"{v[0]:+.{digits}f} ± {(v[2] - v[1]) / 2:.{digits}f}"


def _ends(v: list[float]) -> str:
    return f"{v[0]:+.2f} [{v[1]:+.2f}, {v[2]:+.2f}]"


def _table(header: list[str], rows: list[list[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (header, ["---"] * len(header), *rows)]
