"""Rollout policy iteration on branches that share members and luck."""

from copy import copy
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from slowfast_rl.members.arrays import Float32, Int64
from slowfast_rl.members.observations import privileged_features, weekly_features
from slowfast_rl.members.population import (
    Population,
    population_arrays,
    restore_population,
)
from slowfast_rl.members.world import World
from slowfast_rl.policies.budget import Progress, Schedule, Stopwatch, check_budget, schedule
from slowfast_rl.policies.checkpoint import Checkpoint
from slowfast_rl.policies.component import NotTrainedError, State
from slowfast_rl.policies.contracts import BasePlanner, Executor, PlanRequest
from slowfast_rl.policies.executor import default_executor
from slowfast_rl.policies.plan_exchange import plan_request
from slowfast_rl.policies.registry import register
from slowfast_rl.policies.settings import Settings, device_setting, setting
from slowfast_rl.policies.weights import check_weights
from slowfast_rl.slow.branches import advance_population, branched_returns, feasible_sample
from slowfast_rl.slow.simple import FixedPlanner, safe_planner

if TYPE_CHECKING:
    from stable_baselines3.common.logger import Logger
    from torch import Generator, Tensor

    from slowfast_rl.slow.plan_value import PlanValue

_LEAST_ITERATIONS = 3  # with fewer, the policy is much worse than with smaller ones
_FIT = ("epochs", "batch_size", "learning_rate", "weight_decay")


@dataclass(frozen=True, kw_only=True)
class RolloutSettings(Settings):
    """Settings of :class:`RolloutPlanner`."""

    states: int = setting(8000, "number of members branched in an iteration", low=2, high=2**24)
    branches: int = setting(9, "number of plans tried from each state", low=2, high=2**16)
    hold: int = setting(4, "weeks for which a branch holds its plan", low=1, high=2**16)
    horizon: int = setting(20, "weeks that a branch is simulated", low=1, high=2**16)
    ages: int = setting(
        104,
        "greatest age of the members in weeks: the weeks for which plans will be chosen",
        low=1,
        high=2**16,
    )
    weeks_between: int = setting(20, "weeks simulated between iterations", low=1, high=2**16)
    random_share: float = setting(
        0.3, "share of member-weeks with a random plan before a state is branched", low=0, high=1
    )
    beliefs: bool = setting(
        True, "whether inputs include beliefs, computed with the parameters of the world"
    )
    privileged: bool = setting(
        False, "whether inputs include the latents, which no company observes: an upper bound"
    )
    ensemble: int = setting(3, "number of nets of an iteration", low=1, high=1024)
    acting: int = setting(3, "number of last iterations whose nets are averaged", low=1, high=1024)
    rollout_nets: int = setting(
        1, "nets of each acting iteration that plan while training simulates", low=1, high=1024
    )
    hidden: int = setting(64, "width of the nets", low=1, high=4096)
    rank: int = setting(
        16, "length of the vectors whose product is a plan's value", low=1, high=4096
    )
    epochs: int = setting(7, "passes over all iterations' states", low=1, high=1000)
    batch_size: int = setting(512, "states in a gradient step", low=2, high=2**31)
    learning_rate: float = setting(
        1e-3, "initial learning rate of AdamW, which falls to 0 by a cosine", low=0, high=1
    )
    weight_decay: float = setting(0.1, "weight decay of AdamW", low=0, high=1e3)
    device: str = device_setting()


@register
class RolloutPlanner(BasePlanner):
    """Plans by rollout policy iteration with common random numbers.

    This is approximate policy iteration with a regression on rollouts (Lagoudakis & Parr 2003;
    Lazaric, Ghavamzadeh & Munos 2016). Each iteration takes members of all ages in the states that
    the present policy leads to, and clones each member with its luck. Every clone holds another
    plan for some weeks and then follows the present policy, so that clones of a member differ by
    the effect of the plan alone. An ensemble of nets learns these differences, and the new policy
    is the feasible plan of the highest value. Before the first iteration all members get the
    world's safe plan, or the largest plan of the menu within it.
    """

    name = "rollouts"
    thread_safe = True
    Settings = RolloutSettings
    settings: RolloutSettings
    default_opportunities = 300_000_000

    def __init__(self, settings: RolloutSettings | None = None, **values: Any) -> None:
        super().__init__(settings, **values)
        self.needs_beliefs = self.settings.beliefs
        self.privileged = self.settings.privileged
        self.values: list[PlanValue] = []  # of the last iterations, averaged
        self._first: FixedPlanner | None = None  # chooses plans before the first iteration

    def learn(
        self,
        world: World,
        executor: Executor | None = None,
        *,
        total_opportunities: int | None = None,
        total_cpu_seconds: float | None = None,
        seed: int = 0,
        logger: "Logger | None" = None,
        progress: Progress | None = None,
        warm_start: bool = False,
        checkpoint: Checkpoint | None = None,
    ) -> Self:
        """Train from the start on members of population ``seed``; see :meth:`BasePlanner.learn`.

        A budget in opportunities is spent as :meth:`schedule` says; one in CPU seconds is rounded
        up to whole iterations. With ``warm_start`` the policy that was learned before is the first
        one, and its nets act until later ones replace them.

        Raises:
            ValueError: not exactly one budget above 0 is given.
        """
        from torch import Generator, from_numpy

        from slowfast_rl.slow.plan_value import Branched, fit, joined  # imports torch

        check_budget(total_opportunities, total_cpu_seconds)
        stopped = None if checkpoint is None else checkpoint.state
        self.opportunities, self.cpu_seconds = 0, 0.0
        if stopped is not None:
            self.opportunities = stopped["opportunities"]
            self.cpu_seconds = stopped["cpu_seconds"]
        elif not warm_start:
            self.begin(world)
        watch, s = Stopwatch(self.cpu_seconds), self.settings
        executor = executor or default_executor()
        generator = Generator().manual_seed(seed)
        planned = self.schedule(world, total_opportunities)
        population = Population(
            world, planned.members or s.states, seed, seed, belief_filter=self.belief_filter
        )
        collected: list[Branched] = []
        if stopped is not None:
            collected = [Branched(*arrays) for arrays in stopped["collected"]]
            restore_population(population, stopped["population"])
            generator.set_state(from_numpy(stopped["generator"].copy()))

        def state() -> State:
            return {
                "opportunities": self.opportunities,
                "cpu_seconds": self.cpu_seconds,
                "collected": collected,
                "population": population_arrays(population),
                "generator": generator.get_state().numpy(),
            }

        def played(opportunities: int) -> None:
            self.opportunities += opportunities
            self.cpu_seconds = watch.spent
            if progress is not None:
                watch.call_untimed(progress, self.opportunities)

        while not collected or (
            len(collected) < (planned.rounds or inf) and watch.spent < (total_cpu_seconds or inf)
        ):
            advance_population(
                population,
                self._sparing(),
                executor,
                weeks=s.weeks_between if collected else s.ages,
                ages=s.ages,
                random_share=s.random_share,
                seed=seed,
                played=played,
            )
            free = population.opted_in.any(axis=1)  # the others have one feasible plan only
            reached = population.take(free if free.sum() > 1 else slice(None))
            request = plan_request(reached, None, self)
            plans = feasible_sample(request.feasible, s.branches, generator)
            returns = branched_returns(
                reached, plans, self._sparing(), executor, s.hold, s.horizon, played
            )
            collected.append(Branched(self.inputs(request), plans, returns.astype(np.float32)))
            value = self._new_value(world, generator)
            fitting = {name: getattr(s, name) for name in _FIT}
            loss = fit(value, joined(collected), generator=generator, **fitting)
            self.values = [*self.values, value][-s.acting :]
            self.policy_version += 1
            self.cpu_seconds = watch.spent
            if logger is not None:
                spread = float((returns - returns.mean(axis=1, keepdims=True)).std())
                logger.record("iteration", len(collected))
                logger.record("loss", loss)
                logger.record("branch_return", float(returns.mean()))
                logger.record("branch_spread", spread)
                logger.dump(self.opportunities // world.slots_per_week)
            if checkpoint is not None:
                checkpoint.offer(state)
        return self

    def _sparing(self) -> "RolloutPlanner":
        """Return this planner with fewer nets, for the many plans of a training's simulations."""
        planner = copy(self)
        planner.values = [value.part(self.settings.rollout_nets) for value in self.values]
        return planner

    def schedule(self, world: World, total_opportunities: int | None) -> Schedule:
        """Return what a budget comes to: iterations, and the members branched in each.

        The first iteration brings members to all ages, and so takes longer than the others. A
        budget that does not pay for three iterations, or as many as act together, makes them small.
        """
        s, slots = self.settings, world.slots_per_week
        later = s.weeks_between + s.branches * s.horizon  # weeks of a state
        return schedule(
            total_opportunities,
            members=s.states,
            set_up=(s.ages - s.weeks_between) * slots,
            per_round=later * slots,
            least_rounds=min(s.acting, _LEAST_ITERATIONS),
            unit="iteration",
        )

    def untrained(
        self, world: World, seed: int = 0, executor: Executor | None = None
    ) -> "RolloutPlanner":
        """Return the planner before training, which plans the safe plan for all members."""
        return type(self)(settings=self.settings).prepare(world)

    def prepare(self, world: World) -> Self:
        """Prepare for planning in a world; what was learned in another one is deleted."""
        if self.world is not None and self.world != world:
            self.values = []
        self._first = safe_planner(world)
        return super().prepare(world)

    def begin(self, world: World) -> Self:
        """Prepare for learning from the start in a world: delete all that was learned."""
        self.prepare(world)
        self.values = []
        return self

    def plan(self, request: PlanRequest) -> Int64:
        """Return the feasible plan of the highest value, for each of B members, [B].

        Raises:
            RuntimeError: the planner has no world yet.
            ValueError: the request lacks beliefs or latents that the planner needs.
        """
        if self._first is None:
            raise NotTrainedError("the planner has no world yet; call learn or load first")
        scores = self.plan_scores(request)
        if scores is None:
            return self._first.plan(request)
        best: Int64 = np.where(request.feasible, scores, -np.inf).argmax(axis=1)
        return best

    def plan_scores(self, request: PlanRequest) -> Float32 | None:
        """Return the ensemble's mean value of every plan, [B, O]; None before training.

        Differences between a member's plans are in standard deviations of the differences that
        training saw.

        Raises:
            ValueError: the request lacks beliefs or latents that the planner needs.
        """
        if not self.values:
            return None
        from slowfast_rl.slow.plan_value import mean_values  # imports torch

        return mean_values(self.values, self.inputs(request))

    def state(self) -> dict[str, Any]:
        """Return a copy of the nets' arrays.

        Raises:
            RuntimeError: the planner has no world yet.
        """
        if self._first is None:
            raise NotTrainedError("the planner has no world yet; call learn or load first")
        return {name: tensor.cpu().numpy().copy() for name, tensor in self._tensors().items()}

    @classmethod
    def from_state(cls, world: World, settings: Any, state: State, **parts: Any) -> Self:
        """Rebuild a planner from :meth:`state`.

        Raises:
            ValueError: the arrays are not those of a planner of this world.
        """
        from torch import Generator, as_tensor

        planner = cls(settings=settings).prepare(world)
        shapes = planner._new_value(world, None).state_dict()  # takes no memory
        numbers = range(-(-len(state) // len(shapes)))
        check_weights(state, {f"{i}.{n}": shape for i in numbers for n, shape in shapes.items()})
        generator = Generator()
        planner.values = [planner._new_value(world, generator) for _ in numbers]
        for name, tensor in planner._tensors().items():
            tensor.copy_(as_tensor(state[name]))
        return planner

    def _tensors(self) -> "dict[str, Tensor]":
        """Return the nets' tensors by name."""
        return {
            f"{i}.{name}": tensor
            for i, value in enumerate(self.values)
            for name, tensor in value.state_dict().items()
        }

    def _new_value(self, world: World, generator: "Generator | None") -> "PlanValue":
        """Return new nets; without a generator they have shapes and no memory."""
        from torch import cuda, device

        from slowfast_rl.slow.plan_value import PlanValue, plan_table  # imports torch

        s = self.settings
        size = len(weekly_features(world))
        size += len(self.belief_filter.features) if self.belief_filter is not None else 0
        size += len(privileged_features(world)) if self.privileged else 0
        plans = plan_table(world)
        if generator is None:
            with device("meta"):
                return PlanValue(plans, size, s.ensemble, s.hidden, s.rank, None)
        value = PlanValue(plans, size, s.ensemble, s.hidden, s.rank, generator)
        # As Stable-Baselines3 has it, whose import would take 90 MB of a process that only plans.
        absent = s.device.startswith("cuda") and not cuda.is_available()
        return value.to("cpu" if absent else s.device)
