import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from slowfast_rl.fast import PacedExecutor, PPOExecutor, UpliftRanker
from slowfast_rl.fast.decide import observed_effects
from slowfast_rl.fast.ppo_network import layout
from slowfast_rl.members.loading import load_world
from slowfast_rl.members.observations import opportunity_observation
from slowfast_rl.members.population import Population
from slowfast_rl.policies.component import from_node, to_node
from slowfast_rl.policies.guard import NO_CAP
from slowfast_rl.slow import FixedPlanner, RandomPlanner
from tests.fast.cases import random_week, rebuilt
from tests.fast.test_decide import made_up
from tests.members.worlds import world

TINY = {"num_envs": 32, "weeks": 4, "n_steps": 32, "batch_size": 256, "hidden": 8}


def tiny(ranker=None, **arguments):
    return PPOExecutor(ranker, **(TINY | arguments))


def observed(name="pronounced", target=None, slots=5, members=50):
    """Members that were sent messages for some weeks, and what is seen of them."""
    population = Population(world(name), members, 3, 3)
    generator = np.random.default_rng(0)
    for _ in range(4):
        random_week(population, generator)
    for _ in range(slots):
        population.step(np.zeros(members, np.int64))
    targets = None if target is None else np.tile(np.array([target], np.int32), (members, 1))
    return population, opportunity_observation(population, targets)


def chances(executor, observations):
    with torch.no_grad():
        return (
            executor.policy.get_distribution(torch.as_tensor(observations))
            .distribution.probs.numpy()
        )  # fmt: skip


def disturbed(executor):
    """The same policy with a correction that is not 0."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weights in executor.policy.parameters():
            weights.add_(0.3 * torch.randn(weights.shape, generator=generator))
    return executor


def test_it_begins_as_the_exact_pacer_and_the_ranker():
    w = world("pronounced")
    ranker = UpliftRanker.with_weights(made_up(2))
    executor = tiny(ranker).untrained(w, 1, RandomPlanner(1))
    population, seen = observed(target=(4, 2), slots=6)  # an email slot, Wednesday
    assert w.schedule[6].channel == 1
    found = chances(executor, seen)
    may = population.opted_in[:, 1]
    assert_allclose(1 - found[may, 0], 2 / 5, atol=1e-5)
    best = observed_effects(w, ranker.weights, seen).argmax(axis=1)
    assert_array_equal(found[may, 1:].argmax(axis=1), best[may])
    assert_allclose(found[~may, 0], 1)
    assert not may.all()


def test_without_a_plan_and_a_ranker_it_begins_at_a_constant_rate_among_equals():
    executor = tiny(planned=False, send_share=0.3).untrained(world("pronounced"), seed=1)
    population, seen = observed()
    may = population.opted_in[:, population.world.schedule[population.slot].channel]
    wanted = [0.7, 0.075, 0.075, 0.075, 0.075]
    assert_allclose(chances(executor, seen)[may], np.tile(wanted, (may.sum(), 1)), atol=1e-5)


@pytest.mark.parametrize("name", ["pronounced", "in_app"])
@pytest.mark.parametrize("planned", [True, False])
def test_a_forbidden_send_has_no_chance_and_is_never_chosen(name, planned):
    w = world(name)
    planner = RandomPlanner(1) if planned else None
    executor = disturbed(tiny(planned=planned).untrained(w, 1, planner))
    target = [0] * len(w.channels) if planned else None
    population, seen = observed(name, target)
    channel = w.schedule[population.slot].channel
    found = chances(executor, seen)
    forbidden = np.full(50, planned) | ~population.opted_in[:, channel]
    assert (found[forbidden, 1:] == 0).all()
    assert (found[~forbidden, 1:] > 0).all()
    free = np.full((50, len(w.channels)), NO_CAP, np.int32)
    fresh = Population(w, 50, 4, 4)
    for _ in range(2):
        week = executor.run_week(fresh, free * (not planned))
        assert week.vetoed.sum() == 0
        assert week.sends.sum() == 0 or not planned


def test_candidates_are_judged_alike_wherever_they_stand():
    w = world("pronounced")
    executor = disturbed(
        tiny(UpliftRanker.with_weights(made_up(2)), planned=False).untrained(w, seed=1)
    )
    _, seen = observed()
    order, swapped = [2, 0, 3, 1], seen.copy()
    at = layout(w).candidates
    for j, other in enumerate(order):
        swapped[:, at[j]] = seen[:, at[other]]
    before, after = chances(executor, seen), chances(executor, swapped)
    assert np.ptp(before[:, 1:], axis=1).max() > 0.01
    assert_allclose(after[:, 0], before[:, 0], rtol=1e-4)
    assert_allclose(after[:, 1:], before[:, 1:][:, order], rtol=1e-3, atol=1e-7)


def test_a_coin_decides_whether_to_send_and_the_best_candidate_is_sent():
    executor = disturbed(tiny(planned=False).untrained(world("pronounced"), seed=1))
    _, seen = observed()
    masks, found = np.ones((50, 5), np.int8), chances(executor, seen)
    low, high = (executor.act(seen, masks, np.full(50, c, np.float32)) for c in (0.9999999, 0.0))
    assert (low == 0).all()
    sendable = found[:, 1:].sum(axis=1) > 1e-3
    assert_array_equal(high[sendable], found[sendable, 1:].argmax(axis=1) + 1)


def test_training_is_reproducible_and_starts_anew():
    w, planner = world("pronounced"), RandomPlanner(5)
    one = tiny().learn(w, planner, total_opportunities=2000, seed=3)
    twice = tiny().learn(w, planner, total_opportunities=1000, seed=4)
    twice.learn(w, planner, total_opportunities=2000, seed=3)
    other = tiny().learn(w, planner, total_opportunities=2000, seed=4)
    assert one.opportunities == 2048  # whole rollouts
    assert one.opportunities_before == 32 * 3 * 21
    for name, values in one.state().items():
        assert_array_equal(values, twice.state()[name])
    differs = [(values != other.state()[name]).any() for name, values in one.state().items()]
    assert any(differs)


def test_a_gradient_step_takes_a_whole_rollout_where_that_is_smaller_without_a_warning():
    w = world("pronounced")
    large, whole = (
        PPOExecutor(None, **TINY | {"batch_size": size, "planned": False})
        .learn(w, total_opportunities=1024, seed=3)
        .state()
        for size in (1500, 1024)
    )
    for name, values in whole.items():
        assert_array_equal(values, large[name])


def test_it_learns_to_hold_where_a_message_costs_a_day():
    dear = load_world("pronounced", {"reward.message_cost": 1})
    executor = PPOExecutor(
        planned=False, num_envs=128, weeks=4, n_steps=32, batch_size=512, n_epochs=4,
        learning_rate=0.005, gae_lambda=0.9, hidden=16,
    )  # fmt: skip
    free = np.full((300, 2), NO_CAP, np.int32)
    before = executor.untrained(dear).run_week(Population(dear, 300, 9, 9), free)
    executor.learn(dear, total_opportunities=50_000, seed=1)
    after = executor.run_week(Population(dear, 300, 9, 9), free)
    assert before.sends.sum() / 300 > 3
    assert after.sends.sum() < 0.1 * before.sends.sum()


def test_it_comes_back_from_its_state():
    w = world("pronounced")
    executor = disturbed(
        tiny(UpliftRanker.with_weights(made_up(2))).untrained(w, 1, RandomPlanner(1))
    )
    again = rebuilt(executor)
    one, other = (Population(w, 40, 9, 9) for _ in range(2))
    target = np.tile(np.array([[6, 3]], np.int32), (40, 1))
    for _ in range(2):
        week, same = executor.run_week(one, target), again.run_week(other, target)
        assert week.sends.sum() > 10
        assert_array_equal(week.reward, same.reward)


def test_with_the_coins_of_the_exact_pacer_it_begins_by_living_almost_the_same_weeks():
    w, ranker = world("deathless"), UpliftRanker.with_weights(made_up(2))
    stepwise = tiny(ranker).untrained(w, 1, RandomPlanner(1))
    one, other = (Population(w, 150, 9, 9) for _ in range(2))
    target = np.tile(np.array([[3, 1]], np.int32), (150, 1))
    for _ in range(3):
        week, same = (
            stepwise.run_week(one, target),
            PacedExecutor(ranker=ranker).run_week(other, target),
        )
        unlike = (week.sends != same.sends).any(axis=1)
        assert unlike.mean() < 0.15  # its chance of sending stays below .99


@pytest.mark.parametrize(
    "changes",
    [
        {"send_share": 0},
        {"planned": 3},
        {"hidden": "wide"},
        {"colour": 1},
        {"ranker": {}},
        {"hidden": 9},
    ],
)
def test_a_state_that_does_not_fit_is_refused_in_one_line(changes):
    w = world("pronounced")
    arrays: dict[str, np.ndarray] = {}
    node = to_node(tiny().untrained(w, 0, RandomPlanner(1)), "fast", arrays)
    if "ranker" in changes:
        node["parts"] |= changes
    else:
        node["settings"] |= changes
    with pytest.raises(ValueError, match=r"allowed|needed") as raised:
        from_node(node, "executor", w, "fast", arrays)
    assert "\n" not in str(raised.value)


def test_plans_are_read_by_who_was_made_for_them_and_by_nobody_else():
    w = world("pronounced")
    with pytest.raises(ValueError, match="planner is None and planned is True; both or neither"):
        tiny().learn(w, total_opportunities=100)
    with pytest.raises(ValueError, match="planned is False; both or neither"):
        tiny(planned=False).learn(w, FixedPlanner(w, (3, 1)), total_opportunities=100)
    with pytest.raises(ValueError, match="exactly one of them is needed"):
        tiny().learn(w, RandomPlanner(1))
    with pytest.raises(RuntimeError, match="no network; call learn or from_state first"):
        tiny().run_week(Population(w, 4), np.ones((4, 2), np.int32))
