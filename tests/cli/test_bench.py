import json
from contextlib import ExitStack

import pytest

from slowfast_rl.benchmarks.cases import Case, measure
from slowfast_rl.benchmarks.scale import scale_cases
from slowfast_rl.cli.bench import Row, cpu_name, table
from slowfast_rl.members.loading import load_world
from tests.cli.calls import call
from tests.store.redis_server import shared_server


def test_the_env_suite_writes_a_row_for_each_case_and_prints_the_ratio_to_the_peer(
    capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    result = call(capsys, "bench", "suite=env", "num_members=64", "weeks=1", "repeats=3")
    assert result.code == 0, result.err
    (path,) = tmp_path.glob("runs/bench/*/bench.json")
    rows = json.loads(path.read_text())
    for row in rows:
        assert list(row) == ["suite", "name", "members", "unit", "median", "min", "max", "cpu"]
        assert 0 < row["min"] <= row["median"] <= row["max"]
        assert row["cpu"] == cpu_name()
        assert row["name"] in result.out
    names = " ".join(row["name"] for row in rows)
    for word in (
        "(1, 1)",
        "(3, 1)",
        "(5, 2)",
        "random",
        "always",
        "Messaging",
        "Pacing",
        "CartPole",
        "NumPy",
        "random numbers and memory alone",
    ):
        assert word in names
    assert {row["unit"] for row in rows} == {"opportunities", "weeks", "steps"}
    if "gymnax" not in names:
        assert "Left out: gymnax CartPole; pip install 'slowfast_rl[bench]'" in result.err
    peer = next(line for line in result.out.splitlines() if "CartPoleVectorEnv" in line)
    assert peer.split()[-1] == "1.00"


def test_a_measurement_leaves_out_its_warm_up():
    rates = iter([1.0, 5.0, 7.0, 6.0])
    speed = measure(Case("any", 1, "steps", lambda: next(rates)), 3)
    assert speed == (6.0, 5.0, 7.0)


def test_a_repeat_that_reaches_nothing_counts_as_larger_than_all_others():
    def measured(*values):
        found = iter(values)
        return measure(Case("any", 1, "s", lambda: next(found), warm_up=0), len(values))

    assert measured(3.0, None, 2.0) == (3.0, 2.0, None)
    assert measured(3.0, None, None) == (None, 3.0, None)
    assert measured(None) == (None, None, None)


def test_the_table_shows_what_was_not_reached():
    row = Row("train", "ppo, to 0.7", 2048, "s of CPU", None, 12.5, None, "cpu")
    line = next(line for line in table([row]).splitlines() if line.startswith("ppo"))
    assert line.split()[-3:] == ["–", "12.50", "–"]


def test_the_table_compares_a_members_week_with_that_among_the_fewest():
    rows = [
        Row("population", "fused weeks", n, "µs of CPU a member-week", x, x, x, "cpu")
        for n, x in ((10_000, 0.4), (100_000, 0.5))
    ]
    first, second = (line for line in table(rows).splitlines() if line.startswith("fused"))
    assert first.split()[-1] == "1.00"
    assert second.split()[-2:] == ["1.25", "≤1.25"]


def test_the_table_tells_the_ratio_to_the_peer():
    rows = [
        Row("env", "fused weeks, plan (1, 1)", 4096, "opportunities", 6e6, 5e6, 7e6, "cpu"),
        Row("env", "Gymnasium CartPoleVectorEnv", 1024, "steps", 12e6, 11e6, 13e6, "cpu"),
    ]
    fused = next(line for line in table(rows).splitlines() if line.startswith("fused"))
    assert fused.split()[-2:] == ["0.50", "≥4.50"]


@pytest.mark.parametrize("world", ["calibrated", "two_type"])
def test_every_world_can_be_measured(world, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    call_ = call(capsys, "bench", f"world={world}", "num_members=16", "weeks=1", "repeats=1")
    assert call_.code == 0, call_.err
    assert f"world {world}" in call_.err


def test_the_serve_suite_has_first_and_later_decisions_and_redis_above_a_bare_read(
    capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    arguments = ["suite=serve", "quick=true", "num_members=32", f"redis_url={shared_server().url}"]
    result = call(capsys, "bench", *arguments)
    assert result.code == 0, result.err
    (path,) = tmp_path.glob("runs/bench/*/bench.json")
    names = [row["name"] for row in json.loads(path.read_text())]
    for store in ("in memory", "shared memory", "Redis"):
        for action in ("read", "first decision", "later decision", "later predicted action"):
            for quantile in ("p50", "p99"):
                assert f"{store}, {action}, {quantile}" in names
    assert "Redis, first decision minus raw MGET, p50" in names


def test_the_scale_suite_measures_what_a_member_costs(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("slowfast_rl.cli.bench.find_spec", lambda name: None)
    result = call(capsys, "bench", "suite=scale", "quick=true", "num_members=600")
    assert result.code == 0, result.err
    assert "Planning on Ray is left out: pip install 'slowfast_rl[ray]' brings Ray" in result.err
    (path,) = tmp_path.glob("runs/bench/*/bench.json")
    rows = json.loads(path.read_text())
    found = {(row["name"], row["unit"]): row["median"] for row in rows}
    assert {row["members"] for row in rows} == {600}
    assert found["state", "bytes a member"] < found["state and beliefs", "bytes a member"]
    for name in ("planning, this process", "simulated week"):
        assert found[name, "µs of CPU a member"] > 0
    assert found["plans in parquet", "bytes a member"] > 0


def test_the_scale_suite_measures_every_tenfold_of_members(tmp_path):
    with ExitStack() as stack:
        cases = scale_cases(load_world("pronounced"), 100_000, 0, (), None, stack)
    sizes = [case.members for case in cases if case.name == "simulated week"]
    assert sizes == [10_000, 100_000]


@pytest.mark.parametrize("suite", ["env", "serve", "population"])
def test_a_short_form_measures_once_and_few_members(suite, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("slowfast_rl.cli.bench.MOST_QUICK", 40)
    result = call(capsys, "bench", f"suite={suite}", "quick=true")
    assert result.code == 0, result.err
    (path,) = tmp_path.glob("runs/bench/*/bench.json")
    rows = json.loads(path.read_text())
    assert {row["members"] for row in rows if "CartPole" not in row["name"]} == {40}
    for row in rows:
        assert list(row) == ["suite", "name", "members", "unit", "median", "min", "max", "cpu"]
    assert all(row["min"] == row["max"] for row in rows)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["agents=[slowfast]"], "agents are allowed with train"),
        (["suite=train", "agents=[slowfats]"], "agents has 'slowfats'; allowed: "),
    ],
)
def test_agents_are_checked_at_once(arguments, told, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = call(capsys, "bench", *arguments)
    assert result.code != 0
    assert told in result.err


@pytest.mark.long
def test_the_train_suites_short_form_trains_and_evaluates(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = call(capsys, "bench", "suite=train", "quick=true")
    assert result.code == 0, result.err
    (path,) = tmp_path.glob("runs/bench/*/bench.json")
    rows = json.loads(path.read_text())
    for row in rows:
        assert list(row) == ["suite", "name", "members", "unit", "median", "min", "max", "cpu"]
        assert row["name"].startswith("slowfast, ")
    assert {row["unit"] for row in rows} == {
        "s of CPU", "s", "opportunities of training", "gap closed"
    }  # fmt: skip
    assert -1 < rows[-1]["median"] < 1
