"""What is wrong with a class of a user's own is said before it is used."""

import json
import sys
from dataclasses import dataclass

import numpy as np
import pytest

from slowfast_rl.fast import AffinityRanker, CoinPacer, ExactPacer, PacedExecutor
from slowfast_rl.policies import component
from slowfast_rl.policies.component import (
    check_class,
    check_savable,
    find_class,
    from_node,
    import_class,
    import_path,
    register,
    registered,
    to_node,
)
from slowfast_rl.policies.contracts import BaseExecutor, BasePacer, BasePlanner, BaseRanker
from slowfast_rl.policies.settings import Settings
from slowfast_rl.slow import RolloutPlanner
from tests.members.worlds import world


class NoName(BasePlanner):
    def plan(self, request):
        return request.entity_ids


class NoPlan(BasePlanner):
    name = "no_plan"


class NoScore(BaseRanker):
    name = "no_score"


class NoPace(BasePacer):
    name = "no_pace"


class NoAct(BaseExecutor):
    name = "no_act"


class NeedsMore(NoName):
    name = "needs_more"

    def learn(self, world, teacher):
        return self


class StateAlone(NoName):
    name = "state_alone"

    def state(self):
        return {"a": 1}


class NoDataclass(NoName):
    name = "no_dataclass"

    class Settings(Settings):
        a: int = 3


@dataclass(frozen=True, kw_only=True)
class Bare(Settings):
    a: int = 3


class BareSettings(NoName):
    name = "bare"
    Settings = Bare


class NoSettings(NoName):
    name = "no_settings"
    Settings = dict


class Taken(NoName):
    name = "rollouts"


@pytest.mark.parametrize(
    ("cls", "kind", "message"),
    [
        (NoName, "planner", 'NoName has no name; give the class one, as in name = "mine"'),
        (NoPlan, "planner", "NoPlan lacks plan; define it"),
        (NoScore, "ranker", "NoScore lacks score or function; define it"),
        (NoPace, "pacer", "NoPace lacks pace or function; define it"),
        (NoAct, "executor", "NoAct lacks act or run_week; define it"),
        (NeedsMore, "planner", "NeedsMore.learn needs 'teacher', which the agent does not give"),
        (StateAlone, "planner", "StateAlone defines state and lacks from_state; define both"),
        (NoDataclass, "planner", "NoDataclass.Settings is no dataclass; decorate it"),
        (BareSettings, "planner", r"has \['a'\] without a text; declare fields with setting"),
        (NoSettings, "planner", "NoSettings.Settings is .*; allowed is a subclass of Settings"),
        (ExactPacer, "planner", "ExactPacer is no planner but a pacer; derive it from BasePlanner"),
        (dict, "ranker", "dict is not a ranker: derive it from BaseRanker"),
        (3, "ranker", "3 is not a ranker: derive it from BaseRanker"),
    ],
)
def test_a_class_that_is_not_complete_is_refused_in_one_line(cls, kind, message):
    with pytest.raises(ValueError, match=message) as raised:
        check_class(cls, kind)
    assert "\n" not in str(raised.value)


def test_a_name_is_registered_once():
    with pytest.raises(ValueError, match="'rollouts' is registered for slowfast_rl"):
        register(Taken)
    assert register(RolloutPlanner) is RolloutPlanner


def test_a_class_is_found_by_its_name_or_by_a_path_that_is_allowed():
    assert find_class("planner", "rollouts") is RolloutPlanner
    path = f"{NoPlan.__module__}.NoPlan"
    with pytest.raises(ValueError, match="is not allowed"):
        find_class("planner", path)
    with pytest.raises(ValueError, match="NoPlan lacks plan"):
        find_class("planner", path, allow=[NoPlan])


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("nowhere.Planner", "No module named 'nowhere'"),
        ("slowfast_rl.slow.Nothing", "has no attribute 'Nothing'"),
        ("Planner", "allowed is the import path of a class"),
    ],
)
def test_a_path_that_leads_nowhere_is_refused_with_the_reason(path, message):
    with pytest.raises(ValueError, match=message) as raised:
        import_class(path, "slow._target_")
    assert "\n" not in str(raised.value)


@pytest.fixture
def registry(monkeypatch):
    """The registry, put back afterwards."""
    monkeypatch.setattr(component, "_REGISTERED", dict(component._REGISTERED))


class Mine(NoName):
    name = "mine"


def test_a_registered_class_is_found_by_name_and_path_without_being_allowed(registry):
    path = import_path(Mine)
    for name in ("mine", path):
        with pytest.raises(ValueError, match=f"planner {name!r} is not allowed; allowed: .*ppo"):
            find_class("planner", name)
    assert register(Mine) is Mine
    assert registered("planner")["mine"] is Mine
    assert "mine" not in registered("ranker")
    assert find_class("planner", "mine") is find_class("planner", path) is Mine
    node = to_node(Mine(), "slow", {})
    assert node == {"class": "mine", "settings": {}, "state": {}, "policy_version": 0}
    assert type(from_node(node, "planner", world("pronounced"), "slow", {})) is Mine
    with pytest.raises(ValueError, match="ranker 'mine' is not allowed"):
        find_class("ranker", "mine")


def test_a_class_that_is_not_complete_cannot_be_registered(registry):
    with pytest.raises(ValueError, match="NoPlan lacks plan"):
        register(NoPlan)
    assert "no_plan" not in registered("planner")


def node_of(part, **changes):
    arrays = {}
    return json.loads(json.dumps(to_node(part, "part", arrays))) | changes


def test_a_class_that_a_file_names_is_refused_without_importing_it(tmp_path, monkeypatch):
    (tmp_path / "strangers.py").write_text("raise SystemExit('this ran')")
    monkeypatch.syspath_prepend(tmp_path)
    ranker = node_of(AffinityRanker(), **{"class": "strangers.Ranker"})
    for node, kind in (
        (ranker, "ranker"),
        (node_of(PacedExecutor()) | {"parts": {"pacer": node_of(ExactPacer()), "ranker": ranker}},
         "executor"),
    ):  # fmt: skip
        for allow in ([], ["strangers.Other"], [Mine, "tests.policies.test_component.Mine"]):
            with pytest.raises(ValueError, match=r"'strangers.Ranker' is not allowed") as raised:
                from_node(node, kind, world("pronounced"), "part", {}, allow)
            assert "\n" not in str(raised.value)
    assert "strangers" not in sys.modules
    with pytest.raises(ValueError, match="this ran"):  # so it would have been noticed
        from_node(ranker, "ranker", world("pronounced"), "part", {}, ["strangers.Ranker"])


AFFINITY = node_of(AffinityRanker())


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (None, "ranker is 'None'; needed: class, settings and state"),
        ([], r"ranker is '\[\]'; needed"),
        ({"class": "affinity"}, "needed: class, settings and state"),
        (AFFINITY | {"code": "x"}, "needed: class, settings and state"),
        (AFFINITY | {"class": 3}, "ranker has class 3; a name is needed"),
        (AFFINITY | {"class": "exact"}, "ranker 'exact' is not allowed; allowed: affinity"),
        (AFFINITY | {"settings": []}, r"settings of ranker are \[\]; a mapping is needed"),
        (AFFINITY | {"state": None}, "state of ranker are None; a mapping is needed"),
        (AFFINITY | {"settings": {}}, r"ranker settings are \[\]; allowed: \['num_members'"),
        (
            AFFINITY | {"settings": AFFINITY["settings"] | {"colour": 1}},
            r"ranker settings are \['colour', .*; allowed: \['num_members', 'weeks'\]",
        ),
        (
            AFFINITY | {"settings": AFFINITY["settings"] | {"weeks": 2.5}},
            r"weeks is 2\.5; allowed is a whole number from 1 to",
        ),
        (AFFINITY | {"parts": {"ranker": None}}, "has parts .*; allowed: none"),
    ],
)
def test_a_node_that_is_not_allowed_is_refused_in_one_line(node, message):
    with pytest.raises(ValueError, match=message) as raised:
        from_node(node, "ranker", world("pronounced"), "part", {})
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("version", [None, -1, True, 1.5, "3"])
def test_a_policy_version_is_a_whole_number_from_0(version):
    planner = RolloutPlanner(beliefs=False).prepare(world("pronounced"))
    planner.policy_version = 5
    node = node_of(planner)
    again = from_node(node, "planner", world("pronounced"), "part", {})
    assert again.policy_version == 5
    with pytest.raises(ValueError, match=r"policy_version is .*; allowed is a whole number from 0"):
        from_node(node | {"policy_version": version}, "planner", world("pronounced"), "part", {})


def test_settings_of_a_node_are_given_other_values_where_the_class_has_them():
    node = node_of(PacedExecutor(CoinPacer(), AffinityRanker()))
    again = from_node(node, "executor", world("pronounced"), "part", {}, weeks=3, device="cuda")
    assert again.ranker.settings == AffinityRanker.Settings(weeks=3)
    assert type(again.pacer) is CoinPacer


class Weighing(BaseRanker):
    name = "weighing"

    @staticmethod
    def score(opportunity, topic, quality, launch, log, weights):
        return weights[0] * quality


@pytest.mark.parametrize(
    "weights",
    [[1.0], np.zeros((2, 2), np.float32), np.zeros(2), np.array([np.nan], np.float32)],
    ids=["a list", "two dimensions", "float64", "nan"],
)
def test_weights_of_own_rankers_are_a_finite_vector(weights):
    ranker = Weighing()
    ranker.weights = np.array([2.0], np.float32)
    arrays = {}
    node = to_node(ranker, "part", arrays)
    assert node["class"] == "tests.policies.test_component.Weighing"
    again = from_node(node, "ranker", world("pronounced"), "part", arrays, [Weighing])
    assert again.weights.tolist() == [2.0]
    state = node | ({"state": {"weights": weights}} if isinstance(weights, list) else {})
    arrays = {} if isinstance(weights, list) else {"part.weights": weights}
    with pytest.raises(ValueError, match=r"weighing has state .*; allowed: weights, finite float"):
        from_node(state, "ranker", world("pronounced"), "part", arrays, [Weighing])


def test_a_class_of_a_script_cannot_be_saved():
    script = type("Script", (Mine,), {"__module__": "__main__"})
    with pytest.raises(ValueError, match=r"Script is defined in __main__\.Script, where") as raised:
        check_savable(script())
    assert "\n" not in str(raised.value)
    check_savable(Mine())
