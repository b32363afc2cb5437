"""Agents without a planner on the leaderboard."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import slowfast_rl as sf
from slowfast_rl.agents import ThresholdAgent
from slowfast_rl.evaluation import contestants
from slowfast_rl.evaluation.contestants import Contestant, named_contestant, trained_contestant
from slowfast_rl.evaluation.statistics import ratio_interval
from slowfast_rl.fast import UpliftRanker
from slowfast_rl.slow import FixedPlanner
from tests.evaluation.cases import TINY, references, small_world, twins
from tests.evaluation.test_leaderboard import WIDE


def agent(threshold=0.0, seed=0):
    """An agent as if it had learned: quality only, and a made-up threshold."""
    made = ThresholdAgent()
    made.threshold, made.world, made.seed = threshold, small_world(), seed
    made.train_cpu_seconds, made.train_opportunities = 2.5, 77
    return made


def board_of(agents, protocol=TINY, **arguments):
    arguments = {"references": references(protocol=protocol), "twins": twins(protocol=protocol)}
    return sf.compare(agents, small_world(), protocol, progress=False, **arguments)


def test_a_single_policy_is_scored_by_its_own_return():
    board = board_of([agent(0.06), "never"], WIDE)
    row, case = board.row("threshold"), references(protocol=WIDE)
    own = ratio_interval(
        board.rollouts["threshold"].returns - case.best_fixed, case.oracle - case.best_fixed
    )
    assert row["executor"] == "own"
    assert row["gap_closed"] == own.mean
    assert row["gap_closed_ci95"] == [own.low, own.high]
    assert board.row("never")["executor"] == "default"
    assert (row["seeds"], row["train_cpu_seconds"], row["train_opportunities"]) == ([0], 2.5, 77)


def test_no_cap_of_the_menu_binds_a_single_policy():
    row = board_of([agent(-1.0)]).row("threshold")  # sends at every opportunity
    assert row["sends_per_week"]["push"] > 10  # 5 is the most on this menu
    assert row["sends_per_week"]["email"] > 5
    assert row["vetoed_sends"] == row["plan_changes_per_week"] == 0


def test_no_plan_moves_a_single_policy():
    one = trained_contestant(agent(0.06), small_world())
    other = one._replace(name="planned", planner=FixedPlanner(small_world(), (5, 1)))
    board = board_of([one, other])
    assert_array_equal(board.rollouts["threshold"].returns, board.rollouts["planned"].returns)


def test_the_named_threshold_is_trained_on_seed_0(monkeypatch):
    class Quick(ThresholdAgent):
        def __init__(self):
            super().__init__(UpliftRanker(num_members=128, weeks=8), num_members=64, weeks=6)

    monkeypatch.setattr(contestants, "ThresholdAgent", Quick)
    named = named_contestant("threshold", small_world(), None, progress=False)
    assert isinstance(named, Contestant)
    assert named.single
    assert named.seeds == (0,)
    assert named.train_opportunities > 0
    assert np.isfinite(board_of([named]).row("threshold")["return"])


def test_a_single_policy_that_cannot_be_evaluated_is_refused_in_one_line():
    with pytest.raises(ValueError, match="'threshold' knows no world; call learn or load first"):
        board_of([ThresholdAgent()])
    other = agent()
    other.world = replace(small_world(), num_candidates=3)
    with pytest.raises(ValueError, match="'threshold' was trained with num_candidates 3, not 4"):
        board_of([other])
    with pytest.raises(ValueError, match="seed is 1000000, which evaluation uses"):
        board_of([agent(seed=1_000_000)])


def test_a_single_policy_may_be_evaluated_with_another_menu():
    made = agent(0.06)
    made.world = replace(small_world(), menu=((0, 1), (0, 1)))
    assert trained_contestant(made, small_world()).single
