"""Every argument of every equation moves its quantity in the direction that the page says."""

from typing import Any

import numpy as np
import pytest

from slowfast_rl.members import dynamics
from slowfast_rl.members.constants import constants
from tests.members.worlds import world

PRONOUNCED = constants(world("pronounced"))
ARGUMENTS: dict[str, tuple[tuple[str, ...], tuple[float, ...]]] = {
    "organic_view": (
        ("base_logit", "habit", "goodwill", "felt_total", "launch_total"),
        (-1, 0.2, 0.8, 5, 1),
    ),
    "relevance": (("quality", "taste", "launch"), (0, 0, 1)),
    "felt_fatigue": (("sensitivity", "own", "total"), (1, 4, 6)),
    "response": (
        ("responsiveness", "relevance", "topic_days", "felt", "habit"),
        (0.1, 0.5, 10, 3, 0.2),
    ),
    "dismissal": (("propensity", "felt"), (1, 1)),
    "opt_out": (("frailty", "felt", "relevance"), (1, 5, 0.5)),
    "fatigue_after_send": (("fatigue", "relevance", "opened"), (3, 0.5, 0)),
    "goodwill_after_unopened": (("goodwill", "sensitivity"), (0.9, 1)),
    "goodwill_after_day": (("goodwill",), (0.9,)),
    "habit_after_day": (("habit", "viewed"), (0.3, 0)),
    "churn": (("habit",), (0.2,)),
}
PER_CHANNEL = ("response", "dismissal", "opt_out", "goodwill_after_unopened")
SIGNS = [
    ("organic_view", "base_logit", +1),
    ("organic_view", "habit", +1),
    ("organic_view", "goodwill", +1),
    ("organic_view", "felt_total", -1),
    ("organic_view", "launch_total", +1),
    ("relevance", "quality", +1),
    ("relevance", "taste", +1),
    ("relevance", "launch", +1),
    ("felt_fatigue", "sensitivity", +1),
    ("felt_fatigue", "own", +1),
    ("felt_fatigue", "total", +1),
    ("response", "responsiveness", +1),
    ("response", "relevance", +1),
    ("response", "topic_days", +1),
    ("response", "felt", -1),
    ("response", "habit", +1),
    ("dismissal", "propensity", +1),
    ("dismissal", "felt", +1),
    ("opt_out", "frailty", +1),
    ("opt_out", "felt", +1),
    ("opt_out", "relevance", -1),
    ("fatigue_after_send", "fatigue", +1),
    ("fatigue_after_send", "relevance", -1),
    ("fatigue_after_send", "opened", -1),
    ("goodwill_after_unopened", "goodwill", +1),
    ("goodwill_after_unopened", "sensitivity", -1),
    ("goodwill_after_day", "goodwill", +1),
    ("habit_after_day", "habit", +1),
    ("habit_after_day", "viewed", +1),
    ("churn", "habit", -1),
]


def call(equation: str, values: dict[str, float], weekday: int = 0) -> float:
    front: tuple[Any, ...] = (PRONOUNCED, 0) if equation in PER_CHANNEL else (PRONOUNCED,)
    back = (weekday,) if equation == "organic_view" else ()
    inputs = [
        int(v) if name in ("opened", "viewed") else np.float32(v) for name, v in values.items()
    ]
    return float(getattr(dynamics, equation)(*front, *inputs, *back))


class TestSigns:
    """What makes each quantity rise or fall."""

    def test_every_argument_of_every_equation_has_a_sign(self) -> None:
        all_arguments = [(e, a) for e, (names, _) in ARGUMENTS.items() for a in names]
        assert [(equation, argument) for equation, argument, _ in SIGNS] == all_arguments

    @pytest.mark.parametrize(("equation", "argument", "sign"), SIGNS)
    @pytest.mark.parametrize("more", [0.01, 1])
    def test_a_quantity_moves_as_the_page_says(
        self, equation: str, argument: str, sign: int, more: float
    ) -> None:
        names, typical = ARGUMENTS[equation]
        values = dict(zip(names, typical, strict=True))
        before = call(equation, values)
        values[argument] += 1 if argument in ("opened", "viewed") else more
        after = call(equation, values)
        assert (after - before) * sign > 0

    def test_weekends_see_more_viewing_than_mondays(self) -> None:
        values = dict(zip(ARGUMENTS["organic_view"][0], (-1, 0.2, 1, 0, 0), strict=True))
        week = [call("organic_view", values, day) for day in range(7)]
        assert week[0] == week[1] == week[2] < week[3] < week[4] < week[6] < week[5]
