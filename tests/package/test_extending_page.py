"""docs/extending.md shows every extension point, in short files."""

import pytest

from tests.pages import ROOT, sections_of

SECTIONS = sections_of((ROOT / "docs" / "extending.md").read_text())
MOST_LINES = 40  # of one file


def test_the_page_shows_every_extension_point():
    for name in (
        "planner", "ranker", "pacer", "executor", "single-policy agent", "store", "world", "study",
    ):  # fmt: skip
        assert any(name in section for section in SECTIONS), name


@pytest.mark.parametrize("name", SECTIONS)
def test_every_file_of_the_page_is_short(name):
    for block in SECTIONS[name]:
        assert len(block.text.splitlines()) <= MOST_LINES
