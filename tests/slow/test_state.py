import json

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal

from slowfast_rl.slow import FixedPlanner, PPOPlanner
from tests.members.worlds import world
from tests.slow.cases import requests, small_world, tiny_planner


@pytest.fixture(scope="module")
def planner():
    return tiny_planner().untrained(small_world(), seed=3)


def test_a_planner_comes_back_from_its_state_as_it_was(planner):
    settings, arrays = planner.state()
    settings = json.loads(json.dumps(settings))
    again = PPOPlanner.from_state(small_world(), settings, arrays)
    assert again.settings == planner.settings
    assert again.policy_version == planner.policy_version
    asked = requests(small_world(), np.random.default_rng(0).random((50, 2)) < 0.7)
    signals = torch.as_tensor(asked.signals)
    with torch.no_grad():
        assert_array_equal(
            again.policy.predict_values(signals), planner.policy.predict_values(signals)
        )
    assert_array_equal(again.plan(asked), planner.plan(asked))


def without(mapping, name):
    return {k: v for k, v in mapping.items() if k != name}


HEADS = "action_net.heads.weight"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda a: without(a, HEADS), "action_net.heads.weight is missing"),
        (lambda a: a | {"more": a[HEADS]}, "weight more is unknown"),
        (lambda a: a | {HEADS: a[HEADS][:1]}, r"shape \(1, 8\); allowed is float32 of shape"),
        (lambda a: a | {HEADS: a[HEADS].astype(np.float64)}, "is float64 of shape"),
        (lambda a: a | {HEADS: a[HEADS] * np.nan}, "not finite"),
    ],
)
def test_weights_that_do_not_fit_are_refused_in_one_line(planner, damage, message):
    settings, arrays = planner.state()
    with pytest.raises(ValueError, match=message) as raised:
        PPOPlanner.from_state(small_world(), settings, damage(arrays))
    assert "\n" not in str(raised.value)


def test_weights_of_another_menu_are_refused(planner):
    with pytest.raises(ValueError, match="allowed is float32 of shape"):
        PPOPlanner.from_state(world("pronounced"), *planner.state())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden": 0}, "hidden is 0; allowed is a whole number from 1"),
        ({"hidden": 10**30}, "hidden is 10+; allowed is a whole number from 1 to 4096"),
        ({"num_envs": "8"}, "num_envs is '8'; allowed is a whole number"),
        ({"weeks": 2.0}, r"weeks is 2\.0; allowed is a whole number"),
        ({"n_epochs": True}, "n_epochs is True"),
        ({"batch_size": 1}, "batch_size is 1; allowed is a whole number from 2"),
        ({"gae_lambda": 1.5}, r"gae_lambda is 1\.5; allowed is 0 to 1"),
        ({"learning_rate": float("nan")}, "learning_rate is nan"),
        ({"ent_coef": None}, "ent_coef is None"),
        ({"device": "toaster"}, "device is 'toaster'; allowed is cpu or cuda"),
        ({"device": None}, "device is None; allowed is cpu or cuda"),
        ({"device": "meta"}, "device is 'meta'; allowed is cpu or cuda"),
        ({"policy_version": -1}, "policy_version is -1"),
        ({"colour": "red"}, "planner settings are .*colour"),
    ],
)
def test_settings_that_are_not_allowed_are_refused_in_one_line(planner, changes, message):
    settings, arrays = planner.state()
    with pytest.raises(ValueError, match=message) as raised:
        PPOPlanner.from_state(small_world(), settings | changes, arrays)
    assert "\n" not in str(raised.value)


def test_a_rollout_of_one_week_is_refused():
    with pytest.raises(ValueError, match="one must be 2 or more"):
        tiny_planner(num_envs=1, n_steps=1)


def test_a_planner_without_a_network_says_so():
    asked = requests(small_world(), np.ones((1, 2), bool))
    for use in (lambda: tiny_planner().plan(asked), lambda: tiny_planner().state()):
        with pytest.raises(RuntimeError, match="call learn or load first"):
            use()


def test_a_gpu_that_is_not_there_leaves_the_network_on_the_cpu():
    if torch.cuda.is_available():
        pytest.skip("there is one")
    planner = tiny_planner(device="cuda").untrained(small_world())
    assert planner.policy.device == torch.device("cpu")


def test_a_fixed_planner_comes_back_from_its_state():
    w = world("pronounced")
    settings, arrays = FixedPlanner(w, (5, 2)).state()
    assert FixedPlanner.from_state(w, json.loads(json.dumps(settings)), arrays).wanted == (5, 2)
    w = world("shaped")
    settings, arrays = FixedPlanner(w, (5, 2), "active").state()
    again = FixedPlanner.from_state(w, json.loads(json.dumps(settings)), arrays)
    assert (again.wanted, again.shape) == ((5, 2), "active")


@pytest.mark.parametrize(
    "changes", [{"plan": None}, {"plan": 5}, {"more": 1}, {"plan": [6, 2]}, {"shape": "weekend"}]
)
def test_a_fixed_planner_refuses_settings_that_are_not_its_own(changes):
    settings, _ = FixedPlanner(world("pronounced"), (5, 2)).state()
    with pytest.raises(ValueError, match="allowed"):
        FixedPlanner.from_state(world("pronounced"), settings | changes, {})
