"""slowfast-train: train an agent, evaluate it during training, and write a leaderboard.

  slowfast-train experiment=slowfast seed=0
  slowfast-train experiment=ppo fast=coin world=calibrated slow.learning_rate=3e-4
  slowfast-train -m seed=1,2,3 'world_overrides={opt_out.hazard: 0.002}'

With logs=<folder>, it trains on a log alone; the world then only evaluates the agent.

Where a run or a sweep was stopped, slowfast-train resume=<folder> continues it exactly.

Writes to runs/train/<experiment>-<time>: config.yaml, training.json, checkpoints/, metrics.csv,
TensorBoard events, and at the end report.html, figures/, leaderboard.md and leaderboard.json. The
jobs of a sweep share one log directory of TensorBoard, in the sweep's folder.
"""

import inspect
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from math import inf
from pathlib import Path
from time import perf_counter
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import yaml

from slowfast_rl import __version__
from slowfast_rl.agents import Agent
from slowfast_rl.agents.base import check_agent_name
from slowfast_rl.agents.disk import write_arrays
from slowfast_rl.agents.turns import Turn
from slowfast_rl.cli.app import CONFIG_FILE, run
from slowfast_rl.cli.checkpoints import FINAL, LATEST
from slowfast_rl.cli.engine import EngineSettings
from slowfast_rl.cli.learning_logs import log_for
from slowfast_rl.cli.names import (
    evaluation_suffix,
    name_by_choices,
    overrides,
    parts_exchanged,
    settings_suffix,
)
from slowfast_rl.cli.results import log_directory, new_run, say, write_leaderboard
from slowfast_rl.cli.resume import START_FILE, original_command, read_results
from slowfast_rl.cli.run_checkpoints import RunCheckpoints, digest, remove_checkpoints
from slowfast_rl.cli.schema import build, fit_arguments, limited, read
from slowfast_rl.cli.settings import EvaluatedSettings, check_private
from slowfast_rl.evaluation.contestants import (
    agent_contestants,
    named_contestant,
    trained_contestant,
)
from slowfast_rl.evaluation.curves import BaselineLines, evaluation, final_metrics
from slowfast_rl.evaluation.leaderboard import Leaderboard, compare
from slowfast_rl.evaluation.progress import progress_bar
from slowfast_rl.evaluation.protocol import check_training_seed
from slowfast_rl.evaluation.references import References
from slowfast_rl.evaluation.twins import Twins
from slowfast_rl.members.arrays import Float64
from slowfast_rl.members.loading import world_hash
from slowfast_rl.policies.component import LossNotFiniteError
from slowfast_rl.policies.component_files import check_savable
from slowfast_rl.policies.registry import import_class
from slowfast_rl.slow import PerMemberPlanner
from slowfast_rl.store.files import write_text_atomically

if TYPE_CHECKING:
    from slowfast_rl.cli.metrics import Metrics

_BASELINES = ("never", "always", "random")
_REFERENCES = ("best_fixed", "oracle")
_BESIDE = {True: _REFERENCES, False: ("never",)}  # in TensorBoard, by whether there are references
#: Evaluations in a turn of a level, by default; a tenth of its CPU time or less in each experiment.
_EVALUATIONS = {"slow": 10, "fast": 4}
_OF_CPU_BUDGET = 30_000_000  # opportunities between them, where the budget is in CPU time


@dataclass(frozen=True, kw_only=True)
class TrainSettings(EngineSettings, EvaluatedSettings):
    """Settings of the command, as in ``configs/train.yaml``."""

    agent: dict[str, Any]
    slow: dict[str, Any] | None = None
    fast: dict[str, Any] | None = None
    store: dict[str, Any]
    name: str | None
    total_opportunities: int | None = limited(low=1)
    total_cpu_seconds: float | None = limited(low=0, above=True)
    logs: str | None
    log_rows: int = limited(low=1)
    checkpoint_seconds: float = limited(low=0, default=30.0)

    def __post_init__(self) -> None:
        """Raise ValueError for a value outside what is allowed."""
        super().__post_init__()
        self.check_engine()
        if self.name is not None:
            check_agent_name(self.name)
        budget = self.total_opportunities or self.total_cpu_seconds
        if self.logs is not None and budget is not None:
            raise ValueError(f"a budget of {budget} is given with logs; allowed is null")

    def make_agent(self) -> Agent:
        """Return the untrained agent that the settings describe.

        Raises:
            ValueError: a setting is unknown or not allowed, or the agent lacks a level.
        """
        target = import_class(self.agent.get("_target_", ""), "agent._target_")
        if not (isinstance(target, type) and issubclass(target, Agent)):
            raise ValueError(f"agent._target_ is {self.agent['_target_']!r}; allowed is an agent")
        taken = inspect.signature(target).parameters
        levels = {"slow": self.slow, "fast": self.fast}
        for level in levels:  # a default that the agent does not take is left out
            if level not in taken and not any(k.split(".")[0] == level for k in overrides()):
                levels[level] = None
        parts = {k: build(node, k) for k, node in levels.items() if node is not None}
        own = {k: v for k, v in self.agent.items() if k != "_target_"}
        name = name_by_choices(parts) if parts_exchanged() else self.name or name_by_choices(parts)
        agent: Agent = fit_arguments(target, own, "agent", **parts, name=name)
        if "name" not in overrides():
            agent.name += settings_suffix()
        return agent


def _agent_of(settings: Mapping[str, Any]) -> Agent:
    """Return the untrained agent that a composed configuration describes."""
    return read(TrainSettings, settings).make_agent()


class Train:
    """Trains, evaluates and writes everything to the run's folder.

    Raises:
        ValueError: a setting is missing, unknown, of the wrong type or outside what is allowed.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        s = self.settings = read(TrainSettings, settings)
        self.world, self.protocol = s.make_world(), s.make_protocol()
        check_training_seed(s.seed, self.protocol)
        self.agent = s.make_agent()
        for part in (self.agent.slow, self.agent.fast):
            if part is not None:
                check_savable(part)  # before training, not at its first checkpoint
                part.check_installed()
        self.log = None if s.logs is None else log_for(s.logs, self.world, self.agent, _agent_of)
        self.turns = (
            []
            if self.log is not None
            else self.agent.turns(self.world, s.total_opportunities, s.total_cpu_seconds)
        )
        check_private(s.store)
        build(s.store, "store")

    def run(self, folder: Path) -> Mapping[str, Any]:
        """Run the command, and return the agent's row of the leaderboard."""
        s, agent, world = self.settings, self.agent, self.world
        where = f"in world {world.name}" if self.log is None else f"on log {self.log.folder}"
        say(f"Training {agent.name} {where}, seed {s.seed}; results go to {folder}")
        for turn in self.turns:
            say(f"  {turn}")
        say("Bars show the time that is left of training, then of each policy's evaluation.")
        config = (folder / CONFIG_FILE).read_text()
        identity = {
            "version": __version__,
            "world": world_hash(world),
            "seed": s.seed,
            "settings": digest(config),
        }
        checkpoints = RunCheckpoints(folder, identity, s.checkpoint_seconds)
        with (
            s.use_engine(),
            checkpoints.saving_at_sigterm(),
        ):  # Ray sets a handler too, at its start
            return self._run(folder, checkpoints)

    def _run(self, folder: Path, checkpoints: RunCheckpoints) -> Mapping[str, Any]:
        """Train from the start, or from where the training was stopped, and evaluate."""
        from slowfast_rl.cli.metrics import Metrics  # imports torch; --help does without it

        s, agent, world = self.settings, self.agent, self.world
        begun = folder / START_FILE
        old = read_results(begun, "curves") if begun.exists() else None
        directory = log_directory(folder)
        alone = directory.parent == folder  # and not shared with other jobs of a sweep
        named = () if "name" in overrides() else ("world",)  # the agent's name has it already
        name = agent.name + evaluation_suffix(named)
        run_name = old or new_run(directory, name, alone=alone)
        if alone:
            for left in folder.glob(".*.partial"):  # of curves that a killed process was writing
                shutil.rmtree(left)
        self._write_start(folder, run_name)
        references = s.find_references(world, self.protocol)
        twins = Twins(world, self.protocol)
        past = checkpoints.beside.get("metrics", ())
        metrics = Metrics(folder, directory / run_name, world.slots_per_week, past)
        with _Watch(s, agent, self.turns, twins, references, metrics, folder) as watch:
            watch.resume(
                checkpoints.beside.get("evaluations", 0), checkpoints.beside.get("wall_time", 0.0)
            )
            checkpoints.more = lambda: {
                "metrics": metrics.written,
                "evaluations": watch.evaluations,
                "wall_time": watch.wall_time,
            }
            with _kept_batch(folder):
                self._learn(checkpoints, metrics, watch)
            watch.evaluate()
        agent.save(folder / "checkpoints" / FINAL)
        board = compare(
            [
                *agent_contestants(agent, world),
                *_BASELINES,
                *(_REFERENCES if references else ()),
            ],
            world,
            self.protocol,
            references=references,
            twins=twins,
            store_factory=lambda: build(s.store, "store"),
        )
        self._write_hparams(board, metrics)
        metrics.close()
        runs = {agent.name: run_name} | {
            name: name + evaluation_suffix() for name in _BESIDE[references is not None]
        }
        write_leaderboard(
            board,
            folder,
            runs,
            directory,
            lines=BaselineLines(watch.num_members, agent.train_opportunities),
            texts={"configuration": f"```yaml\n{(folder / CONFIG_FILE).read_text('utf-8')}```"},
            report=s.report,
            command=original_command(folder),
        )
        remove_checkpoints(folder)
        return board.row(agent.name)

    def _learn(self, checkpoints: RunCheckpoints, metrics: "Metrics", watch: "_Watch") -> None:
        """Train in the world, or on the log; on a log nothing is kept for a training that stops."""
        s = self.settings
        if self.log is not None:
            self.agent.learn_from_log(self.log, seed=s.seed, max_rows=s.log_rows)
            return
        with checkpoints.learning():
            self.agent.learn(
                self.world,
                total_opportunities=s.total_opportunities,
                total_cpu_seconds=s.total_cpu_seconds,
                seed=s.seed,
                logger=metrics.training,
                progress=watch,
                checkpoint=checkpoints,
            )

    def _write_start(self, folder: Path, run_name: str) -> None:
        """Write what the budget comes to, and the name of the run in TensorBoard."""
        turns = [
            {"level": turn.level, "learns": turn.part.name}
            | turn.budget
            | {"schedule": turn.schedule._asdict()}
            for turn in self.turns
        ]
        content = {
            "name": self.agent.name,
            "seed": self.settings.seed,
            "curves": run_name,
            "turns": turns,
        }
        write_text_atomically(folder / START_FILE, json.dumps(content, indent=1))

    def _write_hparams(self, board: Leaderboard, metrics: "Metrics") -> None:
        """Write what was chosen and the final metrics for TensorBoard's tab HParams."""
        from stable_baselines3.common.logger import HParam

        s, agent = self.settings, self.agent
        final = final_metrics(board, agent.name)
        parts = {name: getattr(agent.fast, name) for name in agent.fast.parts}
        given = overrides(telling_apart=True)
        chosen = {
            "planner": "none" if agent.slow is None else agent.slow.name,
            "executor": agent.fast.name,
            **{name: "none" if part is None else part.name for name, part in parts.items()},
            "plans_for": agent.plans_for,
            "world": board.world.name,
            "seed": s.seed,
            "opportunities": agent.train_opportunities,
            "overrides": " ".join(f"{k.split('.')[-1]}={v}" for k, v in given.items()),
        }
        chosen |= {key: yaml.safe_load(value) for key, value in given.items()}
        chosen = {k: v for k, v in chosen.items() if isinstance(v, bool | int | float | str)}
        metrics.evaluation.record("hparams", HParam(chosen, final))
        for tag, value in final.items():  # the curves' writer writes them to TensorBoard
            metrics.evaluation.record(tag, value, exclude="tensorboard")
        metrics.evaluation.dump(agent.train_opportunities)


class _Watch:
    """Called now and then during training: moves the bar, and at times evaluates and saves."""

    def __init__(
        self,
        settings: TrainSettings,
        agent: Agent,
        turns: list[Turn],
        twins: Twins,
        references: References | None,
        metrics: "Metrics",
        folder: Path,
    ) -> None:
        self._agent, self._twins = agent, twins.few(settings.evaluation.curve_members)
        self._references, self._metrics, self._folder = references, metrics, folder
        self._compared: tuple[Float64, Float64 | None] | None = None
        # A part whose own settings say how long it learns has nothing to show before its end.
        budgeted = [turn for turn in turns if turn.budget]
        self._budgeted = bool(budgeted)
        known = budgeted and all(turn.schedule.opportunities for turn in budgeted)
        total = sum(turn.schedule.opportunities or 0 for turn in budgeted) if known else None
        every = settings.evaluation.every_opportunities or (None if known else _OF_CPU_BUDGET)
        self._steps = iter(_steps(budgeted)) if every is None else count(0, every)
        self._next: float = next(self._steps, inf)
        self.evaluations = 0  # that were due so far
        self._start = perf_counter()
        self._bar = progress_bar(
            total, "fitting to logs", " opportunities", leave=True, unit_scale=True
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self._bar.total = self._bar.n
        self._bar.close()

    def __call__(self, opportunities: int) -> None:
        called = perf_counter()
        self._show(opportunities)
        self._start += perf_counter() - called  # it is no part of the training

    @property
    def wall_time(self) -> float:
        """Seconds of training so far, those of evaluations not counted."""
        return perf_counter() - self._start

    def _show(self, opportunities: int) -> None:
        first = not self._bar.n
        if first:
            self._bar.initial = self._bar.n = opportunities
        self._bar.set_description("learning", refresh=False)
        if self._bar.total is not None and opportunities > self._bar.total:
            self._bar.total = opportunities
        self._bar.update(opportunities - self._bar.n)
        if self._budgeted and self._agent.can_act and opportunities >= self._next:
            while self._next <= opportunities:
                self._next = next(self._steps, inf)
                self.evaluations += 1
            self.evaluate()
            self._agent.save(self._folder / "checkpoints" / LATEST)
        if first:  # what came before says nothing of the time that is left
            self._bar.unpause()

    def resume(self, evaluations: int, wall_time: float) -> None:
        """Begin where a training was stopped.

        Args:
            evaluations: that were due before; they are left out.
            wall_time: of the training before.
        """
        self._start = perf_counter() - wall_time
        for _ in range(evaluations):
            self._next = next(self._steps, inf)
        self.evaluations = evaluations

    @property
    def num_members(self) -> int:
        """Number of members of the evaluations."""
        return self._twins.protocol.num_members

    def evaluate(self) -> None:
        """Write the return of a few members on the first luck, which is quick, with intervals."""
        wall_time = self.wall_time
        entrant = trained_contestant(self._agent, self._twins.world)
        returns = self._twins.rollout(entrant.planner, entrant.executor).returns
        planned = returns
        if self._references is not None and not entrant.single:
            planned = self._twins.rollout(entrant.planner).returns
        name = "never" if self._references is None else "best_fixed"
        base, oracle = self._compared_with(name)
        metrics = evaluation(returns, planned, name, base, oracle)
        metrics |= {"eval/cpu_seconds": self._agent.train_cpu_seconds, "eval/wall_time": wall_time}
        for tag, value in metrics.items():
            self._metrics.evaluation.record(tag, value)
        self._metrics.evaluation.dump(self._agent.train_opportunities)
        shown = f"return {metrics['eval/return']:.2f}"
        if "eval/gap_closed" in metrics:
            shown += f", gap closed {metrics['eval/gap_closed']:.2f}"
        self._bar.set_postfix_str(shown, refresh=False)

    def _compared_with(self, name: str) -> tuple[Float64, Float64 | None]:
        """Return the returns [N] of a baseline and, with references, of the oracle."""
        if self._compared is None:
            world, references = self._twins.world, self._references
            base = self._twins.rollout(named_contestant(name, world, references).planner).returns
            oracle = None
            if references is not None:
                planner = PerMemberPlanner(world, references.oracle_plans)
                oracle = self._twins.rollout(planner).returns
            self._compared = base, oracle
        return self._compared


@contextmanager
def _kept_batch(folder: Path) -> Iterator[None]:
    """Save the batch whose loss is not finite, and say where it is.

    Raises:
        ValueError: there was such a batch.
    """
    try:
        yield
    except LossNotFiniteError as error:
        path = folder / "failed_batch.safetensors"
        write_arrays(path, error.batch, {"reason": str(error)})
        raise ValueError(f"{error}; its batch is in {path}") from error


def _steps(turns: Sequence[Turn]) -> Iterator[int]:
    """Yield the opportunities at which evaluations are due, evenly spaced in each turn."""
    begun = 0
    for turn in turns:
        planned, times = turn.schedule.opportunities or 0, _EVALUATIONS[turn.level]
        yield from (begun + planned * number // times for number in range(times))
        begun += planned


def main() -> None:
    """Run the command."""
    run("train", Train, __doc__ or "", resumable=True)


if __name__ == "__main__":
    main()
