"""The contracts of policies: what a planner, pacer, ranker and executor must fill in.

Each base class asks for one method; ``learn``, ``learn_from_log`` (see
:class:`~slowfast_rl.policies.component.Component`) and the pair ``state`` and ``from_state`` are
optional. Built-in classes derive from the same bases as a user's own.
"""

import inspect
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, ClassVar, NamedTuple, Protocol, Self

import numpy as np

from slowfast_rl.members.arrays import Bool, Float32, Float64, Int8, Int32, Int64
from slowfast_rl.members.beliefs import BeliefFilter
from slowfast_rl.members.opportunity import FastPolicy, PacerFunction, RankerFunction
from slowfast_rl.members.population import Population
from slowfast_rl.members.state import Week
from slowfast_rl.members.world import World
from slowfast_rl.policies.budget import Schedule
from slowfast_rl.policies.component import Component, as_vector, does_nothing
from slowfast_rl.policies.day_weights import pacing_parameters
from slowfast_rl.store import UNIFORM_SHAPE, PacingPlan

_NO_WEIGHTS = np.zeros(0, np.float32)


class PlanRequest(NamedTuple):
    """The input of a planner: one row for each of B members whose week begins.

    Attributes:
        observations: [B, F_week] logged features; see ``sf.weekly_features(world)``.
        feasible: [B, O] plans whose target is 0 on every channel that the member has left.
        entity_ids: [B] member ids.
        weeks: [B] number of the week that begins; 0 is the first of the member's episode.
        beliefs: [B, F_belief] if the planner's ``needs_beliefs`` is true.
        latents: [B, F_privileged] if its ``privileged`` is true.
    """

    observations: Float32
    feasible: Bool
    entity_ids: Int64
    weeks: Int64
    beliefs: Float32 | None = None
    latents: Float32 | None = None


class Choice(NamedTuple):
    """The decisions of an executor at B opportunities."""

    actions: Int64  # [B] 0 holds, j sends candidate j
    # [B] probability of that action over the executor's coins; NaN if the executor does not know it
    propensity: Float64


class BasePlanner(Component):
    """Base class of planners, the slow policies, which choose each member's plan of the week.

    Fill in :meth:`plan`; optionally :meth:`learn`; optionally :meth:`learn_from_log`; optionally
    ``state`` and ``from_state``.

    Attributes:
        needs_beliefs: whether requests include beliefs about the members' hidden traits.
        privileged: whether requests include the latents, which no company observes. Such a planner
            gives an upper bound.
        world: the world for which the planner was prepared; None before.
        belief_filter: the filter that computes the beliefs in its requests; None without beliefs.
        policy_version: the version that is stored with every plan, 0 or more.
        opportunities: send opportunities simulated in the last training, including set-up.
        cpu_seconds: CPU time of the last training; if it is 0, the agent measures the time.
        default_opportunities: the default budget; 0 if there is none, so that one must be given.
    """

    kind = "planner"
    learn_arguments = (
        "executor", "total_opportunities", "total_cpu_seconds", "seed", "logger", "progress",
        "warm_start",
        "checkpoint",
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
        """Prepare for planning in a world; create the belief filter if needed."""
        self.world = world
        if self.needs_beliefs:
            self.belief_filter = BeliefFilter(world)
        return self

    def begin(self, world: World) -> Self:
        """Prepare for learning from the start in a world.

        A planner that has plans before it learns goes back to those.
        """
        return self.prepare(world)

    def plan(self, request: PlanRequest) -> Int64:
        """Return the plan of each of B members as an index into ``world.plans``, [B].

        A plan that is not feasible is executed with target 0 on channels that the member has left.
        """
        raise NotImplementedError(f"{type(self).__name__} has no plan")

    @property
    def can_act(self) -> bool:
        """Whether it can plan; a class that cannot before it has learned says so here."""
        return True

    def plan_scores(self, request: PlanRequest) -> Float32 | None:
        """Return how good every plan is for each of B members, [B, O], for people to look at.

        A higher score is better; units differ between planners, and infeasible plans have scores
        too. None where a planner has no such numbers.
        """
        return None

    @does_nothing
    def learn(self, *arguments: Any, **keywords: Any) -> Any:
        """Train from the start. A subclass declares those of the arguments below that it uses.

        If a planner declares ``total_opportunities``, the budget decides how long it trains;
        otherwise its own settings do.

        The agent passes:
            world: the world to learn in.
            executor: the fast policy that executes the plans; None for the default.
            total_opportunities: budget in send opportunities; such training is reproducible bit for
                bit.
            total_cpu_seconds: budget in CPU seconds, which may be given instead.
            seed: seed of the training's population, luck, exploration and weights.
            logger: a Stable-Baselines3 logger; None for no logging.
            progress: function to call from time to time with the opportunities simulated so far.
            warm_start: whether to continue from what was learned, in a later turn of the same
                training; a planner that does not declare it starts anew in every turn.
            checkpoint: keeps what the planner needs to continue a training that was stopped, see
                :class:`~slowfast_rl.policies.checkpoint.Checkpoint`; without it a training that
                was stopped in its turn begins the turn again.
        """
        return self

    def schedule(self, world: World, total_opportunities: int | None) -> Schedule:
        """Return what a budget comes to; a class that trains in rounds says how many."""
        return Schedule(total_opportunities)

    def untrained(
        self, world: World, seed: int = 0, executor: "Executor | None" = None
    ) -> "BasePlanner | None":
        """Return the planner before training; None if that is the world's safe plan."""
        return None

    @classmethod
    def from_state(
        cls, world: World, settings: Any, state: Mapping[str, Any], **parts: Any
    ) -> Self:
        """Rebuild a planner; see :class:`~slowfast_rl.policies.component.Component`."""
        return super().from_state(world, settings, state, **parts).prepare(world)

    def inputs(self, request: PlanRequest) -> Float32:
        """Return the planner's inputs, [B, F]: observations, then beliefs, then latents, if needed.

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
        """Whether a budget decides how long it trains."""
        return self.learns and "total_opportunities" in _parameters(type(self).learn)


class JittedPart(Component):
    """Base class of rankers and pacers, whose state is one vector unless they override it.

    Attributes:
        opportunities: number of opportunities simulated for its training.
    """

    opportunities: int = 0

    def schedule(self, world: World, total_opportunities: None = None) -> Schedule:
        """Return what its training comes to; a class that learns from logs says how much."""
        return Schedule(None if self.learns else 0)

    def state(self) -> dict[str, Any]:
        """Return the vector by its name, unless it is empty.

        Raises:
            ValueError: it has values that are not finite numbers, or is not one-dimensional.
        """
        values = as_vector(f"{self.vector} of {type(self).__name__}", getattr(self, self.vector))
        return {self.vector: values} if values.size else {}

    @classmethod
    def from_state(
        cls, world: World, settings: Any, state: Mapping[str, Any], **parts: Any
    ) -> Self:
        """Rebuild a ranker or a pacer from its vector."""
        values = state.get(cls.vector, _NO_WEIGHTS)
        fits = isinstance(values, np.ndarray) and values.dtype == np.float32 and values.ndim == 1
        if set(state) - {cls.vector} or not fits or not np.isfinite(values).all():
            raise ValueError(
                f"{cls.name} has state {sorted(state)}; allowed: {cls.vector}, finite float32 [W]"
            )
        part = cls.made_of(settings, **parts)
        setattr(part, cls.vector, np.array(values))
        return part


class BaseRanker(JittedPart):
    """Base class of rankers, which choose the best candidate of an opportunity.

    Fill in :meth:`score`; optionally :meth:`learn` and :meth:`learn_from_log`, which set
    :attr:`weights`. The weights are saved; a ranker with other state overrides ``state`` and
    ``from_state``.

    ``score`` is a static method that numba compiles: it uses numbers and arrays, no Python objects.
    A class may define a compiled :attr:`function` instead, which ranks all candidates at once.

    Attributes:
        weights: [W] float32 parameters, passed to ``score``. A class that learns them and whose
            ``score`` reads them defines the weights before training as a class attribute.
    """

    kind = "ranker"
    learn_arguments = ("seed", "planner")
    fill_in = (("score",), ("function",))
    vector = "weights"
    weights: Float32 = _NO_WEIGHTS

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
        """The jitted ranker, compiled with ``RANKER_SIGNATURE``; it calls :meth:`score`."""
        from slowfast_rl.policies.compiled import compile_score  # compiles only where it is used

        return compile_score(type(self).score)

    @does_nothing
    def learn(self, *arguments: Any, **keywords: Any) -> Any:
        """Fit :attr:`weights` on simulated logs, from the start.

        The agent passes:
            world: the world to learn in.
            seed: seed of population, luck and exploration.
            planner: in the agent's later turns the planner, which has learned; None before.
        """
        return self

    def check_world(self, world: World) -> None:
        """Raise ValueError if the ranker learned in a world with other channels."""


class BasePacer(JittedPart):
    """Base class of pacers, which decide whether an opportunity is worth a send.

    Fill in :meth:`pace`; optionally :meth:`learn` and :meth:`learn_from_log`, which set
    :attr:`parameters`. The parameters are saved; a pacer with other state overrides ``state`` and
    ``from_state``.

    ``pace`` is a static method that numba compiles: it uses numbers and arrays, no Python objects.
    A class may define a compiled :attr:`function` instead.

    Attributes:
        parameters: [W] float32, passed to ``pace`` from index 1 on. A class that learns them and
            whose ``pace`` reads them defines those before training as a class attribute.
    """

    kind = "pacer"
    learn_arguments = ("ranker", "seed", "planner")
    log_arguments = ("ranker", "seed", "max_rows")
    fill_in = (("pace",), ("function",))
    vector = "parameters"
    parameters: Float32 = _NO_WEIGHTS

    @staticmethod
    def pace(opportunity: Any, plan_rows: Any, pacing: Any) -> Any:
        """Return (least, wanted, of).

        A send is considered with probability min(1, wanted / of). The best candidate is then sent
        if its score is at least ``least``. The guard enforces caps and opt-ins in any case.

        Args:
            opportunity: an :class:`~slowfast_rl.members.opportunity.Opportunity`.
            plan_rows: [N, 2 C + 1] plans: (target, cap) per channel, then the shape. This member's
                row is ``opportunity.row``.
            pacing: the number of slots in a week, followed by :attr:`parameters`.
        """

    @property
    def function(self) -> PacerFunction:
        """The jitted pacer, compiled with ``PACER_SIGNATURE``; it calls :meth:`pace`."""
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
        """Fit :attr:`parameters`, from the start.

        The agent passes:
            world: the world to learn in.
            ranker: the trained ranker whose scores the pacer will be compared with.
            seed: seed of population, luck and exploration.
            planner: in the agent's later turns the planner, which has learned; None before.
        """
        return self


class Executor(Protocol):
    """The protocol of fast policies: simulate a week of a population under given plans."""

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
            target: [N, C] intended sends in the week.
            cap: [N, C] largest number of sends in the week; None for the target.
            shape: pacing shape id, a scalar or [N]; ids that the world does not have are uniform.
        """
        ...


class BaseExecutor(Component):
    """Base class of executors, the fast policies: at each opportunity, send a message or hold.

    Fill in :meth:`act`; optionally :meth:`learn` and :meth:`learn_from_log`, which need ``state``
    and ``from_state``. A class that decides otherwise fills in both :meth:`run_week` and
    :meth:`choose` instead.

    Attributes:
        planned: whether it observes plans, whose caps are then enforced. Without plans, the policy
            alone decides how much is sent, and the guard enforces the opt-ins only.
        needs_plans: whether one with ``planned = True`` cannot do without a planner, because it
            reads plans from observations.
        opportunities: send opportunities simulated in the last training, including set-up.
        cpu_seconds: CPU time of the last training; if it is 0, the agent measures the time.
        default_opportunities: the default budget; 0 if there is none, so that one must be given.
    """

    kind = "executor"
    learn_arguments = (
        "planner", "total_opportunities", "total_cpu_seconds", "seed", "logger", "progress",
        "warm_start",
        "checkpoint",
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
            observations: [B, F] observations of ``Messaging-v0``.
            masks: [B, 1 + K] actions that the guard allows.
            coins: [B] random numbers, uniform in [0, 1), which the luck determines.
        """
        raise NotImplementedError(f"{type(self).__name__} decides in run_week; it has no act")

    def decide(self, observations: Float32, masks: Int8, coins: Float32) -> Choice:
        """Return the actions of :meth:`act` and their probabilities over the coins.

        A class that knows the probabilities overrides this; the arguments are those of :meth:`act`.
        """
        return Choice(self.act(observations, masks, coins), np.full(len(observations), np.nan))

    def run_week(
        self,
        population: Population,
        target: Int32,
        cap: Int32 | None = None,
        shape: Int32 | int = UNIFORM_SHAPE,
    ) -> Week:
        """Simulate one week, one opportunity at a time; see :meth:`Executor.run_week`."""
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
        """Return the decisions at B opportunities that a service received.

        Args:
            world: the world, for the layout of observations.
            obs: [B, F] observations of ``Messaging-v0``.
            plan: the plans in force, [B]; None for no plans and no caps.
            entity_ids: [B] member ids.
            times: [B] simulated seconds; their weeks, the observed slots, the ids and the seed
                determine the coins.
            seed: seed of the coins.

        Raises:
            ValueError: the policy does not return one action of 0 to K per member.
        """
        from slowfast_rl.policies.stepwise import choose_observed  # it imports these contracts

        return choose_observed(self, world, obs, plan, entity_ids, times, seed)

    def action_probabilities(
        self, world: World, obs: Float32, plan: PacingPlan | None
    ) -> Float64 | None:
        """Return the probabilities of all actions at B opportunities, [B, 1 + K].

        They are those of :meth:`choose` over its coins, after the guard. Logs hold them, so that
        another policy can be evaluated on what was logged.

        Args:
            world: the world, for the layout of observations.
            obs: [B, F] observations of ``Messaging-v0``.
            plan: the plans in force, [B]; None for no plans and no caps.

        Returns:
            the probabilities; None where the executor does not know them.
        """
        return None

    def fast_policy(self, world: World, weights: Float32 | None = None) -> FastPolicy | None:
        """Return the compiled pacer and ranker of one week, which the fused driver calls.

        Args:
            world: the world.
            weights: [N, 7] day weights of the plans' shapes; None where all are uniform.

        Returns:
            them; None for an executor that decides in Python.
        """
        return None

    def for_simulation(self) -> Executor:
        """Return an executor for simulations in which only the probabilities of actions matter.

        It must give every action the same probability as this one. It may draw other coins, which
        allows it to simulate faster. Fitting a world uses it. The default is the executor itself.
        """
        return self

    @does_nothing
    def learn(self, *arguments: Any, **keywords: Any) -> Any:
        """Train from the start. A subclass declares those of the arguments below that it uses.

        If ``planner`` has no default, the executor learns after the planner and executes the
        planner's plans. Otherwise it learns before the planner; in later turns it is given the
        planner if it declares the argument.

        The agent passes:
            world: the world to learn in.
            planner: the planner whose plans it learns to execute; None for no plans.
            total_opportunities: budget in send opportunities; such training is reproducible bit for
                bit.
            total_cpu_seconds: budget in CPU seconds, which may be given instead.
            seed: seed of population, luck, exploration and weights.
            logger: a Stable-Baselines3 logger; None for no logging.
            progress: function to call from time to time with the opportunities simulated so far.
            warm_start: whether to continue from what was learned, in a later turn of the same
                training or after :meth:`prepare`; an executor that does not declare it starts anew.
            checkpoint: keeps what the executor needs to continue a training that was stopped, as
                for a planner.
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
        """Return the executor before training."""
        return self.before_learning()

    @property
    def can_act(self) -> bool:
        """Whether it can decide; a class that cannot before it has learned says so here."""
        return True

    @property
    def takes_plans(self) -> bool:
        """Whether its training needs the plans of a planner."""
        return self.learns and "planner" in _needed(type(self).learn)

    @property
    def takes_budget(self) -> bool:
        """Whether a budget decides how long it trains."""
        return self.learns and "total_opportunities" in _parameters(type(self).learn)

    @property
    def label(self) -> str:
        """The name of this executor in the names of agents."""
        return self.name

    def versioned(self) -> dict[str, Any]:
        """Return the names, settings and state that identify a version of the executor."""
        return {self.name: {"settings": self.settings.to_dict(), "state": self.state()}}


@cache
def _parameters(function: Callable[..., Any]) -> frozenset[str]:
    return frozenset(inspect.signature(function).parameters)


@cache
def _needed(function: Callable[..., Any]) -> frozenset[str]:
    """Return the names of a function's parameters without a default."""
    parameters = inspect.signature(function).parameters.values()
    return frozenset(p.name for p in parameters if p.default is p.empty)
