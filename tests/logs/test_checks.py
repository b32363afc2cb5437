"""Every defect of a log is found, named with its rows, and reported together with all others."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from slowfast_rl.logs.checks import check
from slowfast_rl.logs.conversion import convert
from slowfast_rl.logs.histories import weekly_table
from slowfast_rl.logs.mapping import LogMapping, read_mapping
from slowfast_rl.logs.reading import read
from slowfast_rl.logs.schema import TABLES
from tests.logs.cases import logged_world, write_log

ROW = 7  # in which each defect is
NAMES = {c.name for columns in TABLES.values() for c in columns if c.kind == "name"}


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    """The tables of a log without defects."""
    log = write_log("eventful", tmp_path_factory.mktemp("clean"), num_members=30, weeks=4)
    return {name: pq.read_table(log.folder / name) for name in TABLES}


def change(table, column, row, value):
    """A table with one value replaced."""
    values = table[column].to_pylist()
    values[row] = value
    kind = table[column].type
    kind = pa.string() if pa.types.is_dictionary(kind) else kind
    where = table.schema.get_field_index(column)
    return table.set_column(where, column, pa.array(values, kind))


def first(table, test):
    """The first row that passes a test."""
    return next(i for i, row in enumerate(table.to_pylist()) if test(row))


def put(column, value, of=None):
    """What replaces a value in the first row of a kind, or in row 7."""

    def broken(table):
        return change(table, column, ROW if of is None else first(table, of), value)

    return broken


def repeated(table):
    """A table with one row twice."""
    return pa.concat_tables([table, table.slice(ROW, 1)])


def without_propensity(table):
    """A table without the column."""
    return table.drop_columns(["propensity"])


def without_a_week(table):
    """A table without a row of a member who has a week before and one after."""
    member = table["member"].to_pylist()
    row = next(i for i in range(1, len(member) - 1) if len({*member[i - 1 : i + 2]}) == 1)
    return pa.concat_tables([table.slice(0, row), table.slice(row + 1)])


def opened(row):
    """Whether a row of outcomes is an open."""
    return row["event"] == "opened"


def send(row):
    """Whether a row of decisions is a send."""
    return row["action"] > 0


#: By name: the table, what breaks it, and the column and text of the finding.
DEFECTS = {
    "propensity missing": ("decisions", put("propensity", None), "propensity", "missing"),
    "propensity NaN": ("decisions", put("propensity", float("nan")), "propensity", "missing"),
    "propensity zero": ("decisions", put("propensity", 0.0), "propensity", "0 or below"),
    "propensity above one": ("decisions", put("propensity", 1.5), "propensity", "above 1"),
    "decision twice": ("decisions", repeated, "member, time, channel", "a row twice"),
    "unknown channel": ("decisions", put("channel", "sms"), "channel", "unknown channel"),
    "channel missing": ("decisions", put("channel", None), "channel", "missing"),
    "action too large": ("decisions", put("action", 9), "action", "outside 0 to 4"),
    "member missing": ("decisions", put("member", None), "member", "missing"),
    "member below 0": ("decisions", put("member", -5), "member", "below 0"),
    "time outside": ("decisions", put("time", 10**9), "time", "outside the log's"),
    "time of no slot": ("decisions", put("time", 3), "time", "no slot"),
    "probabilities do not add up": (
        "decisions", put("probabilities", [0.5] * 5), "probabilities", "do not add up"
    ),
    "probabilities negative": (
        "decisions", put("probabilities", [1.5, -0.5, 0, 0, 0]), "probabilities", "outside 0 to 1"
    ),
    "propensity differs": ("decisions", put("propensity", 0.123), "propensity", "differs"),
    "topic unknown": ("decisions", put("topics", [0, 1, 2, 99]), "topics", "outside 0 to 3"),
    "topics missing": ("decisions", put("topics", None), "topics", "missing"),
    "a launch flag missing": (
        "decisions", put("launched", [None, True, True, False]), "launched", "missing"
    ),
    "quality not finite": (
        "decisions", put("qualities", [0, 0, 0, float("nan")]), "qualities", "not a finite number"
    ),
    "sent after leaving": ("decisions", put("opted_in", False, send), "action", "left the channel"),
    "event unknown": ("outcomes", put("event", "liked"), "event", "unknown event"),
    "outcome twice": ("outcomes", repeated, "member, time, channel, event", "a row twice"),
    "outcome of no send": ("outcomes", put("decided_at", 5, opened), "decided_at", "no send"),
    "decided_at missing": (
        "outcomes", put("decided_at", None, opened), "decided_at", "missing for an event"
    ),
    "outcome before its send": ("outcomes", put("time", 5, opened), "time", "before the send"),
    "outcome without channel": ("outcomes", put("channel", None, opened), "channel", "missing"),
    "overlapping weeks": ("plans", repeated, "member, week", "overlapping weeks"),
    "week missing": ("plans", without_a_week, "week", "is missing before"),
    "week below 0": ("plans", put("week", -3), "week", "outside 0"),
    "plan not on the menu": ("plans", put("target", [6, 6]), "target", "not on the menu"),
    "plan propensity zero": ("plans", put("propensity", 0.0), "propensity", "0 or below"),
    "plan propensity above one": ("plans", put("propensity", 2.0), "propensity", "above 1"),
    "plan propensity missing": ("plans", put("propensity", None), "propensity", "missing"),
    "plan propensity NaN": ("plans", put("propensity", float("nan")), "propensity", "missing"),
    "an opt-in missing": ("plans", put("opted_in", [None, True]), "opted_in", "missing"),
    "drawn later": ("plans", put("drawn_week", 99), "drawn_week", "after the week"),
    "shape unknown": ("plans", put("shape", "spiral"), "shape", "unknown shape"),
    "column missing": ("plans", without_propensity, "propensity", "the column is missing"),
}  # fmt: skip


def plain(table):
    """A table whose names are texts."""
    names = [f.with_type(pa.string()) if f.name in NAMES else f for f in table.schema]
    return table.cast(pa.schema(names))


def written(tables, folder):
    """Tables as a company's files."""
    folder.mkdir()
    for name, table in tables.items():
        pq.write_table(table, folder / f"{name}.parquet")
    return folder


def checked(tables, folder, questions=()):
    """The report on a company's tables."""
    source = written(tables, folder / "source")
    w = logged_world("eventful")
    missing = convert(source, folder / "log", w)
    return check(read(folder / "log", w), questions, missing)


def test_a_recorded_log_has_no_defect(tmp_path, clean):
    report = checked(clean, tmp_path, ("messages", "plans", "fit"))
    assert report.findings == ()
    assert report.rows == {name: table.num_rows for name, table in clean.items()}
    assert report.members == 30


@pytest.mark.parametrize("name", DEFECTS)
def test_a_defect_is_found_with_its_column_and_row(tmp_path, clean, name):
    table, breaks, column, what = DEFECTS[name]
    tables = clean | {table: breaks(clean[table])}
    errors = checked(tables, tmp_path).errors
    found = [e for e in errors if (e.table, e.column) == (table, column) and what in e.what]
    assert len(found) == 1, [str(error) for error in errors]
    if name != "column missing":
        (row,) = found[0].rows
        position, whole = int(row), tables[table]
        before = clean[table]
        same = position < before.num_rows and whole.num_rows == before.num_rows
        if same:
            assert whole.slice(position, 1) != before.slice(position, 1)
        assert str(found[0]).startswith(f"error: {table}.{column}: ")


def test_a_log_with_all_defects_gives_one_report_that_names_them_all(tmp_path, clean):
    tables = dict(clean)
    for table in TABLES:
        copies = [breaks(clean[table]) for t, breaks, *_ in DEFECTS.values() if t == table]
        plain = [
            c.cast(
                pa.schema(
                    [
                        f.with_type(pa.string()) if pa.types.is_dictionary(f.type) else f
                        for f in c.schema
                    ]
                )
            )
            for c in copies
        ]
        tables[table] = pa.concat_tables(plain, promote_options="default")
    report = checked(tables, tmp_path)
    named = {(e.table, e.column, e.what) for e in report.errors}
    for name, (table, _, column, what) in DEFECTS.items():
        if name not in ("column missing", "week missing"):  # the other copies have them
            assert any((t, c) == (table, column) and what in w for t, c, w in named), name
    assert report.rows == {name: table.num_rows for name, table in tables.items()}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_without_rows_is_reported(tmp_path, clean, name):
    report = checked(clean | {name: clean[name].slice(0, 0)}, tmp_path)
    (found,) = (f for f in report.findings if f.what.startswith("the table has no rows"))
    assert (found.table, found.level) == (name, "error")
    assert "nan" not in str(report)


@pytest.mark.parametrize("name", TABLES)
def test_a_table_with_other_columns_lacks_each_that_is_needed_and_has_strange_ones(
    tmp_path, clean, name
):
    given = clean[name].rename_columns([f"its_{c}" for c in clean[name].column_names])
    report = checked(clean | {name: given}, tmp_path)
    missing = {e.column for e in report.errors if e.what == "the column is missing"}
    assert missing == {c.name for c in TABLES[name] if c.required}
    (strange,) = (f for f in report.findings if "not a column of the schema" in f.what)
    assert strange.column.split(", ") == sorted(given.column_names)


def test_a_column_that_identifies_rows_is_missing_and_no_row_is_called_a_copy(tmp_path, clean):
    outcomes = clean["outcomes"].drop_columns(["member"])
    report = checked(clean | {"outcomes": outcomes}, tmp_path)
    assert [str(error) for error in report.errors] == [
        "error: outcomes.member: the column is missing"
    ]


@pytest.mark.parametrize("column", ["target", "opted_in"])
def test_a_list_of_other_channels_is_reported(tmp_path, clean, column):
    plans = clean["plans"]
    lists = pa.array([[*row, row[0]] for row in plans[column].to_pylist()])
    plans = plans.set_column(plans.schema.get_field_index(column), column, lists)
    report = checked(clean | {"plans": plans}, tmp_path)
    assert [(e.column, e.what) for e in report.errors] == [(column, "3 channels instead of 2")]


def test_what_is_strange_and_may_be_right_is_a_warning(tmp_path, clean):
    plans, outcomes = clean["plans"], clean["outcomes"]
    gone = first(outcomes, lambda row: row["event"] == "churned")
    week = 7 * 86400
    opens = outcomes.filter(pc.equal(outcomes["event"].cast(pa.string()), "opened"))
    delayed = change(outcomes, "time", first(outcomes, opened), opens["time"][0].as_py() + week)
    churns = pa.concat_tables([outcomes.slice(0, gone), outcomes.slice(gone + 1)])
    for number, (table, given, column, what) in enumerate(
        (
            ("plans", change(plans, "shape", ROW, None), "shape", "missing"),
            ("decisions", change(clean["decisions"], "vetoed", ROW, None), "vetoed", "missing"),
            ("outcomes", churns, "week", "no event says that it churned"),
            ("outcomes", delayed, "time", "in a week after the send's"),
        )
    ):
        (tmp_path / str(number)).mkdir()
        report = checked(clean | {table: given}, tmp_path / str(number))
        assert report.errors == (), str(report)
        (warning,) = report.findings
        assert warning.column == column
        assert what in warning.what
        assert warning.affected == 1


def test_members_with_large_ids_are_told_apart(tmp_path, clean):
    far = {t: add_to_members(table, 2**62) for t, table in clean.items()}
    assert checked(far, tmp_path).findings == ()
    row = first(far["outcomes"], opened)
    moved = change(far["outcomes"], "member", row, far["outcomes"]["member"][row].as_py() - 2**58)
    (tmp_path / "moved").mkdir()
    errors = checked(far | {"outcomes": moved}, tmp_path / "moved").errors
    assert any("no send of the member" in error.what for error in errors)


def add_to_members(table, number):
    """A table whose members have other ids."""
    ids = pa.array(table["member"].to_numpy() + number)
    return table.set_column(table.schema.get_field_index("member"), "member", ids)


def test_a_log_in_which_nothing_was_left_to_chance_is_refused_for_what_needs_it(tmp_path, clean):
    ones = pa.array(np.ones(clean["plans"].num_rows))
    plans = clean["plans"]
    where = plans.schema.get_field_index("propensity")
    report = checked(
        clean | {"plans": plans.set_column(where, "propensity", ones)}, tmp_path, ("plans",)
    )
    assert [error.what for error in report.errors] == [
        "none of the plans were left to chance; plans needs 5% or more"
    ]
    assert report.randomised_plans == 0


def test_files_of_any_order_and_names_become_the_same_log(tmp_path, clean):
    rng, source = np.random.default_rng(0), tmp_path / "source"
    monday = 1_767_571_200  # 2026-01-05
    for name, table in clean.items():
        shuffled = table.take(rng.permutation(table.num_rows))
        if name != "plans":
            for column in ("time", "decided_at"):
                if column in table.column_names:
                    where = shuffled.schema.get_field_index(column)
                    stamps = pa.array(
                        [
                            None if t is None else (t + monday) * 1000
                            for t in shuffled[column].to_pylist()
                        ],
                        pa.timestamp("ms"),
                    )
                    shuffled = shuffled.set_column(where, column, stamps)
        shuffled = shuffled.rename_columns([f"its_{c}" for c in shuffled.column_names])
        half = shuffled.num_rows // 2
        (source / name).mkdir(parents=True)
        pq.write_table(shuffled.slice(0, half), source / name / "b.parquet")
        pq.write_table(shuffled.slice(half), source / name / "a.parquet")
    lines = ["start: 2026-01-05"]
    for name, columns in TABLES.items():
        own = ", ".join(f"{c.name}: its_{c.name}" for c in columns)
        lines += [f"{name}:", f"  files: {name}/*.parquet", f"  columns: {{{own}}}"]
    (tmp_path / "mapping.yaml").write_text("\n".join(lines))
    w = logged_world("eventful")
    convert(source, tmp_path / "log", w, read_mapping(tmp_path / "mapping.yaml"))
    log = read(tmp_path / "log", w)
    assert check(log).findings == ()
    convert(written(clean, tmp_path / "clean"), tmp_path / "same", w)
    for ours, theirs in zip(
        weekly_table(log), weekly_table(read(tmp_path / "same", w)), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)


def test_a_log_of_many_parts_has_the_same_weeks(tmp_path, clean, monkeypatch):
    monkeypatch.setattr("slowfast_rl.logs.conversion.PART_ROWS", 300)
    source, w = written(clean, tmp_path / "source"), logged_world("eventful")
    convert(source, tmp_path / "log", w)
    log = read(tmp_path / "log", w)
    assert len(log.part_names) > 3
    assert check(log).findings == ()
    table = weekly_table(log)
    order = np.argsort(table.members)
    monkeypatch.undo()
    convert(source, tmp_path / "one", w)
    whole = weekly_table(read(tmp_path / "one", w))
    np.testing.assert_array_equal(table.members[order], whole.members)
    np.testing.assert_array_equal(table.sends[:, order], whole.sends)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("decisions: {columns: {members: x}}", "unknown key 'members'"),
        ("decision: {}", "unknown key 'decision'"),
        ("start: 2026-01-06", "allowed is a Monday"),
        ("start: yesterday", "allowed is an ISO date"),
        ("decisions: 3", "a mapping is needed"),
        ("- 1", "a mapping is needed"),
    ],
)
def test_a_wrong_mapping_is_named(tmp_path, text, message):
    path = tmp_path / "mapping.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_mapping(path)


def test_a_start_may_be_a_monday_of_another_time_zone(tmp_path):
    path = tmp_path / "mapping.yaml"
    path.write_text("start: 2026-01-05T00:00+01:00")
    assert read_mapping(path).start == 1_767_571_200 - 3600
    path.write_text("start: 2026-01-05T01:00+01:00")  # a Monday 00:00 elsewhere
    with pytest.raises(ValueError, match="allowed is a Monday 00:00"):
        read_mapping(path)


def test_names_of_channels_are_translated(tmp_path, clean):
    table = clean["decisions"]
    texts = pa.array([c.upper() for c in table["channel"].to_pylist()])
    own = table.set_column(table.schema.get_field_index("channel"), "channel", texts)
    source, w = written(clean | {"decisions": own}, tmp_path / "source"), logged_world("eventful")
    names = {"decisions": {"channel": {"PUSH": "push", "EMAIL": "email"}}}
    convert(source, tmp_path / "log", w, LogMapping(names=names))
    assert check(read(tmp_path / "log", w)).findings == ()


def test_a_finding_shows_the_values_that_are_not_allowed(tmp_path, clean):
    tables = clean | {
        "outcomes": put("channel", "sms", opened)(clean["outcomes"]),
        "plans": put("target", [6, 6])(clean["plans"]),
    }
    report = checked(tables, tmp_path)
    shown = {(error.table, error.column): error for error in report.errors}
    assert shown["outcomes", "channel"].values == ("'sms'",)
    assert "known: push, email; found 'sms' (1 rows: " in str(shown["outcomes", "channel"])
    assert shown["plans", "target"].values == ("[6, 6]",)


def test_a_table_that_is_not_there_is_an_error(tmp_path, clean):
    tables = {name: table for name, table in clean.items() if name != "decisions"}
    report = checked(tables, tmp_path)
    assert "is there decisions.parquet, or a file in decisions/?" in str(report.errors[0])
    assert "left to chance: no decisions" in str(report)


def test_rows_without_their_key_are_not_called_repeated(tmp_path, clean):
    tables = clean | {"decisions": clean["decisions"].drop_columns(["member"])}
    errors = checked(tables, tmp_path).errors
    assert ("decisions", "member", "the column is missing") in [e[1:4] for e in errors]
    assert not [error for error in errors if "twice" in error.what]


@pytest.mark.parametrize("column", ["member", "reward"])  # a required one, and an optional one
def test_a_column_of_the_mapping_that_no_file_has_is_named(tmp_path, clean, column):
    source = written(clean, tmp_path / "source")
    mapped = LogMapping(columns={"decisions": {column: "user"}})
    message = f"names column 'user' for decisions.{column}, .*; allowed: time, member, channel"
    with pytest.raises(ValueError, match=message):
        convert(source, tmp_path / "log", logged_world("eventful"), mapped)
