from pathlib import Path

import pytest

from slowfast_rl.store import files
from slowfast_rl.store.files import owner, write_block, write_text_atomically
from tests.store.shared_cases import dead_owner, in_a_child


def test_unfinished_files_of_dead_processes_are_deleted_and_no_others(tmp_path: Path):
    live = f".a.{owner()}.partial"
    elsewhere = f".a.{'0' * 8}-1.partial"  # of another machine that shares the folder
    kept = {live, elsewhere, ".a.17.partial", ".a.partial", "a.txt"}
    for name in (*kept, f".a.{dead_owner()}.partial", f".b.{dead_owner()}.partial"):
        (tmp_path / name).write_text("begun")

    def next_start() -> None:
        files._delete_partial_files.cache_clear()
        write_text_atomically(tmp_path / "new", "text")

    assert in_a_child(next_start) == 0
    assert {path.name for path in tmp_path.iterdir()} == {*kept, "new"}


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
