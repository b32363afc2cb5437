"""Turn a company's parquet files, of any order and names, into a log that is read part by part."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Any

import numpy as np

from slowfast_rl.logs.company import company_side
from slowfast_rl.logs.parquet import column_names, read_columns, row_groups
from slowfast_rl.logs.partition import Source, repartition
from slowfast_rl.logs.recording import write_log_file
from slowfast_rl.logs.schema import TABLES
from slowfast_rl.members.arrays import Float32
from slowfast_rl.members.bounds import quoted
from slowfast_rl.members.clock import HORIZON_WEEKS
from slowfast_rl.members.loading import as_world
from slowfast_rl.members.reading import MAX_YAML_BYTES, parse_yaml, read_bytes
from slowfast_rl.members.world import World

PART_ROWS = 1 << 20  # decisions in a part, about
_KEYS = ("files", "columns", "names")
_START, _LAUNCHES = "start", "launches"


@dataclass(frozen=True)
class Mapped:
    """Where a company's files are, and what their columns and names are called.

    Attributes:
        files: by table, a path or pattern relative to the log's folder.
        columns: by table, the company's name of each column that differs from the schema's.
        names: by table and column, the schema's name of each of the company's names.
        start: Monday 00:00 of week 0 in seconds since 1970, from which times are counted.
    """

    files: Mapping[str, str] = field(default_factory=dict)
    columns: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    names: Mapping[str, Mapping[str, Mapping[str, str]]] = field(default_factory=dict)
    start: int = 0


def read_mapping(path: Path) -> Mapped:
    """Return a mapping file's content.

    Raises:
        ValueError: the file cannot be read, or has keys or values that are not allowed.
    """
    try:
        tree = parse_yaml(read_bytes(path, MAX_YAML_BYTES))
    except (OSError, ValueError) as error:
        raise ValueError(f"mapping {path} cannot be read: {error}") from error
    if not isinstance(tree, dict):
        raise ValueError(f"mapping {path} holds {type(tree).__name__}; a mapping is needed")
    allowed = [*TABLES, _LAUNCHES, _START]
    _known(tree, allowed, str(path))
    parts: dict[str, dict[str, Any]] = {key: {} for key in _KEYS}
    for table in (*TABLES, _LAUNCHES):
        given = tree.get(table, {})
        if not isinstance(given, dict):
            raise ValueError(f"{path} has {table} {quoted(given)}; a mapping is needed")
        _known(given, list(_KEYS), f"{path}: {table}")
        for key, value in given.items():
            wanted = str if key == "files" else dict
            if not isinstance(value, wanted):
                raise ValueError(
                    f"{path} has {table}.{key} {quoted(value)}; "
                    f"a {'text' if wanted is str else 'mapping'} is needed"
                )
            parts[key][table] = value
        if table in TABLES:
            columns = [column.name for column in TABLES[table]]
            for key in ("columns", "names"):
                _known(given.get(key, {}), columns, f"{path}: {table}.{key}")
    return Mapped(**parts, start=_start(tree.get(_START), path))


def convert(
    source: Path,
    folder: Path,
    world: World | str,
    mapped: Mapped | None = None,
    progress: Callable[[str, int, int], object] | None = None,
) -> dict[str, list[str]]:
    """Write a company's files as a log; no row is left out.

    Args:
        source: folder with ``decisions.parquet``, ``outcomes.parquet`` and ``plans.parquet``, or
            folders of these names, and perhaps ``launches.parquet``.
        folder: new folder of the log.
        world: the world with the company's channels, schedule and menu, or its name or file.
        mapped: other places and names; None for none.
        progress: function that is called with a table's name, and the rows done and to do.

    Returns:
        by table, the required columns that its files lack.

    Raises:
        ValueError: files are missing or damaged, or a column cannot be converted.
    """
    mapped, w = Mapped() if mapped is None else mapped, as_world(world)
    files = {
        table: _files(source, table, mapped.files.get(table)) for table in (*TABLES, _LAUNCHES)
    }
    for table in (*TABLES, _LAUNCHES):
        _check_columns(source, table, files.get(table, []), mapped.columns.get(table, {}))
    sizes = {t: sum(sum(row_groups(path).rows) for path in files[t]) for t in TABLES}
    parts = max(1, -(-max(sizes.values()) // PART_ROWS))
    lacking = {}
    for table, columns in TABLES.items():
        given = Source(
            files[table], mapped.columns.get(table, {}), mapped.names.get(table, {}), mapped.start
        )

        def tell(done: int, table: str = table) -> None:
            if progress is not None:
                progress(table, done, sizes[table])

        missing = repartition(given, columns, folder / table, parts, tell)
        if missing:
            lacking[table] = missing
    weeks = _weeks(folder)
    write_log_file(folder, company_side(w), weeks, _launches(source, mapped, w, weeks))
    return lacking


def _files(source: Path, table: str, pattern: str | None) -> list[Path]:
    """Return the files of a table, sorted by name."""
    if pattern is not None:
        found = sorted(source.glob(pattern))
    elif (source / table).is_dir():
        found = sorted((source / table).glob("*.parquet"))
    else:
        found = [path for path in (source / f"{table}.parquet",) if path.exists()]
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


def _launches(source: Path, mapped: Mapped, world: World, weeks: int) -> Float32:
    """Return the launches of each day and topic, [7 weeks, D]; none where there is no file."""
    counts = np.zeros((7 * weeks, world.num_topics), np.float32)
    for path in _files(source, _LAUNCHES, mapped.files.get(_LAUNCHES)):
        names = {
            n: mapped.columns.get(_LAUNCHES, {}).get(n, n) for n in ("day", "topic", "launches")
        }
        given = read_columns(path, [*names.values()])
        day, topic, number = (given[name].astype(np.float64) for name in names.values())
        inside = (day >= 0) & (day < len(counts)) & (topic >= 0) & (topic < world.num_topics)
        if not inside.all():
            wrong = int(np.flatnonzero(~inside)[0])
            raise ValueError(
                f"{path} has day {day[wrong]:g} and topic {topic[wrong]:g} in row {wrong}; allowed "
                f"are days 0 to {len(counts) - 1} and topics 0 to {world.num_topics - 1}"
            )
        np.add.at(counts, (day.astype(np.int64), topic.astype(np.int64)), number)
    return counts


def _start(value: Any, path: Path) -> int:
    """Return the start of week 0 in seconds since 1970; 0 where times are counted from it."""
    if value is None:
        return 0
    if isinstance(value, datetime):
        moment = value
    else:
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError as error:
            raise ValueError(f"{path} has start {quoted(value)}; allowed is an ISO date") from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    if moment.weekday() != 0 or moment.time() != time(0):
        raise ValueError(f"{path} has start {value}; allowed is a Monday 00:00")
    return int(moment.timestamp())


def _known(given: Mapping[Any, Any], allowed: list[str], where: str) -> None:
    for key in given:
        if key not in allowed:
            raise ValueError(f"unknown key {quoted(key)} in {where}; allowed: {', '.join(allowed)}")
