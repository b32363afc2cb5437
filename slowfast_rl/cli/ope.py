"""slowfast-ope: what other policies would have earned, from a log alone.

  slowfast-ope logs=logs/a policies=[runs/train/a,never,3+1] horizon=8
  slowfast-ope logs=logs/a what=weekly policies=[runs/train/a,runs/train/b]
  slowfast-ope logs=logs/a what=messages policies=[runs/train/a]

The log is a folder that slowfast-logs wrote or checked, in which chance decided with known
probabilities. what=plans evaluates plans that are drawn once and held for the horizon; what=weekly
ranks policies that plan every week, up to 8 weeks; what=messages evaluates executors. Each policy
has its lift over the policy of the log, with an interval, diagnostics and warnings; one that the
log cannot answer for is refused with the reason. Writes ope.json and report.html.

Agents may have been trained in any world with the channels, schedule, menu and weights of the log,
such as one that slowfast-fit fitted. world= matters only where its channels are not the log's.
"""

import json
import re
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slowfast_rl.agents import Agent
from slowfast_rl.cli.app import run
from slowfast_rl.cli.checkpoints import load_agent, say_source
from slowfast_rl.cli.results import say
from slowfast_rl.cli.schema import limited, read
from slowfast_rl.cli.settings import Settings
from slowfast_rl.evaluation.progress import progress_bar
from slowfast_rl.logs.company import company_differences
from slowfast_rl.ope.result import OffPolicyResult
from slowfast_rl.slow import FixedPlanner
from slowfast_rl.store.files import write_text_atomically

WHAT = ("plans", "weekly", "messages")
REWARDS = ("viewed", "opened")
_PLAN = re.compile(r"\d+(\+\d+)*")


@dataclass(frozen=True, kw_only=True)
class OpeSettings(Settings):
    """Settings of the command, as in ``configs/ope.yaml``."""

    logs: str | None
    what: str = limited(choices=WHAT)
    policies: tuple[str, ...]
    allow: tuple[str, ...]
    horizon: int | None = limited(low=1, high=520)
    reward: str = limited(choices=REWARDS)
    most_rows: int = limited(low=1000)
    folds: int = limited(low=2, high=100)
    ridge: float = limited(low=0, high=1e3)
    clip: float = limited(low=1, high=1e9)
    report: bool

    def __post_init__(self) -> None:
        """Raise ValueError for a value outside what is allowed."""
        super().__post_init__()
        if self.logs is None or not Path(self.logs).is_dir():
            raise ValueError(f"logs is {self.logs!r}; allowed is a folder that slowfast-logs wrote")
        if not self.policies or len(set(self.policies)) < len(self.policies):
            raise ValueError(
                f"policies is {list(self.policies)}; allowed is at least one, and each once"
            )


class Ope:
    """Evaluates policies on a log, and writes the results to the run's folder.

    Raises:
        ValueError: a setting is missing, unknown, of the wrong type or outside what is allowed.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        from slowfast_rl.logs.reading import EventLog  # needs an extra

        s = self.settings = read(OpeSettings, settings)
        self.world = s.make_world()
        self.log = EventLog(str(s.logs), self.world)
        self.policies = {name: self._policy(name) for name in s.policies}

    def _policy(self, name: str) -> Any:
        s, plans = self.settings, self.log.world.plans
        if s.what != "messages":
            ends = {"never": plans.min(axis=0).tolist(), "always": plans.max(axis=0).tolist()}
            if name in ends:
                return FixedPlanner(self.log.world, ends[name])
            if _PLAN.fullmatch(name) and not Path(name).exists():
                return FixedPlanner(self.log.world, [int(sends) for sends in name.split("+")])
        try:
            agent = load_agent(name, None, s.device, s.allow, Agent)  # type: ignore[type-abstract]  # it loads a subclass
        except ValueError as error:
            also = "never, always and plans such as 3+1 only with another what"
            if s.what != "messages":
                also = "also never, always and plans such as 3+1"
            raise ValueError(f"{error}; {also}") from error
        assert agent.world is not None
        different = company_differences(agent.world, self.log.world)
        if different:
            raise ValueError(
                f"{name} was trained in world {agent.world.name!r}, which differs from the log in "
                f"{', '.join(different)}; allowed is an agent for the log's"
            )
        if s.what != "messages" and agent.slow is None:
            raise ValueError(f"policies has {name}, which has no planner; allowed is what=messages")
        return agent

    def run(self, folder: Path) -> None:
        """Run the command."""
        s = self.settings
        results: list[OffPolicyResult] = []
        refused: dict[str, str] = {}
        for name, policy in self.policies.items():
            if isinstance(policy, Agent):
                say_source(name)
            try:
                results.append(self._evaluate(name, policy))
            except ValueError as error:
                refused[name] = " ".join(str(error).split())
            else:
                say(f"{results[-1]!r}")
        results.sort(key=lambda result: -result.main.lift.mean)
        found = {
            "log": str(Path(str(s.logs)).absolute()),
            "world": self.world.name,
            "what": s.what,
            "policies": [result.to_json() for result in results],
            "refused": refused,
        }
        write_text_atomically(folder / "ope.json", json.dumps(found, indent=1))
        for name, reason in refused.items():
            say(f"{name} is not evaluated: {reason}")
        if not results:
            raise ValueError(f"the log answers for none of {', '.join(refused)}")
        if s.report:
            from slowfast_rl.ope.report import write_report  # needs an extra

            said = shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
            write_report(results, refused, folder / "report.html", str(s.logs), said)
        say(f"All results  {folder}")
        if s.report:
            say(f"Report       {folder / 'report.html'}")

    def _evaluate(self, name: str, policy: Any) -> OffPolicyResult:
        from slowfast_rl.ope import evaluate

        s = self.settings
        given: dict[str, Any] = {"name": name, "what": s.what, "ridge": s.ridge}
        if s.what != "weekly":
            given |= {"folds": s.folds, "clip": s.clip}
        if s.what == "messages":
            given |= {"reward": s.reward, "most_rows": s.most_rows}
        else:
            given["horizon"] = s.horizon
        with progress_bar(100, f"reading for {name}", " %") as bar:
            return evaluate(
                self.log, policy, progress=lambda done: bar.update(int(100 * done) - bar.n), **given
            )


def main() -> None:
    """Run the command."""
    run("ope", Ope, __doc__ or "")


if __name__ == "__main__":
    main()
