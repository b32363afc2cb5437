"""Settings of a fit."""

from dataclasses import dataclass

from slowfast_rl.members.random import LARGEST_SEED
from slowfast_rl.policies.settings import Settings, setting

_FEW, _MANY = 64, 10_000_000


@dataclass(frozen=True, kw_only=True)
class FitSettings(Settings):
    """Settings of :func:`slowfast_rl.fitting.fit`."""

    coarse_members: int = setting(
        4096, "simulated members while the parameters are far off", low=_FEW, high=_MANY
    )
    coarse_steps: int = setting(8, "most steps with so few members", low=0, high=100)
    members: int = setting(
        81_920, "simulated members of the last steps; their noise widens the intervals by the "
        "square root of 1 + members of the log / these", low=_FEW, high=_MANY,
    )  # fmt: skip
    derivative_members: int = setting(
        10_240, "simulated members of each of the two independent derivatives", low=_FEW, high=_MANY
    )
    steps: int = setting(8, "most of the last steps", low=0, high=100)
    prior_spread: float = setting(
        1.0, "standard deviation of the log of a parameter around the base world's, before the log",
        low=0.01, high=10,
    )  # fmt: skip
    history_weeks: int = setting(
        0, "weeks of the members' history before the log begins, which are simulated first", low=0,
        high=1000,
    )  # fmt: skip
    ramp_weeks: int = setting(
        0, "weeks in which the weight of the log's weeks rises to 1, because what was before them "
        "is not known", low=0, high=1000,
    )  # fmt: skip
    least_probability: float = setting(
        0.0001, "probability of an objective as large as the fit's below which the verdict says "
        "that the model is wrong", low=0, high=0.5,
    )  # fmt: skip
    seed: int = setting(0, "of the simulated members", low=0, high=LARGEST_SEED - 3)
