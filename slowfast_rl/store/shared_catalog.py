"""The layout of a shared store's file: a header, two copies of a catalog, then areas of rows."""

from dataclasses import dataclass, field
from typing import Any

HEADER = 4096  # bytes; all but two words are zero
CATALOG_BYTES = 1 << 16
AREAS = HEADER + 2 * CATALOG_BYTES  # where the first area begins


@dataclass
class Area:
    """Where a view's rows lie."""

    view: dict[str, Any]  # `FeatureView.to_json`
    offset: int  # bytes
    capacity: int  # slots


@dataclass
class Catalog:
    """What the file holds."""

    areas: list[Area] = field(default_factory=list)
    free: list[tuple[int, int]] = field(default_factory=list)  # (offset, bytes) to use again
    end: int = AREAS  # of the last area, in bytes

    def room(self, size: int) -> int:
        """Return the offset of so many bytes: the smallest free piece that has them, or new."""
        fitting = sorted((bytes_, offset) for offset, bytes_ in self.free if bytes_ >= size)
        if fitting:
            bytes_, offset = fitting[0]
            self.free.remove((offset, bytes_))
            if bytes_ > size:
                self.free.append((offset + size, bytes_ - size))
            return offset
        self.end += size
        return self.end - size

    def release(self, offset: int, size: int) -> None:
        """Give bytes back; neighbouring pieces become one."""
        joined: list[tuple[int, int]] = []
        for first, bytes_ in sorted([*self.free, (offset, size)]):
            if joined and sum(joined[-1]) == first:
                joined[-1] = (joined[-1][0], joined[-1][1] + bytes_)
            else:
                joined.append((first, bytes_))
        self.free = joined
