"""slowfast-compare: compare agents on the same members, under the same luck.

  slowfast-compare agents=[never,always]
  slowfast-compare checkpoints=[runs/train/a,runs/train/b] agents=[best_fixed,oracle]
  slowfast-compare mode=ab checkpoints=[runs/train/a,runs/train/b]

The first checkpoint, or without checkpoints the first agent, is compared with all others. Writes to
runs/compare/<time>: config.yaml, report.html, leaderboard.md, leaderboard.json, figures/ and
TensorBoard events.

mode=ab is a factorial test: it divides members over the planners and, independently, over the
executors of two checkpoints. It reports the effect of each exchange and their interaction, both as
such a test estimates them and as twins (the same members in every arm) show them. Writes ab.json.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from slowfast_rl.agents import Agent
from slowfast_rl.cli.app import run
from slowfast_rl.cli.checkpoints import load_agent, say_source
from slowfast_rl.cli.engine import EngineSettings
from slowfast_rl.cli.references import references_command
from slowfast_rl.cli.results import say, write_leaderboard
from slowfast_rl.cli.schema import build, limited, read
from slowfast_rl.cli.settings import EvaluatedSettings, check_private
from slowfast_rl.evaluation.ab import factorial_test
from slowfast_rl.evaluation.contestants import (
    REFERENCE_NAMES,
    THRESHOLD_SEED,
    Contestant,
    check_name,
    dealt_contestant,
    trained_contestant,
)
from slowfast_rl.evaluation.formatting import number
from slowfast_rl.evaluation.leaderboard import compare
from slowfast_rl.evaluation.protocol import check_training_seed
from slowfast_rl.evaluation.references import load_references
from slowfast_rl.evaluation.twins import Twins
from slowfast_rl.members.random import LARGEST_SEED
from slowfast_rl.policies.contracts import BaseExecutor
from slowfast_rl.services.simulation import executor_version
from slowfast_rl.store.files import write_text_atomically

MODES = ("leaderboard", "ab")
_LEGEND = (
    "A positive effect favours the second checkpoint. The adjusted and unadjusted columns are\n"
    "estimates of a test on these members; twins are the same members, simulated in every arm."
)


@dataclass(frozen=True, kw_only=True)
class CompareSettings(EngineSettings, EvaluatedSettings):
    """Settings of the command, as in ``configs/compare.yaml``."""

    store: dict[str, Any]
    agents: tuple[str, ...]
    checkpoints: tuple[str, ...]
    allow: tuple[str, ...]
    controls: bool
    mode: str = limited(choices=MODES)
    salt: int = limited(low=0, high=LARGEST_SEED)

    def __post_init__(self) -> None:
        """Raise ValueError for a value outside what is allowed."""
        super().__post_init__()
        self.check_engine()
        if not self.agents and not self.checkpoints:
            raise ValueError("agents and checkpoints are empty; allowed is at least one")
        if self.mode == "ab" and len(self.checkpoints) != 2:
            raise ValueError(
                f"checkpoints is {list(self.checkpoints)}; with mode=ab two are allowed: arms 0, 1"
            )
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
        check_private(s.store)
        build(s.store, "store")
        self.contestants: list[Contestant] = []
        for checkpoint in s.checkpoints:
            self.contestants += self._trained(checkpoint)
            for seed in self.contestants[-1].seeds:
                check_training_seed(seed, self.protocol)
        for agent in s.agents if s.mode == "leaderboard" else ():
            if not (s.references == "compute" and agent in REFERENCE_NAMES):
                remedy = f"add references=compute, or first run: {references_command(s)}"
                check_name(agent, self.world, self.references, remedy)
            if agent == "threshold":
                check_training_seed(THRESHOLD_SEED, self.protocol)

    def run(self, folder: Path) -> Mapping[str, Any] | None:
        """Run the command, and return the first agent's row; a factorial test has none."""
        with self.settings.use_engine():
            return self._run(folder)

    def _run(self, folder: Path) -> Mapping[str, Any] | None:
        for checkpoint in self.settings.checkpoints:
            say_source(checkpoint)
        if self.settings.mode == "ab":
            self._test(folder)
            return None
        self.references = self.settings.find_references(self.world, self.protocol)
        names = ", ".join([*(c.name for c in self.contestants), *self.settings.agents])
        say(f"Comparing {names} in world {self.world.name}; results go to {folder}")
        board = compare(
            [*self.contestants, *self.settings.agents],
            self.world,
            self.protocol,
            references=self.references,
            store_factory=lambda: build(self.settings.store, "store"),
        )
        runs = {c.name: c.name.replace("/", "-") for c in board.contestants.values()}
        kept = {name: run for name, run in runs.items() if not board.contestants[name].control}
        write_leaderboard(board, folder, kept, folder / "tensorboard", report=self.settings.report)
        return board.rows[0]

    def _test(self, folder: Path) -> None:
        """Run the factorial test."""
        s = self.settings
        arms = self.contestants
        say(f"Testing {' against '.join(s.checkpoints)}; results go to {folder}")
        # One luck, as for a member of a real test.
        twins = Twins(self.world, replace(self.protocol, streams=self.protocol.streams[:1]))
        test = factorial_test(
            twins,
            [c.planner for c in arms],
            [c.executor for c in arms],
            s.salt,
            lambda: build(s.store, "store"),
        )
        head = {
            "world": self.world.name,
            "num_members": s.num_members,
            "weeks": s.weeks,
            "population_seed": s.population_seed,
            "luck_seed": s.luck_seed,
            "salt": s.salt,
            "arms": list(s.checkpoints),
        }
        results: dict[str, Any] = head | test.to_json()
        write_text_atomically(folder / "ab.json", json.dumps(results, indent=1))
        print(effects_table(results["effects"]))
        sizes = ", ".join(f"{arm}: {n}" for arm, n in results["members_per_arm"].items())
        print(f"\nMembers in {sizes}.\n{_LEGEND}")
        executors = [c.executor for c in arms if isinstance(c.executor, BaseExecutor)]
        if len(set(map(executor_version, executors))) < 2:
            print("Both executors are the same: exchanging them has no effect.")
        print(f"All results  {folder}")

    def _trained(self, checkpoint: str) -> list[Contestant]:
        """Return a trained agent and, with controls, its plans dealt to other members at random."""
        s = self.settings
        agent = load_agent(checkpoint, self.world, s.device, s.allow, Agent)  # type: ignore[type-abstract]  # it loads a subclass
        trained = trained_contestant(agent, self.world)._replace(checkpoint=checkpoint)
        controls = s.controls and s.mode == "leaderboard" and not trained.single
        return [trained, dealt_contestant(trained)] if controls else [trained]


def effects_table(effects: Mapping[str, Any]) -> str:
    """Return a factorial test's effects for the terminal."""
    lines = [f"{'effect, viewing days':<22}{'adjusted':>26}{'unadjusted':>26}{'twins':>10}"]
    for name, row in effects.items():
        cells = [
            number((row[key], *row[ci]))
            for key, ci in (("estimate", "ci95"), ("unadjusted", "unadjusted_ci95"))
        ]
        lines.append(f"{name:<22}{cells[0]:>26}{cells[1]:>26}{row['truth']:>+10.2f}")
    return "\n".join(lines)


def main() -> None:
    """Run the command."""
    run("compare", Compare, __doc__ or "")


if __name__ == "__main__":
    main()
