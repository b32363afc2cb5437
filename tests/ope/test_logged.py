"""From a log in the documented schema to what is evaluated."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import slowfast_rl as sf
from slowfast_rl.fast import CoinPacer, ExploringExecutor, PacedExecutor
from slowfast_rl.logs import (
    MemberHistories,
    PlanDesign,
    read,
    record,
    weekly_observations,
    weekly_table,
)
from slowfast_rl.logs.schema import EVENTS
from slowfast_rl.members.clock import DAY_SECONDS
from slowfast_rl.ope import HeldPlans, evaluate
from slowfast_rl.ope.logged import (
    _message_rewards,
    held_plans,
    held_to_horizon,
    message_rows,
    weekly_plans,
    weeks_held,
)
from slowfast_rl.ope.plans import outcome_weights
from slowfast_rl.slow import FixedPlanner
from tests.members.worlds import world as world_of

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


def test_a_view_is_known_at_later_decisions_of_its_day_unless_the_log_has_days_only(log):
    part = next(iter(log.parts()))
    histories = MemberHistories(log, part)
    rewards, known = _message_rewards(histories, "viewed")
    outcomes, given = part.outcomes.columns, part.decisions.columns
    seen = outcomes["event"] == EVENTS.index("viewed")
    views = set(zip(outcomes["member"][seen], outcomes["time"][seen], strict=True))
    for member, time, found in zip(given["member"], given["time"], known, strict=True):
        day = time - time % DAY_SECONDS
        assert found == any((member, t) in views for t in range(day + 1800, time, 1800))
    assert rewards[known].all()
    assert 0 < known.sum() < rewards.sum()

    times = outcomes["time"]
    outcomes["time"] = times - seen * (times % DAY_SECONDS)
    same, unknown = _message_rewards(MemberHistories(log, part), "viewed")
    assert not unknown.any()
    assert_array_equal(same, rewards)


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
    with pytest.raises(ValueError, match="horizon is 2 with what='messages'; allowed is None"):
        evaluate(log, PacedExecutor(), what="messages", horizon=2)
    with pytest.raises(ValueError, match="reward is 'clicks'; allowed: viewed, opened"):
        evaluate(log, PacedExecutor(), what="messages", reward="clicks")


def test_what_is_no_log_is_refused(world):
    with pytest.raises(ValueError, match="the log is 'company'; allowed are a log of"):
        evaluate("company", FixedPlanner(world, (3, 1)))
    with pytest.raises(ValueError, match="horizon is 0; allowed is 1 or more"):
        evaluate(HeldPlans(*[np.zeros(0)] * 7, 1), FixedPlanner(world, (3, 1)), horizon=0)


def test_decisions_without_probabilities_are_left_out_and_counted(log, monkeypatch):
    class Partial(MemberHistories):
        def __init__(self, log, part):
            super().__init__(log, part)
            probabilities = part.decisions.columns["probabilities"].copy()
            probabilities[:7] = np.nan
            part.decisions.columns["probabilities"] = probabilities

    executor = ExploringExecutor(PacedExecutor(CoinPacer()), explore=0.5)
    whole = message_rows(log, executor)
    assert whole.warnings == ()
    monkeypatch.setattr("slowfast_rl.ope.logged.MemberHistories", Partial)
    rows = message_rows(log, executor)
    assert len(rows.rewards) == len(whole.rewards) - 7
    assert rows.warnings == ("7 decisions are left out, whose probabilities are not known",)
    assert evaluate(log, executor, what="messages").warnings[0] == rows.warnings[0]


def test_a_planner_with_beliefs_gets_those_of_the_log(log, world):
    class Believer(FixedPlanner):
        needs_beliefs = True

        def plan(self, request):
            assert request.beliefs.shape[1] == len(self.belief_filter.features)
            return super().plan(request)

    planner = Believer(world, (3, 1))
    planner.belief_filter = sf.BeliefFilter(world)
    windows = held_plans(log, 2, planner.belief_filter)
    assert windows.beliefs.shape[0] == len(windows.plans)
    assert windows.beliefs.shape[1] > 0
    assert held_plans(log, 2).beliefs is None
    weekly = weekly_plans(log, planner.belief_filter)
    assert weekly.beliefs.shape == (*weekly.plans.shape, len(planner.belief_filter.features))
    assert np.ptp(weekly.beliefs[-1, :, 0]) > 0
    assert weekly_plans(log).beliefs is None
    assert evaluate(log, planner, what="weekly", horizon=2).kind == "plans of every week"


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


def test_a_hold_that_ends_because_the_member_left_the_log_is_not_churn(log):
    small = weekly_table(log)._replace(
        plans=np.zeros((4, 2), np.int64),
        drawn=np.array([[1, 1], [0, 0], [0, 0], [0, 0]], bool),
        alive=np.array([[1, 1], [1, 1], [0, 0], [0, 0]], bool),
        churned=np.array([[0, 0], [0, 1], [0, 0], [0, 0]], bool),
    )
    held, gone = weeks_held(small)
    assert_array_equal(held[0], [2, 2])
    assert_array_equal(gone[0], [False, True])


def without_some(leaving, week):
    """What the histories of a log would be if some members left it unseen in a week."""

    class Shortened(MemberHistories):
        def __init__(self, log, part):
            super().__init__(log, part)
            rows = np.flatnonzero(np.isin(self.members, leaving))
            for name, value in self.table._asdict().items():
                if name not in {"members", "launches"}:
                    value[week:, rows] = 0
            self.table.plans[week:, rows] = -1

    return Shortened


def test_members_that_left_the_log_unseen_are_left_out_and_not_taken_for_churned(log, monkeypatch):
    table = weekly_table(log)
    staying = table.members[~table.churned.any(axis=0)]
    leaving = staying[::2]
    monkeypatch.setattr("slowfast_rl.ope.logged.MemberHistories", without_some(leaving, 3))
    for horizon in (2, 6):  # plans are held so long, and no plan is
        windows = held_plans(log, horizon)
        late = windows.weeks + horizon > 3
        assert not np.isin(windows.members[late], leaving).any()
        (warning,) = [text for text in windows.warnings if "left the log" in text]
        assert "drawn plans are left out" in warning
    assert not np.isin(weekly_plans(log).members, leaving).any()


def test_a_log_without_members_that_were_drawn_every_week_is_refused(log, monkeypatch):
    monkeypatch.setattr(
        "slowfast_rl.ope.logged.MemberHistories", without_some(weekly_table(log).members, 1)
    )
    with pytest.raises(ValueError, match="no member of the log has plans that were drawn every"):
        weekly_plans(log)
    monkeypatch.setattr(
        "slowfast_rl.ope.logged.MemberHistories", without_some(weekly_table(log).members, 0)
    )
    with pytest.raises(ValueError, match="no member of the log has plans that were drawn every"):
        weekly_plans(log)


def test_weekly_members_churn_as_often_as_those_of_the_log(tmp_path):
    lively = world_of("eventful")
    folder = record(
        tmp_path / "log", lively, PacedExecutor(), num_members=2000, weeks=4, holds=False,
        population_seed=3, luck_seed=3, design=PlanDesign(held_share=0.7, hold_low=4),
    )  # fmt: skip
    log = read(folder, lively)
    first = weekly_table(log).churned[0].mean()
    found = weekly_plans(log)
    assert first > 0.03
    assert 1 - found.alive[1].mean() == pytest.approx(first, abs=0.4 * first)


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


def test_members_that_leave_the_log_do_not_change_the_share_of_churn():
    rng = np.random.default_rng(1)
    meant, leaves = rng.integers(1, 7, 60_000), rng.geometric(0.15, 60_000)
    last = rng.geometric(0.2, 60_000)  # week after which the member has left the log
    held = np.minimum(np.minimum(meant, leaves), last)
    kept = held_to_horizon(held, leaves == held, 4)
    assert (leaves < 4)[kept].mean() == pytest.approx((leaves < 4).mean(), abs=0.01)
