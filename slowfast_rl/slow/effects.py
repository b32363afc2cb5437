"""What a plan does to a member, from randomised logs: linear in features times plan features.

Robinson's (1988) double residuals, as in the R-learner of Nie & Wager (2021): from each outcome
take what the member's features predict anyway, from the plan's features their mean over the plans
that were feasible. That mean is known exactly, because the plans were drawn; hence what is left is
unbiased for effects, however poor the prediction, and a good one only lowers the noise.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from slowfast_rl.members.arrays import Bool, Float32, Float64, Int64
from slowfast_rl.members.world import World
from slowfast_rl.policies.networks import MIN_SCALE

_FAR = 5  # standard deviations at which terms are clipped
_BASELINE_RIDGE = 1e-4
_LEAST_PRIOR = 1e-6  # where the logs hold no information
_BLOCK = 8192  # rows at a time, so that products of terms and plan features stay small


class Effects(NamedTuple):
    """Effects of plan features on M outcomes, per standardised term.

    The effect of a plan on an outcome is relative to sending nothing, whose features are all 0.
    """

    centre: Float32  # [T] subtracted from the terms
    scale: Float32  # [T] divided by
    weights: Float32  # [G, 1 + T, M]; the first of each 1 + T is the effect on a typical member


def plan_features(world: World) -> Float32:
    """Return, per channel, sends as a share of the most, its root, and whether any, [O, 3 C]."""
    plans = world.plans.astype(np.float32)
    share = plans / np.maximum(plans.max(axis=0), 1)
    return np.column_stack([share, np.sqrt(share), plans > 0]).astype(np.float32)


def plan_effects(effects: Effects, terms: Float32, features: Float32, weights: Float64) -> Float32:
    """Return what every plan does to a weighted sum of the outcomes, [B, O].

    Args:
        effects: learned.
        terms: [B, T].
        features: [O, G] of the plans.
        weights: [M] of the outcomes.
    """
    by_feature = (effects.weights @ weights.astype(np.float32)).T  # [1 + T, G]
    return _standardised(effects, terms) @ (by_feature @ features.T)


def fit_effects(
    terms: Float32,
    features: Float32,
    feasible: Bool,
    plans: Int64,
    outcomes: Float32,
    members: Int64,
    ridge: float,
) -> Effects:
    """Fit effects on logs of plans drawn uniformly from the feasible ones.

    Args:
        terms: [B, T] as the plan was drawn.
        features: [O, G] of the plans.
        feasible: [B, O].
        plans: [B] drawn, as indices into the menu.
        outcomes: [B, M].
        members: [B] ids; a member's outcomes are predicted from other members alone.
        ridge: precision of the effects' prior, relative to the mean information on one; that of
            effects on a typical member is a hundredth of it.

    Raises:
        ValueError: no rows of members with odd and with even ids.
    """
    scale = np.maximum(terms.std(axis=0), MIN_SCALE)
    effects = Effects(terms.mean(axis=0), scale, np.zeros((0, 0, 0), np.float32))
    x = _standardised(effects, terms)  # [B, 1 + T]
    residual = _unpredicted(x, outcomes, members % 2 == 1)
    usual = (feasible.astype(np.float32) @ features) / feasible.sum(axis=1, keepdims=True)
    surprise = features[plans] - usual.astype(np.float32)  # [B, G]
    size = features.shape[1] * x.shape[1]
    gram, moment = np.zeros((size, size)), np.zeros((size, outcomes.shape[1]))
    for rows in _blocks(len(x)):
        z = (surprise[rows, :, None] * x[rows, None, :]).reshape(-1, size)
        gram += z.T @ z
        moment += z.T @ residual[rows]
    prior = np.full(size, max(ridge * np.diag(gram).mean(), _LEAST_PRIOR))
    prior[:: x.shape[1]] /= 100
    solved = np.linalg.solve(gram + np.diag(prior), moment)
    shape = (features.shape[1], x.shape[1], outcomes.shape[1])
    return effects._replace(weights=solved.reshape(shape).astype(np.float32))


def _unpredicted(x: Float32, outcomes: Float32, odd: Bool) -> Float32:
    """Return what a ridge regression on the other half of the members does not explain, [B, M]."""
    if odd.all() or not odd.any():
        raise ValueError("the logs hold members with odd or even ids alone; both are needed")
    residual = outcomes.copy()
    for half in (odd, ~odd):
        gram = np.zeros((x.shape[1], x.shape[1]))
        moment = np.zeros((x.shape[1], outcomes.shape[1]))
        x_half, y_half = x[half], outcomes[half]
        for rows in _blocks(len(x_half)):
            gram += x_half[rows].T @ x_half[rows]
            moment += x_half[rows].T @ y_half[rows]
        gram += _BASELINE_RIDGE * len(x_half) * np.eye(len(gram))
        residual[~half] -= x[~half] @ np.linalg.solve(gram, moment).astype(np.float32)
    return residual


def _standardised(effects: Effects, terms: Float32) -> Float32:
    """Return a one, then the terms in standard deviations, [B, 1 + T]."""
    scaled = np.clip((terms - effects.centre) / effects.scale, -_FAR, _FAR)
    return np.column_stack([np.ones(len(terms), np.float32), scaled])


def _blocks(rows: int) -> Iterator[slice]:
    return (slice(first, first + _BLOCK) for first in range(0, rows, _BLOCK))
