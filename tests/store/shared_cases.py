"""Shared stores in a folder of the test, and children that open them too."""

import multiprocessing
import os
from pathlib import Path
from typing import Any

from slowfast_rl.store import (
    FeatureView,
    SharedMemoryFeatureStore,
    pacing_plan,
    plan_view,
    write_plans,
)
from slowfast_rl.store.files import owner
from tests.waiting import HANG_SECONDS

FORK = multiprocessing.get_context("fork")


def store_in(folder: Path, *views: FeatureView) -> SharedMemoryFeatureStore:
    store = SharedMemoryFeatureStore("test", folder)
    store.apply(views or [plan_view(2)])
    return store


def in_a_child(work: Any) -> int | None:
    child = FORK.Process(target=work)
    child.start()
    child.join(HANG_SECONDS)
    return child.exitcode


def plan(store: SharedMemoryFeatureStore, ids: Any, push: int, week: int = 0) -> int:
    plans = pacing_plan([[push, 1]] * len(ids), week)
    return write_plans(store, ids, plans, week * 7 * 86_400)


def dead_owner() -> str:
    """The name of a process of this machine that has ended."""
    process = os.fork()
    if process == 0:
        os._exit(0)
    os.waitpid(process, 0)
    return owner().replace(str(os.getpid()), str(process))
