import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.vec_env import VecNormalize

from slowfast_rl.envs.sb3_training import Budget
from slowfast_rl.members.loading import load_world
from slowfast_rl.members.population import Population
from slowfast_rl.policies.plan_exchange import plan_request
from slowfast_rl.slow.ppo_network import PlanPolicy
from tests.slow.cases import learned, small_world, tiny_planner

ROLLOUT = 32 * 4 * 21  # opportunities of a tiny planner's rollout
SET_UP = 32 * 3 * 21  # that bring its members to all ages


def weights(planner):
    return planner.state()


def assert_same_weights(one, other):
    assert one.keys() == other.keys()
    for name in one:
        assert_array_equal(one[name], other[name], err_msg=name)


def differ(one, other):
    return any(not np.array_equal(one[name], other[name]) for name in one)


def expected_sends(planner, world):
    """Mean over members of the sends a week that the policy's probabilities expect."""
    observations = torch.as_tensor(plan_request(Population(world, 64, 5, 5)).observations)
    with torch.no_grad():
        chances = planner.policy.get_distribution(observations).distribution.probs
    return float((chances.numpy() @ world.plans.sum(axis=1)).mean())


@pytest.mark.parametrize("seed", [1, 2])
def test_where_a_send_costs_more_than_it_can_bring_ppo_learns_never_to_send(seed):
    world = small_world("costly")
    planner = tiny_planner(
        num_envs=128, batch_size=256, n_epochs=8, learning_rate=1e-2, hidden=16, ent_coef=0.0
    )
    learned(planner, world, rounds=14, seed=seed)
    assert expected_sends(planner, world) < 0.05 * expected_sends(
        planner.untrained(world, seed), world
    )


def test_with_the_whole_menu_of_a_costly_world_sends_fall():
    world = load_world("costly")
    planner = tiny_planner(
        num_envs=128, batch_size=256, n_epochs=8, learning_rate=1e-2, hidden=16, ent_coef=0.0
    )
    learned(planner, world, rounds=14, seed=1)
    sends = world.plans[planner.plan(plan_request(Population(world, 64, 5, 5)))].sum(axis=1).mean()
    assert sends < 4
    assert expected_sends(planner, world) < 0.6 * expected_sends(planner.untrained(world, 1), world)


@pytest.mark.long
def test_where_a_send_does_nothing_and_costs_a_little_ppo_learns_never_to_send():
    world = small_world("null")
    planner = tiny_planner(
        num_envs=4096,
        batch_size=4096,
        n_epochs=8,
        learning_rate=3e-3,
        hidden=16,
        ent_coef=0.0,
    )
    learned(planner, world, rounds=20, seed=1)
    assert expected_sends(planner, world) < 0.25 * expected_sends(
        planner.untrained(world, 1), world
    )


def test_the_same_seed_trains_the_same_weights_whatever_happens_in_between():
    world = small_world()
    quiet = learned(tiny_planner(), world, seed=4)
    disturbed, counts = tiny_planner(), []

    def disturb(opportunities):
        counts.append(opportunities)
        disturbed.plan(plan_request(Population(world, 8, 9, 9)))
        disturbed.state()
        learned(tiny_planner(), world, seed=len(counts))  # seeds everything
        torch.rand(len(counts))

    learned(disturbed, world, seed=4, progress=disturb)
    assert counts == [SET_UP + k * ROLLOUT for k in range(4)]
    assert_same_weights(weights(quiet), weights(disturbed))


def test_an_untrained_planner_has_the_very_weights_that_training_begins_with():
    world, begun = small_world(), []
    planner = tiny_planner()
    learned(planner, world, seed=6, progress=lambda _: begun.append(weights(planner)))
    untrained = weights(tiny_planner().untrained(world, seed=6))
    assert_same_weights(begun[0], untrained)
    assert differ(untrained, weights(planner))


def test_a_state_is_a_copy_that_further_training_does_not_touch():
    world, kept = small_world(), []
    planner = tiny_planner()

    def keep(_):
        kept.append((weights(planner), {k: v.copy() for k, v in weights(planner).items()}))

    learned(planner, world, progress=keep)
    assert_same_weights(*kept[0])
    assert differ(kept[0][0], kept[1][0])


def test_opportunities_are_rounded_up_to_whole_rollouts_and_reported():
    w, planner = small_world(), tiny_planner()
    four = SET_UP + 4 * ROLLOUT
    for total, comes_to in ((four, four), (four + 1, four + ROLLOUT)):
        assert planner.schedule(w, total).opportunities == comes_to
        assert planner.learn(w, total_opportunities=total).opportunities == comes_to


def test_a_small_budget_is_kept_with_fewer_members_and_their_set_up_counts():
    w, planner = small_world(), tiny_planner()
    planned = planner.schedule(w, (SET_UP + 4 * ROLLOUT) // 2)
    assert planned.members == 16
    assert planned.rounds == 4
    planner.learn(w, total_opportunities=(SET_UP + 4 * ROLLOUT) // 2)
    assert planner.opportunities == planned.opportunities == (SET_UP + 4 * ROLLOUT) // 2


def test_cpu_time_ends_training_and_progress_does_not_count(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("slowfast_rl.policies.budget.cpu_seconds", lambda: clock[0])

    def evaluate(_):
        clock[0] += 1000

    budget = Budget(0, 60.0, evaluate)
    budget.num_timesteps = 0
    for _ in range(6):
        budget._on_rollout_start()
        clock[0] += 10
        assert budget._on_step()  # a rollout that began is played to its end and learned from
    assert budget.spent == 60
    budget._on_rollout_start()
    assert not budget._on_step()


def test_a_time_limit_is_bootstrapped_and_a_churn_is_not(monkeypatch):
    world = load_world("pronounced", {"churn.floor": 0.2})
    stepped, kept = [], []

    def value(self, observations):
        return torch.full((len(observations), 1), 10.0)

    def step(self, original=VecNormalize.step_wait):
        observations, rewards, dones, infos = original(self)
        stepped.append((rewards.copy(), dones, [i.get("TimeLimit.truncated") for i in infos]))
        return observations, rewards, dones, infos

    def add(self, observations, actions, rewards, *more, original=RolloutBuffer.add):
        kept.append(rewards.copy())
        original(self, observations, actions, rewards, *more)

    monkeypatch.setattr(PlanPolicy, "predict_values", value)
    monkeypatch.setattr(VecNormalize, "step_wait", step)
    monkeypatch.setattr(RolloutBuffer, "add", add)
    learned(tiny_planner(), world)
    ends = set()
    for (rewards, dones, truncated), stored in zip(stepped, kept, strict=True):
        for row in range(len(rewards)):
            ends.add((bool(dones[row]), truncated[row]))
            after = world.reward.weekly_discount * 10 if truncated[row] else 0
            assert_allclose(stored[row] - rewards[row], after, atol=1e-4)
    assert ends == {(False, None), (True, True), (True, False)}


def test_a_gradient_step_takes_a_whole_rollout_where_that_is_smaller_without_a_warning():
    world = small_world("pronounced")
    large, whole = (
        tiny_planner(batch_size=size).learn(world, total_opportunities=ROLLOUT, seed=3)
        for size in (200, 32 * 4)
    )
    assert_same_weights(weights(large), weights(whole))
