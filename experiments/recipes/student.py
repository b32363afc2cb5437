"""A student of a privileged teacher, and the iteration that mends it."""

from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

import slowfast_rl as sf
from slowfast_rl.evaluation.studies import rollout_planner
from slowfast_rl.members.arrays import Float32, Int64
from slowfast_rl.members.population import Population
from slowfast_rl.policies.executor import default_executor
from slowfast_rl.policies.plan_exchange import PlanRequest, plan_request
from slowfast_rl.slow.branches import advance_population, branched_returns, feasible_sample
from slowfast_rl.slow.plan_value import Branched, PlanValue, fit, joined, plan_table

TEACHER_OPPORTUNITIES = 98_000_000  # three iterations
ROUNDS, MEMBERS, WEEKS, KEEP = 3, 6000, 110, 7  # of DAgger; one state in KEEP is kept
RANDOM_SHARE = 0.2  # of member-weeks on the way
RESIDUAL = {"states": 8000, "branches": 9, "hold": 4, "horizon": 80}


class StudentPlanner(sf.slow.RolloutPlanner):
    """Learns a privileged teacher's values of all plans from logged signals and beliefs.

    DAgger (Ross, Gordon & Bagnell 2011): in each round members are simulated under the student,
    and the teacher, which sees the latents, gives the value of each plan for them. The mean of its
    values over what is hidden is what a student that sees less should believe (asymmetric
    distillation).
    Then, if wanted, one iteration of branched rollouts with the student as what follows: nets
    learn what its values miss.

    Args:
        residual: whether to add the iteration.
        quick: whether the settings are those of a quick run.
    """

    def __init__(self, residual: bool, quick: bool = False) -> None:
        super().__init__(**({"states": 200} if quick else {}))
        self.residual, self.small = residual, quick
        self.scales: list[float] = []  # viewing days for one unit of each net

    def learn(self, world: sf.World, *args: Any, seed: int = 0, **budget: Any) -> Self:
        """Train; how long follows from the recipe, whatever the budget."""
        teacher = rollout_planner(self.small, beliefs=False, privileged=True)
        played = 100_000 if self.small else TEACHER_OPPORTUNITIES
        teacher.learn(world, total_opportunities=played, seed=seed)
        self.values = []
        self.prepare(world)
        self.scales = []
        self.opportunities, self.cpu_seconds = teacher.opportunities, teacher.cpu_seconds
        generator = torch.Generator().manual_seed(seed)
        self._distil(world, teacher, seed, generator)
        if self.residual:
            self._mend(world, seed, generator)
        return self

    def plan(self, request: PlanRequest) -> Int64:
        """Return the feasible plan of the highest value, [B]."""
        if not self.values:
            return super().plan(request)
        q = np.where(request.feasible, self._value(self.inputs(request)), -np.inf)
        best: Int64 = q.argmax(axis=1)
        return best

    def _value(self, observations: Float32) -> NDArray[np.float32]:
        """Return what all plans are worth, student and mending together, [B, O]."""
        parts = zip(self.values, self.scales, strict=True)
        return np.asarray(sum(scale * value.mean(observations).numpy() for value, scale in parts))

    def _distil(self, world: sf.World, teacher: Any, seed: int, generator: torch.Generator) -> None:
        """Learn the teacher's values of the states that the student reaches."""
        members, weeks = (128, 14) if self.small else (MEMBERS, WEEKS)
        population = Population(world, members, seed, seed, belief_filter=self.belief_filter)
        self._simulate(population, weeks, seed)  # until members of all ages are there
        every = np.arange(len(world.plans))
        seen: list[Branched] = []
        for _ in range(ROUNDS):
            for week in range(weeks):
                self._simulate(population, 1, seed)
                kept = np.arange(members) % KEEP == week % KEEP
                rows = np.flatnonzero(kept & population.opted_in.any(axis=1))
                teacher_request = plan_request(population, rows, teacher)
                q = torch.stack([v.mean(teacher.inputs(teacher_request)) for v in teacher.values])
                observations = self.inputs(plan_request(population, rows, self))
                plans = np.tile(every, (len(rows), 1))
                seen.append(Branched(observations, plans, q.mean(dim=0).numpy()))
            self.values, self.scales = [], []
            self._learn(world, joined(seen), generator, hidden=128, weight_decay=1e-4)

    def _mend(self, world: sf.World, seed: int, generator: torch.Generator) -> None:
        """Learn what the values miss, by branched rollouts."""
        s = RESIDUAL | ({"states": 128, "horizon": 8} if self.small else {})
        population = Population(
            world, s["states"], seed, seed + 1, belief_filter=self.belief_filter
        )
        self._simulate(population, 8 if self.small else 104, seed)
        reached = population.take(np.flatnonzero(population.opted_in.any(axis=1)))
        own_request = plan_request(reached, None, self)
        plans = feasible_sample(own_request.feasible, s["branches"], generator)
        executor = default_executor()
        returns = branched_returns(
            reached, plans, self, executor, s["hold"], s["horizon"], self._played
        )
        observations = self.inputs(own_request)
        believed = np.take_along_axis(self._value(observations), plans, axis=1)
        missed = Branched(observations, plans, (returns - believed).astype(np.float32))
        self._learn(world, missed, generator, hidden=64, weight_decay=1e-2)

    def _learn(
        self,
        world: sf.World,
        data: Branched,
        generator: torch.Generator,
        hidden: int,
        weight_decay: float,
    ) -> None:
        """Fit one more ensemble of nets to differences between plans."""
        size, s = data.observations.shape[1], self.settings
        value = PlanValue(plan_table(world), size, s.ensemble, hidden, s.rank, generator)
        fit(
            value, data, epochs=10, batch_size=512, learning_rate=1e-3,
            weight_decay=weight_decay, generator=generator,
        )  # fmt: skip
        centred = data.returns - data.returns.mean(axis=1, keepdims=True)
        self.values.append(value)
        self.scales.append(float(centred.std(ddof=1)))  # the unit that the fit divides by

    def _simulate(self, population: Population, weeks: int, seed: int) -> None:
        advance_population(
            population, self, default_executor(), weeks=weeks, ages=WEEKS,
            random_share=RANDOM_SHARE, seed=seed, played=self._played,
        )  # fmt: skip

    def _played(self, opportunities: int) -> None:
        self.opportunities += opportunities
