"""slowfast-fit: fit a world to a company's log.

  slowfast-fit logs=log base=pronounced
  slowfast-fit logs=log checkpoint=runs/train/a explore=0.1
  slowfast-fit logs=log checkpoint=runs/train/a rule=true policies=[never,3+1]

Finds the parameters with which simulated members behave as those of the log. Writes to
runs/fit/<time>: world.yaml, which every command takes as world_file; fit.json and report.html. The
first line says whether the model can have made the log at all: read it first.

The fit simulates the log's executor, so it has to know it: give its checkpoint, and the share of
its decisions that were drawn at random as explore=. Plans that were drawn at random are taken from
the log. If a planner chose them by what members did, give its checkpoint and rule=true.

A backtest compares groups of the log's plans in the log and in the fitted world. What other
policies would earn there instead of the log's plans is simulated for each of policies=.
"""

import json
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slowfast_rl.agents import Agent, SlowFastAgent
from slowfast_rl.cli.app import run
from slowfast_rl.cli.checkpoints import load_agent, say_source
from slowfast_rl.cli.log_policies import check_each_once, load_planning_policy
from slowfast_rl.cli.results import say
from slowfast_rl.cli.schema import limited, read
from slowfast_rl.cli.settings import Settings
from slowfast_rl.evaluation.formatting import as_json
from slowfast_rl.fast import ExploringExecutor
from slowfast_rl.fitting import FITTED, FitSettings, fit, lifts_table
from slowfast_rl.members.loading import as_world
from slowfast_rl.policies.contracts import BaseExecutor
from slowfast_rl.store.files import write_text_atomically


@dataclass(frozen=True, kw_only=True)
class FitCommandSettings(Settings):
    """Settings of the command, as in ``configs/fit.yaml``."""

    logs: str | None
    base: str | None
    parameters: tuple[str, ...]
    checkpoint: str | None
    explore: float = limited(low=0, high=1)
    rule: bool
    policies: tuple[str, ...]
    allow: tuple[str, ...]
    report: bool
    fitting: FitSettings

    def __post_init__(self) -> None:
        """Raise ValueError for a value outside what is allowed."""
        super().__post_init__()
        if self.logs is None or not Path(self.logs).is_dir():
            raise ValueError(f"logs is {self.logs!r}; allowed is the folder of a log")
        unknown = sorted(set(self.parameters) - set(FITTED))
        if unknown:
            raise ValueError(f"parameters has {unknown[0]!r}; allowed: {', '.join(FITTED)}")
        check_each_once(self.policies, least=0)
        if self.rule and self.checkpoint is None:
            raise ValueError("rule is true without a checkpoint, whose planner would be simulated")


class FitWorld:
    """Fits a world, and writes it.

    Raises:
        ValueError: a setting is missing, unknown, of the wrong type or outside what is allowed.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        from slowfast_rl.logs.reading import EventLog  # needs an extra: fail early

        tree = dict(settings)
        tree["fitting"] = {**tree.get("fitting", {}), "seed": tree.get("seed", 0)}
        s = self.settings = read(FitCommandSettings, tree)
        self.world = s.make_world() if s.base is None else as_world(s.base)
        self.log = EventLog(str(s.logs), self.world)
        self.agent = (
            None
            if s.checkpoint is None
            else load_agent(s.checkpoint, self.world, s.device, s.allow, SlowFastAgent)
        )
        given = self.log.world, s.device, s.allow
        self.policies = {name: load_planning_policy(name, *given) for name in s.policies}

    def run(self, folder: Path) -> None:
        """Run the command."""
        from slowfast_rl.logs.histories import exploring_share, weekly_table

        s, agent = self.settings, self.agent
        executor: BaseExecutor | None = None
        if agent is not None:
            say_source(str(s.checkpoint))
            executor = agent.fast
        if s.explore > 0:
            executor = ExploringExecutor(executor, explore=s.explore)
        elif agent is None and (share := exploring_share(self.log)) > 0:
            say(
                f"warning: {share:.0%} of the log's sends were drawn among several candidates, and "
                "explore is 0: give the share of decisions that were drawn at random, or the "
                "checkpoint of the executor"
            )
        found = fit(
            weekly_table(self.log),
            self.log.world,
            planner=agent.slow if agent is not None and s.rule else None,
            executor=executor,
            parameters=s.parameters or None,
            progress=say,
            settings=s.fitting,
        )
        print(f"{found.verdict}\n\n{found.table()}\n\n{found.arms_table()}\n")
        for warning in found.warnings:
            say(f"warning: {warning}")
        lifts = []
        for name, policy in self.policies.items():
            if isinstance(policy, Agent):
                say_source(name)
            say(f"Simulating {name} in the fitted world")
            lifts.append(found.lift(policy, name))
        if lifts:
            print(f"{lifts_table(lifts)}\n")
        write_text_atomically(folder / "world.yaml", found.world_yaml())
        command = shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
        page = None
        if s.report:
            try:
                from slowfast_rl.fitting.report import write_report
            except ImportError as error:
                say(f"report.html and figures are left out: {error}")
            else:
                page = write_report(found, folder, command, lifts)
        tree = found.to_json() | {"policies": as_json(lifts)}
        write_text_atomically(folder / "fit.json", json.dumps(tree, indent=1))
        print(f"World        {folder / 'world.yaml'}")
        print(f"All results  {folder}")
        if page is not None:
            print(f"Report       {page}")


def main() -> None:
    """Run the command."""
    run("fit", FitWorld, __doc__ or "")


if __name__ == "__main__":
    main()
