"""Parquet files of columns. Needs the extra ``offline``.

Columns go from numpy to Arrow and back by their buffers: ``pa.array`` and ``to_numpy`` import
pandas, which takes 60 MB of every process. Only values that are rare go through them.
"""

import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from slowfast_rl.logs.schema import Column
from slowfast_rl.members.arrays import Bool, Float32
from slowfast_rl.store.files import write_bytes_atomically

try:
    import pyarrow as pa
    import pyarrow.parquet as pq
except ImportError as error:
    raise ImportError("parquet files need pyarrow: pip install 'slowfast_rl[offline]'") from error

ROW_GROUP = 1 << 16  # rows that are encoded together, which bounds the working memory
SOURCE_ROW = "source_row"  # column with the number of a row in the files it comes from
_FOOTER_TAIL = 8  # bytes at the end of a file: the footer's length and a magic word
_NAMES = pa.dictionary(pa.int8(), pa.string())


def arrow_type(kind: str, width: int | None) -> Any:
    """Return the Arrow type of a column's kind; see :class:`~slowfast_rl.logs.schema.Column`.

    Args:
        kind: the kind.
        width: the number of values in a row, for a kind that ends in "[]"; None if it is unknown.
    """
    base = kind.removesuffix("[]")
    single = _NAMES if base == "name" else pa.type_for_alias(base)
    if base == kind:
        return single
    return pa.list_(single) if width is None else pa.list_(single, width)


def write_part(
    folder: Path,
    name: str,
    table: Sequence[Column],
    batches: Sequence[Mapping[str, NDArray[Any] | list[Any]]],
) -> Path:
    """Write rows as one part of a table, and return its path.

    Args:
        folder: folder of the table.
        name: name of the part, by which parts are sorted; a part of the same name is replaced.
        table: the table's columns, whose meaning goes into each field's metadata.
        batches: the columns of each batch, [B], or [B, width] for a kind that ends in "[]"; a
            missing column, NaN and None are null.
    """
    path = folder / f"{name}.parquet"
    write_table(path, pa.concat_tables(_tables(table, batches)).unify_dictionaries())
    return path


def _tables(
    table: Sequence[Column], batches: Sequence[Mapping[str, NDArray[Any] | list[Any]]]
) -> "list[pa.Table]":
    """Return each batch as an Arrow table; a column's width is that of the first batch with it."""
    widths = {
        name: np.shape(values)[1]
        for columns in reversed(batches)
        for name, values in columns.items()
        if np.ndim(values) == 2
    }
    types = [arrow_type(column.kind, widths.get(column.name)) for column in table]
    fields = [
        pa.field(column.name, kind, metadata={"meaning": column.meaning})
        for column, kind in zip(table, types, strict=True)
    ]
    found = []
    for columns in batches:
        size = len(next(iter(columns.values())))
        arrays = [
            _arrow(columns[field.name]).cast(field.type)
            if field.name in columns
            else pa.nulls(size, field.type)
            for field in fields
        ]
        found.append(pa.Table.from_arrays(arrays, schema=pa.schema(fields)))
    return found


def write_rows(
    folder: Path, name: str, table: Sequence[Column], rows: Sequence[Mapping[str, Any]]
) -> Path:
    """Write rows as one part of a table, as :func:`write_part` does.

    Args:
        folder: folder of the table.
        name: name of the part.
        table: the table's columns.
        rows: B rows; a missing value is null.

    Raises:
        ValueError: the rows are none of the table.
    """
    try:
        known = [column.name for column in table if column.name in rows[0]]
        columns = {key: _values([row[key] for row in rows]) for key in known}
        return write_part(folder, name, table, [columns])
    except (pa.ArrowException, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"not rows of the log: {error!r}") from error


def _values(values: list[Any]) -> NDArray[Any] | list[Any]:
    """Return values of rows; lists of equal lengths as one array [B, width]."""
    return np.array(values) if isinstance(values[0], list) else values


def write_columns(path: Path, columns: Mapping[str, NDArray[Any]]) -> None:
    """Write columns [B] to a file."""
    write_table(
        path, pa.Table.from_arrays([_arrow(values) for values in columns.values()], [*columns])
    )


def part_file(number: int) -> str:
    """Return the name of a part's file, by which parts are sorted."""
    return f"part-{number:06}.parquet"


class RowGroups(NamedTuple):
    """The parts of a file that can be read alone."""

    rows: tuple[int, ...]  # in each row group
    digest: str  # of the file's footer, which has the place and the bounds of each column


def row_groups(path: Path) -> RowGroups:
    """Return the row groups of a file, of which only the footer is read.

    Raises:
        ValueError: the file is missing or damaged.
    """
    with opened(path, ()) as file:
        found = file.metadata
        rows = tuple(found.row_group(i).num_rows for i in range(found.num_row_groups))
        with path.open("rb") as raw:
            raw.seek(-_FOOTER_TAIL, io.SEEK_END)
            size = int.from_bytes(raw.read(4), "little")
            raw.seek(-size - _FOOTER_TAIL, io.SEEK_END)
            return RowGroups(rows, hashlib.sha256(raw.read()).hexdigest()[:16])


def read_columns(
    path: Path, wanted: Sequence[str], row_group: int | None = None
) -> dict[str, NDArray[Any]]:
    """Return some columns of a file, [B] each; nulls among numbers read as NaN.

    Args:
        path: the file.
        wanted: names of the columns.
        row_group: the row group that is read; None for all.

    Raises:
        ValueError: the file is missing or damaged, or lacks one of the columns.
    """
    with opened(path, wanted) as file:
        table = _read(file, list(wanted), row_group)
        return {name: _numpy(table[name]) for name in wanted}


def column_names(path: Path) -> list[str]:
    """Return the names of a file's columns, of which only the footer is read.

    Raises:
        ValueError: the file is missing or damaged.
    """
    with opened(path, ()) as file:
        return [str(name) for name in file.schema_arrow.names]


def values_at(path: Path, name: str, rows: NDArray[np.int64]) -> list[Any]:
    """Return the values of a column in some rows, as the file has them; nulls are None."""
    with opened(path, [name]) as file:
        found: list[Any] = _read(file, [name], None)[name].take(pa.array(rows)).to_pylist()
        return found


def read_matrix(path: Path, wanted: Sequence[str], row_group: int | None = None) -> Float32:
    """Return some columns of numbers of a file as one array, [B, len(wanted)]; nulls are NaN.

    Columns are read one after the other, so that the file is never in memory twice.

    Args:
        path: the file.
        wanted: names of the columns.
        row_group: the row group that is read; None for all.

    Raises:
        ValueError: the file is missing or damaged, or a column is missing or holds no numbers.
    """
    with opened(path, wanted) as file, np.errstate(over="ignore"):
        found = file.metadata
        rows = found.num_rows if row_group is None else found.row_group(row_group).num_rows
        matrix = np.empty((rows, len(wanted)), np.float32)
        for i, name in enumerate(wanted):
            column = _read(file, [name], row_group)[name]
            kind = column.type
            if not (
                pa.types.is_integer(kind)
                or pa.types.is_floating(kind)
                or pa.types.is_boolean(kind)
                or pa.types.is_null(kind)
            ):
                raise ValueError(f"{path} has {name} of type {kind}; allowed are numbers")
            values = _numpy(column)
            matrix[:, i] = values if values.dtype != object else column.cast("float32").to_numpy()
        return matrix


class TableRows(NamedTuple):
    """Rows of a table as arrays."""

    columns: dict[str, NDArray[Any]]  # [B], or [B, width] for a kind that ends in "[]"
    # [B] by column, where some are null; so are NaN, and lists of another length or with a null
    nulls: dict[str, Bool]
    size: int  # B

    @classmethod
    def empty(cls, table: Sequence[Column]) -> "TableRows":
        """Return no rows of a table, with all its columns."""
        shapes = {c.name: (0, 0) if c.kind.endswith("[]") else (0,) for c in table}
        return cls({name: np.zeros(shape, np.int64) for name, shape in shapes.items()}, {}, 0)


def read_rows(
    path: Path,
    table: Sequence[Column],
    names: Mapping[str, Sequence[str]] | None = None,
    *,
    lenient: bool = False,
) -> TableRows:
    """Return the columns of a table that a file has.

    Nulls are -1 among whole numbers and codes, NaN among floats and False among booleans. A column
    of names is returned as codes: indices into the known names, -2 for others.

    Args:
        path: the file.
        table: the table's columns.
        names: the names that are known, by column.
        lenient: whether required columns may be missing.

    Raises:
        ValueError: the file is missing or damaged, lacks a required column or has one of a type
            that cannot be converted.
    """
    required = [column.name for column in table if column.required and not lenient]
    with opened(path, required) as file:
        there = [column for column in table if column.name in file.schema_arrow.names]
        rows = file.read(columns=[column.name for column in there])
        found = TableRows({}, {}, rows.num_rows)
        for column in there:
            chunk = rows[column.name].combine_chunks()
            if isinstance(chunk, pa.ChunkedArray):  # of an empty table
                chunk = pa.concat_arrays(chunk.chunks) if chunk.chunks else pa.array([], chunk.type)
            try:
                values, null = _columns_of(chunk, column, (names or {}).get(column.name, ()))
            except (pa.ArrowException, ValueError) as error:
                raise ValueError(wrong_type(path, column.name, chunk, column, error)) from error
            found.columns[column.name] = values
            if null.any():
                found.nulls[column.name] = null
        return found


def wrong_type(path: Path, name: str, array: "pa.Array", column: Column, error: Exception) -> str:
    """Return the message about a column of a file that cannot be converted."""
    return f"{path} has {name} of type {array.type}; allowed is {column.kind}: {error}"


def decoded(array: "pa.Array") -> "pa.Array":
    """Return an array without dictionary encoding."""
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array


def _columns_of(
    array: "pa.Array", column: Column, known: Sequence[str]
) -> tuple[NDArray[Any], Bool]:
    """Return a column's values [B] or [B, width], and where they are null, [B]."""
    base, array = column.kind.removesuffix("[]"), decoded(array)
    if base != column.kind:
        return _lists_of(array, base)
    null = np.asarray(array.is_null(nan_is_null=True).to_numpy(zero_copy_only=False), np.bool_)
    if base == "name":
        coded = array.cast(pa.string()).dictionary_encode()
        code = {name: i for i, name in enumerate(known)}
        of_name = np.array([code.get(name, -2) for name in coded.dictionary.to_pylist()] + [-1])
        indices = coded.indices.fill_null(len(coded.dictionary)).to_numpy(zero_copy_only=False)
        return of_name[indices].astype(np.int16), null
    filler = {"bool": False, "float32": np.nan, "float64": np.nan}.get(base, -1)
    values = array.cast(pa.type_for_alias(base)).fill_null(filler)
    return np.asarray(values.to_numpy(zero_copy_only=False)), null


def _lists_of(array: "pa.Array", base: str) -> tuple[NDArray[Any], Bool]:
    """Return lists as an array [B, width], and which of them have a null or another length, [B].

    The width is the length that most of them have.

    Raises:
        ValueError: they are no lists.
    """
    kinds = pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list
    if not any(is_kind(array.type) for is_kind in kinds):
        raise ValueError("they are no lists")
    size = len(array)
    lengths = array.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
    width = int(np.bincount(lengths).argmax()) if size else 0
    fits = lengths == width if width else np.zeros(size, np.bool_)
    kind = pa.type_for_alias(base)
    filler = {"bool": False, "float32": np.nan, "float64": np.nan}.get(base, -1)
    values = np.full((size, width), filler, np.dtype(kind.to_pandas_dtype()))
    if width:
        kept = array.filter(pa.array(fits)).flatten().cast(kind)
        known = kept.is_valid().to_numpy(zero_copy_only=False).reshape(-1, width)
        filled = kept.fill_null(filler).to_numpy(zero_copy_only=False)
        values[fits] = filled.reshape(-1, width)
        fits[fits] = known.all(axis=1)
    return values, ~fits


@contextmanager
def opened(path: Path, wanted: Sequence[str]) -> Iterator["pq.ParquetFile"]:
    """Open a file that has these columns, and name it in every error."""
    try:
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            missing = [name for name in wanted if name not in names]
            if missing:
                raise ValueError(f"{path} lacks the columns {', '.join(missing)}")
            twice = [name for name in wanted if names.count(name) > 1]
            if twice:
                raise ValueError(f"{path} has the columns {', '.join(twice)} more than once")
            yield file
    except (OSError, pa.ArrowException) as error:
        raise ValueError(f"{path} is no parquet file: {error}") from error


def _read(file: "pq.ParquetFile", names: list[str], row_group: int | None) -> "pa.Table":
    if row_group is None:
        return file.read(columns=names)
    return file.read_row_group(row_group, columns=names)


def _arrow(values: NDArray[Any] | list[Any]) -> "pa.Array":
    """Return values [B] or [B, width] as an Arrow array; NaN is null."""
    if isinstance(values, list) or values.dtype == object:
        known = list(values)
        texts = {type(value) for value in known} - {type(None)} == {str}
        return _names(known) if texts else pa.array(known, from_pandas=True)
    column: NDArray[Any] = np.ascontiguousarray(values)
    if column.ndim == 2:
        return pa.FixedSizeListArray.from_arrays(_arrow(column.ravel()), column.shape[1])
    valid = ~np.isnan(column) if column.dtype.kind == "f" else np.ones(0, np.bool_)
    data = _bits(column) if column.dtype == np.bool_ else pa.py_buffer(column)
    validity = None if valid.all() else _bits(valid)
    return pa.Array.from_buffers(pa.from_numpy_dtype(column.dtype), len(column), [validity, data])


def _names(values: list[str | None]) -> "pa.Array":
    """Return texts, few of which differ, as a dictionary array; None is null."""
    distinct = [text for text in dict.fromkeys(values) if text is not None]
    codes: dict[str | None, float] = {text: code for code, text in enumerate(distinct)}
    texts = [text.encode() for text in distinct]
    ends = pa.py_buffer(np.cumsum([0, *map(len, texts)], dtype=np.int32))
    names = pa.StringArray.from_buffers(len(texts), ends, pa.py_buffer(b"".join(texts)))
    indices = np.fromiter((codes.get(text, -1) for text in values), np.int32, len(values))
    null = indices < 0
    validity = _bits(~null) if null.any() else None
    data = [validity, pa.py_buffer(np.maximum(indices, 0))]
    coded = pa.Array.from_buffers(pa.int32(), len(indices), data)
    return pa.DictionaryArray.from_arrays(coded, names)


def _bits(flags: Bool) -> "pa.Buffer":
    return pa.py_buffer(np.packbits(flags, bitorder="little"))


def _numpy(column: "pa.ChunkedArray") -> NDArray[Any]:
    """Return a column [B]; nulls among numbers are NaN."""
    parts = [np.from_dlpack(part) for part in column.chunks if _plain(part)]
    if len(parts) == column.num_chunks > 0:
        return np.concatenate(parts)
    values: NDArray[Any] = column.to_numpy()
    return values


def _plain(part: "pa.Array") -> bool:
    """Return whether an array holds numbers without nulls."""
    number = pa.types.is_integer(part.type) or pa.types.is_floating(part.type)
    return bool(number and part.null_count == 0)


def write_table(path: Path, table: "pa.Table") -> None:
    """Write an Arrow table to a file, atomically."""
    buffer = io.BytesIO()
    pq.write_table(table, buffer, row_group_size=ROW_GROUP)
    write_bytes_atomically(path, buffer.getvalue())
    pa.default_memory_pool().release_unused()
