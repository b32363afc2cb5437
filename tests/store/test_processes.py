"""Several processes on one store: nothing torn, nothing mixed, no first write lost."""

from functools import partial
from pathlib import Path
from uuid import uuid4

import pytest

from slowfast_rl.store import RedisFeatureStore, SharedMemoryFeatureStore
from tests.store.redis_server import shared_server
from tests.store.stress import MEMBERS, Connect, stress
from tests.waiting import HANG_SECONDS


def connections(backend: str, folder: Path) -> Connect:
    if backend == "shared":
        return partial(SharedMemoryFeatureStore, "stress", folder)
    url = shared_server().url
    return partial(RedisFeatureStore, url, namespace=uuid4().hex, timeout_seconds=HANG_SECONDS)


def check(connect: Connect, share: int) -> None:
    outcome = stress(connect, share)
    assert outcome.torn == 0
    assert outcome.mixed == 0
    assert outcome.vanished == 0
    assert outcome.weeks >= share
    assert min(outcome.reads) >= share
    finished = [outcome.accepted[week] for week in range(outcome.weeks)]
    assert finished == [MEMBERS] * len(finished)


@pytest.mark.parametrize(("backend", "share"), [("shared", 40), ("redis", 8)])
def test_writers_and_readers_see_whole_plans_and_every_first_write(
    backend: str, share: int, tmp_path: Path
) -> None:
    check(connections(backend, tmp_path), share)


@pytest.mark.long
@pytest.mark.parametrize(("backend", "share"), [("shared", 1500), ("redis", 250)])
def test_many_weeks_of_four_writers_and_four_readers_tear_mix_and_lose_nothing(
    backend: str, share: int, tmp_path: Path
) -> None:
    check(connections(backend, tmp_path), share)
