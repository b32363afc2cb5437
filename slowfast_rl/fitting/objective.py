"""How far a world's simulated log is from the observed one, and how that changes with the world."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from slowfast_rl.fitting.parameters import ParameterSpace
from slowfast_rl.fitting.simulate import Design, simulate_log
from slowfast_rl.fitting.statistics import SHARD, Statistics
from slowfast_rl.members.arrays import Float64
from slowfast_rl.members.workers import run_jobs
from slowfast_rl.members.world import World


class _Case(NamedTuple):
    """What the simulations of all worlds and shards share."""

    design: Design
    statistics: Statistics
    num_members: int
    seed: int

    @property
    def thread_safe(self) -> bool:
        """Whether several threads may use the policies."""
        policies = self.design.planner, self.design.executor
        return all(getattr(p, "thread_safe", False) for p in policies if p is not None)


class Objective:
    """The gaps between the statistics of simulated logs and those of an observed log.

    Args:
        space: the worlds.
        statistics: with constants of the observed log.
        design: how members were treated.
    """

    def __init__(self, space: ParameterSpace, statistics: Statistics, design: Design) -> None:
        self.space, self.statistics, self.design = space, statistics, design

    def gaps(self, thetas: Sequence[Float64], num_members: int, seed: int) -> Float64:
        """Return whitened gaps of worlds, [B, K], each with the same random numbers.

        Of a world that is true, N times the square of a gap is about 1, plus N / ``num_members``.

        Args:
            thetas: vectors of B worlds, each [P].
            num_members: number of simulated members.
            seed: of the simulated members and their luck.
        """
        case = _Case(self.design, self.statistics, num_members, seed)
        worlds = [self.space.world(theta) for theta in thetas]
        firsts = range(0, num_members, SHARD)
        jobs = ((world, first) for world in worlds for first in firsts)
        sums = np.zeros((len(worlds), len(self.statistics)))
        counts = np.zeros(len(worlds))
        for number, (total, count) in enumerate(run_jobs(_simulated, case, jobs)):
            sums[number // len(firsts)] += total
            counts[number // len(firsts)] += count
        means = sums / np.maximum(counts, 1)[:, None]
        differences = means - self.statistics.observed
        # One by one: a product of matrices may round otherwise than a product with each row.
        return np.stack([self.statistics.whitening @ row for row in differences])

    def gap(self, theta: Float64, num_members: int, seed: int) -> Float64:
        """Return the whitened gap of one world, [K]; see :meth:`gaps`."""
        return np.asarray(self.gaps([theta], num_members, seed)[0])

    def derivative(
        self,
        theta: Float64,
        num_members: int,
        seed: int,
        step: float,
        gap: Float64 | None = None,
    ) -> Float64:
        """Return the derivative of the gap by differences, [K, P].

        Args:
            theta: [P].
            num_members: number of simulated members.
            seed: of the simulated members.
            step: size and, if ``gap`` is given, direction of the differences.
            gap: the gap at theta, for one-sided differences; None for two-sided ones.
        """
        steps = step * np.eye(len(theta))
        if gap is not None:
            return np.asarray((self.gaps([*(theta + steps)], num_members, seed) - gap).T / step)
        ends = self.gaps([*(theta + steps), *(theta - steps)], num_members, seed)
        return np.asarray((ends[: len(theta)] - ends[len(theta) :]).T / (2 * step))


def _simulated(case: _Case, job: tuple[World, int]) -> tuple[Float64, int]:
    """Simulate a shard of members, and return the sums of their contributions and their number."""
    world, first = job
    n = min(SHARD, case.num_members - first)
    log = simulate_log(world, case.design, n, case.seed, first)
    return case.statistics.sums(log), len(log.members)
