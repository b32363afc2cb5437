"""Studies that may be stopped, shared between processes, and rerun in part."""

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from tqdm import tqdm

from slowfast_rl.store.files import write_text_atomically

Row = dict[str, Any]


def run_missing(jobs: Mapping[str, Callable[[], list[Row]]], kept: Path) -> None:
    """Do the jobs whose rows are not kept yet, with a progress bar.

    Args:
        jobs: what to measure, by the name of its file.
        kept: folder of the rows, one file for each job, written whole or not at all.
    """
    with tqdm(jobs.items(), unit="job") as bar:
        for name, job in bar:
            bar.set_postfix_str(name)
            path = kept / f"{name}.json"
            if not path.is_file():
                write_text_atomically(path, json.dumps(job(), indent=1))


def kept_rows(kept: Path, pattern: str = "*") -> list[Row]:
    """Return the rows of all jobs whose names match a pattern."""
    paths = sorted(kept.glob(f"{pattern}.json"))
    return [row for path in paths for row in json.loads(path.read_text())]


def merge_rows(
    before: Iterable[Row], measured: Iterable[Row], key: Callable[[Row], tuple[Any, ...]]
) -> list[Row]:
    """Return all rows in the order of their keys; a row that was measured replaces its like.

    Args:
        before: rows of earlier runs; what is not measured again stays.
        measured: rows of this run.
        key: what names a row and gives its place.
    """
    by_key = {key(row): row for row in (*before, *measured)}
    return [by_key[k] for k in sorted(by_key)]
