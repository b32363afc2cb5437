"""slowfast-logs: check a company's log, turn it into observations, or write one from a simulation.

  slowfast-logs mode=check logs=company/ mapping=names.yaml questions=[plans,messages]
  slowfast-logs mode=weekly logs=company/
  slowfast-logs mode=export num_members=10000 weeks=52 explore=0.2 output=logs/a

A log is a folder of parquet files: decisions, outcomes and plans in the schema of docs/logs.md.
mode=check reads a company's files in pieces, writes them as a log to output=<folder>, and reports
all defects at once, with their rows; it ends with code 1 if there are errors. The report is in
check.json. mode=weekly writes a folder of parquet files with the weekly observations that the
environments show: one row for each member and week, with the columns that slowfast-plan members=
reads. mode=minari writes a dataset of Minari (extra minari) for offline reinforcement learning,
with level=weekly or messages. mode=export simulates num_members for weeks, both with seed=<seed>,
and writes what a company would log of them.
"""

import json
import shutil
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from slowfast_rl.agents import SlowFastAgent
from slowfast_rl.cli.app import run
from slowfast_rl.cli.checkpoints import load_agent, say_source
from slowfast_rl.cli.results import say
from slowfast_rl.cli.schema import limited, read
from slowfast_rl.cli.settings import Settings
from slowfast_rl.evaluation.progress import progress_bar
from slowfast_rl.fast import ExploringExecutor, PacedExecutor
from slowfast_rl.logs.schema import LOG_FILE, QUESTIONS
from slowfast_rl.members.features import weekly_features
from slowfast_rl.policies.contracts import BaseExecutor, BasePlanner
from slowfast_rl.store.files import owner, write_text_atomically

if TYPE_CHECKING:
    from slowfast_rl.logs.conversion import Conversion
    from slowfast_rl.logs.mapping import LogMapping

MODES = ("check", "export", "minari", "weekly")


@dataclass(frozen=True, kw_only=True)
class LogSettings(Settings):
    """Settings of the command, as in ``configs/logs.yaml``."""

    mode: str = limited(choices=MODES)
    logs: str | None
    mapping: str | None
    questions: tuple[str, ...]
    output: str | None
    dataset: str
    level: str = limited(choices=("weekly", "messages"))
    checkpoint: str | None
    allow: tuple[str, ...]
    explore: float = limited(low=0, high=1)
    random_plans: float = limited(low=0, high=1)
    held_share: float = limited(low=0, high=1)
    hold_low: int = limited(low=1, high=520)
    hold_high: int = limited(low=1, high=520)
    holds: bool

    def __post_init__(self) -> None:
        """Raise ValueError for a value outside what is allowed."""
        super().__post_init__()
        for question in self.questions:
            if question not in QUESTIONS:
                raise ValueError(f"questions has {question!r}; allowed: {', '.join(QUESTIONS)}")
        if self.mode == "export":
            if self.logs is not None:
                raise ValueError(f"logs is {self.logs!r} with mode=export; allowed is output=")
        elif self.logs is None:
            raise ValueError(f"logs is null with mode={self.mode}; a folder is needed")
        elif not Path(self.logs).is_dir():
            raise ValueError(f"logs is {self.logs!r}; allowed is a folder")
        if self.mapping is not None and self.mode != "check":
            raise ValueError(f"mapping is {self.mapping!r} with mode={self.mode}; allowed is null")
        if self.output is not None and self.mode == "check" and self.is_log():
            raise ValueError(
                f"output is {self.output!r}, but {self.logs} is a log already, which a check does "
                "not write again; allowed is null"
            )
        if self.output is not None and Path(self.output).exists():
            raise ValueError(f"output is {self.output!r}, which exists; allowed is a new folder")
        if self.checkpoint is None and self.random_plans < 1:
            raise ValueError(
                f"random_plans is {self.random_plans} without a checkpoint, whose planner would "
                "choose the other plans; allowed is 1"
            )

    def is_log(self) -> bool:
        """Return whether the files need no conversion."""
        return self.mapping is None and (Path(str(self.logs)) / LOG_FILE).exists()


class Logs:
    """Checks, turns into observations, or writes a log.

    Raises:
        ValueError: a setting is missing, unknown, of the wrong type or outside what is allowed.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        from slowfast_rl.logs import parquet  # noqa: F401 - needs an extra: fail early

        s = self.settings = read(LogSettings, settings)
        self.world = s.make_world()
        self.mapping: LogMapping | None = None
        if s.mapping is not None:
            from slowfast_rl.logs.mapping import read_mapping

            self.mapping = read_mapping(s.mapping)
        self.agent = (
            None
            if s.checkpoint is None
            else load_agent(s.checkpoint, self.world, s.device, s.allow, SlowFastAgent)
        )

    def run(self, folder: Path) -> None:
        """Run the command."""
        getattr(self, f"_{self.settings.mode}")(folder)

    def _check(self, folder: Path) -> None:
        from slowfast_rl.logs.checks import check
        from slowfast_rl.logs.reading import EventLog

        s = self.settings
        conversion: Conversion | None = None
        source = Path(str(s.logs))
        where = source
        if not s.is_log():
            where = folder / "log" if s.output is None else Path(s.output)
            conversion = self._convert(source, where)
        log = EventLog(where, self.world)
        with progress_bar(len(log.part_names), "checking", " parts") as bar:
            report = check(log, s.questions, conversion, lambda done: bar.update(done - bar.n))
        say(str(report))
        shown = {"log": str(where.absolute())} | report.to_json()
        write_text_atomically(folder / "check.json", json.dumps(shown, indent=1))
        errors = len(report.errors)
        if errors:
            say(f"{errors} kinds of errors: nothing should be learned from this log, {where}")
            sys.exit(1)
        say(f"No errors. The log is {where}")

    def _convert(self, source: Path, target: Path) -> "Conversion":
        from slowfast_rl.logs.conversion import convert

        with ExitStack() as stack:
            bars: dict[str, Any] = {}

            def tell(table: str, done: int, total: int) -> None:
                if table not in bars:
                    stack.close()
                    bar = progress_bar(total, table, " rows", unit_scale=True)
                    bars[table] = stack.enter_context(bar)
                bars[table].update(done - bars[table].n)

            return convert(source, target, self.world, self.mapping, tell)

    def _weekly(self, folder: Path) -> None:
        from slowfast_rl.logs.histories import weekly_observations
        from slowfast_rl.logs.parquet import part_file, write_columns
        from slowfast_rl.logs.reading import EventLog

        s = self.settings
        log = EventLog(str(s.logs), self.world)
        target = folder / "weekly" if s.output is None else Path(s.output)
        names = [feature.name for feature in weekly_features(log.world)]
        rows = 0
        # The folder has its name once it is complete: a part of it looks like fewer members.
        partial = target.with_name(f".{target.name}.{owner()}.partial")
        try:
            with progress_bar(len(log.part_names), "replaying", " parts") as bar:
                for number, name in enumerate(log.part_names):
                    found = [*weekly_observations(log, [name])]
                    columns = (np.concatenate(c) for c in zip(*found, strict=True))
                    members, weeks, observations = columns
                    table = {"entity_id": members, "week": weeks}
                    table |= {name: observations[:, i].copy() for i, name in enumerate(names)}
                    write_columns(partial / part_file(number), table)
                    rows += len(members)
                    bar.update()
            partial.replace(target)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        say(f"{rows:,} weekly observations, of {log.weeks + 1} Mondays: {target}")

    def _minari(self, folder: Path) -> None:
        from slowfast_rl.logs.minari_dataset import write_minari
        from slowfast_rl.logs.reading import EventLog

        s = self.settings
        log = EventLog(str(s.logs), self.world)
        with progress_bar(None, "episodes", " members") as bar:
            found = write_minari(
                log, s.dataset, s.level, progress=lambda done: bar.update(done - bar.n)
            )
        say(
            f"{found.total_episodes:,} episodes of {found.total_steps:,} steps: {s.dataset}, for "
            f"minari.load_dataset({s.dataset!r})"
        )

    def _export(self, folder: Path) -> None:
        from slowfast_rl.logs.recording import PlanDesign, record

        s = self.settings
        planner: BasePlanner | None = None
        executor: BaseExecutor = PacedExecutor()
        if self.agent is not None:
            say_source(str(s.checkpoint))
            executor = self.agent.fast
            planner = self.agent.slow if s.random_plans < 1 else None
        if s.explore > 0:
            executor = ExploringExecutor(executor, explore=s.explore)
        target = folder / "log" if s.output is None else Path(s.output)
        design = PlanDesign(
            random_plans=s.random_plans, held_share=s.held_share, hold_low=s.hold_low,
            hold_high=s.hold_high, seed=s.seed,
        )  # fmt: skip
        total = s.num_members * s.weeks * self.world.slots_per_week
        with progress_bar(total, "recording", " opportunities", unit_scale=True) as bar:
            record(
                target, self.world, executor, num_members=s.num_members, weeks=s.weeks,
                planner=planner, design=design, population_seed=s.seed, luck_seed=s.seed,
                holds=s.holds, progress=lambda done: bar.update(done - bar.n),
            )  # fmt: skip
        say(f"{s.num_members:,} members in {s.weeks} weeks: {target}")


def main() -> None:
    """Run the command."""
    run("logs", Logs, __doc__ or "")


if __name__ == "__main__":
    main()
