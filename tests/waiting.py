"""Waiting for what happens, never for how long it takes: a busy machine changes no verdict."""

import time
from collections.abc import Callable

HANG_SECONDS = 1200  # only stops a test that hangs; no test that passes comes near it


def comes_true(condition: Callable[[], object]) -> bool:
    """Wait until the condition holds; False if it never does."""
    end = time.monotonic() + HANG_SECONDS
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.002)
    return True
