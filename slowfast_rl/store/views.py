"""Feature views: the typed columns of rows, their age limit and their write rule."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

DTYPES = (
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
    "float16", "float32", "float64",
)  # fmt: skip
WEEK_DTYPES = ("int32", "int64")


@dataclass(frozen=True)
class Column:
    """The type of one feature.

    Attributes:
        dtype: the name of a NumPy type, one of `DTYPES`.
        shape: the shape of one row's value, () for a scalar; a batch of B rows is [B, *shape].

    Raises:
        ValueError: the dtype is none of `DTYPES`, or an axis is shorter than 1.
    """

    dtype: str
    shape: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise ValueError(f"column dtype {self.dtype!r}: allowed are {', '.join(DTYPES)}")
        if any(axis < 1 for axis in self.shape):
            raise ValueError(f"column shape {self.shape}: every axis must be at least 1")


@dataclass(frozen=True)
class FeatureView:
    """A named group of features, one row per entity (Feast's term).

    Attributes:
        name: an identifier, unique in the store.
        columns: the type of each feature by name; at least one; names are identifiers.
        max_age_seconds: age from which a row reads as OUTSIDE_MAX_AGE; None for no limit.
        sticky_week: the write rule. False: a row replaces one of an earlier or equal event time.
            True: rows have a scalar column `week` (int32 or int64) and are stamped with that week's
            Monday; a row replaces only one of an earlier week and is refused before its week
            begins. See docs/decisions/0003-plan-stamps.md.

    Raises:
        ValueError: a name is not an identifier, there are no columns, the maximum age is below 1,
            or a sticky view has no column `week`.
    """

    name: str
    columns: Mapping[str, Column]
    max_age_seconds: int | None = None
    sticky_week: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "columns", dict(self.columns))
        for name in (self.name, *self.columns):
            if not name.isidentifier():
                raise ValueError(f"name {name!r}: views and columns are named by identifiers")
        if not self.columns:
            raise ValueError(f"view {self.name!r} has no columns: at least one is needed")
        if self.max_age_seconds is not None and self.max_age_seconds < 1:
            raise ValueError(f"max_age_seconds {self.max_age_seconds}: at least 1, or None")
        if self.sticky_week:
            week = self.columns.get("week")
            if week is None or week.dtype not in WEEK_DTYPES or week.shape:
                raise ValueError(
                    f"sticky view {self.name!r} has week={week}: a scalar column 'week' of "
                    f"{' or '.join(WEEK_DTYPES)} is needed"
                )

    def to_json(self) -> dict[str, Any]:
        """Return the view as plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Self:
        """Rebuild a view from the result of `to_json`, also after conversion to JSON text and back.

        Raises:
            ValueError: as for the constructor.
            TypeError: a field is unknown or missing.
        """
        columns = {
            name: Column(**{**column, "shape": tuple(column["shape"])})
            for name, column in fields["columns"].items()
        }
        return cls(**{**fields, "columns": columns})


def registered(
    known: Mapping[str, FeatureView], views: Iterable[FeatureView]
) -> dict[str, FeatureView]:
    """Return the known views and ``views`` together, by name.

    Raises:
        ValueError: another view of the same name is known.
    """
    together = dict(known)
    for view in views:
        if together.setdefault(view.name, view) != view:
            raise ValueError(
                f"view {view.name!r} is registered as {together[view.name]}, not as {view}"
            )
    return together


class UnknownViewError(ValueError):
    """A view is not registered, or another process has removed it."""


def unknown_view(name: str, known: Iterable[str]) -> UnknownViewError:
    """Return the error for a view that is not registered."""
    registered_views = ", ".join(known) or "none yet"
    return UnknownViewError(f"unknown view {name!r}: registered are {registered_views}")
