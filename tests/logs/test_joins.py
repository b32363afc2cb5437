"""Rows of a log are counted for their member, week and send, or the log is refused."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from numpy.testing import assert_array_equal

from slowfast_rl.fast import ExploringExecutor
from slowfast_rl.logs.checks import check
from slowfast_rl.logs.histories import MemberHistories, weekly_observations, weekly_table
from slowfast_rl.logs.reading import read
from slowfast_rl.logs.recording import record
from slowfast_rl.members.beliefs import BeliefFilter
from slowfast_rl.members.clock import WEEK_SECONDS
from slowfast_rl.members.features import weekly_features
from slowfast_rl.members.loading import load_world
from tests.logs.cases import logged_world, write_log
from tests.logs.test_checks import change, first, opened, plain, send

WEEKS = 6
LATE, FIRST = 3, 2  # a member, and its first week


@pytest.fixture
def log(tmp_path):
    """A log of one part that may be changed."""
    return write_log("eventful", tmp_path, num_members=20, weeks=WEEKS)


def rows_of(log, table):
    """The rows of a table."""
    return plain(pq.read_table(log.folder / table / log.part_names[0]))


def put(log, table, rows):
    """Replace the rows of a table."""
    pq.write_table(rows, log.folder / table / log.part_names[0])


def begin_late(log):
    """Leave out the first weeks of a member."""
    for table in ("decisions", "outcomes", "plans"):
        rows = rows_of(log, table)
        week = rows["week"] if table == "plans" else pc.divide(rows["time"], WEEK_SECONDS)
        early = pc.and_(pc.equal(rows["member"], LATE), pc.less(week, FIRST))
        put(log, table, rows.filter(pc.invert(early)))


def test_a_member_that_comes_later_has_observations_from_its_first_week_on(log):
    before = MemberHistories(log, log.part(log.part_names[0])).table
    assert before.alive[:, LATE].all()
    begin_late(log)
    (warning,) = check(log).findings
    assert warning.what == "the member's first week is not week 0"
    weeks = {}
    for members, numbers, observations in weekly_observations(log):
        for member, week, row in zip(members, numbers, observations, strict=True):
            weeks.setdefault(int(member), {})[int(week)] = row
    assert [*weeks[LATE]] == list(range(FIRST, WEEKS + 1 - before.churned[-1, LATE]))
    names = [feature.name for feature in weekly_features(log.world)]
    viewed = names.index("viewing_days_last_week")
    assert weeks[LATE][FIRST][viewed] == 0
    for week in range(FIRST, WEEKS):
        assert weeks[LATE][week + 1][viewed] == before.viewing_days[week, LATE]


def test_nothing_is_believed_of_the_weeks_before_a_member_comes(log):
    belief_filter = BeliefFilter(log.world)
    begin_late(log)
    seen = []
    for replay in MemberHistories(log, log.part(log.part_names[0])).replay(belief_filter):
        seen.append(replay.beliefs.observations()[LATE])
    assert_array_equal(seen[FIRST], seen[0])
    assert not np.array_equal(seen[FIRST + 1], seen[0])


def test_a_message_that_is_opened_three_times_counts_as_one_open(log):
    rows, before = rows_of(log, "outcomes"), weekly_table(log)
    opens = rows.filter(pc.equal(rows["event"], "opened"))
    assert opens.num_rows > 50
    where = opens.schema.get_field_index("time")
    later = [opens.set_column(where, "time", pc.add(opens["time"], s)) for s in (1, 60)]
    put(log, "outcomes", pa.concat_tables([rows, *later]))
    assert check(log).errors == ()
    assert_array_equal(weekly_table(log).opens, before.opens)


def test_slots_of_two_channels_at_the_same_time_are_told_apart(tmp_path):
    slots = [{"time": "08:00", "channel": c, "weekdays": [1, 3]} for c in ("push", "email")]
    w = load_world("pronounced", {"schedule": slots})
    given = {"num_members": 60, "weeks": 3, "population_seed": 2, "luck_seed": 2}
    record(tmp_path / "log", w, ExploringExecutor(explore=1.0), **given)
    log = read(tmp_path / "log", w)
    assert check(log).findings == ()
    table = weekly_table(log)
    assert (table.opens <= table.sends).all()
    part = log.part(log.part_names[0])
    histories, seen = MemberHistories(log, part), []
    decisions = part.decisions.columns
    both = decisions["member"] * WEEK_SECONDS * 3 + decisions["time"]
    for found in histories.opportunities():
        assert len(np.unique(decisions["channel"][found.rows])) == 1
        seen.append(found.rows)
    assert_array_equal(np.sort(np.concatenate(seen)), np.arange(part.decisions.size))
    assert len(np.unique(both)) < len(both)
    followed = histories.followed(np.arange(part.decisions.size), "opened")
    assert followed.sum() == table.opens.sum() > 0
    assert (decisions["action"][followed > 0] > 0).all()


def broken(table, column, value, of=None):
    """What replaces a value of a table."""

    def breaks(log):
        rows = rows_of(log, table)
        put(log, table, change(rows, column, 7 if of is None else first(rows, of), value))

    return breaks


def repeated_plan(log):
    """A plan twice."""
    rows = rows_of(log, "plans")
    put(log, "plans", pa.concat_tables([rows, rows.slice(5, 1)]))


def without_plans(log):
    """Decisions and no plans."""
    put(log, "plans", rows_of(log, "plans").slice(0, 0))


@pytest.mark.parametrize(
    ("breaks", "message"),
    [
        (broken("decisions", "member", 7_000), "1 rows that fit no member and week in decisions"),
        (broken("decisions", "time", -5), "in decisions.time"),
        (broken("decisions", "time", 10**9), "in decisions.time"),
        (broken("decisions", "channel", "sms"), "in decisions.channel"),
        (broken("decisions", "action", 77), "in decisions.action"),
        (broken("outcomes", "event", "liked"), "in outcomes.event"),
        (broken("outcomes", "decided_at", None, opened), "in outcomes.decided_at"),
        (broken("outcomes", "channel", None, opened), "in outcomes.channel"),
        (broken("outcomes", "member", None), "in outcomes.member"),
        (broken("plans", "week", 99), "in plans.week"),
        (broken("plans", "opted_in", [None, True]), "missing values in plans.opted_in"),
        (broken("decisions", "topics", [0, 0, 0, 77], send), "unknown values in decisions.topics"),
        (broken("decisions", "qualities", [0, 0, 0, float("nan")]), "in decisions.qualities"),
        (broken("decisions", "time", 3), "at times of no slot"),
        (repeated_plan, "weeks twice in plans.week"),
        (without_plans, "no rows for members that have decisions or outcomes"),
    ],
)
def test_a_row_that_fits_nowhere_is_one_line_and_never_counted_elsewhere(log, breaks, message):
    breaks(log)
    with pytest.raises(ValueError, match=message) as raised:
        [*MemberHistories(log, log.part(log.part_names[0])).opportunities()]
    assert "slowfast-logs mode=check names the rows" in str(raised.value)


def test_a_log_without_decisions_has_weeks_without_sends(log):
    (log.folder / "decisions" / log.part_names[0]).unlink()
    again = read(log.folder, logged_world("eventful"))
    found = [*weekly_observations(again)]
    assert len(found) == WEEKS + 1
    assert weekly_table(again).sends.sum() == 0


@pytest.mark.parametrize("table", ["decisions", "outcomes", "plans"])
def test_a_log_that_lacks_one_file_of_a_table_is_refused(tmp_path, monkeypatch, table):
    monkeypatch.setattr("slowfast_rl.logs.recording.SHARD", 10)
    log = write_log("eventful", tmp_path, num_members=20, weeks=2)
    (log.folder / table / log.part_names[1]).unlink()
    with pytest.raises(ValueError, match=r"part-000001\.parquet"):
        read(log.folder, log.world)


def test_members_to_whom_nothing_happens_have_a_file_without_outcomes(tmp_path, monkeypatch):
    monkeypatch.setattr("slowfast_rl.logs.recording.SHARD", 1)
    log = write_log("pronounced", tmp_path, num_members=50, weeks=1)
    sizes = [part.outcomes.size for part in log.parts()]
    assert min(sizes) == 0 < max(sizes)
    assert check(log).errors == ()
    assert len([*weekly_observations(log)]) == 2 * 50
