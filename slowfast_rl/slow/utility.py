"""The published planner: a weighted sum of learned reward components minus a message cost."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from slowfast_rl.logs.sampling import MAX_ROWS
from slowfast_rl.members.arrays import Float32, Float64, Int64
from slowfast_rl.members.features import weekly_features
from slowfast_rl.members.world import World
from slowfast_rl.policies.budget import Schedule, Stopwatch, schedule_of_logs
from slowfast_rl.policies.component import NotTrainedError, State
from slowfast_rl.policies.contracts import BasePlanner, Executor, PlanRequest
from slowfast_rl.policies.registry import register
from slowfast_rl.policies.settings import Settings, setting
from slowfast_rl.policies.weights import check_weights
from slowfast_rl.slow.effects import Effects, fit_effects, plan_effects, plan_features
from slowfast_rl.slow.plan_effect_features import observation_terms
from slowfast_rl.slow.plan_logs import (
    PlanLogs,
    collect_plan_logs,
    importance_weights,
    outcome_names,
    outcome_weights,
    plan_logs_of,
    reward_weight,
)

if TYPE_CHECKING:
    from slowfast_rl.logs.reading import EventLog

_WEIGHTS = ("viewing_day", "logged_open", "opt_out", "churn", "message_cost")


def _weight(text: str) -> Any:
    """Declare a weight of the utility in viewing days."""
    return setting(None, text, low=0, high=1e6)


@dataclass(frozen=True, kw_only=True)
class UtilitySettings(Settings):
    """Settings of :class:`UtilityPlanner`."""

    num_members: int = setting(32_768, "number of members in the logs", low=2, high=2**24)
    weeks: int = setting(
        104, "number of weeks in the logs; at least two windows", low=2, high=2**16
    )
    window: int = setting(
        8,
        "weeks in which a plan is held and its discounted outcomes are summed",
        low=1,
        high=2**15,
    )
    viewing_day: float | None = _weight("weight of a viewing day; None for the world's reward")
    logged_open: float | None = _weight(
        "weight of a logged open; None for the world's weight of a causal open"
    )
    opt_out: float | None = _weight("penalty of leaving a channel; None for the world's")
    churn: float | None = _weight("penalty of leaving the service; None for the world's")
    message_cost: float | None = _weight("universal cost of a planned send; None for the world's")
    ridge: float = setting(
        0.03,
        "shrinkage of effects, relative to the logs' mean information about an effect",
        low=0,
        high=1e3,
    )

    def __post_init__(self) -> None:
        """Check every field, and that the logs hold two windows."""
        super().__post_init__()
        if self.weeks < 2 * self.window:
            raise ValueError(
                f"weeks is {self.weeks}; allowed is two windows of {self.window} or more"
            )


@register
class UtilityPlanner(BasePlanner):
    """Plans by U(member, plan) = sum over k of w_k Reward_k(member, plan) - Cost(plan).

    This is the published formulation. From logs with random plans, each held for a window of weeks,
    the planner learns the effect of a plan on each reward component of a member with given features
    (:mod:`slowfast_rl.slow.effects`). It chooses the feasible plan of the highest utility. Weights
    and cost are applied after learning: :meth:`weighted` changes them without new logs.

    Limits: opt-outs and churn are rare, so their estimated effects are noisy. Effects after the
    window, through fatigue, lost goodwill and lost channels, are not observed. The observed effects
    alone favour sending: with a cost of 0 and a short window the planner almost always sends. The
    cost per message replaces the effects that the logs do not show. A longer window shows more of
    them, with more noise. ``experiments/message_cost`` measures both.
    """

    name = "utility"
    thread_safe = True
    Settings = UtilitySettings
    settings: UtilitySettings

    def __init__(self, settings: UtilitySettings | None = None, **values: Any) -> None:
        super().__init__(settings, **values)
        self.effects: Effects | None = None

    def learn(
        self,
        world: World,
        executor: Executor | None = None,
        *,
        seed: int = 0,
        progress: Callable[[int], None] | None = None,
    ) -> Self:
        """Fit the effects on logs of population ``seed``; see :meth:`BasePlanner.learn`."""
        watch, s = Stopwatch(), self.settings
        logs = collect_plan_logs(
            world,
            s.num_members,
            s.weeks,
            s.window,
            seed,
            executor,
            watch.untimed(progress),
        )
        self._fit(world, logs)
        self.opportunities = s.num_members * s.weeks * world.slots_per_week
        self.cpu_seconds = watch.spent
        return self

    def learn_from_log(self, log: "EventLog", *, seed: int = 0, max_rows: int = MAX_ROWS) -> Self:
        """Fit the effects on the log's windows in which a plan drawn by chance was held.

        Plans may have been drawn with any propensities that the log knows. Of the settings, those
        of the size of simulated logs are not used. See :meth:`BasePlanner.learn_from_log`.

        Args:
            log: the log; ``log.world`` has the reward.
            seed: decides which windows are used, where there are more than ``max_rows``.
            max_rows: number of windows that are used at most.

        Raises:
            ValueError: no plan was held for ``window`` weeks, or none was drawn by chance.
        """
        watch = Stopwatch()
        self._fit(log.world, plan_logs_of(log, self.settings.window, max_rows, seed))
        self.opportunities, self.cpu_seconds = 0, watch.spent
        return self

    def _fit(self, world: World, logs: PlanLogs) -> None:
        self.effects = fit_effects(
            observation_terms(world, logs.observations),
            plan_features(world),
            logs.feasible,
            logs.plans,
            logs.outcomes,
            logs.members,
            self.settings.ridge,
            importance_weights(logs),
        )
        self.prepare(world)
        self.policy_version += 1

    def weighted(self, **weights: float | None) -> Self:
        """Return a planner with the same effects and other weights.

        Args:
            weights: by name: viewing_day, logged_open, opt_out, churn, message_cost.

        Raises:
            ValueError: a name or a value is not allowed.
            RuntimeError: the planner has not learned yet.
        """
        for name in weights:
            if name not in _WEIGHTS:
                raise ValueError(f"unknown weight {name!r}; allowed: {', '.join(_WEIGHTS)}")
        world, _ = self._trained()
        other = self.from_state(
            world, UtilitySettings(**self.settings.to_dict() | weights), self.state()
        )
        other.policy_version = self.policy_version
        other.opportunities, other.cpu_seconds = self.opportunities, self.cpu_seconds
        return other

    def utilities(self, observations: Float32) -> Float64:
        """Return the utility of every plan relative to sending nothing, [B, O].

        Args:
            observations: [B, F_week] weekly observations.

        Raises:
            RuntimeError: the planner has not learned yet.
        """
        world, effects = self._trained()
        gain = plan_effects(
            effects,
            observation_terms(world, observations),
            plan_features(world),
            self._component_weights(),
        )
        discount = world.reward.weekly_discount ** np.arange(self.settings.window)
        sends = world.plans.sum(axis=1) * discount.sum()
        utilities: Float64 = gain - self._weight("message_cost") * sends
        return utilities

    def schedule(self, world: World, total_opportunities: int | None) -> Schedule:
        """Return what its logs come to."""
        return schedule_of_logs(world, self.settings.num_members, self.settings.weeks)

    @property
    def can_act(self) -> bool:
        """Whether it has effects."""
        return self.effects is not None

    def plan(self, request: PlanRequest) -> Int64:
        """Return the feasible plan of the highest utility for each of B members, [B].

        Raises:
            RuntimeError: the planner has not learned yet.
        """
        utilities = np.where(request.feasible, self.utilities(request.observations), -np.inf)
        chosen: Int64 = utilities.argmax(axis=1)
        return chosen

    def plan_scores(self, request: PlanRequest) -> Float32:
        """Return the utility of every plan relative to sending nothing, [B, O]."""
        return self.utilities(request.observations).astype(np.float32)

    def state(self) -> dict[str, Any]:
        """Return a copy of the effects' arrays.

        Raises:
            RuntimeError: the planner has not learned yet.
        """
        _, effects = self._trained()
        return {name: array.copy() for name, array in effects._asdict().items()}

    @classmethod
    def from_state(cls, world: World, settings: Any, state: State, **parts: Any) -> Self:
        """Rebuild a planner from :meth:`state`.

        Raises:
            ValueError: the arrays are not those of a planner of this world.
        """
        planner = cls(settings=settings).prepare(world)
        limits = np.zeros((1, len(weekly_features(world))), np.float32)
        terms, features = observation_terms(world, limits).shape[1], plan_features(world).shape[1]
        shape = (features, 1 + terms, len(outcome_names(world)))
        wanted = {"centre": (terms,), "scale": (terms,), "weights": shape}
        check_weights(state, {name: np.empty(size) for name, size in wanted.items()})
        if not (state["scale"] > 0).all():
            raise ValueError("weight scale has values of 0 or below; allowed is above 0")
        planner.effects = Effects(**{name: array.copy() for name, array in state.items()})
        return planner

    def _weight(self, name: str) -> float:
        """Return a weight of the settings, or of the world if the settings have none."""
        world, _ = self._trained()
        own = getattr(self.settings, name)
        return reward_weight(world, name) if own is None else float(own)

    def _component_weights(self) -> Float64:
        """Return the weights in the order of ``outcome_names``, [M]."""
        world, _ = self._trained()
        return outcome_weights(world, self._weight)

    def _trained(self) -> tuple[World, Effects]:
        if self.world is None or self.effects is None:
            raise NotTrainedError("the planner has no effects yet; call learn or load first")
        return self.world, self.effects
