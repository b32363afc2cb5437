"""Logistic regression, with or without a base rate, by Newton's method."""

import numpy as np

from slowfast_rl.members.arrays import Float32, Float64

_RIDGE = 1e-3
_MOST_STEPS = 50
_SMALL = 1e-8  # Newton steps below this size end the fit
_CLOSE = 1e-4  # as do gains in log-likelihood below this, if a response tends to 0
_RARE = -3.0  # initial intercepts of a response, in logits


def logistic_regression(
    features: Float64, labels: Float64 | Float32, ridge: float = _RIDGE
) -> tuple[Float64, float]:
    """Return coefficients [P] and the log-likelihood of labels [B] given features [B, P].

    Args:
        features: [B, P]; a column of ones is the intercept.
        labels: [B], 0 or 1.
        ridge: precision of the coefficients' Gaussian prior around 0, above 0.

    Raises:
        ValueError: there are no rows, or all labels are equal.
    """
    y = labels.astype(np.float64)
    if not 0 < y.sum() < len(y):
        raise ValueError(f"{int(y.sum())} of {len(y)} labels are 1; some of both are needed")
    coefficients = np.zeros(features.shape[1])
    for _ in range(_MOST_STEPS):
        logits = features @ coefficients
        p = np.exp(-np.logaddexp(0, -logits))
        gradient = features.T @ (y - p) - ridge * coefficients
        curvature = (features * (p * (1 - p))[:, None]).T @ features
        step = np.linalg.solve(curvature + ridge * np.eye(len(coefficients)), gradient)
        if np.abs(step).max() < _SMALL:
            break
        value = _objective(features, y, coefficients, ridge)
        while _objective(features, y, coefficients + step, ridge) < value:
            step = step / 2  # far from the optimum a whole step may overshoot it
            if np.abs(step).max() < _SMALL:
                break
        coefficients = coefficients + step
    return coefficients, _objective(features, y, coefficients, 0)


def _objective(features: Float64, y: Float64, coefficients: Float64, ridge: float) -> float:
    """Return the log-likelihood minus the penalty of the prior."""
    logits = features @ coefficients
    penalty = ridge / 2 * float(coefficients @ coefficients)
    return float((y * logits - np.logaddexp(0, logits)).sum()) - penalty


def response_regression(
    features: Float64 | Float32,
    labels: Float64 | Float32,
    base: Float64,
    ridge: float,
    intercepts: int = 1,
) -> Float64:
    """Return coefficients [P] of a response on top of a base rate.

    P(label = 1) = base + (1 - base) logistic(features · coefficients): the event happens anyway or
    as a response. The model is fitted by Fisher scoring. With a base of 0 it is logistic
    regression. Intercepts are not shrunk.

    Args:
        features: [B, P].
        labels: [B], 0 or 1.
        base: [B] probability without the response, 0 or more and below 1.
        ridge: precision of the other coefficients' Gaussian prior around 0, above 0.
        intercepts: number of last columns that are intercepts.

    Raises:
        ValueError: there are no rows, or all labels are equal.
    """
    x, y = features.astype(np.float64), labels.astype(np.float64)
    if not 0 < y.sum() < len(y):
        raise ValueError(f"{int(y.sum())} of {len(y)} labels are 1; some of both are needed")
    coefficients = np.zeros(x.shape[1])
    coefficients[-intercepts:] = _RARE
    precision = np.full(x.shape[1], ridge)
    precision[-intercepts:] = _RIDGE
    value = -np.inf
    for _ in range(_MOST_STEPS):
        responded = np.exp(-np.logaddexp(0, -(x @ coefficients)))
        share = responded / np.maximum(base + (1 - base) * responded, _SMALL)
        gradient = x.T @ ((y - base - (1 - base) * responded) * share) - precision * coefficients
        weight = (1 - base) * share * responded * (1 - responded)
        curvature = (x * weight[:, None]).T @ x + np.diag(precision)
        step = np.linalg.solve(curvature, gradient)
        value = _penalised(x, y, base, coefficients, precision) if value == -np.inf else value
        while (reached := _penalised(x, y, base, coefficients + step, precision)) < value:
            step = step / 2  # far from the optimum a whole step may overshoot it
            if np.abs(step).max() < _SMALL:
                return coefficients
        coefficients, gain, value = coefficients + step, reached - value, reached
        if gain < _CLOSE:
            break
    return coefficients


def response_likelihood(
    features: Float64, labels: Float64, base: Float64, coefficients: Float64
) -> float:
    """Return the log-likelihood of labels [B] under a response on top of a base rate.

    Args:
        features: [B, P].
        labels: [B], 0 or 1.
        base: [B] probability without the response, 0 or more and below 1.
        coefficients: [P].
    """
    logits = features @ coefficients
    chance = np.maximum(base + (1 - base) * np.exp(-np.logaddexp(0, -logits)), _SMALL)
    missed = np.log1p(-base) - np.logaddexp(0, logits)
    return float((labels * np.log(chance) + (1 - labels) * missed).sum())


def _penalised(
    x: Float64, y: Float64, base: Float64, coefficients: Float64, precision: Float64
) -> float:
    """Return the log-likelihood minus the penalty of the prior."""
    penalty = float(precision @ coefficients**2) / 2
    return response_likelihood(x, y, base, coefficients) - penalty
