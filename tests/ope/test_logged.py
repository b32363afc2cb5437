"""From a log in the documented schema to what is evaluated."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import slowfast_rl as sf
from slowfast_rl.fast import CoinPacer, ExploringExecutor, PacedExecutor
from slowfast_rl.logs import PlanDesign, read, record, weekly_observations, weekly_table
from slowfast_rl.ope import evaluate
from slowfast_rl.ope.logged import (
    held_plans,
    held_to_horizon,
    message_rows,
    weekly_plans,
    weeks_held,
)
from slowfast_rl.ope.plans import outcome_weights
from slowfast_rl.slow import FixedPlanner

MEMBERS, WEEKS = 300, 8


@pytest.fixture(scope="module")
def world():
    return sf.load_world("pronounced")


@pytest.fixture(scope="module")
def log(world, tmp_path_factory):
    """Half of the members hold a plan for two to four weeks, the others draw one every week."""
    folder = tmp_path_factory.mktemp("logs") / "log"
    executor = ExploringExecutor(PacedExecutor(CoinPacer()), explore=0.5)
    design = PlanDesign(hold_low=2, hold_high=4)
    sizes = {"num_members": MEMBERS, "weeks": WEEKS, "population_seed": 5, "luck_seed": 5}
    return read(record(folder, world, executor, design=design, **sizes))


def test_windows_have_what_the_log_has_of_their_members(log):
    windows, table = held_plans(log, 2), weekly_table(log)
    seen = {
        (member, week): row
        for members, weeks, rows in weekly_observations(log)
        for member, week, row in zip(members, weeks, rows, strict=True)
    }
    place = {member: i for i, member in enumerate(table.members)}
    weights, discount = outcome_weights(log.world), log.world.reward.weekly_discount
    assert len(windows.plans) > MEMBERS / 4
    for b in range(0, len(windows.plans), 7):
        week, i = windows.weeks[b], place[windows.members[b]]
        assert_array_equal(windows.observations[b], seen[windows.members[b], week])
        assert table.drawn[week, i]
        assert (windows.plans[b], windows.propensity[b]) == (
            table.plans[week, i],
            table.propensity[week, i],
        )
        views = table.viewing_days[week : week + 2, i] @ [1, discount]
        assert windows.outcomes[b, 0] == pytest.approx(views)
    assert np.isfinite(windows.outcomes @ weights).all()
    assert (windows.held >= 2).all()


def test_without_a_plan_that_is_held_so_long_all_windows_are_used_and_warned_of(log, world):
    result = evaluate(log, FixedPlanner(world, (3, 1)), horizon=6)
    assert any("longer than the plan was held" in text for text in result.warnings)
    assert result.diagnostics.rows > MEMBERS


def test_a_horizon_longer_than_the_log_is_cut_and_warned_of(log, world):
    result = evaluate(log, FixedPlanner(world, (3, 1)), horizon=40)
    assert result.settings["horizon"] == WEEKS
    assert any("the horizon of 40 weeks is longer than the log" in t for t in result.warnings)


def test_weekly_members_are_those_whose_plans_were_redrawn(log, world):
    found = weekly_plans(log)
    assert MEMBERS / 3 < len(found.members) < 2 * MEMBERS / 3
    assert found.plans.shape == found.alive.shape == (WEEKS, len(found.members))
    table = weekly_table(log)
    rows = np.searchsorted(table.members, found.members)
    assert (table.drawn[:, rows] | ~found.alive).all()
    result = evaluate(log, FixedPlanner(world, (3, 1)), what="weekly", horizon=2)
    assert result.kind == "plans of every week"
    assert result.backtest


def test_messages_are_reduced_from_all_decisions(log):
    executor = ExploringExecutor(PacedExecutor(CoinPacer()), explore=0.2)
    rows = message_rows(log, executor)
    decisions = sum(part.decisions.size for part in log.parts())
    assert len(rows.rewards) == decisions
    viewed = evaluate(log, executor, what="messages")
    opened = evaluate(log, executor, what="messages", reward="opened")
    assert viewed.logged > opened.logged > 0
    assert viewed.unit == "viewed that day, per opportunity"
    assert viewed.diagnostics.effective_size > 1000


def test_a_large_log_is_sampled_by_member(log):
    executor = ExploringExecutor(PacedExecutor(CoinPacer()), explore=0.2)
    decisions = sum(part.decisions.size for part in log.parts())
    rows = message_rows(log, executor, most_rows=decisions // 3)
    assert decisions / 5 < len(rows.rewards) < decisions / 2
    whole = message_rows(log, executor)
    counts = np.bincount(whole.members, minlength=MEMBERS)
    some = np.unique(rows.members)
    assert_array_equal(np.bincount(rows.members, minlength=MEMBERS)[some], counts[some])


def test_what_a_log_is_not_asked_is_an_error(log, world):
    planner = FixedPlanner(world, (3, 1))
    with pytest.raises(ValueError, match="what is 'all'; allowed: plans, weekly, messages"):
        evaluate(log, planner, what="all")
    with pytest.raises(ValueError, match="reward is 'clicks'; allowed: viewed, opened"):
        evaluate(log, PacedExecutor(), what="messages", reward="clicks")


def test_a_planner_with_beliefs_gets_those_of_the_log(log, world):
    class Believer(FixedPlanner):
        needs_beliefs = True

        def plan(self, request):
            assert request.beliefs.shape[1] == len(self.belief_filter.names)
            return super().plan(request)

    planner = Believer(world, (3, 1))
    planner.belief_filter = sf.BeliefFilter(world)
    windows = held_plans(log, 2, planner.belief_filter)
    assert windows.beliefs.shape[0] == len(windows.plans)
    assert windows.beliefs.shape[1] > 0
    assert held_plans(log, 2).beliefs is None


def test_a_hold_ends_with_a_new_plan_churn_or_the_log(log):
    table = weekly_table(log)
    small = table._replace(
        plans=np.zeros((5, 3), np.int64),
        drawn=np.array([[1, 1, 1], [0, 0, 1], [1, 0, 0], [0, 0, 0], [0, 0, 0]], bool),
        alive=np.array([[1, 1, 1], [1, 1, 1], [1, 1, 1], [1, 0, 1], [1, 0, 1]], bool),
        churned=np.array([[0, 0, 0], [0, 0, 0], [0, 1, 0], [0, 0, 0], [0, 0, 0]], bool),
    )
    held, gone = weeks_held(small)
    assert_array_equal(held[0], [2, 3, 1])
    assert_array_equal(gone[0], [False, True, False])
    assert_array_equal(held[2], [3, 1, 3])
    assert_array_equal(gone[2], [False, True, False])


def test_windows_of_members_that_churned_are_neither_too_many_nor_too_few():
    rng = np.random.default_rng(0)
    meant, leaves = rng.integers(1, 7, 60_000), rng.geometric(0.15, 60_000)
    held, gone = np.minimum(meant, leaves), leaves <= meant
    for horizon in (2, 4, 6):
        kept = held_to_horizon(held, gone, horizon)
        truth = (leaves < horizon).mean()  # churn before the horizon, whatever the hold
        assert (leaves < horizon)[kept].mean() == pytest.approx(truth, abs=0.01)
        assert (leaves < horizon)[held >= horizon].mean() == 0
    assert not held_to_horizon(held, gone, 8).any()


@pytest.mark.parametrize("what", ["plans", "weekly", "messages"])
def test_progress_tells_which_share_of_the_log_has_been_read(world, log, what):
    policy = FixedPlanner(world, (3, 1)) if what != "messages" else PacedExecutor(CoinPacer())
    told = []
    evaluate(log, policy, what=what, progress=told.append)
    assert len(told) > WEEKS - 5
    assert told == sorted(told)
    assert 0 < told[0] < told[-1] == 1
