"""The parameters of a world that a log can tell, and their logs, in which they are fitted."""

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any, NamedTuple

import numpy as np

from slowfast_rl.members.arrays import Float64
from slowfast_rl.members.parameters import Parameters
from slowfast_rl.members.world import World

#: Parameters that are fitted, one for each channel where the world has one for each.
FITTED = (
    "traits.base_rate_location",
    "traits.base_rate_spread",
    "traits.responsiveness",
    "traits.responsiveness_spread",
    "traits.fatigue_sensitivity_spread",
    "traits.dismissal_spread",
    "organic.habit_weight",
    "response.fatigue_decay",
    "response.tap",
    "fatigue.decay_days",
    "fatigue.goodwill_loss",
    "fatigue.goodwill_days",
    "opt_out.hazard",
    "opt_out.fatigue_weight",
    "opt_out.return_rate",
    "churn.scale",
    "churn.habit_rate",
    "dismissal.base_rate",
    "dismissal.rate",
)
_SHARED = ("opt_out.fatigue_weight",)  # one factor for all channels: opt-outs are too rare for more
_SHIFTED = ("traits.base_rate_location",)  # which is a log or a logit itself
_GOODWILL = ("fatigue.goodwill_loss", "fatigue.goodwill_days")


class Parameter(NamedTuple):
    """One number that is fitted.

    Attributes:
        group: name of the parameter group.
        field: name of the parameter in it.
        channel: index of the channel; None where all channels have one number or one factor.
        label: dotted name, such as "response.fatigue_decay.push".
    """

    group: str
    field: str
    channel: int | None
    label: str

    @property
    def key(self) -> str:
        """The name without channel, such as "response.fatigue_decay"."""
        return f"{self.group}.{self.field}"

    @property
    def shifted(self) -> bool:
        """Whether the fit adds to the parameter; it multiplies all others."""
        return self.key in _SHIFTED

    @property
    def is_goodwill(self) -> bool:
        """Whether it is one of those of which a log tells only a combination."""
        return self.key in _GOODWILL


class ParameterSpace:
    """The fitted parameters of a base world, as a vector of 0 at the base world.

    An element is the log of a parameter's value relative to the base world's; of a location, which
    is a log or logit already, it is the difference. Parameters that are 0 in the base world are
    not fitted: the base world says that there is no such effect.

    Args:
        base: the base world.
        opt_in: [C] shares of members opted in at the start, which all worlds of the space have;
            None for the base world's.
        names: which of :data:`FITTED` to fit; None for all.

    Raises:
        ValueError: a name is unknown, there is none, or no parameter is left.
    """

    def __init__(
        self, base: World, opt_in: Float64 | None = None, names: Sequence[str] | None = None
    ) -> None:
        unknown = sorted(set(names or ()) - set(FITTED))
        if unknown:
            raise ValueError(f"parameters has {unknown[0]!r}; allowed: {', '.join(FITTED)}")
        if names is not None and not names:
            raise ValueError(f"parameters is empty; allowed: {', '.join(FITTED)}")
        if opt_in is not None:
            shares = tuple(float(share) for share in opt_in)
            base = replace(base, traits=replace(base.traits, opt_in=shares))
        self.base = base
        wanted = FITTED if names is None else names
        self.parameters = tuple(p for name in FITTED if name in wanted for p in _of(name, base))
        if not self.parameters:
            raise ValueError(
                f"world {base.name} has no parameter to fit; allowed is one in which some of "
                f"{', '.join(wanted)} are not 0"
            )

    def __len__(self) -> int:
        """Return P, the number of parameters."""
        return len(self.parameters)

    @property
    def labels(self) -> tuple[str, ...]:
        """Dotted names of the parameters, [P]."""
        return tuple(p.label for p in self.parameters)

    def world(self, theta: Float64, name: str | None = None) -> World:
        """Return the world of a vector; values beyond a parameter's bounds are cut to them.

        Args:
            theta: [P].
            name: the world's name; None for the base world's.
        """
        groups: dict[str, dict[str, Any]] = {}
        for parameter, value in zip(self.parameters, theta, strict=True):
            values = groups.setdefault(parameter.group, {})
            before = values.get(
                parameter.field, _value(self.base, parameter.group, parameter.field)
            )
            values[parameter.field] = _changed(self.base, parameter, before, float(value))
        changes: dict[str, Any] = {
            group: replace(getattr(self.base, group), **values) for group, values in groups.items()
        }
        return replace(self.base, name=name or self.base.name, **changes)

    def theta(self, world: World) -> Float64:
        """Return the vector of a world that differs from the base world in fitted parameters, [P].

        A parameter that is 0 has -inf.
        """
        with np.errstate(divide="ignore"):
            return np.array([self._element(p, world) for p in self.parameters])

    def values(self, world: World) -> Float64:
        """Return the parameters of a world, [P], each in its own unit."""
        return np.array(
            [_first(_value(world, p.group, p.field), p.channel) for p in self.parameters]
        )

    def _element(self, parameter: Parameter, world: World) -> float:
        mine, theirs = (
            _first(_value(w, parameter.group, parameter.field), parameter.channel)
            for w in (self.base, world)
        )
        return theirs - mine if parameter.shifted else float(np.log(theirs / mine))


def _of(name: str, base: World) -> list[Parameter]:
    """Return the fitted numbers of a parameter: those of the base world that are not 0."""
    group, field = name.split(".")
    value = _value(base, group, field)
    if name == "fatigue.goodwill_days" and not any(base.fatigue.goodwill_loss):
        return []
    if field == "fatigue_sensitivity_spread" and base.traits.fatigue_sensitivity_values:
        return []  # discrete values replace the lognormal
    if name in _SHIFTED:
        return [Parameter(group, field, None, name)]
    if not isinstance(value, tuple) or name in _SHARED:
        return [Parameter(group, field, None, name)] if np.any(np.array(value) != 0) else []
    return [
        Parameter(group, field, channel, f"{name}.{base.channels[channel]}")
        for channel, number in enumerate(value)
        if number
    ]


def _changed(base: World, parameter: Parameter, before: Any, change: float) -> Any:
    """Return the value of a field after the change of one of its numbers."""
    low, high = _bounds(base, parameter)

    def moved(value: float) -> float:
        if not value and not parameter.shifted:
            return value
        new = value + change if parameter.shifted else value * np.exp(change)
        return float(min(max(new, low), high))

    if not isinstance(before, tuple):
        return moved(before)
    wanted = parameter.channel
    return tuple(moved(v) if wanted in (None, c) else v for c, v in enumerate(before))


def _bounds(base: World, parameter: Parameter) -> tuple[float, float]:
    group: Parameters = getattr(base, parameter.group)
    limits = next(f.metadata for f in fields(group) if f.name == parameter.field)
    high = float(limits["high"])
    if parameter.key == "churn.scale":
        high = 1 - base.churn.floor  # together they are a probability
    return float(limits["low"]), high


def _value(world: World, group: str, field: str) -> Any:
    return getattr(getattr(world, group), field)


def _first(value: Any, channel: int | None) -> float:
    """Return the number of a channel; of a shared factor that of the first channel that has one."""
    if not isinstance(value, tuple):
        return float(value)
    return float(value[channel]) if channel is not None else float(next((v for v in value if v), 0))
