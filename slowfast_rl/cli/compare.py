"""slowfast-compare: one or many agents on the same members, under the same luck.

  slowfast-compare agents=[never,always]
  slowfast-compare checkpoints=[runs/train/a,runs/train/b] agents=[best_fixed,oracle]
  slowfast-compare world=calibrated weeks=52 agents=[random,never] 'checkpoints=["my run"]'

The first checkpoint, or without any the first agent, is compared with all others. Writes to
runs/compare/<time>: config.yaml, leaderboard.md, leaderboard.json and TensorBoard events.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slowfast_rl.cli.app import run
from slowfast_rl.cli.checkpoints import load_agent
from slowfast_rl.cli.results import say, write_leaderboard
from slowfast_rl.cli.schema import build, read
from slowfast_rl.cli.settings import EvaluatedSettings
from slowfast_rl.evaluation.contestants import (
    THRESHOLD_SEED,
    Contestant,
    check_name,
    dealt_contestant,
    trained_contestant,
)
from slowfast_rl.evaluation.leaderboard import compare
from slowfast_rl.evaluation.protocol import check_training_seed
from slowfast_rl.evaluation.references import load_references


@dataclass(frozen=True, kw_only=True)
class CompareSettings(EvaluatedSettings):
    """Settings of the command, as in ``configs/compare.yaml``."""

    store: dict[str, Any]
    agents: tuple[str, ...]
    checkpoints: tuple[str, ...]
    controls: bool

    def __post_init__(self) -> None:
        """Raise ValueError for a value outside what is allowed."""
        super().__post_init__()
        if not self.agents and not self.checkpoints:
            raise ValueError("agents and checkpoints are empty; allowed is at least one")
        for name, values in (("agents", self.agents), ("checkpoints", self.checkpoints)):
            if len(set(values)) < len(values):
                raise ValueError(f"{name} is {list(values)}; allowed is each at most once")


class Compare:
    """Compares trained runs and baselines, and writes everything to the run's folder.

    Raises:
        ValueError: a setting is missing, unknown, of the wrong type or outside what is allowed.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        s = self.settings = read(CompareSettings, settings)
        self.world, self.protocol = s.make_world(), s.make_protocol()
        self.references = load_references(self.world, self.protocol, s.reference_folders())
        build(s.store, "store")
        self.contestants: list[Contestant] = []
        for checkpoint in s.checkpoints:
            self.contestants += self._trained(checkpoint)
            for seed in self.contestants[-1].seeds:
                check_training_seed(seed, self.protocol)
        for agent in s.agents:
            check_name(agent, self.world, self.references)
            if agent == "threshold":
                check_training_seed(THRESHOLD_SEED, self.protocol)

    def run(self, folder: Path) -> None:
        """Do it."""
        names = ", ".join([*(c.name for c in self.contestants), *self.settings.agents])
        say(f"Comparing {names} in world {self.world.name}; results go to {folder}")
        board = compare(
            [*self.contestants, *self.settings.agents],
            self.world,
            self.protocol,
            references=self.references,
            store_factory=lambda: build(self.settings.store, "store"),
        )
        write_leaderboard(board, folder)

    def _trained(self, checkpoint: str) -> list[Contestant]:
        """Return a trained agent and, if asked for, its plans dealt at random."""
        agent = load_agent(checkpoint, self.world, self.settings.device)
        trained = trained_contestant(agent, self.world)
        return [trained, dealt_contestant(trained)] if self.settings.controls else [trained]


def main() -> None:
    """Run the command."""
    run("compare", Compare, __doc__ or "")


if __name__ == "__main__":
    main()
