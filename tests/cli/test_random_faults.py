"""Planner and executor are killed again and again, while disk, lock and rows of the store fail.

`make test-faults` kills each of them twenty times over each store that processes share. The moments
are drawn with a seed, and counted in steps of the simulation and in operations with files and
locks, so that a slow machine changes no verdict.
"""

import fcntl
import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest

from slowfast_rl.agents import SlowFastAgent
from slowfast_rl.agents.disk import read_arrays
from slowfast_rl.fast import AffinityRanker, PacedExecutor
from slowfast_rl.members.clock import DAY_SECONDS, WEEK_SECONDS
from slowfast_rl.members.loading import load_world
from slowfast_rl.services.store_clock import CLOCK, OBSERVATIONS, published_views, read_clock
from slowfast_rl.slow import RolloutPlanner
from slowfast_rl.store import (
    PLANS,
    FeatureStore,
    Status,
    plan_view,
    read_plans,
)
from tests.agents.cases import WEIGHTS
from tests.cli.calls import planned
from tests.cli.damaged_stores import Redis, Shared
from tests.cli.gates import Gated, limit_files, moments
from tests.services.decisions import read_log

KILLS = int(os.environ.get("KILLS", "2"))  # of the planner, and as many of the executor
WEEKS = max(2, 13 * KILLS // 20)
SEED = int(os.environ.get("SEED", "0"))
FULL_DISKS = max(1, KILLS // 4)
MEMBERS = np.arange(48)
WORLD = load_world("pronounced")
STEPS = WEEKS * (7 + WORLD.slots_per_week)  # of a run without faults
QUIET = 18  # steps at the end of a run without faults in which no fault begins
PATIENCE = 4  # steps, a day, in which a command may reach the operation at which it dies
ROOM = 4096  # bytes to which a file may grow on a full disk: error messages, but no part of a log
OPERATIONS = 24  # of an executor with files and locks in about a day

Draws = np.random.Generator


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("agent") / "agent.zip"
    fast = PacedExecutor(ranker=AffinityRanker.with_weights(WEIGHTS))
    agent = SlowFastAgent(RolloutPlanner(beliefs=True).prepare(WORLD), fast)
    agent.world = WORLD
    agent.save(path)
    return path


class Killed:
    """A command that is killed from drawn steps on, and started again.

    Args:
        steps: the steps from which on it is killed.
        away: the largest number of steps for which it is away then.
        draws: of the operations at which it dies, and of the steps for which it is away.
        command: its name.
        arguments: its arguments.
        cwd: the folder in which it runs.
    """

    def __init__(
        self, steps: set[int], away: int, draws: Draws, command: str, *arguments: str, cwd: Path
    ) -> None:
        self.steps, self._away, self._draws = steps, away, draws
        self._call, self._cwd = (command, *arguments), cwd
        self.kills = self.full = 0  # ends by a kill, and by a full disk
        self._full_disks = 0  # ends by a full disk that are still to come
        self._back: int | None = None  # the step at which it is started again
        self._start()

    def fill_disk(self, ends: int) -> None:
        """Leave no room on its disk until it has ended that many times."""
        self._full_disks += ends
        limit_files(self.running.process.pid, ROOM)

    def ready(self, step: int) -> bool:
        """Wait until it stands at its next gate; False where it is away or has ended well."""
        if self._back is None:
            if self.running.arrives():
                return True
            if self.running.exit_code() == 0:
                return False
            self._check_end()
            self._back = step + int(self._draws.integers(self._away + 1))
        if step < self._back:
            return False
        self._start()
        return self.ready(step)

    def go_on(self, step: int) -> None:
        """Let it pass its gate, and kill it where this is drawn."""
        dies_at = 0
        due = sum(
            first <= step for first in self.steps
        )  # also where it was away or ended meanwhile
        if self.kills < due and self._dies_by < 0:
            dies_at, self._dies_by = int(self._draws.integers(1, OPERATIONS)), step + PATIENCE
        self.running.pass_gate(dies_at)
        if step == self._dies_by:
            self.running.kill()

    def _start(self) -> None:
        self._back, self._dies_by = None, -1
        self.running = Gated(*self._call, cwd=self._cwd)
        if self._full_disks:
            assert self.running.arrives(), self.running.path.read_text()
            limit_files(self.running.process.pid, ROOM)

    def _check_end(self) -> None:
        """It was killed, or said in one line that its disk is full."""
        said = self.running.path.read_text()
        if self.running.exit_code() == -signal.SIGKILL:
            self.kills += 1
            return
        assert self.running.exit_code() == 2, said
        assert "File too large" in said.splitlines()[-1], said
        assert "Traceback" not in said
        self.full += 1
        self._full_disks -= 1


class Lock:
    """The lock of a shared store, held until the executor has counted a day without the store.

    Where the executor is itself held up or killed meanwhile, it is held for two days.
    """

    def __init__(self, path: Path, served: Path, step: int) -> None:
        self.file, self._summary, self._until = path.open("r+b"), served / "serve.json", step + 8
        fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._before = self._days()

    def may_end(self, step: int) -> bool:
        return self.was_missed() or step >= self._until

    def was_missed(self) -> bool:
        return self._days() > self._before

    def _days(self) -> int:
        there = self._summary.exists()
        return json.loads(self._summary.read_text())["unreachable_days"] if there else 0


class Faults:
    """The steps at which faults begin: kills of both commands, full disks, locks and damaged rows.

    Args:
        draws: of the steps. Drawn again until the executor lives through one of the locks for sure,
            because it counts no day without the store if it ends meanwhile.
    """

    def __init__(self, draws: Draws) -> None:
        end, self.surely_missed = STEPS - QUIET, 0
        while not self.surely_missed:
            self.planner, self.executor = (moments(draws, KILLS, end, 8) for _ in range(2))
            self.full_disks, self.locks = (moments(draws, FULL_DISKS, end, 10) for _ in range(2))
            ends = self.executor | self.full_disks
            self.surely_missed = sum(
                not any(-10 < end - lock < 10 for end in ends) for lock in self.locks
            )
        self.damages = moments(draws, KILLS, end, 2)


def stored(store: FeatureStore, view: str, now: int) -> np.ndarray:
    """The entities of which the store has a row."""
    ids = np.zeros(1, np.int64) if view == CLOCK else MEMBERS
    return ids[store.get_online_features(view, ids, now).status != Status.NOT_FOUND]


@pytest.mark.parametrize("make_store", [Shared, Redis])
def test_planner_and_executor_are_killed_while_disk_lock_and_rows_fail(
    make_store: type[Shared | Redis], checkpoint: Path, tmp_path: Path
) -> None:
    draws, served = np.random.default_rng(SEED), tmp_path / "served"
    faults = Faults(draws)
    backend = make_store(tmp_path)
    watched = backend.store
    watched.apply([plan_view(len(WORLD.channels)), *published_views(WORLD)])
    arguments = (f"checkpoint={checkpoint}", *backend.arguments)
    planner = Killed(
        faults.planner, 6, draws, "plan", *arguments, "loop=true",
        f"members={len(MEMBERS)}", f"beliefs_file={tmp_path}/beliefs/file", cwd=tmp_path,
    )  # fmt: skip
    executor = Killed(
        faults.executor, 0, draws, "serve", *arguments,
        f"num_members={len(MEMBERS)}", f"weeks={WEEKS}", f"folder={served}", cwd=tmp_path,
    )  # fmt: skip
    step = owed = damaged = ends_by_full_disk = silent_days = 0
    harmed: set[int] = set()
    lock: Lock | None = None
    while executor.ready(step):
        there = planner.ready(step)
        # Both stand at a gate or are away: what is done to the store now disturbs no call of it.
        now = read_clock(watched)
        if harmed and now is not None:
            ids = np.array(sorted(harmed))
            harmed -= set(ids[read_plans(watched, ids, now)[1] == Status.PRESENT].tolist())
        owed += step in faults.damages
        view = str(draws.choice([PLANS, PLANS, OBSERVATIONS, CLOCK]))
        if owed and now is not None and len(found := stored(watched, view, now)):
            hit = draws.choice(found, min(3, len(found)), replace=False)
            backend.flip_bits(view, hit, draws)
            assert not set(hit) & set(stored(watched, view, now))
            damaged, owed = damaged + len(hit), owed - 1
            harmed |= set(hit.tolist()) if view == PLANS else set()
        if lock is not None and lock.may_end(step):
            lock.file.close()
            silent_days += lock.was_missed()
            lock = None
        if step in faults.locks and backend.lock is not None:
            lock = Lock(backend.lock, served, step)
        if step in faults.full_disks:
            times = int(draws.integers(1, 3)) if KILLS > 2 else 1
            executor.fill_disk(times)
            ends_by_full_disk += times
        executor.go_on(step)
        if there:
            planner.go_on(step)
        step += 1
    assert executor.running.exit_code() == 0
    assert planner.ready(step), planner.running.path.read_text()
    assert planner.kills == executor.kills == KILLS
    assert executor.full == ends_by_full_disk > 0
    assert damaged > owed == 0
    assert planned(watched, MEMBERS)
    planner.running.kill()
    backend.close()

    summary = json.loads((served / "serve.json").read_text())
    log = read_log(served / "decisions")
    column = {name: log[name].to_numpy() for name in log.column_names}
    check_guard(column)
    check_each_decision_is_there_once(column)
    check_plans_of_a_week_hold(column)
    assert harmed.isdisjoint(column["member"][column["time"] == column["time"].max()])
    weeks = column["time"] // WEEK_SECONDS
    fell_back = column["plan_source"] != "plan"
    pairs = set(zip(column["member"][fell_back], weeks[fell_back], strict=True))
    assert summary["fallbacks"] == len(pairs)
    assert pairs or KILLS < 20  # few faults may all spare the moments at which a plan is needed
    assert summary["unreachable_days"] >= silent_days
    assert silent_days >= faults.surely_missed * (backend.lock is not None)
    returns = read_arrays(served / "state.safetensors")[0]["returns"]
    discounted = WORLD.reward.weekly_discount**weeks * column["reward"]
    np.testing.assert_allclose(np.bincount(column["member"], discounted), returns, rtol=1e-9)
    for folder in (served, tmp_path / "beliefs"):
        assert not [*folder.rglob("*.partial")]
    told = {"steps": step, "kills": KILLS, "damaged": damaged, "full": executor.full, **summary}
    (tmp_path / "faults.json").write_text(json.dumps(told | {"silent_days": silent_days}))


Columns = dict[str, np.ndarray]


def check_guard(column: Columns) -> None:
    """Nobody got more than the cap of the plan in force, nobody who had left a channel."""
    sent = column["action"] > 0
    assert sent.any()
    assert (column["sent_this_week"] < column["cap"])[sent].all()
    assert column["opted_in"][sent].all()


def check_each_decision_is_there_once(column: Columns) -> None:
    """Each living member has one row at each opportunity, and members do not come back."""
    opportunities = [
        week * WEEK_SECONDS + slot.weekday * DAY_SECONDS + slot.second
        for week in range(WEEKS)
        for slot in WORLD.schedule
    ]
    assert sorted(set(column["time"].tolist())) == sorted(opportunities)
    members = set(MEMBERS.tolist())
    for time in sorted(opportunities):
        there = column["member"][column["time"] == time].tolist()
        assert len(there) == len(set(there))
        assert set(there) <= members
        members = set(there)


def check_plans_of_a_week_hold(column: Columns) -> None:
    """A plan of a week that was used holds until the week ends, whoever is started again."""
    used: dict[tuple[int, int, str], int] = {}
    names = ("time", "member", "channel", "plan_source", "target", "opted_in")
    for time, member, channel, source, target, opted_in in sorted(
        zip(*(column[name].tolist() for name in names), strict=True)
    ):
        week = member, time // WEEK_SECONDS, channel
        if source == "plan" and opted_in:
            assert used.setdefault(week, target) == target
        elif opted_in:
            assert week not in used
