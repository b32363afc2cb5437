"""What a population keeps, whoever acts; and the calls that it refuses."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from slowfast_rl.members.clock import DAY_SECONDS, WEEK_SECONDS
from slowfast_rl.members.observations import opportunity_observation, weekly_observation
from slowfast_rl.members.opportunity import FastPolicy
from slowfast_rl.members.population import Population, branch
from tests.members.beliefs import believing
from tests.members.policies import (
    SEEN,
    allow_all,
    allow_up_to_rows,
    indifferent_pace,
    no_rows,
    play,
    random_actions,
    script,
    watch,
)
from tests.members.populations import arrays, check_same, population
from tests.members.worlds import world


class TestRules:
    """What the population keeps, whoever acts."""

    def test_opted_out_member_receives_nothing(self) -> None:
        p = population("pronounced", 400)
        out = ~p.opted_in
        assert (out.sum(axis=0) > 10).all()
        send = np.ones(400, np.int64)
        for t in range(20):
            channel = p.world.schedule[t].channel
            out = ~p.opted_in[:, channel]
            before = arrays(p.clone())
            rewards, events = p.step(send)
            for happened in (events.sent, events.opened, events.dismissed, events.opted_out):
                assert not happened[out].any()
            assert events.sent[~out].all()
            assert (rewards[out] >= 0).all()
            for name in ("Log.by_channel", "Log.by_topic"):
                assert np.array_equal(before[name][out], arrays(p)[name][out])

    def test_a_send_to_an_opted_out_member_is_a_hold_that_is_counted(self) -> None:
        sender, holder = population("pronounced", 400), population("pronounced", 400)
        out = ~sender.opted_in.any(axis=1)
        assert out.sum() > 3
        actions = np.ones((1, 21, 400), np.int64)
        sent, held = play(sender, actions), play(holder, 0 * actions)
        staying_out = out & ~sender.opted_in.any(axis=1)
        assert np.array_equal(sent[:, :, staying_out], held[:, :, staying_out])
        assert np.array_equal(
            sender.simulation.state.habit[out], holder.simulation.state.habit[out]
        )
        assert (sender.last_week().ignored[out] == 21).all()
        assert (sender.last_week().ignored + sender.last_week().sends.sum(axis=1) == 21).all()
        assert not holder.last_week().ignored.any()

    def test_a_churned_members_state_is_frozen_and_its_reward_zero(self) -> None:
        p = population("eventful", 300)
        actions = random_actions(p, 8)
        play(p, actions[:3])
        dead = ~p.alive
        before = arrays(p.clone())
        assert 10 < dead.sum() < 290
        for week in range(3, 8):
            rewards = play(p, actions[week : week + 1])
            assert not rewards[:, :, dead].any()
            assert rewards[:, :, p.alive].any(axis=1).all()
            for values in p.last_week():
                assert not values[dead].any()
        assert (p.weeks == 8).all()
        assert not p.alive[dead].any()
        after = arrays(p)
        for name in before:
            if name.startswith("State.") and name != "State.week":
                assert np.array_equal(before[name][dead], after[name][dead]), name

    def test_a_churned_member_sends_no_events(self) -> None:
        p = population("eventful", 300)
        play(p, random_actions(p, 4))
        dead = ~p.alive
        _, events = p.step(np.ones(300, np.int64))
        assert dead.any()
        for happened in events:
            assert not happened[dead].any()

    def test_the_guards_vetoes_are_holds_and_counted(self) -> None:
        p, held = population("pronounced", 50), population("pronounced", 50)
        rows = np.tile(np.array([[3, 1]], np.int32), (50, 1))
        always = script(np.ones((21, 50), np.int64))
        week = p.run_week(always, allow_up_to_rows, rows)
        assert (week.sends <= rows).all()
        staying = p.opted_in.all(axis=1)
        assert (week.sends[staying] == rows[staying]).all()
        assert (week.vetoed[staying] == 21 - 4).all()
        assert (week.vetoed + week.sends.sum(axis=1) == 21).all()
        assert not week.ignored.any()
        nothing = held.run_week(always, allow_up_to_rows, 0 * rows)
        assert (nothing.vetoed == 21).all()
        assert not nothing.sends.any()

    @pytest.mark.parametrize(("threshold", "sends"), [(-1, True), (0, True), (0.1, False)])
    def test_the_best_candidate_is_sent_if_its_score_reaches_the_threshold(
        self, threshold: float, sends: bool
    ) -> None:
        p = population("pronounced", 5)
        noted = np.zeros(21 * 5 * SEEN, np.float32)
        policy = FastPolicy(indifferent_pace, watch, np.array([threshold], np.float32), noted)
        week = p.run_week(policy, allow_all, no_rows(5))
        assert (week.sends.sum(axis=1) > 0).tolist() == [sends] * 5

    def test_the_clock_stands_at_the_coming_slot(self) -> None:
        p = population("in_app", 2)
        hold = np.zeros(2, np.int64)
        assert p.now.tolist() == [0, 0]
        p.step(hold)
        assert p.now.tolist() == [DAY_SECONDS + 12 * 3600 + 1800] * 2
        for _ in range(9):
            p.step(hold)
        p.restart(np.array([1]))
        assert p.now.tolist() == [WEEK_SECONDS, 0]

    def test_properties_are_copies(self) -> None:
        p = population()
        p.weeks[:] = p.alive[:] = p.opted_in[:] = p.sent_this_week[:] = p.members[:] = 77
        check_same(p, population())


Wrong = Callable[[Population], object]
MISTAKES: dict[str, tuple[Wrong, str]] = {
    "too few actions": (lambda p: p.step(np.zeros(3, int)), r"shape \(3,\); allowed is \(4,\)"),
    "an action past K": (lambda p: p.step(np.full(4, 5)), "span 5 to 5; allowed is 0 to 4"),
    "a negative action": (lambda p: p.step(np.array([0, 0, 0, -1])), "span -1 to 0; allowed"),
    "a negative seed": (lambda p: p.reset(-1), "luck_seed is -1; allowed is 0 to 4294967295"),
    "too few rows": (
        lambda p: p.run_week(script(np.zeros((21, 4))), allow_all, no_rows(3)),
        "plan_rows has 3 rows; allowed is 4",
    ),
    "no branches": (lambda p: branch(p, 0), "copies is 0; allowed is 1 or more"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_wrong_call_is_refused_and_changes_nothing(mistake: str) -> None:
    call, message = MISTAKES[mistake]
    p = population(num_members=4)
    with pytest.raises(ValueError, match=message):
        call(p)
    check_same(p, population(num_members=4))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_members": 0}, "num_members is 0; allowed is 1 or more"),
        ({"population_seed": -1}, "population_seed is -1; allowed is 0 to"),
        ({"luck_seed": 2**32}, "luck_seed is 4294967296; allowed is 0 to 4294967295"),
        ({"luck_stream": -1}, "luck_stream is -1; allowed"),
        ({"first_member": -1}, "first_member is -1; allowed"),
        ({"reward": "mean"}, "reward is 'mean'; allowed: expected, sampled"),
    ],
)
def test_a_wrong_argument_is_refused(arguments: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Population(world("pronounced"), **({"num_members": 2} | arguments))


def test_in_the_middle_of_a_week_no_whole_week_is_simulated() -> None:
    p = population(num_members=4)
    p.step(np.zeros(4, np.int64))
    with pytest.raises(ValueError, match=r"the population is at slot 1; .* slot 0"):
        p.run_week(script(np.zeros((21, 4))), allow_all, no_rows(4))


def test_a_row_restarted_in_the_middle_of_a_week_simulates_its_own_slots() -> None:
    p, alone = believing("eventful", 6), believing("eventful", 1, first_member=6 + 2)
    actions = np.random.default_rng(3).integers(0, 5, (60, 6))
    for count, taken in enumerate(actions):
        if count == 5:
            p.restart(np.array([2]))
            with pytest.raises(ValueError, match=r"rows are at slots \[0, 5\]"):
                _ = p.slot
        if count >= 5:
            own = alone.step(taken[2:3])
            rewards, events = p.step(taken)
            assert rewards[2] == own[0][0]
            assert [e[2] for e in events] == [e[0] for e in own[1]]
            assert p.now[2] == alone.now[0]
            assert_array_equal(opportunity_observation(p)[2], opportunity_observation(alone)[0])
            assert_array_equal(weekly_observation(p)[2], weekly_observation(alone)[0])
            assert_array_equal(p.beliefs.observations()[2], alone.beliefs.observations()[0])
        else:
            p.step(taken)
    steady = believing("eventful", 6)
    for taken in actions:
        steady.step(taken)
    others = [0, 1, 3, 4, 5]
    for observe in (opportunity_observation, lambda each: each.beliefs.observations()):
        assert_array_equal(observe(p)[others], observe(steady)[others])
