"""Sweeps: what a sweeper is given and gets back, and the table over the jobs."""

import json
import sys
from importlib.util import find_spec
from types import SimpleNamespace

import pytest
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from numpy.testing import assert_array_equal

from slowfast_rl.agents import SlowFastAgent
from slowfast_rl.cli import bench
from tests.cli.calls import TINY, TINY_COMPARISON, call
from tests.cli.test_installed import run


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


class Probe(Sweeper):
    """Runs one job with 4000 for every interval, and keeps what it was given and got back."""

    def setup(self, *, hydra_context, task_function, config):
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments):
        Probe.given = arguments
        job = [a.partition("=")[0] + "=4000" if "interval" in a else a for a in arguments]
        (done,) = self.launcher.launch([job], 0)
        Probe.returned = done.return_value


@pytest.fixture
def probe(tmp_path, monkeypatch):
    """The arguments that choose the sweeper above."""
    plugins = Plugins.instance()  # which looks into the real hydra_plugins when it is made
    module = SimpleNamespace(Probe=Probe, __name__="hydra_plugins.probe")
    monkeypatch.setattr(Probe, "__module__", module.__name__)  # plugins have to be there
    monkeypatch.setitem(sys.modules, "hydra_plugins", SimpleNamespace(probe=module))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    plugins.register(Probe)
    (tmp_path / "own" / "hydra" / "sweeper").mkdir(parents=True)
    file = tmp_path / "own" / "hydra" / "sweeper" / "probe.yaml"
    file.write_text(f"_target_: {Probe.__module__}.Probe\n")
    return ["-m", "--config-dir", "own", "hydra/sweeper=probe"]


def row_of(folder, command):
    (path,) = folder.glob(f"runs/{command}-sweep/*/0/leaderboard.json")
    return json.loads(path.read_text())["agents"][0]


def sweep_of(folder, command):
    (sweep,) = (folder / "runs" / f"{command}-sweep").iterdir()
    return sweep, json.loads((sweep / "sweep.json").read_text())["jobs"]


def test_a_sweeper_reads_its_own_syntax_and_is_given_the_return_of_training(
    probe, capsys, tmp_path
):
    tiny = [a for a in TINY if not a.startswith("total_opportunities")]
    swept = "total_opportunities=interval(4000, 5000)"
    result = call(capsys, "train", *probe, *tiny, swept)
    assert result.code == 0, result.err
    assert swept in Probe.given
    assert Probe.returned == row_of(tmp_path, "train")["return"]


def test_a_comparison_returns_the_return_of_its_first_agent(probe, capsys, tmp_path):
    result = call(capsys, "compare", *probe, "agents=[always,never]", *TINY_COMPARISON)
    assert result.code == 0, result.err
    row = row_of(tmp_path, "compare")
    assert row["name"] == "always"
    assert Probe.returned == row["return"]


def test_a_sweep_ends_with_one_table_over_its_jobs(capsys, tmp_path):
    arguments = ["-m", "agents=[always],[never]", "luck_seed=5,6", *TINY_COMPARISON]
    result = call(capsys, "compare", *arguments)
    assert result.code == 0, result.err
    sweep, jobs = sweep_of(tmp_path, "compare")
    assert [job["agent"] for job in jobs] == ["always", "always", "never", "never"]
    for job in jobs:
        board = json.loads((sweep / str(job["job"]) / "leaderboard.json").read_text())
        assert job["return"] == board["agents"][0]["return"]
        assert job["return_ci95"] == board["agents"][0]["return_ci95"]
        assert {"num_members=24", f"luck_seed={board['luck_seed']}"} <= set(job["overrides"])
        assert job["gap_closed"] is None
    table = (sweep / "sweep.md").read_text()
    assert table in result.out
    head, rule, *lines = table.splitlines()
    assert [cell.strip() for cell in head.split("|")[1:-1]] == [
        "job", "overrides", "agent", "return", "gap closed",
    ]  # fmt: skip
    assert len({len(line) for line in [head, rule, *lines]}) == 1
    assert "| agents=[always] luck_seed=5 | always" in lines[0]
    assert "num_members" not in table  # what all jobs share is no column
    low, high = jobs[0]["return_ci95"]
    assert f"| {jobs[0]['return']:.2f} [{low:.2f}, {high:.2f}]" in lines[0]
    assert {path.name for path in sweep.iterdir()} == {
        "0", "1", "2", "3", "multirun.yaml", "sweep.json", "sweep.md",
    }  # fmt: skip


def test_every_job_that_fails_is_told_with_its_overrides_and_the_others_stand(
    capsys, tmp_path, monkeypatch
):
    def work(self, folder):
        if self.settings.seed == 2:
            raise ValueError("this seed fails")
        if self.settings.seed == 3:
            raise KeyError("a fault of the program")
        (folder / "bench.json").write_text("[]")

    monkeypatch.setattr(bench.Bench, "run", work)
    result = call(capsys, "bench", "-m", "seed=1,2,3,4", "repeats=1")
    assert result.code == 1
    assert "error: job 1 (seed=2 repeats=1): this seed fails\n" in result.err
    assert "error: job 2 (seed=3 repeats=1): 'a fault of the program'\n" in result.err
    assert 'raise KeyError("a fault of the program")' in result.err
    sweep, jobs = sweep_of(tmp_path, "bench")
    assert [job["error"] for job in jobs] == [
        None, "this seed fails", "'a fault of the program'", None,
    ]  # fmt: skip
    assert [(sweep / str(n) / "bench.json").exists() for n in range(4)] == [
        True,
        False,
        False,
        True,
    ]
    lines = (sweep / "sweep.md").read_text().splitlines()[2:]
    assert ["failed" in line for line in lines] == [False, True, True, False]


def test_an_interrupted_sweep_has_a_table_of_the_jobs_that_ended(capsys, tmp_path, monkeypatch):
    def work(self, folder):
        if self.settings.seed == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(bench.Bench, "run", work)
    result = call(capsys, "bench", "-m", "seed=1,2,3")
    assert result.code == 130
    assert [line for line in result.out.splitlines() if "seed=1" in line]
    (sweep,) = (tmp_path / "runs" / "bench-sweep").iterdir()
    assert not (sweep / "sweep.json").exists()  # which means that the sweep ended


def test_a_sweep_folder_may_have_any_name(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(bench.Bench, "run", lambda self, folder: None)
    result = call(capsys, "bench", "-m", "seed=1,2", "hydra.sweep.dir='bob\\'s, sweeps'")
    assert result.code == 0, result.err
    assert (tmp_path / "bob's, sweeps" / "sweep.md").exists()


def test_a_mode_given_as_an_override_sweeps_too(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(bench.Bench, "run", lambda self, folder: None)
    assert call(capsys, "bench", "hydra.mode=MULTIRUN", "seed=1,2").code == 0
    assert len(sweep_of(tmp_path, "bench")[1]) == 2


def test_optuna_maximises_the_return_of_a_command(tmp_path):
    pytest.importorskip("hydra_plugins.hydra_optuna_sweeper", reason="the extra sweep")
    arguments = [
        "-m", "hydra/sweeper=optuna", "hydra.sweeper.n_trials=6", "hydra.sweeper.n_jobs=2",
        "hydra.sweeper.sampler.seed=1", "agents=[never]", *TINY_COMPARISON,
        "world.organic.habit_weight=interval(1.0, 3.0)",
    ]  # fmt: skip
    done = run(tmp_path, "slowfast_rl.cli.compare", *arguments)
    assert done.returncode == 0, done.stderr
    sweep, jobs = sweep_of(tmp_path, "compare")
    assert len(jobs) == 6
    best = (sweep / "optimization_results.yaml").read_text()
    assert f"best_value: {max(job['return'] for job in jobs)}" in best


LAUNCHERS = [
    pytest.param("joblib", ["hydra.launcher.n_jobs=2"], marks=pytest.mark.ray),
    pytest.param(
        "ray",
        ["+hydra.launcher.ray.init.num_cpus=2", "+hydra.launcher.ray.init.include_dashboard=false"],
        marks=pytest.mark.ray,
    ),
]


@pytest.mark.parametrize(("launcher", "settings"), LAUNCHERS)
def test_jobs_of_a_sweep_that_run_side_by_side_end_as_those_one_after_another(
    launcher, settings, capsys, tmp_path
):
    extra = {"joblib": "sweep", "ray": "ray"}[launcher]
    pytest.importorskip(f"hydra_plugins.hydra_{launcher}_launcher", reason=f"the extra {extra}")
    given = ["-m", "seed=1,2,3", *TINY]
    beside = [f"hydra/launcher={launcher}", *settings, "hydra.sweep.dir=beside"]
    done = run(tmp_path, "slowfast_rl.cli.train", *given, *beside)
    assert done.returncode == 0, done.stderr
    assert call(capsys, "train", *given, "hydra.sweep.dir=after").code == 0
    found, expected = (
        json.loads((tmp_path / name / "sweep.json").read_text())["jobs"]
        for name in ("beside", "after")
    )
    assert len(expected) == 3
    assert found == expected
    for job in range(3):
        weights = [f"{name}/{job}/checkpoints/final.zip" for name in ("beside", "after")]
        found, expected = (SlowFastAgent.load(tmp_path / path).slow.state() for path in weights)
        for name, array in expected.items():
            assert_array_equal(found[name], array)


def test_a_launcher_that_is_not_installed_is_told_with_its_extra(capsys):
    for launcher, extra in (("joblib", "sweep"), ("ray", "ray")):
        plugins = find_spec("hydra_plugins")  # a namespace, which is missing where no plugin is
        if plugins is None or find_spec(f"hydra_plugins.hydra_{launcher}_launcher") is None:
            result = call(capsys, "compare", "-m", f"hydra/launcher={launcher}", "seed=1,2")
            assert result.code == 2
            assert f"pip install 'slowfast_rl[{extra}]' brings it" in result.err


def test_a_sweep_that_ended_is_not_overwritten(capsys, tmp_path):
    arguments = ["-m", "agents=[always],[never]", *TINY_COMPARISON, "hydra.sweep.dir=swept"]
    assert call(capsys, "compare", *arguments).code == 0
    before = (tmp_path / "swept" / "sweep.md").read_text()
    result = call(capsys, "compare", *arguments)
    assert result.code == 2
    assert "swept holds a sweep; allowed is another hydra.sweep.dir" in result.err
    assert (tmp_path / "swept" / "sweep.md").read_text() == before
