"""A world: one full set of parameters, validated, with its schedule of send opportunities."""

from collections import Counter
from dataclasses import dataclass, fields
from math import prod
from typing import Any, ClassVar

import numpy as np

from slowfast_rl.members.arrays import Int32
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

MOST_SLOTS = 127  # a day; the slot of the organic view is an int8


@dataclass(frozen=True)
class Slot:
    """A send opportunity of the weekly schedule.

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
    """All that distinguishes one simulated service from another.

    Attributes:
        name: the YAML file's stem.
        channels: names of the C channels.
        num_topics: D, topics of candidates.
        num_candidates: K, candidates at each opportunity.
        schedule: the week's slots, in order of time.
        menu: per channel the allowed weekly targets (sends per week).
        safe_plan: the plan used when none is known (sends per week), per channel.
        traits, organic, launches, response, fatigue, opt_out, churn, dismissal, reward:
            parameter groups, see ``parameters``.
        shapes: pacing shapes of plans besides the uniform one, ids from 1; plans are the product
            of targets and shapes.

    Raises:
        ValueError: a value is outside what is allowed; the message names both.
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

    DAYS: ClassVar[int] = 7

    def __post_init__(self) -> None:
        """Check that the parts fit together."""
        for number, what in (
            (self.num_topics, "num_topics"),
            (self.num_candidates, "num_candidates"),
        ):
            if not 1 <= number <= 255:
                raise ValueError(f"{what} is {number}; allowed is 1 to 255")
        if not self.channels or len(set(self.channels)) < len(self.channels):
            raise ValueError(f"channels is {self.channels}; at least one, each named once, needed")
        if not self.schedule:
            raise ValueError("schedule is empty; at least one slot is needed")
        for weekday, slots in Counter(slot.weekday for slot in self.schedule).items():
            if slots > MOST_SLOTS:
                raise ValueError(
                    f"schedule has {slots} slots on weekday {weekday}; "
                    f"allowed is at most {MOST_SLOTS}"
                )
        for parameters in (getattr(self, f.name) for f in fields(self)):
            if isinstance(parameters, Parameters):
                self._check_per_channel(parameters)
        for channel, targets in zip(self.channels, self.menu, strict=True):
            if list(targets) != sorted(set(targets)) or targets[:1] != (0,):
                raise ValueError(
                    f"menu.{channel} is {targets}; rising whole numbers that start at 0 are needed"
                )
        for channel, target in zip(self.channels, self.safe_plan, strict=True):
            if target < 0:
                raise ValueError(f"safe_plan.{channel} is {target}; 0 or more is allowed")
        if len(set(self.shape_names)) < len(self.shape_names):
            raise ValueError(f"shapes is {self.shape_names[1:]}; each name once is needed")

    def _check_per_channel(self, parameters: Parameters) -> None:
        for parameter in fields(parameters):
            value = getattr(parameters, parameter.name)
            if parameter.type == PerChannel and len(value) != len(self.channels):
                where = f"{group_name(type(parameters))}.{parameter.name}"
                raise ValueError(
                    f"{where} is {value}; one number per channel {self.channels} needed"
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
        """Targets of all plans, [O, C] sends per week.

        The last channel varies fastest, the pacing shape slowest: the first plans are the uniform
        ones, whatever other shapes there are.
        """
        grids = np.meshgrid(*(np.array(m, np.int32) for m in self.menu), indexing="ij")
        targets = np.stack([g.ravel() for g in grids], axis=1).astype(np.int32)
        return np.tile(targets, (len(self.shape_names), 1))

    @property
    def plan_shapes(self) -> Int32:
        """Pacing shape ids of all plans, [O]."""
        shapes = np.arange(len(self.shape_names), dtype=np.int32)
        return np.repeat(shapes, prod(len(targets) for targets in self.menu))

    def plan_index(self, plan: tuple[int, ...] | dict[str, int] | Any, shape: str = UNIFORM) -> int:
        """Return the index of a plan in the menu.

        Raises:
            ValueError: the plan is not on the menu.
        """
        wanted = tuple(plan[c] for c in self.channels) if isinstance(plan, dict) else tuple(plan)
        if shape not in self.shape_names:
            allowed = ", ".join(self.shape_names)
            raise ValueError(f"shape {shape!r} is not on the menu; allowed: {allowed}")
        number = self.shape_names.index(shape)
        known = zip(self.plans.tolist(), self.plan_shapes.tolist(), strict=True)
        found = [i for i, (p, s) in enumerate(known) if tuple(p) == wanted and s == number]
        if len(found) != 1:
            menu = {c: list(m) for c, m in zip(self.channels, self.menu, strict=True)}
            raise ValueError(f"plan {wanted} is not on the menu; allowed: {menu}")
        return found[0]
