"""Populations that keep beliefs, and made-up weeks for filters."""

import numpy as np

from slowfast_rl.members.beliefs import BeliefFilter, Beliefs
from slowfast_rl.members.population import Population
from slowfast_rl.members.state import DISMISSALS, LAST, OPENS, SENDS, Log, empty_log
from slowfast_rl.members.world import World
from slowfast_rl.policies import default_executor
from tests.members.worlds import world


def believing(name: str = "eventful", num_members: int = 40, **arguments: int) -> Population:
    w = world(name)
    return Population(w, num_members, **{"luck_seed": 6} | arguments, belief_filter=BeliefFilter(w))


def check_same_beliefs(one: Population, other: Population, rows: object = slice(None)) -> None:
    """Bit for bit: one's rows are believed to be what other's members are."""
    for name, table in one.beliefs.tables._asdict().items():
        assert np.array_equal(table[rows], getattr(other.beliefs.tables, name)), name


def week_of(
    num_members: int,
    num_channels: int = 2,
    *,
    sends: object = 0,
    opens: object = 0,
    dismissals: object = 0,
    views: object = 0,
) -> Log:
    """Logs whose last week holds these counts; per channel [N, C] or alike, views [N] or alike."""
    log = empty_log(num_members, num_channels, 0)
    for first, counts in ((SENDS, sends), (OPENS, opens), (DISMISSALS, dismissals)):
        log.by_channel[:, :, first + LAST] = counts
    log.by_member[:, LAST] = views
    return log


def seen(w: World, *weeks: Log) -> Beliefs:
    """What is believed after some weeks."""
    beliefs = Beliefs(BeliefFilter(w), len(weeks[0].by_member))
    for log in weeks:
        beliefs.update(log, np.ones(len(log.by_member), np.uint8))
    return beliefs


def told(beliefs: Beliefs) -> dict[str, np.ndarray]:
    """The signals by name, without their prefix, [N] each."""
    names = [feature.name.removeprefix("belief_") for feature in beliefs.filter.features]
    return dict(zip(names, beliefs.observations().T, strict=True))


def live_under_random_plans(population: Population, weeks: int, seed: int = 3) -> None:
    generator, plans = np.random.default_rng(seed), population.world.plans
    for _ in range(weeks):
        target = plans[generator.integers(0, len(plans), population.num_members)]
        default_executor().run_week(population, target)
