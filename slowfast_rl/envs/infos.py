"""Infos of a vector environment, laid out as Gymnasium's ``SyncVectorEnv`` lays them out."""

from typing import Any

import numpy as np

from slowfast_rl.members.arrays import Bool, Float32

Info = dict[str, Any]


def with_masks(info: Info, num_envs: int) -> Info:
    """Return an info [N, ...] per name with, per name, ``_name`` [N]: True, as all rows have it."""
    return info | {f"_{name}": np.ones(num_envs, np.bool_) for name in info}


def end_infos(info: Info, observations: Float32, ended: Bool) -> Info:
    """Return a step's infos where some rows ended.

    What the step brought ended rows moves to ``final_info``, their last observation to
    ``final_obs``; what it brought the others stays where it was. Where a row has nothing, there
    are zeros (None in ``final_obs``) and its ``_name`` is False.

    Args:
        info: what the step brought, [N, ...] per name.
        observations: [N, F] before the new episodes.
        ended: [N].
    """
    final = np.full(len(ended), None, dtype=object)
    for row in np.flatnonzero(ended):
        final[row] = observations[row].copy()
    return _only(info, ~ended) | {
        "final_obs": final,
        "_final_obs": ended.copy(),
        "final_info": _only(info, ended),
        "_final_info": ended.copy(),
    }


def _only(info: Info, rows: Bool) -> Info:
    """Return an info with zeros in the other rows, and its masks."""
    kept: Info = {}
    for name, values in info.items():
        kept[name] = np.zeros_like(values)
        kept[name][rows] = values[rows]
        kept[f"_{name}"] = rows.copy()
    return kept
