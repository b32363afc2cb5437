"""docs/logs.md and docs/reliability.md say what the code and the tests say."""

import re

from slowfast_rl.logs.schema import DECISIONS
from tests.pages import ROOT


def test_the_page_on_logs_lists_every_column_with_its_type():
    text = (ROOT / "docs" / "logs.md").read_text().partition("## Columns")[2]
    rows = re.findall(r"^\| `(\w+)` \| ([\w\[\]]+) \|", text.partition("\n## ")[0], re.MULTILINE)
    assert rows == [(column.name, column.kind) for column in DECISIONS]


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
