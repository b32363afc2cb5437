"""What every agent is: policies that learn in a world, are saved, and are rebuilt."""

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from slowfast_rl.agents import disk
from slowfast_rl.agents.turns import Turn, turns_of
from slowfast_rl.members.arrays import Float32, Int64
from slowfast_rl.members.bounds import shortened, whole_number
from slowfast_rl.members.loading import as_world, world_hash
from slowfast_rl.members.observations import weekly_features
from slowfast_rl.members.population import Population
from slowfast_rl.members.world import World
from slowfast_rl.policies.budget import Stopwatch
from slowfast_rl.policies.class_checks import check_class
from slowfast_rl.policies.component import accepted, check_log_learner
from slowfast_rl.policies.component_files import from_node, recipe, to_node
from slowfast_rl.policies.contracts import BaseExecutor, BasePlanner, Executor
from slowfast_rl.policies.plan_exchange import choose_plans, plan_request
from slowfast_rl.policies.registry import Allowed, as_allowed, import_path
from slowfast_rl.store import FeatureStore

if TYPE_CHECKING:
    import pandas

    from slowfast_rl.logs.reading import EventLog

BASELINE_NAMES = ("never", "always", "random", "best_fixed", "oracle")  # of a comparison
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

    def __repr__(self) -> str:
        """Return the agent's name, what it is made of, and where it was trained."""
        parts = [repr(part) for part in (self.slow, self.fast) if part is not None]
        trained = "not trained" if self.world is None else f"world {self.world.name}"
        return f"<{type(self).__name__} {self.name}: {', '.join(parts)}; {trained}>"

    def __setattr__(self, name: str, value: Any) -> None:
        """Check the agent's name, which files and folders are named by."""
        if name == "name":
            check_agent_name(value)
        super().__setattr__(name, value)

    def plan_table(self, members: Population) -> "pandas.DataFrame":
        """Return what the planner sees of members, what it chooses, and how it scores each plan.

        Args:
            members: N members at the beginning of a week. A planner with beliefs needs a population
                with its filter: ``Population(…, belief_filter=agent.slow.belief_filter)``.

        Returns:
            One row per living member, named by its id. The columns are the features of
            ``sf.weekly_features(world)``, those of the beliefs, the plan (``plan_push``, …, and
            ``plan_shape`` where the world has shapes) and, where the planner has such numbers, the
            score of each plan (``score 3 push + 1 email``).

        Raises:
            ValueError: the agent has no planner, or the population keeps no beliefs.
            ImportError: pandas is missing; it comes with the extra ``report``.
        """
        from slowfast_rl.members.frames import join, to_frame

        if not isinstance(members, Population):
            raise ValueError(f"members is a {type(members).__name__}; allowed is a population")
        if self.slow is None:
            raise ValueError(f"{self.name} has no planner; allowed is an agent that plans")
        world, planner = members.world, self.slow
        request = plan_request(members, np.flatnonzero(members.alive), planner)
        chosen, ids = choose_plans(planner, request), request.entity_ids
        tables = [to_frame(request.observations, weekly_features(world), ids)]
        if request.beliefs is not None and planner.belief_filter is not None:
            tables.append(to_frame(request.beliefs, planner.belief_filter.features, ids))
        plan = {
            f"plan_{channel}": world.plans[chosen, c] for c, channel in enumerate(world.channels)
        }
        if world.shapes:
            plan["plan_shape"] = np.array(world.shape_names)[world.plan_shapes[chosen]]
        scores = planner.plan_scores(request)
        if scores is not None:
            plan |= {f"score {name}": scores[:, o] for o, name in enumerate(world.plan_names)}
        return join(tables, plan)

    def recipe(self) -> str:
        """Return a digest of all that was chosen but the seed and the budget.

        Two trained agents of one recipe, and of like budgets, differ in their training seed alone.
        """
        parts = [None if part is None else recipe(part) for part in (self.slow, self.fast)]
        world = world_hash(self.known_world())
        content = [self.kind, parts, self.plans_for, self.options(), world]
        return sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]

    def __init_subclass__(cls, **arguments: Any) -> None:
        """Let files of this kind be loaded.

        Raises:
            ValueError: another class has the same kind.
        """
        super().__init_subclass__(**arguments)
        if "kind" not in cls.__dict__:
            return
        other = _KINDS.get(cls.kind)
        if other is not None and import_path(other) != import_path(cls):
            raise ValueError(
                f"kind of {cls.__name__} is {cls.kind!r}, that of {import_path(other)}; allowed is "
                "another one"
            )
        _KINDS[cls.kind] = cls

    @property
    def executor(self) -> Executor:
        """What simulates weeks for an evaluation."""
        return self.fast

    @property
    def can_act(self) -> bool:
        """Whether its levels can act: false before those that must learn first have learned."""
        return all(part.can_act for part in (self.slow, self.fast) if part is not None)

    @property
    @abstractmethod
    def order(self) -> tuple[str, ...]:
        """The levels, "slow" or "fast", in the order in which they learn."""

    def turns(
        self,
        world: World | str,
        total_opportunities: int | None = None,
        total_cpu_seconds: float | None = None,
    ) -> list[Turn]:
        """Return who learns when, and for how long.

        A budget does not include what parts learn from by their own settings: a planner or
        executor that takes no budget, and the pacer and ranker that PPO begins as, come on top.
        It is divided among the levels that take one, opportunities in the proportion of
        their ``default_opportunities`` and CPU time equally, and then equally among a level's
        turns. Without a budget every level has its default.

        Args:
            world: the world to train in, or its name or file.
            total_opportunities: send opportunities to play in all.
            total_cpu_seconds: CPU time to spend in all, instead.

        Raises:
            ValueError: both budgets are given, one is not above 0, no level takes a budget and
                one is given, or a level that takes a budget has no default and none is given.
        """
        return turns_of(self, as_world(world), total_opportunities, total_cpu_seconds)

    @abstractmethod
    def learn(self, *arguments: Any, **keywords: Any) -> Any:
        """Train in a world from the start; see the classes for what they take."""

    def learn_from_log(
        self, log: "EventLog", *, seed: int = 0, max_rows: int | None = None
    ) -> Self:
        """Train each level on a log alone, from the start, in the order of :attr:`order`.

        Nothing is simulated. What does not learn stays as it is.

        Args:
            log: the log; the agent's world is ``log.world``, of which only the company's side, such
                as channels, menu and reward, is what the log holds.
            seed: of what is drawn, and of weights.
            max_rows: rows of the log that each fit may use at most; None for each class's default.

        Raises:
            ValueError: a level learns and cannot learn from a log, or not from this one.
        """
        self.check_log_learner()
        parts: dict[str, Any] = {"fast": self.fast, "slow": self.slow}
        watch = Stopwatch()
        for level in dict.fromkeys([*self.order, *parts]):
            part = parts[level]
            if part is not None and part.learns_from_logs:
                given = {"seed": seed} if max_rows is None else {"seed": seed, "max_rows": max_rows}
                part.learn_from_log(log, **accepted(part.learn_from_log, **given))
        if self.slow is not None:
            self.slow.prepare(log.world)
        self.world, self.seed = log.world, seed
        self.train_opportunities, self.train_cpu_seconds = 0, watch.spent
        return self

    def check_log_learner(self) -> None:
        """Check that all that learns can learn from a log.

        Raises:
            ValueError: a class learns and cannot.
        """
        for part in (self.fast, self.slow):
            if part is not None:
                check_log_learner(part)

    @abstractmethod
    def untrained_copy(self, world: World) -> Self:
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
            ValueError: a class of the agent cannot be imported from where it is defined, or what
                it learned is nothing that a file can hold.
            RuntimeError: the agent has no world yet, or has not learned.
        """
        world, arrays = self.known_world(), dict[str, NDArray[Any]]()
        content = {
            "kind": self.kind,
            "name": self.name,
            "seed": whole_number("seed", self.seed),
            "train_opportunities": whole_number("train_opportunities", self.train_opportunities),
            "train_cpu_seconds": float(self.train_cpu_seconds),
            "slow": None if self.slow is None else to_node(self.slow, "slow", arrays),
            "fast": to_node(self.fast, "fast", arrays),
            "plans_for": self.plans_for,
        } | self.options()
        disk.write_agent(Path(path), world, content, arrays)

    def options(self) -> dict[str, Any]:
        """Return what the constructor was given besides the parts, as JSON can hold it."""
        return {}

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
            allow: classes of your own, or their import paths, that the file may name; one, or
                several. Other classes than the library's and those that you registered are
                refused, and nothing of them is imported.

        Raises:
            ValueError: the files are missing, damaged, of another format or kind, or name a class
                that is not allowed.
        """
        allow = as_allowed(allow)
        try:
            world, content, arrays = disk.read_agent(Path(path))
            same = content["kind"] == getattr(cls, "kind", None)
            kind = cls if same else _KINDS.get(content["kind"])
            if kind is None or not issubclass(kind, cls):
                allowed = ", ".join(k for k, c in _KINDS.items() if issubclass(c, cls))
                raise ValueError(f"kind is {content['kind']!r}; allowed: {allowed}")
            changes = {} if device is None else {"device": device}
            fast = from_node(content["fast"], "executor", world, "fast", arrays, allow, **changes)
            slow = None
            if content["slow"] is not None:
                node = content["slow"]
                slow = from_node(node, "planner", world, "slow", arrays, allow, **changes)
            agent: Self = kind.assembled(slow, fast, store, content)
            agent.name = content["name"]
        except (ValueError, IndexError, OverflowError) as error:  # as damaged numbers raise
            told = shortened(str(error))  # it may quote what the file holds
            raise ValueError(f"{path} holds no agent that can be loaded: {told}") from error
        agent.world, agent.seed = world, content["seed"]
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
        content: Mapping[str, Any],
    ) -> Any:
        """Return an agent of parts that were rebuilt from a file.

        Args:
            slow: the planner.
            fast: the executor.
            store: as :meth:`load` was given it.
            content: of the file, with what :meth:`options` returned.

        Raises:
            ValueError: the parts are not those of this kind of agent.
        """

    def _made_of(
        self, slow: BasePlanner | None, fast: BaseExecutor, world: World, **changes: Any
    ) -> Self:
        """Return an agent of other parts that is like this one otherwise, and knows a world."""
        content = {"plans_for": self.plans_for} | self.options() | changes
        agent: Self = type(self).assembled(slow, fast, None, content)
        agent.name, agent.world, agent.seed = self.name, world, self.seed
        return agent

    def known_world(self) -> World:
        """Return the world that the agent was trained in.

        Raises:
            RuntimeError: there is none yet.
        """
        if self.world is None:
            raise RuntimeError("the agent has no world; call learn or load first")
        return self.world


def check_agent_name(name: Any) -> None:
    """Raise ValueError if a name is no text, could be read as a path, or is a baseline's."""
    if not isinstance(name, str) or "/" in name or ".." in name:
        raise ValueError(f"name is {name!r}; allowed is a text without / and ..")
    if name in BASELINE_NAMES:
        raise ValueError(
            f"name is {name!r}, a baseline's; allowed is any but {', '.join(BASELINE_NAMES)}"
        )


def checked(part: Any, kind: str, name: str) -> Any:
    """Return a part of an agent that fulfils its contract.

    Raises:
        ValueError: with what is wrong with its class or that of one of its parts, before any
            training; a pacer or ranker that numba cannot compile too.
    """
    check_class(type(part) if not isinstance(part, type) else part, kind)
    if isinstance(part, type):
        raise ValueError(f"{name} is the class {part.__name__}; allowed is one of its instances")
    if kind in ("pacer", "ranker"):
        _ = part.function  # compiles it
    for attribute, its_kind in part.parts.items():
        if getattr(part, attribute) is not None:
            checked(getattr(part, attribute), its_kind, f"{name}.{attribute}")
    return part


def whole_numbers(name: str, values: ArrayLike, shapes: Sequence[tuple[int, ...]]) -> Int64:
    """Return an array of whole numbers in one of some shapes.

    Raises:
        ValueError: numbers of another type, or of another shape.
    """
    array = np.asarray(values)
    if array.dtype == np.int64 and array.shape in shapes:
        return array.copy()
    fits = array.dtype.kind in "iu" and np.can_cast(array.dtype, np.int64, "safe")
    if array.shape not in shapes or (array.size and not fits):
        raise ValueError(
            f"{name} is {array.dtype} of shape {array.shape}; "
            f"allowed are integers of shape {' or '.join(map(str, shapes))} that fit int64"
        )
    return array.astype(np.int64)
