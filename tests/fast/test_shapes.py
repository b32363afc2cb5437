"""Pacing under shapes: exact targets, and sends that follow the day weights."""

from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from slowfast_rl.fast import BidPricePacer, CoinPacer, ExactPacer, PacedExecutor
from slowfast_rl.members.loading import load_world
from slowfast_rl.members.population import Population
from slowfast_rl.members.shapes import Shape
from slowfast_rl.members.state import EW4, LAST_SENT
from tests.members.worlds import world

NUMBERS = st.floats(-3, 3)
SHAPES = st.builds(
    Shape,
    name=st.just("any"),
    day=st.tuples(*[NUMBERS] * 7),
    launch=NUMBERS,
    activity=st.tuples(*[NUMBERS] * 7),
)
NORMAL = [NormalDist().inv_cdf((k + 0.5) / 50) for k in range(50)]
EXACT = (ExactPacer(), BidPricePacer.with_quantiles([[-1, 0, 0.3, 2]] * 3))


@pytest.mark.parametrize("name", ["eventful", "in_app"])
@settings(max_examples=25)
@given(shape=SHAPES, seed=st.integers(0, 2**32 - 1), pacer=st.sampled_from(EXACT))
def test_the_target_is_met_exactly_under_every_shape(name, shape, seed, pacer):
    w = replace(world(name), shapes=(shape,))
    if isinstance(pacer, BidPricePacer):
        pacer = BidPricePacer.with_quantiles(pacer.quantiles[: len(w.channels)])
    slots = np.bincount([slot.channel for slot in w.schedule])
    generator = np.random.default_rng(seed)
    population = Population(w, 40, seed, seed)
    for _ in range(3):
        target = generator.integers(0, slots + 2, (40, len(slots))).astype(np.int32)
        shapes = generator.integers(0, 3, 40).astype(np.int32)  # 2 is unknown
        before, alive = population.opted_in, population.alive
        week = PacedExecutor(pacer).run_week(population, target, shape=shapes)
        kept = before & (week.opt_outs == 0) & alive[:, None]
        assert_array_equal(week.sends[kept], np.minimum(target, slots)[kept])
        assert (week.sends <= target).all()
        assert (week.vetoed == 0).all()
        assert (week.ignored == 0).all()


@pytest.mark.parametrize(
    "pacer", [ExactPacer(), CoinPacer(), BidPricePacer.with_quantiles([[-1, 0, 1]] * 2)]
)
def test_a_shape_of_equal_weights_lives_the_very_lives_of_the_uniform_one(pacer):
    flat = Shape(name="flat", day=(0.7,) * 7, launch=0, activity=(-0.3,) * 7)
    w = replace(world("eventful"), shapes=(flat, *world("shaped").shapes))
    one, other = (Population(w, 300, 1, 1) for _ in range(2))
    generator = np.random.default_rng(0)
    for _ in range(6):
        target = generator.integers(0, 8, (300, 2)).astype(np.int32)
        week = PacedExecutor(pacer).run_week(one, target)
        same = PacedExecutor(pacer).run_week(other, target, shape=1)
        for name in week._fields:
            assert_array_equal(getattr(week, name), getattr(same, name), err_msg=name)
    for name in one.simulation.log._fields:
        assert_array_equal(getattr(one.simulation.log, name), getattr(other.simulation.log, name))


def days_of_only_sends(w, pacer, shape, members=20_000):
    """Counts of the weekday of the one push of a first week, [7]."""
    population = Population(w, members)
    target = np.tile(np.array([[1, 0]], np.int32), (members, 1))
    PacedExecutor(pacer).run_week(population, target, shape=shape)
    last_sent = population.simulation.log.by_channel[:, 0, LAST_SENT]
    return np.bincount(last_sent[last_sent >= 0].astype(int), minlength=7)


def test_a_single_send_falls_on_days_in_proportion_to_their_weights():
    w = world("shaped")
    found = days_of_only_sends(w, ExactPacer(), shape=1)
    weights = np.exp([0, 0, 0, 0, 0.7, 0.7, 0.7])
    expected = found.sum() * weights / weights.sum()
    assert ((found - expected) ** 2 / expected).sum() < 22.5  # 6 degrees of freedom, .1 %
    assert found[4:].sum() > 0.55 * found.sum()


def test_coins_follow_the_weights_and_keep_the_mean_of_the_target():
    w, members = world("shaped"), 30_000
    population = Population(w, members)
    opted_in = population.opted_in[:, 0]
    target = np.tile(np.array([[1, 0]], np.int32), (members, 1))
    week = PacedExecutor(CoinPacer()).run_week(population, target, target + 99, shape=1)
    sends = week.sends[opted_in & (week.opt_outs[:, 0] == 0), 0]
    weights = np.exp([0, 0, 0, 0, 0.7, 0.7, 0.7])
    opportunity = weights / (2 * weights.sum())  # at each of a day's two slots
    spread = (2 * (opportunity * (1 - opportunity)).sum() / len(sends)) ** 0.5
    assert abs(sends.mean() - 1) < 4 * spread
    once = week.sends[:, 0] == 1  # whose last send is the only one
    last = population.simulation.log.by_channel[once, 0, LAST_SENT].astype(int)
    odds = opportunity / (1 - opportunity)
    expected = once.sum() * odds / odds.sum()
    found = np.bincount(last, minlength=7)
    assert ((found - expected) ** 2 / expected).sum() < 22.5


def test_bid_prices_ask_less_on_days_of_more_weight():
    w = world("shaped")
    pacer = BidPricePacer.with_quantiles([NORMAL] * 2)
    uniform, weekend = (days_of_only_sends(w, pacer, shape) for shape in (0, 1))
    assert uniform.sum() == weekend.sum()
    assert weekend[4:].sum() > 1.1 * uniform[4:].sum()


def test_launch_aligned_sends_wait_for_the_launches_that_are_announced():
    w = world("shaped")
    for luck in range(4):
        population = Population(w, 4000, 0, luck)
        launches = population.simulation.launches[:7].sum(axis=1)
        target = np.tile(np.array([[1, 0]], np.int32), (4000, 1))
        PacedExecutor().run_week(population, target, shape=2)
        last = population.simulation.log.by_channel[:, 0, LAST_SENT]
        found = np.bincount(last[last >= 0].astype(int), minlength=7)
        expected = found.sum() * np.exp(launches) / np.exp(launches).sum()
        assert ((found - expected) ** 2 / expected).sum() < 27.9  # .01 %


def test_activity_moves_sends_between_days_for_those_who_view_alone():
    w = load_world("pronounced", {"shapes": {"early": {"activity": [2, 2, 0, 0, 0, 0, 0]}}})
    population, nothing = Population(w, 6000), np.zeros((6000, 2), np.int32)
    for _ in range(6):
        PacedExecutor().run_week(population, nothing)
    viewing = population.simulation.log.by_member[:, EW4].copy()
    target = np.tile(np.array([[1, 0]], np.int32), (6000, 1))
    PacedExecutor().run_week(population, target, shape=1)
    last = population.simulation.log.by_channel[:, 0, LAST_SENT]
    early = last % 7 < 2
    sent = last >= 0
    idle, active = sent & (viewing == 0), sent & (viewing > 3)
    assert min(idle.sum(), active.sum()) > 100
    assert abs(early[idle].mean() - 2 / 7) < 4 * 0.45 / idle.sum() ** 0.5
    assert early[active].mean() > 0.95
