"""docs/logs.md and docs/reliability.md say what the code and the tests say."""

import re

import pytest

from slowfast_rl.logs.schema import TABLES
from tests.pages import ROOT


@pytest.mark.parametrize("table", TABLES)
def test_the_page_on_logs_lists_every_column_with_type_and_meaning(table):
    text = (ROOT / "docs" / "logs.md").read_text().partition(f"### {table.capitalize()}\n")[2]
    rows = [line for line in text.partition("\n##")[0].splitlines() if line.startswith("| `")]
    assert rows == [
        f"| `{c.name}` | {c.kind} | {'yes' if c.required else ''} | {c.meaning} |"
        for c in TABLES[table]
    ]


def test_the_tests_that_the_page_on_reliability_names_exist():
    page = ROOT / "docs" / "reliability.md"
    named = re.findall(r"\[`(test_\w+)`\]\(([^)]+)\)", page.read_text())
    assert named
    for test, file in named:
        assert f"def {test}(" in (page.parent / file).read_text(), test


def test_every_row_of_the_page_on_reliability_names_a_test():
    page = (ROOT / "docs" / "reliability.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("| ")]
    heads = ("| statement |", "| what happens |")
    assert all("`test_" in row for row in rows if not row.startswith(heads))
