import re
from pathlib import Path

import gymnasium
import pytest

import slowfast_rl as sf

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.parametrize("name", sf.__all__)
def test_every_exported_name_exists(name):
    assert getattr(sf, name) is not None


@pytest.mark.parametrize(
    "path",
    [
        "load_world", "Population", "InMemoryFeatureStore", "SlowFastAgent", "slow.PPOPlanner",
        "slow.FixedPlanner", "fast.PacedExecutor", "fast.AffinityRanker", "fast.ExactPacer",
        "compare",
        "PlanSource", "EvaluationProtocol", "SinglePolicyAgent", "Settings", "setting",
        "register", "slow.BasePlanner", "fast.BaseRanker", "fast.BasePacer",
        "fast.BaseExecutor", "branch",
    ],
)  # fmt: skip
def test_names_of_the_contract_are_reachable_from_the_package(path):
    value = sf
    for part in path.split("."):
        value = getattr(value, part)
    assert callable(value)


def test_importing_the_package_registers_both_environments():
    for name in ("Messaging", "Pacing"):
        spec = gymnasium.spec(f"slowfast_rl/{name}-v0")
        assert spec.vector_entry_point is not None


@pytest.mark.parametrize("world", ["pronounced", "calibrated"])
def test_references_of_the_default_cases_come_with_the_package(world):
    references = sf.evaluation.load_references(sf.load_world(world), sf.EvaluationProtocol())
    assert references is not None
    assert len(references.oracle_plans) == sf.EvaluationProtocol().num_members


def test_committed_references_are_what_the_world_gives_today():
    world, members = sf.load_world("pronounced"), 16
    references = sf.evaluation.load_references(world, sf.EvaluationProtocol())
    twins = sf.evaluation.Twins(world, sf.EvaluationProtocol(num_members=members))
    for planner, returns in (
        (sf.slow.FixedPlanner(world, references.best_fixed_plan), references.best_fixed),
        (sf.slow.PerMemberPlanner(world, references.oracle_plans[:members]), references.oracle),
    ):
        lived = twins.rollout(planner).returns
        assert abs(lived - returns[:members]).max() < 1e-4


def test_the_readmes_numbers_of_the_calibrated_world_are_those_of_the_study():
    typed = re.sub(
        r"<!-- (\w+) -->.*<!-- /\1 -->", "", (ROOT / "README.md").read_text(), flags=re.S
    )
    stated = re.findall(r"\d+\.\d+ / \d+\.\d+ / \d+\.\d+", typed)  # tables are generated
    assert stated
    study = (ROOT / "experiments" / "world_checks" / "README.md").read_text()
    assert all(numbers in study for numbers in stated)


def test_the_package_shows_no_names_that_only_its_types_need():
    assert not {"Any", "TYPE_CHECKING", "typing"} & set(vars(sf))
