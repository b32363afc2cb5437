from pathlib import Path

import pytest

from slowfast_rl.store.files import write_block


def test_a_block_of_a_document_is_replaced_and_the_rest_stays(tmp_path: Path):
    path = tmp_path / "README.md"
    path.write_text("before\n<!-- x -->\nold\n<!-- /x -->\nafter\n")
    write_block(path, "x", "new\nlines")
    write_block(path, "x", "new\nlines")
    assert path.read_text() == "before\n<!-- x -->\nnew\nlines\n<!-- /x -->\nafter\n"


@pytest.mark.parametrize("text", ["", "<!-- x -->\n", "<!-- /x -->\n"])
def test_a_document_without_the_block_is_refused_and_stays(tmp_path: Path, text: str):
    path = tmp_path / "README.md"
    path.write_text(text)
    with pytest.raises(ValueError, match="has no block x"):
        write_block(path, "x", "new")
    assert path.read_text() == text
