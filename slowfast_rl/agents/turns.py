"""Turns of training: which level learns when, for how long and with which seed."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from slowfast_rl.members.random import Domain, ExplorationStream, random_words
from slowfast_rl.members.world import World
from slowfast_rl.policies.budget import Progress, Schedule, Stopwatch, check_budget
from slowfast_rl.policies.component import accepted
from slowfast_rl.policies.contracts import BaseExecutor, BasePlanner

if TYPE_CHECKING:
    from stable_baselines3.common.logger import Logger

    from slowfast_rl.agents.base import Agent


class Turn(NamedTuple):
    """A stretch of training in which one level learns.

    Attributes:
        level: "slow" or "fast".
        part: the planner or executor that learns.
        budget: ``total_opportunities`` and ``total_cpu_seconds`` of this turn, as ``learn`` takes
            them; empty for a part whose own settings say how long it learns.
        schedule: what the budget comes to.
        warm_start: whether the part goes on from what it learned in an earlier turn.
    """

    level: str
    part: BasePlanner | BaseExecutor
    budget: dict[str, Any]
    schedule: Schedule
    warm_start: bool

    def __str__(self) -> str:
        """Return the turn in one line."""
        seconds = self.budget.get("total_cpu_seconds")
        how_long = str(self.schedule)
        if seconds is not None:
            how_long = f"{seconds:g} CPU-seconds{self.schedule.fits}"
        return f"{'planner' if self.level == 'slow' else 'executor'} {self.part.name}: {how_long}"


def turns_of(
    agent: "Agent",
    world: World,
    total_opportunities: int | None = None,
    total_cpu_seconds: float | None = None,
) -> list[Turn]:
    """Return who learns when, and for how long; see :meth:`Agent.turns`."""
    given = {"total_opportunities": total_opportunities, "total_cpu_seconds": total_cpu_seconds}
    parts: dict[str, Any] = {"slow": agent.slow, "fast": agent.fast}
    counts = {level: agent.order.count(level) for level in agent.order}
    takers = [level for level in counts if parts[level].takes_budget]
    used = {name: value for name, value in given.items() if value is not None}
    if used and not takers:
        name, value = next(iter(used.items()))
        raise ValueError(
            f"{name} is {value}, and nothing in {agent.name} takes a budget; allowed is null"
        )
    if used:
        check_budget(total_opportunities, total_cpu_seconds)
    defaults = {level: parts[level].default_opportunities for level in takers}
    if not used and not all(defaults.values()):
        check_budget(None, None)
    shares = {
        level: 1 / len(takers) if not all(defaults.values()) else d / sum(defaults.values())
        for level, d in defaults.items()
    }
    turns: list[Turn] = []
    for level in agent.order:
        part, budget = parts[level], dict[str, Any]()
        if level in takers and total_cpu_seconds is not None:
            seconds = total_cpu_seconds / len(takers) / counts[level]
            budget = {"total_opportunities": None, "total_cpu_seconds": seconds}
        elif level in takers:
            total = total_opportunities or sum(defaults.values())
            opportunities = max(round(total * shares[level] / counts[level]), 1)
            budget = {"total_opportunities": opportunities, "total_cpu_seconds": None}
        schedule = part.schedule(world, budget.get("total_opportunities"))
        warm = any(turn.level == level for turn in turns)
        schedule = schedule._replace(on_top=0) if warm else schedule
        turns.append(Turn(level, part, budget, schedule, warm))
    return turns


def seed_of_turn(seed: int, number: int) -> int:
    """Return the training seed of a level's turn, counted from 0; the first has the agent's own.

    With one seed for all turns, a later turn would repeat members, luck and exploration.
    """
    if number == 0:
        return seed
    turn, nobody = np.array([number]), np.zeros(1, np.int64)
    return int(random_words(seed, ExplorationStream.TURNS, nobody, turn, Domain.EXPLORATION)[0])


def logger_of(logger: "Logger | Mapping[str, Logger] | None", level: str) -> "Logger | None":
    """Return the logger of a level, where there may be one for each."""
    return logger.get(level) if isinstance(logger, Mapping) else logger


class Training:
    """Runs the turns of an agent's training, and counts what they use."""

    def __init__(self, agent: "Agent", turns: Sequence[Turn], progress: Progress | None) -> None:
        self._agent, self._progress = agent, progress
        self._budgeted = any(turn.budget for turn in turns)
        self._opportunities, self._seconds = 0, 0.0
        self._shown = 0  # opportunities of turns that progress was told of
        agent.train_opportunities, agent.train_cpu_seconds = 0, 0.0

    def prepare(self, executor: BaseExecutor, world: World, seed: int) -> None:
        """Get an executor ready before it learns, and add what that used."""
        watch = Stopwatch()
        executor.prepare(world, seed)
        self._add(executor.opportunities, watch.spent)

    def run(self, turn: Turn, world: World, **arguments: Any) -> None:
        """Let a part learn, and add what it used.

        Progress is told of the opportunities of turns with a budget; where no turn has one, of
        those of the planner.
        """
        watch, part = Stopwatch(), turn.part
        shown = bool(turn.budget) if self._budgeted else turn.level == "slow"

        def count(opportunities: int) -> None:
            agent = self._agent
            agent.train_opportunities = self._opportunities + opportunities
            agent.train_cpu_seconds = self._seconds + (part.cpu_seconds or watch.spent)

        def report(opportunities: int) -> None:
            count(opportunities)
            if self._progress is not None and shown:
                watch.call_untimed(self._progress, self._shown + opportunities)

        learn: Callable[..., Any] = part.learn
        given = arguments | turn.budget | {"warm_start": turn.warm_start, "progress": report}
        learn(world, **accepted(learn, **given))
        self._add(part.opportunities, part.cpu_seconds or watch.spent)
        self._shown += part.opportunities if shown else 0

    def _add(self, opportunities: int, seconds: float) -> None:
        self._opportunities += opportunities
        self._seconds += seconds
        self._agent.train_opportunities = self._opportunities
        self._agent.train_cpu_seconds = self._seconds
