"""Several processes on one store: nothing torn, nothing mixed, no first write lost."""

from functools import partial
from pathlib import Path
from uuid import uuid4

import pytest

from slowfast_rl.store import RedisFeatureStore, SharedMemoryFeatureStore
from tests.store.redis_server import shared_server
from tests.store.stress import MEMBERS, Connect, stress


def connections(backend: str, folder: Path) -> Connect:
    if backend == "shared":
        return partial(SharedMemoryFeatureStore, "stress", folder)
    url = shared_server().url
    return partial(RedisFeatureStore, url, namespace=uuid4().hex, timeout_seconds=30)


def check(connect: Connect, seconds: float) -> None:
    outcome = stress(connect, seconds)
    assert outcome.torn == 0
    assert outcome.mixed == 0
    assert outcome.vanished == 0
    assert outcome.weeks > 2
    assert outcome.reads > 0
    finished = [outcome.accepted[week] for week in range(outcome.weeks - 1)]
    assert finished == [MEMBERS] * len(finished)


@pytest.mark.parametrize("backend", ["shared", "redis"])
def test_writers_and_readers_see_whole_plans_and_every_first_write(
    backend: str, tmp_path: Path
) -> None:
    check(connections(backend, tmp_path), seconds=1.5)


@pytest.mark.long
@pytest.mark.parametrize("backend", ["shared", "redis"])
def test_a_minute_of_four_writers_and_four_readers_tears_mixes_and_loses_nothing(
    backend: str, tmp_path: Path
) -> None:
    check(connections(backend, tmp_path), seconds=60)
