"""An executor that draws a share of its decisions at random, so that its log can answer."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from slowfast_rl.fast.executor import PacedExecutor, plan_or_free
from slowfast_rl.fast.proposals import action_probabilities
from slowfast_rl.logs.sampling import MAX_ROWS
from slowfast_rl.members.arrays import Float32, Float64, Int32, Int64
from slowfast_rl.members.clock import WEEK_SECONDS
from slowfast_rl.members.observations import opportunity_observation
from slowfast_rl.members.population import Population
from slowfast_rl.members.random import Domain, ExplorationStream, random_words
from slowfast_rl.members.state import VETOED, Week
from slowfast_rl.members.world import World
from slowfast_rl.policies.budget import Schedule
from slowfast_rl.policies.component import accepted, check_log_learner
from slowfast_rl.policies.contracts import BaseExecutor, BasePlanner, Choice, Executor
from slowfast_rl.policies.guard import hold_forbidden, pack_plans
from slowfast_rl.policies.registry import register
from slowfast_rl.policies.settings import Settings, setting
from slowfast_rl.policies.stepwise import slots_of
from slowfast_rl.store import UNIFORM_SHAPE, PacingPlan

if TYPE_CHECKING:
    from slowfast_rl.logs.reading import EventLog


@dataclass(frozen=True, kw_only=True)
class ExploringSettings(Settings):
    """Settings of :class:`ExploringExecutor`."""

    explore: float = setting(
        0.1, "share of decisions drawn at random, by the exact pacer's coin", low=0, high=1
    )


@register
class ExploringExecutor(BaseExecutor):
    """Explores in a share of the decisions of another executor, within plan and guard.

    With probability ``explore`` a decision is drawn: a send with the exact pacer's probability
    remaining / slots left, of a candidate drawn uniformly. Otherwise the executor decides. One coin
    draws from the mixture, whose probabilities are known: a log of them has support for every
    candidate wherever the plan leaves a choice, which off-policy evaluation needs.

    Args:
        executor: the executor whose probabilities are known; None for the exact pacer and the
            ranking by quality.
        settings: :class:`ExploringSettings`.

    Raises:
        ValueError: the executor does not know its probabilities (raised at a decision).
    """

    name = "exploring"
    parts: ClassVar[Mapping[str, str]] = {"executor": "executor"}
    Settings = ExploringSettings
    settings: ExploringSettings

    def __init__(
        self,
        executor: BaseExecutor | None = None,
        settings: ExploringSettings | None = None,
        **values: Any,
    ) -> None:
        super().__init__(settings, **values)
        self.executor: BaseExecutor = PacedExecutor() if executor is None else executor

    def action_probabilities(self, world: World, obs: Float32, plan: PacingPlan | None) -> Float64:
        """Return the probabilities of the mixture, [B, 1 + K].

        Raises:
            ValueError: the executor does not know its probabilities.
        """
        own = self.executor.action_probabilities(world, obs, plan)
        if own is None:
            raise ValueError(
                f"executor {self.executor.name} has no action_probabilities; allowed is one that "
                "returns them"
            )
        return own + self.settings.explore * (_random_probabilities(world, obs, plan) - own)

    def choose(
        self,
        world: World,
        obs: Float32,
        plan: PacingPlan | None,
        entity_ids: Int64,
        times: Int64,
        seed: int,
    ) -> Choice:
        """Return the decisions at B opportunities, drawn from :meth:`action_probabilities`."""
        probabilities = self.action_probabilities(world, obs, plan)
        return draw_actions(probabilities, entity_ids, slots_of(world, obs, times), seed)

    def run_week(
        self,
        population: Population,
        target: Int32,
        cap: Int32 | None = None,
        shape: Int32 | int = UNIFORM_SHAPE,
    ) -> Week:
        """Simulate one week, one opportunity at a time; every send passes the guard."""
        caps, seed = target if cap is None else cap, population.simulation.seed
        plan_rows = pack_plans(target, caps, shape)
        for _ in population.world.schedule:
            opted_in = population.opted_in
            plan_rows[:, 0:-1:2] *= opted_in  # the target is 0 on a channel that the member left
            plan_rows[:, 1:-1:2] *= opted_in
            weeks = population.weeks.astype(np.int64)
            plan = PacingPlan(
                np.ascontiguousarray(plan_rows[:, 0:-1:2]),
                np.ascontiguousarray(plan_rows[:, 1:-1:2]),
                np.ascontiguousarray(plan_rows[:, -1]),
                weeks,
                np.zeros_like(weeks),
            )
            times = weeks * WEEK_SECONDS
            observed = opportunity_observation(population, plan.target)
            choice = self.choose(population.world, observed, plan, population.members, times, seed)
            actions = np.where(population.alive, choice.actions, 0)
            forbidden = hold_forbidden(population, plan_rows, actions)
            population.simulation.ledger[forbidden, VETOED] += 1
            population.step(actions)
        return population.last_week()

    @property
    def needs_plans(self) -> bool:  # type: ignore[override]  # of its part, which may be replaced
        """Whether the executor that explores cannot do without a planner."""
        return self.executor.needs_plans

    @property
    def thread_safe(self) -> bool:  # type: ignore[override]  # of its part, which may be replaced
        """Whether several threads at once may use the executor that explores."""
        return self.executor.thread_safe

    def for_simulation(self) -> Executor:
        """Return an executor with the same probabilities, run by the fused driver if possible."""
        from slowfast_rl.fast.exploring_simulation import ExploringSimulation  # it compiles

        return ExploringSimulation(self.executor, self.settings.explore, self)

    def learn(self, world: World, planner: BasePlanner | None = None, *, seed: int = 0) -> Self:
        """Train the executor that explores."""
        learn = self.executor.learn
        learn(world, **accepted(learn, planner=planner, seed=seed))
        self.opportunities = self.executor.opportunities
        return self

    def learn_from_log(self, log: "EventLog", *, seed: int = 0, max_rows: int = MAX_ROWS) -> Self:
        """Train the executor that explores on a log; see :meth:`BaseExecutor.learn_from_log`.

        Raises:
            ValueError: it learns, and cannot learn from a log or from this one.
        """
        check_log_learner(self)
        if self.executor.learns_from_logs:
            learn = self.executor.learn_from_log
            learn(log, **accepted(learn, seed=seed, max_rows=max_rows))
        self.opportunities = 0
        return self

    def schedule(self, world: World, total_opportunities: int | None = None) -> Schedule:
        """Return what the training of the executor comes to."""
        return self.executor.schedule(world, total_opportunities)

    @property
    def can_act(self) -> bool:
        """Whether the executor that explores can decide."""
        return self.executor.can_act

    def state(self) -> dict[str, Any]:
        """Return nothing: what was learned is the state of the executor that explores."""
        return {}

    def versioned(self) -> dict[str, Any]:
        """Return the settings, and what identifies the executor that explores."""
        return {self.name: {"settings": self.settings.to_dict()}} | self.executor.versioned()

    @classmethod
    def from_state(
        cls, world: World, settings: Any, state: Mapping[str, Any], **parts: Any
    ) -> Self:
        """Rebuild an executor; it has no state of its own.

        Raises:
            ValueError: there is state.
        """
        if state:
            raise ValueError(f"{cls.name} has state {sorted(state)}; allowed: none")
        return cls(settings=settings, **parts)


def draw_actions(probabilities: Float64, entity_ids: Int64, slots: Int64, seed: int) -> Choice:
    """Draw one action of each row of probabilities [B, 1 + K] with one coin.

    Args:
        probabilities: of holding and of sending each candidate.
        entity_ids: [B] member ids.
        slots: [B] opportunities since the first week began; with ids and seed they determine the
            coins.
        seed: the seed of the coins.
    """
    stream = ExplorationStream.RANDOM_DECISIONS
    words = random_words(seed, stream, entity_ids, slots, Domain.EXPLORATION)
    passed = (words / 2**32)[:, None] >= probabilities.cumsum(axis=1)[:, :-1]
    actions = passed.sum(axis=1)
    # Rounding may let a coin close to 1 pass actions of probability 0 at the end.
    last = probabilities.shape[1] - 1 - (probabilities[:, ::-1] > 0).argmax(axis=1)
    actions = np.minimum(actions, last).astype(np.int64)
    return Choice(actions, probabilities[np.arange(len(actions)), actions])


def _random_probabilities(world: World, obs: Float32, plan: PacingPlan | None) -> Float64:
    """Return the probabilities of a random decision, [B, 1 + K]: the exact pacer's coin."""
    exact = PacedExecutor()
    given = plan_or_free(world, plan, len(obs))
    hold = action_probabilities(world, exact.pacer, exact.ranker, obs, given)[:, :1]
    share = (1 - hold) / world.num_candidates
    return np.hstack([hold, *[share] * world.num_candidates])
