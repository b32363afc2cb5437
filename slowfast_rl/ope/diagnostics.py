"""What to look at beside an off-policy estimate, and when there is none to be had."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from slowfast_rl.evaluation.statistics import Interval
from slowfast_rl.members.arrays import Float64, Int64
from slowfast_rl.ope.estimators import Estimate, cluster_numbers, clustered_interval

MOST_UNSUPPORTED = 0.01  # share of the target's probability on actions that were never drawn
LEAST_EFFECTIVE_SIZE = 50  # rows
LARGEST_SHARE = 0.1  # of the sum of weights, in one row
_FAR = 1.7  # half widths of the interval, or 3.3 standard errors: one false alarm in a thousand


class Diagnostics(NamedTuple):
    """Diagnostics of the weights in the rows where chance decided.

    A row without a choice, in which both policies take the only action there is, has the weight 1
    whatever the policy. Such rows would make weights look better than they are, and are left out.

    Attributes:
        rows: number of rows.
        choices: rows in which there was a choice; the following are about these.
        members: members with such rows.
        effective_size: (Σ w)² / Σ w², the number of rows of equal weights that are as good.
        largest_share: the largest weight, relative to the sum of weights.
        mean_weight: mean weight with its interval. It is 1 on average; target mass without support
            lowers it, and propensities that are wrong move it anywhere.
        unsupported: share of the target's probability on actions that could not be drawn; None if
            the probabilities of the other actions are not known.
        direct_minus_robust: difference in value of direct method and doubly robust estimate; far
            from 0, compared with the width of the interval, the reward model is wrong. None without
            a model.
    """

    rows: int
    choices: int
    members: int
    effective_size: float
    largest_share: float
    mean_weight: Interval
    unsupported: float | None = None
    direct_minus_robust: float | None = None

    def __str__(self) -> str:
        """Return one line."""
        parts = [
            f"{self.choices:,} of {self.rows:,} rows with a choice, {self.members:,} members",
            f"effective size {self.effective_size:,.0f}",
            f"largest weight {100 * self.largest_share:.1f} % of all",
            f"mean weight {self.mean_weight.mean:.2f} [{self.mean_weight.low:.2f}, "
            f"{self.mean_weight.high:.2f}]",
        ]
        if self.unsupported is not None:
            parts.append(f"target without support {100 * self.unsupported:.2f} %")
        if self.direct_minus_robust is not None:
            parts.append(f"direct − robust {self.direct_minus_robust:+.3g}")
        return "; ".join(parts)


def diagnose(
    weights: Float64,
    propensity: Float64,
    target_of_logged: Float64,
    clusters: Int64 | None = None,
    unsupported: Float64 | None = None,
) -> Diagnostics:
    """Return diagnostics of the weights.

    Args:
        weights: [B] weights.
        propensity: [B] propensity of the logged action.
        target_of_logged: [B] probability of the logged action under the target policy.
        clusters: [B] member of each row; None if each row is a member of its own.
        unsupported: [B] probability of the target on actions that could not be drawn; None if that
            is not known.

    Raises:
        ValueError: all propensities are 1, or the target has too much probability on actions that
            could not be drawn.
    """
    chance = propensity < 1
    if not chance.any():
        raise ValueError(
            f"all {len(propensity)} propensities are 1; allowed is a log in which chance decided "
            "in some rows, as with plans drawn at random or an executor that explores"
        )
    choice = chance | (target_of_logged < 1)
    missing = None if unsupported is None else float(unsupported[choice].mean())
    if missing is not None and missing > MOST_UNSUPPORTED:
        raise ValueError(
            f"{100 * missing:.3g} % of the target's probability is on actions that the log could "
            f"not contain; allowed is at most {100 * MOST_UNSUPPORTED:g} %"
        )
    w = weights[choice]
    groups = cluster_numbers(None if clusters is None else clusters[choice], len(w))
    total = float(w.sum())
    mean = clustered_interval(float(w.mean()), w - w.mean(), groups)
    return Diagnostics(
        rows=len(weights),
        choices=len(w),
        members=int(groups.max()) + 1,
        effective_size=total**2 / float((w**2).sum()) if total else 0.0,
        largest_share=float(w.max()) / total if total else 1.0,
        mean_weight=mean,
        unsupported=missing,
    )


def unsupported_mass(target: ArrayLike, propensities: ArrayLike) -> Float64:
    """Return the target's probability on actions of propensity 0 in each row, [B].

    Args:
        target: [B, A] probabilities of the target policy.
        propensities: [B, A] of the logging policy, or whether an action could be drawn.
    """
    possible = np.asarray(propensities) > 0
    return np.asarray(np.where(possible, 0, np.asarray(target)).sum(axis=1), np.float64)


def compare_models(found: Diagnostics, estimates: dict[str, Estimate]) -> Diagnostics:
    """Return the diagnostics with the difference of direct method and doubly robust estimate."""
    if "direct method" not in estimates:
        return found
    difference = estimates["direct method"].lift.mean - estimates["doubly robust"].lift.mean
    return found._replace(direct_minus_robust=difference)


def weight_warnings(found: Diagnostics) -> list[str]:
    """Return what makes estimates unreliable, one sentence each."""
    warnings = []
    if found.effective_size < LEAST_EFFECTIVE_SIZE:
        warnings.append(
            f"the effective sample size is {found.effective_size:.0f}; below "
            f"{LEAST_EFFECTIVE_SIZE} intervals are not reliable"
        )
    if found.largest_share > LARGEST_SHARE:
        warnings.append(
            f"one row has {100 * found.largest_share:.0f} % of all weight; above "
            f"{100 * LARGEST_SHARE:.0f} % an estimate rests on few rows"
        )
    mean, low, high = found.mean_weight
    if abs(mean - 1) > _FAR * (high - low) / 2:
        warnings.append(
            f"the mean weight is {mean:.3f} [{low:.3f}, {high:.3f}], too far from 1 for chance: "
            "propensities may be wrong, or the target may choose what the log could not contain"
        )
    return warnings
