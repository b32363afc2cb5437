"""The contracts of policies: what a planner, pacer, ranker and executor must fill in.

Each base class asks for one method; ``learn`` and the pair ``state`` and ``from_state`` are
optional. Built-in classes derive from the same bases as a user's own.
"""

import inspect
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, ClassVar, NamedTuple, Protocol, Self

import numpy as np

from slowfast_rl.members.arrays import Bool, Float32, Float64, Int8, Int32, Int64
from slowfast_rl.members.beliefs import BeliefFilter
from slowfast_rl.members.clock import WEEK_SECONDS
from slowfast_rl.members.features import bounds, opportunity_features, weekly_features
from slowfast_rl.members.opportunity import PacerFunction, RankerFunction
from slowfast_rl.members.population import Population
from slowfast_rl.members.state import Week
from slowfast_rl.members.world import World
from slowfast_rl.policies.budget import Schedule
from slowfast_rl.policies.columns import columns, opted_in_columns, slots_of_week
from slowfast_rl.policies.component import Component, as_vector, does_nothing
from slowfast_rl.policies.day_weights import pacing_parameters
from slowfast_rl.policies.guard import NO_CAP, may_send
from slowfast_rl.store import UNIFORM_SHAPE, PacingPlan

_NO_WEIGHTS = np.zeros(0, np.float32)


class PlanRequest(NamedTuple):
    """What a planner is given: one row for each of B members whose week begins."""

    observations: Float32  # [B, F_week] logged features; see ``sf.weekly_features(world)``
    feasible: Bool  # [B, O] plans whose target is 0 on every channel that the member has left
    entity_ids: Int64  # [B] member ids
    weeks: Int64  # [B] number of the week that begins; 0 is the first of the member's episode
    beliefs: Float32 | None = None  # [B, F_belief] if the planner's ``needs_beliefs`` is true
    latents: Float32 | None = None  # [B, F_privileged] if its ``privileged`` is true


class Choice(NamedTuple):
    """What an executor does at B opportunities."""

    actions: Int64  # [B] 0 holds, j sends candidate j
    propensity: Float64  # [B] probability of that action over the executor's coins; NaN if unknown


class BasePlanner(Component):
    """Base of planners, the slow policies: choose each member's plan of the week.

    Fill in :meth:`plan`; optionally :meth:`learn`; optionally ``state`` and ``from_state``.

    Attributes:
        needs_beliefs: whether requests hold what a belief filter infers of each member.
        privileged: whether requests hold the latents, which no company sees: for upper bounds.
        world: the world that the planner was prepared for; None before.
        belief_filter: makes the beliefs in its requests; None without.
        policy_version: goes with every plan; a whole number of 0 or more.
        opportunities: send opportunities played in the last training, set-up included.
        cpu_seconds: CPU time of the last training; 0 lets the agent measure it.
        default_opportunities: the budget where none is given; 0 for none, so that one is needed.
    """

    kind = "planner"
    learn_arguments = (
        "executor", "total_opportunities", "total_cpu_seconds", "seed", "logger", "progress",
        "warm_start",
    )  # fmt: skip
    fill_in = (("plan",),)
    needs_beliefs: bool = False
    privileged: bool = False
    world: World | None = None
    belief_filter: BeliefFilter | None = None
    policy_version: int = 0
    opportunities: int = 0
    cpu_seconds: float = 0.0
    default_opportunities: ClassVar[int] = 0

    def prepare(self, world: World) -> Self:
        """Get ready to plan or learn in a world: note it, and make the belief filter if needed."""
        self.world = world
        if self.needs_beliefs:
            self.belief_filter = BeliefFilter(world)
        return self

    def plan(self, request: PlanRequest) -> Int64:
        """Return each of B members' plan as an index into ``world.plans``, [B].

        A plan that is not feasible is executed with target 0 on channels that the member has left.
        """
        raise NotImplementedError(f"{type(self).__name__} has no plan")

    @does_nothing
    def learn(self, *arguments: Any, **keywords: Any) -> Any:
        """Train from the start. A class names those of the following arguments that it uses.

        A planner that names ``total_opportunities`` learns for as long as it is given; one that
        does not learns from as much as its own settings say.

        The agent gives:
            world: the world to learn in.
            executor: the fast policy that executes the plans; None for the default.
            total_opportunities: send opportunities to play; reproducible bit for bit.
            total_cpu_seconds: CPU time to spend instead.
            seed: of population, luck, exploration and weights; of its own, not the evaluation's.
            logger: a Stable-Baselines3 logger; None for nowhere.
            progress: to be called now and then with the opportunities played so far.
            warm_start: whether to go on from what was learned, in a later turn of the same
                training; a planner that does not name it starts anew in every turn.
        """
        return self

    def schedule(self, world: World, total_opportunities: int | None) -> Schedule:
        """Return what a budget comes to; a class that trains in rounds says how many."""
        return Schedule(total_opportunities)

    def untrained(
        self, world: World, seed: int = 0, executor: "Executor | None" = None
    ) -> "BasePlanner | None":
        """Return the planner that training begins with; None for the world's safe plan."""
        return None

    @classmethod
    def from_state(
        cls, world: World, settings: Any, state: Mapping[str, Any], **parts: Any
    ) -> Self:
        """Rebuild a planner; see :class:`~slowfast_rl.policies.component.Component`."""
        return super().from_state(world, settings, state, **parts).prepare(world)

    def inputs(self, request: PlanRequest) -> Float32:
        """Return all that the planner sees, [B, F]: observations, beliefs, latents.

        Raises:
            ValueError: the request lacks beliefs or latents that the planner needs.
        """
        parts = [request.observations]
        for needed, part in (
            (self.needs_beliefs, request.beliefs),
            (self.privileged, request.latents),
        ):
            if needed:
                if part is None:
                    raise ValueError("the request lacks beliefs or latents that the planner needs")
                parts.append(part)
        return np.concatenate(parts, axis=1) if len(parts) > 1 else request.observations

    @property
    def takes_budget(self) -> bool:
        """Whether its training lasts as long as a budget says."""
        return self.learns and "total_opportunities" in _parameters(type(self).learn)


class BaseRanker(Component):
    """Base of rankers, which pick the best of an opportunity's candidates.

    Fill in :meth:`score`; optionally :meth:`learn`, which sets :attr:`weights`. State is saved as
    ``weights``; ``state`` and ``from_state`` may say otherwise.

    ``score`` is compiled with numba: a static method of numbers and arrays, without Python
    objects. A class may give a compiled :attr:`function` of its own instead, which ranks all
    candidates at once.

    Attributes:
        weights: [W] float32 parameters, passed to ``score``. A class that learns them and whose
            ``score`` reads them gives those that it begins with, as a class attribute.
        opportunities: in the logs that it learned from.
    """

    kind = "ranker"
    learn_arguments = ("seed",)
    fill_in = (("score",), ("function",))
    untrained_vector = "weights"
    weights: Float32 = _NO_WEIGHTS
    opportunities: int = 0

    @staticmethod
    def score(
        opportunity: Any, topic: Any, quality: Any, launch: Any, log: Any, weights: Any
    ) -> Any:
        """Return a candidate's score; the highest is sent if it reaches the pacer's least score.

        Args:
            opportunity: an :class:`~slowfast_rl.members.opportunity.Opportunity`.
            topic: the candidate's topic, 0 to D - 1.
            quality: its content quality, in standard deviations.
            launch: its topic's launch intensity today.
            log: the company's :class:`~slowfast_rl.members.state.Log`; this member's row is
                ``opportunity.row``.
            weights: [W] :attr:`weights`.
        """

    @property
    def function(self) -> RankerFunction:
        """The jitted ranker, compiled with ``RANKER_SIGNATURE``; made of :meth:`score`."""
        from slowfast_rl.policies.compiled import compile_score  # compiles only where it is used

        return compile_score(type(self).score)

    @does_nothing
    def learn(self, *arguments: Any, **keywords: Any) -> Any:
        """Fit :attr:`weights` on simulated logs; what was learned before is forgotten.

        The agent gives:
            world: the world to learn in.
            seed: of population, luck and exploration.
        """
        return self

    def check_world(self, world: World) -> None:
        """Raise ValueError where the ranker learned in a world of other channels."""

    def state(self) -> dict[str, Any]:
        """Return the weights.

        Raises:
            ValueError: they are no finite numbers, or not one-dimensional.
        """
        weights = as_vector(f"weights of {type(self).__name__}", self.weights)
        return {"weights": weights} if weights.size else {}

    @classmethod
    def from_state(
        cls, world: World, settings: Any, state: Mapping[str, Any], **parts: Any
    ) -> Self:
        """Rebuild a ranker from its weights."""
        ranker = cls.made_of(settings, **parts)
        ranker.weights = _vector(cls.name, "weights", state)
        return ranker


class BasePacer(Component):
    """Base of pacers, which decide whether an opportunity is worth a send at all.

    Fill in :meth:`pace`; optionally :meth:`learn`, which sets :attr:`parameters`. State is saved
    as ``parameters``; ``state`` and ``from_state`` may say otherwise.

    ``pace`` is compiled with numba: a static method of numbers and arrays. A class may give a
    compiled :attr:`function` of its own instead.

    Attributes:
        parameters: [W] float32, passed to ``pace`` from index 1 on. A class that learns them and
            whose ``pace`` reads them gives those that it begins with, as a class attribute.
        opportunities: simulated while it learned.
    """

    kind = "pacer"
    learn_arguments = ("ranker", "seed")
    fill_in = (("pace",), ("function",))
    untrained_vector = "parameters"
    parameters: Float32 = _NO_WEIGHTS
    opportunities: int = 0

    @staticmethod
    def pace(opportunity: Any, plan_rows: Any, pacing: Any) -> Any:
        """Return (least, wanted, of).

        A send is considered with probability ``wanted / of``, at most 1, and made if the best
        candidate's score is at least ``least``. The guard keeps caps and opt-ins in any case.

        Args:
            opportunity: an :class:`~slowfast_rl.members.opportunity.Opportunity`.
            plan_rows: [N, 2 C + 1] plans: (target, cap) per channel, then the shape. This member's
                row is ``opportunity.row``.
            pacing: the slots in a week, then :attr:`parameters`.
        """

    @property
    def function(self) -> PacerFunction:
        """The jitted pacer, compiled with ``PACER_SIGNATURE``; made of :meth:`pace`."""
        from slowfast_rl.policies.compiled import compile_pace  # compiles only where it is used

        return compile_pace(type(self).pace)

    def pacing(self, world: World, weights: Float32 | None = None) -> Float32:
        """Return the jitted pacer's parameters for a week, [W].

        Args:
            world: the world.
            weights: [N, 7] day weights of the plans' shapes; None where all are uniform.
        """
        return pacing_parameters(world, self.parameters, weights)

    @does_nothing
    def learn(self, *arguments: Any, **keywords: Any) -> Any:
        """Fit :attr:`parameters`; what was learned before is forgotten.

        The agent gives:
            world: the world to learn in.
            ranker: whose scores the pacer will be given; it has learned already.
            seed: of population, luck and exploration.
        """
        return self

    def state(self) -> dict[str, Any]:
        """Return the parameters.

        Raises:
            ValueError: they are no finite numbers, or not one-dimensional.
        """
        parameters = as_vector(f"parameters of {type(self).__name__}", self.parameters)
        return {"parameters": parameters} if parameters.size else {}

    @classmethod
    def from_state(
        cls, world: World, settings: Any, state: Mapping[str, Any], **parts: Any
    ) -> Self:
        """Rebuild a pacer from its parameters."""
        pacer = cls.made_of(settings, **parts)
        pacer.parameters = _vector(cls.name, "parameters", state)
        return pacer


class Executor(Protocol):
    """Anything that simulates a population through a week under given plans."""

    def run_week(
        self,
        population: Population,
        target: Int32,
        cap: Int32 | None = None,
        shape: Int32 | int = UNIFORM_SHAPE,
    ) -> Week:
        """Simulate one week; every send passes the guard.

        Args:
            population: N members at the beginning of a week.
            target: [N, C] sends meant for the week.
            cap: [N, C] sends allowed in the week; None for the target.
            shape: pacing shape id, one or [N]; an id that the world does not offer is uniform.
        """
        ...


class BaseExecutor(Component):
    """Base of executors, the fast policies: choose a message at each opportunity, or hold.

    Fill in :meth:`act`; optionally :meth:`learn`, which needs ``state`` and ``from_state``. A class
    that decides otherwise fills in both :meth:`run_week` and :meth:`choose` instead.

    Attributes:
        planned: whether it sees plans and is bound by their caps. Without plans the policy alone
            decides how much is sent; the guard keeps the opt-ins.
        needs_plans: whether one with ``planned = True`` cannot do without a planner, because it
            reads plans from observations.
        opportunities: send opportunities played in the last training, set-up included.
        cpu_seconds: CPU time of the last training; 0 lets the agent measure it.
        default_opportunities: the budget where none is given; 0 for none, so that one is needed.
    """

    kind = "executor"
    learn_arguments = (
        "planner", "total_opportunities", "total_cpu_seconds", "seed", "logger", "progress",
        "warm_start",
    )  # fmt: skip
    fill_in = (("act",), ("run_week", "choose"))
    planned: bool = True
    needs_plans: bool = True
    opportunities: int = 0
    cpu_seconds: float = 0.0
    default_opportunities: ClassVar[int] = 0

    def act(self, observations: Float32, masks: Int8, coins: Float32) -> Int64:
        """Return an action for each of B members, [B]: 0 holds, j sends candidate j.

        Args:
            observations: [B, F] as ``Messaging-v0`` gives them.
            masks: [B, 1 + K] actions that the guard allows.
            coins: [B] uniform in [0, 1), keyed by the luck: all the randomness a policy needs.
        """
        raise NotImplementedError(f"{type(self).__name__} decides in run_week; it has no act")

    def run_week(
        self,
        population: Population,
        target: Int32,
        cap: Int32 | None = None,
        shape: Int32 | int = UNIFORM_SHAPE,
    ) -> Week:
        """Simulate one week, one opportunity after the other; see :class:`Executor`."""
        from slowfast_rl.policies.stepwise import StepwiseExecutor  # it imports these contracts

        stepwise = StepwiseExecutor(self, planned=self.planned)
        return stepwise.run_week(population, target, cap, shape)

    def choose(
        self,
        world: World,
        obs: Float32,
        plan: PacingPlan | None,
        entity_ids: Int64,
        times: Int64,
        seed: int,
    ) -> Choice:
        """Return what the executor does at B opportunities that a service received.

        Args:
            world: the world, for the layout of observations.
            obs: [B, F] observations of ``Messaging-v0``.
            plan: the plans in force, [B]; None without plans and caps.
            entity_ids: [B] member ids, which key the coins.
            times: [B] simulated seconds; their weeks key the coins, with the observed slots.
            seed: of the coins.

        Raises:
            ValueError: the policy's answer is not one action of 0 to K per member.
        """
        from slowfast_rl.policies.stepwise import checked_actions, coins_of

        column, shown = columns(world), np.array(obs, np.float32)
        rows = np.arange(len(shown))
        here = shown[:, [column[f"slot_is_{c}"] for c in world.channels]].argmax(axis=1)
        sent = shown[:, [column[f"{c}_sends_this_week"] for c in world.channels]]
        opted_in = shown[:, opted_in_columns(world)] > 0.5
        target, cap = np.zeros(sent.shape, np.int32), np.full(len(shown), NO_CAP, np.int32)
        planned = plan is not None and self.planned
        if plan is not None and self.planned:
            target, cap = plan.target, plan.cap[rows, here]
        shown[:, column["has_plan"]] = planned
        high = bounds(weekly_features(world) + opportunity_features(world))[1]
        for c, channel in enumerate(world.channels):
            own, left = column[f"{channel}_plan_target"], column[f"{channel}_plan_left"]
            shown[:, own] = np.minimum(target[:, c], high[own])
            shown[:, left] = np.clip(target[:, c] - sent[:, c], 0, high[left])
        may = may_send(sent[rows, here], cap, opted_in[rows, here])
        masks = np.column_stack([np.ones(len(shown)), *[may] * world.num_candidates])
        slots_left = shown[:, column["slots_left"]].astype(np.int64)
        of_week = slots_of_week(world)[here, np.clip(slots_left, 0, world.slots_per_week)]
        slots = times // WEEK_SECONDS * world.slots_per_week + of_week
        answer = self.act(shown, masks.astype(np.int8), coins_of(seed, 0, entity_ids, slots))
        actions = checked_actions(answer, len(shown), world.num_candidates)
        return Choice(np.where(may, actions, 0), np.full(len(shown), np.nan))

    @does_nothing
    def learn(self, *arguments: Any, **keywords: Any) -> Any:
        """Train from the start. A class names those of the following arguments that it uses.

        An executor whose ``planner`` has no default learns to execute that planner's plans, after
        the planner has learned. Another learns before the planner; in later turns it is given the
        planner if it names it.

        The agent gives:
            world: the world to learn in.
            planner: whose plans it learns to execute; None without plans.
            total_opportunities: send opportunities to play; reproducible bit for bit.
            total_cpu_seconds: CPU time to spend instead.
            seed: of population, luck, exploration and weights.
            logger: a Stable-Baselines3 logger; None for nowhere.
            progress: to be called now and then with the opportunities played so far.
            warm_start: whether to go on from what was learned, in a later turn of the same
                training or after :meth:`prepare`; an executor that does not name it starts anew.
        """
        return self

    def prepare(self, world: World, seed: int = 0) -> Self:
        """Get ready to execute plans before :meth:`learn`, where that is possible.

        Called if a planner learns to plan for this executor before the executor learns.
        """
        return self

    def schedule(self, world: World, total_opportunities: int | None) -> Schedule:
        """Return what a budget comes to; a class that trains in rounds says how many."""
        return Schedule(total_opportunities)

    def untrained(
        self, world: World, seed: int = 0, planner: BasePlanner | None = None
    ) -> "BaseExecutor":
        """Return the executor that training begins with."""
        return self.before_learning()

    @property
    def takes_plans(self) -> bool:
        """Whether its training cannot do without the plans of a planner."""
        return self.learns and "planner" in _needed(type(self).learn)

    @property
    def takes_budget(self) -> bool:
        """Whether its training lasts as long as a budget says."""
        return self.learns and "total_opportunities" in _parameters(type(self).learn)

    @property
    def label(self) -> str:
        """What names of agents call this executor."""
        return self.name

    def versioned(self) -> dict[str, Any]:
        """Return what tells one version of the executor from another: names, settings, state."""
        return {self.name: {"settings": self.settings.to_dict(), "state": self.state()}}


@cache
def _parameters(function: Callable[..., Any]) -> frozenset[str]:
    return frozenset(inspect.signature(function).parameters)


@cache
def _needed(function: Callable[..., Any]) -> frozenset[str]:
    """Return the names of a function's parameters without a default."""
    parameters = inspect.signature(function).parameters.values()
    return frozenset(p.name for p in parameters if p.default is p.empty)


def _vector(name: str, what: str, state: Mapping[str, Any]) -> Float32:
    """Return the one float32 vector that a state holds; empty for an empty state."""
    found = state.get(what, _NO_WEIGHTS)
    fits = isinstance(found, np.ndarray) and found.dtype == np.float32 and found.ndim == 1
    if set(state) - {what} or not fits or not np.isfinite(found).all():
        raise ValueError(f"{name} has state {sorted(state)}; allowed: {what}, finite float32 [W]")
    return np.array(found)
