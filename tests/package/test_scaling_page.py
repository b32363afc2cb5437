"""docs/scaling.md has what follows from the rows that were measured, and nothing else."""

import json

import pytest

from slowfast_rl.benchmarks.needs import Assumptions, weekly_needs
from slowfast_rl.benchmarks.scale import BYTES, CPU, REAL
from slowfast_rl.cli.bench import Row, table
from tests.pages import ROOT

ROWS = json.loads((ROOT / "experiments" / "speed" / "scale.json").read_text())


def block(name: str) -> str:
    text = (ROOT / "docs" / "scaling.md").read_text()
    return text.partition(f"<!-- {name} -->\n")[2].partition(f"\n<!-- /{name} -->")[0]


def test_the_tables_of_the_page_are_those_of_the_measured_rows():
    assert block("scale") == f"```\n{table([Row(**row) for row in ROWS]).rstrip()}\n```"
    assert block("assumptions") == Assumptions().table()
    assert block("needs") == weekly_needs(ROWS, Assumptions())


def row(name: str, unit: str, median: float, members: int = 1000):
    return {"name": name, "unit": unit, "median": median, "members": members}


MEASURED = [
    row("planning, Ray, 2 workers", CPU, 99.0, members=10),
    row("planning, Ray, 2 workers", CPU, 36.0),
    row("planning, Ray, 1 worker", REAL, 40.0),
    row("planning, Ray, 2 workers", REAL, 25.0),
    row("features in parquet", BYTES, 90.0),
    row("plans in parquet", BYTES, 10.0),
    row("beliefs kept by a service", BYTES, 1300.0),
    row("plans in Redis", BYTES, 200.0),
    row("plan written to Redis", REAL, 10.0),
]


def test_needs_are_measured_costs_times_members():
    given = Assumptions(
        members=1e9, hours=10, use=0.5, cpu_price=0.1, memory_price=0.02, filled=0.5, copies=2,
        file_price=7.3,
    )  # fmt: skip
    needs = weekly_needs(MEASURED, given)
    cells = [line.split(" | ")[:2] for line in needs.splitlines()[2:]]
    found = {name.removeprefix("| "): value for name, value in cells}
    assert found["CPU time"] == "10.00 CPU-hours a week"  # 1e9 * 36e-6 / 3600
    assert found["cores"] == "2.00 for 10 hours"
    assert found["speed-up"] == "1.60 from 1 worker to 2"
    assert found["features read"] == "90.0 GB, 2.5 MB/s"
    assert found["plans in files"] == "10.0 GB"
    assert found["plans in Redis"] == "200 GB; 800 GB rented"
    assert found["beliefs, if services kept them between weeks"] == "1,300 GB of memory"
    assert found["write rate"] == "27,778 plans a second"
    assert found["connections that write"] == "1.0"
    assert found["cost of planning"] == "$2.00 a week"
    assert found["cost of Redis"] == "$2,688 a week"
    assert found["cost of files"] == "$168.00 a week"


def test_a_row_that_was_not_measured_is_named():
    with pytest.raises(ValueError, match="no row 'plans in Redis' in bytes a member; needed are"):
        weekly_needs([r for r in MEASURED if r["name"] != "plans in Redis"], Assumptions())
