"""Distribute the rows of parquet files over parts, each of which has all rows of some members."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from slowfast_rl.logs.parquet import ROW_GROUP, SOURCE_ROW, opened, part_file, write_table
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
        start: the Monday 00:00 of week 0, in seconds since 1970 or in another unit of the files;
            times and days are counted from it.
    """

    files: Sequence[Path]
    columns: Mapping[str, str]
    names: Mapping[str, Mapping[str, str]]
    start: int


def repartition(
    source: Source,
    table: Sequence[Column],
    folder: Path,
    parts: int,
    progress: Callable[[int], object] | None = None,
) -> list[str]:
    """Write the rows of files of any order as parts that have all rows of some members.

    Rows are read in pieces, so that the files may be larger than memory; a part must fit. Rows of a
    part are in order of member and time or week.

    Args:
        source: the files.
        table: the table's columns; one that the files lack is left out, and
            ``source_row`` is added.
        folder: of the parts, new.
        parts: their number.
        progress: function that is called with the number of rows read so far.

    Returns:
        the required columns that the files lack.

    Raises:
        ValueError: a file is damaged, or a column is of a type that cannot be converted.
    """
    writers: dict[int, pq.ParquetWriter] = {}
    lacking: set[str] = set()
    count = 0
    folder.mkdir(parents=True, exist_ok=True)
    try:
        for path in source.files:
            with opened(path, ()) as file:
                for batch in file.iter_batches(ROW_GROUP):
                    rows = _renamed(batch, source, table, path, lacking)
                    numbers = pa.array(np.arange(count, count + rows.num_rows))
                    count += rows.num_rows
                    rows = rows.append_column(SOURCE_ROW, numbers)
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
        write_table(path, rows.sort_by(order))
        _raw(path).unlink()
    return sorted(lacking)


def _raw(path: Path) -> Path:
    return path.with_suffix(".unsorted")


def _renamed(
    batch: "pa.RecordBatch", source: Source, table: Sequence[Column], path: Path, lacking: set[str]
) -> "pa.Table":
    """Return a batch with the table's columns, of its types; note required ones that lack."""
    arrays, fields = [], []
    for column in table:
        name = source.columns.get(column.name, column.name)
        if name not in batch.schema.names:
            if column.required:
                lacking.add(column.name)
            continue
        array = batch.column(name)
        try:
            array = _in_schema(array, column, source)
        except (pa.ArrowException, ValueError) as error:
            raise ValueError(
                f"{path} has {name} of type {array.type}; allowed is {column.kind}"
            ) from error
        arrays.append(array)
        fields.append(pa.field(column.name, array.type))
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def _in_schema(array: "pa.Array", column: Column, source: Source) -> "pa.Array":
    """Return a column's values in the types, names and times of the schema."""
    base = column.kind.removesuffix("[]")
    if base != column.kind:
        return array.cast(pa.list_(pa.type_for_alias(base)))
    if base == "name":
        plain = array.dictionary_decode() if pa.types.is_dictionary(array.type) else array
        coded = plain.cast(pa.string()).dictionary_encode()
        known = source.names.get(column.name, {})
        texts = pa.array([known.get(t, t) for t in coded.dictionary.to_pylist()], pa.string())
        return texts.take(coded.indices)
    if pa.types.is_timestamp(array.type):
        array = array.cast(pa.timestamp("s"), safe=False).cast(pa.int64())
    values = array.cast(pa.type_for_alias(base))
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
        writers[number].write_table(
            rows.take(pa.array(order[begin:end])).cast(writers[number].schema)
        )
