"""What every agent is: policies that learn in a world, are saved, and are rebuilt."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from slowfast_rl.agents import disk
from slowfast_rl.members.arrays import Float32, Int64
from slowfast_rl.members.world import World
from slowfast_rl.policies.budget import Progress, Stopwatch
from slowfast_rl.policies.component import Allowed, accepted, check_class, from_node, to_node
from slowfast_rl.policies.contracts import BaseExecutor, BasePlanner, Executor
from slowfast_rl.store import FeatureStore

_KINDS: dict[str, "type[Agent]"] = {}  # by name


class Agent(ABC):
    """An executor and, in two-level agents, a planner.

    Attributes:
        kind: what a file calls agents of this class.
        slow: the planner; None where one policy decides alone.
        fast: the executor.
        world: the world that it was trained in; None before.
        seed: that it was trained with.
        train_opportunities: simulated for its training, logs and set-up included.
        train_cpu_seconds: of its training.
    """

    kind: ClassVar[str]
    name: str
    slow: BasePlanner | None
    fast: BaseExecutor
    plans_for: str = "own"
    world: World | None = None
    seed: int = 0
    train_opportunities: int = 0
    train_cpu_seconds: float = 0.0

    def __init_subclass__(cls, **arguments: Any) -> None:
        """Let files of this kind be loaded."""
        super().__init_subclass__(**arguments)
        if "kind" in cls.__dict__:
            _KINDS[cls.kind] = cls

    @property
    def executor(self) -> Executor:
        """What simulates weeks for an evaluation."""
        return self.fast

    @abstractmethod
    def learn(self, *arguments: Any, **keywords: Any) -> Any:
        """Train in a world from the start; see the classes for what they take."""

    @abstractmethod
    def untrained_copy(self, world: World) -> "Agent":
        """Return the same agent as before its training, with the weights that it began with."""

    @abstractmethod
    def predict(
        self,
        obs: Float32,
        *,
        entity_ids: ArrayLike,
        now: ArrayLike,
        state: None = None,
        episode_start: ArrayLike | None = None,
        deterministic: bool = True,
    ) -> tuple[Int64, None]:
        """Choose an action of ``Messaging-v0`` for each of B members."""

    def save(self, path: str | Path) -> None:
        """Write the agent to a directory, or to a zip if the path ends in ``.zip``.

        The world, settings and weights are validated JSON and safetensors; nothing is pickled. A
        class of your own is named by its import path. The store's rows stay where they are.

        Raises:
            ValueError: a class of the agent cannot be imported from where it is defined.
            RuntimeError: the agent knows no world yet, or has not learned.
        """
        world, arrays = self.known_world(), dict[str, NDArray[Any]]()
        content = {
            "kind": self.kind,
            "name": self.name,
            "seed": self.seed,
            "train_opportunities": self.train_opportunities,
            "train_cpu_seconds": self.train_cpu_seconds,
            "slow": None if self.slow is None else to_node(self.slow, "slow", arrays),
            "fast": to_node(self.fast, "fast", arrays),
            "plans_for": self.plans_for,
        }
        disk.write_agent(Path(path), world, content, arrays)

    @classmethod
    def load(
        cls,
        path: str | Path,
        store: FeatureStore | None = None,
        device: str | None = None,
        allow: Allowed = (),
    ) -> Self:
        """Read an agent written by :meth:`save`.

        Args:
            path: the directory or zip.
            store: as in the constructor of the two-level agent; not used by others.
            device: where networks go; None for where they were.
            allow: classes of your own, or their import paths, that the file may name. Other
                classes than the library's are refused, and nothing of them is imported.

        Raises:
            ValueError: the files are missing, damaged, of another format or kind, or name a class
                that is not allowed.
        """
        try:
            world, content, arrays = disk.read_agent(Path(path))
            kind = _KINDS.get(content["kind"])
            if kind is None or not issubclass(kind, cls):
                allowed = ", ".join(k for k, c in _KINDS.items() if issubclass(c, cls))
                raise ValueError(f"kind is {content['kind']!r}; allowed: {allowed}")
            changes = {} if device is None else {"device": device}
            fast = from_node(content["fast"], "executor", world, "fast", arrays, allow, **changes)
            slow = None
            if content["slow"] is not None:
                node = content["slow"]
                slow = from_node(node, "planner", world, "slow", arrays, allow, **changes)
            agent: Self = kind.assembled(slow, fast, store, content["plans_for"])
        except (ValueError, IndexError, OverflowError) as error:  # as damaged numbers raise
            raise ValueError(f"{path} holds no agent that can be loaded: {error}") from error
        agent.name, agent.world, agent.seed = content["name"], world, content["seed"]
        agent.train_opportunities = content["train_opportunities"]
        agent.train_cpu_seconds = content["train_cpu_seconds"]
        return agent

    @classmethod
    @abstractmethod
    def assembled(
        cls,
        slow: BasePlanner | None,
        fast: BaseExecutor,
        store: FeatureStore | None,
        plans_for: str,
    ) -> Any:
        """Return an agent of parts that were rebuilt from a file.

        Raises:
            ValueError: the parts are not those of this kind of agent.
        """

    def known_world(self) -> World:
        """Return the world that the agent was trained in.

        Raises:
            RuntimeError: there is none yet.
        """
        if self.world is None:
            raise RuntimeError("the agent has no world; call learn or load first")
        return self.world


def checked(part: Any, kind: str, name: str) -> Any:
    """Return a planner or executor that fulfils its contract.

    Raises:
        ValueError: with what is wrong with its class, before any training.
    """
    check_class(type(part) if not isinstance(part, type) else part, kind)
    if isinstance(part, type):
        raise ValueError(f"{name} is the class {part.__name__}; allowed is one of its instances")
    return part


class Training:
    """Counts what the parts of an agent use while they learn, one after the other."""

    def __init__(self, agent: Agent, progress: Progress | None) -> None:
        self._agent, self._progress = agent, progress
        self._opportunities, self._seconds = 0, 0.0

    def with_progress(self, progress: Progress | None) -> "Training":
        """Return the same counts, reporting to another function."""
        other = Training(self._agent, progress)
        other._opportunities, other._seconds = self._opportunities, self._seconds
        return other

    def run(self, part: BasePlanner | BaseExecutor, *given: Any, **arguments: Any) -> None:
        """Let a part learn, and add what it used."""
        watch = Stopwatch()

        def count(opportunities: int) -> None:
            agent, own = self._agent, part.cpu_seconds or watch.spent
            before = part.opportunities_before + self._opportunities
            agent.train_opportunities = before + opportunities
            agent.train_cpu_seconds = self._seconds + own

        def report(opportunities: int) -> None:
            count(opportunities)
            if self._progress is not None:
                watch.call_untimed(self._progress, opportunities)

        learn: Callable[..., Any] = part.learn
        learn(*given, **accepted(learn, **arguments, progress=report))
        count(part.opportunities)
        self._opportunities = self._agent.train_opportunities
        self._seconds = self._agent.train_cpu_seconds


def as_batch(size: int, values: ArrayLike) -> Int64:
    """Return one integer, or [B] of them, as [B]."""
    return np.broadcast_to(np.asarray(values, np.int64), size)
