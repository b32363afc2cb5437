"""How a learner keeps what it needs to continue its training exactly where it was stopped."""

from collections.abc import Callable
from typing import Protocol

from slowfast_rl.policies.component import State


class Checkpoint(Protocol):
    """A place for the state of a training, given to ``learn``.

    A learner that declares ``checkpoint`` among the arguments of its ``learn`` begins with
    ``checkpoint.state``, if there is one, and calls :meth:`offer` wherever it could continue from,
    such as between two iterations. A state is a mapping of arrays, mappings and what JSON can
    hold. What the part's own ``state()`` returns, such as weights, is kept beside it.

    Attributes:
        state: what the stopped training offered last; None for a training from the start.
    """

    state: State | None

    def offer(self, make: Callable[[], State]) -> None:
        """Keep a state, or do nothing where the last one that was kept is recent.

        Args:
            make: returns the state; called only if it is kept.
        """
        ...
