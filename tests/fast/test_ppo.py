import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from slowfast_rl.fast import (
    AffinityRanker,
    BidPricePacer,
    CoinPacer,
    ExactPacer,
    PacedExecutor,
    PPOExecutor,
    QualityRanker,
    UpliftRanker,
)
from slowfast_rl.fast.ppo_network import layout
from slowfast_rl.fast.prior import typical_scale
from slowfast_rl.fast.proposals import propose
from slowfast_rl.members.loading import load_world
from slowfast_rl.members.observations import opportunity_observation
from slowfast_rl.members.population import Population
from slowfast_rl.policies.component_files import from_node, to_node
from slowfast_rl.policies.guard import NO_CAP
from slowfast_rl.policies.plan_exchange import plan_request
from slowfast_rl.slow import FixedPlanner, RandomPlanner
from tests.fast.cases import random_week, rebuilt
from tests.fast.test_decide import made_up
from tests.members.worlds import world
from tests.slow.cases import budget, learned

TINY = {"num_envs": 32, "weeks": 4, "n_steps": 32, "batch_size": 256, "hidden": 8}


def tiny(ranker=None, pacer=None, **arguments):
    return PPOExecutor(pacer, ranker, **(TINY | arguments))


def uncorrected(executor, w):
    """The executor with a network whose corrections are 0."""
    env = executor._env(w, RandomPlanner(1) if executor.planned else None, 1, 32)
    seen = executor._met(env, 1)
    executor.policy = executor._network(w, typical_scale(executor._prior(w), seen), 1)
    return executor


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


def test_before_it_learns_its_chances_are_those_of_the_exact_pacer_and_the_ranker():
    w = world("pronounced")
    ranker = UpliftRanker.with_weights(made_up(2))
    executor = uncorrected(tiny(ranker), w)
    population, seen = observed(target=(4, 2), slots=6)  # an email slot, Wednesday
    assert w.schedule[6].channel == 1
    found = chances(executor, seen)
    may = population.opted_in[:, 1]
    assert_allclose(1 - found[may, 0], 2 / 5, atol=2e-3)  # a little is left to explore
    best = propose(w, None, ranker, seen).scores.argmax(axis=1)
    assert_array_equal(found[may, 1:].argmax(axis=1), best[may])
    assert_allclose(found[~may, 0], 1, atol=1e-5)
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
    executor = disturbed(uncorrected(tiny(planned=planned), w))
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
    total = budget(tiny(), w)
    assert total == 32 * (3 * 21 + 4 * 32)
    one = tiny().learn(w, planner, total_opportunities=total - 30, seed=3)
    assert one.opportunities == 31 * (3 * 21 + 4 * 32)  # fewer members
    one.learn(w, planner, total_opportunities=total, seed=3)
    twice = tiny().learn(w, planner, total_opportunities=1000, seed=4)
    twice.learn(w, planner, total_opportunities=total, seed=3)
    other = tiny().learn(w, planner, total_opportunities=total, seed=4)
    assert one.opportunities == total
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
    learned(executor, dear, rounds=12, seed=1)
    after = executor.run_week(Population(dear, 300, 9, 9), free)
    assert before.sends.sum() / 300 > 3
    assert after.sends.sum() < 0.1 * before.sends.sum()


def test_it_comes_back_from_its_state():
    w = world("pronounced")
    executor = disturbed(uncorrected(tiny(UpliftRanker.with_weights(made_up(2))), w))
    again = rebuilt(executor)
    one, other = (Population(w, 40, 9, 9) for _ in range(2))
    target = np.tile(np.array([[6, 3]], np.int32), (40, 1))
    for _ in range(2):
        week, same = executor.run_week(one, target), again.run_week(other, target)
        assert week.sends.sum() > 10
        assert_array_equal(week.reward, same.reward)


@pytest.mark.parametrize(
    ("pacer", "ranker"),
    [(BidPricePacer, AffinityRanker), (CoinPacer, UpliftRanker), (ExactPacer, QualityRanker)],
)
def test_with_corrections_of_0_it_makes_the_very_decisions_of_its_pacer_and_ranker(pacer, ranker):
    w = world("deathless")
    small = {"num_members": 64, "weeks": 10}
    made = (
        pacer(**small) if pacer is BidPricePacer else pacer(),
        ranker(**small) if ranker is not QualityRanker else ranker(),
    )
    executor = tiny(made[1], made[0]).prepare(w, 2)
    paced = PacedExecutor(*made)
    alike = [executor, uncorrected(tiny(made[1], made[0]), w), paced]
    targets = RandomPlanner(3)
    populations = [Population(w, 150, 9, 9) for _ in alike]
    for _ in range(3):
        plans = w.plans[targets.plan(plan_request(populations[0]))].astype(np.int32)
        weeks = [e.run_week(p, plans) for e, p in zip(alike, populations, strict=True)]
        assert weeks[0].sends.sum() > 100
        for week in weeks[1:]:
            assert_array_equal(week.sends, weeks[0].sends)
            assert_array_equal(week.reward, weeks[0].reward)


def test_training_within_plans_corrects_what_it_begins_as_and_a_warm_start_goes_on():
    w, planner = world("pronounced"), RandomPlanner(5)
    executor = PPOExecutor(
        BidPricePacer(num_members=64, weeks=10), AffinityRanker(num_members=64, weeks=10), **TINY
    )
    learned(executor, w, planner, seed=1)
    logs = executor.ranker.opportunities + executor.pacer.opportunities
    assert executor.opportunities == logs + budget(executor, w)
    first, quantiles = executor.state(), executor.pacer.quantiles
    assert quantiles
    learned(executor, w, planner, seed=2, warm_start=True)
    assert executor.pacer.quantiles == quantiles
    assert executor.opportunities == budget(executor, w)
    assert_array_equal(
        executor.state()["features_extractor.centre"], first["features_extractor.centre"]
    )
    assert (executor.state()["action_net.margin.weight"] != first["action_net.margin.weight"]).any()


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
    node = to_node(uncorrected(tiny(), w), "fast", arrays)
    if "ranker" in changes:
        node["parts"] |= changes
    else:
        node["settings"] |= changes
    with pytest.raises(ValueError, match=r"allowed|needed") as raised:
        from_node(node, "executor", w, "fast", arrays)
    assert "\n" not in str(raised.value)


def test_plans_are_read_by_who_was_made_for_them_and_by_nobody_else():
    w = world("pronounced")
    with pytest.raises(ValueError, match="planner is None and planned is True; allowed"):
        tiny().learn(w, total_opportunities=100)
    with pytest.raises(ValueError, match="planned is False; allowed"):
        tiny(planned=False).learn(w, FixedPlanner(w, (3, 1)), total_opportunities=100)
    with pytest.raises(ValueError, match="exactly one of them is needed"):
        tiny().learn(w, RandomPlanner(1))
    with pytest.raises(RuntimeError, match="no network; call learn or load first"):
        tiny(planned=False).run_week(Population(w, 4), np.ones((4, 2), np.int32))


def test_an_episode_of_one_week_needs_no_warm_up():
    w = world("pronounced")
    executor = tiny(planned=False, weeks=1).learn(w, total_opportunities=4000)
    assert executor.opportunities == executor.schedule(w, 4000).opportunities
