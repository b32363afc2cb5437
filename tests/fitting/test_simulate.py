"""Simulated logs: whose plans members follow, common random numbers, and a history."""

import numpy as np
import pytest

from slowfast_rl.fitting.features import features
from slowfast_rl.fitting.objective import Objective
from slowfast_rl.fitting.parameters import ParameterSpace
from slowfast_rl.fitting.plans import LoggedPlans
from slowfast_rl.fitting.simulate import Design, simulate_log
from slowfast_rl.fitting.statistics import Statistics, columns_of
from slowfast_rl.members.launches import launch_counts
from slowfast_rl.members.population import Population
from slowfast_rl.members.threads import num_threads, set_num_threads
from slowfast_rl.policies.simulate import run_plans
from tests.fitting.cases import GivenPlans, given_log, mixed_plans
from tests.members.worlds import world

WEEKS, SIZE = 6, 300


def eventful_log(name="eventful", **design):
    """A log in which members churn and leave channels."""
    return given_log(world(name), SIZE, WEEKS, **design)


def check_equal(one, other):
    for name, values in one._asdict().items():
        np.testing.assert_array_equal(values, getattr(other, name), err_msg=name)


def test_a_log_has_what_the_population_shows():
    w = world("in_app")
    plans = mixed_plans(w, WEEKS, SIZE)
    calendar = launch_counts(w, 3, WEEKS)
    log = simulate_log(w, Design(WEEKS, calendar, GivenPlans(plans).prepare(w)), SIZE, 8)
    population = Population(w, SIZE, 8, 8, reward="sampled", calendar=calendar)
    for t in range(WEEKS):
        np.testing.assert_array_equal(log.alive[t], population.alive)
        np.testing.assert_array_equal(log.opted_in[t], population.opted_in)
        np.testing.assert_array_equal(log.plans[t], np.where(population.alive, plans[t], -1))
        week = run_plans(population, plans[t])
        np.testing.assert_array_equal(log.sends[t], week.sends)
        np.testing.assert_array_equal(log.opens[t], week.opens)
        np.testing.assert_array_equal(log.viewing_days[t], week.viewing_days)
        np.testing.assert_array_equal(log.churned[t], week.churned > 0)


def test_shards_together_are_the_log_of_all_members():
    log = eventful_log()
    design = Design(WEEKS, log.launches, LoggedPlans(log))
    whole = simulate_log(world("eventful"), design, SIZE, 5)
    parts = [simulate_log(world("eventful"), design, 100, 5, first) for first in (0, 100, 200)]
    for number, part in enumerate(parts):
        check_equal(columns_of(whole, slice(100 * number, 100 * number + 100)), part)


def test_simulated_members_have_plans_of_logged_members_with_their_opt_ins():
    log = eventful_log()
    design = Design(WEEKS, log.launches, LoggedPlans(log))
    found = simulate_log(world("eventful"), design, SIZE, 5)
    assert found.alive[-1].sum() < found.alive[0].sum()
    for t in range(WEEKS):
        known = log.plans[t] >= 0
        logged = [*zip(log.opted_in[t][known], log.plans[t][known], strict=True)]
        for opted_in, plan in zip(found.opted_in[t], found.plans[t], strict=True):
            if plan >= 0:  # of somebody who had left no other channels
                assert any(plan == p and (o | ~opted_in).all() for o, p in logged)


def test_members_who_hold_plans_are_followed_by_members_who_hold_plans():
    w, weeks = world("pronounced"), 30
    log = given_log(w, 600, weeks)
    found = simulate_log(w, Design(weeks, log.launches, LoggedPlans(log)), 600, 5)

    def change_rates(some):
        known = (some.plans[1:] >= 0) & (some.plans[:-1] >= 0)
        changed = known & (some.plans[1:] != some.plans[:-1])
        long = known.sum(axis=0) > 8
        return changed.sum(axis=0)[long] / known.sum(axis=0)[long]

    for one, other in zip(
        *(np.quantile(change_rates(some), [0.2, 0.4, 0.8]) for some in (log, found)), strict=True
    ):
        assert one == pytest.approx(other, abs=0.06)


def test_held_plans_are_held_for_as_long_as_opt_ins_stay():
    w = world("no_fatigue")  # without opt-outs
    held = np.repeat(np.random.default_rng(0).integers(0, 63, (1, SIZE)), WEEKS, axis=0)
    log = given_log(w, SIZE, WEEKS, plans=GivenPlans(held).prepare(w))
    found = simulate_log(w, Design(WEEKS, log.launches, LoggedPlans(log)), SIZE, 5)
    same = (log.plans == log.plans[:1]) | (log.plans < 0)
    assert same.all()
    changed = (found.plans[1:] != found.plans[:-1]) & (found.plans[1:] >= 0)
    churned = 1 - log.alive[-1].mean()
    assert changed.mean() <= churned  # only where the logged member churned or opted in again


def test_who_followed_a_churned_member_goes_on_with_another_ones_plans():
    log = eventful_log()
    log.plans[3:, : SIZE // 2] = -1
    follower = LoggedPlans(log)
    members = np.arange(50)
    followed = np.full(50, -1)
    for t in range(WEEKS):
        followed, plans = follower.follow(followed, t, log.opted_in[0, :50], 1, members)
        assert (plans >= 0).all()
        assert t < 3 or (followed >= SIZE // 2).all()


def test_a_week_without_any_plan_is_refused():
    log = eventful_log()
    log.plans[2] = -1
    with pytest.raises(ValueError, match="no plan in week 2"):
        LoggedPlans(log)


def objective(name="eventful"):
    log = eventful_log(name)
    space = ParameterSpace(world(name))
    statistics = Statistics(log, world(name).channels)
    return Objective(space, statistics, Design(WEEKS, log.launches, LoggedPlans(log)))


@pytest.mark.parametrize("name", ["eventful", "in_app"])
def test_common_random_numbers_give_the_same_gap_bit_for_bit(name):
    one = objective(name)
    theta = np.full(len(one.space), 0.1)
    gap = one.gap(theta, 400, 3)
    assert np.array_equal(gap, objective(name).gap(theta, 400, 3))
    assert np.array_equal(gap, one.gaps([np.zeros(len(theta)), theta], 400, 3)[1])
    assert not np.array_equal(gap, one.gap(theta, 400, 4))
    before = num_threads()
    try:
        for number in (1, 2):
            set_num_threads(number)
            assert np.array_equal(gap, one.gap(theta, 400, 3))
    finally:
        set_num_threads(before)


def test_the_statistics_of_the_true_world_are_those_of_the_log_up_to_chance():
    one = objective()
    gap = one.gap(np.zeros(len(one.space)), 4000, 3)
    value = SIZE * gap @ gap
    size = len(one.statistics)
    assert value < (1 + SIZE / 4000) * size + 5 * np.sqrt(2 * size)


def test_statistics_that_cannot_vary_are_left_out():
    log = eventful_log()
    silent = log._replace(dismissals=np.zeros_like(log.dismissals))
    statistics = Statistics(silent, world("eventful").channels)
    assert not [name for name in statistics.names if name.startswith("push: dismissals ×")]
    assert np.isfinite(statistics.whitening).all()
    assert np.isfinite(statistics.sums(silent)).all()


def test_a_rare_event_that_happened_not_to_happen_is_not_taken_for_impossible():
    w = world("pronounced")
    log = given_log(w, 800, 20)
    few = features(log, 4).views_4 < 0.5
    lucky = log._replace(churned=log.churned & ~few)  # as if chance had spared them
    variances = []
    for some in (lucky, log):
        statistics = Statistics(some, w.channels)
        spread = dict(zip(statistics.names, np.diag(statistics.covariance), strict=True))
        variances.append(spread["churn × few views"])
    assert variances[0] > 0.05 * variances[1]


def test_members_with_a_history_are_not_fresh_when_the_log_begins():
    w = world("eventful")
    log = eventful_log()
    plans = LoggedPlans(log)
    fresh, old = (
        simulate_log(w, Design(WEEKS, log.launches, plans, history=weeks), 2000, 5)
        for weeks in (0, 20)
    )
    assert fresh.alive[0].all()
    assert old.alive[0].all()  # those that churned before are left out
    assert len(old.members) < len(fresh.members)
    shares = log.opted_in[0].mean(axis=0)
    np.testing.assert_allclose(old.opted_in[0].mean(axis=0), shares, atol=0.05)
    assert old.viewing_days[0].mean() > fresh.viewing_days[0].mean()  # who views little churns
