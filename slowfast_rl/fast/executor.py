"""The executor of a pacer and a ranker, and the pacer and the ranker without training."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from slowfast_rl.fast.decide import choose_candidates
from slowfast_rl.fast.proposals import action_probabilities
from slowfast_rl.logs.sampling import MAX_ROWS
from slowfast_rl.members.arrays import Float32, Float64, Int32, Int64
from slowfast_rl.members.opportunity import FastPolicy, PacerFunction, RankerFunction
from slowfast_rl.members.population import Population
from slowfast_rl.members.state import Week
from slowfast_rl.members.world import World
from slowfast_rl.policies.budget import Schedule
from slowfast_rl.policies.component import accepted, check_log_learner
from slowfast_rl.policies.contracts import (
    BaseExecutor,
    BasePacer,
    BasePlanner,
    BaseRanker,
    Choice,
)
from slowfast_rl.policies.executor import JittedExecutor, exact_pace, quality_rank
from slowfast_rl.policies.guard import NO_CAP
from slowfast_rl.policies.registry import register
from slowfast_rl.store import UNIFORM_SHAPE, PacingPlan, pacing_plan

if TYPE_CHECKING:
    from slowfast_rl.logs.reading import EventLog


def plan_or_free(world: World, plan: PacingPlan | None, size: int) -> PacingPlan:
    """Return the plans in force, or B plans without caps for None."""
    free = np.full((size, len(world.channels)), NO_CAP, np.int32)
    return pacing_plan(free, 0) if plan is None else plan


@register
class ExactPacer(BasePacer):
    """Sends with probability remaining / slots left, which meets the weekly target exactly."""

    name = "exact"
    thread_safe = True

    @property
    def function(self) -> PacerFunction:
        """The jitted pacer."""
        return exact_pace


@register
class QualityRanker(BaseRanker):
    """Ranks on content quality, without training."""

    name = "quality"
    thread_safe = True

    @property
    def function(self) -> RankerFunction:
        """The jitted ranker."""
        return quality_rank


@register
class PacedExecutor(BaseExecutor):
    """A fast policy: the pacer decides when to send and the ranker what, within the guard.

    Training fits the ranker and then the pacer, if they learn.

    Args:
        pacer: the pacer; None for :class:`ExactPacer`.
        ranker: the ranker; None for :class:`QualityRanker`.
    """

    name = "paced"
    parts: ClassVar[Mapping[str, str]] = {"pacer": "pacer", "ranker": "ranker"}
    needs_plans = False

    def __init__(self, pacer: BasePacer | None = None, ranker: BaseRanker | None = None) -> None:
        super().__init__()
        self.pacer: BasePacer = ExactPacer() if pacer is None else pacer
        self.ranker: BaseRanker = QualityRanker() if ranker is None else ranker

    @property
    def thread_safe(self) -> bool:  # type: ignore[override]  # of its parts, which may be replaced
        """Whether several threads at once may use both parts."""
        return self.pacer.thread_safe and self.ranker.thread_safe

    @property
    def label(self) -> str:
        """The names of pacer and ranker; "exact" and "affinity" are left out."""
        parts = self.pacer.name, self.ranker.name
        shown = [name for name in parts if name not in ("exact", "affinity")]
        return "-".join(shown) or self.ranker.name

    def fast_policy(self, world: World, weights: Float32 | None = None) -> FastPolicy:
        """Return the compiled pacer and ranker of one week; see :class:`BaseExecutor`.

        Raises:
            ValueError: the ranker learned in a world with other channels.
        """
        self.ranker.check_world(world)
        pacing = self.pacer.pacing(world, weights)
        return FastPolicy(self.pacer.function, self.ranker.function, pacing, self.ranker.weights)

    def run_week(
        self,
        population: Population,
        target: Int32,
        cap: Int32 | None = None,
        shape: Int32 | int = UNIFORM_SHAPE,
    ) -> Week:
        """Simulate one week by the fused driver; see :class:`JittedExecutor`."""
        return JittedExecutor(self.fast_policy).run_week(population, target, cap, shape)

    def choose(
        self,
        world: World,
        obs: Float32,
        plan: PacingPlan | None,
        entity_ids: Int64,
        times: Int64,
        seed: int,
    ) -> Choice:
        """Return the decisions at B opportunities, which are those of the fused driver.

        Raises:
            ValueError: a plan's shape depends on launches, which observations do not show.
        """
        parts, given = (self.pacer, self.ranker), plan_or_free(world, plan, len(obs))
        return choose_candidates(world, *parts, obs, given, entity_ids, times, seed)

    def action_probabilities(self, world: World, obs: Float32, plan: PacingPlan | None) -> Float64:
        """Return the probabilities of all actions at B opportunities, [B, 1 + K].

        Raises:
            ValueError: a plan's shape depends on launches, which observations do not show.
        """
        given = plan_or_free(world, plan, len(obs))
        return action_probabilities(world, self.pacer, self.ranker, obs, given)

    def schedule(self, world: World, total_opportunities: int | None = None) -> Schedule:
        """Return what the training of ranker and pacer comes to, by their settings."""
        parts = [part.schedule(world).opportunities for part in (self.ranker, self.pacer)]
        known = [opportunities for opportunities in parts if opportunities is not None]
        return Schedule(sum(known) if len(known) == len(parts) else None)

    def learn(self, world: World, planner: BasePlanner | None = None, *, seed: int = 0) -> Self:
        """Fit the ranker on simulated logs, then the pacer on that ranker's scores."""
        self.opportunities = 0
        if self.ranker.learns:
            self.ranker.learn(world, **accepted(self.ranker.learn, seed=seed, planner=planner))
            self.opportunities += self.ranker.opportunities
        if self.pacer.learns:
            given = accepted(self.pacer.learn, ranker=self.ranker, seed=seed, planner=planner)
            self.pacer.learn(world, **given)
            self.opportunities += self.pacer.opportunities
        return self

    def learn_from_log(self, log: "EventLog", *, seed: int = 0, max_rows: int = MAX_ROWS) -> Self:
        """Fit the ranker on the log, then the pacer on that ranker's scores.

        Args:
            log: the log.
            seed: seed of what ranker and pacer draw.
            max_rows: rows of the log that each of them uses at most.

        Raises:
            ValueError: one of them learns, and cannot learn from a log or from this one.
        """
        check_log_learner(self)
        for part in (self.ranker, self.pacer):
            if part.learns_from_logs:
                given = {"seed": seed, "max_rows": max_rows, "ranker": self.ranker}
                part.learn_from_log(log, **accepted(part.learn_from_log, **given))
        self.opportunities = 0
        return self

    def state(self) -> dict[str, Any]:
        """Return nothing: what was learned is the state of the parts."""
        return {}

    def versioned(self) -> dict[str, Any]:
        """Return the settings and the state of pacer and ranker, by name."""
        return {
            part.name: {"settings": part.settings.to_dict(), "state": part.state()}
            for part in (self.pacer, self.ranker)
        }

    @classmethod
    def from_state(
        cls, world: World, settings: Any, state: Mapping[str, Any], **parts: Any
    ) -> Self:
        """Rebuild an executor of its pacer and ranker.

        Raises:
            ValueError: a part is missing, or the pacer learned in a world with other channels.
        """
        if state:
            raise ValueError(f"executor has state {sorted(state)}; allowed: none")
        missing = [name for name, part in parts.items() if part is None]
        if missing:
            raise ValueError(f"executor has no {missing[0]}; allowed is one with both parts")
        executor = cls(**parts)
        executor.fast_policy(world)  # raises if the pacer learned with other channels
        return executor
