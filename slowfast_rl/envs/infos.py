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
    return _restricted(info, ~ended) | {
        "final_obs": final,
        "_final_obs": ended.copy(),
        "final_info": _restricted(info, ended),
        "_final_info": ended.copy(),
    }


def _restricted(info: Info, rows: Bool) -> Info:
    """Return an info with zeros outside the given rows [N], and with its masks."""
    result: Info = {}
    for name, values in info.items():
        result[name] = np.zeros_like(values)
        result[name][rows] = values[rows]
        result[f"_{name}"] = rows.copy()
    return result
