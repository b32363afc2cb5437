"""The vector of fitted parameters and the world that it stands for."""

from dataclasses import replace

import numpy as np
import pytest

from slowfast_rl.fitting.parameters import FITTED, ParameterSpace
from slowfast_rl.members.loading import load_world, world_names
from tests.members.worlds import world


def random_theta(space, spread=0.3):
    return np.random.default_rng(3).normal(0, spread, len(space))


@pytest.mark.parametrize("name", ["pronounced", "calibrated", "in_app", "homogeneous"])
def test_the_transform_round_trips(name):
    space = ParameterSpace(world(name))
    theta = random_theta(space)
    np.testing.assert_allclose(space.theta(space.world(theta)), theta, atol=1e-12)


def test_zero_is_the_base_world():
    base = world("in_app")
    assert ParameterSpace(base).world(np.zeros(len(ParameterSpace(base)))) == base


def test_each_element_changes_one_parameter_by_its_factor():
    base = world("in_app")
    space = ParameterSpace(base)
    for i, parameter in enumerate(space.parameters):
        changed = space.world(0.5 * np.eye(len(space))[i])
        before, after = space.values(base), space.values(changed)
        others = np.arange(len(space)) != i
        assert np.array_equal(before[others], after[others])
        factor = np.exp(0.5)
        expected = before[i] + 0.5 if parameter.shifted else before[i] * factor
        assert after[i] == pytest.approx(expected)


def test_every_channel_has_its_own_parameters_and_opt_outs_share_one_factor():
    labels = ParameterSpace(world("in_app")).labels
    for channel in ("push", "email", "in_app"):
        assert f"response.fatigue_decay.{channel}" in labels
    assert [label for label in labels if "opt_out.fatigue_weight" in label] == [
        "opt_out.fatigue_weight"
    ]


def test_what_the_base_world_says_is_0_is_not_fitted():
    labels = ParameterSpace(world("no_fatigue")).labels
    assert not [label for label in labels if "goodwill_loss" in label]
    assert "traits.responsiveness.push" in labels
    two = ParameterSpace(load_world("two_type")).labels
    assert "traits.fatigue_sensitivity_spread" not in two


@pytest.mark.parametrize("name", world_names())
def test_every_world_of_the_library_has_a_space(name):
    space = ParameterSpace(load_world(name))
    for far in (-2, 2):
        assert space.world(np.full(len(space), far)).name == load_world(name).name


def test_values_are_cut_to_their_bounds():
    base = load_world("pronounced", {"response.tap": 0.9, "churn.scale": 0.9, "churn.floor": 0.05})
    space = ParameterSpace(base)
    far = space.world(np.full(len(space), 2.0))
    assert far.response.tap == (1, 1)
    assert far.churn.scale == pytest.approx(0.95)


def test_opt_in_at_the_start_is_that_of_the_log():
    space = ParameterSpace(world("pronounced"), np.array([0.4, 0.6]))
    theta = random_theta(space)
    assert space.world(theta).traits.opt_in == (0.4, 0.6)
    traits = replace(world("pronounced").traits, opt_in=(0.4, 0.6))
    assert space.base == replace(world("pronounced"), traits=traits)


def test_some_parameters_can_be_chosen():
    space = ParameterSpace(world("pronounced"), names=["churn.scale", "response.tap"])
    assert space.labels == ("response.tap.push", "response.tap.email", "churn.scale")


def test_an_unknown_parameter_is_refused():
    with pytest.raises(ValueError, match=f"'churn.floor'; allowed: {FITTED[0]}"):
        ParameterSpace(world("pronounced"), names=["churn.floor"])


def test_a_world_without_any_of_the_parameters_is_refused():
    with pytest.raises(ValueError, match="no parameter to fit"):
        ParameterSpace(world("no_fatigue"), names=["fatigue.goodwill_loss"])


def test_no_parameter_at_all_is_refused():
    with pytest.raises(ValueError, match=f"parameters is empty; allowed: {FITTED[0]}"):
        ParameterSpace(world("pronounced"), names=[])
