"""Rollout policy iteration on branches that share members and luck."""

from time import process_time
from typing import Any, Self

import numpy as np
import torch
from stable_baselines3.common.logger import Logger

from slowfast_rl.envs.execution import Request
from slowfast_rl.envs.executor import Executor, default_executor
from slowfast_rl.members.arrays import Float32, Int64
from slowfast_rl.members.beliefs import BeliefFilter
from slowfast_rl.members.population import Population
from slowfast_rl.members.world import World
from slowfast_rl.slow.branches import branched_returns, feasible_sample, live_on
from slowfast_rl.slow.budget import Progress, check_budget
from slowfast_rl.slow.plan_value import Branched, PlanValue, fit, plan_table
from slowfast_rl.slow.simple import FixedPlanner

_KEPT = 2  # iterations whose nets act together


class RolloutPlanner:
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
        hidden: int = 64,
        rank: int = 16,
        epochs: int = 10,
        batch_size: int = 1024,
        learning_rate: float = 1e-3,
        weight_decay: float = 0.3,
    ) -> None:
        self.settings: dict[str, Any] = {
            "states": states, "branches": branches, "hold": hold, "horizon": horizon, "ages": ages,
            "random_share": random_share, "weeks_between": weeks_between, "beliefs": beliefs, "privileged": privileged,
            "ensemble": ensemble, "hidden": hidden, "rank": rank, "epochs": epochs,
            "batch_size": batch_size, "learning_rate": learning_rate, "weight_decay": weight_decay,
        }  # fmt: skip
        self.privileged = privileged
        self.policy_version = 0
        self.opportunities = 0
        self.opportunities_before = 0
        self.cpu_seconds = 0.0
        self.values: list[PlanValue] = []
        self.belief_filter: BeliefFilter | None = None

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
        check_budget(total_opportunities, total_cpu_seconds)
        start, s = process_time(), self.settings
        executor = executor or default_executor()
        generator = torch.Generator().manual_seed(seed)
        self.values, self.opportunities, elsewhere = [], 0, 0.0
        self.belief_filter = BeliefFilter(world) if s["beliefs"] else None
        collected: list[Branched] = []
        iteration = 0
        while True:
            if iteration and (
                self.opportunities >= (total_opportunities or np.inf)
                or process_time() - start - elsewhere >= (total_cpu_seconds or np.inf)
            ):
                break
            collected.append(self._collect(world, executor, iteration, seed, generator))
            data = Branched(*(np.concatenate(parts) for parts in zip(*collected, strict=True)))
            value = PlanValue(
                plan_table(world), data.signals.shape[1], s["ensemble"], s["hidden"], s["rank"],
                generator,
            )  # fmt: skip
            loss = fit(
                value,
                data,
                generator=generator,
                **{k: s[k] for k in ("epochs", "batch_size", "learning_rate", "weight_decay")},
            )
            self.values = [*self.values, value][-_KEPT:]
            iteration += 1
            self.policy_version += 1
            self.cpu_seconds = process_time() - start - elsewhere
            left = process_time()
            if progress is not None:
                progress(self.opportunities)
            elsewhere += process_time() - left
        return self

    def plan(self, request: Request) -> Int64:
        if not self.values:
            raise RuntimeError("the planner has no network; call learn or load first")
        with torch.no_grad():
            signals = torch.as_tensor(self.signals(request))
            q = sum(value(signals).sum(dim=0) for value in self.values)
            q = q.masked_fill(~torch.as_tensor(request.feasible), -torch.inf)
            return q.argmax(dim=1).numpy()

    def signals(self, request: Request) -> Float32:
        parts = [request.signals]
        if self.belief_filter is not None:
            parts.append(request.beliefs)
        if self.privileged:
            parts.append(request.latents)
        return np.concatenate(parts, axis=1)

    def _collect(self, world, executor, iteration, seed, generator) -> Branched:
        s = self.settings
        planner = self if self.values else First(world, self)
        from slowfast_rl.envs.execution import request

        weeks = s["weeks_between"] if iteration else s["ages"]
        if not iteration:
            self._population = Population(
                world, s["states"], seed, seed, belief_filter=self.belief_filter
            )
        population = self._population
        live_on(
            population,
            planner,
            executor,
            weeks=weeks,
            ages=s["ages"],
            random_share=s["random_share"],
            seed=seed,
        )
        self.opportunities += s["states"] * weeks * world.slots_per_week
        population = population.take(np.flatnonzero(population.opted_in.any(axis=1)))
        asked = request(population, None, planner)
        plans = feasible_sample(asked.feasible, s["branches"], generator)
        returns = branched_returns(population, plans, planner, executor, s["hold"], s["horizon"])
        self.opportunities += plans.size * s["horizon"] * world.slots_per_week
        return Branched(self.signals(asked), plans, returns.astype(np.float32))


class First(FixedPlanner):
    def __init__(self, world, owner):
        super().__init__(world, world.safe_plan)
        self.belief_filter, self.privileged = owner.belief_filter, owner.privileged
