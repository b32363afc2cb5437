"""The executor put together from a pacer and a ranker."""

from collections.abc import Mapping
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np

from slowfast_rl.members.arrays import Float32
from slowfast_rl.members.opportunity import FastPolicy, PacerFunction, RankerFunction
from slowfast_rl.members.world import World
from slowfast_rl.policies.executor import (
    JittedExecutor,
    exact_pace,
    exact_pacing,
    quality_rank,
)

_NO_WEIGHTS = np.zeros(0, np.float32)


class Pacer(Protocol):
    """Decides whether this opportunity is worth a send at all."""

    name: str

    @property
    def function(self) -> PacerFunction:
        """Return the jitted pacer, compiled with PACER_SIGNATURE."""
        ...

    def pacing(self, world: World, weights: Float32 | None = None) -> Float32:
        """Return the jitted pacer's parameters for a week, [W].

        Args:
            world: the world.
            weights: [N, 7] day weights of the plans' shapes; None where all are uniform.
        """
        ...


class Ranker(Protocol):
    """Picks the best of an opportunity's candidates."""

    name: str

    @property
    def function(self) -> RankerFunction:
        """Return the jitted ranker, compiled with RANKER_SIGNATURE."""
        ...

    @property
    def weights(self) -> Float32:
        """Return the jitted ranker's parameters, [W]."""
        ...


@runtime_checkable
class LearningRanker(Ranker, Protocol):
    """A ranker that learns from logs of its own."""

    opportunities: int  # in the logs that it learned from

    def learn(self, world: World, *, seed: int = 0) -> Self:
        """Fit it on simulated logs; what was learned before is forgotten."""
        ...


class ExactPacer:
    """Sends with probability remaining / slots left: meets the weekly target exactly."""

    name = "exact"
    function = staticmethod(exact_pace)
    pacing = staticmethod(exact_pacing)

    def state(self) -> dict[str, Any]:
        """Return what JSON must hold of the pacer: nothing."""
        return {}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Rebuild a pacer from :meth:`state`.

        Raises:
            ValueError: there is something to hold.
        """
        check_stateless(cls.name, state)
        return cls()


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


class PacedExecutor(JittedExecutor):
    """A fast policy: a pacer says when, a ranker says what, the guard has the last word.

    Args:
        pacer: None for the exact pacer.
        ranker: None for quality only.
    """

    def __init__(self, pacer: Pacer | None = None, ranker: Ranker | None = None) -> None:
        super().__init__()
        self.pacer: Pacer = ExactPacer() if pacer is None else pacer
        self.ranker: Ranker = QualityRanker() if ranker is None else ranker

    def policy(self, world: World, weights: Float32 | None = None) -> FastPolicy:
        """Return the jitted policy of one week, with the present parameters of pacer and ranker.

        Args:
            world: the world.
            weights: [N, 7] day weights of the plans' shapes; None where all are uniform.
        """
        pacing = self.pacer.pacing(world, weights)
        return FastPolicy(self.pacer.function, self.ranker.function, pacing, self.ranker.weights)


def check_stateless(name: str, state: Mapping[str, Any]) -> None:
    """Raise ValueError if a pacer without parameters is given some."""
    if state:
        raise ValueError(f"{name} pacer has parameters {sorted(state)}; allowed: none")
