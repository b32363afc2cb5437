"""``slowfast-train``: train an agent, evaluate it as it goes, end with a leaderboard."""

import json
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from stable_baselines3.common.logger import HParam, Logger
from tqdm import tqdm

from slowfast_rl.agents import SlowFastAgent
from slowfast_rl.cli.app import protocol_of, run, world_of
from slowfast_rl.cli.metrics import training_logger
from slowfast_rl.cli.schema import build
from slowfast_rl.evaluation.curves import write_curves
from slowfast_rl.evaluation.leaderboard import Leaderboard, compare, slowfast_contestants
from slowfast_rl.evaluation.protocol import check_training_seed
from slowfast_rl.evaluation.references import References, load_references
from slowfast_rl.evaluation.statistics import mean_interval, ratio_interval
from slowfast_rl.evaluation.tables import markdown
from slowfast_rl.evaluation.twins import Twins
from slowfast_rl.store.files import write_text_atomically


def train(config: DictConfig) -> None:
    """Train, evaluate and write everything to the run directory."""
    folder = Path(HydraConfig.get().runtime.output_dir)
    world, protocol = world_of(config), protocol_of(config)
    check_training_seed(config.seed, protocol)
    references = load_references(world, protocol)
    agent: SlowFastAgent = SlowFastAgent(build(config.slow, "slow"), build(config.fast, "fast"))
    write_text_atomically(folder / "config.yaml", OmegaConf.to_yaml(config, resolve=True))

    twins = Twins(world, protocol)
    logger = training_logger(folder)
    watch = _Watch(config, agent, twins, references, logger, folder)
    agent.learn(
        world,
        total_opportunities=config.total_opportunities,
        total_cpu_seconds=config.total_cpu_seconds,
        seed=config.seed,
        logger=logger,
        progress=watch,
    )
    watch.close()
    agent.save(folder / "checkpoints" / "final.zip")

    baselines = ["never", "always", "random"] + (["best_fixed", "oracle"] if references else [])
    board = compare(
        [*slowfast_contestants(agent, world), *baselines],
        world,
        protocol,
        references=references,
        twins=twins,
        store_factory=lambda: build(config.store, "store"),
    )
    write_leaderboard(board, folder)
    _write_hparams(config, board, logger)
    logger.close()
    print(f"Everything is in {folder}; see the curves with: tensorboard --logdir {folder}")


def write_leaderboard(board: Leaderboard, folder: Path) -> None:
    """Write curves, Markdown and, last, ``leaderboard.json``; print the table."""
    write_curves(board, folder / "tensorboard")
    text = markdown(board)
    write_text_atomically(folder / "leaderboard.md", text)
    write_text_atomically(folder / "leaderboard.json", json.dumps(board.to_json(), indent=1))
    print(text)
    if board.references is None:
        print(
            "No references fit this case, so gap_closed is empty; see slowfast_rl.cli.references."
        )


class _Watch:
    """Called after each rollout: moves the bar, and now and then evaluates and saves."""

    def __init__(
        self,
        config: DictConfig,
        agent: SlowFastAgent,
        twins: Twins,
        references: References | None,
        logger: Logger,
        folder: Path,
    ) -> None:
        self._agent, self._twins, self._references = agent, twins, references
        self._logger, self._folder = logger, folder
        self._every = config.evaluation.every_opportunities
        self._next = 0
        self._bar = tqdm(
            total=config.total_opportunities, desc="training", unit="opportunity", unit_scale=True
        )

    def __call__(self, opportunities: int) -> None:
        self._bar.update(opportunities - self._bar.n)
        if opportunities >= self._next:
            self._next = opportunities + self._every
            self._evaluate()
            self._agent.save(self._folder / "checkpoints" / "latest.zip")

    def close(self) -> None:
        """Evaluate once more and close the bar."""
        self._bar.update((self._bar.total or self._bar.n) - self._bar.n)
        self._evaluate()
        self._bar.close()

    def _evaluate(self) -> None:
        first = self._twins.first_luck()
        returns = first.rollout(self._agent.slow).returns
        result = mean_interval(returns)
        self._logger.record("eval/return", result.mean)
        self._logger.record("eval/return_ci_low", result.low)
        self._logger.record("eval/return_ci_high", result.high)
        if self._references is not None:
            r = self._references
            gap = ratio_interval(returns - r.best_fixed, r.oracle - r.best_fixed)
            if gap is not None:
                self._logger.record("eval/gap_closed", gap.mean)


def _write_hparams(config: DictConfig, board: Leaderboard, logger: Logger) -> None:
    settings = {f"slow/{k}": v for k, v in config.slow.items() if isinstance(v, int | float | str)}
    settings |= {"seed": config.seed, "world": board.world.name}
    row = board.rows[0]
    metrics = {"eval/return": row["return"]}
    if row["gap_closed"] is not None:
        metrics["eval/gap_closed"] = row["gap_closed"]
    logger.record("hparams", HParam(settings, metrics), exclude=("csv",))
    logger.dump()


def main() -> None:
    """Run the command."""
    run("train", train)


if __name__ == "__main__":
    main()
