"""The contracts of policies: what a planner, pacer, ranker and executor must fill in.

Each base class asks for one method; ``learn`` and the pair ``state`` and ``from_state`` are
optional. Built-in classes derive from the same bases as a user's own.
"""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NamedTuple, Protocol, Self, cast

import numpy as np

from slowfast_rl.members.arrays import Bool, Float32, Float64, Int8, Int32, Int64
from slowfast_rl.members.beliefs import BeliefFilter
from slowfast_rl.members.opportunity import PacerFunction, RankerFunction
from slowfast_rl.members.population import Population
from slowfast_rl.members.random import Domain, random_words, uniforms
from slowfast_rl.members.state import Week
from slowfast_rl.members.world import World
from slowfast_rl.policies.columns import columns, opted_in_columns
from slowfast_rl.policies.component import Component, does_nothing
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
        opportunities: send opportunities of the budget, played in the last training.
        opportunities_before: played before them, for set-up.
        cpu_seconds: CPU time of the last training; 0 lets the agent measure it.
    """

    kind = "planner"
    learn_arguments = (
        "executor", "total_opportunities", "total_cpu_seconds", "seed", "logger", "progress",
    )  # fmt: skip
    fill_in = ("plan",)
    needs_beliefs: bool = False
    privileged: bool = False
    world: World | None = None
    belief_filter: BeliefFilter | None = None
    policy_version: int = 0
    opportunities: int = 0
    opportunities_before: int = 0
    cpu_seconds: float = 0.0

    def prepare(self, world: World) -> Self:
        """Get ready to plan or learn in a world: note it, and make the belief filter if needed."""
        self.world = world
        if self.needs_beliefs:
            self.belief_filter = BeliefFilter(world)
        return self

    @abstractmethod
    def plan(self, request: PlanRequest) -> Int64:
        """Return each of B members' plan as an index into ``world.plans``, [B].

        A plan that is not feasible is executed with target 0 on channels that the member has left.
        """

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
        """
        return self

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
        weights: [W] float32 parameters, passed to ``score``.
        opportunities: in the logs that it learned from.
    """

    kind = "ranker"
    learn_arguments = ("seed",)
    fill_in = ("score", "function")
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
        """Return the weights."""
        return {"weights": self.weights} if len(self.weights) else {}

    @classmethod
    def from_state(
        cls, world: World, settings: Any, state: Mapping[str, Any], **parts: Any
    ) -> Self:
        """Rebuild a ranker from its weights."""
        ranker = cls(settings)
        ranker.weights = _vector(cls.name, "weights", state)
        return ranker


class BasePacer(Component):
    """Base of pacers, which decide whether an opportunity is worth a send at all.

    Fill in :meth:`pace`; optionally :meth:`learn`, which sets :attr:`parameters`. State is saved
    as ``parameters``; ``state`` and ``from_state`` may say otherwise.

    ``pace`` is compiled with numba: a static method of numbers and arrays. A class may give a
    compiled :attr:`function` of its own instead.

    Attributes:
        parameters: [W] float32, passed to ``pace`` from index 1 on.
        opportunities: simulated while it learned.
    """

    kind = "pacer"
    learn_arguments = ("ranker", "seed")
    fill_in = ("pace", "function")
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
        """Return the parameters."""
        return {"parameters": self.parameters} if len(self.parameters) else {}

    @classmethod
    def from_state(
        cls, world: World, settings: Any, state: Mapping[str, Any], **parts: Any
    ) -> Self:
        """Rebuild a pacer from its parameters."""
        pacer = cls(settings)
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

    Fill in :meth:`act`; optionally :meth:`learn`; optionally ``state`` and ``from_state``.

    Attributes:
        planned: whether it sees plans and is bound by their caps. Without plans the policy alone
            decides how much is sent; the guard keeps the opt-ins.
        opportunities: of the budget, played in the last training.
        opportunities_before: played before them, for set-up.
        cpu_seconds: CPU time of the last training; 0 lets the agent measure it.
    """

    kind = "executor"
    learn_arguments = (
        "planner", "total_opportunities", "total_cpu_seconds", "seed", "logger", "progress",
    )  # fmt: skip
    fill_in = ("act", "run_week")
    planned: bool = True
    opportunities: int = 0
    opportunities_before: int = 0
    cpu_seconds: float = 0.0

    def act(self, observations: Float32, masks: Int8, coins: Float32) -> Int64:
        """Return an action for each of B members, [B]: 0 holds, j sends candidate j.

        Args:
            observations: [B, F] as ``Messaging-v0`` gives them.
            masks: [B, 1 + K] actions that the guard allows.
            coins: [B] uniform in [0, 1), keyed by the luck: all the randomness a policy needs.
        """
        raise TypeError(f"{type(self).__name__} decides in run_week; it has no act")

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
            times: [B] simulated seconds, which key the coins.
            seed: of the coins.
        """
        column, shown = columns(world), np.array(obs, np.float32)
        rows = np.arange(len(shown))
        here = shown[:, [column[f"slot_is_{c}"] for c in world.channels]].argmax(axis=1)
        sent = shown[:, [column[f"{c}_sends_this_week"] for c in world.channels]]
        opted_in = shown[:, opted_in_columns(world)] > 0.5
        cap = np.full(len(shown), NO_CAP, np.int32)
        if plan is not None and self.planned:
            cap = plan.cap[rows, here]
            shown[:, column["has_plan"]] = 1
            for c, channel in enumerate(world.channels):
                target = plan.target[:, c]
                shown[:, column[f"{channel}_plan_target"]] = target
                shown[:, column[f"{channel}_plan_left"]] = np.maximum(target - sent[:, c], 0)
        may = may_send(sent[rows, here], cap, opted_in[rows, here])
        masks = np.column_stack([np.ones(len(shown)), *[may] * world.num_candidates])
        coins = uniforms(random_words(seed, 0, entity_ids, times // 60, Domain.PACER))
        actions = np.asarray(self.act(shown, masks.astype(np.int8), coins), np.int64)
        return Choice(np.where(may, actions, 0), np.full(len(shown), np.nan))

    @does_nothing
    def learn(self, *arguments: Any, **keywords: Any) -> Any:
        """Train from the start. A class names those of the following arguments that it uses.

        An executor that names ``planner`` learns to execute that planner's plans, after the
        planner has learned; one that does not learns before the planner.

        The agent gives:
            world: the world to learn in.
            planner: whose plans it learns to execute; None without plans.
            total_opportunities: send opportunities to play; reproducible bit for bit.
            total_cpu_seconds: CPU time to spend instead.
            seed: of population, luck, exploration and weights.
            logger: a Stable-Baselines3 logger; None for nowhere.
            progress: to be called now and then with the opportunities played so far.
        """
        return self

    def untrained(
        self, world: World, seed: int = 0, planner: BasePlanner | None = None
    ) -> "BaseExecutor":
        """Return the executor that training begins with."""
        return type(self)(self.settings)

    @property
    def takes_plans(self) -> bool:
        """Whether its training plays the plans of a planner."""
        return self.learns and "planner" in _parameters(type(self).learn)

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
    code = cast(Any, function).__code__
    return frozenset(code.co_varnames[: code.co_argcount + code.co_kwonlyargcount])


def _vector(name: str, what: str, state: Mapping[str, Any]) -> Float32:
    """Return the one float32 vector that a state holds; empty for an empty state."""
    found = state.get(what, _NO_WEIGHTS)
    fits = isinstance(found, np.ndarray) and found.dtype == np.float32 and found.ndim == 1
    if set(state) - {what} or not fits or not np.isfinite(found).all():
        raise ValueError(f"{name} has state {sorted(state)}; allowed: {what}, finite float32 [W]")
    return np.array(found)
