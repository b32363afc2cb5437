"""Pacing shapes: how the sends of a plan are distributed over the days of its week."""

from dataclasses import dataclass

from slowfast_rl.members.bounds import bounded, check_bounds, quoted

UNIFORM = "uniform"  # every world has this shape: id 0, all weights equal


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Seven day weights, log-linear in what is known on Monday 00:00.

    The weight of weekday d is exp(day[d] + launch L_d + activity[d] v), where L_d is the day's
    total launch intensity and v the member's viewing days per week, averaged over about 4 weeks.
    With ``day`` alone a shape can favour the weekend, with ``launch`` days of launches, with
    ``activity`` days that depend on the member's viewing. Only ratios within a week matter.

    Attributes:
        name: the shape's name; "uniform" is reserved.
        day: seven log weights from Monday.
        launch: log weight per unit of launch intensity.
        activity: seven log weights from Monday, per viewing day per week.

    Raises:
        ValueError: a value is outside what is allowed.
    """

    name: str
    day: tuple[float, ...] = bounded(low=-20, high=20)
    launch: float = bounded(low=-20, high=20)
    activity: tuple[float, ...] = bounded(low=-20, high=20)

    def __post_init__(self) -> None:
        """Check name, bounds and the seven days."""
        if not isinstance(self.name, str) or self.name in ("", UNIFORM):
            raise ValueError(
                f"shapes has {quoted(self.name)}; a name other than {UNIFORM!r} is needed"
            )
        check_bounds(self, f"shapes.{self.name}")
        for what in ("day", "activity"):
            if len(getattr(self, what)) != 7:
                raise ValueError(
                    f"shapes.{self.name}.{what} is {quoted(getattr(self, what))}; "
                    "seven numbers are needed"
                )
