"""Services wait for a store that cannot be opened yet, as for one that stops to answer."""

from collections.abc import Callable
from typing import TypeVar

from slowfast_rl.cli.results import say
from slowfast_rl.store import StoreUnavailableError

T = TypeVar("T")


def once_available(make: Callable[[], T], wait: Callable[[], object]) -> T:
    """Return what a function makes once it finds the store available.

    Args:
        make: opens the store or registers views, and raises StoreUnavailableError while it cannot.
        wait: waits until the next attempt.
    """
    waiting = None
    while True:
        try:
            made = make()
        except StoreUnavailableError as error:
            if str(error) != waiting:
                waiting = str(error)
                say(f"waiting for the store: {error}")
            wait()
        else:
            if waiting is not None:
                say("the store answers")
            return made
