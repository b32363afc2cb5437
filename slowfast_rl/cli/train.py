"""slowfast-train: train an agent, evaluate it during training, and write a leaderboard.

  slowfast-train experiment=slowfast seed=0
  slowfast-train world=calibrated total_opportunities=100000000 slow.learning_rate=3e-4
  slowfast-train -m seed=1,2,3 'world_overrides={opt_out.hazard: 0.002}'

Writes to runs/train/<time>: config.yaml, checkpoints/, metrics.csv, TensorBoard events, and at
the end leaderboard.md and leaderboard.json.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from stable_baselines3.common.logger import HParam

from slowfast_rl.agents import SlowFastAgent
from slowfast_rl.cli.app import run
from slowfast_rl.cli.metrics import Metrics
from slowfast_rl.cli.results import say, write_leaderboard
from slowfast_rl.cli.schema import build, read
from slowfast_rl.cli.settings import EvaluatedSettings, check_private
from slowfast_rl.evaluation.contestants import agent_contestants
from slowfast_rl.evaluation.leaderboard import Leaderboard, compare
from slowfast_rl.evaluation.progress import progress_bar
from slowfast_rl.evaluation.protocol import check_training_seed
from slowfast_rl.evaluation.references import References
from slowfast_rl.evaluation.statistics import mean_interval, ratio_interval
from slowfast_rl.evaluation.twins import Twins
from slowfast_rl.members.arrays import Float64
from slowfast_rl.policies.budget import check_budget
from slowfast_rl.policies.component import check_savable
from slowfast_rl.slow import FixedPlanner, PerMemberPlanner

_BASELINES = ("never", "always", "random")
_REFERENCES = ("best_fixed", "oracle")


@dataclass(frozen=True, kw_only=True)
class TrainSettings(EvaluatedSettings):
    """Settings of the command, as in ``configs/train.yaml``."""

    slow: dict[str, Any]
    fast: dict[str, Any]
    store: dict[str, Any]
    name: str | None
    plans_for: str
    total_opportunities: int | None
    total_cpu_seconds: float | None

    def __post_init__(self) -> None:
        """Raise ValueError for a value outside what is allowed."""
        super().__post_init__()


class Train:
    """Trains, evaluates and writes everything to the run's folder.

    Raises:
        ValueError: a setting is missing, unknown, of the wrong type or outside what is allowed.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        s = self.settings = read(TrainSettings, settings)
        self.world, self.protocol = s.make_world(), s.make_protocol()
        check_training_seed(s.seed, self.protocol)
        self.agent: SlowFastAgent = SlowFastAgent(
            build(s.slow, "slow"), build(s.fast, "fast"), plans_for=s.plans_for, name=s.name
        )
        check_savable(self.agent.slow)  # before training, not at its first checkpoint
        check_savable(self.agent.fast)
        if self.agent.slow.takes_budget or self.agent.fast.takes_budget:
            check_budget(s.total_opportunities, s.total_cpu_seconds)
        check_private(s.store)
        build(s.store, "store")

    def run(self, folder: Path) -> Mapping[str, Any]:
        """Run the command, and return the agent's row of the leaderboard."""
        s, agent, world = self.settings, self.agent, self.world
        say(f"Training in world {world.name}, seed {s.seed}; results go to {folder}")
        say("The first run on a machine compiles for about half a minute.")
        references = s.find_references(world, self.protocol)
        twins = Twins(world, self.protocol)
        metrics = Metrics(folder, agent.name)
        with _Watch(s, agent, twins, references, metrics, folder) as watch:
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
        steps = agent.slow.opportunities // world.slots_per_week
        self._write_end(board, metrics, steps)
        metrics.close()
        write_leaderboard(board, folder, steps, curved=(agent.name,))
        return board.row(agent.name)

    def _write_end(self, board: Leaderboard, metrics: Metrics, steps: int) -> None:
        """Write the final return, by all lucks, and what it was reached with."""
        row = board.row(self.agent.name)
        results = {"return": row["return"]} | dict(
            zip(("return_ci_low", "return_ci_high"), row["return_ci95"], strict=True)
        )
        if row["gap_closed"] is not None:
            results["gap_closed"] = row["gap_closed"]
        s = self.settings
        used = {f"slow/{k}": v for k, v in s.slow.items() if k not in ("_target_", "device")}
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
    """Called before each rollout: moves the bar, and now and then evaluates and saves."""

    def __init__(
        self,
        settings: TrainSettings,
        agent: SlowFastAgent,
        twins: Twins,
        references: References | None,
        metrics: Metrics,
        folder: Path,
    ) -> None:
        self._agent, self._twins, self._references = agent, twins.first_luck(), references
        self._metrics, self._folder = metrics, folder
        self._every = settings.evaluation.every_opportunities
        self._next = 0
        self._fixed_and_oracle: tuple[Float64, Float64] | None = None
        # A planner whose own settings say how long has nothing to show before its end.
        self._budgeted = agent.slow.takes_budget
        total = settings.total_opportunities if self._budgeted else None
        self._bar = progress_bar(
            total, "learning to rank", " opportunities", leave=True, unit_scale=True
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None and self._bar.total is not None:
            self._bar.update(self._bar.total - self._bar.n)
        self._bar.close()

    def __call__(self, opportunities: int) -> None:
        self._bar.set_description("learning to plan", refresh=False)
        self._bar.update(opportunities - self._bar.n)
        if self._budgeted and opportunities >= self._next:
            self._next = opportunities + self._every
            self._evaluate(opportunities // self._twins.world.slots_per_week)
            self._agent.save(self._folder / "checkpoints" / "latest.zip")

    def _evaluate(self, step: int) -> None:
        """Write the return on the first luck alone, which is quick, with its interval."""
        returns = self._twins.rollout(self._agent.slow, self._agent.fast).returns
        result = mean_interval(returns)
        log = self._metrics.evaluation
        log.record("eval/return", result.mean)
        log.record("eval/return_ci_low", result.low)
        log.record("eval/return_ci_high", result.high)
        shown = f"return {result.mean:.2f}"
        if self._references is not None:
            planner = self._twins.rollout(self._agent.slow).returns
            fixed, oracle = self._reference_returns(self._references)
            gap = ratio_interval(planner - fixed, oracle - fixed)
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


def main() -> None:
    """Run the command."""
    run("train", Train, __doc__ or "")


if __name__ == "__main__":
    main()
