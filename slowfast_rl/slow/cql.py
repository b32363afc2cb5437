"""Discrete conservative Q-learning on weekly plans: the published offline approach."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from slowfast_rl.logs.sampling import MAX_ROWS
from slowfast_rl.members.arrays import Float32, Int64
from slowfast_rl.members.observations import weekly_features
from slowfast_rl.members.world import World
from slowfast_rl.policies.budget import Schedule, Stopwatch, schedule_of_logs
from slowfast_rl.policies.component import NotTrainedError, State
from slowfast_rl.policies.contracts import BasePlanner, Executor, PlanRequest
from slowfast_rl.policies.registry import register
from slowfast_rl.policies.settings import MIN_SCALE, Settings, device_setting, setting
from slowfast_rl.policies.weights import check_weights
from slowfast_rl.slow.weekly_steps import WeeklySteps, simulated_weekly_steps, weekly_steps_of

if TYPE_CHECKING:
    from slowfast_rl.logs.reading import EventLog

_FAR = 5  # standard deviations at which observations are clipped
_LAYERS = 3  # of the Q-network; the last one has a value for each plan


@dataclass(frozen=True, kw_only=True)
class CQLSettings(Settings):
    """Settings of :class:`CQLPlanner`."""

    num_members: int = setting(
        4096, "learning in a world: members of the recorded log", low=2, high=2**24
    )
    weeks: int = setting(104, "learning in a world: weeks of the recorded log", low=1, high=2**16)
    gradient_steps: int = setting(10_000, "gradient steps", low=1, high=2**31)
    batch_size: int = setting(512, "weeks of members in a gradient step", low=1, high=2**24)
    learning_rate: float = setting(3e-4, "learning rate of Adam", low=0, high=1, above=True)
    alpha: float = setting(
        0.1,
        "weight of the conservative penalty; the largest possible return is 1 in its units",
        low=0,
        high=1e6,
    )
    target_update_interval: int = setting(
        500, "gradient steps between updates of the target network", low=1, high=2**31
    )
    hidden: int = setting(256, "width of both hidden layers", low=1, high=2**14)
    device: str = device_setting()


@register
class CQLPlanner(BasePlanner):
    """Plans by discrete conservative Q-learning (Kumar et al. 2020, arXiv 2006.04779).

    An offline learner: it needs no simulator, only weeks of members under logged plans. The
    observation is the weekly one, the action the plan of the week, the reward the week's utility by
    what is logged, and churn ends an episode. Plans that are held for several weeks are repeated
    actions. A penalty keeps the values of plans low that the log does not have in a state.
    Prabhakar et al. 2022 (arXiv 2207.03029) decide on notifications in this way. Here one action is
    a week's plan, and nothing is known of the propensities, which Q-learning does not need.

    Training is d3rlpy's (extra ``offline_rl``): double DQN with the penalty CQL(H). Its targets are
    maxima over all plans, feasible or not; the penalty is what keeps those low that no member in
    such a state can have. :meth:`plan` takes feasible ones only, and needs no d3rlpy.
    """

    name = "cql"
    thread_safe = True
    Settings = CQLSettings
    settings: CQLSettings

    def __init__(self, settings: CQLSettings | None = None, **values: Any) -> None:
        super().__init__(settings, **values)
        self.network: dict[str, Float32] = {}

    def check_installed(self) -> None:
        """Raise ImportError if d3rlpy is missing."""
        from slowfast_rl.slow import cql_training  # noqa: F401 - imports d3rlpy

    def _check(self, world: World) -> None:
        """Check what training needs, before anything begins."""
        discount = world.reward.weekly_discount
        if discount == 1:
            raise ValueError(
                f"world {world.name} has weekly_discount {discount}; conservative Q-learning needs "
                "one below 1, as its returns have no end"
            )
        self.check_installed()

    def learn(
        self,
        world: World,
        executor: Executor | None = None,
        *,
        seed: int = 0,
        progress: Callable[[int], None] | None = None,
    ) -> Self:
        """Record a log of random plans of population ``seed`` in memory, and learn from it.

        Raises:
            ValueError: the world's weekly discount is 1.
            ImportError: d3rlpy is missing.
        """
        self._check(world)
        watch, s = Stopwatch(), self.settings
        told = watch.untimed(progress)
        steps = simulated_weekly_steps(world, s.num_members, s.weeks, seed, executor, told)
        self._fit(world, steps, seed)
        self.opportunities = s.num_members * s.weeks * world.slots_per_week
        self.cpu_seconds = watch.spent
        return self

    def learn_from_log(self, log: "EventLog", *, seed: int = 0, max_rows: int = MAX_ROWS) -> Self:
        """Learn from the weeks of a log's members; see :meth:`BasePlanner.learn_from_log`.

        Args:
            log: the log; ``log.world`` has the reward.
            seed: of weights and batches, and of which weeks are used where there are more than
                ``max_rows``.
            max_rows: number of weeks of members that are used at most.

        Raises:
            ValueError: no week has a plan that is on the menu, or the weekly discount is 1.
            ImportError: d3rlpy is missing.
        """
        self._check(log.world)
        watch = Stopwatch()
        self._fit(log.world, weekly_steps_of(log, max_rows, seed), seed)
        self.opportunities, self.cpu_seconds = 0, watch.spent
        return self

    def _fit(self, world: World, steps: WeeklySteps, seed: int) -> None:
        from slowfast_rl.slow.cql_training import train_q

        centre = steps.observations.mean(axis=0, dtype=np.float64).astype(np.float32)
        spread = steps.observations.std(axis=0, dtype=np.float64).astype(np.float32)
        scales = {"centre": centre, "scale": np.maximum(spread, np.float32(MIN_SCALE))}
        steps = steps._replace(
            observations=_standardised(scales, steps.observations),
            following=_standardised(scales, steps.following),
        )
        discount = float(world.reward.weekly_discount)
        self.network = scales | train_q(steps, len(world.plans), self.settings, discount, seed)
        self.prepare(world)
        self.policy_version += 1

    def schedule(self, world: World, total_opportunities: int | None) -> Schedule:
        """Return what its recorded log comes to."""
        return schedule_of_logs(world, self.settings.num_members, self.settings.weeks)

    @property
    def can_act(self) -> bool:
        """Whether it has a network."""
        return bool(self.network)

    def plan(self, request: PlanRequest) -> Int64:
        """Return the feasible plan of the highest value for each of B members, [B].

        Raises:
            RuntimeError: the planner has not learned yet.
        """
        values = np.where(request.feasible, self.plan_scores(request), -np.inf)
        chosen: Int64 = values.argmax(axis=1)
        return chosen

    def plan_scores(self, request: PlanRequest) -> Float32:
        """Return the value of every plan, the discounted utility in viewing days, [B, O].

        Raises:
            RuntimeError: the planner has not learned yet.
        """
        network = self._trained()
        latent = _standardised(network, request.observations)
        for number in range(_LAYERS):
            latent = latent @ network[f"weight_{number}"].T + network[f"bias_{number}"]
            if number < _LAYERS - 1:
                latent = np.maximum(latent, 0)
        return latent

    def state(self) -> dict[str, Any]:
        """Return a copy of the network's arrays.

        Raises:
            RuntimeError: the planner has not learned yet.
        """
        return {name: array.copy() for name, array in self._trained().items()}

    @classmethod
    def from_state(cls, world: World, settings: Any, state: State, **parts: Any) -> Self:
        """Rebuild a planner from :meth:`state`.

        Raises:
            ValueError: the arrays are not those of a planner of this world.
        """
        planner = cls(settings=settings).prepare(world)
        inputs, hidden = len(weekly_features(world)), planner.settings.hidden
        widths = [inputs, hidden, hidden, len(world.plans)]
        wanted: dict[str, tuple[int, ...]] = {"centre": (inputs,), "scale": (inputs,)}
        for number in range(_LAYERS):
            wanted[f"weight_{number}"] = (widths[number + 1], widths[number])
            wanted[f"bias_{number}"] = (widths[number + 1],)
        check_weights(state, {name: np.empty(shape) for name, shape in wanted.items()})
        if not (state["scale"] > 0).all():
            raise ValueError("weight scale has values of 0 or below; allowed is above 0")
        planner.network = {name: array.copy() for name, array in state.items()}
        return planner

    def _trained(self) -> dict[str, Float32]:
        if not self.network:
            raise NotTrainedError("the planner has no network; call learn or load first")
        return self.network


def _standardised(network: dict[str, Float32], observations: Float32) -> Float32:
    """Return observations [B, F] less their centre, by their scale, and clipped."""
    scaled: Float32 = (observations - network["centre"]) / network["scale"]
    return np.clip(scaled, -_FAR, _FAR)
