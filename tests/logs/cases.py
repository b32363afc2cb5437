"""A log that was recorded, beside the simulation that it came from."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from slowfast_rl.fast import ExploringExecutor
from slowfast_rl.logs.reading import read
from slowfast_rl.logs.recording import PlanDesign, record
from slowfast_rl.members.beliefs import BeliefFilter
from slowfast_rl.members.loading import load_world
from slowfast_rl.members.observations import opportunity_observation, weekly_observation
from slowfast_rl.members.population import Population
from slowfast_rl.policies.guard import feasible_target
from tests.members.worlds import EVENTFUL, world

WEEKS, SIZE = 6, 60
SPARSE = {
    "schedule": [
        {"time": "08:00", "channel": "email", "weekdays": [1, 2]},
        {"time": "12:30", "channel": "push", "weekdays": [1, 4]},
    ],
    "menu": {"push": [0, 1, 2], "email": [0, 1, 2]},
}


def logged_worlds():
    """Worlds whose logs differ in kind."""
    return ("eventful", "in_app", "sparse", "weekend")


def logged_world(name):
    """A world by its name, with days without slots or a pacing shape by theirs."""
    if name == "sparse":
        return load_world("pronounced", EVENTFUL | SPARSE)
    if name == "weekend":
        shapes = {"weekend": {"day": [0, 0, 0, 0, 0.7, 0.7, 0.7]}}
        return load_world("pronounced", EVENTFUL | {"shapes": shapes})
    return world(name)


def write_log(name, folder, **given):
    """Record a log of a few members, and read it."""
    w = logged_world(name)
    executor = ExploringExecutor(explore=0.3)
    defaults = {"num_members": SIZE, "weeks": WEEKS, "population_seed": 5, "luck_seed": 6}
    record(Path(folder) / "log", w, executor, **(defaults | given))
    return read(Path(folder) / "log", w)


class SeenSlot(NamedTuple):
    """What living members showed at a slot."""

    members: np.ndarray
    observations: np.ndarray


class Observed:
    """The log of a few members, and what the simulation shows under the logged actions."""

    def __init__(self, name, folder):
        self.log = write_log(name, folder, design=PlanDesign(held_share=0.5, hold_high=4))
        w = self.log.world
        self.population = population = Population(
            w, SIZE, 5, 6, reward="sampled", belief_filter=BeliefFilter(w)
        )
        self.members = population.members
        (part,) = self.log.parts()
        given, plans = part.decisions.columns, part.plans.columns
        actions = np.zeros((WEEKS * w.slots_per_week, SIZE), np.int64)
        seconds = np.array([s.weekday * 86400 + s.second for s in w.schedule])
        into = given["time"] % (7 * 86400)
        slot = given["time"] // (7 * 86400) * w.slots_per_week + np.searchsorted(seconds, into)
        actions[slot, given["member"]] = given["action"]
        targets = np.zeros((WEEKS, SIZE, len(w.channels)), np.int32)
        targets[plans["week"], plans["member"]] = plans["target"]
        names = ("sends", "opens", "dismissals", "opt_outs", "viewing_days")
        seen = {name: [] for name in ("weekly", "alive", "opted_in", *names)}
        self.slots = []
        for week in range(WEEKS + 1):
            seen["weekly"].append(weekly_observation(population))
            seen["alive"].append(population.alive)
            seen["opted_in"].append(population.opted_in)
            if week == WEEKS:
                break
            for s in range(w.slots_per_week):
                target = feasible_target(targets[week], population.opted_in)
                alive = population.alive
                observed = opportunity_observation(population, target)[alive]
                self.slots.append(SeenSlot(self.members[alive], observed))
                population.step(actions[week * w.slots_per_week + s])
            ended = population.last_week()
            for name in names:
                seen[name].append(getattr(ended, name))
        for name, values in seen.items():
            setattr(self, name, np.array(values))
