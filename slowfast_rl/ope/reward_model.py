"""A linear reward model for off-policy evaluation, cross-fitted by member.

The reward of a row is m(x) + (g − u) ⊗ x · θ, where x are terms of the row, g features of the
action and u their mean over the logging policy: the model of :mod:`slowfast_rl.slow.effects`, which
is fitted on what chance decided. The members are divided into folds; a row is predicted by a model
that was fitted on the members of the other folds. Its interval is a sandwich: residuals of those
predictions, summed by member, show what the fit itself contributes to the error.
"""

from typing import NamedTuple

import numpy as np

from slowfast_rl.members.arrays import Bool, Float32, Float64, Int64
from slowfast_rl.ope.estimators import Prediction, check_rewards, cluster_numbers
from slowfast_rl.slow.effects import (
    baseline,
    centre_and_scale,
    regress_on_surprise,
    residuals_of_others,
    row_blocks,
    standardised,
)

RIDGE = 0.1  # of effects; the utility planner's logs are larger and need less
FOLDS = 5
_SURE = 7.0  # draws to be expected of a plan, of which chance leaves out one in a thousand


class ActionFeatures(NamedTuple):
    """Features of actions in B rows, [B, G] each."""

    logged: Float32  # of the logged action
    usual: Float32  # mean over the logging policy's probabilities
    target: Float32  # mean over the target policy's


def predict_cross_fitted(
    terms: Float32,
    features: ActionFeatures,
    rewards: Float64,
    members: Int64,
    folds: int = FOLDS,
    ridge: float = RIDGE,
) -> Prediction:
    """Return what models fitted on other members predict, and the influence of their fit.

    Args:
        terms: [B, T] of the rows before the decision; they are standardised.
        features: of the actions.
        rewards: [B].
        members: [B] ids.
        folds: number of parts of the members, 2 or more.
        ridge: shrinkage of effects, relative to the mean information about one.

    Raises:
        ValueError: there are too few members, a reward is not finite, or ``folds`` or ``ridge`` is
            not allowed.
    """
    if folds < 2:
        raise ValueError(f"folds is {folds}; allowed is 2 or more")
    check_ridge(ridge)
    check_rewards(rewards)
    groups = cluster_numbers(members, len(rewards))
    count = int(groups.max(initial=-1)) + 1
    if count < 2 * folds:
        raise ValueError(
            f"the log has {count} members; allowed are {2 * folds} or more for a reward model of "
            f"{folds} folds"
        )
    # Members of one parity are in all folds, because the fit itself divides them by parity.
    fold, odd = groups // 2 % folds, groups % 2 == 1
    x = standardised(*centre_and_scale(terms), terms)
    outcomes = rewards.astype(np.float32)[:, None]
    surprise, aimed = features.logged - features.usual, features.target - features.usual
    level, effect, target = (np.zeros(len(rewards)) for _ in range(3))
    fits = []
    for number in range(folds):
        here, there = fold == number, fold != number
        residual = residuals_of_others(x[there], outcomes[there], odd[there])
        regression = regress_on_surprise(x[there], surprise[there], residual, ridge)
        theta = regression.coefficients[:, 0].reshape(surprise.shape[1], x.shape[1])
        level[here] = (x[here] @ baseline(x[there], outcomes[there]))[:, 0]
        by_feature = x[here] @ theta.T  # [b, G]
        effect[here] = np.einsum("bg,bg->b", surprise[here], by_feature)
        target[here] = np.einsum("bg,bg->b", aimed[here], by_feature)
        gram = x[there].T.astype(np.float64) @ x[there]
        fits.append(_Fit(here, regression.precision, gram + 1e-6 * len(x) * np.eye(len(gram))))
    influence = _OfFit(x, surprise, aimed, rewards - level - effect, fits)
    return Prediction(level + target, level + effect, level, influence.of_weights)


def check_ridge(ridge: float) -> None:
    """Check the shrinkage of a reward model.

    Raises:
        ValueError: it is below 0.
    """
    if not ridge >= 0:
        raise ValueError(f"ridge is {ridge}; allowed is 0 or more")


class _Fit(NamedTuple):
    """The regression on the members outside one fold."""

    here: Bool  # [B] rows of the fold
    effects: Float64  # [G (1 + T), G (1 + T)] precision of the effects
    level: Float64  # [1 + T, 1 + T] precision of the level


class _OfFit(NamedTuple):
    """Influence of each row through the models that were fitted on it.

    A model's coefficients err by H⁻¹ Σ z e over the rows z with residuals e that it was fitted on;
    what an error does to an estimate is the sum, over the rows that the model predicts, of the
    prediction's derivative. Residuals are those of models that were not fitted on the row.
    """

    x: Float32  # [B, 1 + T]
    surprise: Float32  # [B, G]
    aimed: Float32  # [B, G]
    residual: Float64  # [B]
    fits: list[_Fit]

    def of_weights(self, weights: Float64, level: float) -> Float64:
        """Return the influence [B], as :class:`Prediction` describes it."""
        x, found = self.x, np.zeros(len(self.x))
        shift = self.aimed - weights.astype(np.float32)[:, None] * self.surprise
        of_level = level - weights
        for fit in self.fits:
            here = fit.here
            moved = np.linalg.solve(
                fit.effects, (shift[here].T.astype(np.float64) @ x[here]).ravel()
            )
            by_feature = moved.reshape(shift.shape[1], x.shape[1]).T.astype(np.float32)
            pull = np.zeros(len(x))
            for rows in row_blocks(len(x)):
                pull[rows] = np.einsum("bg,bg->b", self.surprise[rows], x[rows] @ by_feature)
            pull += x @ np.linalg.solve(fit.level, x[here].T.astype(np.float64) @ of_level[here])
            found += np.where(here, 0, pull * self.residual)
        return found


def usual_features(
    features: Float32, plans: Int64, feasible: Bool, propensity: Float64, x: Float32
) -> Float32:
    """Return the mean features of plans over the logging policy, [B, G].

    Args:
        features: [O, G] of all plans.
        plans: [B] plans that were drawn.
        feasible: [B, O] plans that could be drawn.
        propensity: [B, O] of all plans, or [B] of the drawn one. Where these are not those of a
            uniform draw, the other plans' are not known, and the mean is estimated from the terms.
        x: [B, 1 + T] a column of ones and standardised terms.
    """
    if propensity.ndim == 2:
        usual = propensity @ features
    elif drawn_uniformly(feasible, propensity):
        usual = (feasible / feasible.sum(axis=1, keepdims=True)) @ features
    else:
        usual = x @ baseline(x, features[plans])
    return np.asarray(usual, np.float32)


def drawn_uniformly(feasible: Bool, propensity: Float64) -> bool:
    """Return whether propensities [B] are those of uniform draws from all feasible plans [B, O]."""
    return bool(np.allclose(propensity, 1 / feasible.sum(axis=1)))


def possible_plans(plans: Int64, feasible: Bool, propensity: Float64) -> Bool:
    """Return which plans the logging policy could draw, [B, O].

    Args:
        plans: [B] plans that were drawn.
        feasible: [B, O] plans that the member's opt-ins allow.
        propensity: [B, O] of all plans, or [B] of the drawn one. Where these are not those of a
            uniform draw, the log may be of a few plans only: a plan could not be drawn if it never
            was, although the smallest propensity of the log would have drawn it.
    """
    if propensity.ndim == 2:
        return np.asarray(propensity > 0)
    if drawn_uniformly(feasible, propensity):
        return feasible
    never = np.bincount(plans, minlength=feasible.shape[1]) == 0
    expected = feasible.sum(axis=0) * propensity.min()  # [O] draws, at least
    return np.asarray(feasible & ~(never & (expected > _SURE)))
