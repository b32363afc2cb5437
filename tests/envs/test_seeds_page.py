"""docs/seeds.md: its code runs."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "seeds.md"


def test_the_code_of_the_page_runs() -> None:
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 2
    exec("\n".join(blocks), {})  # noqa: S102 - the page's own code
