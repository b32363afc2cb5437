"""What is wrong with a class of a user's own is said before it is used."""

import json
import sys
from dataclasses import dataclass
from importlib import import_module
from typing import Literal

import numba
import numpy as np
import pytest

import slowfast_rl as sf
from slowfast_rl.fast import AffinityRanker, CoinPacer, ExactPacer, PacedExecutor
from slowfast_rl.members.population import Population
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
from slowfast_rl.policies.settings import Settings, setting
from slowfast_rl.slow import RandomPlanner, RolloutPlanner
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


class WeekAlone(BaseExecutor):
    name = "week_alone"

    def run_week(self, population, target, cap=None, shape=0):
        return None


class LearnsAlone(NoName):
    name = "learns_alone"

    def learn(self, world):
        return self


class ExecutorLearnsAlone(BaseExecutor):
    name = "learns_alone"

    def act(self, observations, masks, coins):
        return masks[:, 0]

    def learn(self, world):
        return self


class FromStateAlone(NoName):
    name = "from_state_alone"

    @classmethod
    def from_state(cls, world, settings, state, **parts):
        return cls()


class NoWorld(NoName):
    name = "no_world"

    def learn(self, *, seed=0):
        return self


class NoWeights(BaseRanker):
    name = "no_weights"

    @staticmethod
    def score(opportunity, topic, quality, launch, log, weights):
        return quality * weights[0]

    def learn(self, world):
        self.weights = np.ones(1)
        return self


class NoParameters(BasePacer):
    name = "no_parameters"

    @staticmethod
    def pace(opportunity, plan_rows, pacing):
        return pacing[1], 1.0, 1.0

    def learn(self, world):
        self.parameters = np.ones(1)
        return self


class Direct(component.Component):
    name = "direct"


class OfNoBase(component.Component):
    kind = "planner"
    name = "of_no_base"


class ListedParts(BaseExecutor):
    name = "listed_parts"
    parts = ("pacer", "ranker")

    def act(self, observations, masks, coins):
        return masks[:, 0]


@dataclass(frozen=True, kw_only=True)
class Tuples(Settings):
    sizes: tuple[int, ...] = setting((1, 2), "of layers")


class TupleSettings(NoName):
    name = "tuples"
    Settings = Tuples


@dataclass(frozen=True, kw_only=True)
class Literals(Settings):
    colour: Literal["red", "blue"] = setting("red", "of nothing")


class LiteralSettings(NoName):
    name = "literals"
    Settings = Literals


class Taken(NoName):
    name = "rollouts"


@pytest.mark.parametrize(
    ("cls", "kind", "message"),
    [
        (NoName, "planner", 'NoName has no name; give the class one, as in name = "mine"'),
        (NoPlan, "planner", "NoPlan lacks plan; define it"),
        (NoScore, "ranker", "NoScore lacks score or function; define it"),
        (NoPace, "pacer", "NoPace lacks pace or function; define it"),
        (NoAct, "executor", "NoAct lacks act or run_week and choose; define it"),
        (WeekAlone, "executor", "WeekAlone lacks act or run_week and choose; define it"),
        (LearnsAlone, "planner", "LearnsAlone learns and has no state, so that what it learns"),
        (ExecutorLearnsAlone, "executor", "ExecutorLearnsAlone learns and has no state"),
        (FromStateAlone, "planner", "FromStateAlone defines from_state and lacks state"),
        (NoWorld, "planner", "NoWorld.learn takes no world; allowed is learn"),
        (NoWeights, "ranker", r"NoWeights learns and has no weights before; .* weights = np.zero"),
        (NoParameters, "pacer", r"NoParameters learns and has no parameters before; give the cla"),
        (Direct, None, "Direct is none of the parts; derive it from one of BasePlanner, BasePacer"),
        (OfNoBase, "planner", "OfNoBase is none of the parts; derive it from one of BasePlanner"),
        (
            ListedParts,
            "executor",
            r"ListedParts.parts is \('pacer', 'ranker'\); allowed is the kind",
        ),
        (
            TupleSettings,
            "planner",
            r"TupleSettings.Settings.sizes has type tuple\[int, \.\.\.\]; al",
        ),
        (
            LiteralSettings,
            "planner",
            r"LiteralSettings.Settings.colour has type .*Literal\['red', ",
        ),
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
    for name, advice in (("mine", "that you register"), (path, r"that you name, as in allow=\[")):
        with pytest.raises(ValueError, match=f"planner {name!r} is not allowed; .*ppo.*{advice}"):
            find_class("planner", name)
    assert register(Mine) is Mine
    assert registered("planner")["mine"] is Mine
    assert "mine" not in registered("ranker")
    assert find_class("planner", "mine") is find_class("planner", path) is Mine
    node = to_node(Mine(), "slow", {})
    assert node == {"class": path, "settings": {}, "state": {}, "policy_version": 0}
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


OWN_MODULE = """
import slowfast_rl as sf

@sf.register
class Own(sf.slow.BasePlanner):
    name = "registered_own"

    def plan(self, request):
        return request.entity_ids * 0
"""


def test_a_file_with_a_registered_class_is_loaded_in_a_process_that_has_not_imported_it(
    registry, tmp_path, monkeypatch
):
    (tmp_path / "registering.py").write_text(OWN_MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    node = node_of(import_module("registering").Own())
    monkeypatch.delitem(sys.modules, "registering")
    monkeypatch.delitem(component._REGISTERED, ("planner", "registered_own"))
    given = node, "planner", world("pronounced"), "part", {}
    with pytest.raises(ValueError, match=r"allow=\['registering\.Own'\]"):
        from_node(*given)
    assert from_node(*given, ["registering.Own"]).name == "registered_own"


def test_a_registered_class_of_a_notebook_is_saved_and_found(registry):
    notebook = type("Cell", (NoName,), {"__module__": "__main__", "name": "cell"})
    with pytest.raises(ValueError, match="or register it, so that it can be saved"):
        node_of(notebook())
    register(notebook)
    again = from_node(node_of(notebook()), "planner", world("pronounced"), "part", {})
    assert type(again) is notebook


def test_one_allowed_class_needs_no_list_and_an_iterator_is_read_once():
    path = import_path(Mine)
    for allow in (Mine, path, (Mine,), iter([path])):
        assert find_class("planner", path, allow) is Mine
    assert component.as_allowed(iter([Mine, path])) == (Mine, path)


def test_a_setting_that_a_file_lacks_has_its_default():
    node = node_of(AffinityRanker(weeks=3))
    del node["settings"]["num_members"]
    again = from_node(node, "ranker", world("pronounced"), "part", {})
    assert again.settings == AffinityRanker.Settings(weeks=3)


def test_a_random_planner_comes_back_with_its_seed():
    node = node_of(RandomPlanner(3, stream=5))
    given = "planner", world("pronounced"), "part", {}, [RandomPlanner]
    again = from_node(node, *given)
    assert (again.seed, again.stream, again.domain) == (3, 5, RandomPlanner().domain)
    for state in ({}, {"seed": 1}, node["state"] | {"seed": "3"}):
        with pytest.raises(ValueError, match="allowed: domain, seed and stream"):
            from_node(node | {"state": state}, *given)


class Argument(NoName):
    name = "argument"

    def __init__(self, sends=3):
        super().__init__()
        self.sends = sends


def test_an_argument_that_would_be_lost_is_refused_when_it_is_saved():
    with pytest.raises(
        ValueError, match="Argument takes sends, which would not be saved"
    ) as raised:
        node_of(Argument(5))
    assert "\n" not in str(raised.value)


class Two(BaseExecutor):
    """Asks one ranker in the morning and another one later."""

    name = "two"
    parts = {"early": "ranker", "late": "ranker"}  # noqa: RUF012  # as a user writes it

    def __init__(self, early=None, late=None, settings=None):
        super().__init__(settings)
        self.early, self.late = early, late

    def act(self, observations, masks, coins):
        return masks[:, 0] * 0

    def learn(self, world):
        return self

    def state(self):
        return {}

    @classmethod
    def from_state(cls, world, settings, state, **parts):
        return super().from_state(world, settings, state, **parts)


def test_an_executor_may_have_two_rankers_and_keeps_both():
    check_class(Two, "executor")
    made = Two(AffinityRanker(weeks=3), AffinityRanker(weeks=4))
    again = from_node(node_of(made), "executor", world("pronounced"), "part", {}, [Two])
    before = again.untrained(world("pronounced"))
    for two in (again, before):
        assert (two.early.settings.weeks, two.late.settings.weeks) == (3, 4)
    assert before.early is not again.early
    assert Two().untrained(world("pronounced")).early is None


class Weighted(Weighing):
    name = "weighted"
    weights = np.zeros(1)

    def learn(self, world):
        self.weights = np.array([2.0])
        return self


def test_weights_of_any_number_type_are_kept_as_float32_and_come_back():
    check_class(Weighted, "ranker")
    assert Weighted.weights.dtype == np.float32
    ranker = Weighted().learn(None)
    assert ranker.weights.dtype == np.float32
    arrays = {}
    node = to_node(ranker, "part", arrays)
    again = from_node(node, "ranker", world("pronounced"), "part", arrays, [Weighted])
    assert again.weights.tolist() == [2.0]
    for wrong in (np.zeros((2, 2)), [np.nan], "heavy", 3.0):
        with pytest.raises(ValueError, match=r"weights of Weighted is .*; allowed are finite"):
            ranker.weights = wrong


class Stateful(NoName):
    name = "stateful"
    kept = None

    def state(self):
        return {"kept": self.kept}

    @classmethod
    def from_state(cls, world, settings, state, **parts):
        planner = cls()
        planner.kept = state["kept"]
        return planner


def test_numbers_of_numpy_in_a_state_are_saved_and_what_json_cannot_hold_is_named():
    made = Stateful()
    made.kept = {"a": np.float32(0.5), "b": [np.int64(3), np.bool_(1)]}
    made.policy_version = np.int64(4)
    node = node_of(made)
    assert node["state"] == {"kept": {"a": 0.5, "b": [3, True]}}
    assert node["policy_version"] == 4
    for wrong in ({1, 2}, float("nan"), [np.zeros(2)]):
        made.kept = wrong
        with pytest.raises(ValueError, match=r"state kept of Stateful is .*; allowed is") as raised:
            node_of(made)
        assert "\n" not in str(raised.value)
    made.kept, made.policy_version = None, 1.5
    with pytest.raises(ValueError, match=r"policy_version is 1.5; allowed is a whole number"):
        node_of(made)


class Jitted(BaseRanker):
    name = "jitted"

    @staticmethod
    @numba.njit
    def score(opportunity, topic, quality, launch, log, weights):
        return quality


class TextScore(BaseRanker):
    name = "text"

    @staticmethod
    def score(opportunity, topic, quality, launch, log, weights):
        return quality.upper()


class NumberScore(BaseRanker):
    name = "number"
    score = 3


class TextPace(BasePacer):
    name = "text"

    @staticmethod
    def pace(opportunity, plan_rows, pacing):
        return "soon"


@pytest.mark.parametrize(
    ("fast", "message"),
    [
        (PacedExecutor(ranker=TextScore()), "TextScore.score cannot be compiled by numba"),
        (PacedExecutor(ranker=NumberScore()), "3 is no function; allowed is a static method"),
        (PacedExecutor(TextPace()), "TextPace.pace cannot be compiled by numba"),
    ],
)
@pytest.mark.parametrize("agent", [sf.SlowFastAgent, sf.SinglePolicyAgent])
def test_a_function_that_does_not_compile_is_refused_when_the_agent_is_made(agent, fast, message):
    with pytest.raises(ValueError, match=message) as raised:
        agent(fast=fast)
    assert "\n" not in str(raised.value)


def test_a_score_that_is_jitted_already_ranks_as_any_other():
    w = world("pronounced")
    executor = sf.SlowFastAgent(fast=PacedExecutor(ranker=Jitted())).fast
    target = np.full((50, 2), 4, np.int32)
    week = executor.run_week(Population(w, 50, 3, 3), target)
    wanted = PacedExecutor().run_week(Population(w, 50, 3, 3), target)
    np.testing.assert_array_equal(week.reward, wanted.reward)


def test_a_score_that_reads_past_its_weights_raises():
    executor = PacedExecutor(ranker=Weighing())  # it has none
    with pytest.raises(IndexError):
        executor.run_week(Population(world("pronounced"), 20), np.full((20, 2), 4, np.int32))
