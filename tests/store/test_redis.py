"""What a store in Redis owes to servers that die, rows that are damaged, and secrets."""

import time
from collections.abc import Iterator
from uuid import uuid4

import numpy as np
import pytest
import redis
from numpy.testing import assert_array_equal

from slowfast_rl.members.clock import WEEK_SECONDS
from slowfast_rl.store import (
    Column,
    FeatureView,
    RedisFeatureStore,
    Status,
    StoreUnavailableError,
    pacing_plan,
    plan_view,
    read_plans,
    write_plans,
)
from tests.store.redis_server import RedisServer, free_port, shared_server
from tests.waiting import HANG_SECONDS, comes_true

SECRET = "open sesame"


@pytest.fixture
def server() -> Iterator[RedisServer]:
    """A server of the test's own, to kill."""
    server = RedisServer()
    yield server
    server.kill()


def in_namespace(url: str, namespace: str | None = None) -> RedisFeatureStore:
    store = RedisFeatureStore(url, namespace or uuid4().hex, timeout_seconds=HANG_SECONDS)
    store.apply([plan_view(2)])
    return store


def plan(store: RedisFeatureStore, ids: list[int], push: int, week: int = 0) -> int:
    return write_plans(store, ids, pacing_plan([[push, 1]] * len(ids), week), week * WEEK_SECONDS)


def status(store: RedisFeatureStore, ids: list[int], week: int = 0) -> list[int]:
    return list(read_plans(store, ids, week * WEEK_SECONDS)[1])


def test_a_server_that_died_is_silence_and_one_that_came_back_is_used_again(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = in_namespace(server.url)
    assert plan(store, [1], push=3) == 1
    server.kill()
    connect, tries = redis.Connection._connect, 0

    def counted(connection: redis.Connection) -> object:
        nonlocal tries
        tries += 1
        return connect(connection)

    def never(seconds: float) -> None:
        pytest.fail(f"it paused for {seconds} s before it told of the silence")

    with monkeypatch.context() as patch:  # at once: few tries, and no pause between them
        patch.setattr(redis.Connection, "_connect", counted)
        patch.setattr(time, "sleep", never)
        patch.setattr("redis.retry.sleep", never)
        for _ in range(2):
            tries = 0
            with pytest.raises(StoreUnavailableError, match=f"127.0.0.1:{server.port}"):
                status(store, [1])
            with pytest.raises(StoreUnavailableError):
                plan(store, [1], push=4)
            assert 2 <= tries <= 8
    server.start()
    assert status(store, [1]) == [Status.NOT_FOUND]  # it came back empty
    assert plan(store, [1], push=4) == 1
    assert status(store, [1]) == [Status.PRESENT]


def test_a_wrong_address_is_silence_once_somebody_asks() -> None:
    store = RedisFeatureStore("redis://127.0.0.1:1/0")
    store.apply([plan_view(2)])
    with pytest.raises(StoreUnavailableError, match=r"127\.0\.0\.1:1"):
        status(store, [1])


@pytest.mark.parametrize("url", ["http://localhost", "localhost:6379", ""])
def test_an_address_of_another_kind_is_named(url: str) -> None:
    with pytest.raises(ValueError, match=f"redis url '{url}'"):
        RedisFeatureStore(url)


@pytest.mark.parametrize(
    "namespace", ["", "a:b", "a*", "[a]", "a b", "{}", "{a", "a}", "{a}{b}", "{{a}}", "{a:b}", "ä"]
)
def test_a_namespace_that_could_mix_with_another_is_refused(namespace: str) -> None:
    with pytest.raises(ValueError, match="namespace"):
        RedisFeatureStore(namespace=namespace)


def test_namespaces_keep_their_rows_apart() -> None:
    url = shared_server().url
    one, other = in_namespace(url), in_namespace(url)
    plan(one, [1], push=3)
    assert status(other, [1]) == [Status.NOT_FOUND]
    other.restore(other.snapshot())
    assert status(one, [1]) == [Status.PRESENT]


@pytest.mark.parametrize(
    "damage",
    [
        lambda row: b"",
        lambda row: b"garbage",
        lambda row: row[:-1],
        lambda row: row + b"x",
        lambda row: row[:30] + bytes([row[30] ^ 1]) + row[31:],
        lambda row: b"\xff" * 7 + b"\x7f" + row[8:],  # a stamp at the end of time
        lambda row: bytes(len(row)),
    ],
)
def test_a_damaged_row_is_not_found_and_gives_way_to_a_later_plan(damage: object) -> None:
    assert callable(damage)
    url, namespace = shared_server().url, uuid4().hex
    store, raw = in_namespace(url, namespace), redis.Redis.from_url(url)
    plan(store, [1, 2], push=3)
    key = f"{namespace}:plans:2"
    raw.set(key, damage(raw.get(key)))
    assert status(store, [1, 2]) == [Status.PRESENT, Status.NOT_FOUND]
    assert store.snapshot().arrays["plans/entity_ids"].tolist() == [1]
    assert plan(store, [1, 2], push=4, week=1) == 2
    assert status(store, [1, 2], week=1) == [Status.PRESENT] * 2
    raw.close()


def test_a_row_damaged_behind_a_whole_stamp_gives_way_in_the_same_week() -> None:
    url, namespace = shared_server().url, uuid4().hex
    store, raw = in_namespace(url, namespace), redis.Redis.from_url(url)
    plan(store, [1, 2], push=3)
    key = f"{namespace}:plans:2"
    row = raw.get(key)
    raw.set(key, row[:30] + bytes([row[30] ^ 1]) + row[31:])
    assert plan(store, [1, 2], push=4) == 1
    found, _ = read_plans(store, [1, 2], 0)
    assert_array_equal(found.target[:, 0], [3, 4])
    assert store.counters["refused_writes"] == 1
    raw.close()


def test_a_plan_of_a_newer_schema_is_not_found_and_still_holds_its_week() -> None:
    url, namespace = shared_server().url, uuid4().hex
    newer = RedisFeatureStore(url, namespace, timeout_seconds=HANG_SECONDS)
    columns = dict(plan_view(2).columns) | {"tone": Column("int8")}
    newer.apply([FeatureView("plans", columns, WEEK_SECONDS, sticky_week=True)])
    rows = pacing_plan([[3, 1]], 1)._asdict() | {"tone": np.ones(1, np.int8)}
    assert newer.write_to_online_store("plans", [1], rows, WEEK_SECONDS) == 1
    store = in_namespace(url, namespace)
    assert status(store, [1], week=1) == [Status.NOT_FOUND]
    assert plan(store, [1], push=4, week=1) == 0
    assert plan(store, [1], push=4, week=2) == 1
    assert status(store, [1], week=2) == [Status.PRESENT]


def test_batches_larger_than_one_command_agree_with_small_ones() -> None:
    store = in_namespace(shared_server().url)
    ids = list(range(0, 30_000, 3))
    assert plan(store, ids, push=3) == len(ids)
    assert plan(store, ids, push=4) == 0
    assert set(status(store, ids)) == {Status.PRESENT}
    assert_array_equal(store.snapshot().arrays["plans/entity_ids"], ids)
    assert store.delete("plans", ids) == len(ids)


def test_a_password_comes_from_the_environment_and_shows_nowhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = RedisServer("--requirepass", SECRET)
    without = in_namespace(server.url)
    with pytest.raises(ValueError, match=r"AuthenticationError; .* \$SLOWFAST_REDIS_PASSWORD"):
        plan(without, [1], push=3)
    monkeypatch.setenv("SLOWFAST_REDIS_PASSWORD", SECRET)
    store = in_namespace(server.url)
    assert plan(store, [1], push=3) == 1
    assert SECRET not in repr(store)
    server.kill()
    with pytest.raises(StoreUnavailableError) as error:
        plan(store, [2], push=3)
    assert SECRET not in str(error.value)


@pytest.mark.parametrize(
    "form",
    [
        "redis://:{}@localhost/0",
        "redis://localhost/0?password={}",
        "redis://localhost?pass%77ord={}",
    ],
)
def test_a_password_in_the_url_is_refused_and_not_repeated(form: str) -> None:
    with pytest.raises(ValueError, match=r"SLOWFAST_REDIS_PASSWORD") as error:
        RedisFeatureStore(form.format("sesame"))
    assert "sesame" not in str(error.value)


@pytest.mark.parametrize("name", ["password", "ssl_password"])
def test_a_password_in_the_options_is_refused_and_not_repeated(name: str) -> None:
    with pytest.raises(ValueError, match="SLOWFAST_REDIS_PASSWORD") as error:
        RedisFeatureStore(options={name: "sesame"})
    assert "sesame" not in str(error.value)


def test_a_password_that_changes_later_is_silence_until_it_is_right_again(
    server: RedisServer,
) -> None:
    store = in_namespace(server.url)
    assert plan(store, [1], push=3) == 1
    raw = redis.Redis.from_url(server.url)
    raw.config_set("requirepass", SECRET)
    store.close()
    with pytest.raises(StoreUnavailableError, match="AuthenticationError"):
        status(store, [1])
    raw.config_set("requirepass", "")
    assert status(store, [1]) == [Status.PRESENT]
    raw.close()


def test_a_database_that_the_server_does_not_have_is_a_mistake_of_the_configuration() -> None:
    store = in_namespace(shared_server().url.replace("/0", "/99999"))
    with pytest.raises(ValueError, match="needed are an address"):
        status(store, [1])


def test_one_connection_is_enough() -> None:
    store = RedisFeatureStore(
        shared_server().url, uuid4().hex, timeout_seconds=HANG_SECONDS,
        options={"max_connections": 1},
    )  # fmt: skip
    store.apply([plan_view(2)])
    assert plan(store, [1, 2], push=3) == 2
    assert plan(store, [1, 2], push=3) == 0
    assert status(store, [1]) == [Status.PRESENT]
    store.restore(store.snapshot())
    assert status(store, [1]) == [Status.PRESENT]


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf"), 1e20])
def test_a_time_limit_that_no_socket_takes_is_refused(seconds: float) -> None:
    with pytest.raises(ValueError, match=r"timeout_seconds is .*; allowed is above 0 and at most"):
        RedisFeatureStore(timeout_seconds=seconds)


def test_text_instead_of_bytes_is_refused() -> None:
    for arguments in (
        {"options": {"decode_responses": True}},
        {"url": "redis://localhost/0?decode_responses=yes"},
    ):
        with pytest.raises(ValueError, match="decode_responses is not allowed: rows are bytes"):
            RedisFeatureStore(**arguments)  # type: ignore[arg-type]


def test_a_cluster_serves_a_namespace_with_a_hash_tag_and_explains_one_without() -> None:
    server = RedisServer("--cluster-enabled", "yes", "--cluster-port", str(free_port()))
    raw = redis.Redis.from_url(server.url)
    raw.execute_command("CLUSTER ADDSLOTSRANGE", 0, 16383)
    assert comes_true(lambda: raw.cluster("info")["cluster_state"] == "ok")
    store = in_namespace(server.url, "a.{members}.b")
    assert plan(store, list(range(5000)), push=3) == 5000
    assert plan(store, [1, 2], push=4) == 0
    assert status(store, [1, 5000]) == [Status.PRESENT, Status.NOT_FOUND]
    store.restore(store.snapshot())
    assert store.delete("plans", [1, 2]) == 2
    untagged = in_namespace(server.url, "members")
    with pytest.raises(ValueError, match=r"ClusterCrossSlotError.*hash tag"):
        plan(untagged, [1, 2, 3], push=3)
    slot = raw.execute_command("CLUSTER KEYSLOT", "{members}")
    raw.execute_command("CLUSTER DELSLOTS", slot)
    with pytest.raises(StoreUnavailableError):
        status(store, [3])
    raw.close()
    server.kill()


def test_settings_of_the_connection_pass_through() -> None:
    store = RedisFeatureStore("rediss://localhost/0", options={"ssl_ca_certs": "/no/such/file"})
    settings = store._client.connection_pool.connection_kwargs
    assert settings["ssl_ca_certs"] == "/no/such/file"
    with pytest.raises(ValueError, match="no_such_option"):
        RedisFeatureStore(options={"no_such_option": 1})
