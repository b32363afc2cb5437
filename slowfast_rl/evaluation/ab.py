"""Run a factorial test on simulated members, beside the exact effects that twins show."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from slowfast_rl.envs.execution import Planner
from slowfast_rl.envs.executor import Executor
from slowfast_rl.evaluation.factorial import (
    EFFECTS,
    Arms,
    assign_arms,
    factorial_effects,
    observed,
    true_effects,
)
from slowfast_rl.evaluation.twins import StoreFactory, Twins
from slowfast_rl.members.arrays import Float32, Float64
from slowfast_rl.members.features import week_features
from slowfast_rl.members.population import Population
from slowfast_rl.members.signals import week_signals
from slowfast_rl.store import InMemoryFeatureStore

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
    planners: Sequence[Planner],
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
    column = {feature.name: i for i, feature in enumerate(week_features(world))}
    names = [*_COVARIATES, *(f"{c}_{name}" for c in world.channels for name in _BY_CHANNEL)]
    return week_signals(population)[:, [column[name] for name in names]]
