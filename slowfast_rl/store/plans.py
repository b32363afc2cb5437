"""Weekly pacing plans, which the slow policy writes to the store and the fast policy reads."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from slowfast_rl.members.arrays import Int8, Int32, Int64
from slowfast_rl.members.clock import WEEK_SECONDS
from slowfast_rl.store.protocol import FeatureStore
from slowfast_rl.store.views import Column, FeatureView

PLANS = "plans"
"""Name of the view of plans."""
UNIFORM_SHAPE = 0
"""Id of the uniform pacing shape, which every world has."""


class PacingPlan(NamedTuple):
    """One week's plan for each of B members; `pacing_plan` builds and checks it.

    Attributes:
        target: [B, C], intended sends per week on each channel.
        cap: [B, C], largest number of sends per week on each channel, at least the target.
        shape: [B], pacing shape id; 0 spreads sends uniformly over the week's slots.
        week: [B], the week of the plan, counted from 0.
        policy_version: [B], the version of the policy that chose it.
    """

    target: Int32
    cap: Int32
    shape: Int32
    week: Int64
    policy_version: Int64


def pacing_plan(
    target: ArrayLike,
    week: ArrayLike,
    cap: ArrayLike | None = None,
    shape: ArrayLike = UNIFORM_SHAPE,
    policy_version: ArrayLike = 0,
) -> PacingPlan:
    """Return a batch of plans; scalars apply to every member.

    Args:
        target: [B, C], sends per week, 0 or more.
        week: scalar or [B], 0 or more.
        cap: [B, C], sends per week, at least the target; None for the target itself.
        shape: scalar or [B], pacing shape id, 0 or more.
        policy_version: scalar or [B], 0 or more.

    Raises:
        ValueError: a value is not allowed; the message names it and what is allowed.
    """
    size = np.shape(target)
    if len(size) != 2:
        raise ValueError(f"plan target of shape {size}: allowed is [B, C]")
    targets = _integers("target", target, np.int32, size)
    caps = targets.copy() if cap is None else _integers("cap", cap, np.int32, size)
    below = caps < targets
    if below.any():
        raise ValueError(
            f"plan cap {caps[below][0]} is below a target of {targets[below][0]}: "
            "a cap is at least its target"
        )
    return PacingPlan(
        target=targets,
        cap=caps,
        shape=_integers("shape", shape, np.int32, size[:1]),
        week=_integers("week", week, np.int64, size[:1]),
        policy_version=_integers("policy_version", policy_version, np.int64, size[:1]),
    )


def plan_view(num_channels: int) -> FeatureView:
    """Return the view `plans` for C channels: sticky, and valid until the plan's week ends.

    Raises:
        ValueError: there is no channel.
    """
    return FeatureView(
        name=PLANS,
        columns={
            "target": Column("int32", (num_channels,)),
            "cap": Column("int32", (num_channels,)),
            "shape": Column("int32"),
            "week": Column("int64"),
            "policy_version": Column("int64"),
        },
        max_age_seconds=WEEK_SECONDS,
        sticky_week=True,
    )


def write_plans(
    store: FeatureStore, entity_ids: ArrayLike, plan: PacingPlan, now: ArrayLike
) -> int:
    """Write plans to the store.

    Args:
        store: has the view of :func:`plan_view`.
        entity_ids: [B] members.
        plan: their plans.
        now: the time in seconds, a scalar or [B].

    Returns:
        The number of plans accepted: a plan replaces only one of an earlier week, and its week must
        have begun.

    Raises:
        ValueError: as for `FeatureStore.write_to_online_store`.
        StoreUnavailableError: the backend cannot be reached.
    """
    return store.write_to_online_store(PLANS, entity_ids, plan._asdict(), now)


def read_plans(
    store: FeatureStore, entity_ids: ArrayLike, now: ArrayLike
) -> tuple[PacingPlan, Int8]:
    """Read the plans of members from the store.

    Args:
        store: has the view of :func:`plan_view`.
        entity_ids: [B] members.
        now: the time in seconds, a scalar or [B].

    Returns:
        The plans and their status [B]: PRESENT in the plan's week, OUTSIDE_MAX_AGE after it, and
        NOT_FOUND with a plan of zeros before it or without a plan.

    Raises:
        ValueError: as for `FeatureStore.get_online_features`.
        StoreUnavailableError: the backend cannot be reached.
    """
    response = store.get_online_features(PLANS, entity_ids, now)
    return PacingPlan(**response.values), response.status


def _integers(
    name: str, values: ArrayLike, dtype: DTypeLike, size: tuple[int, ...]
) -> NDArray[np.signedinteger]:
    """Return values as an array of non-negative integers of a dtype and size."""
    array = np.asarray(values)
    most = np.iinfo(dtype).max
    if not array.size:  # such as [], which NumPy takes for float64
        array = array.astype(dtype)
    if array.dtype.kind not in "iu":
        raise ValueError(f"plan {name} of dtype {array.dtype}: allowed are integers")
    if array.shape not in ((), size):
        raise ValueError(f"plan {name} of shape {array.shape}: allowed is {size}")
    outside = (array < 0) | (array > most)
    if outside.any():
        raise ValueError(f"plan {name} {array[outside][0]}: allowed are 0 to {most}")
    return np.full(size, array, dtype)
