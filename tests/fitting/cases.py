"""Logs of which the truth is known, simulated directly from a population."""

import numpy as np

from slowfast_rl.fitting.simulate import Design, simulate_log
from slowfast_rl.members.launches import launch_counts
from slowfast_rl.policies.contracts import BasePlanner

CALENDAR_SEED = 70


class GivenPlans(BasePlanner):
    """Plans from a table [T, N], by week and member id."""

    thread_safe = True

    def __init__(self, table):
        super().__init__()
        self.table = table

    def plan(self, request):
        return self.table[request.weeks % len(self.table), request.entity_ids]


def mixed_plans(world, weeks, members, seed=0):
    """Random plans [T, N]: half of the members get one weekly, the others hold one 2 to 8 weeks."""
    random = np.random.default_rng(seed)
    plans = random.integers(0, len(world.plans), (weeks, members))
    hold = np.where(random.random(members) < 0.5, 1, random.integers(2, 9, members))
    phase = random.integers(0, 8, members)
    for t in range(1, weeks):
        held = (t + phase) % hold != 0
        plans[t, held] = plans[t - 1, held]
    return plans


def given_log(world, members=800, weeks=12, seed=0, **design):
    """A log of a world under mixed random plans, unless the design has others."""
    calendar = launch_counts(world, CALENDAR_SEED + seed, weeks)
    planner = GivenPlans(mixed_plans(world, weeks, members, seed)).prepare(world)
    design = {"plans": planner} | design
    return simulate_log(world, Design(weeks, calendar, **design), members, 900 + seed)
