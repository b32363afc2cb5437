"""Logistic regression by Newton's method."""

import numpy as np

from slowfast_rl.members.arrays import Float32, Float64

_RIDGE = 1e-3
_STEPS = 25


def logistic_regression(features: Float64, labels: Float32) -> tuple[Float64, float]:
    """Return coefficients [P] and the log-likelihood of labels [B] given features [B, P].

    Raises:
        ValueError: no rows, or all labels are equal, so that nothing can be learned.
    """
    y = labels.astype(np.float64)
    if not 0 < y.sum() < len(y):
        raise ValueError(f"{int(y.sum())} of {len(y)} labels are 1; some of both are needed")
    coefficients = np.zeros(features.shape[1])
    for _ in range(_STEPS):
        p = 1 / (1 + np.exp(-features @ coefficients))
        gradient = features.T @ (y - p) - _RIDGE * coefficients
        curvature = (features * (p * (1 - p))[:, None]).T @ features
        curvature += _RIDGE * np.eye(len(coefficients))
        step = np.linalg.solve(curvature, gradient)
        coefficients += step
        if np.abs(step).max() < 1e-8:
            break
    logits = features @ coefficients
    likelihood = float((y * logits - np.logaddexp(0, logits)).sum())
    return coefficients, likelihood
