"""Any configuration is refused in one line, or simulated with finite numbers and all rules kept.

`make test` runs 200 configurations, `make test-configs` runs 10,000.
"""

from collections import Counter

import numpy as np
import pytest

from slowfast_rl.members.beliefs import BeliefFilter
from slowfast_rl.members.loading import world_from_tree
from slowfast_rl.members.observations import opportunity_observation, weekly_observation
from slowfast_rl.members.population import Population
from slowfast_rl.members.state import Week
from slowfast_rl.members.world import World
from slowfast_rl.policies.executor import JittedExecutor
from tests.configurations.generate import SHAPES, configuration
from tests.members.policies import play, play_weeks, random_actions
from tests.members.populations import check_same

MEMBERS, WEEKS = 3, 2
FEW, MANY, PART = 200, 10_000, 500


def check_finite(population: Population) -> None:
    """Every number of state, traits, log, ledger, beliefs and observations is finite."""
    simulation = population.simulation
    tables = [*simulation.state, *simulation.traits, *simulation.log, simulation.ledger]
    tables += [simulation.launches, weekly_observation(population, privileged=True)]
    tables.append(opportunity_observation(population, privileged=True))
    if population.beliefs is not None:
        tables += [*population.beliefs.tables, population.beliefs.observations()]
    for table in tables:
        assert np.isfinite(table).all()


def check_probabilities(population: Population, week: Week) -> None:
    """What is a probability, a share or a sum of a week's probabilities is within its bounds."""
    state = population.simulation.state
    for share in (state.p_day, state.habit, state.goodwill):
        assert ((share >= 0) & (share <= 1)).all()
    # Expected views are counted at each slot until the first view that is drawn.
    most = (population.world.slots_per_week + 7) * 1.0001
    assert ((week.views >= 0) & (week.views <= most)).all()
    assert (week.causal_opens >= 0).all()
    assert (week.causal_opens <= week.sends.sum(axis=1) * 1.0001).all()
    assert (week.viewing_days <= 7).all()


def check_plans_are_kept(world: World, seed: int) -> None:
    """No cap is passed, and who left a channel before the week gets nothing there."""
    members = Population(world, MEMBERS, seed, seed, belief_filter=BeliefFilter(world))
    executor, rng = JittedExecutor(), np.random.default_rng(seed)
    check_finite(members)
    for _ in range(WEEKS):
        chosen = rng.integers(len(world.plans), size=MEMBERS)
        target, opted_in = world.plans[chosen], members.opted_in
        week = executor.run_week(members, target, shape=world.plan_shapes[chosen])
        assert (week.sends <= target).all()
        assert not week.sends[~opted_in].any()
        assert all(np.isfinite(numbers).all() for numbers in week)
        check_finite(members)
        check_probabilities(members, week)


def check_both_drivers_agree(world: World, seed: int) -> None:
    """Steps and fused weeks leave the same members, bit for bit."""
    reward = ("expected", "sampled")[seed % 2]
    stepped, fused = (Population(world, MEMBERS, seed, seed, reward=reward) for _ in range(2))
    actions = random_actions(stepped, WEEKS, seed)
    rewards = play(stepped, actions).sum(axis=1)
    assert rewards == pytest.approx(np.array(play_weeks(fused, actions)), rel=1e-5, abs=1e-3)
    check_same(stepped, fused)
    check_finite(stepped)


def check(seed: int) -> str:
    """Check one configuration; return whether it was simulated or refused."""
    tree = configuration(seed)
    try:
        world = world_from_tree(tree, "generated")
    except ValueError as error:
        refused = str(error)
    else:
        check_plans_are_kept(world, seed)
        check_both_drivers_agree(world, seed)
        return "simulated"
    assert "\n" not in refused
    assert len(refused) < 500
    return "refused"


def check_all(seeds: range) -> None:
    found: Counter[str] = Counter()
    for seed in seeds:
        try:
            found[check(seed)] += 1
        except Exception as error:
            error.add_note(f"This is configuration({seed}).")
            raise
    assert found["refused"] > len(seeds) / 10
    assert found["simulated"] > len(seeds) / 2


def test_every_one_of_twelve_shapes_is_simulated() -> None:
    assert len(SHAPES) == 12
    for number in range(12):
        assert "simulated" in [check(number + 12 * turn) for turn in range(2)]


@pytest.mark.parametrize("part", range(4))
def test_a_configuration_is_refused_or_simulated_with_all_rules_kept(part: int) -> None:
    size = FEW // 4
    check_all(range(part * size, (part + 1) * size))


@pytest.mark.configs
@pytest.mark.parametrize("part", range(MANY // PART))
def test_ten_thousand_configurations_are_refused_or_simulated(part: int) -> None:
    check_all(range(part * PART, (part + 1) * PART))
