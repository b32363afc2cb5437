"""slowfast-train: train an agent, evaluate it during training, and write a leaderboard.

  slowfast-train experiment=slowfast seed=0
  slowfast-train experiment=ppo fast=coin world=calibrated slow.learning_rate=3e-4
  slowfast-train -m seed=1,2,3 'world_overrides={opt_out.hazard: 0.002}'

Writes to runs/train/<time>: config.yaml, training.json, checkpoints/, metrics.csv, TensorBoard
events, and at the end leaderboard.md and leaderboard.json.
"""

import hashlib
import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode

from slowfast_rl.agents import Agent
from slowfast_rl.agents.base import Turn
from slowfast_rl.cli.app import run
from slowfast_rl.cli.results import say, write_leaderboard
from slowfast_rl.cli.schema import build, fit_arguments, read
from slowfast_rl.cli.settings import EvaluatedSettings, check_private
from slowfast_rl.evaluation.contestants import agent_contestants, trained_contestant
from slowfast_rl.evaluation.leaderboard import Leaderboard, compare
from slowfast_rl.evaluation.progress import progress_bar
from slowfast_rl.evaluation.protocol import check_training_seed
from slowfast_rl.evaluation.references import References
from slowfast_rl.evaluation.statistics import mean_interval, ratio_interval
from slowfast_rl.evaluation.twins import Twins
from slowfast_rl.members.arrays import Float64
from slowfast_rl.members.loading import config_folder
from slowfast_rl.policies.component_files import check_savable
from slowfast_rl.policies.registry import import_class
from slowfast_rl.slow import FixedPlanner, PerMemberPlanner
from slowfast_rl.store.files import write_text_atomically

if TYPE_CHECKING:
    from slowfast_rl.cli.metrics import Metrics

_BASELINES = ("never", "always", "random")
_REFERENCES = ("best_fixed", "oracle")
_MOST_SHOWN = 2  # settings in an agent's name


@dataclass(frozen=True, kw_only=True)
class TrainSettings(EvaluatedSettings):
    """Settings of the command, as in ``configs/train.yaml``."""

    agent: dict[str, Any]
    slow: dict[str, Any] | None = None
    fast: dict[str, Any] | None = None
    store: dict[str, Any]
    name: str | None
    total_opportunities: int | None
    total_cpu_seconds: float | None

    def __post_init__(self) -> None:
        """Raise ValueError for a value outside what is allowed."""
        super().__post_init__()

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
        name = self.name or _name_by_choices(parts)
        agent: Agent = fit_arguments(target, own, "agent", **parts, name=name)
        if "name" not in overrides():
            agent.name += settings_suffix()
        return agent


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
        self.turns = self.agent.turns(self.world, s.total_opportunities, s.total_cpu_seconds)
        check_private(s.store)
        build(s.store, "store")

    def run(self, folder: Path) -> Mapping[str, Any]:
        """Run the command, and return the agent's row of the leaderboard."""
        s, agent, world = self.settings, self.agent, self.world
        say(f"Training {agent.name} in world {world.name}, seed {s.seed}; results go to {folder}")
        for turn in self.turns:
            say(f"  {turn}")
        from slowfast_rl.cli.metrics import Metrics  # imports torch; --help does without it

        say("Bars show the time that is left of training, then of each policy's evaluation.")
        self._write_start(folder)
        references = s.find_references(world, self.protocol)
        twins = Twins(world, self.protocol)
        metrics = Metrics(folder, agent.name)
        with _Watch(s, agent, self.turns, twins, references, metrics, folder) as watch:
            agent.learn(
                world,
                total_opportunities=s.total_opportunities,
                total_cpu_seconds=s.total_cpu_seconds,
                seed=s.seed,
                logger=metrics.training,
                progress=watch,
            )
        agent.save(folder / "checkpoints" / "final.zip")
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
        steps = agent.train_opportunities // world.slots_per_week
        self._write_end(board, metrics, steps)
        metrics.close()
        write_leaderboard(board, folder, steps, curved=(agent.name,))
        return board.row(agent.name)

    def _write_start(self, folder: Path) -> None:
        """Write what the budget comes to."""
        turns = [
            {"level": turn.level, "learns": turn.part.name}
            | turn.budget
            | {"schedule": turn.schedule._asdict()}
            for turn in self.turns
        ]
        content = {"name": self.agent.name, "seed": self.settings.seed, "turns": turns}
        write_text_atomically(folder / "training.json", json.dumps(content, indent=1))

    def _write_end(self, board: Leaderboard, metrics: "Metrics", steps: int) -> None:
        """Write the final return, by all lucks, and what it was reached with."""
        from stable_baselines3.common.logger import HParam

        row = board.row(self.agent.name)
        results = {"return": row["return"]} | dict(
            zip(("return_ci_low", "return_ci_high"), row["return_ci95"], strict=True)
        )
        if row["gap_closed"] is not None:
            results["gap_closed"] = row["gap_closed"]
        s = self.settings
        used = _scalars({"agent": s.agent, "slow": s.slow, "fast": s.fast})
        used |= {
            "seed": s.seed,
            "world": board.world.name,
            "opportunities": row["train_opportunities"],
        }
        shown = {f"eval/{k}": results[k] for k in ("return", "gap_closed") if k in results}
        metrics.evaluation.record("hparams", HParam(used, shown))
        for name, value in results.items():
            metrics.evaluation.record(f"eval/{name}", value)
        metrics.evaluation.dump(steps)


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
        self._agent, self._twins, self._references = agent, twins.first_luck(), references
        self._metrics, self._folder = metrics, folder
        self._every = settings.evaluation.every_opportunities
        self._next = 0
        self._fixed_and_oracle: tuple[Float64, Float64] | None = None
        # A part whose own settings say how long it learns has nothing to show before its end.
        budgeted = [turn for turn in turns if turn.budget]
        self._budgeted = bool(budgeted)
        known = budgeted and all(turn.schedule.opportunities for turn in budgeted)
        total = sum(turn.schedule.opportunities or 0 for turn in budgeted) if known else None
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
        first = not self._bar.n
        if first:
            self._bar.initial = self._bar.n = opportunities
        self._bar.set_description("learning", refresh=False)
        if self._bar.total is not None and opportunities > self._bar.total:
            self._bar.total = opportunities
        self._bar.update(opportunities - self._bar.n)
        if self._budgeted and opportunities >= self._next:
            self._next = opportunities + self._every
            self._evaluate(self._agent.train_opportunities // self._twins.world.slots_per_week)
            self._agent.save(self._folder / "checkpoints" / "latest.zip")
        if first:  # what came before says nothing of the time that is left
            self._bar.unpause()

    def _evaluate(self, step: int) -> None:
        """Write the return on the first luck alone, which is quick, with its interval."""
        entrant = trained_contestant(self._agent, self._twins.world)
        returns = self._twins.rollout(entrant.planner, entrant.executor).returns
        result = mean_interval(returns)
        log = self._metrics.evaluation
        log.record("eval/return", result.mean)
        log.record("eval/return_ci_low", result.low)
        log.record("eval/return_ci_high", result.high)
        shown = f"return {result.mean:.2f}"
        if self._references is not None:
            planned = returns if entrant.single else self._twins.rollout(entrant.planner).returns
            fixed, oracle = self._reference_returns(self._references)
            gap = ratio_interval(planned - fixed, oracle - fixed)
            if gap is not None:
                log.record("eval/gap_closed", gap.mean)
                shown += f", gap closed {gap.mean:.2f}"
        log.dump(step)
        self._bar.set_postfix_str(shown, refresh=False)

    def _reference_returns(self, references: References) -> tuple[Float64, Float64]:
        """Return the best fixed plan's and the oracle's returns [N] under the same first luck."""
        if self._fixed_and_oracle is None:
            world = self._twins.world
            fixed = FixedPlanner(world, references.best_fixed_plan, references.best_fixed_shape)
            self._fixed_and_oracle = (
                self._twins.rollout(fixed).returns,
                self._twins.rollout(PerMemberPlanner(world, references.oracle_plans)).returns,
            )
        return self._fixed_and_oracle


def overrides() -> dict[str, str]:
    """Return the overrides of the command line by key, without hydra's own."""
    if not HydraConfig.initialized():
        return {}
    pairs = (word.lstrip("+").partition("=") for word in HydraConfig.get().overrides.task)
    return {key: value for key, _, value in pairs}


def _name_by_choices(parts: Mapping[str, Any]) -> str | None:
    """Return a name for a planner or executor that a YAML file of the user's own describes.

    Returns:
        the names of the two files, or None where both levels are named by their classes.
    """
    if not HydraConfig.initialized() or set(parts) != {"slow", "fast"}:
        return None
    found = {"slow": parts["slow"].name, "fast": parts["fast"].label}
    choices = HydraConfig.get().runtime.choices
    own = {
        level: choices[level]
        for level in found
        if not (config_folder() / level / f"{choices.get(level)}.yaml").is_file()
        and f"{level}._target_" not in overrides()
    }
    return "+".join((found | own).values()) if own else None


def settings_suffix() -> str:
    """Return what tells apart two agents of the same classes, for the end of a name.

    Settings of agent and levels that the command line gives, and in a sweep the seed. Where there
    are many, their digest takes their place.
    """
    found = {
        key.removeprefix("slow.").removeprefix("agent."): value
        for key, value in overrides().items()
        if key.startswith(("agent.", "slow.", "fast.")) and not key.endswith(("_target_", "device"))
    }
    parts = [f"{key}={value}" for key, value in found.items()]
    if len(parts) > _MOST_SHOWN:
        digest = hashlib.sha256(",".join(sorted(parts)).encode()).hexdigest()[:6]
        parts = [f"{len(parts)}_settings_{digest}"]
    swept = HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN
    if swept and "seed" in overrides():
        parts.append(f"seed={overrides()['seed']}")
    return "".join(f",{part}" for part in parts).replace("/", "-")


def _scalars(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Return the numbers and words of nested mappings, by path."""
    found: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, Mapping):
            found |= {f"{name}/{key}": below for key, below in _scalars(value).items()}
        elif isinstance(value, bool | int | float | str) and name != "device":
            found[name] = value
    return found


def main() -> None:
    """Run the command."""
    run("train", Train, __doc__ or "")


if __name__ == "__main__":
    main()
