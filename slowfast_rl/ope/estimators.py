"""Off-policy estimators for logged choices, with intervals clustered by member.

A logging policy chose one of A actions in each of B rows, with a known probability (propensity),
and a reward followed. The estimators say what another policy, the target, would have earned on
average in such rows. The main result is the lift over the logging policy, which is the value minus
the mean reward: both come from the same rows, so that the interval of the lift is the narrower one.

All estimators are means of one number per row, or smooth functions of such means. Their variance is
that of their influence function, summed by cluster: the rows of one member are not independent.

=====================  =========================================================================
inverse propensity     Horvitz & Thompson 1952: unbiased; noisy where weights are large
self-normalised        Swaminathan & Joachims 2015: divides by the mean weight; nearly unbiased
direct method          the mean prediction of a reward model; as biased as the model is
doubly robust          Dudík, Langford & Li 2011: the direct method plus weighted residuals;
                       unbiased whatever the model, less noisy the better it is
clipped doubly robust  the same with weights of at most ``clip``; less noisy, may be biased
=====================  =========================================================================
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from slowfast_rl.evaluation.statistics import Z95, Interval
from slowfast_rl.members.arrays import Float64, Int64

CLIP = 20.0  # largest weight of the clipped estimator
READING = {  # how to read each estimate; the first one is the result
    "doubly robust": "the result: unbiased, whatever the reward model",
    "direct method": "sharper, may be biased by the reward model",
    "clipped doubly robust": "sharper, may be biased by clipping",
    "self-normalised": "check without a model",
    "inverse propensity": "check without a model, noisy",
}
LEAST_PROPENSITY = 1e-50  # fourth powers of weights, which intervals need, stay finite


class Estimate(NamedTuple):
    """What one estimator says of the target policy, with 95 % intervals."""

    lift: Interval  # value minus the logging policy's mean reward
    value: Interval  # mean reward of a row under the target policy


class Prediction(NamedTuple):
    """What a reward model predicts for B rows, each of which it was not fitted on."""

    target: Float64  # [B] mean over the actions of the target policy
    logged: Float64  # [B] of the logged action
    # [B] mean over the actions of the logging policy; None if its probabilities are not known. With
    # it, a lift compares two predictions, in which the model's level cancels.
    logging: Float64 | None = None
    # Given weights [B] and 1 or 0, the influence [B] of each row through the model that was fitted
    # on it, on the mean of target + weights (reward - logged), where 0 leaves the model's level out
    # of the target. Without it, intervals leave out the uncertainty of the fit.
    of_fit: Callable[[Float64, float], Float64] | None = None

    def influence(self, weights: Float64, level: float) -> Float64 | float:
        """Return what :attr:`of_fit` returns, 0 where the uncertainty is not known."""
        return 0.0 if self.of_fit is None else self.of_fit(weights, level)


def importance_weights(
    logged: Int64, propensities: ArrayLike, target: ArrayLike
) -> tuple[Float64, Float64]:
    """Return the weight of each row and the propensity of its logged action, [B] each.

    Args:
        logged: [B] actions, from 0 to A - 1.
        propensities: [B] probabilities with which these were chosen, or [B, A] of all actions.
        target: [B, A] probabilities of the target policy.

    Raises:
        ValueError: an array has another shape, an action or a probability is impossible, or the
            target's probabilities of a row do not add up to 1.
    """
    actions = np.asarray(logged)
    policy, given = np.asarray(target, np.float64), np.asarray(propensities, np.float64)
    if policy.ndim != 2 or actions.shape != policy.shape[:1] or not actions.size:
        raise ValueError(
            f"logged has shape {actions.shape} and target {policy.shape}; allowed are [B] and "
            "[B, A], with one row or more"
        )
    if given.shape not in (actions.shape, policy.shape):
        raise ValueError(
            f"propensities have shape {given.shape}; allowed is {actions.shape} or {policy.shape}"
        )
    if actions.dtype.kind not in "iu" or actions.min() < 0 or actions.max() >= policy.shape[1]:
        raise ValueError(
            f"logged actions span {actions.min()} to {actions.max()}; allowed are whole numbers "
            f"from 0 to {policy.shape[1] - 1}"
        )
    _check_distribution("target", policy)
    if given.ndim == 2:
        _check_distribution("propensities", given)
        given = given[np.arange(len(actions)), actions]
    possible = (given >= LEAST_PROPENSITY) & (given <= 1)  # false for NaN
    if not possible.all():
        row = int(np.argmin(possible))
        raise ValueError(
            f"{int((~possible).sum())} propensities of logged actions are impossible, the first "
            f"{given[row]:g} in row {row}; allowed is {LEAST_PROPENSITY:g} to 1"
        )
    return policy[np.arange(len(actions)), actions] / given, given


def _check_distribution(name: str, probabilities: Float64) -> None:
    """Check that each row [B, A] is a distribution; sums of float32 numbers are accepted."""
    off = ~(np.abs(probabilities.sum(axis=1) - 1) < 1e-5) | ~(probabilities >= 0).all(axis=1)
    if off.any():
        row = int(np.argmax(off))
        raise ValueError(
            f"{name} has {int(off.sum())} rows that are no probabilities, the first is row {row} "
            f"with the sum {probabilities[row].sum():g}; allowed are numbers of 0 or more that add "
            "up to 1"
        )


def predict(
    logged: Int64, target: ArrayLike, values: ArrayLike, propensities: ArrayLike | None = None
) -> Prediction:
    """Return what a reward model predicts, from its values of all actions.

    Args:
        logged: [B] actions.
        target: [B, A] probabilities of the target policy.
        values: [B, A] predicted reward of each action, by a model that was not fitted on the row.
        propensities: [B, A] probabilities of the logging policy; None, or [B] of the logged actions
            alone, if they are not known.

    Raises:
        ValueError: the values are not of all actions of the target.
    """
    q = np.asarray(values, np.float64)
    if q.shape != np.shape(target) or q.ndim != 2:
        raise ValueError(
            f"values have shape {q.shape}; allowed is {np.shape(target)}, the target's"
        )
    logging = None
    if propensities is not None and np.ndim(propensities) == 2:
        logging = np.einsum("ba,ba->b", np.asarray(propensities, np.float64), q)
    target_value = np.einsum("ba,ba->b", np.asarray(target, np.float64), q)
    return Prediction(target_value, q[np.arange(len(q)), logged], logging)


def estimate(
    weights: Float64,
    rewards: Float64,
    clusters: Int64 | None = None,
    prediction: Prediction | None = None,
    clip: float = CLIP,
) -> dict[str, Estimate]:
    """Return the estimates of all methods by name; those with a model only if there is one.

    Args:
        weights: [B] of :func:`importance_weights`.
        rewards: [B] that followed.
        clusters: [B] member of each row; None if rows are independent.
        prediction: of a reward model; None for none.
        clip: largest weight of the clipped estimator.

    Raises:
        ValueError: the arrays have different numbers of rows, a reward is not finite, or ``clip``
            is not above 0.
    """
    w, r = np.asarray(weights, np.float64), np.asarray(rewards, np.float64)
    if w.ndim != 1 or r.shape != w.shape or not w.size:
        raise ValueError(
            f"weights have shape {w.shape} and rewards {r.shape}; allowed is [B] for both, with "
            "one row or more"
        )
    check_rewards(r)
    if not clip > 0:
        raise ValueError(f"clip is {clip}; allowed is above 0")
    groups = cluster_numbers(clusters, len(r))
    found = {"inverse propensity": _of_mean(w * r, r, groups)}
    found["self-normalised"] = _self_normalised(w, r, groups)
    if prediction is None:
        return found
    return {
        "doubly robust": _robust(prediction, w, r, groups),
        "direct method": _direct(prediction, r, groups),
        "clipped doubly robust": _robust(prediction, np.minimum(w, clip), r, groups),
    } | found


def check_rewards(rewards: Float64) -> None:
    """Check that all rewards are finite.

    Raises:
        ValueError: one is not.
    """
    finite = np.isfinite(rewards)
    if not finite.all():
        raise ValueError(
            f"{int((~finite).sum())} of {rewards.size} rewards are not finite; allowed are numbers"
        )


def cluster_numbers(clusters: ArrayLike | None, rows: int) -> Int64:
    """Return clusters as numbers from 0 without gaps, [B].

    Raises:
        ValueError: there is not one cluster per row.
    """
    if clusters is None:
        return np.arange(rows)
    if np.shape(clusters) != (rows,):
        raise ValueError(f"clusters have shape {np.shape(clusters)}; allowed is ({rows},)")
    return np.asarray(np.unique(clusters, return_inverse=True)[1].ravel(), np.int64)


def clustered_interval(mean: float, influence: Float64, groups: Int64) -> Interval:
    """Return an estimate with its 95 % interval, whose rows are dependent within clusters.

    Args:
        mean: the estimate.
        influence: [B] influence of each row on the estimate, times B, with mean 0. The estimate's
            error is about their mean.
        groups: [B] cluster of each row, from 0 without gaps. With one row each, the interval is
            that of a mean of independent rows.
    """
    sums = np.bincount(groups, weights=influence)
    count = len(sums)
    if count < 2:
        return Interval(mean, -np.inf, np.inf)
    squares = np.square(sums, dtype=np.float64)
    half = float(np.sqrt(count / (count - 1) * squares.sum())) / len(influence) * _quantile(squares)
    return Interval(mean, mean - half, mean + half)


def _quantile(squares: Float64) -> float:
    """Return the 97.5 % quantile of Student's t for a variance that is the sum of some squares.

    The degrees of freedom are Satterthwaite's, 2 (Σ s²)² / Σ s⁴: few, where few rows have a weight.
    The quantile is expanded around that of the normal distribution (Abramowitz & Stegun 26.7.5).
    """
    total = float(squares.sum())
    inverse = float((squares**2).sum()) / (2 * total**2) if total else 0.0
    z = Z95
    first = (z**3 + z) / 4 * inverse
    return z + first + (5 * z**5 + 16 * z**3 + 3 * z) / 96 * inverse**2


def _of_mean(by_row: Float64, rewards: Float64, groups: Int64) -> Estimate:
    """Return the estimate that is the mean of one number per row, [B]."""
    return Estimate(_mean(by_row - rewards, 0.0, groups), _mean(by_row, 0.0, groups))


def _mean(by_row: Float64, influence: Float64 | float, groups: Int64) -> Interval:
    """Return the mean of one number per row [B], with what else each row's influence is."""
    mean = float(by_row.mean())
    return clustered_interval(mean, by_row - mean + influence, groups)


def _robust(prediction: Prediction, w: Float64, r: Float64, groups: Int64) -> Estimate:
    """Return the mean prediction, corrected by weighted residuals.

    An error of the model cancels on average if weights are not clipped. It does not cancel exactly
    where few rows have a weight, so that the interval includes it. Where the logging policy is
    known, the lift is the difference of two such estimates, which is 0 for the logging policy.
    """
    residual = r - prediction.logged
    by_row = prediction.target + w * residual
    value = _mean(by_row, prediction.influence(w, 1.0), groups)
    if prediction.logging is None:
        return Estimate(_mean(by_row - r, prediction.influence(w, 1.0), groups), value)
    lift = prediction.target - prediction.logging + (w - 1) * residual
    return Estimate(_mean(lift, prediction.influence(w - 1, 0.0), groups), value)


def _self_normalised(w: Float64, r: Float64, groups: Int64) -> Estimate:
    """Return the ratio of the mean weighted reward to the mean weight; by the delta method."""
    total = float(w.sum())
    if total == 0:  # the target chose none of the logged actions
        unknown = Interval(np.nan, -np.inf, np.inf)
        return Estimate(unknown, unknown)
    value, mean = float((w * r).sum() / total), float(r.mean())
    influence = w * (r - value) / (total / len(w))
    return Estimate(
        clustered_interval(value - mean, influence - (r - mean), groups),
        clustered_interval(value, influence, groups),
    )


def _direct(prediction: Prediction, r: Float64, groups: Int64) -> Estimate:
    """Return the mean prediction."""
    none = np.zeros(len(r))
    if prediction.logging is None:
        of_fit = prediction.influence(none, 1.0)
        return Estimate(
            _mean(prediction.target - r, of_fit, groups), _mean(prediction.target, of_fit, groups)
        )
    lift, of_fit = prediction.target - prediction.logging, prediction.influence(none, 0.0)
    return Estimate(_mean(lift, of_fit, groups), _mean(r + lift, of_fit, groups))
