"""Random logs of choices for tests."""

from typing import NamedTuple

import numpy as np

from slowfast_rl.members.arrays import Float64, Int64


class Choices(NamedTuple):
    logged: Int64  # [B]
    propensities: Float64  # [B, A]
    target: Float64  # [B, A]
    rewards: Float64  # [B]
    values: Float64  # [B, A]


def random_choices(seed: int, rows: int = 500, actions: int = 4) -> Choices:
    """Return a log whose reward depends on context and action; the model knows half of it."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(2, rows, actions))
    propensities, target = np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True)
    logged = (rng.random((rows, 1)) > propensities.cumsum(axis=1)[:, :-1]).sum(axis=1)
    means = 1 / (1 + np.exp(-rng.normal(size=(rows, actions))))
    rewards = (rng.random(rows) < means[np.arange(rows), logged]).astype(np.float64)
    values = 0.5 * means + 0.1
    return Choices(logged, propensities, target, rewards, values)


def true_value(log: Choices, seed: int) -> float:
    """Return the target's mean reward in the rows of a log of this seed."""
    means = (log.values - 0.1) / 0.5
    return float((log.target * means).sum(axis=1).mean())
