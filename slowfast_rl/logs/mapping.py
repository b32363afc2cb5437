"""The mapping file: where a company's files are, and what their columns and names are called."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Any

from slowfast_rl.logs.schema import LAUNCHES, TABLES
from slowfast_rl.members.bounds import quoted
from slowfast_rl.members.reading import MAX_YAML_BYTES, parse_yaml, read_bytes

_START = "start"
_COLUMNS = {
    **{name: [column.name for column in columns] for name, columns in TABLES.items()},
    LAUNCHES: ["day", "topic", "launches"],
}
_NAMED = {
    name: [column.name for column in columns if column.kind == "name"]
    for name, columns in TABLES.items()
}


@dataclass(frozen=True)
class LogMapping:
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


def read_mapping(path: Path | str) -> LogMapping:
    """Return a mapping file's content.

    Raises:
        ValueError: the file cannot be read, or has keys or values that are not allowed.
    """
    path = Path(path)
    try:
        tree = parse_yaml(read_bytes(path, MAX_YAML_BYTES))
    except (OSError, ValueError) as error:
        raise ValueError(f"mapping {path} cannot be read: {error}") from error
    given = _mapping(tree, str(path), [*_COLUMNS, _START])
    start = _start(given.pop(_START, None), path)
    files: dict[str, str] = {}
    columns: dict[str, Mapping[str, str]] = {}
    names: dict[str, Mapping[str, Mapping[str, str]]] = {}
    for table, part in given.items():
        where = f"{path}: {table}"
        allowed = ["files", "columns", *(["names"] if table in _NAMED else [])]
        part = _mapping(part, where, allowed)
        if "files" in part:
            files[table] = _text(part["files"], f"{where}.files")
        columns[table] = _texts(part.get("columns", {}), f"{where}.columns", _COLUMNS[table])
        its_names = _mapping(part.get("names", {}), f"{where}.names", _NAMED.get(table, []))
        names[table] = {
            column: _texts(texts, f"{where}.names.{column}") for column, texts in its_names.items()
        }
    return LogMapping(files, columns, names, start)


def _mapping(value: Any, where: str, allowed: list[str] | None = None) -> dict[str, Any]:
    """Return a copy of a mapping, whose keys are texts: the company's names may be numbers."""
    if not isinstance(value, dict):
        raise ValueError(f"{where} is {quoted(value)}; a mapping is needed")
    for key in value:
        if allowed is not None and key not in allowed:
            raise ValueError(f"unknown key {quoted(key)} in {where}; allowed: {', '.join(allowed)}")
    return {str(key): inner for key, inner in value.items()}


def _texts(value: Any, where: str, allowed: list[str] | None = None) -> dict[str, str]:
    found = _mapping(value, where, allowed)
    return {key: _text(text, f"{where}.{key}") for key, text in found.items()}


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"{where} is {quoted(value)}; a text is needed")
    return value


def _start(value: Any, path: Path) -> int:
    """Return the start of week 0 in seconds since 1970; 0 where times are counted from it."""
    if value is None:
        return 0
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError as error:
        raise ValueError(f"{path} has start {quoted(value)}; allowed is an ISO date") from error
    if moment.weekday() or moment.time() != time(0):
        raise ValueError(f"{path} has start {value}; allowed is a Monday 00:00")
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
