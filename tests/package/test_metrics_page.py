"""docs/metrics.md defines what a short training and a comparison write, and nothing else."""

import csv
import json
import re
from contextlib import chdir, redirect_stderr, redirect_stdout
from io import StringIO

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import slowfast_rl as sf
from slowfast_rl.cli.serve import summary
from slowfast_rl.evaluation.protocol import SEGMENTS
from slowfast_rl.services.simulation import SimulationService
from tests.cli.calls import TINY, run_command
from tests.pages import ROOT

PAGE = (ROOT / "docs" / "metrics.md").read_text()
CHANNELS = sf.load_world("pronounced").channels
BOTH_LEVELS = (  # by Stable-Baselines3
    "slow=ppo", "fast=ppo", "total_opportunities=6000", "evaluation.every_opportunities=2000",
    "slow.num_envs=16", "slow.n_steps=4", "slow.weeks=4", "slow.batch_size=64", "slow.hidden=8",
    "fast.num_envs=8", "fast.n_steps=42", "fast.weeks=2", "fast.batch_size=64", "fast.hidden=8",
    "fast.ranker.num_members=64", "fast.ranker.weeks=4",
    "fast.pacer.num_members=16", "fast.pacer.weeks=10",
)  # fmt: skip
ROLLOUTS = (
    "slow=rollouts", "fast=quality", "slow.states=16", "slow.branches=2", "slow.hold=1",
    "slow.horizon=2", "slow.ages=4", "slow.weeks_between=1", "slow.ensemble=1", "slow.acting=1",
    "slow.hidden=8", "slow.epochs=1", "total_opportunities=8000",
)  # fmt: skip
KEPT = "evaluation.references=references"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two tiny trainings, one of them with references, and a comparison: their folders."""
    folder = tmp_path_factory.mktemp("metrics")
    commands = {
        "kept": ("references", "workers=1", KEPT),
        "ppo": ("train", *BOTH_LEVELS),
        "rollouts": ("train", *ROLLOUTS, KEPT),
        "compared": ("compare", "checkpoints=[rollouts]", "agents=[best_fixed]", KEPT),
    }
    said = StringIO()
    with chdir(folder), redirect_stdout(said), redirect_stderr(said):
        for name, (command, *settings) in commands.items():
            reported = () if command == "references" else ("report=false",)
            arguments = (*TINY[:4], *reported, *settings, f"hydra.run.dir={name}")
            assert run_command(command, *arguments) == 0, said.getvalue()
    return [folder / name for name in ("ppo", "rollouts", "compared")]


def names_of(section: str, remark: str = "") -> set[str]:
    """The names that the tables of a section define, in rows that contain a remark."""
    text = re.split(rf"^## {re.escape(section)}\n", PAGE, flags=re.MULTILINE)[1]
    rows = re.findall(r"^\| (`.*?) (\|.*)$", text.partition("\n## ")[0], re.MULTILINE)
    return {
        name for first, rest in rows if remark in rest for name in re.findall(r"`([^`]+)`", first)
    }


def general(tag: str) -> str:
    """A tag with placeholders for channels, segments and the level of Stable-Baselines3's tags."""
    tag = re.sub(rf"_({'|'.join(CHANNELS)})$", "_<channel>", tag)
    tag = re.sub(r"lead_over_(best_fixed|never)", "lead_over_<baseline>", tag)
    tag = re.sub(rf"^segment/({'|'.join(SEGMENTS)})/", "segment/<segment>/", tag)
    return re.sub(r"^(slow|fast)/(rollout|time|train)/", r"<level>/\2/", tag)


def test_the_page_defines_every_name_of_a_leaderboard(runs):
    boards = [json.loads((run / "leaderboard.json").read_text()) for run in runs]
    rows = [row for board in boards for row in board["agents"]]
    parts = [part for row in rows for part in row["by_segment"].values()]
    written = {name for tree in [*boards, *rows, *parts] for name in tree}
    of_groups = {
        "iqm", "iqm_ci95", "iqm_ci95_of_seeds", "std_of_seeds", "probability_of_improvement",
        "iqm_lead", "iqm_lead_ci95", "repeats",
    }  # fmt: skip
    assert written == names_of("leaderboard.json") - of_groups - {"agents"} | {"agents"}
    assert all(part.keys() <= rows[0].keys() for part in parts)


def test_the_page_defines_every_tag_of_tensorboard_and_every_column_of_the_table(runs):
    curves, training = names_of("Curves over the simulated weeks"), names_of("Training")
    evaluation = names_of("Evaluation during training")
    tags, columns = set(), set()
    for run in runs:
        for agent in (run / "tensorboard").iterdir():
            tags |= set(EventAccumulator(str(agent)).Reload().Tags()["scalars"])
        if (run / "metrics.csv").exists():
            columns |= set(next(csv.reader((run / "metrics.csv").read_text().splitlines())))
    only_in_table = names_of("Training", "only in `metrics.csv`")
    final = {name for name in curves if name.startswith("final/")}
    unseen = {"final/gap_closed"}  # so few members show no gap
    assert set(map(general, tags)) == (curves | evaluation | training) - only_in_table - unseen
    assert set(map(general, columns)) == ({"step"} | evaluation | training | final) - unseen


def test_the_page_defines_every_number_of_the_summary_of_serving():
    population = sf.Population(sf.load_world("pronounced"), num_members=4)
    executor = sf.fast.PacedExecutor()
    service = SimulationService(population, executor, sf.InMemoryFeatureStore())
    assert set(summary(service)) == names_of("serve.json")
