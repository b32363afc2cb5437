"""The utility: its parts, its two views, and that slots add up to weeks."""

from dataclasses import replace

import numpy as np
import pytest

from slowfast_rl.members.loading import load_world
from slowfast_rl.members.population import Population
from slowfast_rl.members.world import Slot, World
from tests.members.policies import play, random_actions
from tests.members.worlds import EVENTFUL, world


def pair(name: str, num_members: int) -> tuple[Population, Population]:
    """The same members and luck, seen by expectation and as sampled."""
    expected, sampled = (
        Population(world(name), num_members, luck_seed=8, reward=r) for r in ("expected", "sampled")
    )
    return expected, sampled


@pytest.mark.parametrize("reward", ["expected", "sampled"])
@pytest.mark.parametrize("name", ["pronounced", "eventful", "in_app"])
def test_a_weeks_reward_is_the_sum_of_its_slots(name: str, reward: str) -> None:
    p = Population(world(name), 200, luck_seed=3, reward=reward)
    for actions in random_actions(p, 6):
        slots = play(p, actions[None])[0]
        assert slots.sum(axis=0) == pytest.approx(p.last_week().reward, abs=1e-4)


@pytest.mark.parametrize("name", ["pronounced", "eventful", "in_app"])
def test_a_weeks_reward_is_the_weighted_sum_of_its_parts(name: str) -> None:
    p, weights = Population(world(name), 200, luck_seed=3), world(name).reward
    for actions in random_actions(p, 6):
        play(p, actions[None])
        week = p.last_week()
        utility = (
            weights.viewing_day * week.views.astype(float)
            + weights.causal_open * week.causal_opens
            - weights.message_cost * week.sends.sum(axis=1)
            - weights.opt_out * week.opt_outs.sum(axis=1)
            - weights.churn * week.churned
        )
        assert week.reward == pytest.approx(utility, abs=1e-6)


@pytest.mark.parametrize("part", ["viewing_day", "causal_open", "message_cost", "opt_out", "churn"])
def test_each_weight_prices_its_own_part(part: str) -> None:
    names = ("viewing_day", "causal_open", "message_cost", "opt_out", "churn")
    only = load_world("pronounced", EVENTFUL | {f"reward.{n}": float(n == part) for n in names})
    p = Population(only, 300, luck_seed=3)
    actions = random_actions(p, 3)
    play(p, actions)
    week = p.last_week()
    parts = {
        "viewing_day": week.views,
        "causal_open": week.causal_opens,
        "message_cost": -week.sends.sum(axis=1),
        "opt_out": -week.opt_outs.sum(axis=1),
        "churn": -week.churned,
    }
    assert np.abs(parts[part]).sum() > 5
    assert week.reward == pytest.approx(parts[part].astype(float), abs=1e-6)


def test_the_last_slot_of_a_week_pays_for_the_churn() -> None:
    p = Population(world("eventful"), 400, luck_seed=3)
    slots = play(p, np.zeros((1, 21, 400), np.int64))[0]
    churned = ~p.alive
    assert churned.sum() > 10
    assert np.array_equal(p.last_week().churned, churned)
    assert (slots[:-1] >= 0).all()
    assert (slots[-1][churned] < -4).all()
    assert (slots[-1][~churned] >= 0).all()


def test_the_slot_of_an_opt_out_pays_for_it() -> None:
    p = Population(world("eventful"), 400, luck_seed=3)
    for _ in range(5):
        rewards, events = p.step(np.ones(400, np.int64))
        left = events.opted_out.astype(bool)
        assert left.any()
        assert (rewards[left] < -3.9).all()
        assert (rewards[~left] > -0.1).all()


def test_both_views_see_the_same_lives() -> None:
    expected, sampled = pair("eventful", 100)
    actions = random_actions(expected, 4)
    play(expected, actions)
    play(sampled, actions)
    for part in ("state", "log"):
        for a, b in zip(
            getattr(expected.simulation, part), getattr(sampled.simulation, part), strict=True
        ):
            assert np.array_equal(a, b)
    for name in ("viewing_days", "sends", "opens", "opt_outs", "churned"):
        a, b = (getattr(p.last_week(), name) for p in (expected, sampled))
        assert np.array_equal(a, b)
    assert not np.array_equal(expected.last_week().reward, sampled.last_week().reward)


@pytest.mark.parametrize("name", ["pronounced", "eventful", "in_app"])
def test_expected_and_sampled_rewards_agree_on_average(name: str) -> None:
    expected, sampled = pair(name, 40_000)
    actions = random_actions(expected, 3)
    for part in ("views", "causal_opens"):
        means = []
        for week in actions:
            play(expected, week[None])
            play(sampled, week[None])
            difference = getattr(expected.last_week(), part) - getattr(sampled.last_week(), part)
            error = difference.std() / 200
            assert abs(difference.mean()) < 4 * error
            means.append(getattr(sampled.last_week(), part).mean())
            assert error < 0.02 * means[-1]
        expected.reset()
        sampled.reset()


def test_among_equal_members_the_expected_view_is_less_noisy() -> None:
    expected, sampled = pair("homogeneous", 10_000)
    actions = np.ones((1, 21, 10_000), np.int64)
    play(expected, actions)
    play(sampled, actions)
    assert expected.last_week().views.std() < 0.75 * sampled.last_week().views.std()


def test_sampled_views_are_the_viewing_days() -> None:
    _, sampled = pair("in_app", 500)
    for actions in random_actions(sampled, 3):
        play(sampled, actions[None])
        week = sampled.last_week()
        assert np.array_equal(week.views, week.viewing_days)
        assert (week.viewing_days <= 7).all()


def test_at_most_one_viewing_day_a_day() -> None:
    p = Population(load_world("pronounced", EVENTFUL), 2000, luck_seed=3)
    days = np.zeros((7, 2000))
    for t in range(21):
        _, events = p.step(np.ones(2000, np.int64))
        days[p.world.schedule[t].weekday] += events.viewed
    assert days.max() == 1
    assert np.array_equal(days.sum(axis=0), p.last_week().viewing_days)


class TestDaysWithoutSlots:
    """A day without slots counts at its end."""

    @staticmethod
    def other_schedule(slots: tuple[Slot, ...]) -> World:
        return replace(world("pronounced"), schedule=slots)

    @pytest.mark.parametrize("weekdays", [(2,), (0, 6), (1, 3, 4, 5, 6)])
    def test_who_is_left_alone_views_the_same_days_under_any_schedule(
        self, weekdays: tuple[int, ...]
    ) -> None:
        sparse = self.other_schedule(tuple(Slot(d, 9 * 3600, 0) for d in weekdays))
        few = Population(sparse, 500, luck_seed=3)
        many = Population(world("pronounced"), 500, luck_seed=3)
        for _ in range(4):
            play(few, np.zeros((1, len(weekdays), 500), np.int64))
            play(many, np.zeros((1, 21, 500), np.int64))
            assert few.last_week().viewing_days.sum() > 300
            assert np.array_equal(few.last_week().viewing_days, many.last_week().viewing_days)
            assert np.array_equal(few.simulation.state.habit, many.simulation.state.habit)
            assert np.array_equal(few.alive, many.alive)

    def test_such_a_day_is_worth_its_probability_of_viewing(self) -> None:
        w = self.other_schedule((Slot(1, 0, 0), Slot(3, 0, 0)))
        p = Population(w, 50, luck_seed=3)
        monday = self.other_schedule((Slot(0, 0, 0), Slot(3, 0, 0)))
        q = Population(monday, 50, luck_seed=3)
        q.step(np.zeros(50, np.int64))  # Monday has one slot, Tuesday and Wednesday have none
        p.step(np.zeros(50, np.int64))  # Monday has none, Tuesday one, Wednesday none
        assert p.simulation.ledger[:, 0] == pytest.approx(q.simulation.ledger[:, 0], abs=1e-5)
        assert p.simulation.ledger[:, 0].min() > 0

    def test_the_log_at_a_slot_knows_the_days_before_it(self) -> None:
        w = self.other_schedule((Slot(1, 0, 0), Slot(5, 0, 0)))
        p, full = Population(w, 300, luck_seed=3), Population(world("pronounced"), 300, luck_seed=3)
        p.step(np.zeros(300, np.int64))
        for _ in range(15):  # Monday to Friday
            full.step(np.zeros(300, np.int64))
        assert np.array_equal(p.simulation.log.by_member, full.simulation.log.by_member)
        assert p.simulation.log.by_member.any()

    def test_a_send_before_them_tires_less_after_them(self) -> None:
        w = self.other_schedule((Slot(1, 0, 0), Slot(5, 0, 0)))
        p = Population(w, 300, luck_seed=3)
        _, events = p.step(np.ones(300, np.int64))
        sent = events.sent.astype(bool)
        fatigue = p.simulation.state.fatigue[sent, 0]
        assert (fatigue <= np.exp(-4 / 15)).all()  # Tuesday's to Friday's end
        assert (fatigue > 0.4 * 0.5 * np.exp(-4 / 15)).all()
