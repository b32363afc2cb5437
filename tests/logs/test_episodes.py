"""A log as episodes, and as a dataset of Minari."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import slowfast_rl as sf
from slowfast_rl.fast import ExploringExecutor, PacedExecutor
from slowfast_rl.logs.episodes import (
    LEVELS,
    _decision_rewards,
    message_episodes,
    weekly_episodes,
    weekly_rewards,
)
from slowfast_rl.logs.histories import MemberHistories
from slowfast_rl.logs.schema import EVENTS
from slowfast_rl.members.clock import DAY_SECONDS, WEEK_SECONDS

MEMBERS, WEEKS = 150, 10


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """A log in which some members churn."""
    world = sf.load_world("pronounced")
    churn = world.churn.__class__(floor=0.02, scale=0.1, habit_rate=5)
    world = world.__class__(**{**vars(world), "churn": churn})
    sizes = {"num_members": MEMBERS, "weeks": WEEKS, "population_seed": 3, "luck_seed": 3}
    folder = tmp_path_factory.mktemp("logs") / "log"
    executor = ExploringExecutor(PacedExecutor(), explore=0.3)
    return sf.logs.read(sf.logs.record(folder, world, executor, **sizes))


@pytest.mark.parametrize("level", LEVELS)
def test_each_member_has_one_episode_until_it_churns_or_the_log_ends(log, level):
    table = sf.logs.weekly_table(log)
    episodes = [*LEVELS[level](log)]
    assert [episode.member for episode in episodes] == table.members.tolist()
    a_week = {"weekly": 1, "messages": log.world.slots_per_week}[level]
    for i, episode in enumerate(episodes):
        steps = int(table.alive[:, i].sum()) * a_week
        steps -= level == "messages" and not episode.churned
        assert episode.churned == table.churned[:, i].any()
        assert len(episode.actions) == len(episode.rewards) == steps
        assert len(episode.observations) == steps + 1
        assert np.isfinite(episode.observations).all()
        assert episode.churned == (episode.observations[-1] == 0).all()
    assert 10 < sum(episode.churned for episode in episodes) < MEMBERS - 10


def test_weekly_episodes_have_the_observations_and_plans_of_the_log(log):
    table = sf.logs.weekly_table(log)
    by_member = {episode.member: episode for episode in weekly_episodes(log)}
    for members, weeks, rows in sf.logs.weekly_observations(log):
        for member, week, row in zip(members.tolist(), weeks, rows, strict=True):
            assert_array_equal(by_member[member].observations[week], row)
    for i, member in enumerate(table.members.tolist()):
        assert_array_equal(by_member[member].actions, table.plans[table.alive[:, i], i])


def test_the_rewards_of_a_decision_are_what_happened_until_the_next_one(log):
    part, reward = log.part(log.part_names[0]), log.world.reward
    given, outcomes = part.decisions.columns, part.outcomes.columns
    for episode in [*message_episodes(log)][:20]:
        own = np.flatnonzero(given["member"] == episode.member)
        times = given["time"][own].tolist()
        expected, days = [0.0] * len(times), set()
        for k, row in enumerate(own):
            expected[k] -= reward.message_cost * (given["action"][row] > 0)
        mine = np.flatnonzero(outcomes["member"] == episode.member)
        for row in mine[np.argsort(outcomes["time"][mine], kind="stable")]:
            event, time = EVENTS[outcomes["event"][row]], outcomes["time"][row]
            if event == "opened":
                expected[times.index(outcomes["decided_at"][row])] += reward.causal_open
            if event == "opted_out":
                expected[times.index(outcomes["decided_at"][row])] -= reward.opt_out
            if event in ("viewed", "churned"):
                latest = max(k for k, t in enumerate(times) if t <= time)
                if event == "churned":
                    expected[latest] -= reward.churn
                elif time // DAY_SECONDS not in days:
                    days.add(time // DAY_SECONDS)
                    expected[latest] += reward.viewing_day
        assert_allclose(episode.rewards, expected[: len(episode.rewards)], atol=1e-12)


def test_both_levels_add_up_to_the_same_for_members_that_churned(log):
    table = sf.logs.weekly_table(log)
    weekly = dict(zip(table.members.tolist(), weekly_rewards(log.world, table).T, strict=True))
    gone = [episode for episode in message_episodes(log) if episode.churned]
    assert gone
    for episode in gone:
        alive = len(episode.actions) // log.world.slots_per_week
        before_first = weekly[episode.member][:alive].sum() - episode.rewards.sum()
        assert before_first == pytest.approx(0, abs=1e-9)


def test_an_unknown_plan_ends_an_episode_and_another_begins_after_it(log, monkeypatch):
    whole = next(e for e in weekly_episodes(log) if len(e.actions) == WEEKS)
    known = np.array([1, 1, 0, 1, 1, 1, 0, 0, 1, 1], bool)
    fill = MemberHistories._fill_plans

    def with_gaps(self, plans):
        fill(self, plans)
        self.table.plans[~known, self.members == whole.member] = -1

    monkeypatch.setattr(MemberHistories, "_fill_plans", with_gaps)
    parts = [e for e in weekly_episodes(log) if e.member == whole.member]
    assert [len(e.actions) for e in parts] == [2, 3, 2]
    assert_array_equal(np.concatenate([e.actions for e in parts]), whole.actions[known])
    assert_array_equal(parts[1].observations, whole.observations[3:7])


def test_messages_need_the_decisions_to_hold(log, tmp_path):
    sizes = {"num_members": 20, "weeks": 2, "holds": False}
    path = sf.logs.record(tmp_path / "log", log.world, PacedExecutor(), **sizes)
    with pytest.raises(ValueError, match=r"no decisions to hold; .* holds=true"):
        next(message_episodes(sf.logs.read(path)))


def test_a_view_at_an_unknown_time_of_the_day_follows_from_its_last_decision(log):
    histories = MemberHistories(log, log.part(log.part_names[0]))
    given, world = histories.part.decisions.columns, log.world
    rows = histories.rows_of(given["member"])
    histories.first_view[histories.viewed] = 0
    views = _decision_rewards(histories, rows) > world.reward.viewing_day / 2
    last_of_day = {slot.weekday: slot.second for slot in world.schedule}
    assert views.sum() > 0.9 * histories.viewed.sum()
    for time in given["time"][views].tolist():
        assert time % DAY_SECONDS == last_of_day[time % WEEK_SECONDS // DAY_SECONDS]


@pytest.mark.parametrize("level", LEVELS)
def test_a_dataset_of_minari_has_the_episodes(log, level, tmp_path, monkeypatch):
    minari = pytest.importorskip("minari", reason="the extra minari")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    from slowfast_rl.logs.minari_dataset import write_minari

    write_minari(log, "tests/log-v0", level)
    dataset, episodes = minari.load_dataset("tests/log-v0"), [*LEVELS[level](log)]
    assert dataset.total_episodes == len(episodes)
    for found, episode in zip(dataset, episodes, strict=True):
        assert_array_equal(found.observations, episode.observations)
        assert_array_equal(found.actions, episode.actions)
        assert_array_equal(found.rewards, episode.rewards)
        assert found.terminations[-1] == episode.churned
        assert found.truncations[-1] == (not episode.churned)
        assert not found.terminations[:-1].any()
    with pytest.raises(ValueError, match=r"'tests/log-v0' exists; allowed is a new name"):
        write_minari(log, "tests/log-v0", level)
    with pytest.raises(ValueError, match=r"dataset is 'log'; allowed is <namespace>/<name>-v"):
        write_minari(log, "log", level)
    with pytest.raises(ValueError, match=r"level is 'daily'; allowed: weekly, messages"):
        write_minari(log, "tests/other-v0", "daily")
