"""Rollout policy iteration on branches that share members and luck."""

from collections.abc import Mapping
from math import inf
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.utils import get_device

from slowfast_rl.members.arrays import Float32, Int64
from slowfast_rl.members.beliefs import BeliefFilter
from slowfast_rl.members.observations import privileged_features, weekly_features
from slowfast_rl.members.population import Population
from slowfast_rl.members.world import World
from slowfast_rl.policies.budget import Progress, Stopwatch, check_budget
from slowfast_rl.policies.executor import Executor, default_executor
from slowfast_rl.policies.plan_exchange import PlanRequest, plan_request
from slowfast_rl.policies.settings import check_settings, check_weights, split_version
from slowfast_rl.slow.branches import advance_population, branched_returns, feasible_sample
from slowfast_rl.slow.plan_value import Branched, PlanValue, fit, joined, plan_table
from slowfast_rl.slow.simple import FixedPlanner, safe_planner

_FIT = ("epochs", "batch_size", "learning_rate", "weight_decay")


class RolloutPlanner:
    """Plans by rollout policy iteration with common random numbers.

    Approximate policy iteration with a regression on rollouts (Lagoudakis & Parr 2003; Lazaric,
    Ghavamzadeh & Munos 2016). Each iteration takes members of all ages as they live under the
    present policy, clones each with its luck, holds another plan in every clone for some weeks,
    and lets the policy go on from there: clones of a member differ by the plan's effect alone.
    An ensemble of nets learns the differences; the policy is their best feasible plan. Before the
    first iteration everyone gets the world's safe plan, or what the menu has of it.

    Args:
        states: members branched in an iteration.
        branches: plans tried from each state.
        hold: weeks for which a branch holds its plan.
        horizon: weeks that a branch lives.
        ages: greatest age of the members, as many weeks as they are to be planned for.
        weeks_between: weeks that members live on between iterations.
        random_share: share of member-weeks under a random plan on the way to a state.
        beliefs: whether signals include the belief filter's, under the world's own parameters.
        privileged: whether signals include the latents: an upper bound, no company sees them.
        ensemble: nets of an iteration.
        acting: iterations, the last ones, whose nets act together.
        hidden: width of the nets.
        rank: length of the vectors whose product is a plan's value.
        epochs: passes over all iterations' states.
        batch_size: states in a gradient step.
        learning_rate: AdamW's first, falling to 0 by a cosine.
        weight_decay: AdamW's.
        device: "cpu" or "cuda"; the CPU where there is no GPU.

    Raises:
        ValueError: a setting is of the wrong type or outside what is allowed.
    """

    name = "rollouts"

    def __init__(
        self,
        states: int = 8000,
        branches: int = 9,
        hold: int = 4,
        horizon: int = 20,
        ages: int = 104,
        weeks_between: int = 20,
        random_share: float = 0.3,
        beliefs: bool = True,
        privileged: bool = False,
        ensemble: int = 3,
        acting: int = 3,
        hidden: int = 64,
        rank: int = 16,
        epochs: int = 10,
        batch_size: int = 512,
        learning_rate: float = 1e-3,
        weight_decay: float = 0.1,
        device: str = "cpu",
    ) -> None:
        self.settings: dict[str, Any] = {
            "states": states, "branches": branches, "hold": hold, "horizon": horizon, "ages": ages,
            "weeks_between": weeks_between, "random_share": random_share, "beliefs": beliefs,
            "privileged": privileged, "ensemble": ensemble, "acting": acting, "hidden": hidden,
            "rank": rank, "epochs": epochs, "batch_size": batch_size,
            "learning_rate": learning_rate, "weight_decay": weight_decay, "device": device,
        }  # fmt: skip
        check_settings(self.settings)
        self.policy_version = 0  # iterations of all trainings
        self.opportunities = 0  # played in the last training
        self.opportunities_before = 0  # for set-up: none that the budget does not count
        self.cpu_seconds = 0.0  # spent in the last training
        self.privileged = privileged
        self.belief_filter: BeliefFilter | None = None
        self.values: list[PlanValue] = []  # of the last iterations
        self._first: FixedPlanner | None = None  # acts before there are values

    def learn(
        self,
        world: World,
        executor: Executor | None = None,
        *,
        total_opportunities: int | None = None,
        total_cpu_seconds: float | None = None,
        seed: int = 0,
        logger: Logger | None = None,
        progress: Progress | None = None,
    ) -> Self:
        """Train on members of population ``seed``, from the start: what was learned is lost.

        Args:
            world: the world.
            executor: the fast policy that executes the plans; None for the default.
            total_opportunities: send opportunities to play, rounded up to whole iterations;
                reproducible bit for bit.
            total_cpu_seconds: CPU time to spend instead, likewise.
            seed: of population, luck, exploration and weights, 0 to 2^32 - 1.
            logger: where metrics of each iteration go; None for nowhere.
            progress: called after each simulated week with the opportunities played so far.

        Raises:
            ValueError: not exactly one budget above 0 is given.
        """
        check_budget(total_opportunities, total_cpu_seconds)
        watch, s, executor = Stopwatch(), self.settings, executor or default_executor()
        self.untrained(world, seed, executor)
        self.opportunities, self.cpu_seconds = 0, 0.0
        generator = torch.Generator().manual_seed(seed)
        population = Population(world, s["states"], seed, seed, belief_filter=self.belief_filter)
        collected: list[Branched] = []

        def played(opportunities: int) -> None:
            self.opportunities += opportunities
            self.cpu_seconds = watch.spent
            if progress is not None:
                watch.call_untimed(progress, self.opportunities)

        while not collected or (
            self.opportunities < (total_opportunities or inf)
            and watch.spent < (total_cpu_seconds or inf)
        ):
            advance_population(
                population,
                self,
                executor,
                weeks=s["weeks_between"] if collected else s["ages"],
                ages=s["ages"],
                random_share=s["random_share"],
                seed=seed,
                played=played,
            )
            free = population.opted_in.any(axis=1)  # others have no choice
            reached = population.take(free if free.sum() > 1 else slice(None))
            asked = plan_request(reached, None, self)
            plans = feasible_sample(asked.feasible, s["branches"], generator)
            returns = branched_returns(
                reached, plans, self, executor, s["hold"], s["horizon"], played
            )
            collected.append(Branched(self._observations(asked), plans, returns.astype(np.float32)))
            value = self._new_value(world, generator)
            loss = fit(value, joined(collected), generator=generator, **{k: s[k] for k in _FIT})
            self.values = [*self.values, value][-s["acting"] :]
            self.policy_version += 1
            self.cpu_seconds = watch.spent
            if logger is not None:
                spread = float((returns - returns.mean(axis=1, keepdims=True)).std())
                logger.record("iteration", len(collected))
                logger.record("loss", loss)
                logger.record("branch_return", float(returns.mean()))
                logger.record("branch_spread", spread)
                logger.dump(self.opportunities // world.slots_per_week)
        return self

    def untrained(self, world: World, seed: int = 0, executor: Executor | None = None) -> Self:
        """Become what training begins with: the most of the safe plan on the menu, for everyone."""
        self.values, self._first = [], safe_planner(world)
        self.belief_filter = BeliefFilter(world) if self.settings["beliefs"] else None
        return self

    def plan(self, request: PlanRequest) -> Int64:
        """Return the feasible plan of the highest value, for each of B members, [B].

        Raises:
            RuntimeError: the planner knows no world yet.
            ValueError: the request lacks beliefs or latents that the planner needs.
        """
        if self._first is None:
            raise RuntimeError("the planner knows no world; call learn or load first")
        if not self.values:
            return self._first.plan(request)
        observations = self._observations(request)
        q = torch.stack([value.mean(observations) for value in self.values]).mean(dim=0)
        q = q.masked_fill(~torch.as_tensor(request.feasible), -torch.inf)
        best: Int64 = q.argmax(dim=1).numpy()
        return best

    def state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return settings that JSON can hold, and a copy of the nets' arrays.

        Raises:
            RuntimeError: the planner knows no world yet.
        """
        if self._first is None:
            raise RuntimeError("the planner knows no world; call learn or load first")
        arrays = {
            f"{i}.{name}": tensor.cpu().numpy().copy()
            for i, value in enumerate(self.values)
            for name, tensor in value.state_dict().items()
        }
        return self.settings | {"policy_version": self.policy_version}, arrays

    @classmethod
    def from_state(
        cls, world: World, settings: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]
    ) -> Self:
        """Rebuild a planner from :meth:`state`.

        Raises:
            ValueError: settings or arrays are not those of a planner of this world.
        """
        own, version = split_version(settings, cls().settings)
        planner = cls(**own).untrained(world)
        planner.policy_version = version
        numbers = {name.split(".")[0] for name in arrays}
        generator = torch.Generator()
        planner.values = [planner._new_value(world, generator) for _ in numbers]
        wanted = {
            f"{i}.{name}": tensor
            for i, value in enumerate(planner.values)
            for name, tensor in value.state_dict().items()
        }
        check_weights(arrays, wanted)
        for name, tensor in wanted.items():
            tensor.copy_(torch.as_tensor(arrays[name]))
        return planner

    def _new_value(self, world: World, generator: torch.Generator) -> PlanValue:
        s = self.settings
        size = len(weekly_features(world))
        size += len(self.belief_filter.features) if self.belief_filter is not None else 0
        size += len(privileged_features(world)) if self.privileged else 0
        value = PlanValue(plan_table(world), size, s["ensemble"], s["hidden"], s["rank"], generator)
        return value.to(get_device(s["device"]))

    def _observations(self, request: PlanRequest) -> Float32:
        """Return all that the nets see, [B, F]."""
        parts = [request.observations]
        for needed, part in (
            (self.belief_filter is not None, request.beliefs),
            (self.privileged, request.latents),
        ):
            if needed:
                if part is None:
                    raise ValueError("the request lacks beliefs or latents that the planner needs")
                parts.append(part)
        return np.concatenate(parts, axis=1)
