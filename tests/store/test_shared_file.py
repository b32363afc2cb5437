"""A shared store's file: begun, catalogued, copied, made anew, and let go of, whoever is killed."""

import copy
import fcntl
import os
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from slowfast_rl.store import (
    Column,
    FeatureView,
    SharedMemoryFeatureStore,
    Status,
    StoreUnavailableError,
    plan_view,
    read_plans,
)
from slowfast_rl.store import shared_file as files
from tests.store.cases import OBSERVATIONS as VIEW
from tests.store.cases import TRAITS, observations
from tests.store.shared_cases import FORK, in_a_child, plan, store_in
from tests.waiting import HANG_SECONDS


@pytest.mark.parametrize("moment", range(4))
def test_a_writer_killed_while_it_changes_the_catalog_leaves_the_old_one_or_the_new(
    tmp_path: Path, moment: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = store_in(tmp_path)
    plan(store, [1], push=3)

    def work() -> None:
        other = SharedMemoryFeatureStore("test", tmp_path)
        steps = 0

        class Fatal(np.ndarray):
            def __setitem__(self, *where: Any) -> None:
                nonlocal steps
                if steps == moment:
                    os.kill(os.getpid(), signal.SIGKILL)
                steps += 1
                super().__setitem__(*where)

        put = files._put_catalog
        monkeypatch.setattr(files, "_put_catalog", lambda words, c: put(words.view(Fatal), c))
        other.apply([TRAITS])
        os._exit(0)

    assert in_a_child(work) == -signal.SIGKILL
    fresh = SharedMemoryFeatureStore("test", tmp_path)
    assert read_plans(fresh, [1], 0)[0].target[0, 0] == 3
    fresh.apply([TRAITS])
    assert fresh.write_to_online_store("traits", [1], {"score": np.ones(1)}, 0) == 1
    assert store.get_online_features("traits", [1], 0).status[0] == Status.PRESENT


@pytest.mark.parametrize("moment", range(4))
def test_a_process_killed_while_it_begins_the_file_leaves_one_that_can_be_begun(
    tmp_path: Path, moment: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def work() -> None:
        put = files._put_catalog

        def fatal(words: Any, catalog: Any) -> int:
            if moment < 3:
                put(words, catalog)
                words[1] = 0 if moment < 2 else 1
                words[512] = 0 if moment < 1 else words[512]
            os.kill(os.getpid(), signal.SIGKILL)
            return 0

        monkeypatch.setattr(files, "_put_catalog", fatal)
        store_in(tmp_path)

    assert in_a_child(work) == -signal.SIGKILL
    assert plan(store_in(tmp_path), [1], push=3) == 1


def test_a_file_made_anew_by_somebody_with_other_views_gets_those_of_all(tmp_path: Path) -> None:
    planner, executor = store_in(tmp_path), store_in(tmp_path, plan_view(2), VIEW)
    planner.path.unlink()
    assert plan(planner, [1], push=3) == 1
    assert executor.get_online_features("observations", [1], 0).status[0] == Status.NOT_FOUND
    assert plan(executor, [1], push=4) == 0
    assert [area.view["name"] for area in executor._file.catalog.areas] == ["plans", "observations"]


def test_a_folder_that_vanished_is_silence_until_it_is_back(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    store = store_in(folder)
    plan(store, [1], push=3)
    folder.rename(tmp_path / "elsewhere")
    for _ in range(2):
        with pytest.raises(StoreUnavailableError, match="No such file"):
            plan(store, [1], push=4)
    (tmp_path / "elsewhere").rename(folder)
    assert read_plans(store, [1], 0)[0].target[0, 0] == 3


def test_an_idle_child_holds_no_lock_of_its_dead_parent(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    idles, may_end = FORK.Event(), FORK.Event()

    def idle() -> None:
        idles.set()
        may_end.wait(HANG_SECONDS)

    parent = os.fork()  # joining a Process would wait for the idle child too
    if parent == 0:
        with store._file.locked():
            pass
        FORK.Process(target=idle).start()
        os.kill(os.getpid(), signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(parent, 0)[1]) == -signal.SIGKILL
    assert idles.wait(HANG_SECONDS)
    with store.path.open("r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # raises where the lock is still held
    assert plan(store_in(tmp_path), [1], push=3) == 1
    may_end.set()


def test_a_forked_child_leaves_its_parents_private_store_alone() -> None:
    stores = [SharedMemoryFeatureStore()]
    stores[0].apply([plan_view(2)])
    plan(stores[0], [1], push=3)
    assert in_a_child(stores.clear) == 0  # the child lets go of its only reference
    assert stores[0].path.exists()
    assert read_plans(stores[0], [1], 0)[1][0] == Status.PRESENT


def test_a_copy_opens_the_same_file_and_a_private_store_has_none(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    twin = copy.deepcopy(store)
    plan(store, [1], push=3)
    assert read_plans(twin, [1], 0)[0].target[0, 0] == 3
    with pytest.raises(TypeError, match="without a name"):
        copy.deepcopy(SharedMemoryFeatureStore())


def test_stores_leave_no_descriptors_behind(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        store_in(tmp_path)
    assert len(os.listdir("/proc/self/fd")) <= before + 1


def test_restoring_again_and_again_does_not_grow_the_file(tmp_path: Path) -> None:
    store, draws, sizes = store_in(tmp_path, VIEW, TRAITS), np.random.default_rng(0), []
    for _ in range(40):
        ids = np.arange(int(draws.integers(1, 4000)))
        store.write_to_online_store("observations", ids, observations(ids), 0)
        store.restore(store.snapshot())
        store.delete("observations", ids)
        sizes.append(store.path.stat().st_size)
        assert len(store._file.catalog.free) < 8
    assert sizes[-1] <= 2 * sizes[10]


def test_a_file_deleted_and_made_anew_is_a_store_that_restarted_empty(tmp_path: Path) -> None:
    planner, executor = store_in(tmp_path), store_in(tmp_path)
    plan(planner, [1], push=3)
    planner.path.unlink()
    assert read_plans(executor, [1], 0)[1][0] == Status.NOT_FOUND
    assert plan(planner, [1], push=4) == 1
    assert read_plans(executor, [1], 0)[0].target[0, 0] == 4


def test_a_file_made_anew_that_is_locked_gets_its_views_when_the_lock_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = store_in(tmp_path)
    store.path.unlink()
    SharedMemoryFeatureStore("test", tmp_path)  # made by a process that knows no views
    monkeypatch.setattr(files, "_LOCK_TIMEOUT_SECONDS", 0.0)
    refresh, lock = store._file.refresh, store.path.open("r+b")

    def refresh_and_lock() -> None:
        refresh()
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)

    monkeypatch.setattr(store._file, "refresh", refresh_and_lock)
    for _ in range(2):
        with pytest.raises(StoreUnavailableError, match="kept its lock"):
            read_plans(store, [1], 0)
    lock.close()
    monkeypatch.undo()
    assert read_plans(store, [1], 0)[1][0] == Status.NOT_FOUND
    assert plan(store, [1], push=3) == 1


def test_a_view_of_another_form_is_refused_whoever_registered_it(tmp_path: Path) -> None:
    store_in(tmp_path, plan_view(2))
    with pytest.raises(ValueError, match="'plans' is registered as"):
        store_in(tmp_path, plan_view(3))


def test_a_private_store_takes_its_file_with_it() -> None:
    store = SharedMemoryFeatureStore()
    path = store.path
    assert path.stat().st_mode & 0o777 == 0o600
    del store
    assert not path.exists()


def test_the_file_of_a_killed_private_store_goes_at_the_next_start(tmp_path: Path) -> None:
    def work() -> None:
        store = SharedMemoryFeatureStore(folder=tmp_path)
        store.apply([plan_view(2)])
        os.kill(os.getpid(), signal.SIGKILL)

    assert in_a_child(work) == -signal.SIGKILL
    assert len(list(tmp_path.iterdir())) == 1
    mine = SharedMemoryFeatureStore(folder=tmp_path)
    named = store_in(tmp_path)
    assert {*tmp_path.iterdir()} == {mine.path, named.path}


def test_a_lock_that_another_process_keeps_is_waited_for_so_long_and_no_longer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, waited = store_in(tmp_path), 0.0
    plan(store, [1], push=3)

    def pause(seconds: float) -> None:
        nonlocal waited
        waited += seconds
        assert waited < 60

    # Time passes only where the store pauses: how busy the machine is does not count.
    clock = SimpleNamespace(monotonic=lambda: waited, sleep=pause)
    monkeypatch.setattr(files, "time", clock)
    with store.path.open("r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        for call in (
            lambda: plan(store, [1], push=4, week=1),
            lambda: store.delete("plans", [1]),
            lambda: store.apply([TRAITS]),
            store.snapshot,
            lambda: SharedMemoryFeatureStore("test", tmp_path),
        ):
            before = waited
            with pytest.raises(StoreUnavailableError, match=r"kept its lock for 2\.0 s"):
                call()
            assert 1 < waited - before < 4
        assert read_plans(store, [1], 0)[1][0] == Status.PRESENT  # readers take no lock
    assert plan(store, [1], push=4, week=1) == 1


@pytest.mark.parametrize("kept", [0, 100, 4096, files.AREAS - 8, files.AREAS + 4096])
def test_a_shortened_file_kills_nobody(tmp_path: Path, kept: int) -> None:
    store = store_in(tmp_path)
    plan(store, [1], push=3)

    def work() -> None:
        os.truncate(store.path, kept)
        for call in (lambda: read_plans(store, [1], 0), lambda: plan(store, [1], push=4, week=1)):
            if kept == 0:  # an empty file is begun again
                call()
                continue
            with pytest.raises(StoreUnavailableError, match="it is too short; delete the file"):
                call()
        os._exit(0)

    assert in_a_child(work) == 0
    store.path.unlink()
    assert plan(store, [1], push=4) == 1


def rewritten(store: SharedMemoryFeatureStore, text: bytes) -> None:
    """Replaces the active catalog by other text, with the right checksum."""
    words = store._file.words
    store._file.words[1] += np.uint64(1)
    generation = int(words[1])
    start = files._CATALOGS[generation % 2] // 8
    words[start], words[start + 1] = len(text), files._crc(text, generation)
    words.view(np.uint8)[8 * start + 16 :][: len(text)] = np.frombuffer(text, np.uint8)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\xff\xfe",
        b"[" * 20_000,
        b"[]",
        b"null",
        b'{"areas": [], "free": [], "end": "7"}',
        b'{"areas": [], "free": [[0, 64]], "end": 135168}',
        b'{"areas": [], "free": [[1]], "end": 135168}',
        b'{"areas": [], "free": [], "end": 99999999999}',
        b'{"areas": [{"view": {}, "offset": 135168, "capacity": 4}], "free": [], "end": 140000}',
        b'{"areas": [{"view": [], "offset": 135168, "capacity": 4}], "free": [], "end": 140000}',
        b'{"areas": [{"view": {}, "offset": 135168, "capacity": 3}], "free": [], "end": 140000}',
        b'{"areas": [{"view": {}, "offset": -8, "capacity": 4}], "free": [], "end": 140000}',
        b'{"areas": [{"view": {"name": "x", "columns": {"a": {"dtype": "int8", "shape": [1e9]}}},'
        b' "offset": 135168, "capacity": 4}], "free": [], "end": 140000}',
        b'{"areas": [{"view": {"name": "x", "columns": {"a": {"dtype": "int8", "shape":'
        b' [2000000000]}}}, "offset": 135168, "capacity": 4}], "free": [], "end": 140000}',
    ],
)
def test_a_catalog_that_is_none_makes_the_store_unavailable(tmp_path: Path, text: bytes) -> None:
    store = store_in(tmp_path)
    plan(store, [1], push=3)
    rewritten(store, text)
    for _ in range(2):
        with pytest.raises(StoreUnavailableError, match="is damaged: "):
            read_plans(store, [1], 0)
        with pytest.raises(StoreUnavailableError, match="is damaged: "):
            plan(store, [1], push=3)
        with pytest.raises(StoreUnavailableError, match="is damaged: "):
            SharedMemoryFeatureStore("test", tmp_path)
    store.path.unlink()
    assert plan(store, [1], push=4) == 1


def test_a_catalog_that_changes_all_the_time_is_not_read_for_ever(tmp_path: Path) -> None:
    store = store_in(tmp_path)

    class Restless(np.ndarray):
        def __getitem__(self, where: Any) -> Any:
            if isinstance(where, int) and where == 1:
                super().__setitem__(1, super().__getitem__(1) + np.uint64(1))
            return super().__getitem__(where)

    store._file.words = store._file.words.view(Restless)
    with pytest.raises(StoreUnavailableError, match="changes all the time"):
        read_plans(store, [1], 0)


@pytest.mark.parametrize("content", [b"not a store, but longer than a word", b"x"])
def test_a_file_that_is_no_store_is_named_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "slowfast-test.store"
    path.write_bytes(content.ljust(8192, b"\0"))
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"slowfast-test\.store is not a feature store"):
        store_in(tmp_path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", ["", "a/b", "/tmp/x"])
def test_a_name_that_is_no_files_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="store name"):
        SharedMemoryFeatureStore(name, tmp_path)


def test_a_link_in_the_files_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "slowfast-test.store").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match=r"slowfast-test\.store"):
        store_in(tmp_path)
    assert not (tmp_path / "elsewhere").exists()


def test_no_room_is_silence_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = store_in(tmp_path)
    plan(store, [1], push=3)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "posix_fallocate", full)
    with pytest.raises(StoreUnavailableError, match="No space left"):
        plan(store, np.arange(5000), push=4, week=1)
    monkeypatch.undo()
    assert read_plans(store, [1], 0)[0].target[0, 0] == 3
    assert plan(store, np.arange(5000), push=4, week=1) == 5000


def test_a_view_too_large_for_the_catalog_is_refused(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    wide = FeatureView("wide", {f"column_{i:050}": Column("int8") for i in range(2000)})
    with pytest.raises(ValueError, match="fewer or smaller views"):
        store.apply([wide])
    assert plan(store, [1], push=3) == 1
