"""The best plan of each segment of logged viewing; with one segment, the best fixed plan."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from slowfast_rl.logs.sampling import MAX_ROWS
from slowfast_rl.members.arrays import Float32, Float64, Int64
from slowfast_rl.members.population import Population
from slowfast_rl.members.shapes import UNIFORM
from slowfast_rl.members.world import World
from slowfast_rl.policies.budget import Schedule, Stopwatch, schedule_of_logs
from slowfast_rl.policies.checkpoint import Checkpoint
from slowfast_rl.policies.component import NotTrainedError, State
from slowfast_rl.policies.contracts import BasePlanner, Executor, PlanRequest
from slowfast_rl.policies.plan_exchange import plan_request
from slowfast_rl.policies.registry import register
from slowfast_rl.policies.settings import Settings, is_number, setting
from slowfast_rl.slow.branches import burn_in, constant_plan_returns
from slowfast_rl.slow.effects import fit_effects, plan_effects, plan_features
from slowfast_rl.slow.plan_effect_features import mean_viewing, observation_terms
from slowfast_rl.slow.plan_logs import (
    importance_weights,
    outcome_weights,
    plan_logs_of,
    reward_weight,
)
from slowfast_rl.slow.segment_search import Search, improve
from slowfast_rl.slow.simple import FeasibleIndex

if TYPE_CHECKING:
    from slowfast_rl.logs.reading import EventLog

_RIDGE = 0.03  # shrinkage of effects learned from a log, as that of the utility planner


@dataclass(frozen=True, kw_only=True)
class SegmentsSettings(Settings):
    """Settings of :class:`SegmentsPlanner`."""

    segments: int = setting(
        3,
        "quantiles of logged viewing; 3 for terciles, 1 for the best fixed plan",
        low=1,
        high=100,
    )
    num_members: int = setting(4096, "training members", low=2, high=2**20)
    lucks: int = setting(1, "lucks under which each is simulated", low=1, high=1000)
    weeks: int = setting(104, "weeks that each plan is simulated", low=1, high=2**16)
    burn_in_weeks: int = setting(
        8,
        "weeks under random plans before them; then segments are divided",
        low=1,
        high=2**16,
    )
    rounds: int = setting(
        6, "steps of improvement of the plans at most; 0 for none", low=0, high=1000
    )
    window: int = setting(
        8,
        "learning from a log: weeks for which a plan must have been held to be used",
        low=1,
        high=2**15,
    )


@register
class SegmentsPlanner(BasePlanner):
    """Plans by the viewing of a member: one plan for each segment, learned by simulation.

    Segments are quantiles of logged viewing days per week. A member whose viewing changes gets the
    plan of its new segment. Training members are simulated under every plan of the menu under the
    same luck, which gives the first plan of each segment. Because members move between segments,
    these plans are then improved step by step, in simulations of all segments together.

    From a log it learns the plan of each segment with the highest estimated utility: the effects
    that :class:`~slowfast_rl.slow.UtilityPlanner` estimates, but by segment alone.
    """

    name = "segments"
    thread_safe = True
    Settings = SegmentsSettings
    settings: SegmentsSettings

    def __init__(self, settings: SegmentsSettings | None = None, **values: Any) -> None:
        super().__init__(settings, **values)
        self.thresholds: tuple[float, ...] = ()  # viewing days per week that separate the segments
        self.wanted: tuple[tuple[int, ...], ...] = ()  # sends per week of each segment's plan
        self.shapes: tuple[str, ...] = ()  # names of the plans' pacing shapes

    def learn(
        self,
        world: World,
        executor: Executor | None = None,
        *,
        seed: int = 0,
        progress: Callable[[int], None] | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> Self:
        """Learn on members of population ``seed``; see :meth:`BasePlanner.learn`.

        Raises:
            ValueError: all members churn in the burn-in.
        """
        stopped = (checkpoint.state if checkpoint is not None else None) or {
            "seconds": 0.0, "returns": [], "search": None
        }  # fmt: skip
        watch, s = Stopwatch(stopped["seconds"]), self.settings
        each = s.num_members * world.slots_per_week
        starts: list[Population] = []
        returns: list[Float64] = list(stopped["returns"])  # by luck

        def offer(search: Search | None = None) -> None:
            if checkpoint is not None:
                checkpoint.offer(
                    lambda: {"seconds": watch.spent, "returns": returns, "search": search}
                )

        for luck in range(s.lucks):
            if progress is not None:
                played = luck * each * (s.burn_in_weeks + s.weeks * len(world.plans))
                watch.call_untimed(progress, played)
            population = Population(world, s.num_members, seed, seed, luck_stream=luck)
            burn_in(population, s.burn_in_weeks, seed, luck, executor)
            if not population.alive.any():
                raise ValueError(
                    f"burn_in_weeks is {s.burn_in_weeks}; allowed are fewer: all members churned"
                )
            starts.append(population.take(population.alive))
            if luck == len(returns):
                returns.append(constant_plan_returns(starts[-1], s.weeks, executor))
                offer()
        viewing = [mean_viewing(world, plan_request(start).observations) for start in starts]
        chosen = self._choose(np.concatenate(viewing), np.concatenate(returns))
        simulation = s.lucks * s.num_members * len(world.plans)
        if s.segments > 1:
            thresholds = np.array(self.thresholds)
            begun = Search(*stopped["search"]) if stopped["search"] else Search(chosen, 0, 0)
            found = improve(starts, thresholds, begun, s.weeks, s.rounds, executor, offer)
            chosen, simulation = found.plans, simulation + found.played
        self._take(chosen, world)
        weeks = simulation * s.weeks + s.lucks * s.num_members * s.burn_in_weeks
        self.opportunities = weeks * world.slots_per_week
        self.cpu_seconds = watch.spent
        return self

    def learn_from_log(self, log: "EventLog", *, seed: int = 0, max_rows: int = MAX_ROWS) -> Self:
        """Take the best plan of each segment of the log; with one segment, the best fixed plan.

        The effects of plans are estimated by segment, on windows in which a plan drawn by chance
        was held, and weighted by the world's reward. Members that move to another segment later,
        and whatever follows after the window, are not accounted for.

        Args:
            log: the log; ``log.world`` has the reward.
            seed: decides which windows are used, where there are more than ``max_rows``.
            max_rows: number of windows that are used at most.

        Raises:
            ValueError: no plan was held for ``window`` weeks, or none was drawn by chance.
        """
        watch, world, segments = Stopwatch(), log.world, self.settings.segments
        logs = plan_logs_of(log, self.settings.window, max_rows, seed)
        viewing = mean_viewing(world, logs.observations)
        self._divide(viewing)
        within = np.eye(segments, dtype=np.float32)  # [S, S] the terms of a member of each segment
        features = plan_features(world)
        effects = fit_effects(
            within[self._segments(viewing)], features, logs.feasible, logs.plans, logs.outcomes,
            logs.members, _RIDGE, importance_weights(logs),
            observation_terms(world, logs.observations),
        )  # fmt: skip
        gain = plan_effects(effects, within, features, outcome_weights(world))  # [S, O]
        cost = world.reward.weekly_discount ** np.arange(self.settings.window)
        sends = world.plans.sum(axis=1) * cost.sum()
        self._take((gain - reward_weight(world, "message_cost") * sends).argmax(axis=1), world)
        self.opportunities, self.cpu_seconds = 0, watch.spent
        return self

    def schedule(self, world: World, total_opportunities: int | None) -> Schedule:
        """Return what its simulations come to, at most: the search may end before."""
        s, (shapes, *channels) = self.settings, world.plan_grid
        tried = 1 + s.segments * (2 * len(channels) + shapes - 1)  # in a step of the search
        plans = len(world.plans) + (s.rounds * tried if s.segments > 1 else 0)
        weeks = s.burn_in_weeks + plans * s.weeks
        return schedule_of_logs(world, s.lucks * s.num_members, weeks)

    @property
    def can_act(self) -> bool:
        """Whether its segments have plans."""
        return bool(self.wanted)

    def plan(self, request: PlanRequest) -> Int64:
        """Return the plan of each member's segment, 0 on channels that it has left, [B].

        Raises:
            RuntimeError: the planner has not learned yet.
        """
        world = self._trained()
        pairs = zip(self.wanted, self.shapes, strict=True)
        chosen = np.array([world.plan_index(plan, shape) for plan, shape in pairs])
        segment = self._segments(mean_viewing(world, request.observations))
        return FeasibleIndex(world)(chosen[segment], request.feasible)

    def state(self) -> dict[str, Any]:
        """Return thresholds, plans and the names of their shapes.

        Raises:
            RuntimeError: the planner has not learned yet.
        """
        self._trained()
        plans = [list(plan) for plan in self.wanted]
        return {
            "thresholds": list(self.thresholds), "plans": plans, "shapes": list(self.shapes),
        }  # fmt: skip

    @classmethod
    def from_state(cls, world: World, settings: Any, state: State, **parts: Any) -> Self:
        """Rebuild a planner from :meth:`state`.

        Raises:
            ValueError: the state is not that of a planner of this world.
        """
        if sorted(set(state) | {"shapes"}) != ["plans", "shapes", "thresholds"]:
            raise ValueError(
                f"segments planner has {sorted(state)}; allowed: plans, shapes, thresholds"
            )
        planner = cls(settings=settings).prepare(world)
        thresholds, plans, segments = state["thresholds"], state["plans"], planner.settings.segments
        if not (isinstance(plans, list) and len(plans) == segments):
            raise ValueError(f"plans is {plans!r}; allowed is a list of {segments} plans")
        if not _rises(thresholds, segments - 1):
            raise ValueError(
                f"thresholds is {thresholds!r}; allowed: {segments - 1} finite numbers "
                "in ascending order"
            )
        shapes = state.get("shapes", [UNIFORM] * segments)  # older files have none
        if not (isinstance(shapes, list) and len(shapes) == segments):
            raise ValueError(f"shapes is {shapes!r}; allowed is a list of {segments} names")
        for plan, shape in zip(plans, shapes, strict=True):
            if not isinstance(plan, list):
                raise ValueError(f"plans has {plan!r}; allowed is a list of sends per channel")
            world.plan_index(plan, shape)
        planner.thresholds, planner.wanted = tuple(thresholds), tuple(map(tuple, plans))
        planner.shapes = tuple(shapes)
        return planner

    def _take(self, chosen: Int64, world: World) -> None:
        """Plan with the menu's plans [S] from now on."""
        self.prepare(world).wanted = tuple(tuple(map(int, world.plans[p])) for p in chosen)
        self.shapes = tuple(world.shape_names[world.plan_shapes[p]] for p in chosen)
        self.policy_version += 1

    def _divide(self, viewing: Float32) -> None:
        """Set the thresholds between segments by viewing, [B]."""
        segments = self.settings.segments
        shares = np.arange(1, segments) / segments
        self.thresholds = tuple(float(t) for t in np.quantile(viewing, shares))

    def _choose(self, viewing: Float32, returns: Float64) -> Int64:
        """Set thresholds by viewing [B]; return the best plans by returns [B, O], [S]."""
        segments = self.settings.segments
        self._divide(viewing)
        segment = self._segments(viewing)
        everyone = returns.mean(axis=0)
        best = [  # a segment without members gets the plan that is best for all
            (returns[segment == s].mean(axis=0) if (segment == s).any() else everyone).argmax()
            for s in range(segments)
        ]
        return np.array(best, np.int64)

    def _segments(self, viewing: Float32) -> Int64:
        return np.searchsorted(np.array(self.thresholds), viewing, side="right")

    def _trained(self) -> World:
        if self.world is None or not self.wanted:
            raise NotTrainedError("the planner has no plans yet; call learn or load first")
        return self.world


def _rises(values: Any, length: int) -> bool:
    """Return whether a value is a list of ``length`` finite numbers in ascending order."""
    return (
        isinstance(values, list)
        and len(values) == length
        and all(map(is_number, values))
        and all(low <= high for low, high in pairwise(values))
    )
