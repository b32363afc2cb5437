import numpy as np
import pytest
from numpy.testing import assert_array_equal

from slowfast_rl.fast import affinity as logs
from slowfast_rl.members.observations import (
    opportunity_features,
    opportunity_observation,
    weekly_features,
)
from slowfast_rl.members.population import Population
from tests.members.worlds import world

COLUMN = {name: i for i, name in enumerate(logs.LOG_COLUMNS)}
MEMBERS, WEEKS = 30, 12


class Notebook(Population):
    """A population whose every send is noted by hand, with what was known before it."""

    notes: list
    alive_before: list

    def step(self, actions):
        w = self.world
        if not hasattr(self, "last"):
            size = (self.num_members, w.num_topics)
            self.sends, self.opens = np.zeros(size), np.zeros(size)
            self.last = np.full(size, -np.inf)
        names = [feature.name for feature in weekly_features(w) + opportunity_features(w)]
        observations = opportunity_observation(self)
        channel = w.schedule[self.slot].channel
        day = int(self.weeks[0]) * 7 + w.schedule[self.slot].weekday
        may = self.opted_in[:, channel] & self.alive
        rewards, events = super().step(actions)
        for i in np.flatnonzero(actions):
            assert may[i]
            assert events.sent[i]
            a = actions[i]
            topic = next(
                d
                for d in range(w.num_topics)
                if observations[i, names.index(f"candidate_{a}_is_topic_{d}")]
            )
            known = [channel]
            known += [
                observations[i, names.index(f"candidate_{a}_{what}")]
                for what in ("quality", "launch_flag")
            ]
            known += [self.sends[i, topic], self.opens[i, topic]]
            known += [min(day - self.last[i, topic], 60), self.sends[i].sum(), self.opens[i].sum()]
            self.notes.append([*known, events.opened[i]])
            self.sends[i, topic] += 1
            self.opens[i, topic] += events.opened[i]
            self.last[i, topic] = day
        return rewards, events


@pytest.fixture
def notes(monkeypatch):
    monkeypatch.setattr(logs, "Population", Notebook)
    Notebook.notes = []
    return Notebook.notes


def test_features_are_those_known_at_the_moment_of_the_send(notes):
    rows = logs.collect_logs(world("eventful"), MEMBERS, WEEKS, seed=3)
    assert_array_equal(rows, np.array(notes, np.float32))
    assert rows[:, COLUMN["topic_sends"]].max() > 3
    assert rows[:, COLUMN["opened"]].mean() > 0.05


def test_candidates_and_times_are_random():
    w = world("deathless")
    rows = logs.collect_logs(w, 400, 4, seed=0)
    chances = 400 * 4 * 21
    opted_in = Population(w, 400).opted_in @ [14, 7] / 21
    assert abs(len(rows) / chances - 0.25 * opted_in.mean()) < 0.02
    quality = rows[:, COLUMN["quality"]]
    assert abs(quality.mean()) < 4 / len(rows) ** 0.5
    assert abs(quality.std() - 1) < 0.05


def test_logs_depend_on_the_seed_alone():
    w = world("pronounced")
    one, again, other = (logs.collect_logs(w, 10, 2, seed) for seed in (1, 1, 2))
    assert_array_equal(one, again)
    assert one.shape != other.shape or not np.array_equal(one, other)
