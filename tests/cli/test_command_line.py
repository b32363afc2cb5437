"""The command line is read by hydra alone, and means what it means to hydra."""

import json
import shlex

import pytest

from slowfast_rl.cli import bench, settings, train
from slowfast_rl.evaluation import compute_references
from slowfast_rl.members.loading import config_folder
from tests.cli.calls import TINY, TINY_COMPARISON, call


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def jobs(monkeypatch):
    """The settings of the jobs that ran, which do nothing."""
    ran = []
    monkeypatch.setattr(bench.Bench, "run", lambda self, folder: ran.append(self.settings))
    return ran


def own_world(folder, name, text):
    (folder / "world").mkdir(parents=True, exist_ok=True)
    (folder / "world" / f"{name}.yaml").write_text(text)


def test_the_help_lists_the_options_of_the_users_own_folder(capsys, tmp_path):
    own_world(tmp_path / "mine", "quiet", "base: calibrated\n")
    result = call(capsys, "train", "--help", "--config-dir", "mine")
    assert (result.code, result.err) == (0, "")
    (worlds,) = [line for line in result.out.splitlines() if line.startswith("  world  ")]
    assert worlds.split()[1] == "pronounced,"
    assert "quiet" in result.out


def test_the_help_shows_the_settings_of_the_planner_that_is_chosen(capsys):
    result = call(capsys, "train", "experiment=ppo", "--help")
    assert "Settings of slow=ppo" in result.out
    assert "num_envs=" in result.out
    assert "Settings of slow=rollouts" not in result.out


def test_the_help_offers_no_node_of_settings(capsys):
    assert "_settings" not in call(capsys, "train", "--help").out


@pytest.mark.parametrize("arguments", [["seed=1", "--info"], ["--info", "defaults", "seed=1"]])
def test_hydras_information_is_shown_wherever_the_flag_stands(arguments, capsys, tmp_path):
    result = call(capsys, "train", *arguments)
    assert result.code == 0
    assert "Defaults List" in result.out
    assert "usage:" not in result.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["bob's configs", 'a "quoted" one', "back\\slash, comma"])
def test_a_config_dir_may_have_any_name(name, jobs, capsys, tmp_path):
    own_world(tmp_path / name, "quiet", "base: calibrated\n")
    result = call(capsys, "bench", "--config-dir", name, "world=quiet")
    assert result.code == 0, result.err
    assert jobs[0].world_name == "quiet"


def test_a_sweep_over_all_options_of_a_group_has_a_job_for_each(jobs, capsys):
    result = call(capsys, "bench", "-m", "world=glob(*)")
    assert result.code == 0, result.err
    worlds = {path.stem for path in (config_folder() / "world").glob("*.yaml")}
    assert {job.world_name for job in jobs} == worlds


def test_a_sweep_over_all_planners_has_a_job_for_each_and_none_for_a_node_of_settings(
    capsys, monkeypatch
):
    ran = []
    monkeypatch.setattr(train.Train, "run", lambda self, folder: ran.append(self.agent.slow.name))
    result = call(capsys, "train", "-m", "slow=glob(*,exclude=cql)")  # which needs an extra
    assert result.code == 0, result.err
    planners = {path.stem for path in (config_folder() / "slow").glob("*.yaml")} - {"cql"}
    assert sorted(ran) == sorted(planners)


def test_a_sweep_over_experiments_may_set_what_only_they_have(capsys, monkeypatch):
    ran = []

    def work(self, folder):
        ran.append((self.settings.seed, self.agent.slow.settings.num_envs))

    monkeypatch.setattr(train.Train, "run", work)
    arguments = ["-m", "experiment=choice(ppo)", "slow.num_envs=64", "seed=1,2"]
    result = call(capsys, "train", *arguments)
    assert result.code == 0, result.err
    assert ran == [(1, 64), (2, 64)]
    refused = call(capsys, "train", "-m", "slow=ppo,utility", "slow.num_envs=64")
    assert "unknown setting 'slow.num_envs'" in refused.err
    assert "num_envs" not in refused.err.partition("allowed")[2]  # of the utility planner


def test_settings_in_quotes_and_mappings_reach_the_command_as_hydra_reads_them(jobs, capsys):
    result = call(
        capsys, "bench", "redis_url='redis://a=b,c'", "++weeks=3", "hydra.job.chdir=false"
    )
    assert result.code == 0, result.err
    assert (jobs[0].redis_url, jobs[0].weeks) == ("redis://a=b,c", 3)


def test_the_world_called_null_is_shown_and_swept_over_like_any_other(jobs, capsys):
    shown = call(capsys, "bench", "world=null", "--cfg", "job")
    assert (shown.code, shown.err) == (0, "")
    assert call(capsys, "bench", "-m", "world=null,costly").code == 0
    assert [job.world_name for job in jobs] == ["null", "costly"]


@pytest.mark.parametrize("where", ["world_file", "config_dir"])
def test_a_world_file_with_only_what_differs_is_told_to_name_its_base(where, capsys, tmp_path):
    own_world(tmp_path, "mine", "menu: {push: [0, 2], email: [0]}\n")
    arguments = {"world_file": ["world_file=world/mine.yaml"], "config_dir": ["--config-dir", "."]}
    result = call(capsys, "train", *arguments[where], *["world=mine"] * (where == "config_dir"))
    assert result.code == 2
    assert result.err.count("\n") == 1
    assert "world 'mine' lacks channels" in result.err
    assert "'base: pronounced'" in result.err


@pytest.mark.parametrize(
    "own", [["world=null"], ["world_file=here/my world.yaml"], ["world.opt_out.hazard.push=0.001"]]
)
def test_without_references_the_error_is_a_command_that_computes_them(own, capsys, tmp_path):
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "my world.yaml").write_text("base: calibrated\n")
    own = [f"world_file='{own[0][11:]}'"] if "file" in own[0] else own
    small = ["world_overrides={menu.push: [0, 1], menu.email: [0]}", "evaluation.references=kept"]
    arguments = [*TINY_COMPARISON, *own, *small, "agents=[best_fixed]"]
    refused = call(capsys, "compare", *arguments)
    assert refused.code == 2
    assert refused.err.count("\n") == 1
    assert "add references=compute, or first run: " in refused.err
    python, flag, module, *command = shlex.split(refused.err.rpartition("first run: ")[2])
    assert [python, flag, module] == ["python", "-m", "slowfast_rl.cli.references"]
    computed = call(capsys, "references", *command, "workers=1")
    assert computed.code == 0, computed.err
    done = call(capsys, "compare", *arguments)
    assert done.code == 0, done.err


def test_references_are_computed_where_they_are_asked_for_and_then_kept(
    capsys, tmp_path, monkeypatch
):
    computed = []

    def counted(world, protocol):
        computed.append(world.name)
        return compute_references(world, protocol, workers=1)

    monkeypatch.setattr(settings, "compute_references", counted)
    own = ("references=compute", "evaluation.references=kept")
    small = "world_overrides={menu.push: [0, 1], menu.email: [0]}"
    trained = call(capsys, "train", *TINY, small, *own)
    assert trained.code == 0, trained.err
    (board,) = tmp_path.glob("runs/train/*/leaderboard.json")
    assert {"best_fixed", "oracle"} <= {
        row["name"] for row in json.loads(board.read_text())["agents"]
    }
    compared = call(capsys, "compare", *TINY_COMPARISON, small, *own, "agents=[best_fixed,oracle]")
    assert compared.code == 0, compared.err
    assert computed == ["pronounced"]


def test_computed_references_need_a_folder_that_can_be_written(capsys):
    where = "evaluation.references=/dev/null/x"
    result = call(capsys, "compare", "references=compute", where, *TINY_COMPARISON)
    assert result.code == 2
    assert "/dev/null/x cannot be written" in result.err


def test_a_mistake_is_told_in_one_line_where_the_configuration_is_shown_too(capsys):
    result = call(capsys, "train", "slow=ppo", "slow.nope=5", "--cfg", "job")
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("error: unknown setting 'slow.nope'; allowed: num_envs")


@pytest.mark.parametrize("group", ["experiment", "fast", "slow"])
def test_null_leaves_a_group_out_as_hydras_tilde_does(group, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = call(capsys, "train", f"{group}=null", "--cfg", "job")
    assert result.code == 0, result.err
    assert f"\n{group}:" not in result.out
