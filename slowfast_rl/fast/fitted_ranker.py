"""The base of rankers whose weights, in logits, are a named tuple that learning fits."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from slowfast_rl.members.arrays import Float32
from slowfast_rl.members.world import World
from slowfast_rl.policies.contracts import BaseRanker


class FittedRanker(BaseRanker):
    """A ranker with named weights.

    Attributes:
        learned: the weights in use, a named tuple of numbers or of tuples of numbers; those of the
            class are the weights before training.
    """

    learned: Any
    _weights: Float32
    _weights_of: Any = None  # the named tuple from which ``_weights`` was made

    @property
    def weights(self) -> Float32:  # type: ignore[override]  # derived from what was learned
        """The jitted ranker's parameters, [W]: all weights in the order of the named tuple."""
        if self._weights_of is not self.learned:
            self._weights = np.hstack(self.learned).astype(np.float32)
            self._weights_of = self.learned
        return self._weights

    @classmethod
    def with_weights(cls, learned: Any, settings: Any = None) -> Self:
        """Return a ranker with given weights.

        Args:
            learned: the weights, of the class's named tuple.
            settings: settings of the ranker; None for the defaults.

        Raises:
            ValueError: a weight is not allowed.
        """
        ranker = cls(settings=settings)
        ranker.learned = cls.checked_weights(learned)
        return ranker

    @classmethod
    @abstractmethod
    def checked_weights(cls, learned: Any) -> Any:
        """Return the weights after a check.

        Raises:
            ValueError: a weight is not allowed.
        """

    def state(self) -> dict[str, Any]:
        """Return the weights by name, as JSON can hold them."""
        weights = self.learned._asdict().items()
        return {name: list(v) if isinstance(v, tuple) else v for name, v in weights}

    @classmethod
    def from_state(
        cls, world: World, settings: Any, state: Mapping[str, Any], **parts: Any
    ) -> Self:
        """Rebuild a ranker from :meth:`state`.

        Raises:
            ValueError: a weight is missing, unknown or not allowed, or the ranker learned in a
                world with other channels.
        """
        weights = type(cls.learned)
        names = sorted(weights._fields)
        if sorted(state) != names:
            raise ValueError(f"ranker weights are {sorted(state)}; allowed: {names}")
        ranker = cls.with_weights(weights(**state), settings)
        ranker.check_world(world)
        return ranker
