"""slowfast-logs: export a log, check it, and turn it into weekly observations."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import slowfast_rl as sf
from slowfast_rl.logs.parquet import read_columns
from tests.cli.calls import call

SMALL = ("num_members=40", "weeks=3", "seed=7")


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty current directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_an_exported_log_is_checked_and_turned_into_observations(here, capsys):
    assert call(capsys, "logs", "mode=export", *SMALL, "output=log", "explore=0.3").code == 0
    done = call(capsys, "logs", "mode=check", "logs=log", "questions=[messages,plans,fit]")
    assert done.code == 0
    assert "40 members" in done.err
    assert "No errors" in done.err
    (path,) = (here / "runs" / "logs").glob("*/check.json")
    report = json.loads(path.read_text())
    assert report["findings"] == []
    assert report["members"] == 40
    assert call(capsys, "logs", "mode=weekly", "logs=log", "output=weekly").code == 0
    names = [feature.name for feature in sf.weekly_features(sf.load_world())]
    (part,) = (here / "weekly").glob("*.parquet")
    found = read_columns(part, ["entity_id", "week", *names])
    log = sf.logs.read("log")
    frame = sf.logs.weekly(log)
    assert len(frame) == len(found["week"])
    np.testing.assert_array_equal(frame[names[0]].to_numpy(), found[names[0]])


def test_a_log_with_errors_ends_with_code_1_and_names_them(here, capsys):
    call(capsys, "logs", "mode=export", *SMALL, "output=log")
    source = here / "company"
    source.mkdir()
    for table in ("decisions", "outcomes", "plans"):
        rows = pq.read_table(here / "log" / table)
        if table == "plans":
            where = rows.schema.get_field_index("propensity")
            zeros = pa.array(np.zeros(rows.num_rows))
            rows = rows.set_column(where, "propensity", zeros)
        pq.write_table(rows, source / f"{table}.parquet")
    done = call(capsys, "logs", "mode=check", "logs=company", "output=checked")
    assert done.code == 1
    assert "error: plans.propensity: 0 or below" in done.err
    assert "1 kinds of errors" in done.err


def test_a_check_of_a_log_refuses_an_output_that_it_would_not_write(here, capsys):
    call(capsys, "logs", "mode=export", *SMALL, "output=log")
    done = call(capsys, "logs", "mode=check", "logs=log", "output=copy")
    assert done.code == 2
    assert "output is 'copy', but log is a log already" in done.err.splitlines()[-1]
    assert not (here / "copy").exists()


def test_a_log_without_holds_has_the_same_weeks(here, capsys):
    call(capsys, "logs", "mode=export", *SMALL, "output=all")
    call(capsys, "logs", "mode=export", *SMALL, "output=sends", "holds=false")
    whole, few = sf.logs.read("all"), sf.logs.read("sends")
    for one, other in zip(sf.logs.weekly_table(whole), sf.logs.weekly_table(few), strict=True):
        np.testing.assert_array_equal(one, other)
    sizes = [next(log.parts()).decisions.size for log in (whole, few)]
    assert sizes[1] < sizes[0] / 3


def test_a_checkpoint_plans_and_executes_what_is_exported(here, capsys):
    world = sf.load_world()
    agent = sf.SlowFastAgent(slow=sf.slow.FixedPlanner(world, (3, 1)), fast=sf.fast.PacedExecutor())
    agent.learn(world)
    agent.save("agent.zip")
    given = ("checkpoint=agent.zip", "random_plans=0.25")
    assert call(capsys, "logs", "mode=export", *SMALL, "output=log", *given).code == 0
    table = sf.logs.weekly_table(sf.logs.read("log"))
    drawn = table.plans[table.drawn & table.opted_in.all(axis=2)]
    share = (drawn == world.plan_index((3, 1))).mean()
    expected = 0.75 + 0.25 / len(world.plans)
    assert abs(share - expected) < 4 * np.sqrt(expected * (1 - expected) / len(drawn))
    own = table.plans == world.plan_index((3, 1))
    np.testing.assert_allclose(table.propensity[own & table.opted_in.all(axis=2)], expected)


def test_a_place_for_what_is_a_log_already_is_refused(here, capsys):
    call(capsys, "logs", "mode=export", *SMALL, "output=log")
    done = call(capsys, "logs", "mode=check", "logs=log", "output=again")
    assert done.code == 2
    assert (
        "log is a log already, which a check does not write again; allowed is null"
        in done.err.splitlines()[-1]
    )


def test_a_file_that_is_not_parquet_is_one_line_and_the_same_command_works_once_it_is_mended(
    here, capsys
):
    call(capsys, "logs", "mode=export", *SMALL, "output=log")
    (here / "log" / "log.json").unlink()
    (path,) = (here / "log" / "outcomes").iterdir()
    content = path.read_bytes()
    path.write_bytes(content[:500])
    command = ("mode=check", "logs=log", "output=checked")
    done = call(capsys, "logs", *command)
    assert done.code == 2
    assert "outcomes/part-000000.parquet is no parquet file" in done.err.splitlines()[-1]
    path.write_bytes(content)
    assert call(capsys, "logs", *command).code == 0


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("mode=check",), "logs is null with mode=check; a folder is needed"),
        (("mode=check", "logs=nowhere"), "logs is 'nowhere'; allowed is a folder"),
        (("mode=weekly", "logs=."), "is no log"),
        (("mode=check", "logs=."), "has no plans.parquet"),
        (("mode=export", "logs=."), "allowed is output="),
        (("mode=export", "output=."), "allowed is a new folder"),
        (("mode=export", "random_plans=0.5"), "without a checkpoint"),
        (("mode=export", "hold_low=9", "hold_high=3"), "hold_low is 9"),
        (("mode=check", "logs=.", "mapping=none.yaml"), "mapping none.yaml cannot be read"),
        (("mode=weekly", "logs=.", "mapping=a.yaml"), "mapping is 'a.yaml' with mode=weekly"),
        (("mode=check", "logs=.", "questions=plans"), "is a list, as in questions=[plans]"),
        (("mode=chek",), "mode is 'chek'"),
        (("mode=export", "fast=coin"), "unknown group 'fast' of this command"),
    ],
)
def test_a_wrong_setting_is_one_line(here, capsys, given, message):
    done = call(capsys, "logs", *given)
    assert done.code == 2
    assert message in done.err.splitlines()[-1]


@pytest.mark.parametrize("given", ["questions=[message]", "mapping=none.yaml"])
def test_a_wrong_setting_is_found_before_anything_is_read(here, capsys, given):
    done = call(capsys, "logs", "mode=check", "logs=.", given)
    assert done.code == 2
    assert not (here / "runs").exists()


def test_observations_of_a_log_with_errors_leave_no_half_of_a_folder(here, capsys, monkeypatch):
    monkeypatch.setattr("slowfast_rl.logs.recording.SHARD", 20)
    call(capsys, "logs", "mode=export", *SMALL, "output=log")
    path = sorted((here / "log" / "plans").iterdir())[1]
    pq.write_table(pq.read_table(path).slice(0, 3), path)
    done = call(capsys, "logs", "mode=weekly", "logs=log", "output=weekly")
    assert done.code == 2
    assert "slowfast-logs mode=check names the rows" in done.err.splitlines()[-1]
    assert sorted(path.name for path in here.iterdir()) == ["log", "runs"]


def test_a_log_of_another_companys_world_is_one_line(here, capsys):
    call(capsys, "logs", "mode=export", *SMALL, "output=log")
    for mode in ("check", "weekly"):
        done = call(capsys, "logs", f"mode={mode}", "logs=log", "world=homepage")
        assert done.code == 2
        assert "the log has channels ['push', 'email']" in done.err.splitlines()[-1]
