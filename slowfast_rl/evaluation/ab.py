"""Factorial A/B tests on simulated members, and the exact effects that twins give."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from slowfast_rl.evaluation.statistics import Z95, Interval
from slowfast_rl.evaluation.twins import StoreFactory, Twins
from slowfast_rl.members.arrays import Float32, Float64, Int64
from slowfast_rl.members.observations import weekly_observation
from slowfast_rl.members.population import Population
from slowfast_rl.members.random import Domain, check_seeds, random_words
from slowfast_rl.policies.columns import columns
from slowfast_rl.policies.contracts import BasePlanner, Executor
from slowfast_rl.store import InMemoryFeatureStore


class Arms(NamedTuple):
    """The arm of each of N members at each level, 0 or 1."""

    slow: Int64  # [N]
    fast: Int64  # [N]


def assign_arms(members: Int64, salt: int) -> Arms:
    """Assign members to arms by a hash of their ids.

    Args:
        members: [N] ids.
        salt: number of the test, 0 to 2^32 - 1; tests with different salts assign members
            independently.

    Raises:
        ValueError: the salt is outside its range.
    """
    check_seeds(salt=salt)
    slow, fast = (
        (random_words(salt, level, members, np.zeros_like(members), Domain.ARM) >> 31).astype(
            np.int64
        )
        for level in range(2)
    )
    return Arms(slow, fast)


def factorial_effects(
    outcomes: Float64, arms: Arms, covariates: Float64 | Float32 | None = None
) -> dict[str, Interval]:
    """Estimate the main effects and the interaction, with 95 % intervals.

    The main effect of a level is the mean outcome in arm 1 minus that in arm 0, averaged over the
    other level's arms. The interaction is the slow effect in fast arm 1 minus that in fast arm 0.
    Covariates from before the test reduce the variance: the regression has all interactions of the
    arms and the centred covariates, which does not lose precision in large samples (Lin, "Agnostic
    notes on regression adjustments to experimental data", 2013). Standard errors are HC3 (MacKinnon
    and White, 1985).

    Args:
        outcomes: [N], one per member.
        arms: the arms of the members.
        covariates: [N, K] features observed before the test; None for no adjustment.

    Returns:
        The estimates by the names in ``EFFECTS``.

    Raises:
        ValueError: a pair of arms has too few members for an interval.
    """
    n, cell = len(outcomes), 2 * arms.slow + arms.fast
    counts = np.bincount(cell, minlength=4)
    extra = np.zeros((n, 0)) if covariates is None else _centred(covariates)
    least = _LEAST_PER_ARM + extra.shape[1]
    if counts.min() < least:
        raise ValueError(
            f"arm pairs have {counts.tolist()} members; allowed are {least} or more in each"
        )
    slow, fast = arms.slow - 0.5, arms.fast - 0.5
    base = np.stack([np.ones(n), slow, fast, slow * fast], axis=1)  # [N, 4]
    design = np.concatenate([base, *(base * x[:, None] for x in extra.T)], axis=1)
    inverse = np.linalg.pinv(design.T @ design)
    coefficients = inverse @ (design.T @ outcomes)
    leverage = np.einsum("ij,jk,ik->i", design, inverse, design)
    residual = (outcomes - design @ coefficients) / np.maximum(1 - leverage, 1e-9)
    weighted = design * residual[:, None]
    variance = np.diag(inverse @ (weighted.T @ weighted) @ inverse)
    return {
        name: Interval(float(b), float(b - Z95 * s), float(b + Z95 * s))
        for name, b, s in zip(EFFECTS, coefficients[1:4], variance[1:4] ** 0.5, strict=True)
    }


def true_effects(potential: Float64) -> dict[str, float]:
    """Return the exact effects, from the outcomes of every member in every pair of arms.

    Args:
        potential: [2, 2, N] outcomes by slow arm, fast arm and member.

    Returns:
        The effects by the names in ``EFFECTS``.
    """
    mean = potential.mean(axis=2)
    return {
        "slow": float((mean[1] - mean[0]).mean()),
        "fast": float((mean[:, 1] - mean[:, 0]).mean()),
        "interaction": float(mean[1, 1] - mean[0, 1] - mean[1, 0] + mean[0, 0]),
    }


def observed(potential: Float64, arms: Arms) -> Float64:
    """Return the outcome of each member in its own pair of arms, which a test observes, [N].

    Args:
        potential: [2, 2, N] outcomes by slow arm, fast arm and member.
        arms: the arms of the members.
    """
    return np.asarray(potential[arms.slow, arms.fast, np.arange(len(arms.slow))])


def _centred(covariates: NDArray[np.floating]) -> Float64:
    """Return covariates [N, K] centred and scaled, without constant ones."""
    values = covariates.astype(np.float64)
    spread = values.std(axis=0)
    kept = spread > 0
    return np.asarray((values[:, kept] - values[:, kept].mean(axis=0)) / spread[kept])


_COVARIATES = ("viewing_days_mean_4_weeks", "viewing_days_mean_20_weeks")
_BY_CHANNEL = ("opens_mean_20_weeks",)


class FactorialTest(NamedTuple):
    """A factorial test of two planners and two executors, with all potential outcomes.

    Attributes:
        potential: [2, 2, N] discounted returns by slow arm, fast arm and member.
        covariates: [N, K] features observed at the beginning of the test.
        arms: the arms of the members.
    """

    potential: Float64
    covariates: Float32
    arms: Arms

    def to_json(self) -> dict[str, Any]:
        """Return the estimated and the exact effects, and the number of members per arm."""
        outcomes, truth = observed(self.potential, self.arms), true_effects(self.potential)
        adjusted = factorial_effects(outcomes, self.arms, self.covariates)
        plain = factorial_effects(outcomes, self.arms)
        return {
            "members_per_arm": {
                f"slow {s}, fast {f}": int(((self.arms.slow == s) & (self.arms.fast == f)).sum())
                for s in range(2)
                for f in range(2)
            },
            "effects": {
                name: {
                    "estimate": adjusted[name].mean,
                    "ci95": [adjusted[name].low, adjusted[name].high],
                    "unadjusted": plain[name].mean,
                    "unadjusted_ci95": [plain[name].low, plain[name].high],
                    "truth": truth[name],
                }
                for name in EFFECTS
            },
        }


def factorial_test(
    twins: Twins,
    planners: Sequence[BasePlanner],
    executors: Sequence[Executor | None],
    salt: int = 0,
    store_factory: StoreFactory = InMemoryFeatureStore,
    progress: bool = True,
) -> FactorialTest:
    """Assign members to 2 × 2 arms, and simulate all members in every pair of arms.

    Members do not interact, so a member's outcome does not depend on the arms of others. The test
    observes only the outcome of each member in its own pair of arms.

    Args:
        twins: burned-in members.
        planners: the planners of slow arms 0 and 1.
        executors: the executors of fast arms 0 and 1; None for the default.
        salt: salt of the hash that assigns members to arms.
        store_factory: function that returns an empty store, called for each pair of arms and luck.
        progress: whether to show progress bars.

    Raises:
        ValueError: a level does not have two arms.
    """
    if len(planners) != 2 or len(executors) != 2:
        raise ValueError(
            f"{len(planners)} planners and {len(executors)} executors; allowed: 2 each"
        )
    potential = np.array(
        [
            [
                twins.rollout(
                    planner, executor, store_factory, f"slow {s}, fast {f}" if progress else None
                ).returns
                for f, executor in enumerate(executors)
            ]
            for s, planner in enumerate(planners)
        ]
    )
    start = twins.starts[0]
    return FactorialTest(potential, covariates(start), assign_arms(start.members, salt))


def covariates(population: Population) -> Float32:
    """Return the covariates of a test: past viewing days and opens of each member, [N, K]."""
    world = population.world
    column = columns(world)
    names = [*_COVARIATES, *(f"{c}_{name}" for c in world.channels for name in _BY_CHANNEL)]
    return weekly_observation(population)[:, [column[name] for name in names]]


EFFECTS = ("slow", "fast", "interaction")
_LEAST_PER_ARM = 2
