import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from slowfast_rl.slow.ppo_network import PlanDistribution, nearest_feasible
from tests.members.worlds import world
from tests.slow.cases import patterns, requests, tiny_planner


def random_policy(name: str, seed: int, spread: float):
    """A policy of random weights, far larger than training would begin with."""
    planner = tiny_planner(num_envs=2).untrained(world(name), seed=seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weights in planner.policy.parameters():
            weights.copy_(torch.randn(weights.shape, generator=generator) * spread)
    return planner


@pytest.mark.parametrize("name", ["pronounced", "in_app"])
@settings(max_examples=15)
@given(seed=st.integers(0, 2**32 - 1), spread=st.sampled_from([0.1, 1.0, 3.0]))
def test_no_path_through_a_random_policy_gives_an_infeasible_plan_a_chance(name, seed, spread):
    w = world(name)
    planner = random_policy(name, seed, spread)
    policy = planner.policy
    opted_in = np.repeat(patterns(len(w.channels)), 3, axis=0)
    feasible = np.array([[(t <= 7000 * f).all() for t in w.plans] for f in opted_in])
    asked = requests(w, opted_in, seed=seed)
    observations, rows = torch.as_tensor(asked.observations), np.arange(len(opted_in))
    with torch.no_grad():
        probabilities = policy.get_distribution(observations).distribution.probs.numpy()
        assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
        assert (probabilities[~feasible] == 0).all()
        assert ((probabilities > 0) | ~feasible).any(axis=1).all()
        choices = [policy(observations)[0], policy(observations, deterministic=True)[0]]
        choices += [policy.predict(asked.observations, deterministic=d)[0] for d in (True, False)]
        for chosen in [*choices, planner.plan(asked)]:
            assert feasible[rows, chosen].all()
        for plan in range(0, len(w.plans), 5):
            _, log_chance, entropy = policy.evaluate_actions(
                observations, torch.full((len(rows),), plan)
            )
            assert (log_chance.numpy()[~feasible[:, plan]] < -1e8).all()
            assert torch.isfinite(entropy).all()


def test_every_deterministic_path_makes_the_same_choice():
    w = world("pronounced")
    planner = random_policy("pronounced", 1, 0.5)
    asked = requests(w, np.random.default_rng(0).random((64, 2)) < 0.7)
    observations = torch.as_tensor(asked.observations)
    with torch.no_grad():
        chosen = planner.policy(observations, deterministic=True)[0].numpy()
    assert len(set(chosen.tolist())) > 5
    assert_array_equal(chosen, planner.policy.predict(asked.observations, deterministic=True)[0])
    assert_array_equal(chosen, planner.plan(asked))


def test_logits_are_sums_of_one_head_per_channel():
    w = world("pronounced")
    planner = random_policy("pronounced", 2, 0.2)
    observations = torch.as_tensor(requests(w, np.ones((5, 2), bool)).observations)
    with torch.no_grad():
        logits = planner.policy.get_distribution(observations).distribution.logits
    by_channel = logits.reshape(5, 9, 7)  # push varies slowest
    both = by_channel[:, 1:, 1:] - by_channel[:, :1, 1:] - by_channel[:, 1:, :1]
    assert_allclose(both + by_channel[:, :1, :1], 0, atol=1e-4)


TARGETS = torch.tensor([[0, 0], [1, 0], [2, 0], [3, 0], [0, 4], [1, 4], [2, 4], [3, 4]]).float()


@pytest.mark.parametrize(
    ("chances", "nearest"),
    [
        # The mode is to send nothing, the mean is 1.2 sends: argmax would collapse.
        ([0.4, 0.2, 0.2, 0.2, 0, 0, 0, 0], 1),
        # All is on the edges: the plan between them has a chance, however small.
        ([0.499, 0.001, 0.001, 0.499, 0, 0, 0, 0], 1),
        # The mean is (1.5, 0), and neither 1 nor 2 has a chance.
        ([0.5, 0, 0, 0.5, 0, 0, 0, 0], 0),
        # Both channels: the mean is (2.6, 3.2).
        ([0, 0, 0, 0.2, 0, 0, 0.4, 0.4], 7),
        ([0, 0, 0, 1, 0, 0, 0, 0], 3),
    ],
)
def test_the_choice_is_the_plan_nearest_to_the_expected_sends(chances, nearest):
    assert nearest_feasible(torch.tensor([chances]).float(), TARGETS).tolist() == [nearest]


@given(st.integers(0, 2**32 - 1))
def test_the_choice_has_a_chance_and_none_with_a_chance_is_nearer(seed):
    generator = np.random.default_rng(seed)
    chances = generator.dirichlet(np.full(8, 0.3), 20) * (generator.random((20, 8)) < 0.6)
    chances[:, 0] += 1e-3
    chances /= chances.sum(axis=1, keepdims=True)
    chosen = nearest_feasible(torch.as_tensor(chances).float(), TARGETS).numpy()
    distance = np.linalg.norm((chances @ TARGETS.numpy())[:, None] - TARGETS.numpy(), axis=2)
    least = np.where(chances > 0, distance, np.inf).min(axis=1)
    rows = np.arange(20)
    assert (chances[rows, chosen] > 0).all()
    assert_allclose(distance[rows, chosen], least, rtol=1e-5, atol=1e-6)


def test_the_mode_of_a_plan_distribution_is_not_its_most_probable_plan():
    plans = [[0], [1], [2], [3]]
    distribution = PlanDistribution(plans, 1)
    distribution.proba_distribution(torch.tensor([[1.0, 0.9, 0.9, 0.9]]))
    assert distribution.distribution.probs.argmax(dim=1).tolist() == [0]
    assert distribution.mode().tolist() == [1]
    assert distribution.get_actions(deterministic=True).tolist() == [1]


def test_the_mode_has_the_most_probable_shape_of_the_plan_nearest_to_the_expected_sends():
    plans = [[0], [1], [2], [3]] * 2
    distribution = PlanDistribution(plans, 2)
    chances = torch.tensor([[0.26, 0.01, 0.04, 0.11, 0.04, 0.03, 0.21, 0.30]])
    distribution.proba_distribution(chances.log())  # 1.77 sends: 2, by shape 1
    assert distribution.mode().tolist() == [6]


def test_planners_of_random_weights_choose_among_all_shapes():
    w = world("shaped")
    asked = requests(w, np.random.default_rng(0).random((200, 2)) < 0.7)
    shapes = set()
    for seed in range(8):
        chosen = random_policy("shaped", seed, 0.3).plan(asked)
        assert asked.feasible[np.arange(200), chosen].all()
        shapes |= set(w.plan_shapes[chosen].tolist())
    assert shapes == {0, 1, 2, 3}
