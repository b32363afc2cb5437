import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from slowfast_rl.fast import ExactPacer, PacedExecutor
from slowfast_rl.members.opportunity import Opportunity, considered
from slowfast_rl.members.population import Population
from slowfast_rl.policies.guard import pack_plans
from tests.members.worlds import world

MEMBERS = 40


@pytest.mark.parametrize("name", ["eventful", "in_app"])
@settings(max_examples=25)
@given(data=st.data())
def test_the_target_is_met_exactly_on_every_channel_that_a_member_keeps(name, data):
    w = world(name)
    slots = np.bincount([slot.channel for slot in w.schedule])
    seed = data.draw(st.integers(0, 2**32 - 1))
    plans = [st.integers(0, most + 2) for most in slots.tolist()]  # and a little beyond the slots
    target = np.array(
        [[data.draw(plan) for plan in plans] for _ in range(4)] * (MEMBERS // 4), np.int32
    )
    population = Population(w, MEMBERS, seed, seed)
    kept = np.zeros(target.shape, bool)
    for _ in range(3):
        before, alive = population.opted_in, population.alive
        week = PacedExecutor().run_week(population, target)
        kept = before & (week.opt_outs == 0) & alive[:, None]
        assert_array_equal(week.sends[kept], np.minimum(target, slots)[kept])
        assert (week.sends <= target).all()
        assert (week.sends[~before | ~alive[:, None]] == 0).all()
        assert (week.vetoed == 0).all()
        assert (week.ignored == 0).all()


def test_a_cap_below_the_target_is_never_exceeded():
    population = Population(world("pronounced"), 200)
    target = np.tile(np.array([[14, 7]], np.int32), (200, 1))
    week = PacedExecutor().run_week(population, target, cap=np.full_like(target, 2))
    assert week.sends.max() == 2
    assert (week.vetoed > 0).any()


@pytest.mark.parametrize("target", [1, 5, 13])
def test_sends_are_spread_evenly_over_the_slots_of_the_week(target):
    members, slots, pacer = 3000, 14, ExactPacer()
    pacing = pacer.pacing(world("pronounced"))
    rows = pack_plans(np.array([[target, 0]], np.int32), np.array([[target, 0]], np.int32))
    sends = np.zeros((members, slots), bool)
    for member in range(members):
        for slot in range(slots):
            opportunity = Opportunity(
                row=0, channel=0, sent=int(sends[member].sum()), slots_left=slots - slot,
                opted_in=1, day=slot // 2, num_candidates=4, num_topics=4, seed=5, stream=0,
                member=member, time=slot, flag_threshold=np.float32(0.5), slot=slot,
            )  # fmt: skip
            least, wanted, of = pacer.function(opportunity, rows, pacing)
            assert least == -np.inf
            sends[member, slot] = wanted > 0 and considered(
                opportunity, np.float32(wanted), np.float32(of)
            )
    assert_array_equal(sends.sum(axis=1), target)
    share = target / slots
    assert np.abs(sends.mean(axis=0) - share).max() < 4.5 * (share * (1 - share) / members) ** 0.5


def test_the_pacers_coins_belong_to_the_luck():
    w, target = world("deathless"), np.full((300, 2), 3, np.int32)
    days = []
    for luck in (1, 1, 2):
        population = Population(w, 300, 0, luck)
        PacedExecutor().run_week(population, target)
        days.append(population.simulation.log.by_channel[:, :, -1].copy())  # of the last send
    assert_array_equal(days[0], days[1])
    assert not np.array_equal(days[0], days[2])
