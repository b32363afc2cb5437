"""Every planner keeps the planners' contract, and those that learn the learners'."""

import pytest

from tests.contracts.learner_contract import LearnerContract
from tests.contracts.planner_contract import (
    BelievingPlannerContract,
    IndependentPlannerContract,
    PlannerContract,
    SavedPlannerContract,
    TrainedPlannerContract,
)
from tests.slow.planners import CASES, LEARNERS, TRAINED


def every(**what: bool) -> pytest.MarkDecorator:
    chosen = {
        name: case
        for name, case in CASES.items()
        if all(getattr(case, field) == value for field, value in what.items())
    }
    return pytest.mark.parametrize("case", chosen.values(), ids=chosen)


@every()
class TestPlanner(PlannerContract):
    """The suite, once per planner."""


@every(alone=True)
class TestIndependentPlanner(IndependentPlannerContract):
    """The suite, once per planner that asks nobody else."""


@every(believes=True)
class TestBelievingPlanner(BelievingPlannerContract):
    """The suite, once per planner that needs beliefs."""


@every(saved=True)
class TestSavedPlanner(SavedPlannerContract):
    """The suite, once per planner that can be saved."""


@pytest.mark.parametrize("make", LEARNERS.values(), ids=LEARNERS)
class TestLearner(LearnerContract):
    """The suite, once per planner that learns."""


@pytest.mark.parametrize("make", TRAINED.values(), ids=TRAINED)
class TestTrainedPlanner(TrainedPlannerContract):
    """The suite, once per planner that learns, by a budget or by its own settings."""
