"""What every benchmark is, and how it is measured."""

from collections.abc import Callable
from math import inf
from time import process_time
from typing import NamedTuple

import gymnasium as gym
import numpy as np

from slowfast_rl.members.arrays import Int64


class Case(NamedTuple):
    """One benchmark."""

    name: str
    members: int  # members, or rows, that are processed together
    unit: str  # what is counted
    once: Callable[[], float | None]  # measures once; None where the value was not reached
    warm_up: int = 1  # runs before the first measured one; the first compiles and fills caches


class Speed(NamedTuple):
    """Median and range of the values measured in several repeats.

    A repeat that did not reach its value counts as larger than all others; None stands for such.
    """

    median: float | None
    min: float | None
    max: float | None


def measure(case: Case, repeats: int, progress: Callable[[], object] | None = None) -> Speed:
    """Run a benchmark several times.

    Args:
        case: the benchmark.
        repeats: number of measured runs, after those that warm up.
        progress: function that is called after each run, those that warm up included.
    """
    values = []
    for number in range(case.warm_up + repeats):
        value = case.once()
        if number >= case.warm_up:
            values.append(inf if value is None else value)
        if progress is not None:
            progress()
    found = float(np.median(values)), min(values), max(values)
    return Speed(*(None if value == inf else value for value in found))


def step_seconds(env: gym.vector.VectorEnv, steps: int, choose: Callable[[], Int64]) -> float:
    """Return the CPU seconds of some steps, without those of choosing their actions."""
    seconds = 0.0
    for _ in range(steps):
        actions = choose()
        begin = process_time()
        env.step(actions)
        seconds += process_time() - begin
    return seconds
