"""The nets learn which plan is better for whom, and nothing of what all plans share."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from slowfast_rl.slow.plan_value import Branched, PlanValue, fit, joined, plan_table
from tests.members.worlds import world
from tests.slow.cases import small_world

OBSERVATIONS = 5
FIT = {"epochs": 4, "batch_size": 64, "learning_rate": 1e-2, "weight_decay": 0.01}


def made(seed=0, plans=None, **changes):
    plans = plan_table(small_world()) if plans is None else plans
    sizes = {"num_inputs": OBSERVATIONS, "ensemble": 2, "hidden": 16, "rank": 6} | changes
    return PlanValue(plans, **sizes, generator=torch.Generator().manual_seed(seed))


def states(size, seed=0):
    return np.random.default_rng(seed).normal(size=(size, OBSERVATIONS)).astype(np.float32)


def truth(observations, seed=9):
    """Linear in plan features times signals, [B, O]."""
    plans = plan_table(small_world()).numpy()
    weights = np.random.default_rng(seed).normal(size=(OBSERVATIONS, plans.shape[1]))
    return observations @ weights @ plans.T


def tried(observations, returns, count=4, seed=1):
    """Some plans of each state and what they brought."""
    generator = np.random.default_rng(seed)
    plans = generator.permuted(np.tile(np.arange(returns.shape[1]), (len(observations), 1)), axis=1)
    plans = plans[:, :count]
    brought = np.take_along_axis(returns, plans, axis=1)
    return Branched(observations, plans, brought.astype(np.float32))


def trained(data, seed=0, **changes):
    value = made(seed)
    loss = fit(value, data, **FIT | changes, generator=torch.Generator().manual_seed(seed))
    return value, loss


def parameters(value):
    return {name: tensor.numpy() for name, tensor in value.state_dict().items()}


def assert_same(one, other):
    for name, array in parameters(one).items():
        assert_array_equal(array, parameters(other)[name], err_msg=name)


def test_the_best_plan_of_states_never_seen_is_recovered():
    seen, unseen = states(1500), states(500, seed=5)
    value, loss = trained(tried(seen, truth(seen)), epochs=12)
    best = value.mean(unseen).argmax(dim=1).numpy()
    expected = truth(unseen).argmax(axis=1)
    assert len(np.unique(expected)) > 3
    assert (best == expected).mean() > 0.9
    assert loss < 0.05


def test_luck_that_the_branches_of_a_state_share_teaches_nothing():
    observations = states(200)
    generator = np.random.default_rng(3)
    plain = tried(observations, generator.integers(-8, 8, (200, 6)).astype(float))
    luck = generator.integers(-64, 64, (200, 1)).astype(np.float32)  # exact, as are means of 4
    one, other = trained(plain), trained(plain._replace(returns=plain.returns + luck))
    assert_same(one[0], other[0])
    assert one[1] == other[1]


def test_the_scale_of_returns_does_not_matter():
    data = tried(states(200), truth(states(200)))
    one, other = trained(data), trained(data._replace(returns=8 * data.returns))
    assert_same(one[0], other[0])


def test_noise_is_a_loss_of_one_and_no_difference_is_none():
    observations = states(1000)
    noise = tried(observations, np.random.default_rng(2).normal(size=(1000, 6)))
    assert trained(noise, epochs=2, learning_rate=1e-4)[1] == pytest.approx(1, abs=0.4)
    value, loss = trained(noise._replace(returns=np.ones_like(noise.returns)), epochs=8)
    assert loss < 0.1
    assert torch.isfinite(value.mean(observations)).all()


def test_the_same_generator_trains_the_same_nets_and_another_others():
    data = tried(states(200), truth(states(200)))
    one, again, other = trained(data), trained(data), trained(data, seed=1)
    assert_same(one[0], again[0])
    with pytest.raises(AssertionError):
        assert_same(one[0], other[0])


def test_training_leaves_the_callers_random_numbers_alone():
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    trained(tried(states(50), truth(states(50))))
    assert_array_equal(torch.rand(4), expected)


def test_values_are_those_of_each_net_and_their_mean_on_the_cpu():
    value, observations = made(), states(7)
    with torch.no_grad():
        each = value(torch.as_tensor(observations))
    assert each.shape == (2, 7, 6)
    assert not torch.allclose(each[0], each[1])
    mean = value.mean(observations)
    assert mean.device.type == "cpu"
    assert not mean.requires_grad
    assert_allclose(mean, each.mean(dim=0), rtol=1e-6)


def test_many_states_are_worth_what_few_are():
    value, observations = made(), states(5000)
    assert_allclose(
        value.mean(observations)[4000:4010], value.mean(observations[4000:4010]), atol=1e-5
    )


def test_values_by_hand():
    value = made(plans=torch.tensor([[1.0], [3.0]]), num_inputs=1, ensemble=1, hidden=1, rank=1)
    layers = {"inputs_1": (2, 1), "inputs_2": (1, 0), "inputs_3": (1, 0)}
    layers |= {"plans_1": (1, 0), "plans_2": (1, -1)}  # slope and bias, a relu between layers
    with torch.no_grad():
        for name, line in layers.items():
            getattr(value, name).copy_(torch.tensor(line).view(1, 2, 1))
    observations = np.array([[1.0], [-2.0], [100.0]], np.float32)  # the last is clipped to 5
    assert_array_equal(value.mean(observations), [[0, 6], [0, 0], [0, 22]])


def test_inputs_are_standardised_and_those_that_hardly_vary_are_not_blown_up():
    observations = states(100) * 3 + 7
    observations[:, 0] = 5
    value, _ = trained(tried(observations, truth(states(100))))
    assert_allclose(value.centre, observations.mean(axis=0), rtol=1e-5)
    assert_allclose(value.scale[1:], observations[:, 1:].std(axis=0, ddof=1), rtol=1e-5)
    assert value.scale[0] == pytest.approx(0.01)


def test_a_plans_features_are_its_sends_per_channel_and_its_shape():
    w = small_world()
    table = plan_table(w)
    assert table.shape == (6, 6)
    row = table[w.plan_index((2, 7))]
    assert_allclose(row, [2 / 7, 1, 2**0.5, 7**0.5, 1, 1], rtol=1e-6)
    assert not table[w.plan_index((0, 0))].any()
    shaped = replace(world("shaped"), menu=w.menu)
    table = plan_table(shaped)
    assert table.shape == (24, 10)
    assert_array_equal(table[:, 6:].sum(dim=1), 1)
    assert_array_equal(table[:, 6:].argmax(dim=1), shaped.plan_shapes)
    assert len(torch.unique(table, dim=0)) == 24


def test_states_of_several_iterations_are_joined_in_order():
    first, second = (tried(states(n, n), truth(states(n, n))) for n in (3, 5))
    both = joined([first, second])
    for array, one, other in zip(both, first, second, strict=True):
        assert_array_equal(array[:3], one)
        assert_array_equal(array[3:], other)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 16, 17, 100, 999])
def test_a_members_values_do_not_depend_on_who_is_planned_for_beside_it(size):
    observations, value = states(2500), made(num_inputs=OBSERVATIONS, hidden=64, rank=16)
    together = value.mean(observations)
    for first in (0, 1200, 2490):
        rows = slice(first, first + size)
        assert_array_equal(value.mean(observations[rows]), together[rows])


def test_a_part_has_the_values_of_its_nets_and_the_mean_is_that_of_all():
    value, seen = made(ensemble=3), states(40)
    with torch.no_grad():
        each = value(torch.as_tensor(seen))  # [E, B, O]
    for count in (1, 2, 3, 9):
        found = value.part(count).mean(seen)
        assert_allclose(found, each[:count].mean(dim=0), rtol=1e-5, atol=1e-6)
    assert len(value.inputs_1) == 3
