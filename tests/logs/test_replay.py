"""A recorded simulation, read back, shows what the environments showed."""

import pytest
from numpy.testing import assert_array_equal

import slowfast_rl as sf
from slowfast_rl.logs.histories import MemberHistories, weekly, weekly_observations, weekly_table
from slowfast_rl.members.beliefs import BeliefFilter
from tests.logs.cases import WEEKS, Observed, logged_worlds, write_log


@pytest.mark.parametrize("name", logged_worlds())
def test_weekly_observations_of_a_log_are_those_of_the_simulation(tmp_path, name):
    seen = Observed(name, tmp_path)
    for members, weeks, observations in weekly_observations(seen.log):
        week = int(weeks[0])
        assert_array_equal(members, seen.members[seen.alive[week]])
        assert_array_equal(observations, seen.weekly[week][seen.alive[week]])


@pytest.mark.parametrize("name", logged_worlds())
def test_opportunities_of_a_log_show_what_the_executor_saw(tmp_path, name):
    seen = Observed(name, tmp_path)
    for part in seen.log.parts():
        histories, number = MemberHistories(seen.log, part), 0
        for found in histories.opportunities():
            at = seen.slots[number]
            assert_array_equal(found.observations, at.observations)
            assert_array_equal(part.decisions.columns["member"][found.rows], at.members)
            number += 1
        assert number == len(seen.slots)


def test_the_weekly_table_counts_what_each_week_of_the_simulation_had(tmp_path):
    seen = Observed("eventful", tmp_path)
    table = weekly_table(seen.log)
    for name in ("sends", "opens", "dismissals", "opt_outs", "viewing_days"):
        assert_array_equal(getattr(table, name), getattr(seen, name), name)
    assert_array_equal(table.alive, seen.alive[:WEEKS])
    assert table.churned.sum() == (seen.alive[:-1] & ~seen.alive[1:]).sum() > 0
    assert_array_equal(table.opted_in[table.alive], seen.opted_in[:WEEKS][table.alive])


def test_beliefs_from_a_log_are_those_of_the_simulation(tmp_path):
    seen = Observed("eventful", tmp_path)
    (part,) = seen.log.parts()
    belief_filter = BeliefFilter(seen.log.world)
    for replay in MemberHistories(seen.log, part).replay(belief_filter):
        last = replay
    population = seen.population
    alive = population.alive
    expected = population.beliefs.observations()[alive]
    assert_array_equal(last.beliefs.observations()[alive], expected)


def test_the_table_of_pandas_has_a_row_for_each_member_and_week(tmp_path):
    seen = Observed("pronounced", tmp_path)
    frame = weekly(seen.log)
    assert frame.index.names == ["member", "week"]
    assert list(frame.columns) == [f.name for f in sf.weekly_features(seen.log.world)]
    assert len(frame) == seen.alive.sum()


def test_a_long_log_is_recorded_in_smaller_parts_with_the_same_rows(tmp_path, monkeypatch):
    one = write_log("eventful", tmp_path / "one", num_members=20)
    monkeypatch.setattr("slowfast_rl.logs.recording.PART_ROWS", 7 * WEEKS * 21)
    many = write_log("eventful", tmp_path / "many", num_members=20)
    assert many.world.slots_per_week == 21
    assert [len(part.plans.columns["member"]) > 0 for part in many.parts()] == [True] * 3
    for ours, theirs in zip(weekly_table(one), weekly_table(many), strict=True):
        assert_array_equal(ours, theirs)
