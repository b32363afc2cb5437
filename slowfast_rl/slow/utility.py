"""The published planner: learned reward components, weighted, minus a universal message cost."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from slowfast_rl.members.arrays import Float32, Float64, Int64
from slowfast_rl.members.features import weekly_features
from slowfast_rl.members.world import World
from slowfast_rl.policies.budget import Stopwatch
from slowfast_rl.policies.component import State, register
from slowfast_rl.policies.contracts import BasePlanner, Executor, PlanRequest
from slowfast_rl.policies.settings import Settings, check_weights, setting
from slowfast_rl.slow.effects import Effects, fit_effects, plan_effects, plan_features
from slowfast_rl.slow.plan_effect_features import observation_terms
from slowfast_rl.slow.plan_logs import collect_plan_logs, outcome_names

_WEIGHTS = ("viewing_day", "logged_open", "opt_out", "churn", "message_cost")


def _weight(text: str) -> Any:
    """Declare a weight of the utility in viewing days."""
    return setting(None, text, low=0, high=1e6)


@dataclass(frozen=True, kw_only=True)
class UtilitySettings(Settings):
    """Settings of :class:`UtilityPlanner`."""

    num_members: int = setting(32_768, "members in the logs", low=2, high=2**24)
    weeks: int = setting(104, "weeks of logs; at least two windows", low=2, high=2**16)
    window: int = setting(
        8,
        "weeks that a plan is held and its outcomes are summed, discounted",
        low=1,
        high=2**15,
    )
    viewing_day: float | None = _weight("weight of a viewing day; None for the world's reward")
    logged_open: float | None = _weight(
        "weight of a logged open; None for the world's of a causal open"
    )
    opt_out: float | None = _weight("penalty of leaving a channel; None for the world's")
    churn: float | None = _weight("penalty of leaving the service; None for the world's")
    message_cost: float | None = _weight("universal cost of a planned send; None for the world's")
    ridge: float = setting(
        0.03,
        "shrinks effects; relative to the logs' mean information on one of them",
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

    The published formulation. From logs with randomised plans, each held for the outcome window,
    it learns what a plan does to each reward component of a member with given logged features
    (:mod:`slowfast_rl.slow.effects`), and picks the feasible plan of the highest utility. The
    weights and the cost come after learning: :meth:`weighted` changes them without new logs.

    What limits it. Opt-outs and churn are rare, so that their part in the utility is mostly noise
    and is small beside that of viewing, and what lies beyond the window is not seen at all:
    fatigue, lost goodwill and lost channels that cost viewing later. What is left speaks for
    sending. With a cost of 0 and a short window the planner degenerates towards always-send; the
    universal cost per message stands in for what the logs cannot show, and a longer window, with
    more noise, shows more of it. ``experiments/message_cost`` measures both.
    """

    name = "utility"
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
        """Collect logs of members of population ``seed`` and fit the effects; starts anew.

        Args:
            world: the world.
            executor: the fast policy that executes the plans; None for the default.
            seed: of population, luck and plans, 0 to 2^32 - 1.
            progress: called before each week of logs with the opportunities played so far.
        """
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
        self.effects = fit_effects(
            observation_terms(world, logs.observations),
            plan_features(world),
            logs.feasible,
            logs.plans,
            logs.outcomes,
            logs.members,
            s.ridge,
        )
        self.prepare(world)
        self.policy_version += 1
        self.opportunities = s.num_members * s.weeks * world.slots_per_week
        self.cpu_seconds = watch.spent
        return self

    def weighted(self, **weights: float | None) -> Self:
        """Return a planner with the same effects and other weights.

        Args:
            weights: by name: viewing_day, logged_open, opt_out, churn, message_cost.

        Raises:
            ValueError: one is no weight or outside what is allowed.
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
            observations: [B, F_week].

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

    def plan(self, request: PlanRequest) -> Int64:
        """Return the feasible plan of the highest utility for each of B members, [B].

        Raises:
            RuntimeError: the planner has not learned yet.
        """
        utilities = np.where(request.feasible, self.utilities(request.observations), -np.inf)
        chosen: Int64 = utilities.argmax(axis=1)
        return chosen

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
        """Return a weight as set, or the world's."""
        world, _ = self._trained()
        own, of_world = getattr(self.settings, name), {"logged_open": "causal_open"}.get(name, name)
        return float(getattr(world.reward, of_world) if own is None else own)

    def _component_weights(self) -> Float64:
        """Return the weights in the order of ``outcome_names``, [M]."""
        world, _ = self._trained()
        signs = {"viewing_days": ("viewing_day", 1), "opens": ("logged_open", 1)}
        signs |= {"churn": ("churn", -1)}
        pairs = [signs.get(name, ("opt_out", -1)) for name in outcome_names(world)]
        return np.array([sign * self._weight(name) for name, sign in pairs])

    def _trained(self) -> tuple[World, Effects]:
        if self.world is None or self.effects is None:
            raise RuntimeError("the planner has no effects; call learn or load first")
        return self.world, self.effects
