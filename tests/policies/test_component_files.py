"""A component comes back from JSON and arrays, or is refused in one line."""

import sys

import numpy as np
import pytest

from slowfast_rl.fast import AffinityRanker, CoinPacer, ExactPacer, PacedExecutor
from slowfast_rl.policies.class_checks import check_class
from slowfast_rl.policies.component_files import check_savable, from_node, to_node
from slowfast_rl.policies.contracts import BaseExecutor
from slowfast_rl.slow import RandomPlanner, RolloutPlanner
from tests.members.worlds import world
from tests.policies.classes import Mine, NoName, Weighing, node_of


def test_a_class_that_a_file_names_is_refused_without_importing_it(tmp_path, monkeypatch):
    (tmp_path / "strangers.py").write_text("raise SystemExit('this ran')")
    monkeypatch.syspath_prepend(tmp_path)
    ranker = node_of(AffinityRanker(), **{"class": "strangers.Ranker"})
    for node, kind in (
        (ranker, "ranker"),
        (node_of(PacedExecutor()) | {"parts": {"pacer": node_of(ExactPacer()), "ranker": ranker}},
         "executor"),
    ):  # fmt: skip
        for allow in ([], ["strangers.Other"], [Mine, "tests.policies.classes.Mine"]):
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
        (None, "ranker is None; needed: class, settings and state"),
        ([], r"ranker is \[\]; needed"),
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
    with pytest.raises(
        ValueError, match=r"policy_version is .*; allowed is (a whole number, )?0 to"
    ):
        from_node(node | {"policy_version": version}, "planner", world("pronounced"), "part", {})


def test_settings_of_a_node_are_given_other_values_where_the_class_has_them():
    node = node_of(PacedExecutor(CoinPacer(), AffinityRanker()))
    again = from_node(node, "executor", world("pronounced"), "part", {}, weeks=3, device="cuda")
    assert again.ranker.settings == AffinityRanker.Settings(weeks=3)
    assert type(again.pacer) is CoinPacer


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
    assert node["class"] == "tests.policies.classes.Weighing"
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
