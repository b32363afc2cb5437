"""The recipes that are compared."""

from collections.abc import Callable
from typing import Any, NamedTuple

from student import StudentPlanner

import slowfast_rl as sf


class Recipe(NamedTuple):
    """A row of the table."""

    what: str
    make: Callable[[bool], sf.slow.RolloutPlanner]  # quick
    iterations: int | None = None  # None for the default's 300 million opportunities


def _rollouts(**settings: Any) -> Callable[[bool], sf.slow.RolloutPlanner]:
    return lambda quick: sf.slow.RolloutPlanner(**({"states": 200} if quick else {}), **settings)


RECIPES = {
    "default": Recipe("the default: beliefs, 300 million opportunities", _rollouts()),
    "beliefs_6": Recipe("beliefs, 6 iterations", _rollouts(), 6),
    "beliefs_3": Recipe("beliefs, 3 iterations", _rollouts(), 3),
    "plain_6": Recipe("without beliefs, 6 iterations", _rollouts(beliefs=False), 6),
    "plain_3": Recipe("without beliefs, 3 iterations", _rollouts(beliefs=False), 3),
    "plain_1": Recipe("without beliefs, 1 iteration", _rollouts(beliefs=False), 1),
    "plain_40": Recipe(
        "without beliefs, 6 iterations, rollouts to week 40",
        _rollouts(beliefs=False, horizon=40),
        6,
    ),
    "latents_3": Recipe(
        "the teacher: all latents, 3 iterations", _rollouts(beliefs=False, privileged=True), 3
    ),
    "student": Recipe(
        "its student: beliefs, 3 rounds of DAgger", lambda quick: StudentPlanner(False, quick)
    ),
    "student_residual": Recipe(
        "the student and one iteration of rollouts to week 80",
        lambda quick: StudentPlanner(True, quick),
    ),
}


def budget(recipe: Recipe, planner: sf.slow.RolloutPlanner, world: sf.World, quick: bool) -> int:
    """Return opportunities after which the recipe's last iteration has begun and none follows."""
    if quick:
        return 100_000
    if recipe.iterations is None:
        return 300_000_000
    s = planner.settings
    first = s["ages"] + s["branches"] * s["horizon"]
    later = s["weeks_between"] + s["branches"] * s["horizon"]
    weeks = first + (recipe.iterations - 1) * later - later / 2
    return int(s["states"] * world.slots_per_week * weeks)
