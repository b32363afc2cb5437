"""A company's files become a log, or one line says why not; nothing is left out silently."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from slowfast_rl.logs.checks import check
from slowfast_rl.logs.conversion import convert
from slowfast_rl.logs.histories import weekly_table
from slowfast_rl.logs.launches import read_launches
from slowfast_rl.logs.mapping import LogMapping, read_mapping
from slowfast_rl.logs.reading import read
from slowfast_rl.logs.schema import TABLES
from tests.logs.cases import logged_world, write_log
from tests.logs.test_checks import plain, written

MONDAY = 1_767_571_200  # 2026-01-05


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    """The tables of a log without defects."""
    log = write_log("eventful", tmp_path_factory.mktemp("clean"), num_members=20, weeks=3)
    return {name: plain(pq.read_table(log.folder / name)) for name in TABLES}


def in_two_files(folder, table, one, other):
    """Two halves of a table in a folder of their own."""
    (folder / table).mkdir()
    pq.write_table(one, folder / table / "a.parquet")
    pq.write_table(other, folder / table / "b.parquet")


def test_files_with_different_columns_are_read_and_what_they_lack_is_reported(tmp_path, clean):
    given = clean["decisions"]
    half, w = given.num_rows // 2, logged_world("eventful")
    source = written({t: clean[t] for t in ("plans", "outcomes")}, tmp_path / "source")
    in_two_files(source, "decisions", given.slice(0, half).drop_columns(["vetoed"]),
                 given.slice(half).drop_columns(["propensity"]))  # fmt: skip
    conversion = convert(source, tmp_path / "log", w)
    assert conversion.lacking == {"decisions": ["propensity"]}
    report = check(read(tmp_path / "log", w), (), conversion)
    assert report.rows["decisions"] == given.num_rows
    found = {(f.column, f.what): f.affected for f in report.findings}
    assert found == {
        ("propensity", "the column is missing"): 0,
        ("propensity", "missing"): given.num_rows - half,
        ("vetoed", "missing"): half,
    }


def test_a_file_and_a_folder_of_one_table_are_refused(tmp_path, clean):
    source = written(clean, tmp_path / "source")
    in_two_files(source, "decisions", clean["decisions"], clean["decisions"])
    with pytest.raises(ValueError, match=r"decisions\.parquet and decisions/; allowed is one"):
        convert(source, tmp_path / "log", "pronounced")


def test_a_folder_with_files_is_left_alone(tmp_path, clean):
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "mine.txt").write_text("mine")
    source = written(clean, tmp_path / "source")
    with pytest.raises(ValueError, match="holds files; allowed is a new or empty folder"):
        convert(source, tmp_path / "log", "pronounced")
    assert [path.name for path in (tmp_path / "log").iterdir()] == ["mine.txt"]


def truncated(path):
    """Take the end of a file away."""
    path.write_bytes(path.read_bytes()[:-1000])


def damaged(path):
    """Overwrite some of a file's rows."""
    content = path.read_bytes()
    path.write_bytes(content[:200] + bytes(400) + content[600:])


@pytest.mark.parametrize(
    ("breaks", "message"),
    [
        (truncated, "outcomes.parquet is no parquet file"),
        (damaged, "outcomes.parquet is no parquet file"),
        (lambda path: path.write_bytes(b""), "outcomes.parquet is no parquet file"),
        (lambda path: path.write_text("member,time"), "outcomes.parquet is no parquet file"),
    ],
)
def test_a_damaged_file_is_one_line_and_leaves_no_half_of_a_log(tmp_path, clean, breaks, message):
    source = written(clean, tmp_path / "source")
    breaks(source / "outcomes.parquet")
    with pytest.raises(ValueError, match=message) as raised:
        convert(source, tmp_path / "log", "pronounced")
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "log").exists()


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("member", "u{}", "member of type string; allowed is int64: Failed to parse"),
        ("time", "{}.5", "time of type string; allowed is int64"),
    ],
)
def test_a_column_of_another_type_is_one_line_with_the_reason(
    tmp_path, clean, column, values, message
):
    given = clean["outcomes"]
    texts = pa.array([values.format(value) for value in given[column].to_pylist()])
    given = given.set_column(given.schema.get_field_index(column), column, texts)
    source = written(clean | {"outcomes": given}, tmp_path / "source")
    with pytest.raises(ValueError, match=message):
        convert(source, tmp_path / "log", "pronounced")


def test_a_column_that_is_there_twice_is_refused(tmp_path, clean):
    given = clean["outcomes"]
    given = pa.Table.from_arrays([*given.columns, given["time"]], [*given.column_names, "time"])
    source = written(clean | {"outcomes": given}, tmp_path / "source")
    with pytest.raises(ValueError, match=r"outcomes\.parquet has the columns time more than once"):
        convert(source, tmp_path / "log", "pronounced")


def zoned(values, offset=0):
    """Times as moments, with a zone."""
    moments = [None if t is None else t + MONDAY - offset for t in values.to_pylist()]
    return pa.array(moments, pa.timestamp("s", tz="Europe/Berlin"))


@pytest.mark.parametrize(
    ("start", "offset"), [("2026-01-05", 0), ("2026-01-05T00:00:00+01:00", 3600)]
)
def test_moments_with_a_zone_are_counted_from_a_monday_of_any_zone(tmp_path, clean, start, offset):
    tables, w = dict(clean), logged_world("eventful")
    for name, columns in (("decisions", ["time"]), ("outcomes", ["time", "decided_at"])):
        for column in columns:
            where = tables[name].schema.get_field_index(column)
            times = zoned(tables[name][column], offset)
            tables[name] = tables[name].set_column(where, column, times)
    (tmp_path / "mapping.yaml").write_text(f"start: {start}")
    source = written(tables, tmp_path / "source")
    convert(source, tmp_path / "log", w, read_mapping(tmp_path / "mapping.yaml"))
    log = read(tmp_path / "log", w)
    assert check(log).findings == ()
    assert weekly_table(log).sends.sum() == (clean["decisions"]["action"].to_numpy() > 0).sum()


def test_a_part_of_few_members_has_a_file_of_each_table(tmp_path, clean, monkeypatch):
    monkeypatch.setattr("slowfast_rl.logs.conversion.PART_ROWS", 100)
    w = logged_world("eventful")
    one = clean | {"plans": clean["plans"].slice(0, 3)}
    convert(written(one, tmp_path / "source"), tmp_path / "log", w)
    log = read(tmp_path / "log", w)
    assert len(log.part_names) > 3
    report = check(log)
    assert report.rows == {name: table.num_rows for name, table in one.items()}
    assert any("no plan in that week" in error.what for error in report.errors)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("decisions: {names: {channel: [a]}}", "decisions.names.channel is"),
        ("decisions: {names: {action: {send: 1}}}", "unknown key 'action'"),
        ("decisions: {columns: {member: 5}}", "decisions.columns.member is 5; a text is needed"),
        ("decisions: {files: ''}", "decisions.files is ''; a text is needed"),
        ("launches: {columns: {days: day}}", "unknown key 'days'"),
        ("launches: {names: {}}", "unknown key 'names'"),
        ("start: 2026-01-05T01:00:00", "allowed is a Monday"),
    ],
)
def test_a_wrong_mapping_is_one_line(tmp_path, text, message):
    (tmp_path / "mapping.yaml").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_mapping(tmp_path / "mapping.yaml")


def test_names_that_are_numbers_are_translated(tmp_path):
    (tmp_path / "mapping.yaml").write_text("decisions: {names: {channel: {1: push, 2: email}}}")
    mapping = read_mapping(tmp_path / "mapping.yaml")
    assert mapping.names["decisions"]["channel"] == {"1": "push", "2": "email"}


@pytest.mark.parametrize("pattern", ["/elsewhere/*.parquet", "**x/*.parquet"])
def test_files_outside_the_folder_are_one_line(tmp_path, clean, pattern):
    source = written(clean, tmp_path / "source")
    with pytest.raises(ValueError, match=r"decisions\.files is .*; allowed is a path or pattern"):
        convert(source, tmp_path / "log", "pronounced", LogMapping({"decisions": pattern}))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"day": [0, 99], "topic": [0, 1], "launches": [1, 1]}, "day 99 in row 1"),
        ({"day": [0, 1], "topic": [0, -1], "launches": [1, 1]}, "topic -1 in row 1"),
        ({"day": [0, 1], "topic": [0, 1], "launches": [0.5, 1]}, r"launches 0\.5 in row 0"),
        ({"day": [0, 1], "topic": [0, 1], "launches": [1, None]}, "launches nan in row 1"),
        ({"day": ["a", "b"], "topic": [0, 1], "launches": [1, 1]}, "day of type"),
        ({"day": [0, 1], "topic": [0, 1]}, "lacks the columns launches"),
    ],
)
def test_launches_that_are_not_whole_numbers_of_the_log_are_one_line(tmp_path, columns, message):
    pq.write_table(pa.table(columns), tmp_path / "launches.parquet")
    with pytest.raises(ValueError, match=message):
        read_launches(tmp_path / "launches.parquet", 21, 4)


def test_launches_of_one_day_and_topic_add_up(tmp_path):
    columns = {"d": [2, 2, 0], "topic": [1, 1, 3], "launches": [1, 2, 5]}
    pq.write_table(pa.table(columns), tmp_path / "launches.parquet")
    counts = read_launches(tmp_path / "launches.parquet", 3, 4, {"day": "d"})
    assert counts[2, 1] == 3
    assert counts[0, 3] == 5
    assert counts.sum() == 8
