"""Run a factorial test on simulated members, beside the exact effects that twins show."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from slowfast_rl.evaluation.statistics import Z95, Interval
from slowfast_rl.evaluation.twins import StoreFactory, Twins
from slowfast_rl.members.arrays import Float32, Float64, Int64
from slowfast_rl.members.features import weekly_features
from slowfast_rl.members.observations import weekly_observation
from slowfast_rl.members.population import Population
from slowfast_rl.members.random import Domain, check_seeds, random_words
from slowfast_rl.policies.contracts import BasePlanner, Executor
from slowfast_rl.store import InMemoryFeatureStore


class Arms(NamedTuple):
    """Which arm each of N members is in, 0 or 1 at each level."""

    slow: Int64  # [N]
    fast: Int64  # [N]


def assign_arms(members: Int64, salt: int) -> Arms:
    """Hash members into arms, the same whenever and wherever it is asked.

    Args:
        members: [N] ids.
        salt: of the test, 0 to 2^32 - 1; another test divides the members anew.

    Raises:
        ValueError: the salt is outside.
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
    """Return main effects and interaction with 95 % intervals.

    The main effect of a level is arm 1 less arm 0, averaged over the other level's arms; the
    interaction is how much larger the slow effect is in fast arm 1 than in fast arm 0. Covariates
    measured before the test take out what members differ by anyhow: regression with all
    interactions of arms and centred covariates, which never hurts in large samples (Lin, "Agnostic
    notes on regression adjustments to experimental data", 2013). Standard errors are robust, HC3
    (MacKinnon & White 1985).

    Args:
        outcomes: [N], one per member.
        arms: of the members.
        covariates: [N, K] signals from before the test; None for no adjustment.

    Raises:
        ValueError: too few members in an arm pair for an interval.
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
    weighed = design * residual[:, None]
    variance = np.diag(inverse @ (weighed.T @ weighed) @ inverse)
    return {
        name: Interval(float(b), float(b - Z95 * s), float(b + Z95 * s))
        for name, b, s in zip(EFFECTS, coefficients[1:4], variance[1:4] ** 0.5, strict=True)
    }


def true_effects(potential: Float64) -> dict[str, float]:
    """Return the effects that twins show, the same members living in every arm.

    Args:
        potential: [2, 2, N] outcomes by slow arm, fast arm and member.
    """
    mean = potential.mean(axis=2)
    return {
        "slow": float((mean[1] - mean[0]).mean()),
        "fast": float((mean[:, 1] - mean[:, 0]).mean()),
        "interaction": float(mean[1, 1] - mean[0, 1] - mean[1, 0] + mean[0, 0]),
    }


def observed(potential: Float64, arms: Arms) -> Float64:
    """Return what the test sees of potential outcomes [2, 2, N]: each member's own arm, [N]."""
    return np.asarray(potential[arms.slow, arms.fast, np.arange(len(arms.slow))])


def _centred(covariates: NDArray[np.floating]) -> Float64:
    """Return covariates [N, K] centred and scaled, without those that do not vary."""
    values = covariates.astype(np.float64)
    spread = values.std(axis=0)
    kept = spread > 0
    return np.asarray((values[:, kept] - values[:, kept].mean(axis=0)) / spread[kept])


_COVARIATES = ("viewing_days_mean_4_weeks", "viewing_days_mean_20_weeks")
_BY_CHANNEL = ("opens_mean_20_weeks",)


class FactorialTest(NamedTuple):
    """Members divided over two planners and two executors, and what every arm would have brought.

    Attributes:
        potential: [2, 2, N] discounted return by slow arm, fast arm and member.
        covariates: [N, K] logged signals as the test began.
        arms: who was in which.
    """

    potential: Float64
    covariates: Float32
    arms: Arms

    def to_json(self) -> dict[str, Any]:
        """Return the effects: as the test estimates them, and as they are."""
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
    """Divide members over 2 × 2 arms, and live all of them in every arm.

    A member's outcome in its own arm does not depend on who else is in it: members do not meet.
    The test sees only that one outcome of each.

    Args:
        twins: burned-in members.
        planners: slow arms 0 and 1.
        executors: fast arms 0 and 1; None for the default.
        salt: of the hash that divides the members.
        store_factory: makes an empty store for each arm pair and luck.
        progress: show progress bars.

    Raises:
        ValueError: there are not two arms at each level.
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
    """Return what adjusts a test's outcomes: viewing and opens as logged before it, [N, K]."""
    world = population.world
    column = {feature.name: i for i, feature in enumerate(weekly_features(world))}
    names = [*_COVARIATES, *(f"{c}_{name}" for c in world.channels for name in _BY_CHANNEL)]
    return weekly_observation(population)[:, [column[name] for name in names]]


EFFECTS = ("slow", "fast", "interaction")
_LEAST_PER_ARM = 2
