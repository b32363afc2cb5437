"""Bytes that anybody may have put into a store: none is run, none is taken for a row, none hangs.

The faults are drawn with a seed: payloads that a reader of pickles would run, truncations, single
bits, and rows that were copied to the place of another. After each, a store answers with what was
written, with NOT_FOUND, or that it is unavailable.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
import redis

from slowfast_rl.members.clock import WEEK_SECONDS
from slowfast_rl.store import (
    FeatureStore,
    RedisFeatureStore,
    SharedMemoryFeatureStore,
    Status,
    StoreUnavailableError,
    pacing_plan,
    plan_view,
    read_plans,
    write_plans,
)
from slowfast_rl.store.shared_table import SharedTable
from tests.store.redis_server import shared_server
from tests.store.shared_cases import store_in
from tests.waiting import HANG_SECONDS

MEMBERS = np.arange(20)
NOW = WEEK_SECONDS
MAX_STEPS = 2000  # slots that are tried in all searches of one call; a table here has 1024
Draws = np.random.Generator


def payloads(folder: Path) -> list[bytes]:
    """Values that harm whoever runs them, parses them without care or trusts their length."""
    ran = folder / "ran"
    return [
        f"cos\nmkdir\n(S{str(ran)!r}\ntR.".encode(),  # a pickle
        f"__import__('os').mkdir({str(ran)!r})".encode(),
        f"!!python/object/apply:os.mkdir [{str(ran)!r}]".encode(),
        b"[" * 4000,
        b"\x93NUMPY\x01\x00v\x00{'descr': '|O', 'fortran_order': False, 'shape': (1,)}",
        bytes(200),
        b"\xff" * 200,
        b"",
    ]


def caps_of(members: Any) -> Any:
    """A plan tells whose it is."""
    return 100 + np.asarray(members)


def fill(store: FeatureStore) -> None:
    plan = pacing_plan(np.ones((len(MEMBERS), 2), int), 1, np.tile(caps_of(MEMBERS), (2, 1)).T)
    assert write_plans(store, MEMBERS, plan, NOW) == len(MEMBERS)


def check_answers(store: FeatureStore) -> int:
    """Return how many rows are there; every one must be what was written for its member."""
    plan, status = read_plans(store, MEMBERS, NOW)
    there = status == Status.PRESENT
    assert (status[~there] == Status.NOT_FOUND).all()
    assert (plan.cap[there] == caps_of(MEMBERS[there])[:, None]).all()
    assert (plan.week[there] == 1).all()
    assert not plan.cap[~there].any()
    return int(there.sum())


@pytest.fixture
def bounded(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Counts the slots that searches try, and fails where they are many."""
    steps, check, find = 0, SharedTable._check_search, SharedTable._find

    def counted(table: SharedTable, tried: int) -> None:
        nonlocal steps
        steps += 1
        assert steps < MAX_STEPS
        check(table, tried)

    def begun(table: SharedTable, keys: Any) -> Any:
        nonlocal steps
        steps = 0
        return find(table, keys)

    monkeypatch.setattr(SharedTable, "_check_search", counted)
    monkeypatch.setattr(SharedTable, "_find", begun)
    yield
    assert steps > 0


def flip_bit(content: bytearray, draws: Draws, first: int, last: int) -> None:
    content[int(draws.integers(first, last))] ^= 1 << int(draws.integers(8))


def flip_many(content: bytearray, draws: Draws, first: int, last: int) -> None:
    for _ in range(300):
        flip_bit(content, draws, first, last)


def copy_part(content: bytearray, draws: Draws, first: int, last: int) -> None:
    size = int(draws.integers(8, min(4096, (last - first) // 2) + 1)) // 8 * 8
    source, place = (int(draws.integers(first, last - size + 1)) // 8 * 8 for _ in range(2))
    content[place : place + size] = content[source : source + size]


def fill_part(content: bytearray, draws: Draws, first: int, last: int) -> None:
    size = int(draws.integers(8, last - first))
    place = int(draws.integers(first, last - size + 1))
    content[place : place + size] = draws.choice([b"\0", b"\xff"]) * size


Harm = Callable[[bytearray, Draws, int, int], None]
HARMS: list[Harm] = [flip_bit, flip_many, copy_part, fill_part]


@pytest.mark.parametrize("harm", HARMS, ids=lambda harm: harm.__name__)
@pytest.mark.parametrize("part", ["header", "catalogs", "rows", "anywhere"])
@pytest.mark.usefixtures("bounded")
def test_a_shared_file_with_planted_bytes_answers_rightly_or_not_at_all(
    tmp_path: Path, part: str, harm: Harm
) -> None:
    store = store_in(tmp_path)
    fill(store)
    whole = store.path.read_bytes()
    area = store._file.catalog.areas[0].offset
    first, last = {
        "header": (0, 24),
        "catalogs": (4096, 4096 + 1024),
        "rows": (area, len(whole)),
        "anywhere": (0, len(whole)),
    }[part]
    no_magic_number = (ValueError,) if part in ("header", "anywhere") else ()
    for seed in range(25):
        content = bytearray(whole)
        harm(content, np.random.default_rng(seed), first, last)
        store.path.write_bytes(content)  # the same file: those that mapped it see the change
        for open_store in (lambda: store, lambda: SharedMemoryFeatureStore("test", tmp_path)):
            with suppress(StoreUnavailableError, *no_magic_number):
                opened = open_store()
                opened.apply([plan_view(2)])
                check_answers(opened)
                snapshot = opened.snapshot()
                opened.restore(snapshot)
                check_answers(opened)
        store.path.unlink()
        fill(store)


@pytest.mark.usefixtures("bounded")
def test_a_shared_file_of_payloads_is_no_store_and_runs_nothing(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    fill(store)
    whole, area = store.path.read_bytes(), store._file.catalog.areas[0].offset
    for payload in payloads(tmp_path):
        for place in (4096 + 16, 4096 + (1 << 16) + 16, area, area + 64 + 8):
            content = bytearray(whole)
            content[place : place + len(payload)] = payload
            store.path.write_bytes(content)
            try:
                check_answers(store)
                check_answers(SharedMemoryFeatureStore("test", tmp_path))
            except StoreUnavailableError:
                continue
        store.path.write_bytes(payload.ljust(8192, b"\1"))
        with pytest.raises((StoreUnavailableError, ValueError)):
            SharedMemoryFeatureStore("test", tmp_path)
        store.path.write_bytes(whole)
    assert check_answers(store) == len(MEMBERS)
    assert not (tmp_path / "ran").exists()


def test_a_shared_file_that_is_cut_anywhere_kills_nobody(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    fill(store)
    whole, draws = store.path.read_bytes(), np.random.default_rng(0)
    for length in draws.integers(1, len(whole), 40).tolist():
        os.truncate(store.path, length)
        with pytest.raises(StoreUnavailableError, match=r"too short|is not a feature store"):
            check_answers(store)
        with pytest.raises((StoreUnavailableError, ValueError), match=r"short|not a feature store"):
            SharedMemoryFeatureStore("test", tmp_path)
        store.path.write_bytes(whole)
        assert check_answers(store) == len(MEMBERS)


@pytest.fixture
def server() -> Iterator[tuple[RedisFeatureStore, redis.Redis, str]]:
    """A filled store on the server of the tests, a raw client, and the beginning of its keys."""
    url, namespace = shared_server().url, uuid4().hex
    store = RedisFeatureStore(url, namespace, timeout_seconds=HANG_SECONDS)
    store.apply([plan_view(2)])
    fill(store)
    raw = redis.Redis.from_url(url)
    yield store, raw, f"{namespace}:plans:"
    raw.close()
    store.close()


def check_one_row_harmed(store: RedisFeatureStore, member: int) -> None:
    """The rows of the others are there, and the next plan replaces the harmed one."""
    assert check_answers(store) == len(MEMBERS) - 1
    assert read_plans(store, [member], NOW)[1][0] == Status.NOT_FOUND
    snapshot = store.snapshot()
    assert snapshot.arrays["plans/entity_ids"].tolist() == [m for m in MEMBERS if m != member]
    plan = pacing_plan(np.ones((len(MEMBERS), 2), int), 2, np.tile(caps_of(MEMBERS), (2, 1)).T)
    assert write_plans(store, MEMBERS, plan, 2 * NOW) == len(MEMBERS)
    assert set(read_plans(store, MEMBERS, 2 * NOW)[1]) == {Status.PRESENT}
    store.restore(snapshot)


def test_payloads_in_redis_harm_their_own_row_only(
    server: tuple[RedisFeatureStore, redis.Redis, str], tmp_path: Path
) -> None:
    store, raw, prefix = server
    for payload in payloads(tmp_path):
        fill_again(store)
        raw.set(f"{prefix}7", payload)
        check_one_row_harmed(store, 7)
    assert not (tmp_path / "ran").exists()


def fill_again(store: FeatureStore) -> None:
    store.delete("plans", MEMBERS)
    fill(store)


@pytest.mark.parametrize("kind", ["list", "hash", "set", "zset", "stream"])
def test_a_key_of_another_type_harms_its_own_row_only(
    server: tuple[RedisFeatureStore, redis.Redis, str], kind: str
) -> None:
    store, raw, prefix = server
    key = f"{prefix}7"
    raw.delete(key)
    {
        "list": lambda: raw.lpush(key, "x"),
        "hash": lambda: raw.hset(key, "x", "y"),
        "set": lambda: raw.sadd(key, "x"),
        "zset": lambda: raw.zadd(key, {"x": 1}),
        "stream": lambda: raw.xadd(key, {"x": "y"}),
    }[kind]()
    check_one_row_harmed(store, 7)


def test_flipped_cut_and_copied_rows_in_redis_harm_their_own_row_only(
    server: tuple[RedisFeatureStore, redis.Redis, str],
) -> None:
    store, raw, prefix = server
    row: Any = raw.get(f"{prefix}7")
    other: Any = raw.get(f"{prefix}8")
    draws = np.random.default_rng(0)
    bits = draws.permutation(8 * len(row))[:60].tolist()
    for bit in bits:
        flipped = bytearray(row)
        flipped[bit // 8] ^= 1 << bit % 8
        raw.set(f"{prefix}7", bytes(flipped))
        assert check_answers(store) == len(MEMBERS) - 1
    for length in range(len(row)):
        raw.set(f"{prefix}7", row[:length])
        assert check_answers(store) == len(MEMBERS) - 1
    raw.set(f"{prefix}7", row + row)
    check_one_row_harmed(store, 7)
    fill_again(store)
    raw.set(f"{prefix}7", other)
    check_one_row_harmed(store, 7)


def test_a_copied_row_gives_way_to_a_plan_of_the_same_week(
    server: tuple[RedisFeatureStore, redis.Redis, str],
) -> None:
    store, raw, prefix = server
    raw.set(f"{prefix}7", raw.get(f"{prefix}8"))
    plan = pacing_plan(np.ones((len(MEMBERS), 2), int), 1, np.tile(caps_of(MEMBERS), (2, 1)).T)
    assert write_plans(store, MEMBERS, plan, NOW) == 1
    assert check_answers(store) == len(MEMBERS)


def test_keys_that_others_put_under_the_namespace_are_left_out_of_a_snapshot(
    server: tuple[RedisFeatureStore, redis.Redis, str],
) -> None:
    store, raw, prefix = server
    row: Any = raw.get(f"{prefix}7")
    arabic_seven = "\u0667"
    strange = ["007", "+7", " 7", "7 ", "-7", "7_0", arabic_seven, str(2**63), str(2**70), "", "x"]
    for end in strange:
        raw.set(f"{prefix}{end}", row)
    raw.set(prefix.encode() + b"\xff\xfe", row)
    snapshot = store.snapshot()
    assert snapshot.arrays["plans/entity_ids"].tolist() == MEMBERS.tolist()
    store.restore(snapshot)
    assert check_answers(store) == len(MEMBERS)
