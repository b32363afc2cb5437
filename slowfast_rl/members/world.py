"""A world: a complete, validated set of parameters with its schedule of send opportunities."""

from collections import Counter
from dataclasses import dataclass, fields
from math import prod
from typing import Any

import numpy as np

from slowfast_rl.members.arrays import Int32
from slowfast_rl.members.bounds import quoted, whole_number
from slowfast_rl.members.clock import DAY_SECONDS
from slowfast_rl.members.parameters import (
    Churn,
    Dismissal,
    Fatigue,
    Launches,
    OptOut,
    Organic,
    Parameters,
    PerChannel,
    Response,
    Reward,
    TraitDistributions,
    group_name,
)
from slowfast_rl.members.shapes import UNIFORM, Shape

MAX_SLOTS_PER_DAY = 127  # the slot of the organic view is an int8
MAX_CHANNELS = 16
MAX_TARGET = 1000  # sends per week on a channel; a week has at most 7 * 127 slots
MAX_PLANS = 10_000  # each of which planners score for each member
_MAX_NAME = 64  # characters of the name of a channel or shape


@dataclass(frozen=True)
class Slot:
    """One send opportunity of the weekly schedule.

    Attributes:
        weekday: 0 is Monday.
        second: seconds since midnight.
        channel: index into the world's channels.
    """

    weekday: int
    second: int
    channel: int


@dataclass(frozen=True, kw_only=True)
class World:
    """All parameters of one simulated service.

    Attributes:
        name: the name, for a YAML file its stem.
        channels: names of the C channels.
        num_topics: D, number of topics.
        num_candidates: K, number of candidates at each opportunity.
        schedule: the S slots of a week, in order of time.
        menu: per channel the allowed weekly targets, rising from 0 (sends per week).
        safe_plan: per channel the target that is used when no plan is known (sends per week).
        traits, organic, launches, response, fatigue, opt_out, churn, dismissal, reward:
            parameter groups, see ``parameters``.
        shapes: pacing shapes of plans besides the uniform one, with ids from 1; the plans are all
            combinations of targets and shapes.

    Raises:
        ValueError: a value is not allowed; the message names the value and what is allowed.
    """

    name: str
    channels: tuple[str, ...]
    num_topics: int
    num_candidates: int
    schedule: tuple[Slot, ...]
    menu: tuple[tuple[int, ...], ...]
    safe_plan: tuple[int, ...]
    traits: TraitDistributions
    organic: Organic
    launches: Launches
    response: Response
    fatigue: Fatigue
    opt_out: OptOut
    churn: Churn
    dismissal: Dismissal
    reward: Reward
    shapes: tuple[Shape, ...] = ()

    def __post_init__(self) -> None:
        """Check the values and that they fit together."""
        whole_number("num_topics", self.num_topics, 1, 255)
        whole_number("num_candidates", self.num_candidates, 1, 255)
        check_channels(self.channels)
        for shape in self.shape_names:
            check_name("shapes", shape)
        self._check_schedule()
        for parameters in (getattr(self, f.name) for f in fields(self)):
            if isinstance(parameters, Parameters):
                self._check_per_channel(parameters)
        self._check_menu()

    def _check_schedule(self) -> None:
        if not self.schedule:
            raise ValueError("schedule is empty; at least one slot is needed")
        for slot in self.schedule:
            whole_number("schedule's weekday", slot.weekday, 0, 6)
            whole_number("schedule's second", slot.second, 0, DAY_SECONDS - 1)
            whole_number("schedule's channel", slot.channel, 0, len(self.channels) - 1)
        times = [(slot.weekday, slot.second) for slot in self.schedule]
        if times != sorted(times):
            raise ValueError("schedule is not in order of time; allowed are slots that are")
        for weekday, slots in Counter(slot.weekday for slot in self.schedule).items():
            if slots > MAX_SLOTS_PER_DAY:
                raise ValueError(
                    f"schedule has {slots} slots on weekday {weekday}; "
                    f"allowed is at most {MAX_SLOTS_PER_DAY}"
                )

    def _check_menu(self) -> None:
        for channel, targets in zip(self.channels, self.menu, strict=True):
            if list(targets) != sorted(set(targets)) or targets[:1] != (0,):
                raise ValueError(
                    f"menu.{channel} is {quoted(targets)}; rising whole numbers that start at 0 "
                    "are needed"
                )
            whole_number(f"menu.{channel}", targets[-1], 0, MAX_TARGET)
        for channel, target in zip(self.channels, self.safe_plan, strict=True):
            whole_number(f"safe_plan.{channel}", target, 0, MAX_TARGET)
        if len(set(self.shape_names)) < len(self.shape_names):
            names = quoted(self.shape_names[1:])
            raise ValueError(f"shapes is {names}; each name must be given once")
        if (plans := prod(self.plan_grid)) > MAX_PLANS:
            raise ValueError(
                f"menu has {quoted(plans)} plans, with all shapes; allowed is at most {MAX_PLANS}"
            )

    def _check_per_channel(self, parameters: Parameters) -> None:
        for parameter in fields(parameters):
            value = getattr(parameters, parameter.name)
            if parameter.type == PerChannel and len(value) != len(self.channels):
                where = f"{group_name(type(parameters))}.{parameter.name}"
                raise ValueError(
                    f"{where} is {quoted(value)}; one number per channel {quoted(self.channels)} "
                    "is needed"
                )

    @property
    def slots_per_week(self) -> int:
        """S, the number of send opportunities in a week."""
        return len(self.schedule)

    @property
    def shape_names(self) -> tuple[str, ...]:
        """Names of the pacing shapes by their id, the uniform one first."""
        return (UNIFORM, *(shape.name for shape in self.shapes))

    @property
    def plans(self) -> Int32:
        """Targets of all plans, [O, C], in sends per week.

        The last channel varies fastest, the pacing shape slowest: the first plans have the uniform
        shape in every world.
        """
        grids = np.meshgrid(*(np.array(m, np.int32) for m in self.menu), indexing="ij")
        targets = np.stack([g.ravel() for g in grids], axis=1).astype(np.int32)
        return np.tile(targets, (len(self.shape_names), 1))

    @property
    def plan_shapes(self) -> Int32:
        """Pacing shape ids of all plans, [O]."""
        shapes = np.arange(len(self.shape_names), dtype=np.int32)
        return np.repeat(shapes, prod(len(targets) for targets in self.menu))

    @property
    def plan_grid(self) -> tuple[int, ...]:
        """Sizes of the grid of all plans, [1 + C]: the shapes, then the targets of each channel."""
        return (len(self.shape_names), *(len(targets) for targets in self.menu))

    @property
    def plan_names(self) -> tuple[str, ...]:
        """A text for each plan, [O], such as "3 push + 1 email", and its shape if not uniform."""
        names = [
            " + ".join(f"{target} {c}" for target, c in zip(plan, self.channels, strict=True))
            for plan in self.plans.tolist()
        ]
        shapes = [self.shape_names[shape] for shape in self.plan_shapes]
        pairs = zip(names, shapes, strict=True)
        return tuple(name if shape == UNIFORM else f"{name}, {shape}" for name, shape in pairs)

    def __repr__(self) -> str:
        """Return the name and sizes; :func:`dataclasses.asdict` shows every parameter."""
        return (
            f"<World {self.name}: {', '.join(self.channels)}; {self.slots_per_week} slots a week, "
            f"{len(self.plans)} plans>"
        )

    def plan_index(self, plan: tuple[int, ...] | dict[str, int] | Any, shape: str = UNIFORM) -> int:
        """Return the index of a plan among :attr:`plans`.

        Args:
            plan: sends per week, by channel name or in the order of ``channels``.
            shape: name of the pacing shape.

        Raises:
            ValueError: the plan is not on the menu.
        """
        wanted = tuple(plan[c] for c in self.channels) if isinstance(plan, dict) else tuple(plan)
        if shape not in self.shape_names:
            allowed = ", ".join(self.shape_names)
            raise ValueError(f"shape {quoted(shape)} is not on the menu; allowed: {allowed}")
        number = self.shape_names.index(shape)
        known = zip(self.plans.tolist(), self.plan_shapes.tolist(), strict=True)
        found = [i for i, (p, s) in enumerate(known) if tuple(p) == wanted and s == number]
        if len(found) != 1:
            menu = {c: list(m) for c, m in zip(self.channels, self.menu, strict=True)}
            raise ValueError(f"plan {quoted(wanted)} is not on the menu; allowed: {menu}")
        return found[0]


def check_channels(channels: tuple[str, ...]) -> None:
    """Raise ValueError if there are no channels or too many, or names are wrong or given twice."""
    if not channels or len(set(channels)) < len(channels):
        raise ValueError(
            f"channels is {quoted(channels)}; at least one channel is needed, each named once"
        )
    if len(channels) > MAX_CHANNELS:
        raise ValueError(f"channels has {len(channels)} names; allowed is at most {MAX_CHANNELS}")
    for name in channels:
        check_name("channels", name)


def check_name(what: str, name: str) -> None:
    """Raise ValueError if the name of a channel or shape is no short text in one line."""
    if not 1 <= len(name) <= _MAX_NAME or not name.isprintable():
        raise ValueError(
            f"{what} has {quoted(name)}; allowed is a name of 1 to {_MAX_NAME} printable characters"
        )
