import re

import numpy as np
import pytest
import torch

from slowfast_rl.slow import FixedPlanner
from tests.members.worlds import world
from tests.slow.cases import rebuilt, small_world, tiny_planner
from tests.slow.planners import random_ppo, random_rollouts

PLANNERS = {
    "PPO": (random_ppo, "action_net.heads.weight"),
    "rollouts": (random_rollouts, "1.plans_2"),
}
every_planner = pytest.mark.parametrize(("make", "weight"), PLANNERS.values(), ids=PLANNERS)


def without(mapping, name):
    return {k: v for k, v in mapping.items() if k != name}


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda a, w: without(a, w), "{} is missing"),
        (lambda a, w: a | {"more": a[w]}, "(weight more is unknown|weight [0-9.a-z_]+ is missing)"),
        (lambda a, w: a | {w: a[w][:1]}, r"{} is float32 of shape .*; allowed is float32 of shape"),
        (lambda a, w: a | {w: a[w].astype(np.float64)}, "{} is float64 of shape"),
        (lambda a, w: a | {w: a[w] * np.nan}, "{} has values that are not finite"),
        (lambda a, w: {f"7{k}": v for k, v in a.items()}, "is (missing|unknown)"),
    ],
)
@every_planner
def test_weights_that_do_not_fit_are_refused_in_one_line(make, weight, damage, message):
    planner = make(small_world())
    expected = message.replace("{}", re.escape(weight))
    with pytest.raises(ValueError, match=expected) as raised:
        type(planner).from_state(small_world(), planner.settings, damage(planner.state(), weight))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("other", ["in_app", "shaped"])
@every_planner
def test_weights_of_another_world_are_refused(make, weight, other):
    planner = make(world("pronounced"))
    with pytest.raises(ValueError, match="allowed is float32 of shape"):
        type(planner).from_state(world(other), planner.settings, planner.state())


COMMON = [
    ({"hidden": 0}, "hidden is 0; allowed is a whole number from 1"),
    ({"hidden": 10**30}, "hidden is 10+; allowed is a whole number from 1 to 4096"),
    ({"beliefs": 1}, "beliefs is 1; allowed is true or false"),
    ({"batch_size": 1}, "batch_size is 1; allowed is a whole number from 2"),
    ({"learning_rate": float("nan")}, "learning_rate is nan"),
    ({"device": "toaster"}, "device is 'toaster'; allowed is cpu or cuda"),
    ({"device": None}, "device is None; allowed is cpu or cuda"),
    ({"device": "meta"}, "device is 'meta'; allowed is cpu or cuda"),
    ({"policy_version": -1}, "policy_version is -1"),
    ({"policy_version": True}, "policy_version is True"),
    ({"colour": "red"}, "planner settings are .*colour"),
]
OWN = {
    "PPO": [
        ({"num_envs": "8"}, "num_envs is '8'; allowed is a whole number"),
        ({"weeks": 2.0}, r"weeks is 2\.0; allowed is a whole number"),
        ({"n_epochs": True}, "n_epochs is True"),
        ({"gae_lambda": 1.5}, r"gae_lambda is 1\.5; allowed is 0 to 1"),
        ({"ent_coef": None}, "ent_coef is None"),
    ],
    "rollouts": [
        ({"states": 1}, "states is 1; allowed is a whole number from 2"),
        ({"branches": 1}, "branches is 1; allowed is a whole number from 2"),
        ({"hold": 0}, "hold is 0; allowed is a whole number from 1"),
        ({"horizon": 2.0}, r"horizon is 2\.0; allowed is a whole number"),
        ({"ages": "4"}, "ages is '4'; allowed is a whole number"),
        ({"weeks_between": 0}, "weeks_between is 0"),
        ({"random_share": 1.5}, r"random_share is 1\.5; allowed is 0 to 1"),
        ({"privileged": None}, "privileged is None; allowed is true or false"),
        ({"ensemble": 0}, "ensemble is 0; allowed is a whole number from 1"),
        ({"acting": 0}, "acting is 0; allowed is a whole number from 1"),
        ({"rank": 0}, "rank is 0; allowed is a whole number from 1"),
        ({"epochs": 0}, "epochs is 0; allowed is a whole number from 1"),
        ({"weight_decay": -0.1}, r"weight_decay is -0\.1; allowed is 0 to 1000"),
    ],
}


@pytest.mark.parametrize(
    ("make", "changes", "message"),
    [
        pytest.param(PLANNERS[name][0], *case, id=f"{name} {next(iter(case[0]))}")
        for name, own in OWN.items()
        for case in COMMON + own
    ],
)
def test_settings_that_are_not_allowed_are_refused_in_one_line(make, changes, message):
    planner = make(small_world())
    with pytest.raises(ValueError, match=message) as raised:
        rebuilt(planner, small_world(), changes)
    assert "\n" not in str(raised.value)
    if next(iter(changes)) in planner.settings.to_dict():
        with pytest.raises(ValueError, match=message):
            type(planner)(**planner.settings.to_dict() | changes)


def test_a_rollout_of_one_week_is_refused():
    with pytest.raises(ValueError, match="one must be 2 or more"):
        tiny_planner(num_envs=1, n_steps=1)


def test_a_gpu_that_is_not_there_leaves_the_network_on_the_cpu():
    if torch.cuda.is_available():
        pytest.skip("there is one")
    planner = tiny_planner(device="cuda").untrained(small_world())
    assert planner.policy.device == torch.device("cpu")
    planner = random_rollouts(small_world(), device="cuda")
    assert planner.values[0].centre.device == torch.device("cpu")


def test_a_fixed_planner_comes_back_from_its_state():
    w = world("pronounced")
    assert rebuilt(FixedPlanner(w, (5, 2)), w).wanted == (5, 2)
    w = world("shaped")
    again = rebuilt(FixedPlanner(w, (5, 2), "active"), w)
    assert (again.wanted, again.shape) == ((5, 2), "active")


@pytest.mark.parametrize(
    "changes", [{"plan": None}, {"plan": 5}, {"more": 1}, {"plan": [6, 2]}, {"shape": "weekend"}]
)
def test_a_fixed_planner_refuses_settings_that_are_not_its_own(changes):
    planner = FixedPlanner(world("pronounced"), (5, 2))
    with pytest.raises(ValueError, match="allowed"):
        rebuilt(planner, world("pronounced"), changes)
