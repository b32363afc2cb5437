"""A linear reward model for off-policy evaluation, cross-fitted by member.

The reward of a row is m(x) + (g − ḡ) ⊗ x · θ, where x are terms of the row, g features of the action
and ḡ their mean over the logging policy: the model of :mod:`slowfast_rl.slow.effects`, which is
fitted on what chance decided. The members are divided into folds; a row is predicted by a model that
was fitted on the members of the other folds. Its interval is a sandwich: residuals of those
predictions, summed by member, show what the fit itself contributes to the error.
"""

from typing import NamedTuple

import numpy as np

from slowfast_rl.members.arrays import Float32, Float64, Int64
from slowfast_rl.ope.estimators import Prediction, cluster_numbers
from slowfast_rl.slow.effects import (
    baseline,
    centre_and_scale,
    regress_on_surprise,
    residuals_of_others,
    row_blocks,
    standardised,
)

RIDGE = 0.03  # of effects, as in the utility planner
FOLDS = 2


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
        ValueError: there are too few members.
    """
    groups = cluster_numbers(members, len(rewards))
    count = int(groups.max()) + 1
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
    directions = []  # of each fold: what its coefficients' errors do to the mean prediction
    for number in range(folds):
        here = fold == number
        there = ~here
        fit = x[there], surprise[there]
        residual = residuals_of_others(fit[0], outcomes[there], odd[there])
        regression = regress_on_surprise(*fit, residual, ridge)
        theta = regression.coefficients[:, 0].reshape(surprise.shape[1], x.shape[1])
        level[here] = (x[here] @ baseline(fit[0], outcomes[there]))[:, 0]
        by_feature = x[here] @ theta.T  # [b, G]
        effect[here] = np.einsum("bg,bg->b", surprise[here], by_feature)
        target[here] = np.einsum("bg,bg->b", aimed[here], by_feature)
        mean_shift = (aimed[here].T.astype(np.float64) @ x[here]).ravel()
        directions.append(np.linalg.solve(regression.precision, mean_shift))
    residual_of_row = rewards - level - effect
    of_fit = np.zeros(len(rewards))
    for rows in row_blocks(len(rewards)):
        for number in range(folds):
            reached = directions[number].reshape(surprise.shape[1], x.shape[1])
            pull = np.einsum("bg,bg->b", surprise[rows], x[rows] @ reached.T)
            of_fit[rows] += np.where(fold[rows] == number, 0, pull * residual_of_row[rows])
    return Prediction(level + target, level + effect, level, of_fit)
