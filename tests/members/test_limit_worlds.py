"""Worlds whose answer is known, at small size: the same members and luck under constant plans."""

from functools import cache
from itertools import pairwise

import numpy as np
import pytest

from slowfast_rl.members.loading import load_world
from slowfast_rl.members.population import Population
from slowfast_rl.members.world import World
from slowfast_rl.policies.executor import JittedExecutor
from tests.members.policies import play
from tests.members.worlds import world

Plan = tuple[int, int]
NEVER, MAXIMUM = (0, 0), (14, 7)
LADDER = (NEVER, (1, 0), (1, 1), (3, 1), (5, 2), (7, 3), MAXIMUM)


def week_of(w: World, plan: Plan) -> np.ndarray:
    """[S] actions of a plan, even over each channel's slots: always the first candidate."""
    actions = np.zeros(w.slots_per_week, np.int64)
    for c, target in enumerate(plan):
        slots = np.flatnonzero([slot.channel == c for slot in w.schedule])
        actions[slots[np.linspace(0, len(slots) - 1, target).round().astype(int)]] = 1
    return actions


def live(w: World, plan: Plan, num_members: int, weeks: int) -> tuple[np.ndarray, Population]:
    """Return [N] discounted returns of a constant plan and the population after it."""
    population = Population(w, num_members, luck_seed=1)
    actions = np.repeat(week_of(w, plan)[None, :, None], num_members, axis=2)
    total = np.zeros(num_members)
    for week in range(weeks):
        play(population, actions)
        total += w.reward.weekly_discount**week * population.last_week().reward
    return total, population


@cache
def returns(name: str, plan: Plan) -> np.ndarray:
    return live(world(name), plan, 1024, 26)[0]


def check_better(better: np.ndarray, worse: np.ndarray) -> None:
    """Paired over members, by four standard errors."""
    difference = better - worse
    assert difference.mean() > 4 * difference.std() / np.sqrt(len(difference))


def test_in_null_a_message_changes_nothing_but_costs() -> None:
    w = world("null")
    left_alone, quiet = live(w, NEVER, 500, 10)
    bothered, annoyed = live(w, MAXIMUM, 500, 10)
    for name in ("habit", "goodwill", "alive", "week"):
        assert np.array_equal(
            getattr(quiet.simulation.state, name), getattr(annoyed.simulation.state, name)
        )
    assert np.array_equal(quiet.last_week().views, annoyed.last_week().views)
    assert not annoyed.last_week().causal_opens.any()
    reached = annoyed.simulation.traits.opt_in_start.any(axis=1)
    assert (bothered[reached] < left_alone[reached] - 0.01).all()
    assert np.array_equal(bothered[~reached], left_alone[~reached])


@pytest.mark.parametrize("plan", LADDER[1:])
def test_in_null_never_is_best_for_every_member(plan: Plan) -> None:
    assert (returns("null", plan) <= returns("null", NEVER)).all()
    check_better(returns("null", NEVER), returns("null", plan))


@pytest.mark.parametrize("plan", LADDER[1:])
def test_in_costly_never_is_best(plan: Plan) -> None:
    """For nearly all members even with hindsight: a lucky send may keep one from churning."""
    assert (returns("costly", plan) <= returns("costly", NEVER)).mean() > 0.99
    check_better(returns("costly", NEVER), returns("costly", plan))


@pytest.mark.parametrize(("less", "more"), list(pairwise(LADDER)))
def test_in_no_fatigue_more_is_better(less: Plan, more: Plan) -> None:
    check_better(returns("no_fatigue", more), returns("no_fatigue", less))


def test_in_no_fatigue_nobody_leaves_or_tires() -> None:
    w = world("no_fatigue")
    _, population = live(w, MAXIMUM, 500, 10)
    assert population.simulation.state.fatigue.min(axis=1).max() > 1  # it grows, and does nothing
    assert (population.simulation.state.goodwill == 1).all()
    assert population.opted_in[population.simulation.traits.opt_in_start == 1].all()


def test_in_homogeneous_no_group_of_members_prefers_another_plan() -> None:
    w = world("homogeneous")
    n = 3000
    gain = live(w, MAXIMUM, n, 12)[0] - live(w, (3, 1), n, 12)[0]
    traits = live(w, NEVER, n, 1)[1].simulation.traits
    for values in (*traits.taste.T, *traits.opt_out_frailty.T):
        upper = values > np.median(values)
        error = gain.std() * np.sqrt(1 / upper.sum() + 1 / (~upper).sum())
        assert abs(gain[upper].mean() - gain[~upper].mean()) < 4 * error


def test_in_homogeneous_nobody_opts_out() -> None:
    _, population = live(world("homogeneous"), MAXIMUM, 1000, 12)
    assert population.opted_in.all()
    assert population.alive.mean() > 0.5


def test_in_two_type_who_tires_wants_nothing_and_who_does_not_wants_all() -> None:
    by_plan = np.stack([returns("two_type", plan) for plan in LADDER])
    sensitivity = Population(world("two_type"), 1024).simulation.traits.fatigue_sensitivity
    tiring = sensitivity == 5
    assert 120 < tiring.sum() < 220
    for plan in range(1, len(LADDER)):
        check_better(by_plan[0][tiring], by_plan[plan][tiring])
    for plan in range(len(LADDER) - 1):
        check_better(by_plan[-1][~tiring], by_plan[plan][~tiring])


def test_always_sending_returns_less_the_more_members_opt_out() -> None:
    """With the default executor: random candidates are worth less than being left alone."""
    by_hazard = []
    for hazard in (0.0005, 0.001, 0.002):
        w = load_world("pronounced", {"opt_out.hazard": hazard})
        population, executor = Population(w, 4096, luck_seed=1), JittedExecutor()
        target = np.tile(np.array(MAXIMUM, np.int32), (4096, 1))
        rewards = [executor.run_week(population, target).reward for _ in range(52)]
        by_hazard.append(w.reward.weekly_discount ** np.arange(52) @ np.array(rewards))
    check_better(by_hazard[0], by_hazard[1])
    check_better(by_hazard[1], by_hazard[2])


def test_a_member_left_alone_settles_near_its_base_rate() -> None:
    """Within about 3 % where launches do not lift viewing; churn is off, so that all stay."""
    w = load_world("pronounced", {"churn.floor": 0, "churn.scale": 0, "organic.launch_weight": 0})
    population = Population(w, 4096, luck_seed=1)
    hold = np.zeros((1, 21, 4096), np.int64)
    days = np.zeros(4096)
    for _ in range(78):
        play(population, hold)
        days += population.last_week().viewing_days
    viewing, x = days / (78 * 7), population.simulation.traits.base_rate
    assert viewing.mean() == pytest.approx(x.mean(), rel=0.02)
    for fifth in np.array_split(np.argsort(x), 5):
        assert viewing[fifth].mean() == pytest.approx(x[fifth].mean(), rel=0.035)
    assert np.corrcoef(viewing, x)[0, 1] > 0.97


def test_fatigue_fades_after_silence_with_its_half_life() -> None:
    w = world("deathless")
    _, population = live(w, MAXIMUM, 200, 6)
    tired = population.simulation.state.fatigue.copy()
    assert tired.mean() > 3
    for _ in range(3):
        play(population, np.zeros((1, 21, 200), np.int64))
    left = population.simulation.state.fatigue / np.where(tired, tired, 1)
    assert left[tired > 0] == pytest.approx(np.exp(-21 / 15), rel=1e-5)


def test_goodwill_comes_back_after_silence() -> None:
    w = world("deathless")
    _, population = live(w, MAXIMUM, 200, 6)
    lost = 1 - population.simulation.state.goodwill
    assert lost.max() > 0.05
    play(population, np.zeros((1, 21, 200), np.int64))
    regained = 1 - population.simulation.state.goodwill
    assert regained == pytest.approx(lost * (1 - 1 / 120) ** 7, abs=1e-5)
