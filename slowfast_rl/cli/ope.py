"""slowfast-ope: what other policies would have earned, from a log alone.

  slowfast-ope logs=logs/a policies=[runs/train/a,never,3+1] horizon=8
  slowfast-ope logs=logs/a what=weekly policies=[runs/train/a,runs/train/b]
  slowfast-ope logs=logs/a what=messages policies=[runs/train/a]

The log is a folder that slowfast-logs wrote or checked, in which chance decided with known
probabilities. what=plans evaluates plans that are drawn once and held for the horizon; what=weekly
ranks policies that plan every week, up to 8 weeks; what=messages evaluates executors. Each policy
has its lift over the policy of the log, with an interval, diagnostics and warnings; one that the
log cannot answer for is refused with the reason. Writes ope.json and report.html.
"""

import json
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slowfast_rl.agents import Agent
from slowfast_rl.cli.app import run
from slowfast_rl.cli.checkpoints import load_agent, say_source
from slowfast_rl.cli.log_policies import check_each_once, load_planning_policy
from slowfast_rl.cli.results import say
from slowfast_rl.cli.schema import limited, read
from slowfast_rl.cli.settings import Settings
from slowfast_rl.ope.result import OffPolicyResult
from slowfast_rl.store.files import write_text_atomically

WHAT = ("plans", "weekly", "messages")
REWARDS = ("viewed", "opened")


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
    ridge: float | None = limited(low=0, high=1e3)
    clip: float = limited(low=1, high=1e9)
    report: bool

    def __post_init__(self) -> None:
        """Raise ValueError for a value outside what is allowed."""
        super().__post_init__()
        if self.logs is None or not Path(self.logs).is_dir():
            raise ValueError(f"logs is {self.logs!r}; allowed is a folder that slowfast-logs wrote")
        check_each_once(self.policies, least=1)
        if self.what == "messages" and self.horizon is not None:
            raise ValueError(f"horizon is {self.horizon} with what=messages; allowed is null")


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
        s = self.settings
        given = self.world, s.device, s.allow
        if s.what == "messages":
            return load_agent(name, *given, Agent)  # type: ignore[type-abstract]  # it loads a subclass
        return load_planning_policy(name, self.log.world, *given)

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
        text = json.dumps(found, indent=1, allow_nan=False)
        write_text_atomically(folder / "ope.json", text)
        for name, reason in refused.items():
            say(f"{name} is not evaluated: {reason}")
        if not results:
            raise ValueError(f"the log answers for none of {', '.join(refused)}")
        if s.report:
            from slowfast_rl.ope.report import write_report  # needs an extra

            said = shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
            write_report(results, refused, folder / "report.html", str(s.logs), said)
        say(f"All results  {folder}")

    def _evaluate(self, name: str, policy: Any) -> OffPolicyResult:
        from slowfast_rl.ope import evaluate

        s = self.settings
        given: dict[str, Any] = {"name": name, "what": s.what}
        if s.ridge is not None:
            given["ridge"] = s.ridge
        if s.what != "weekly":
            given |= {"folds": s.folds, "clip": s.clip}
        if s.what == "messages":
            given |= {"reward": s.reward, "most_rows": s.most_rows}
        else:
            given["horizon"] = s.horizon
        return evaluate(self.log, policy, **given)


def main() -> None:
    """Run the command."""
    run("ope", Ope, __doc__ or "")


if __name__ == "__main__":
    main()
