"""Parquet files of decisions, plans and members. Needs the extra ``offline``."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from slowfast_rl.store.files import write_bytes_atomically

try:
    import pyarrow as pa
    import pyarrow.parquet as pq
except ImportError as error:
    raise ImportError("parquet files need pyarrow: pip install 'slowfast_rl[offline]'") from error

_NAMES = pa.dictionary(pa.int8(), pa.string())
#: Name, type and meaning of each column; values that a source does not know are null.
FIELDS: tuple[tuple[str, Any, str], ...] = (
    ("time", pa.int64(), "simulated seconds since Monday 00:00 of week 0"),
    ("member", pa.int64(), "entity id"),
    ("channel", _NAMES, "of the opportunity"),
    ("action", pa.int16(), "0 holds, j sends candidate j; after the guard"),
    ("propensity", pa.float64(), "probability of the executor's choice, over its coins"),
    ("vetoed", pa.bool_(), "whether the guard replaced a send by this hold"),
    ("target", pa.int32(), "of the plan in force, on the channel; 0 where the member left it"),
    ("cap", pa.int32(), "cap of the same plan on the channel; 0 where the member left it"),
    ("sent_this_week", pa.int32(), "on the channel since Monday, before this decision"),
    ("opted_in", pa.bool_(), "whether the member is, on the channel"),
    ("plan_source", _NAMES, "plan: of this week; remembered: of an earlier one; safe: neither"),
    ("plan_week", pa.int64(), "week of the plan in force"),
    ("plan_version", pa.int64(), "policy version of that plan; 0 for the safe plan"),
    ("executor_version", _NAMES, "digest of the executor's parameters"),
    ("reward", pa.float64(), "utility of the slot in viewing days"),
)


def schema() -> "pa.Schema":
    """Return the schema of the log, with the meaning of each field in its metadata."""
    return pa.schema(
        [pa.field(name, kind, metadata={"meaning": text}) for name, kind, text in FIELDS]
    )


def write_part(folder: Path, name: str, columns: Mapping[str, NDArray[Any] | list[Any]]) -> Path:
    """Write decisions as one part of the log, and return its path.

    Args:
        folder: folder of the log.
        name: name of the part, by which parts are sorted; a part of the same name is replaced.
        columns: [B] each, in the types of :data:`FIELDS`; a missing column and NaN are null.
    """
    size = len(next(iter(columns.values())))
    arrays = [
        pa.array(columns[name], from_pandas=True).cast(kind)
        if name in columns
        else pa.nulls(size, kind)
        for name, kind, _ in FIELDS
    ]
    path = folder / f"{name}.parquet"
    _write(path, pa.Table.from_arrays(arrays, schema=schema()))
    return path


def write_columns(path: Path, columns: Mapping[str, NDArray[Any]]) -> None:
    """Write columns [B] to a file."""
    _write(path, pa.table(dict(columns)))


def read_columns(path: Path, wanted: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Return some columns of a file, [B] each.

    Raises:
        ValueError: the file is missing or damaged, or lacks one of the columns.
    """
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise ValueError(f"{path} is no parquet file: {error}") from error
    missing = [name for name in wanted if name not in table.column_names]
    if missing:
        raise ValueError(f"{path} lacks the columns {', '.join(missing)}")
    return {name: table[name].to_numpy() for name in wanted}


def _write(path: Path, table: "pa.Table") -> None:
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    write_bytes_atomically(path, buffer.getvalue())
