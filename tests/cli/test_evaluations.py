"""When a training evaluates: evenly in each turn, or as often as it is told."""

from slowfast_rl.agents.base import Turn
from slowfast_rl.cli.train import _steps
from slowfast_rl.policies.budget import Schedule


def turn(level, opportunities):
    return Turn(level, None, {"total_opportunities": 1}, Schedule(opportunities), False)


def test_a_turn_of_the_planner_has_ten_evaluations_and_one_of_the_executor_four():
    steps = list(_steps([turn("slow", 1000), turn("fast", 40)]))
    assert steps == [*range(0, 1000, 100), 1000, 1010, 1020, 1030]
