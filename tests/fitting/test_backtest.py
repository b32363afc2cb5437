"""What groups of plans and other policies earn in a fitted world."""

import json

import numpy as np
import pytest

import slowfast_rl as sf
from slowfast_rl.fitting.backtest import backtest, backtest_warnings
from slowfast_rl.fitting.lift import simulated_lift
from slowfast_rl.fitting.parameters import ParameterSpace
from slowfast_rl.fitting.plans import LoggedPlans
from slowfast_rl.fitting.simulate import Design, simulate_log
from slowfast_rl.slow import FixedPlanner
from tests.fitting.cases import given_log
from tests.fitting.test_fit import SMALL, off
from tests.members.worlds import world

WEEKS = 10


@pytest.fixture(scope="module")
def log():
    return given_log(world("pronounced"), 1500, WEEKS)


def design(log, **settings):
    return Design(WEEKS, log.launches, LoggedPlans(log), **settings)


def simulated(log, w, members=1500):
    return simulate_log(w, design(log), members, 3)


def test_arms_have_every_week_with_a_plan_and_its_reward_once(log):
    w = world("pronounced")
    arms = backtest(log, simulated(log, w), w)
    assert sum(arm.member_weeks for arm in arms) == (log.plans >= 0).sum()
    total = sum(arm.member_weeks * arm.observed.mean for arm in arms)
    reward = log.viewing_days - w.reward.message_cost * log.sends.sum(axis=2)
    reward -= w.reward.opt_out * log.opt_outs.sum(axis=2) + w.reward.churn * log.churned
    reward += w.reward.causal_open * log.opens.sum(axis=2)
    assert total == pytest.approx(reward[log.alive].sum(), rel=1e-5)
    leads = sum(arm.member_weeks * arm.observed_lead.mean for arm in arms)
    assert leads == pytest.approx(0, abs=1e-6 * total)
    assert arms[0].plans.startswith("0")


def test_the_world_of_the_log_passes_and_one_with_other_effects_of_plans_does_not(log):
    w = world("pronounced")
    right = backtest(log, simulated(log, w), w)
    assert backtest_warnings(right) == []
    assert max(abs(arm.standard_errors) for arm in right) < 3
    loud = simulated(log, w)
    many = w.plans[np.maximum(loud.plans, 0)].sum(axis=2) > 9
    loud.viewing_days[many & loud.alive] += 1
    (warning,) = backtest_warnings(backtest(log, loud, w))
    assert "off by more than 3 standard errors" in warning
    assert "a week: their lead over all weeks is +" in warning


def test_a_change_of_all_weeks_alike_is_not_an_effect_of_plans(log):
    w = world("pronounced")
    same, higher = simulated(log, w), simulated(log, w)
    higher.viewing_days[higher.alive] += 1
    for one, other in zip(backtest(log, same, w), backtest(log, higher, w), strict=True):
        assert other.simulated.mean == pytest.approx(one.simulated.mean + 1, abs=1e-5)
        assert other.difference == pytest.approx(one.difference, abs=1e-5)


def test_intervals_are_over_members(log):
    w = world("pronounced")
    twice = log._replace(
        **{
            name: np.concatenate([value, value], axis=min(value.ndim - 1, 1))
            for name, value in log._asdict().items()
            if name != "launches"
        }
    )
    other = simulated(log, w)
    for once, both in zip(backtest(log, other, w), backtest(twice, other, w), strict=True):
        assert both.observed.mean == pytest.approx(once.observed.mean)
        width, half = (arm.observed.high - arm.observed.low for arm in (once, both))
        assert half * 2**0.5 == pytest.approx(width, rel=0.01)


def lift_in(w, log, plan, **settings):
    space = ParameterSpace(w)
    nothing = 1e-12 * np.eye(len(space))
    planner = FixedPlanner(w, plan)
    return simulated_lift(
        space, np.zeros(len(space)), nothing, design(log, **settings), planner, "p", 0
    )


def test_a_policy_has_the_lift_that_it_has_in_the_world(log):
    w = world("pronounced")
    never, some = lift_in(w, log, (0, 0)), lift_in(w, log, (3, 1))
    assert never.lift.high < 0 < some.lift.mean - never.lift.mean
    assert never.value - never.logged == pytest.approx(never.lift.mean)
    assert never.logged == some.logged
    assert never.spread < 0.01
    old = lift_in(w, log, (0, 0), history=6)
    assert old.lift.high < 0
    assert old.logged != never.logged


def test_a_policy_that_gives_the_plans_of_the_log_has_no_lift():
    w = world("no_fatigue")  # without opt-outs, after which others' plans are followed
    only = w.plan_index((3, 1))
    log = given_log(w, 400, WEEKS)
    log = log._replace(plans=np.where(log.plans >= 0, only, -1))
    assert lift_in(w, log, (3, 1)).lift == (0, 0, 0)


def test_what_the_log_leaves_open_widens_the_interval(log):
    w = world("pronounced")
    space = ParameterSpace(w, names=["traits.responsiveness"])
    planner = FixedPlanner(w, (0, 0))
    widths = [
        found.lift.high - found.lift.low
        for spread in (1e-6, 0.5)
        for found in [
            simulated_lift(space, np.zeros(2), spread**2 * np.eye(2), design(log), planner, "p", 0)
        ]
    ]
    assert widths[1] > 2 * widths[0]


def test_a_fit_has_the_backtest_and_simulates_policies(log, tmp_path):
    from slowfast_rl.fitting.report import write_report

    base = off(world("pronounced"))
    names = ["traits.responsiveness", "traits.base_rate_location"]
    found = sf.fit(log, base, parameters=names, **SMALL)
    tree = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert len(tree["backtest"]) == len(found.arms) > 3
    assert found.arms[0].plans in found.arms_table()
    agent = sf.SlowFastAgent(FixedPlanner(base, (3, 1)))
    lift = found.lift(agent)
    assert lift.policy == "fixed"
    assert lift.lift == found.lift(FixedPlanner(base, (3, 1)), "mine").lift
    page = write_report(found, tmp_path, "slowfast-fit", [lift]).read_text()
    assert "Other policies in the fitted world" in page
    assert found.arms[-1].plans in page
    with pytest.raises(ValueError, match="the policy is 'never'; allowed are a planner"):
        found.lift("never")


def test_lifts_are_the_same_for_any_number_of_threads(log):
    found = []
    try:
        for number in (1, 2):
            sf.set_num_threads(number)
            found.append(lift_in(world("pronounced"), log, (3, 1)))
    finally:
        sf.set_num_threads(None)
    assert found[0] == found[1]
