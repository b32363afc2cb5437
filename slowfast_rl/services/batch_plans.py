"""One week's plans for members in parquet files, shard by shard; a killed job continues.

A shard is a row group of a file. Its plans are a function of the job and the shard alone, and are
written in this order, each file atomically: the plans (``part-000000.parquet``), a record with
their digest (``part-000000.json``), the rows in the store, and in the record that the store has
them. Whoever continues the job reads the records: a shard with a record is not planned again, one
without has left nothing in the store. Writing the rows again changes nothing, as the store accepts
one plan a member and week.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from slowfast_rl.logs.histories import MemberHistories
from slowfast_rl.logs.parquet import (
    RowGroups,
    read_columns,
    read_matrix,
    row_groups,
    write_columns,
)
from slowfast_rl.logs.reading import EventLog
from slowfast_rl.logs.schema import LAUNCH_FILE, TABLES
from slowfast_rl.members.arrays import Float32, Int64
from slowfast_rl.members.clock import WEEK_SECONDS
from slowfast_rl.members.features import weekly_features
from slowfast_rl.members.loading import world_hash
from slowfast_rl.members.workers import run_jobs
from slowfast_rl.members.world import World
from slowfast_rl.policies.component_files import to_node
from slowfast_rl.policies.contracts import BasePlanner
from slowfast_rl.policies.observation_checks import weekly_check
from slowfast_rl.policies.plan_exchange import choose_plans
from slowfast_rl.services.planner import PlanningService
from slowfast_rl.services.store_clock import publish_observations
from slowfast_rl.store import (
    FeatureStore,
    InMemoryFeatureStore,
    PacingPlan,
    Status,
    pacing_plan,
    plan_view,
    read_plans,
    write_plans,
)
from slowfast_rl.store.checks import check_distinct, check_ids
from slowfast_rl.store.files import write_text_atomically

JOB_FILE = "job.json"  # what decides the plans of a job's folder
_BLOCK = 1 << 16  # members planned for together, which bounds working memory


class Shard(NamedTuple):
    """Members that are planned for together: a row group of a file, or a part of a log."""

    number: int
    path: Path
    row_group: int
    rows: int


class PlanJob(NamedTuple):
    """What decides the plans of all shards, and where they go.

    Attributes:
        world: the world, for its menu and features.
        planner: the slow policy; beliefs about members begin with this week's features.
        policy_version: written with every plan.
        week: the week of the features.
        folder: of the plans and their records, which all workers can write to.
        open_store: opens the store that gets the plans too; None for files alone.
        store: what tells that store from others, as JSON can hold it.
        log: folder of the log whose parts the shards are: the members' observations and beliefs
            are built from their history; None where shards have this week's features.
    """

    world: World
    planner: BasePlanner
    policy_version: int
    week: int
    folder: Path
    open_store: Callable[[], FeatureStore] | None
    store: Any = None
    log: Path | None = None

    @property
    def thread_safe(self) -> bool:
        """No: plans are written in the order of the shards."""
        return False


class Record(NamedTuple):
    """What is noted of a shard that was planned."""

    members: int  # with a plan
    invalid: int  # without one, because their features are invalid
    fault: str  # one line about the first of them
    target: tuple[int, ...]  # [C] sum over the members
    sha256: str  # of the file of plans
    stored: bool  # whether the store has them; true where there is none
    refused: int  # plans for members that had another one of this week in the store

    @classmethod
    def read(cls, path: Path) -> "Record | None":
        """Return the record in a file; None where there is none that is intact."""
        try:
            found = cls(**json.loads(path.read_text("utf-8")))
        except (OSError, ValueError, TypeError):
            return None
        return found._replace(target=tuple(found.target))

    def write(self, path: Path) -> None:
        """Write the record to a file."""
        write_text_atomically(path, json.dumps(self._asdict()))


class Outcome(NamedTuple):
    """What became of a shard."""

    record: Record
    continued: bool  # whether it was planned by an earlier process


def find_shards(members: Path) -> tuple[list[Shard], list[Any]]:
    """Return the shards of a parquet file, or of all in a folder, and what identifies them.

    Raises:
        ValueError: there is no parquet file, one is damaged, or no file has a row.
    """
    paths = sorted(members.rglob("*.parquet")) if members.is_dir() else [members]
    groups: list[tuple[Path, RowGroups]] = [(path, row_groups(path)) for path in paths]
    places = [(p, i, n) for p, found in groups for i, n in enumerate(found.rows) if n]
    if not places:
        raise ValueError(f"members is {str(members)!r}, which has no row in a parquet file")
    shards = [Shard(number, p.absolute(), i, n) for number, (p, i, n) in enumerate(places)]
    names = [str(p.relative_to(members)) if p != members else p.name for p in paths]
    return shards, [
        [name, found.digest, found.rows] for name, (_, found) in zip(names, groups, strict=True)
    ]


def find_log_shards(log: EventLog) -> tuple[list[Shard], list[Any]]:
    """Return the parts of a log as shards, and what identifies them.

    Raises:
        ValueError: a file is damaged, or a member has rows in several parts.
    """
    shards: list[Shard] = []
    identity: list[Any] = []
    members: list[Int64] = []
    launches = log.folder / LAUNCH_FILE
    if launches.exists():
        identity.append([LAUNCH_FILE, _digest(launches)])
    for number, name in enumerate(log.part_names):
        files = [log.folder / table / name for table in TABLES]
        groups = {path: row_groups(path) for path in files if path.exists()}
        plans = log.folder / "plans" / name
        shards.append(Shard(number, plans.absolute(), 0, sum(groups[plans].rows)))
        identity += [[f"{p.parent.name}/{name}", g.digest, g.rows] for p, g in groups.items()]
        members.append(np.unique(check_ids(read_columns(plans, ["member"])["member"])))
    check_distinct(np.concatenate(members))
    return shards, identity


def check_members(shards: Sequence[Shard]) -> None:
    """Check that no member is in two rows; this takes 8 bytes of memory a member.

    Raises:
        ValueError: one is; the message names it.
    """
    ids = [check_ids(read_columns(s.path, ["entity_id"], s.row_group)["entity_id"]) for s in shards]
    check_distinct(np.concatenate(ids))


def job_identity(job: PlanJob, members: list[Any]) -> dict[str, Any]:
    """Return what decides the plans of a job and where they are stored, as JSON can hold it."""
    arrays: dict[str, NDArray[Any]] = {}
    node = to_node(job.planner, "slow", arrays)
    weights = {name: hashlib.sha256(array.tobytes()).hexdigest() for name, array in arrays.items()}
    text = json.dumps([node, weights], sort_keys=True)
    identity = {
        "world": world_hash(job.world),
        "planner": hashlib.sha256(text.encode()).hexdigest()[:16],
        "policy_version": job.policy_version,
        "week": job.week,
        "store": job.store,
        "members": members,
    }
    plain: dict[str, Any] = json.loads(json.dumps(identity))
    return plain


def begin_job(folder: Path, identity: dict[str, Any]) -> None:
    """Note what decides the plans in a folder, or check that it is what was noted.

    Raises:
        ValueError: the folder has plans of another job.
    """
    path = folder / JOB_FILE
    try:
        found = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        write_text_atomically(path, json.dumps(identity, indent=1))
        return
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} is unreadable: {error}; allowed is another output") from error
    for name, wanted in identity.items():
        if found.get(name) != wanted:
            raise ValueError(
                f"{folder} has plans of another job, whose {name} is {str(found.get(name))[:60]} "
                f"and not {str(wanted)[:60]}; allowed is another output"
            )


def plan_shards(job: PlanJob, shards: Sequence[Shard]) -> Iterator[Outcome]:
    """Plan all shards that have no record, with the workers in use; yield them in their order.

    Raises:
        StoreUnavailableError: the store cannot be reached; the job can be continued later.
        ValueError: a file cannot be read, or the planner does not return one index into the menu
            per member.
    """
    return run_jobs(plan_shard, job, shards)


def plan_shard(job: PlanJob, shard: Shard) -> Outcome:
    """Plan one shard, unless it has a record; see the description of this file."""
    plans_path = job.folder / f"part-{shard.number:06}.parquet"
    record_path = plans_path.with_suffix(".json")
    record = Record.read(record_path)
    continued = record is not None and record.sha256 == _digest(plans_path)
    if record is None or not continued:
        record = _plan(job, shard, plans_path)
        record.write(record_path)
    if job.open_store is not None and not record.stored:
        store = job.open_store()
        store.apply([plan_view(len(job.world.channels))])
        refused = _store(store, *read_part(job.world, plans_path), job.week * WEEK_SECONDS)
        record = record._replace(stored=True, refused=refused)
        record.write(record_path)
    return Outcome(record, continued)


def _plan(job: PlanJob, shard: Shard, path: Path) -> Record:
    """Write the plans of a shard to a file, and return its record."""
    world, now = job.world, job.week * WEEK_SECONDS
    if job.log is not None:
        ids, plan = _plan_logged(job, job.log, shard.path.name)
        write_part(path, world, ids, plan)
        return _record(job, path, plan)
    names = [feature.name for feature in weekly_features(world)]
    ids = check_ids(read_columns(shard.path, ["entity_id"], shard.row_group)["entity_id"])
    observations, check = read_matrix(shard.path, names, shard.row_group), weekly_check(world)
    valid = check.valid(observations)
    fault = "" if valid.all() else check.report(observations, ids, valid)
    ids, observations = ids[valid], observations[valid]
    blocks = [
        _plan_block(job, ids[i : i + _BLOCK], observations[i : i + _BLOCK], now)
        for i in range(0, max(len(ids), 1), _BLOCK)
    ]
    plan = PacingPlan(*(np.concatenate(column) for column in zip(*blocks, strict=True)))
    write_part(path, world, ids, plan)
    return _record(job, path, plan)._replace(invalid=int((~valid).sum()), fault=fault)


def _record(job: PlanJob, path: Path, plan: PacingPlan) -> Record:
    """Return the record of a shard all of whose features are valid."""
    target = tuple(int(total) for total in plan.target.sum(axis=0))
    stored = job.open_store is None
    return Record(len(plan.week), 0, "", target, _digest(path) or "", stored, 0)


def _plan_logged(job: PlanJob, folder: Path, part: str) -> tuple[Int64, PacingPlan]:
    """Return ids and plans of the living members of a part of a log, for the week after it."""
    log = EventLog(folder, job.world)
    for replay in MemberHistories(log, log.part(part)).replay(job.planner.belief_filter):
        last = replay
    alive = np.flatnonzero(last.alive)
    asked = last.plan_request(job.planner)
    request = asked._replace(
        **{name: column[alive] for name, column in asked._asdict().items() if column is not None}
    )
    chosen = choose_plans(job.planner, request)
    return request.entity_ids, pacing_plan(
        job.world.plans[chosen],
        request.weeks,
        shape=job.world.plan_shapes[chosen],
        policy_version=job.policy_version,
    )


def _plan_block(job: PlanJob, ids: Int64, observations: Float32, now: int) -> PacingPlan:
    """Return the plans that a planning service makes for these members."""
    store = InMemoryFeatureStore()
    service = PlanningService(
        job.world, job.planner, store, ids, job.policy_version, keep_beliefs=False
    )
    publish_observations(store, ids, observations, now)
    return service.plan_at(now).plan


def _store(store: FeatureStore, ids: Int64, plan: PacingPlan, now: int) -> int:
    """Write plans to the store, and return how many members have another one of this week."""
    if write_plans(store, ids, plan, now) == len(ids):
        return 0
    found, status = read_plans(store, ids, now)  # some may be ours, from before a kill
    same = status == Status.PRESENT
    for ours, theirs in zip(plan, found, strict=True):
        same &= np.asarray(ours == theirs).reshape(len(ids), -1).all(axis=1)
    return int((~same).sum())


def write_part(path: Path, world: World, ids: Int64, plan: PacingPlan) -> None:
    """Write plans [B] for members with these ids [B] to a parquet file."""
    columns: dict[str, NDArray[Any]] = {"entity_id": ids, "week": plan.week}
    for c, channel in enumerate(world.channels):
        columns |= {f"{channel}_target": plan.target[:, c], f"{channel}_cap": plan.cap[:, c]}
    write_columns(path, columns | {"shape": plan.shape, "policy_version": plan.policy_version})


def read_part(world: World, path: Path) -> tuple[Int64, PacingPlan]:
    """Return ids and plans that :func:`write_part` wrote.

    Raises:
        ValueError: the file is missing or damaged.
    """
    kinds = ("target", "cap")
    names = {kind: [f"{channel}_{kind}" for channel in world.channels] for kind in kinds}
    single = ["entity_id", "shape", "week", "policy_version"]
    columns = read_columns(path, [*single, *names["target"], *names["cap"]])
    target, cap = (np.stack([columns[name] for name in names[kind]], axis=1) for kind in kinds)
    ids, shape, week, version = (columns[name] for name in single)
    return ids, PacingPlan(target, cap, shape, week, version)


def _digest(path: Path) -> str | None:
    """Return the digest of a file; None where it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None
