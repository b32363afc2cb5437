"""Sweeps: check each job before the first one starts, and end with one table over all jobs."""

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from slowfast_rl.cli.results import say
from slowfast_rl.cli.resume import read_results
from slowfast_rl.store.files import write_text_atomically

RESULTS = "sweep.json"  # a folder that has one is a sweep that ended
_JOBS = "jobs"  # the folder of what jobs report, until the sweep's end
_COLUMNS = ("job", "overrides", "agent", "return", "gap closed")


class JobError(HydraException):
    """A job of a sweep failed; the message was printed when it happened."""


def one_by_one(overrides: list[str], loader: ConfigLoader) -> Iterator[list[str]]:
    """Yield the overrides of single jobs that together show every value of a sweep.

    The first job has the first value of each sweep, each further job one other value. Sweeps that
    only the sweeper can enumerate, such as ``interval(0, 1)``, are left out.

    Raises:
        OverrideParseException: hydra cannot read an override.
    """
    choices = []
    for override in OverridesParser.create(loader).parse_overrides(overrides):
        if override.is_discrete_sweep():
            key = override.get_key_element()
            choices.append([f"{key}={value}" for value in override.sweep_string_iterator()])
        elif not override.is_sweep_override():
            choices.append([str(override.input_line)])
    first = [values[0] for values in choices]
    yield first
    for i, values in enumerate(choices):
        for value in values[1:]:
            yield [*first[:i], value, *first[i + 1 :]]


def note_job(row: Mapping[str, Any] | None, error: Exception | None = None) -> None:
    """Report a job's result to its sweep, from whichever process it ran in.

    Args:
        row: the leaderboard row of the job's agent, if there is one.
        error: why the job failed, if it did; it is printed together with the job's overrides.
    """
    config, row = HydraConfig.get(), row or {}
    overrides = list(config.overrides.task)
    if error is not None:
        say(f"error: job {config.job.num} ({' '.join(overrides)}): {error}")
    kept = ("return", "return_ci95", "gap_closed", "gap_closed_ci95")
    job = {
        "job": config.job.num,
        "overrides": overrides,
        "agent": row.get("name"),
        **{name: row.get(name) for name in kept},
        "error": None if error is None else str(error),
    }
    path = Path(config.sweep.dir) / _JOBS / f"{config.job.num}.json"
    write_text_atomically(path, json.dumps(job))


def write_table(folder: Path, ended: bool = True) -> bool:
    """Write ``sweep.json`` and ``sweep.md``, print the table, and return whether a job failed.

    Args:
        folder: the folder of the sweep.
        ended: whether the sweep ended; the table of one that was interrupted is printed alone.
    """
    jobs = [json.loads(path.read_text("utf-8")) for path in (folder / _JOBS).glob("*.json")]
    if not jobs:
        return False
    jobs.sort(key=lambda job: job["job"])
    table = markdown(jobs)
    if ended:
        write_text_atomically(folder / "sweep.md", table)
        write_text_atomically(folder / RESULTS, json.dumps({"jobs": jobs}, indent=1))
        shutil.rmtree(folder / _JOBS)
    print(f"\n{table}\nAll results  {folder}")
    return any(job["error"] is not None for job in jobs)


def failed_jobs(folder: Path) -> list[int]:
    """Return the numbers of the jobs that failed in a sweep that ended."""
    jobs = read_results(folder / RESULTS, "jobs")
    return [job["job"] for job in jobs if job["error"] is not None]


def markdown(jobs: list[dict[str, Any]]) -> str:
    """Return a table of jobs with the overrides that not all of them share."""
    shared = set.intersection(*(set(job["overrides"]) for job in jobs)) if jobs[1:] else set()
    cells = [
        [
            str(job["job"]),
            " ".join(o for o in job["overrides"] if o not in shared).replace("|", "\\|"),
            job["agent"] or "",
            _interval(job, "return") if job["error"] is None else "failed",
            _interval(job, "gap_closed"),
        ]
        for job in jobs
    ]
    widths = [max(map(len, column)) for column in zip(_COLUMNS, *cells, strict=True)]
    lines = [_COLUMNS, ["-" * width for width in widths], *cells]
    padded = [[cell.ljust(w) for cell, w in zip(line, widths, strict=True)] for line in lines]
    return "".join(f"| {' | '.join(line)} |\n" for line in padded)


def _interval(job: Mapping[str, Any], name: str) -> str:
    if job[name] is None:
        return ""
    low, high = job[f"{name}_ci95"]
    return f"{job[name]:.2f} [{low:.2f}, {high:.2f}]"
