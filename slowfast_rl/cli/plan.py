"""slowfast-plan: plan the week of many members, once or week after week.

  slowfast-plan checkpoint=runs/train/a store=redis members=2048 loop=true
  slowfast-plan checkpoint=runs/train/a members=features.parquet
  slowfast-plan checkpoint=runs/train/a members=features/ engine=ray store=redis week=12

With members=<count> it plans for members 0 to count - 1; the executor (slowfast-serve) writes their
logged features and the clock to the store. With members=<parquet> the features are read from a file
with the column entity_id and one column for each weekly feature; a member with a missing number or
one outside its bounds gets no plan, and is counted. Plans are written to the store and to
runs/plan/<time>/plans/, and a summary to plan.json.

With members=<folder>, or with engine=ray, each row group of the parquet files is planned for alone,
by this process or by Ray's workers. Plans are written to the store and, a file for each row group,
to output=<folder>, by default to a folder beside the run's that is named by the digest of what
decides the plans. The same command continues a job that was killed: what has been planned is not
planned again. Beliefs about members begin with the features of the week.

With members=<log>, a folder that slowfast-logs wrote, it plans the week after the log for all
living members: their features and the beliefs about them are built from their whole history.
"""

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from slowfast_rl.agents import SlowFastAgent
from slowfast_rl.cli.app import run
from slowfast_rl.cli.checkpoints import load_agent, say_source
from slowfast_rl.cli.engine import EngineSettings
from slowfast_rl.cli.results import say
from slowfast_rl.cli.resume import locked
from slowfast_rl.cli.schema import build, limited, read
from slowfast_rl.cli.settings import Settings, check_shared
from slowfast_rl.cli.waiting import once_available
from slowfast_rl.evaluation.progress import progress_bar
from slowfast_rl.logs.schema import LOG_FILE
from slowfast_rl.members.clock import HORIZON_WEEKS, WEEK_SECONDS
from slowfast_rl.members.features import weekly_features
from slowfast_rl.policies.observation_checks import weekly_check
from slowfast_rl.services.planner import Planned, PlanningService
from slowfast_rl.services.store_clock import publish_observations
from slowfast_rl.store import FeatureStore, StoreUnavailableError
from slowfast_rl.store.checks import check_distinct, check_ids
from slowfast_rl.store.files import write_text_atomically

if TYPE_CHECKING:
    from slowfast_rl.logs.reading import EventLog
    from slowfast_rl.services.batch_plans import Outcome

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class PlanSettings(EngineSettings, Settings):
    """Settings of the command, as in ``configs/plan.yaml``."""

    checkpoint: str
    allow: tuple[str, ...]
    store: dict[str, Any]
    members: int | str
    loop: bool
    week: int = limited(low=0, high=HORIZON_WEEKS - 1)
    policy_version: int | None = limited(low=0)
    beliefs_file: str | None
    forget_weeks: int | None = limited(low=1)
    poll_seconds: float = limited(low=0, above=True)
    output: str | None

    def __post_init__(self) -> None:
        """Raise ValueError for a value outside what is allowed."""
        super().__post_init__()
        self.check_engine()
        if isinstance(self.members, int) and self.members < 1:
            raise ValueError(f"members is {self.members}; allowed is 1 or more, or a parquet file")
        if isinstance(self.members, str) and self.loop:
            raise ValueError(f"members is {self.members!r} with loop=true; allowed is a count")
        if isinstance(self.members, int) and self.engine != "local":
            raise ValueError(
                f"members is {self.members} with engine={self.engine}; allowed is a parquet file "
                "or a folder of them"
            )
        for name, default in (("beliefs_file", self.in_shards), ("output", not self.in_shards)):
            if default and getattr(self, name) is not None:
                allowed = "one parquet file and engine=local" if self.in_shards else "a folder"
                raise ValueError(
                    f"{name} is {getattr(self, name)!r} with members={self.members} and "
                    f"engine={self.engine}; allowed is null, or members={allowed}"
                )
        if self.output is not None:
            inside = Path(self.output).resolve()
            if Path(str(self.members)).resolve() in (inside, *inside.parents):
                raise ValueError(
                    f"output is {self.output!r}, which lies in members={self.members}, whose files "
                    "are members; allowed is another folder"
                )

    @property
    def in_shards(self) -> bool:
        """Whether members are planned for shard by shard, without a clock."""
        if isinstance(self.members, int):
            return False
        return self.engine != "local" or Path(self.members).is_dir()


class Plan:
    """Plans with a checkpoint's planner, and writes the plans to the store.

    Raises:
        ValueError: a setting is missing, unknown, of the wrong type or outside what is allowed.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        s = self.settings = read(PlanSettings, settings)
        self.world = s.make_world()
        self.agent = load_agent(s.checkpoint, self.world, s.device, s.allow, SlowFastAgent)
        if not isinstance(s.members, str):  # plans for a file may be written to files alone
            check_shared(s.store)
        self.store: FeatureStore = self._once_available(lambda: build(s.store, "store"))
        self.now: int | None = None  # of the features in a file
        if s.in_shards:
            self._find_shards()
            return
        self.invalid, self.fault = 0, ""  # rows of the file that are left out
        if isinstance(s.members, str):
            self._read_file(Path(s.members))
            self.now = s.week * WEEK_SECONDS
        else:
            self.ids = np.arange(s.members)
        self.weeks: dict[int, dict[str, Any]] = {}
        self.unreachable = 0
        self.waiting: str | None = None
        self.kept_week = -1  # whose beliefs are in the file
        self.unsaved: list[Planned] = []  # what is not in a file yet
        self.summary_due = False
        self.told_week = -1  # in which it was last said that files cannot be written

    def run(self, folder: Path) -> None:
        """Run the command."""
        s = self.settings
        say_source(s.checkpoint)
        if s.in_shards:
            self._plan_shards(folder)
            return
        service = self._once_available(
            lambda: PlanningService(
                self.world, self.agent.slow, self.store, self.ids, s.policy_version,
                s.forget_weeks, keep_beliefs=s.loop or s.beliefs_file is not None,
            )
        )  # fmt: skip
        if s.beliefs_file is not None and Path(s.beliefs_file).exists():
            service.load_beliefs(Path(s.beliefs_file))
        say(f"Planning for {len(self.ids):,} members, policy version {service.policy_version}")
        say(f"Plans go to {self.store!r} and {folder}")
        if self.now is not None:
            publish_observations(self.store, self.ids, self.observations, self.now)
            del self.observations  # the store has them now
            written = service.plan_at(self.now)._replace(invalid=self.invalid, fault=self.fault)
            self._note(written)
            self._save(service, folder, written.now)
        elif not s.loop:
            planned = service.plan_if_due()
            if planned is None:
                raise ValueError("the store holds no clock; is slowfast-serve running on it?")
            self._note(planned)
            self._save(service, folder, planned.now)
        while s.loop:
            self._look(service, folder)
            time.sleep(s.poll_seconds)

    def _once_available(self, make: Callable[[], T]) -> T:
        """Return what a function makes; where it plans again and again, wait for the store."""
        if not self.settings.loop:
            return make()
        return once_available(make, lambda: time.sleep(self.settings.poll_seconds))

    def _find_shards(self) -> None:
        """Find the shards of the members, and what identifies the job."""
        from slowfast_rl.services.batch_plans import (
            PlanJob,
            check_members,
            find_log_shards,
            find_shards,
        )

        s, planner, folder = self.settings, self.agent.slow, Path(str(self.settings.members))
        week, log = s.week, None
        if (folder / LOG_FILE).exists():
            log = self._read_log(folder)
            week = log.weeks
            self.shards, self.members = find_log_shards(log)
        else:
            self.shards, self.members = find_shards(folder)
            check_members(self.shards)
        version = planner.policy_version if s.policy_version is None else s.policy_version
        private = s.store.get("name") is None and s.store.get("namespace") is None
        opened = None if private else partial(build, s.store, "store")
        self.job = PlanJob(
            self.world, planner, version, week, Path(), opened, None if private else s.store,
            None if log is None else folder.absolute(),
        )  # fmt: skip

    def _read_log(self, folder: Path) -> "EventLog":
        """Return the log of the members, whose next week is planned.

        Raises:
            ValueError: it is damaged, of another company, another week is asked for, or the planner
                needs what no log holds.
        """
        from slowfast_rl.logs.reading import EventLog  # needs an extra

        if self.agent.slow.privileged:
            raise ValueError(
                f"planner {self.agent.slow.name} is privileged: it needs latents, which no log "
                "holds; allowed is a planner without them"
            )
        log = EventLog(folder, self.world)
        if log.world != self.world:
            raise ValueError(
                f"members is {str(folder)!r}, a log of other channels, schedule, menu or weights "
                f"than world {self.world.name}; allowed is a log of this world's company"
            )
        if self.settings.week not in (0, log.weeks):
            raise ValueError(
                f"week is {self.settings.week} with a log of {log.weeks} weeks; allowed is 0 or "
                f"{log.weeks}, the week after it"
            )
        return log

    def _plan_shards(self, folder: Path) -> None:
        """Plan all shards that have not been planned yet, and write the summary."""
        from slowfast_rl.services.batch_plans import begin_job, job_identity, plan_shards

        s, identity = self.settings, job_identity(self.job, self.members)
        name = f"job-{hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:12]}"
        output = Path(s.output) if s.output is not None else folder.parent / name
        count, rows = len(self.shards), sum(shard.rows for shard in self.shards)
        who = f"{rows:,} members" if self.job.log is None else "the living members of a log"
        say(f"Planning for {who} in {count:,} shards, policy version {self.job.policy_version}")
        say(f"Plans go to {self.store!r} and {output}; the same command continues there")
        with locked(output), s.use_engine():
            begin_job(output, identity)
            job = self.job._replace(folder=output.absolute())
            with progress_bar(count, "planning", " shards", leave=True) as bar:
                outcomes = []
                for outcome in plan_shards(job, self.shards):
                    outcomes.append(outcome)
                    bar.update()
        self._note_shards(output, folder, outcomes)

    def _note_shards(self, output: Path, folder: Path, outcomes: "list[Outcome]") -> None:
        """Write and print the summary of all shards."""
        records = [outcome.record for outcome in outcomes]
        members = sum(record.members for record in records)
        target = np.sum([record.target for record in records], axis=0) / max(members, 1)
        row = {
            "week": self.job.week,
            "now": self.job.week * WEEK_SECONDS,
            "members": members,
            "refused": sum(record.refused for record in records),
            "unseen": 0,
            "invalid": sum(record.invalid for record in records),
            "mean_target": dict(zip(self.world.channels, target.tolist(), strict=True)),
        }
        continued = sum(outcome.continued for outcome in outcomes)
        head = {
            "checkpoint": self.settings.checkpoint,
            "planner": self.agent.slow.name,
            "policy_version": self.job.policy_version,
            "plans": str(output.absolute()),
            "shards": len(records),
            "continued": continued,
            "planned": [row],
        }
        write_text_atomically(folder / "plan.json", json.dumps(head, indent=1))
        week = self.job.week
        say(f"week {week}: {members:,} plans written, {row['refused']:,} of them refused")
        if continued:
            say(f"week {week}: {continued:,} of {len(records):,} shards had been planned before")
        if row["invalid"]:
            fault = next(record.fault for record in records if record.fault)
            say(f"week {week}: {row['invalid']:,} without a plan: {fault}")

    def _read_file(self, path: Path) -> None:
        """Read the members' ids and features, and leave out the rows that are invalid."""
        from slowfast_rl.logs.parquet import read_columns, read_matrix  # needs an extra

        names = [feature.name for feature in weekly_features(self.world)]
        ids = check_ids(read_columns(path, ["entity_id"])["entity_id"])
        check_distinct(ids)
        observations, check = read_matrix(path, names), weekly_check(self.world)
        valid = check.valid(observations)
        if not valid.all():
            self.invalid = int((~valid).sum())
            self.fault = check.report(observations, ids, valid)
            if not valid.any():
                raise ValueError(f"{path} has no valid row: {self.fault}")
            ids, observations = ids[valid], observations[valid]
        self.ids, self.observations = ids, observations

    def _look(self, service: PlanningService, folder: Path) -> None:
        """Plan the members that are due, or wait for a store that does not answer."""
        try:
            planned = service.plan_if_due()
        except StoreUnavailableError as error:
            self.unreachable += 1
            self._wait_for(f"the store: {error}")
            return
        if planned is None and service.now is None:
            self._wait_for("a clock in the store: is slowfast-serve running on it?")
            return
        self._wait_for(None)
        if planned is None:
            return
        if planned.entity_ids.size or planned.invalid:
            self._note(planned)
        week = planned.now // WEEK_SECONDS
        try:
            self._save(service, folder, planned.now)
        except OSError as error:  # the store has the plans; the files can wait for room
            if week != self.told_week:
                say(f"warning: week {week}: files cannot be written: {error}")
            self.told_week = week
            self.unsaved = [p for p in self.unsaved if p.now // WEEK_SECONDS == week]
        else:
            if self.told_week >= 0:
                say(f"week {week}: files are written again")
            self.told_week = -1

    def _wait_for(self, what: str | None) -> None:
        """Print what the command waits for, when it changes; None stands for nothing."""
        if what != self.waiting:
            say("the store answers" if what is None else f"waiting for {what}")
            self.waiting = what

    def _note(self, planned: Planned) -> None:
        """Print what was planned at a time, and keep it for the files."""
        week, count = planned.now // WEEK_SECONDS, len(planned.entity_ids)
        target = planned.plan.target.mean(axis=0).tolist() if count else []
        row = {
            "week": week,
            "now": planned.now,
            "members": count,
            "refused": planned.refused,
            "unseen": planned.unseen,
            "invalid": planned.invalid,
            "mean_target": dict(zip(self.world.channels, target, strict=False)),
        }
        self.weeks[planned.now] = row
        self.unsaved.append(planned)
        self.summary_due = True
        unseen = f"; {planned.unseen:,} members have no features this week" * (planned.unseen > 0)
        say(f"week {week}: {count:,} plans written, {planned.refused:,} of them refused{unseen}")
        if planned.invalid:
            say(f"week {week}: {planned.invalid:,} without a plan: {planned.fault}")

    def _save(self, service: PlanningService, folder: Path, now: int) -> None:
        """Write what is not in a file yet: plans, the summary, and once a week the beliefs.

        Raises:
            OSError: there is no room; the next call tries again.
        """
        while self.unsaved:
            planned = self.unsaved[0]
            if planned.entity_ids.size:
                self._write(planned, folder / "plans" / f"at-{planned.now:012}.parquet")
            del self.unsaved[0]
        if self.summary_due:
            self._write_summary(service, folder)
            self.summary_due = False
        self._keep_beliefs(service, now)

    def _write_summary(self, service: PlanningService, folder: Path) -> None:
        head = {
            "checkpoint": self.settings.checkpoint,
            "planner": self.agent.slow.name,
            "policy_version": service.policy_version,
            "unreachable_looks": self.unreachable,
            "store": dict(self.store.counters),
            "planned": list(self.weeks.values()),
        }
        write_text_atomically(folder / "plan.json", json.dumps(head, indent=1))

    def _keep_beliefs(self, service: PlanningService, now: int) -> None:
        """Write the beliefs once a week; they change with the first observation of a week."""
        path, week = self.settings.beliefs_file, now // WEEK_SECONDS
        if path is not None and week != self.kept_week:
            service.save_beliefs(Path(path))
            self.kept_week = week

    def _write(self, planned: Planned, path: Path) -> None:
        from slowfast_rl.services.batch_plans import write_part  # needs an extra

        write_part(path, self.world, planned.entity_ids, planned.plan)


def main() -> None:
    """Run the command."""
    run("plan", Plan, __doc__ or "")


if __name__ == "__main__":
    main()
