"""The effect of a plan on a member, estimated from logs with random plans.

The model is linear in products of member features and plan features. It is fitted on residuals
(Robinson 1988; the R-learner of Nie & Wager 2021): a prediction from the member's features is
subtracted from each outcome, and the mean over the feasible plans from the plan's features. This
mean is known exactly, because plans were drawn at random. The estimates are therefore unbiased even
if the prediction is poor; a good prediction reduces their noise.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from slowfast_rl.members.arrays import Bool, Float32, Float64, Int64
from slowfast_rl.members.world import World
from slowfast_rl.policies.settings import MIN_SCALE

_FAR = 5  # standard deviations at which terms are clipped
_BASELINE_RIDGE = 1e-4
_LEAST_PRIOR = 1e-6  # used if the logs contain no information
_BLOCK = 8192  # rows processed at a time, to limit the memory


class Effects(NamedTuple):
    """Effects of plan features on M outcomes, per standardised term.

    The effect of a plan on an outcome is relative to sending nothing, whose features are all 0.
    """

    centre: Float32  # [T] subtracted from the terms
    scale: Float32  # [T] divided by
    weights: Float32  # [G, 1 + T, M]; the first of each 1 + T is the effect on a typical member


def plan_features(world: World) -> Float32:
    """Return features of all plans, [O, 3 C].

    For each channel they are the sends divided by the largest number on the menu, the square root
    of this share, and whether there are any sends.
    """
    plans = world.plans.astype(np.float32)
    share = plans / np.maximum(plans.max(axis=0), 1)
    return np.column_stack([share, np.sqrt(share), plans > 0]).astype(np.float32)


def plan_effects(effects: Effects, terms: Float32, features: Float32, weights: Float64) -> Float32:
    """Return the effect of every plan on a weighted sum of the outcomes, [B, O].

    Args:
        effects: the learned effects.
        terms: [B, T] terms of the members.
        features: [O, G] features of the plans.
        weights: [M] weights of the outcomes.
    """
    # Some BLAS kernels of float32 read past the end of short rows, which raises the floating-point
    # flag "invalid" now and then, although all numbers and the result are finite.
    with np.errstate(invalid="ignore"):
        by_feature = (effects.weights @ weights.astype(np.float32)).T  # [1 + T, G]
        return standardised(effects.centre, effects.scale, terms) @ (by_feature @ features.T)


def fit_effects(
    terms: Float32,
    features: Float32,
    feasible: Bool,
    plans: Int64,
    outcomes: Float32,
    members: Int64,
    ridge: float,
    importance: Float64 | None = None,
    predictors: Float32 | None = None,
) -> Effects:
    """Fit effects on logs of plans drawn uniformly from the feasible ones.

    Args:
        terms: [B, T] terms of the members when the plan was drawn.
        features: [O, G] features of the plans.
        feasible: [B, O] plans that could be drawn.
        plans: [B] plans that were drawn, as indices into the menu.
        outcomes: [B, M] outcomes.
        members: [B] ids; the predictions for a member are fitted on other members.
        ridge: precision of the effects' prior, relative to the mean information about an effect;
            that of effects on a typical member is a hundredth of it.
        importance: [B] weights that make the plans of the logs uniform: 1 / (propensity × number of
            feasible plans); None where they are.
        predictors: [B, P] what outcomes are predicted from; None for the terms.

    Raises:
        ValueError: the logs do not contain members with both odd and even ids.
    """
    effects = Effects(*centre_and_scale(terms), np.zeros((0, 0, 0), np.float32))
    x = standardised(effects.centre, effects.scale, terms)  # [B, 1 + T]
    known = x
    if predictors is not None:
        known = standardised(*centre_and_scale(predictors), predictors)
    residual = residuals_of_others(known, outcomes, members % 2 == 1)
    usual = (feasible.astype(np.float32) @ features) / feasible.sum(axis=1, keepdims=True)
    surprise = features[plans] - usual.astype(np.float32)  # [B, G]
    solved = regress_on_surprise(x, surprise, residual, ridge, importance).coefficients
    shape = (features.shape[1], x.shape[1], outcomes.shape[1])
    return effects._replace(weights=solved.reshape(shape).astype(np.float32))


class Regression(NamedTuple):
    """A ridge regression on S products of plan features and terms."""

    coefficients: Float64  # [S, M] where S = G (1 + T)
    precision: Float64  # [S, S] Gram matrix plus the prior's precision


def regress_on_surprise(
    x: Float32,
    surprise: Float32,
    residual: Float32,
    ridge: float,
    importance: Float64 | None = None,
) -> Regression:
    """Return the regression of residuals on surprising plan features times terms.

    Args:
        x: [B, 1 + T] a column of ones and the standardised terms.
        surprise: [B, G] features of the plan minus their mean over the plans that could be drawn.
        residual: [B, M] outcomes minus predictions.
        ridge: as in :func:`fit_effects`.
        importance: as in :func:`fit_effects`.
    """
    size = surprise.shape[1] * x.shape[1]
    gram, moment = np.zeros((size, size)), np.zeros((size, residual.shape[1]))
    # Weights leave the products of surprises and what is known before the draw at a mean of 0, as
    # uniform plans do: the predictions need none.
    scales = None if importance is None else importance[:, None].astype(np.float32)
    for rows in row_blocks(len(x)):
        z = (surprise[rows, :, None] * x[rows, None, :]).reshape(-1, size)
        weighted = z if scales is None else z * scales[rows]
        gram += weighted.T @ z
        moment += weighted.T @ residual[rows]
    prior = np.full(size, max(ridge * np.diag(gram).mean(), _LEAST_PRIOR))
    prior[:: x.shape[1]] /= 100
    gram += np.diag(prior)
    return Regression(np.linalg.solve(gram, moment), gram)


def residuals_of_others(x: Float32, outcomes: Float32, odd: Bool) -> Float32:
    """Return the residuals of ridge regressions, fitted on the other half of members, [B, M].

    Args:
        x: [B, 1 + T] as in :func:`regress_on_surprise`.
        outcomes: [B, M].
        odd: [B] whether the member is of the first half.

    Raises:
        ValueError: a half is empty.
    """
    if odd.all() or not odd.any():
        raise ValueError(
            "the logs have only members with odd ids or only with even ids; both are needed"
        )
    residual = outcomes.copy()
    for half in (odd, ~odd):
        residual[~half] -= x[~half] @ baseline(x[half], outcomes[half]).astype(np.float32)
    return residual


def baseline(x: Float32, outcomes: Float32, ridge: float = _BASELINE_RIDGE) -> Float64:
    """Return the coefficients of a ridge regression of outcomes on terms, [1 + T, M].

    Args:
        x: [B, 1 + T] as in :func:`regress_on_surprise`.
        outcomes: [B, M].
        ridge: precision of the coefficients' prior for each row.
    """
    gram = np.zeros((x.shape[1], x.shape[1]))
    moment = np.zeros((x.shape[1], outcomes.shape[1]))
    for rows in row_blocks(len(x)):
        gram += x[rows].T @ x[rows]
        moment += x[rows].T @ outcomes[rows]
    gram += ridge * len(x) * np.eye(len(gram))
    return np.asarray(np.linalg.solve(gram, moment))


def centre_and_scale(terms: Float32) -> tuple[Float32, Float32]:
    """Return the mean and the standard deviation of each term, [T] each; the latter not 0."""
    return terms.mean(axis=0), np.maximum(terms.std(axis=0), MIN_SCALE)


def standardised(centre: Float32, scale: Float32, terms: Float32) -> Float32:
    """Return a column of ones and the standardised terms, [B, 1 + T]."""
    scaled = np.clip((terms - centre) / scale, -_FAR, _FAR)
    return np.column_stack([np.ones(len(terms), np.float32), scaled])


def row_blocks(rows: int) -> Iterator[slice]:
    """Return slices of rows that are processed together."""
    return (slice(first, first + _BLOCK) for first in range(0, rows, _BLOCK))
