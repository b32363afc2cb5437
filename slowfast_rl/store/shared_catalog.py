"""The layout of a shared store's file: a header, two copies of a catalog, and areas of rows."""

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from slowfast_rl.store.records import WORD

HEADER = 4096  # bytes; all words but the first two are zero
CATALOG_BYTES = 1 << 16
AREAS = HEADER + 2 * CATALOG_BYTES  # offset of the first area


@dataclass
class Area:
    """The part of the file that holds the rows of a view."""

    view: dict[str, Any]  # `FeatureView.to_json`
    offset: int  # bytes
    capacity: int  # slots


@dataclass
class Catalog:
    """The areas and free parts of the file."""

    areas: list[Area] = field(default_factory=list)
    free: list[tuple[int, int]] = field(default_factory=list)  # unused parts as (offset, bytes)
    end: int = AREAS  # end of the last area, in bytes

    def to_json(self) -> bytes:
        """Return the catalog as JSON."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """Rebuild a catalog, from bytes that may hold anything.

        Raises:
            ValueError: the bytes are not a catalog, or a part lies outside the areas.
        """
        try:
            tree = json.loads(text)
            catalog = cls(
                [Area(**area) for area in tree["areas"]],
                [(offset, size) for offset, size in tree["free"]],
                tree["end"],
            )
            parts = [(area.offset, area.capacity) for area in catalog.areas] + catalog.free
            if not all(
                type(number) is int for part in (*parts, (catalog.end, 0)) for number in part
            ):
                raise ValueError("a place in it is not a whole number")
        except (KeyError, TypeError, RecursionError) as error:
            raise ValueError(f"it is not a catalog: {type(error).__name__}") from error
        for offset, size in parts:
            if offset < AREAS or offset % WORD or size < 1 or offset + size > catalog.end:
                raise ValueError("a part of the file lies outside the areas")
        if any(area.capacity & (area.capacity - 1) for area in catalog.areas):
            raise ValueError("the capacity of an area is not a power of two")
        return catalog

    def allocate(self, size: int) -> int:
        """Allocate `size` bytes, in the smallest sufficient free part or at the end.

        Returns:
            The offset in bytes.
        """
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
        """Mark `size` bytes from `offset` on as free; adjacent free parts are joined."""
        joined: list[tuple[int, int]] = []
        for first, bytes_ in sorted([*self.free, (offset, size)]):
            if joined and sum(joined[-1]) == first:
                joined[-1] = (joined[-1][0], joined[-1][1] + bytes_)
            else:
                joined.append((first, bytes_))
        self.free = joined
