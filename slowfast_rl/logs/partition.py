"""Distribute the rows of parquet files over parts, each of which has all rows of some members."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from slowfast_rl.logs.parquet import (
    ROW_GROUP,
    SOURCE_ROW,
    decoded,
    opened,
    part_file,
    write_table,
    wrong_type,
)
from slowfast_rl.logs.schema import Column
from slowfast_rl.members.arrays import Bool

import pyarrow as pa  # isort: skip  # after the module above, whose error names the extra
import pyarrow.parquet as pq  # isort: skip

_TIMES = ("time", "decided_at")  # columns of times, which a source may count from another moment


class Source(NamedTuple):
    """Where the rows of a table come from.

    Attributes:
        files: parquet files, whose rows are numbered one after the other.
        columns: the name in the files of each column that has another name there.
        names: by column of names, the log's name of each name in the files.
        start: the Monday 00:00 of week 0, in seconds since 1970 as the files' times; it is
            subtracted from them.
    """

    files: Sequence[Path]
    columns: Mapping[str, str]
    names: Mapping[str, Mapping[str, str]]
    start: int


class Repartitioned(NamedTuple):
    """What was written, and what the files lack."""

    parts: frozenset[int]  # that have a row
    schema: "pa.Schema"  # of each part
    lacking: list[str]  # required columns that a file lacks
    unread: list[str]  # columns of the files that are none of the table


def repartition(
    source: Source,
    table: Sequence[Column],
    folder: Path,
    parts: int,
    progress: Callable[[int], object] | None = None,
) -> Repartitioned:
    """Write the rows of files of any order as parts that have all rows of some members.

    Rows are read in pieces, so that the files may be larger than memory; a part must fit. Rows of a
    part are in order of member and time or week.

    Args:
        source: the files.
        table: the table's columns; one that all files lack is left out, one that some lack is null
            there, and ``source_row`` is added.
        folder: of the parts, new.
        parts: their number.
        progress: function that is called with the number of rows read so far.

    Raises:
        ValueError: a file is damaged, has a column twice, or one of a type that cannot be
            converted.
    """
    writers: dict[int, pq.ParquetWriter] = {}
    names = {column.name: source.columns.get(column.name, column.name) for column in table}
    found = [_columns(path, names) for path in source.files]
    there = [column for column in table if any(names[column.name] in own for own in found)]
    fields = [pa.field(column.name, _type(column)) for column in there]
    schema = pa.schema([*fields, pa.field(SOURCE_ROW, pa.int64())])
    count = 0
    folder.mkdir(parents=True, exist_ok=True)
    try:
        for path in source.files:
            with opened(path, ()) as file:
                read = [name for name in names.values() if name in file.schema_arrow.names]
                for batch in file.iter_batches(ROW_GROUP, columns=read or None):
                    arrays = [_array(batch, column, source, path) for column in there]
                    numbers = pa.array(np.arange(count, count + batch.num_rows))
                    count += batch.num_rows
                    rows = pa.Table.from_arrays([*arrays, numbers], schema=schema)
                    _distribute(rows, writers, folder, parts)
                    if progress is not None:
                        progress(count)
    finally:
        for writer in writers.values():
            writer.close()
    for number in writers:
        path = folder / part_file(number)
        rows = pq.read_table(_raw(path))
        order = [
            (name, "ascending") for name in ("member", "time", "week") if name in rows.schema.names
        ]
        write_table(path, rows.sort_by(order) if order else rows)
        _raw(path).unlink()
    wanted = [column.name for column in table if column.required]
    return Repartitioned(
        frozenset(writers),
        schema,
        [name for name in wanted if not all(names[name] in own for own in found)],
        sorted({other for own in found for other in own} - {*names.values(), SOURCE_ROW}),
    )


def write_empty(path: Path, made: Repartitioned) -> None:
    """Write a part without rows."""
    write_table(path, made.schema.empty_table())


def _columns(path: Path, names: Mapping[str, str]) -> list[str]:
    """Return the names of a file's columns.

    Raises:
        ValueError: the file is damaged, or has one of those that are read twice.
    """
    with opened(path, ()) as file:
        found: list[str] = file.schema_arrow.names
    with opened(path, [name for name in names.values() if name in found]):
        return found


def _type(column: Column) -> "pa.DataType":
    """Return the type of a column in parts; names are texts there."""
    base = column.kind.removesuffix("[]")
    single = pa.string() if base == "name" else pa.type_for_alias(base)
    return single if base == column.kind else pa.list_(single)


def _raw(path: Path) -> Path:
    return path.with_suffix(".unsorted")


def _array(batch: "pa.RecordBatch", column: Column, source: Source, path: Path) -> "pa.Array":
    """Return a column of a batch as the schema has it, all null where the batch lacks it."""
    name = source.columns.get(column.name, column.name)
    if name not in batch.schema.names:
        return pa.nulls(batch.num_rows, _type(column))
    array = batch.column(name)
    try:
        return _in_schema(decoded(array), column, source)
    except (pa.ArrowException, ValueError) as error:
        raise ValueError(wrong_type(path, name, array, column, error)) from error


def _in_schema(array: "pa.Array", column: Column, source: Source) -> "pa.Array":
    """Return a column's values in the types, names and times of the schema."""
    wanted = _type(column)
    if column.kind == "name":
        coded = array.cast(wanted).dictionary_encode()
        known = source.names.get(column.name, {})
        texts = pa.array([known.get(t, t) for t in coded.dictionary.to_pylist()], wanted)
        return texts.take(coded.indices)
    if pa.types.is_timestamp(array.type):  # with a time zone it is a moment, too
        array = array.cast(pa.timestamp("s"), safe=False).cast(pa.int64())
    values = array.cast(wanted)
    if column.name in _TIMES and source.start:
        values = pa.array(np.asarray(values.fill_null(0)) - source.start, mask=_is_null(values))
    return values


def _is_null(array: "pa.Array") -> Bool:
    return np.asarray(array.is_null().to_numpy(zero_copy_only=False), np.bool_)


def _distribute(
    rows: "pa.Table", writers: "dict[int, pq.ParquetWriter]", folder: Path, parts: int
) -> None:
    """Append each row to the part of its member; rows without a member go to part 0."""
    if "member" in rows.schema.names:
        member = np.asarray(rows["member"].combine_chunks().fill_null(0)).astype(np.uint64)
        # Multiplied by 2^64 / golden ratio, so that ids with any regular step are spread evenly.
        mixed = (member * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(33)
        part = (mixed % np.uint64(parts)).astype(np.int64)
    else:
        part = np.zeros(rows.num_rows, np.int64)
    order = np.argsort(part, kind="stable")
    numbers, first = np.unique(part[order], return_index=True)
    ends = [*first[1:], len(order)]
    for number, begin, end in zip(numbers.tolist(), first, ends, strict=True):
        if number not in writers:
            path = _raw(folder / part_file(number))
            writers[number] = pq.ParquetWriter(path, rows.schema)
        writers[number].write_table(rows.take(pa.array(order[begin:end])))
