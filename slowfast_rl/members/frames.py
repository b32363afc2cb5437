"""Observations and results as tables of pandas. Needs the extra ``report``."""

from collections.abc import Mapping, Sequence
from math import nan
from typing import Any

from numpy.typing import NDArray

from slowfast_rl.members.features import Feature

try:
    import pandas as pd
except ImportError as error:
    raise ImportError("tables need pandas: pip install 'slowfast_rl[report]'") from error


_WORDS = ("name", "executor", "checkpoint", "group", "paired_vs")  # columns that are no numbers


def to_frame(
    observations: NDArray[Any], features: Sequence[Feature], index: Any = None
) -> pd.DataFrame:
    """Return observations as a table, one row per member and one column per feature.

    Args:
        observations: [B, F].
        features: the F features, such as ``sf.weekly_features(world)``.
        index: [B] names of the rows, such as member ids; None numbers them.

    Raises:
        ValueError: the observations do not have one column per feature.
    """
    if observations.ndim != 2 or observations.shape[1] != len(features):
        raise ValueError(
            f"observations have shape {observations.shape}; allowed is one column for each of the "
            f"{len(features)} features"
        )
    return pd.DataFrame(observations, index, [feature.name for feature in features])


def join(tables: Sequence[pd.DataFrame], columns: Mapping[str, Any]) -> pd.DataFrame:
    """Return tables side by side, followed by columns [B]; all have the rows of the first."""
    return pd.concat([*tables, pd.DataFrame(dict(columns), tables[0].index)], axis=1)


def frame_of_rows(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return the rows of a leaderboard as a table of numbers and words.

    An interval ``a_ci95`` becomes the columns ``a_low`` and ``a_high``, and a mapping of channels
    one column per channel, as ``push_a``. Nested mappings are left out. A number that is missing is
    NaN, so that a column of them is still one of numbers.
    """
    return pd.DataFrame([_flat(row) for row in rows]).set_index("name")


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in row.items():
        if name.endswith("ci95"):
            low, high = value or (nan, nan)
            stem = name.removesuffix("_ci95")
            flat |= {f"{stem}_low": low, f"{stem}_high": high}
        elif isinstance(value, Mapping):
            flat |= {
                f"{key}_{name}": nan if v is None else v
                for key, v in value.items()
                if not isinstance(v, Mapping)
            }
        else:
            flat[name] = nan if value is None and name not in _WORDS else value
    return flat
