"""The executor put together from a pacer and a ranker."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol, Self

import numpy as np

from slowfast_rl.envs.executor import JittedExecutor, exact_pace, quality_rank
from slowfast_rl.members.arrays import Float32
from slowfast_rl.members.opportunity import FastPolicy

_NO_WEIGHTS = np.zeros(1, np.float32)


class Pacer(Protocol):
    """Decides whether this opportunity is worth a send at all."""

    name: str

    @property
    def function(self) -> Callable[..., float]:
        """Return the jitted pacer, compiled with PACER_SIGNATURE."""
        ...

    @property
    def weights(self) -> Float32:
        """Return the jitted pacer's parameters, [W]."""
        ...


class Ranker(Protocol):
    """Picks the best of an opportunity's candidates."""

    name: str

    @property
    def function(self) -> Callable[..., tuple[int, float]]:
        """Return the jitted ranker, compiled with RANKER_SIGNATURE."""
        ...

    @property
    def weights(self) -> Float32:
        """Return the jitted ranker's parameters, [W]."""
        ...


class ExactPacer:
    """Sends with probability remaining / slots left: meets the weekly target exactly."""

    name = "exact"
    function = staticmethod(exact_pace)
    weights = _NO_WEIGHTS


class QualityRanker:
    """Sends the candidate of the highest content quality; learns nothing."""

    name = "quality"
    function = staticmethod(quality_rank)
    weights = _NO_WEIGHTS

    def state(self) -> dict[str, Any]:
        """Return what JSON must hold of the ranker: nothing."""
        return {}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Rebuild a ranker from :meth:`state`.

        Raises:
            ValueError: there is something to hold.
        """
        if state:
            raise ValueError(f"quality ranker has weights {sorted(state)}; allowed: none")
        return cls()


class Executor(JittedExecutor):
    """A fast policy: a pacer says when, a ranker says what, the guard has the last word.

    Args:
        pacer: None for the exact pacer.
        ranker: None for quality only.
    """

    def __init__(self, pacer: Pacer | None = None, ranker: Ranker | None = None) -> None:
        super().__init__()
        self.pacer: Pacer = ExactPacer() if pacer is None else pacer
        self.ranker: Ranker = QualityRanker() if ranker is None else ranker

    @property
    def policy(self) -> FastPolicy:
        """The jitted policy with the present weights of pacer and ranker."""
        return FastPolicy(
            self.pacer.function, self.ranker.function, self.pacer.weights, self.ranker.weights
        )
