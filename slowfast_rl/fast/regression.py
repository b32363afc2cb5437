"""Logistic regression by Newton's method."""

import numpy as np

from slowfast_rl.members.arrays import Float32, Float64

_RIDGE = 1e-3
_MOST_STEPS = 50
_SMALL = 1e-8  # a step of Newton's below which the fit is done


def logistic_regression(
    features: Float64, labels: Float64 | Float32, ridge: float = _RIDGE
) -> tuple[Float64, float]:
    """Return coefficients [P] and the log-likelihood of labels [B] given features [B, P].

    Args:
        features: [B, P]; a column of ones is the intercept.
        labels: [B], 0 or 1.
        ridge: precision of the coefficients' Gaussian prior around 0, above 0.

    Raises:
        ValueError: no rows, or all labels are equal, so that nothing can be learned.
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
    """Return the log-likelihood less the prior's penalty."""
    logits = features @ coefficients
    penalty = ridge / 2 * float(coefficients @ coefficients)
    return float((y * logits - np.logaddexp(0, logits)).sum()) - penalty
