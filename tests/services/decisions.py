"""A log of decisions, read as anybody with pyarrow reads it."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


def read_log(folder: Path) -> pa.Table:
    """All decisions of a log, in the order of its parts."""
    return pa.concat_tables([pq.read_table(part) for part in sorted(folder.glob("*.parquet"))])
