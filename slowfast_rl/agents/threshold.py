"""The earlier kind of system: one causal model of a message, one global threshold, no plan."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import process_time
from typing import Any, NamedTuple, Self

import numpy as np

from slowfast_rl.agents.base import checked
from slowfast_rl.agents.single import SinglePolicyAgent, Unplanned
from slowfast_rl.agents.turns import Turn
from slowfast_rl.fast import PacedExecutor
from slowfast_rl.fast.threshold import ThresholdPacer
from slowfast_rl.fast.uplift import UpliftRanker
from slowfast_rl.members.loading import as_world
from slowfast_rl.members.population import Population
from slowfast_rl.members.world import World
from slowfast_rl.policies.budget import Progress, Schedule, schedule_of_logs
from slowfast_rl.policies.component import accepted
from slowfast_rl.policies.contracts import BaseExecutor, BasePlanner, BaseRanker
from slowfast_rl.policies.executor import default_executor
from slowfast_rl.policies.plan_exchange import plan_request
from slowfast_rl.policies.settings import Settings, check_names, setting
from slowfast_rl.slow import RandomPlanner
from slowfast_rl.store import FeatureStore

_BURN_IN = 8  # weeks under random plans before a threshold takes over, as in evaluation
_LEAST, _MOST = 1e-3, 0.5  # range of thresholds that are tried, in probability
_COARSE, _FINE = 12, 4  # thresholds tried over the whole range, then between the best's neighbours
_HALVINGS = 8  # of the range, on the way to a send rate


class Trial(NamedTuple):
    """What a threshold brought the training members."""

    threshold: float
    long_run_return: float  # discounted, per member
    sends: float  # per living member-week


@dataclass(frozen=True, kw_only=True)
class ThresholdAgentSettings(Settings):
    """Settings of :class:`ThresholdAgent`."""

    sends_per_week: float | None = setting(
        None, "sends per living member and week; None tunes on return", low=0, above=True
    )
    num_members: int = setting(1536, "training members that thresholds are tried on", low=1)
    weeks: int = setting(104, "weeks that a threshold is tried for", low=1)


class ThresholdAgent(SinglePolicyAgent):
    """Sends the best candidate whenever its predicted effect reaches one global threshold.

    No plan and no caps; only the guard's opt-ins bind. The threshold is tuned on the long-run
    return of training members, or set so that they are sent a given number of messages.

    Args:
        ranker: the causal model; one of its own by default.
        sends_per_week: target per living member and week, over all channels; None tunes on return.
        num_members: training members that thresholds are tried on.
        weeks: weeks that a threshold is tried for.
        name: what leaderboards call the agent.

    Raises:
        ValueError: an argument is outside what is allowed.
    """

    kind = "threshold"
    name = "threshold"
    Settings = ThresholdAgentSettings

    def __init__(
        self,
        ranker: BaseRanker | None = None,
        *,
        sends_per_week: float | None = None,
        num_members: int = 1536,
        weeks: int = 104,
        name: str | None = None,
    ) -> None:
        self.settings = self.Settings(
            sends_per_week=sends_per_week, num_members=num_members, weeks=weeks
        )
        own = UpliftRanker() if ranker is None else ranker
        self.ranker: BaseRanker = checked(own, "ranker", "ranker")
        self.trials: list[Trial] = []  # of the last tuning, by threshold
        super().__init__(self._at(0.0), name or self.name)

    @property
    def threshold(self) -> float:
        """The least predicted effect that is worth a send, a difference in probability."""
        fast = self.fast
        assert isinstance(fast, PacedExecutor)
        return float(fast.pacer.settings.threshold)

    @threshold.setter
    def threshold(self, value: float) -> None:
        self.fast = self._at(value)

    def turns(
        self,
        world: World | str,
        total_opportunities: int | None = None,
        total_cpu_seconds: float | None = None,
    ) -> list[Turn]:
        """Return its one turn, with what ranker and trials come to; see :meth:`Agent.turns`."""
        world = as_world(world)
        turns = super().turns(world, total_opportunities, total_cpu_seconds)
        fit, s = self.ranker.schedule(world).opportunities, self.settings
        trials = 1 + _COARSE + _FINE if s.sends_per_week is None else _HALVINGS
        tried = schedule_of_logs(world, s.num_members, _BURN_IN + trials * s.weeks).opportunities
        known = None if fit is None or tried is None else fit + tried
        return [turn._replace(schedule=Schedule(known)) for turn in turns]

    def check_log_learner(self) -> None:
        """Refuse logs: the threshold is chosen by trying several in a simulation.

        Raises:
            ValueError: in any case.
        """
        raise ValueError(
            f"{type(self).__name__} cannot learn from a log: it tries thresholds in a simulation; "
            "allowed are agents whose parts have learn_from_log"
        )

    def learn(
        self,
        world: World | str,
        *,
        total_opportunities: int | None = None,
        total_cpu_seconds: float | None = None,
        seed: int = 0,
        logger: Any = None,
        progress: Progress | None = None,
        checkpoint: Any = None,
    ) -> Self:
        """Fit the causal model on randomised trials, then choose the threshold.

        Args:
            world: the world to train in, or its name or file.
            total_opportunities: None, as the settings say how long it learns.
            total_cpu_seconds: None likewise.
            seed: of population, luck and exploration.
            logger: as other agents take it; not used.
            progress: called with the opportunities played so far.
            checkpoint: as other agents take it; not used, as it learns in seconds.

        Raises:
            ValueError: a budget is given.
        """
        world = as_world(world)
        self.turns(world, total_opportunities, total_cpu_seconds)
        start = process_time()
        self.world, self.seed, self.trials = world, seed, []
        self.ranker.learn(world, **accepted(self.ranker.learn, seed=seed))
        self.train_opportunities = self.ranker.opportunities
        members = Population(world, self.settings.num_members, seed, seed, luck_stream=1)
        planner, executor = RandomPlanner(seed), default_executor()
        for _ in range(_BURN_IN):
            executor.run_week(members, world.plans[planner.plan(plan_request(members))])
        self.train_opportunities += _BURN_IN * self.settings.num_members * world.slots_per_week
        report = progress or (lambda _: None)
        report(self.train_opportunities)
        if self.settings.sends_per_week is None:
            self._tune(members, report)
        else:
            self._calibrate(members, self.settings.sends_per_week, report)
        self.trials.sort()
        self.train_cpu_seconds = process_time() - start
        return self

    def untrained_copy(self, world: World) -> Self:
        """Return the same agent before it learned: the ranker's first weights, threshold 0."""
        ranker = self.ranker.before_learning() if self.ranker.learns else self.ranker
        return self._made_of(None, PacedExecutor(ThresholdPacer(threshold=0.0), ranker), world)

    def options(self) -> dict[str, Any]:
        """Return the settings."""
        return {"settings": self.settings.to_dict()}

    def try_threshold(self, members: Population, threshold: float) -> Trial:
        """Return what a threshold brings some members, which stay as they are.

        Args:
            members: at the beginning of a week.
            threshold: a difference in probability.
        """
        population, executor = members.clone(), Unplanned(self._at(threshold))
        discount = population.world.reward.weekly_discount
        no_plan = np.zeros((population.num_members, len(population.world.channels)), np.int32)
        value = sends = lived = 0.0
        for number in range(self.settings.weeks):
            lived += float(population.alive.sum())
            week = executor.run_week(population, no_plan)
            value += discount**number * float(week.reward.mean())
            sends += float(week.sends.sum())
        return Trial(threshold, value, sends / max(lived, 1.0))

    @classmethod
    def assembled(
        cls,
        slow: BasePlanner | None,
        fast: BaseExecutor,
        store: FeatureStore | None,
        content: Mapping[str, Any],
    ) -> Self:
        """Return an agent of an executor that was rebuilt from a file."""
        fits = isinstance(fast, PacedExecutor) and isinstance(fast.pacer, ThresholdPacer)
        if slow is not None or not fits:
            raise ValueError("fast has no threshold pacer; a threshold agent needs one")
        assert isinstance(fast, PacedExecutor)
        check_names("threshold agent", content["settings"], ThresholdAgentSettings)
        agent = cls(fast.ranker, **content["settings"])
        agent.fast = fast
        return agent

    def _at(self, threshold: float) -> PacedExecutor:
        return PacedExecutor(ThresholdPacer(threshold=threshold), self.ranker)

    def _tune(self, members: Population, report: Callable[[int], object]) -> None:
        """Choose the threshold of the best return: a coarse grid, then one around its best."""
        grid = np.geomspace(_LEAST, _MOST, _COARSE)
        for threshold in [0.0, *grid.tolist()]:
            self._note(members, threshold, report)
        best = max(self.trials, key=lambda trial: trial.long_run_return).threshold
        step = grid[1] / grid[0]
        low, high = max(best, _LEAST) / step, max(best, _LEAST) * step
        for threshold in np.geomspace(low, high, _FINE + 2)[1:-1].tolist():
            self._note(members, threshold, report)
        self.threshold = max(self.trials, key=lambda trial: trial.long_run_return).threshold

    def _calibrate(
        self, members: Population, wanted: float, report: Callable[[int], object]
    ) -> None:
        """Choose the threshold whose send rate is the one wanted, by bisection of its logarithm."""
        low, high = _LEAST, _MOST
        for _ in range(_HALVINGS):
            middle = float(np.sqrt(low * high))
            if self._note(members, middle, report).sends > wanted:
                low = middle
            else:
                high = middle
        self.threshold = min(self.trials, key=lambda trial: abs(trial.sends - wanted)).threshold

    def _note(
        self, members: Population, threshold: float, report: Callable[[int], object]
    ) -> Trial:
        trial = self.try_threshold(members, threshold)
        self.trials.append(trial)
        self.train_opportunities += (
            self.settings.weeks * members.num_members * members.world.slots_per_week
        )
        report(self.train_opportunities)
        return trial
