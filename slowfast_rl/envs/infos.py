"""Infos of a vector environment, in the layout of Gymnasium's ``SyncVectorEnv``."""

from typing import Any

import numpy as np

from slowfast_rl.members.arrays import Bool, Float32

Info = dict[str, Any]


def with_masks(info: Info, num_envs: int) -> Info:
    """Return an info with a mask ``_name`` [N] added for each name, all True.

    Args:
        info: arrays [N, ...] by name, which all N rows have.
        num_envs: N.
    """
    return info | {f"_{name}": np.ones(num_envs, np.bool_) for name in info}


def end_infos(info: Info, observations: Float32, ended: Bool) -> Info:
    """Return the infos of a step in which the episodes of some rows ended.

    The info of the rows that ended moves to ``final_info``, and their last observations to
    ``final_obs``; the info of the other rows stays at the top level. A row without a value has
    zeros (None in ``final_obs``), and its mask ``_name`` is False.

    Args:
        info: the step's info, arrays [N, ...] by name.
        observations: [N, F] before the new episodes.
        ended: [N], True where the episode ended.
    """
    final = np.full(len(ended), None, dtype=object)
    for row in np.flatnonzero(ended):
        final[row] = observations[row].copy()
    return restricted(info, ~ended) | {
        "final_obs": final,
        "_final_obs": ended.copy(),
        "final_info": restricted(info, ended),
        "_final_info": ended.copy(),
    }


def row_info(info: Info, row: int) -> Info:
    """Return one row's info as Gymnasium's single environments have it, flags as Python's bool.

    Args:
        info: arrays [N, ...] by name, and masks.
        row: the row; names whose mask is False there are left out.
    """
    names = (name for name in info if not name.startswith("_") and info[f"_{name}"][row])
    return {name: _value(info[name], row) for name in names}


def _value(values: Any, row: int) -> Any:
    """Return one row's value of an array, or of each array of a wrapper's dictionary."""
    if isinstance(values, dict):
        return {name: _value(each, row) for name, each in values.items()}
    return bool(values[row]) if values.dtype == np.bool_ and values.ndim == 1 else values[row]


def restricted(info: Info, rows: Bool) -> Info:
    """Return an info, arrays [N, ...] by name, with zeros outside some rows [N] and with masks."""
    result: Info = {}
    for name, values in info.items():
        result[name] = np.zeros_like(values)
        result[name][rows] = values[rows]
        result[f"_{name}"] = rows.copy()
    return result
