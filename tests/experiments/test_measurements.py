"""The measurements behind the properties, on numbers with known answers."""

import numpy as np
import pytest

from slowfast_rl.evaluation.protocol import REFERENCE_POPULATION, EvaluationProtocol
from slowfast_rl.evaluation.statistics import mean_interval, ratio_interval
from slowfast_rl.evaluation.world.properties import best_plan, by_fifth, crossover, lead, share
from slowfast_rl.evaluation.world.sweeps import CHECK_POPULATION, Sweep, check_protocol, sweep
from slowfast_rl.members.loading import load_world

PLANS = np.array([[0, 0], [5, 2], [14, 7]], np.int32)


def made_up(returns: np.ndarray, curve: np.ndarray | None = None) -> Sweep:
    """Return a sweep of three plans with given returns [3, N] at a horizon of one week."""
    num_plans, n = returns.shape
    counts = np.ones((num_plans, n, 2))
    return Sweep(
        plans=PLANS,
        curve=returns.mean(axis=1)[:, None] if curve is None else curve,
        returns={1: returns},
        views=returns,
        sends=counts,
        opens=counts,
        responses=np.tile(np.linspace(0, 1, n), (num_plans, 1)),
        left=counts,
        opted_in=np.ones((n, 2)),
        base_rate=np.linspace(0, 1, n, dtype=np.float32),
        sensitivity=np.ones(n, np.float32),
    )


def test_a_share_has_the_ratio_as_mean_and_the_delta_methods_interval() -> None:
    rng = np.random.default_rng(0)
    sends = rng.integers(0, 9, 500).astype(float)
    opens = rng.binomial(sends.astype(int), 0.2).astype(float)
    expected = ratio_interval(opens, sends)
    assert expected is not None
    assert mean_interval(share(opens, sends)) == pytest.approx(expected)


def test_a_lead_found_in_noise_is_not_rewarded() -> None:
    noise = np.random.default_rng(0).normal(size=(63, 400))
    everyone = np.ones(400, bool)
    best, reference = int(noise.mean(axis=1).argmax()), 0
    assert mean_interval(noise[best] - noise[reference]).low > 0
    interval = lead(noise, everyone, reference)
    assert interval.low < 0 < interval.high


def test_a_real_lead_is_measured_in_full() -> None:
    returns = np.tile([[0.0], [1.0], [0.5]], (1, 100))
    best = best_plan(made_up(returns), 1)
    assert best.plan == (5, 2)
    assert best.interior
    assert not best.is_maximum
    assert (best.over_never.mean, best.over_maximum.mean) == (1.0, 0.5)
    assert (best.next_plan, best.over_next.mean) == ((14, 7), 0.5)


def test_the_maximum_is_not_interior() -> None:
    best = best_plan(made_up(np.tile([[0.0], [0.5], [1.0]], (1, 100))), 1)
    assert best.is_maximum
    assert not best.interior


def test_crossover_is_the_horizon_from_which_the_maximum_is_no_longer_best() -> None:
    returns = np.zeros((3, 10))
    curve = np.array([[0, 0, 0, 0], [0, 2, 2, 5], [1, 1, 3, 3]], float)
    assert crossover(made_up(returns, curve)) == 4
    assert crossover(made_up(returns, curve[:, :3])) is None
    assert crossover(made_up(returns, curve[[2, 1, 0]])) == 1


def test_fifths_that_need_opposite_plans_are_told_apart() -> None:
    x = np.linspace(-1, 1, 200)
    groups = by_fifth(made_up(np.stack([x, 0 * x, -x])), x.astype(np.float32), 1, (5, 2))
    assert groups.plans[0] == (14, 7)
    assert groups.plans[-1] == (0, 0)
    assert groups.differs
    assert groups.lowest_responds_least


def test_checks_use_members_of_their_own() -> None:
    protocol = check_protocol(8, 1)
    assert CHECK_POPULATION not in (EvaluationProtocol().population_seed, REFERENCE_POPULATION)
    assert protocol.population_seed == protocol.luck_seed == CHECK_POPULATION


def test_a_plans_life_does_not_depend_on_the_plans_beside_it() -> None:
    world, protocol = load_world("pronounced"), check_protocol(16, 4, 2, lucks=2)
    alone, untimed = sweep(world, protocol, PLANS[1:2]), sweep(world, protocol, PLANS)
    assert np.array_equal(alone.returns[4][0], untimed.returns[4][1])
    assert np.array_equal(alone.sends[0], untimed.sends[1])
    assert alone.curve[0] == pytest.approx(untimed.curve[1])
    assert alone.curve[0, 3] == pytest.approx(alone.returns[4][0].mean())
    assert not untimed.sends[0].any()
    assert np.all(alone.left <= alone.opted_in)
