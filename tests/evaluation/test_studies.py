"""A study goes on where it was stopped, and a partial rerun keeps what it did not measure."""

from pathlib import Path

import pytest

from slowfast_rl.evaluation.studies import Row, kept_rows, merge_rows, run_missing


def key(row: Row) -> tuple[str, int]:
    return row["world"], row["seed"]


def test_a_partial_rerun_keeps_the_rows_that_it_did_not_measure() -> None:
    before = [{"world": "b", "seed": 1, "x": 1}, {"world": "a", "seed": 0, "x": 2}]
    measured = [{"world": "b", "seed": 1, "x": 3}, {"world": "b", "seed": 0, "x": 4}]
    assert merge_rows(before, measured, key) == [
        {"world": "a", "seed": 0, "x": 2},
        {"world": "b", "seed": 0, "x": 4},
        {"world": "b", "seed": 1, "x": 3},
    ]


def test_a_rerun_of_nothing_changes_nothing() -> None:
    before = [{"world": "a", "seed": 0, "x": 2}, {"world": "b", "seed": 1, "x": 1}]
    assert merge_rows(before, [], key) == before


def test_a_stopped_study_goes_on_where_it_was(tmp_path: Path) -> None:
    done: list[str] = []

    def job(name: str, *, stopped: bool = False) -> list[Row]:
        if stopped:
            raise KeyboardInterrupt
        done.append(name)
        return [{"name": name, "run": len(done)}]

    with pytest.raises(KeyboardInterrupt):
        run_missing({"a": lambda: job("a"), "b": lambda: job("b", stopped=True)}, tmp_path)
    run_missing({"a": lambda: job("a"), "b": lambda: job("b")}, tmp_path)
    assert done == ["a", "b"]
    assert kept_rows(tmp_path) == [{"name": "a", "run": 1}, {"name": "b", "run": 2}]
    assert kept_rows(tmp_path, "b*") == [{"name": "b", "run": 2}]
