"""What readers of shared memory see while writers write, hang and are killed."""

import fcntl
import os
import signal
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from slowfast_rl.store import (
    Status,
    StoreUnavailableError,
    read_plans,
)
from slowfast_rl.store import shared as shared_module
from slowfast_rl.store import shared_file as file_module
from slowfast_rl.store.shared_table import SharedTable
from tests.store.cases import OBSERVATIONS as VIEW
from tests.store.cases import TRAITS, observations
from tests.store.shared_cases import FORK, in_a_child, plan, store_in
from tests.waiting import HANG_SECONDS, comes_true


def test_what_one_process_writes_another_reads(tmp_path: Path) -> None:
    store = store_in(tmp_path)

    def work() -> None:
        os._exit(plan(store_in(tmp_path), [1, 2, 3], push=4))

    assert in_a_child(work) == 3
    assert_array_equal(read_plans(store, [1, 2, 3], 0)[0].target[:, 0], [4, 4, 4])


def test_a_store_handed_down_by_fork_still_takes_turns_with_its_parent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, waits, flock = store_in(tmp_path), FORK.Event(), fcntl.flock

    def telling(descriptor: int, operation: int) -> None:
        try:
            flock(descriptor, operation)
        except BlockingIOError:
            waits.set()
            raise

    def work() -> None:
        monkeypatch.setattr(file_module, "_LOCK_TIMEOUT_SECONDS", HANG_SECONDS)
        monkeypatch.setattr(fcntl, "flock", telling)  # in the child alone
        os._exit(plan(store, [1], push=4))

    child = FORK.Process(target=work)
    with store._file.locked():
        child.start()
        assert comes_true(lambda: waits.is_set() or not child.is_alive())
        assert waits.is_set()  # it found the lock taken
        assert child.is_alive()
    child.join(HANG_SECONDS)
    assert child.exitcode == 1


@pytest.mark.parametrize("written", [0, 1, 2])
def test_a_row_left_half_written_by_a_killed_writer_is_not_found_until_written_again(
    tmp_path: Path, written: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = store_in(tmp_path)
    plan(store, [1, 2], push=3)

    def half(table: SharedTable, slots: Any, records: Any) -> None:
        table._slots[slots, 0] |= np.uint64(1)
        if written > 0:
            table._slots[slots, 3] = records["key"]
        if written > 1:
            table._slots[slots, 1:6] = table.layout.words(records)[:, :5]
        os.kill(os.getpid(), signal.SIGKILL)

    def work() -> None:
        monkeypatch.setattr(SharedTable, "_put", half)
        plan(store_in(tmp_path), [2, 3], push=5, week=1)

    assert in_a_child(work) == -signal.SIGKILL
    _, status = read_plans(store, [1, 2, 3], 0)
    assert_array_equal(status, [Status.PRESENT, Status.NOT_FOUND, Status.NOT_FOUND])
    assert store.counters["not_found_reads"] == 2
    assert plan(store, [1, 2, 3], push=6, week=1) == 3  # the lock went with its holder
    found, status = read_plans(store, [1, 2, 3], 7 * 86_400)
    assert_array_equal(status, [Status.PRESENT] * 3)
    assert_array_equal(found.target[:, 0], [6, 6, 6])


def test_a_reader_waits_for_a_row_that_is_being_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = store_in(tmp_path)
    plan(store, [1], push=3)
    begun, waited, put = FORK.Event(), FORK.Event(), SharedTable._put

    def slow(table: SharedTable, slots: Any, records: Any) -> None:
        table._slots[slots, 0] |= np.uint64(1)
        table._slots[slots, 1:6] = table.layout.words(records)[:, :5]
        begun.set()
        waited.wait(HANG_SECONDS)
        put(table, slots, records)

    def work() -> None:
        monkeypatch.setattr(SharedTable, "_put", slow)
        plan(store_in(tmp_path), [1], push=5, week=1)

    child = FORK.Process(target=work)
    child.start()
    assert begun.wait(HANG_SECONDS)

    def pause(seconds: float) -> None:
        waited.set()  # the writer goes on once the reader has found that it must wait
        time.sleep(seconds)

    # The writer may be slow: what is tested is the waiting, not for how long.
    monkeypatch.setattr(shared_module, "_READ_TIMEOUT_SECONDS", HANG_SECONDS)
    clock = SimpleNamespace(monotonic=time.monotonic, sleep=pause)
    monkeypatch.setattr(shared_module, "time", clock)
    found, status = read_plans(store, [1], 7 * 86_400)
    assert waited.is_set()
    child.join(HANG_SECONDS)
    assert status[0] == Status.PRESENT
    assert found.target[0, 0] == 5


def test_a_writer_that_hangs_does_not_hang_its_readers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = store_in(tmp_path)
    plan(store, [1, 2], push=3)
    other = store_in(tmp_path)
    with other._file.locked():
        table = other._tables["plans"]
        table._slots[table._find(np.array([3], np.uint64)), 0] |= np.uint64(1)  # of id 2
        waited = 0.0

        def pause(seconds: float) -> None:
            nonlocal waited
            waited += seconds
            assert waited < 30

        # Time passes only where the reader pauses: how busy the machine is does not count.
        clock = SimpleNamespace(monotonic=lambda: waited, sleep=pause)
        monkeypatch.setattr(shared_module, "time", clock)
        assert_array_equal(read_plans(store, [1, 2], 0)[1], [Status.PRESENT, Status.NOT_FOUND])
        assert waited > 0


def test_a_damaged_row_is_not_found_and_gives_way(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    plan(store, [1, 2], push=3, week=5)
    table = store._tables["plans"]
    table._slots[table._find(np.array([3], np.uint64)), 4] ^= np.uint64(1 << 17)  # of id 2
    _, status = read_plans(store, [1, 2], 5 * 7 * 86_400)
    assert_array_equal(status, [Status.PRESENT, Status.NOT_FOUND])
    assert plan(store, [1, 2], push=4, week=5) == 1


def test_a_row_under_the_key_of_another_member_is_not_found_and_gives_way(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    plan(store, [1, 2, 3], push=3)
    slots = store._tables["plans"]._slots
    first, second = store._tables["plans"]._find(np.array([2, 3], np.uint64))  # of ids 1 and 2
    slots[first, 1:], slots[second, 1:] = slots[second, 1:].copy(), slots[first, 1:].copy()
    assert_array_equal(
        read_plans(store, [1, 2, 3], 0)[1],
        [Status.NOT_FOUND, Status.NOT_FOUND, Status.PRESENT],
    )
    slots[first, 3], slots[second, 3] = 2, 3  # the keys are right again, their rows are not
    assert_array_equal(
        read_plans(store, [1, 2, 3], 0)[1],
        [Status.NOT_FOUND, Status.NOT_FOUND, Status.PRESENT],
    )
    assert plan(store, [1, 2, 3], push=4) == 2
    assert_array_equal(read_plans(store, [1, 2, 3], 0)[0].target[:, 0], [4, 4, 3])


@pytest.mark.parametrize("used", [0, 3, 2**64 - 1])
def test_a_table_of_ones_ends_every_search_and_is_made_anew_by_the_next_write(
    tmp_path: Path, used: int
) -> None:
    store = store_in(tmp_path)
    plan(store, [1], push=3)
    table = store._tables["plans"]
    table._slots[:] = ~np.uint64(0)
    table._used[0] = used
    with pytest.raises(StoreUnavailableError, match="too many rows in view 'plans'"):
        read_plans(store, [1], 0)
    assert plan(store, [1, 2], push=4) == 2
    assert_array_equal(read_plans(store, [1, 2], 0)[0].target[:, 0], [4, 4])


def test_a_table_that_is_too_full_keeps_its_intact_rows_when_it_is_made_anew(
    tmp_path: Path,
) -> None:
    store = store_in(tmp_path)
    plan(store, range(100), push=3)
    table = store._tables["plans"]
    table._slots[table._slots[:, 3] == 0] = ~np.uint64(0)
    assert store.snapshot().arrays["plans/entity_ids"].tolist() == list(range(100))
    assert store.delete("plans", [7, 1000]) == 1
    assert_array_equal(read_plans(store, [6, 7], 0)[1], [Status.PRESENT, Status.NOT_FOUND])


def test_readers_follow_rows_that_moved_to_a_larger_place(tmp_path: Path) -> None:
    reader, writer = store_in(tmp_path, VIEW, TRAITS), store_in(tmp_path)
    for first in range(0, 20_000, 1000):
        ids = np.arange(first, first + 1000)
        writer.write_to_online_store("observations", ids, observations(ids), 0)
        found = reader.get_online_features("observations", np.arange(first + 1000), 0)
        assert (found.status == Status.PRESENT).all()
        assert_array_equal(found.values["streak"], np.arange(first + 1000))


def test_a_store_whose_members_come_and_go_stays_as_large_as_those_it_holds(tmp_path: Path) -> None:
    store = store_in(tmp_path, VIEW)
    sizes = []
    for first in range(0, 60_000, 500):
        ids = np.arange(first, first + 500)
        store.write_to_online_store("observations", ids, observations(ids), 0)
        assert store.delete("observations", ids) == 500
        sizes.append(store.path.stat().st_size)
    assert sizes[-1] == sizes[len(sizes) // 4]
