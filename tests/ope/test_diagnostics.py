import numpy as np
import pytest

from slowfast_rl.ope.diagnostics import diagnose, unsupported_mass, weight_warnings


def diagnosed(weights, propensity=None, target=None, **keywords):
    weights = np.asarray(weights, float)
    propensity = np.full(len(weights), 0.5) if propensity is None else np.asarray(propensity)
    target = weights * propensity if target is None else np.asarray(target)
    return diagnose(weights, propensity, target, **keywords)


def test_equal_weights_have_the_size_of_the_log():
    found = diagnosed(np.ones(80))
    assert (found.effective_size, found.largest_share) == (80, 1 / 80)
    assert found.mean_weight == (1, 1, 1)
    assert weight_warnings(found) == []


def test_few_large_weights_are_warned_of():
    weights = np.zeros(1000)
    weights[:8] = 125
    found = diagnosed(weights)
    assert found.effective_size == pytest.approx(8)
    assert found.largest_share == pytest.approx(1 / 8)
    size, share = weight_warnings(found)
    assert size.startswith("the effective sample size is 8; below 50")
    assert share.startswith("one row has 12 % of all weight; above 10 %")


def test_a_mean_weight_far_from_1_is_warned_of():
    weights = np.where(np.arange(2000) % 2, 1.0, 0.0)
    (warning,) = weight_warnings(diagnosed(weights))
    assert "the mean weight is 0.500" in warning
    assert "propensities may be wrong" in warning


def test_rows_without_a_choice_are_left_out():
    weights, propensity = np.array([2.0, 0, 1, 1]), np.array([0.5, 0.5, 1, 1])
    found = diagnosed(weights, propensity, clusters=np.array([7, 7, 8, 9]))
    assert (found.rows, found.choices, found.members) == (4, 2, 1)
    assert found.effective_size == 1
    assert "2 of 4 rows with a choice, 1 members" in str(found)


def test_a_target_that_leaves_the_only_action_is_not_left_out():
    found = diagnosed(np.array([1.0, 1, 0]), np.array([0.5, 0.5, 1]), np.array([0.5, 0.5, 0]))
    assert found.choices == 3


def test_propensities_that_are_all_1_are_refused():
    with pytest.raises(ValueError, match=r"all 3 propensities are 1; allowed is a log in which"):
        diagnosed(np.ones(3), np.ones(3))


def test_a_target_without_support_is_refused_above_one_per_cent():
    target = np.tile([0.98, 0.02], (100, 1))
    possible = np.ones((100, 2), bool)
    possible[:49, 1] = False  # 0.98 %
    found = diagnosed(np.ones(100), unsupported=unsupported_mass(target, possible))
    assert found.unsupported == pytest.approx(0.0098)
    possible[:51, 1] = False
    with pytest.raises(ValueError, match=r"1.02 % of the target's probability .* at most 1 %"):
        diagnosed(np.ones(100), unsupported=unsupported_mass(target, possible))
