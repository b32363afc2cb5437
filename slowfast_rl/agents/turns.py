"""Turns of training: which level learns when, for how long and with which seed."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from slowfast_rl.members.random import Domain, ExplorationStream, random_words
from slowfast_rl.members.world import World
from slowfast_rl.policies.budget import Progress, Schedule, Stopwatch, check_budget
from slowfast_rl.policies.checkpoint import Checkpoint
from slowfast_rl.policies.component import NotTrainedError, State, accepted
from slowfast_rl.policies.component_files import classes_of, from_node, to_node
from slowfast_rl.policies.contracts import BaseExecutor, BasePlanner

if TYPE_CHECKING:
    from stable_baselines3.common.logger import Logger

    from slowfast_rl.agents.base import Agent

_KINDS = {"slow": "planner", "fast": "executor"}  # of parts, by level


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


def rebuild(agent: "Agent", world: World, checkpoint: Checkpoint | None) -> bool:
    """Give an agent the parts of a training that was stopped; return whether there was one.

    Parts that had not learned yet stay as they are.

    Args:
        agent: the agent, made of the same parts as the one whose training was stopped.
        world: the world of the training.
        checkpoint: with its state; None for a training from the start.
    """
    stopped = None if checkpoint is None else checkpoint.state
    if stopped is None:
        return False
    for level, kind in _KINDS.items():
        kept, part = stopped[level], getattr(agent, level)
        if kept is not None:
            arrays, allowed = kept["arrays"], classes_of(part)
            setattr(agent, level, from_node(kept["node"], kind, world, level, arrays, allowed))
    return True


class Training:
    """Runs the turns of an agent's training, and counts what they use.

    Args:
        agent: the agent, whose parts are those of the turns.
        turns: who learns when.
        progress: told of opportunities played.
        checkpoint: keeps the training, and has the state of one that was stopped; None for neither.
    """

    def __init__(
        self,
        agent: "Agent",
        turns: Sequence[Turn],
        progress: Progress | None,
        checkpoint: Checkpoint | None = None,
    ) -> None:
        self._agent, self._progress, self._checkpoint = agent, progress, checkpoint
        self._budgeted = any(turn.budget for turn in turns)
        stopped = checkpoint.state if checkpoint is not None else None
        self._stopped = stopped or {
            "turn": 0, "opportunities": 0, "seconds": 0.0, "shown": 0, "learner": None
        }  # fmt: skip
        self._turn = -1  # the number of the present one
        self._opportunities: int = self._stopped["opportunities"]
        self._seconds: float = self._stopped["seconds"]
        self._shown: int = self._stopped["shown"]  # of turns that progress was told of
        agent.train_opportunities, agent.train_cpu_seconds = self._opportunities, self._seconds

    def prepare(self, executor: BaseExecutor, world: World, seed: int) -> None:
        """Get an executor ready before it learns, and add what that used."""
        watch = Stopwatch()
        executor.prepare(world, seed)
        self._add(executor.opportunities, watch.spent)

    def run(self, turn: Turn, world: World, **arguments: Any) -> None:
        """Let a part learn, and add what it used.

        A turn that ended before a stop is left out. Progress is told of the opportunities of turns
        with a budget; where no turn has one, of those of the planner.
        """
        self._turn += 1
        if self._turn < self._stopped["turn"]:
            return
        learner = None
        if self._checkpoint is not None:
            again = self._turn == self._stopped["turn"]
            learner = _OfTurn(self, self._stopped["learner"] if again else None)
            learner.offer_turn()
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
        given["checkpoint"] = learner
        learn(world, **accepted(learn, **given))
        self._add(part.opportunities, part.cpu_seconds or watch.spent)
        self._shown += part.opportunities if shown else 0

    def offer(self, learner: Callable[[], State] | None) -> None:
        """Offer the state of the training to its checkpoint.

        Args:
            learner: returns what the part that learns has to keep; None at a turn's beginning.
        """
        assert self._checkpoint is not None

        def state() -> State:
            agent = self._agent
            return {
                "turn": self._turn,
                "opportunities": self._opportunities,
                "seconds": self._seconds,
                "shown": self._shown,
                "learner": None if learner is None else learner(),
            } | {level: _kept(getattr(agent, level), level) for level in _KINDS}

        self._checkpoint.offer(state)

    def _add(self, opportunities: int, seconds: float) -> None:
        self._opportunities += opportunities
        self._seconds += seconds
        self._agent.train_opportunities = self._opportunities
        self._agent.train_cpu_seconds = self._seconds


class _OfTurn:
    """The checkpoint of the part that learns in a turn; the training's state is kept with it."""

    def __init__(self, training: Training, state: State | None) -> None:
        self._training, self.state = training, state

    def offer(self, make: Callable[[], State]) -> None:
        """Offer the learner's state with the training's."""
        self._training.offer(make)

    def offer_turn(self) -> None:
        """Offer the beginning of a turn, where the learner has nothing to keep yet."""
        if self.state is None:
            self._training.offer(None)


def _kept(part: Any, level: str) -> State | None:
    """Return a part for a checkpoint; None where there is none, or it has not learned."""
    arrays: dict[str, NDArray[Any]] = {}
    try:
        node = None if part is None else to_node(part, level, arrays)
    except NotTrainedError:
        node = None
    return None if node is None else {"node": node, "arrays": arrays}
