"""What many members need each week, derived from what ``suite=scale`` measured and what is assumed.

Nothing here is measured at that size: each figure is a measured one times a number of members.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from slowfast_rl.benchmarks.scale import BELIEFS, BYTES, CPU, REAL

_GB = 1e9
_HOURS_OF_WEEK = 168


def assumed(value: float, unit: str, text: str) -> Any:
    """Declare an assumption with its unit and what it stands for."""
    return field(default=value, metadata={"unit": unit, "text": text})


@dataclass(frozen=True, kw_only=True)
class Assumptions:
    """What is not measured. Replace them by what you know."""

    members: float = assumed(300e6, "members", "planned for each week")
    hours: float = assumed(24, "hours", "between the week's features and its last plan")
    use: float = assumed(0.7, "share", "of rented CPU time in which a core plans")
    cpu_price: float = assumed(0.04, "$ per core-hour", "of rented cores with 4 GB each")
    memory_price: float = assumed(0.01, "$ per GB-hour", "of a managed Redis")
    filled: float = assumed(0.7, "share", "of a server's memory that rows may take")
    copies: float = assumed(2, "copies", "of each row in Redis: one is a replica")
    file_price: float = assumed(0.023, "$ per GB-month", "of files in an object store")

    def table(self) -> str:
        """Return the assumptions as a Markdown table."""
        lines = ["| assumption | value | unit |", "|---|---|---|"]
        for entry in fields(self):
            value = getattr(self, entry.name)
            lines.append(
                f"| `{entry.name}`: {entry.metadata['text']} | {value:,.12g} | "
                f"{entry.metadata['unit']} |"
            )
        return "\n".join(lines)


def weekly_needs(rows: Sequence[Mapping[str, Any]], given: Assumptions) -> str:
    """Return what the members need each week as a Markdown table, with how each figure is made.

    Args:
        rows: of ``bench.json`` of ``suite=scale``, with Redis and Ray.
        given: the assumptions.

    Raises:
        ValueError: a row is missing.
    """
    cpu = _measured(rows, "planning, Ray, 2 workers", CPU)
    speedup = _measured(rows, "planning, Ray, 1 worker", REAL) / _measured(
        rows, "planning, Ray, 2 workers", REAL
    )
    features = _measured(rows, "features in parquet", BYTES)
    plans = _measured(rows, "plans in parquet", BYTES)
    stored = _measured(rows, "plans in Redis", BYTES)
    beliefs = _measured(rows, BELIEFS, BYTES)
    write = _measured(rows, "plan written to Redis", REAL)
    n, seconds = given.members, given.hours * 3600
    cpu_hours = n * cpu / 1e6 / 3600
    redis = n * stored / _GB
    rented = redis * given.copies / given.filled
    files = n * (features + plans) / _GB
    cpu_cost = cpu_hours / given.use * given.cpu_price
    redis_cost = rented * _HOURS_OF_WEEK * given.memory_price
    file_cost = files * given.file_price * _HOURS_OF_WEEK / 730
    lines = [
        "| need | value | derived as |",
        "|---|---|---|",
        f"| CPU time | {cpu_hours:,.2f} CPU-hours a week | members × {cpu:.1f} µs of CPU |",
        f"| cores | {cpu_hours / given.use / given.hours:,.2f} for {given.hours:g} hours | "
        "CPU time / use / hours |",
        f"| speed-up | {speedup:.2f} from 1 worker to 2 | measured here; the cores above assume "
        "that the CPU time of a member stays as it is with more workers |",
        f"| features read | {n * features / _GB:,.1f} GB, {n * features / seconds / 1e6:,.1f} MB/s "
        f"| members × {features:.0f} bytes of parquet, over the hours |",
        f"| plans in files | {n * plans / _GB:,.1f} GB | members × {plans:.0f} bytes of parquet |",
        f"| plans in Redis | {redis:,.0f} GB; {rented:,.0f} GB rented | "
        f"members × {stored:.0f} bytes; × copies / filled |",
        f"| write rate | {n / seconds:,.0f} plans a second | members / hours |",
        f"| connections that write | {max(n / seconds * write / 1e6, 1):,.1f} | write rate × "
        f"{write:.1f} µs a plan of one connection to a server on this machine |",
        f"| beliefs, if services kept them between weeks | {n * beliefs / _GB:,.0f} GB of memory | "
        f"members × {beliefs:.0f} bytes; a job for a folder keeps none |",
        f"| memory to find members that come twice | {8 * n / _GB:,.1f} GB, twice that to sort "
        "| members × 8 bytes, in the process that gives the command |",
        f"| cost of planning | ${cpu_cost:,.2f} a week | CPU time / use × cpu_price |",
        f"| cost of Redis | ${redis_cost:,.0f} a week | GB rented × 168 hours × memory_price |",
        f"| cost of files | ${file_cost:,.2f} a week | features and plans of one week × "
        "file_price |",
    ]
    return "\n".join(lines)


def _measured(rows: Sequence[Mapping[str, Any]], name: str, unit: str) -> float:
    """Return the median of a row, for the largest number of members."""
    found = [row for row in rows if row["name"] == name and row["unit"] == unit]
    if not found:
        raise ValueError(
            f"no row {name!r} in {unit}; needed are those of suite=scale with Ray and redis_url"
        )
    return float(max(found, key=lambda row: int(row["members"]))["median"])
