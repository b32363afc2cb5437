"""The base of planners, pacers, rankers and executors: settings, training, state and parts."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, ClassVar, Self, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from slowfast_rl.members.world import World
from slowfast_rl.policies import settings as settings_module
from slowfast_rl.policies.settings import settings_text

F = TypeVar("F", bound=Callable[..., Any])
State = Mapping[str, Any]
BASES: dict[str, "type[Component]"] = {}  # by kind, the class that introduced it
_DO_NOTHING: set[Callable[..., Any]] = set()  # the ``learn`` of base classes


class Component:
    """A part of an agent.

    Attributes:
        kind: "planner", "pacer", "ranker" or "executor"; set by the base classes.
        name: the name of the class in files, on the command line and in leaderboards.
        Settings: the frozen dataclass of its settings; a subclass of
            :class:`~slowfast_rl.policies.settings.Settings`.
        parts: the kind of each attribute that holds a component or None; the constructor takes
            the same names.
        fill_in: alternatives, each the methods that a subclass must define.
        vector: name of the attribute that ``learn`` sets and a compiled function reads, [W];
            empty where there is none.
        learn_arguments: names of the arguments that the agent passes to ``learn`` after the world.
        learns: whether the class defines ``learn``.
        log_arguments: names of the arguments that the agent passes to ``learn_from_log`` after the
            log.
        learns_from_logs: whether the class defines ``learn_from_log``.
        thread_safe: whether several threads at once may call what it decides with; then simulations
            are run in threads. A class that keeps nothing from one call to the next sets it.
        settings: the settings of this instance.
    """

    kind: ClassVar[str]
    name: ClassVar[str] = ""
    Settings: ClassVar[type[settings_module.Settings]] = settings_module.Settings
    parts: ClassVar[Mapping[str, str]] = {}
    fill_in: ClassVar[tuple[tuple[str, ...], ...]] = ()
    vector: ClassVar[str] = ""
    learn_arguments: ClassVar[tuple[str, ...]] = ()
    learns: ClassVar[bool] = False
    log_arguments: ClassVar[tuple[str, ...]] = ("seed", "max_rows")
    learns_from_logs: ClassVar[bool] = False
    thread_safe: bool = False
    settings: Any

    def __init__(self, settings: Any = None, **values: Any) -> None:
        """Store the settings, given as one object or each by its name."""
        if settings is not None and not isinstance(settings, self.Settings):
            raise ValueError(
                f"settings of {type(self).__name__} is {settings!r}; allowed is a "
                f"{self.Settings.__name__}, or each setting by its name"
            )
        if settings is not None and values:
            raise ValueError(
                f"settings of {type(self).__name__} are given as one object and by name "
                f"({', '.join(sorted(values))}); allowed is either"
            )
        self.settings = self.Settings(**values) if settings is None else settings

    def __init_subclass__(cls, **arguments: Any) -> None:
        """Document the settings, and note whether the class learns."""
        super().__init_subclass__(**arguments)
        if "kind" in cls.__dict__:
            BASES.setdefault(cls.kind, cls)
        vector = cls.vector
        if isinstance(cls.__dict__.get(vector), np.ndarray | list | tuple):
            setattr(cls, vector, as_vector(f"{vector} of {cls.__name__}", cls.__dict__[vector]))
        learn = getattr(cls, "learn", None)
        cls.learns = learn is not None and learn not in _DO_NOTHING
        cls.learns_from_logs = cls.learn_from_log not in _DO_NOTHING
        if is_dataclass(cls.__dict__.get("Settings")) and "__init__" not in cls.__dict__:
            text = settings_text(cls.Settings)
            cls.__doc__ = f"{inspect.getdoc(cls) or cls.__name__}\n\n{text}".rstrip()
            cls.__signature__ = inspect.Signature(  # type: ignore[attr-defined]  # for help()
                [
                    inspect.Parameter(f.name, inspect.Parameter.KEYWORD_ONLY, default=f.default)
                    for f in fields(cls.Settings)
                ]
            )

    def __setattr__(self, name: str, value: Any) -> None:
        """Keep what a compiled function reads as float32."""
        if name and name == self.vector:
            value = as_vector(f"{name} of {type(self).__name__}", value)
        super().__setattr__(name, value)

    def __repr__(self) -> str:
        """Return the class with its parts and the settings that differ from their defaults."""
        given = {name: getattr(self, name) for name in self.parts}
        for field in fields(self.settings) if is_dataclass(self.settings) else ():
            value = getattr(self.settings, field.name)
            if value != field.default:
                given[field.name] = value
        shown = ", ".join(f"{name}={value!r}" for name, value in given.items())
        return f"{type(self).__name__}({shown})"

    def check_installed(self) -> None:
        """Raise ImportError if a package that it learns with is missing, before anything begins."""

    def learn_from_log(self, log: Any, *arguments: Any, **keywords: Any) -> Any:
        """Train from the start on a log alone; a class that needs no simulator may define this.

        A subclass declares those of the arguments below that it uses. It reads the log part by
        part, keeps only what its fit needs, and may use nothing that a company does not observe.

        The agent passes:
            log: the log, an :class:`~slowfast_rl.logs.EventLog`; ``log.world`` has the company's
                side of the world: channels, menu, schedule and reward.
            seed: seed of whatever is drawn.
            max_rows: rows of the log that the fit may use at most; which ones is drawn.
            ranker: for pacers, the trained ranker whose scores the pacer will be compared with.

        Raises:
            ValueError: the class defines no ``learn_from_log``, or the log does not hold what
                the class needs.
        """
        refuse_logs(self)

    def state(self) -> dict[str, Any]:
        """Return the learned state by name: arrays, and values that JSON can represent."""
        return {}

    @classmethod
    def from_state(
        cls, world: World, settings: Any, state: Mapping[str, Any], **parts: Any
    ) -> Self:
        """Rebuild an instance from the result of :meth:`state`.

        Args:
            world: the world in which it was trained.
            settings: an instance of :attr:`Settings`.
            state: the result of :meth:`state`.
            parts: components by name, for :attr:`parts`.

        Raises:
            ValueError: the state does not fit.
        """
        if state:
            raise ValueError(f"{cls.name} has state {sorted(state)}; allowed: none")
        return cls.made_of(settings, **parts)

    @classmethod
    def made_of(cls, settings: Any, **parts: Any) -> Self:
        """Return a new instance of settings and parts, each by its name."""
        return cls(**accepted(cast(Any, cls).__init__, settings=settings), **parts)

    def before_learning(self) -> Self:
        """Return an instance of the same settings and parts, as it was before anything learned."""
        found = {name: getattr(self, name) for name in self.parts}
        parts = {
            name: part.before_learning() if part is not None and part.learns else part
            for name, part in found.items()
        }
        return self.made_of(self.settings, **parts)


def check_log_learner(part: Component) -> None:
    """Check that whatever learns in a component and its parts can learn from a log.

    Raises:
        ValueError: a class learns and has no ``learn_from_log``.
    """
    if part.learns and not part.learns_from_logs:
        refuse_logs(part)
    for name in part.parts:
        inner = getattr(part, name)
        if inner is not None:
            check_log_learner(inner)


def refuse_logs(part: Component) -> None:
    """Raise the ValueError of a class that has no ``learn_from_log``."""
    from slowfast_rl.policies.registry import registered  # it imports this module

    classes = registered(part.kind).values()
    known = sorted({cls.__name__ for cls in classes if cls.learns_from_logs})
    raise ValueError(
        f"{type(part).__name__} cannot learn from a log: it has no learn_from_log; built-in "
        f"{part.kind}s that can: {', '.join(known) or 'none'}"
    )


class NotTrainedError(RuntimeError):
    """A policy was asked to act, or to be saved, before it learned."""


class LossNotFiniteError(RuntimeError):
    """The loss of a gradient step is NaN or infinite, so that the weights are of no use.

    Args:
        loss: the loss.
        batch: arrays of the batch by name, for whoever looks for the reason.
    """

    def __init__(self, loss: float, batch: Mapping[str, NDArray[Any]]) -> None:
        super().__init__(f"the loss is {loss}; training stops")
        self.batch = dict(batch)


def does_nothing(method: F) -> F:
    """Mark a base class's ``learn``: a class that inherits it does not learn."""
    _DO_NOTHING.add(method)
    return method


def accepted(function: Callable[..., Any], **arguments: Any) -> dict[str, Any]:
    """Return those of the arguments that a function accepts by name."""
    parameters = inspect.signature(function).parameters.values()
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return arguments
    names = {p.name for p in parameters}
    return {name: value for name, value in arguments.items() if name in names}


does_nothing(Component.learn_from_log)


def as_vector(name: str, value: Any) -> NDArray[np.float32]:
    """Return numbers as a float32 vector, [W].

    Raises:
        ValueError: they are not finite, or not one-dimensional.
    """
    try:
        vector = np.array(value, np.float32)
    except (TypeError, ValueError):
        vector = np.zeros((0, 0), np.float32)
    if vector.ndim != 1 or not np.isfinite(vector).all():
        raise ValueError(f"{name} is {str(value)[:60]!r}; allowed are finite numbers, [W]")
    return vector
