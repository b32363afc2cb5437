"""Turn a company's parquet files, of any order and names, into a log that is read part by part."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np

from slowfast_rl.logs.company import company_side
from slowfast_rl.logs.launches import read_launches
from slowfast_rl.logs.mapping import LogMapping
from slowfast_rl.logs.parquet import column_names, part_file, read_columns, row_groups
from slowfast_rl.logs.partition import Repartitioned, Source, repartition, write_empty
from slowfast_rl.logs.recording import write_log_file
from slowfast_rl.logs.schema import LAUNCH_FILE, LAUNCHES, TABLES
from slowfast_rl.members.arrays import Float32
from slowfast_rl.members.bounds import quoted
from slowfast_rl.members.clock import HORIZON_WEEKS
from slowfast_rl.members.loading import as_world
from slowfast_rl.members.world import World

PART_ROWS = 1 << 20  # rows in a part, about


class Conversion(NamedTuple):
    """What a conversion did not find, or did not take, in a company's files."""

    lacking: Mapping[str, Sequence[str]]  # by table, required columns that a file lacks
    unread: Mapping[str, Sequence[str]]  # by table, columns that the schema does not have


def convert(
    source: Path | str,
    folder: Path | str,
    world: World | str,
    mapping: LogMapping | None = None,
    progress: Callable[[str, int, int], object] | None = None,
) -> Conversion:
    """Write a company's files as a log; no row is left out.

    A conversion that fails leaves the folder empty, or does not make it.

    Args:
        source: folder with ``decisions.parquet``, ``outcomes.parquet`` and ``plans.parquet``, or
            folders of these names, and perhaps ``launches.parquet``. Only plans are needed.
        folder: a new or empty folder of the log.
        world: the world with the company's channels, schedule and menu, or its name or file.
        mapping: other places and names; None for none.
        progress: function that is called with a table's name, and the rows done and to do.

    Returns:
        What the files lack, for the report of :func:`~slowfast_rl.logs.check`.

    Raises:
        ValueError: the folder holds files, those of the company are missing or damaged, or a column
            cannot be converted.
    """
    source, folder, w = Path(source), Path(folder), as_world(world)
    new = not folder.exists()
    if not new and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"{folder} holds files; allowed is a new or empty folder")
    try:
        return _convert(source, folder, w, LogMapping() if mapping is None else mapping, progress)
    except BaseException:
        for table in TABLES:
            shutil.rmtree(folder / table, ignore_errors=True)
        with suppress(OSError):
            (folder / LAUNCH_FILE).unlink(missing_ok=True)
            if new:
                folder.rmdir()
        raise


def _convert(
    source: Path,
    folder: Path,
    world: World,
    mapping: LogMapping,
    progress: Callable[[str, int, int], object] | None,
) -> Conversion:
    tables = (*TABLES, LAUNCHES)
    files = {table: _files(source, table, mapping.files.get(table)) for table in tables}
    for table in tables:
        _check_columns(source, table, files[table], mapping.columns.get(table, {}))
    sizes = {t: sum(sum(row_groups(path).rows) for path in files[t]) for t in TABLES}
    parts = max(1, -(-max(sizes.values()) // PART_ROWS))
    made: dict[str, Repartitioned] = {}
    for table, columns in TABLES.items():
        given = Source(
            files[table], mapping.columns.get(table, {}), mapping.names.get(table, {}),
            mapping.start,
        )  # fmt: skip

        def tell(done: int, table: str = table) -> None:
            if progress is not None:
                progress(table, done, sizes[table])

        if files[table]:
            made[table] = repartition(given, columns, folder / table, parts, tell)
    # Every part has a file of each table, also where some members have no row in it.
    numbers = {number for done in made.values() for number in done.parts} or {0}
    for table, done in made.items():
        for number in numbers - done.parts:
            write_empty(folder / table / part_file(number), done)
    weeks = _weeks(folder)
    launches = _launches(files[LAUNCHES], mapping, world, weeks)
    write_log_file(folder, company_side(world), weeks, launches)
    return Conversion(
        {table: done.lacking for table, done in made.items() if done.lacking},
        {table: done.unread for table, done in made.items() if done.unread},
    )


def _files(source: Path, table: str, pattern: str | None) -> list[Path]:
    """Return the files of a table, sorted by name."""
    single, many = source / f"{table}.parquet", source / table
    if pattern is not None:
        try:
            found = sorted(source.glob(pattern))
        except (NotImplementedError, ValueError) as error:
            raise ValueError(
                f"{table}.files is {pattern!r}; allowed is a path or pattern within {source}"
            ) from error
    elif single.exists() and many.is_dir():
        raise ValueError(f"{source} has {single.name} and {table}/; allowed is one of them")
    else:
        found = sorted(many.glob("*.parquet")) if many.is_dir() else [single]
        found = [path for path in found if path.exists()]
    if not found and (pattern is not None or table == "plans"):
        where = pattern or f"{table}.parquet or {table}/*.parquet"
        raise ValueError(f"{source} has no {where}; at least one file is needed")
    return found


def _check_columns(source: Path, table: str, files: list[Path], columns: Mapping[str, str]) -> None:
    """Refuse columns of the mapping that no file of the table has."""
    there = list(dict.fromkeys(name for path in files for name in column_names(path)))
    for name, theirs in columns.items():
        if files and theirs not in there:
            raise ValueError(
                f"the mapping names column {quoted(theirs)} for {table}.{name}, which no file of "
                f"the table in {source} has; allowed: {', '.join(there)}"
            )


def _weeks(folder: Path) -> int:
    """Return the number of weeks that the plans cover, 1 or more."""
    last = 0
    for path in (folder / "plans").glob("*.parquet"):
        try:
            week = read_columns(path, ["week"])["week"].astype(np.float64)
        except ValueError:
            continue  # the report says that the column is missing
        inside = week[(week >= 0) & (week < HORIZON_WEEKS)]
        last = max(last, int(inside.max(initial=0)))
    return last + 1


def _launches(files: Sequence[Path], mapping: LogMapping, world: World, weeks: int) -> Float32:
    """Return the launches of each day and topic, [7 weeks, D]; none where there is no file."""
    counts = np.zeros((7 * weeks, world.num_topics), np.float32)
    for path in files:
        counts += read_launches(path, *counts.shape, mapping.columns.get(LAUNCHES))
    return counts
