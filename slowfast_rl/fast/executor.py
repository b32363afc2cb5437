"""The executor put together from a pacer and a ranker."""

from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np

from slowfast_rl.envs.executor import JittedExecutor, exact_pace, quality_rank
from slowfast_rl.members.arrays import Float32
from slowfast_rl.members.opportunity import FastPolicy

_NO_WEIGHTS = np.zeros(1, np.float32)


class Pacer(NamedTuple):
    """Decides whether this opportunity is worth a send at all."""

    name: str
    function: Callable[..., float]  # compiled with PACER_SIGNATURE
    weights: Float32  # [W]


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


class ExactPacer(Pacer):
    """Sends with probability remaining / slots left: meets the weekly target exactly."""

    def __new__(cls) -> "ExactPacer":
        """Return the pacer; it has no parameters."""
        return super().__new__(cls, "exact", exact_pace, _NO_WEIGHTS)


class QualityRanker:
    """Sends the candidate of the highest content quality; learns nothing."""

    name = "quality"
    function = staticmethod(quality_rank)
    weights = _NO_WEIGHTS


class Executor(JittedExecutor):
    """A fast policy: a pacer says when, a ranker says what, the guard has the last word.

    Args:
        pacer: None for the exact pacer.
        ranker: None for quality only.
    """

    def __init__(self, pacer: Pacer | None = None, ranker: Ranker | None = None) -> None:
        self.pacer = ExactPacer() if pacer is None else pacer
        self.ranker: Ranker = QualityRanker() if ranker is None else ranker
        super().__init__()

    @property
    def policy(self) -> FastPolicy:
        """The jitted policy with the ranker's present weights."""
        return FastPolicy(
            self.pacer.function, self.ranker.function, self.pacer.weights, self.ranker.weights
        )
