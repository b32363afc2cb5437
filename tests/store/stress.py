"""Writers and readers in processes of their own, all on one store at the same time.

Every writer plans week after week for all members, in order, so that each (member, week) is
written first by exactly one of them, and that write must stand until the week is over. A row says
of itself who wrote it: all its columns follow from member, week and writer.

Work ends by what was done, not by the time: each process has a share to do, and goes on beyond it
until all have done theirs. So every share is done while all others are at work too, however slow
the machine is and whatever it runs first. No writer's clock gets further ahead of another's than
a store takes clocks to be.
"""

import multiprocessing
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from slowfast_rl.members.arrays import Int64
from slowfast_rl.members.clock import WEEK_SECONDS
from slowfast_rl.store import FeatureStore, PacingPlan, Status, plan_view, read_plans, write_plans
from slowfast_rl.store import shared as shared_module
from slowfast_rl.store import shared_file as file_module
from slowfast_rl.store.rules import HORIZON_WEEKS
from tests.waiting import HANG_SECONDS

Connect = Callable[[], FeatureStore]
GoOn = Callable[[int], bool]  # told how much was done; whether to do more
MEMBERS = 1500  # a view begins with room for fewer, and moves twice
_NEVER = 2**62
_IDS = np.arange(MEMBERS, dtype=np.int64) * 7 + 3


class Outcome(NamedTuple):
    """What all processes saw."""

    accepted: dict[int, int]  # by week, rows that a writer was told are kept
    torn: int  # rows whose columns do not go together
    mixed: int  # (member, week) of which two plans were seen
    vanished: int  # rows that were there and were not found later
    reads: list[int]  # of all members, by reader
    weeks: int  # that all writers finished


def plan_of(ids: Int64, week: int, writer: int) -> PacingPlan:
    """Returns plans all of whose columns follow from member, week and writer."""
    base = (ids * 1_000_003 + week * 8191 + writer * 131) % 1_000_000
    target = np.stack([base, base + 1], axis=1).astype(np.int32)
    return PacingPlan(
        target=target,
        cap=target + 2,
        shape=(base + 3).astype(np.int32),
        week=np.full(len(ids), week),
        policy_version=np.full(len(ids), writer),
    )


def stress(connect: Connect, share: int, writers: int = 4, readers: int = 4) -> Outcome:
    """Lets processes write at least ``share`` weeks and read as often; returns what they saw."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    # Views are there and all processes run before anybody writes.
    connect().apply([plan_view(2)])
    barrier, results = context.Barrier(writers + readers), context.Queue()
    done = context.Value("i", 0)  # processes that did their share
    clocks = context.Array("q", [0] * writers)  # the week of each writer
    jobs = [(_write, number) for number in range(writers)] + [(_read, 0)] * readers
    processes = [
        context.Process(
            target=_run, args=(job, connect, number, share, barrier, done, clocks, results)
        )
        for job, number in jobs
    ]
    for process in processes:
        process.start()
    try:
        found = [results.get(timeout=HANG_SECONDS) for _ in processes]
        for process in processes:
            process.join(HANG_SECONDS)
    finally:
        for process in processes:
            process.kill()
    errors = [what for kind, what in found if kind == "error"]
    assert not errors, errors[0]
    accepted: Counter[int] = Counter()
    seen: dict[tuple[int, int], set[int]] = {}
    reads: list[int] = []
    torn = vanished = 0
    for kind, what in found:
        if kind == "wrote":
            accepted.update(what)
        else:
            torn, vanished = torn + what["torn"], vanished + what["vanished"]
            reads.append(what["reads"])
            for key, versions in what["seen"].items():
                seen.setdefault(key, set()).update(versions)
    weeks = min(max(what, default=-1) + 1 for kind, what in found if kind == "wrote")
    mixed = sum(len(versions) > 1 for versions in seen.values())
    return Outcome(dict(accepted), torn, mixed, vanished, reads, weeks)


def _run(
    job: Callable[..., Any], connect: Connect, number: int, share: int, barrier: Any, done: Any,
    clocks: Any, out: Any,
) -> None:  # fmt: skip
    # A busy machine may leave a writer aside in the middle of a row for longer than readers are
    # patient. Such a row reads as not found, and nothing vanished.
    shared_module._READ_TIMEOUT_SECONDS = HANG_SECONDS
    file_module._LOCK_TIMEOUT_SECONDS = HANG_SECONDS

    def go_on(count: int) -> bool:
        if count == share:
            with done.get_lock():
                done.value += 1
        if job is _write:
            clocks[number] = count
            while count > min(clocks) + HORIZON_WEEKS and done.value < barrier.parties:
                time.sleep(1e-3)
        return bool(done.value < barrier.parties)

    try:
        store = connect()
        store.apply([plan_view(2)])
        barrier.wait(HANG_SECONDS)
        out.put(job(store, number, go_on))
        if job is _write:
            clocks[number] = _NEVER  # nobody waits for a writer that has ended
    except BaseException as error:
        out.put(("error", repr(error)))
        done.value = barrier.parties  # nobody needs to wait for this process


def _write(store: FeatureStore, writer: int, go_on: GoOn) -> tuple[str, dict[int, int]]:
    accepted: dict[int, int] = {}
    draws, week = np.random.default_rng(writer), 0
    while go_on(week):
        accepted[week] = 0
        for ids in np.array_split(draws.permutation(_IDS), 5):
            plan = plan_of(ids, week, writer)
            accepted[week] += write_plans(store, ids, plan, week * WEEK_SECONDS)
        week += 1
    return "wrote", accepted


def _read(store: FeatureStore, _: int, go_on: GoOn) -> tuple[str, dict[str, Any]]:
    torn = vanished = reads = 0
    known = np.zeros(len(_IDS), np.bool_)
    seen: dict[tuple[int, int], set[int]] = {}
    late = 10**7 * WEEK_SECONDS  # so that a row of any week is read, as one past its age
    while go_on(reads):
        plan, status = read_plans(store, _IDS, late)
        reads += 1
        there = status != Status.NOT_FOUND
        vanished += int((known & ~there).sum())
        known |= there
        ids, weeks, writers = _IDS[there], plan.week[there], plan.policy_version[there]
        base = (ids * 1_000_003 + weeks * 8191 + writers * 131) % 1_000_000
        whole = (plan.target[there] == np.stack([base, base + 1], axis=1)).all(axis=1)
        whole &= (plan.cap[there] == np.stack([base + 2, base + 3], axis=1)).all(axis=1)
        whole &= plan.shape[there] == base + 3
        torn += int((~whole).sum())
        for key in zip(ids.tolist(), weeks.tolist(), writers.tolist(), strict=True):
            seen.setdefault(key[:2], set()).add(key[2])
    return "read", {"torn": torn, "vanished": vanished, "reads": reads, "seen": seen}
