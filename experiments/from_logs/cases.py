"""The true worlds and their logs: the main ones, and those that make it harder."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

import slowfast_rl as sf
from slowfast_rl.evaluation.studies import Options
from slowfast_rl.fitting.parameters import ParameterSpace
from slowfast_rl.logs.recording import PlanDesign
from slowfast_rl.slow import BasePlanner, UtilityPlanner

BASE = "pronounced"  # the world that a fit begins with
OFF = 1.5  # factor by which each fitted parameter of a truth is above or below the base's
CONSTANTS = (  # (group, parameter) of what no fit changes; the case "other constants" does
    ("organic", "goodwill_weight"), ("response", "taste_weight"), ("response", "wear"),
    ("response", "cross_channel"), ("response", "lapsed_rate"), ("fatigue", "relevance_relief"),
    ("fatigue", "opened_share"),
)  # fmt: skip
RULE = UtilityPlanner  # learned in the base world, chooses the plans of the case "rule"
RULE_SEED = 79


def lots(seed: int, number: int) -> np.ndarray:
    """Return 1 or -1 for each of some parameters, by lot."""
    return np.where(np.random.default_rng(seed).random(number) < 0.5, 1, -1)


def drawn(number: int) -> sf.World:
    """Return a world whose fitted parameters differ from the base's, up or down by lot."""
    space = ParameterSpace(sf.load_world(BASE))
    return space.world(lots(700 + number, len(space)) * np.log(OFF), f"truth-{number}")


def two_kinds(number: int) -> sf.World:
    """Return a drawn world in which three members of four hardly tire and the fourth does fast."""
    world = drawn(number)
    kinds = {"fatigue_sensitivity_values": (0.3, 3.1), "fatigue_sensitivity_shares": (0.75, 0.25)}
    return replace(world, traits=replace(world.traits, **kinds))


def other_constants(number: int) -> sf.World:
    """Return a drawn world in which parameters that are not fitted differ too, and goodwill lasts.

    Each of :data:`CONSTANTS` is up or down by the same factor, and goodwill takes three times as
    long to recover as in the drawn world.
    """
    world = drawn(number)
    for (group, name), sign in zip(CONSTANTS, lots(800 + number, len(CONSTANTS)), strict=True):
        old = getattr(world, group)
        changed = replace(old, **{name: getattr(old, name) * OFF ** float(sign)})
        world = replace(world, **{group: changed})
    slow = replace(world.fatigue, goodwill_days=3 * world.fatigue.goodwill_days)
    return replace(world, fatigue=slow)


@dataclass(frozen=True)
class Case:
    """A kind of log.

    Attributes:
        text: what is special in it.
        share: members relative to the main case's.
        rule: whether a rule chooses the plans, and no chance does.
        truth: returns the true world of a number.
    """

    text: str
    share: float = 1.0
    rule: bool = False
    truth: Callable[[int], sf.World] = drawn

    @property
    def has_drawn_truth(self) -> bool:
        """Whether its true worlds are the main case's."""
        return self.truth is drawn


MAIN = Case("10,000 members, random plans")
CASES = {
    "small": Case("2,000 members", share=0.2),
    "large": Case("50,000 members", share=5),
    "rule": Case("a rule chose all plans; the fit is given the rule", rule=True),
    "two kinds": Case("fatigue sensitivity has two values, not a lognormal law", truth=two_kinds),
    "constants": Case(
        "goodwill is three times as slow, and seven parameters that no fit changes are 1.5 times "
        "too large or too small",
        truth=other_constants,
    ),
}


def rule_of(case: Case) -> BasePlanner | None:
    """Return the rule that chooses a case's plans; None for chance."""
    return RULE().learn(sf.load_world(BASE), seed=RULE_SEED) if case.rule else None


@contextmanager
def log_of(
    case: Case, number: int, options: Options, rule: BasePlanner | None
) -> Iterator[sf.logs.EventLog]:
    """Record the log of a case in a true world; nothing of the world is told to the reader."""
    design = PlanDesign(random_plans=0, held_share=0) if case.rule else PlanDesign()
    with TemporaryDirectory() as folder:
        path = Path(folder) / "log"
        sf.logs.record(
            path, case.truth(number), sf.fast.PacedExecutor(), planner=rule, design=design,
            num_members=round(case.share * options.members), weeks=options.log_weeks,
            population_seed=40 + number, luck_seed=40 + number, holds=False,
        )  # fmt: skip
        log = sf.logs.read(path, BASE)
        report = sf.logs.check(log, ["fit"] if case.rule else ["plans", "fit"])
        assert not report.errors, report.errors
        yield log
