"""Lines of a stream, in the batches in which they arrive."""

import os
import select
from collections.abc import Iterator

_CHUNK = 1 << 18  # bytes read at once


def line_batches(file: int, longest: int, idle_seconds: float) -> Iterator[list[bytes]]:
    """Yield the lines that have arrived, without their line ends, until the stream ends.

    Args:
        file: descriptor of the stream.
        longest: bytes of a line that are kept; of a longer one, the first ``longest + 1``.
        idle_seconds: time without a line after which an empty batch is yielded.
    """
    rest = b""
    while True:
        if not select.select([file], [], [], idle_seconds)[0]:
            yield []
            continue
        chunk = os.read(file, _CHUNK)
        if not chunk:
            break
        *lines, rest = (rest + chunk).split(b"\n")
        rest = rest[: longest + 1]
        if lines:
            yield lines
    if rest:
        yield [rest]
