"""The block driver gives the bits of the scalar driver, for any policy, world and thread count."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from slowfast_rl.fast.affinity import AffinityRanker
from slowfast_rl.fast.affinity import Weights as AffinityWeights
from slowfast_rl.fast.bid_price import BidPricePacer
from slowfast_rl.fast.coin import CoinPacer
from slowfast_rl.fast.executor import ExactPacer, PacedExecutor, QualityRanker
from slowfast_rl.fast.threshold import ThresholdPacer
from slowfast_rl.fast.uplift import UpliftRanker
from slowfast_rl.members import driver, threads
from slowfast_rl.members.block_policy import block_form_of
from slowfast_rl.members.loading import world_from_tree
from slowfast_rl.members.opportunity import FastPolicy
from slowfast_rl.members.population import Population
from slowfast_rl.members.scratch import BLOCK
from slowfast_rl.members.state import empty_events
from slowfast_rl.members.world import World
from slowfast_rl.policies.contracts import BasePacer, BaseRanker
from slowfast_rl.policies.day_weights import week_weights
from slowfast_rl.policies.guard import guard, pack_plans
from tests.configurations.generate import SHAPES, configuration, generated
from tests.members.policies import (
    allow_up_to_rows,
    indifferent_pace,
    scripted_rank,
    watch,
)
from tests.members.populations import check_same
from tests.members.worlds import world

MEMBERS = BLOCK + 44  # a whole block and a part of one


class OwnRanker(BaseRanker):
    """A ranker of a user, without a block form."""

    name = "own"

    @staticmethod
    def score(opportunity, topic, quality, launch, log, ranking):
        return quality - log.by_topic[opportunity.row, topic, 0] + launch


class OwnPacer(BasePacer):
    """A pacer of a user, without a block form."""

    name = "own"

    @staticmethod
    def pace(opportunity, plan_rows, pacing):
        wanted = plan_rows[opportunity.row, 2 * opportunity.channel] - opportunity.sent
        return -0.5, wanted, opportunity.slots_left


def bid_price(num_channels: int) -> BidPricePacer:
    return BidPricePacer.with_quantiles([np.linspace(-1, 2, 50).tolist()] * num_channels)


def affinity() -> AffinityRanker:
    ranker = AffinityRanker()
    ranker.learned = AffinityWeights(4.0, 1.0, 0.3, 0.5, -0.3, -0.2)
    return ranker


PACERS = {
    "exact": lambda _: ExactPacer(),
    "bid price": bid_price,
    "coin": lambda _: CoinPacer(),
    "threshold": lambda _: ThresholdPacer(threshold=0.02),
    "own": lambda _: OwnPacer(),
}
RANKERS = {
    "quality": QualityRanker, "affinity": affinity, "uplift": UpliftRanker, "own": OwnRanker,
}  # fmt: skip


def scalar_week(population: Population, policy: FastPolicy, may, plan_rows) -> None:
    """Simulate a week by the scalar driver."""
    population.keep_calendar()
    k = population.world.num_candidates
    candidates = np.empty(k, np.uint8), np.empty(k, np.float32)
    driver.run_week(
        population.simulation, policy.pace, policy.rank, may, plan_rows, policy.pacing,
        policy.ranking, *candidates, empty_events(1),
    )  # fmt: skip


def check_weeks(
    w: World, pacer: BasePacer, ranker: BaseRanker, weeks: int = 3, seed: int = 0, **arguments
) -> Population:
    """Simulate weeks by both drivers, of members in different weeks, and compare all bits."""
    one = Population(w, MEMBERS, seed, seed, **arguments)
    rng, executor = np.random.default_rng(seed), PacedExecutor(pacer, ranker)
    for week in range(weeks):
        one.restart(rng.random(MEMBERS) < 0.3)
        other = one.clone()
        chosen = rng.integers(len(w.plans), size=MEMBERS)
        target, shape = w.plans[chosen], w.plan_shapes[chosen]
        cap = target - (rng.random(target.shape) < 0.2)
        plan_rows = pack_plans(target, cap.astype(np.int32), shape)
        policy = executor.fast_policy(w, week_weights(one, shape))
        scalar_week(one, policy, guard, plan_rows)
        other.run_week(policy, guard, plan_rows)
        check_same(one, other)
        assert_array_equal(one.simulation.ledger, other.simulation.ledger, f"week {week}")
    return one


@pytest.mark.parametrize("ranker", RANKERS)
@pytest.mark.parametrize("pacer", PACERS)
def test_every_pacer_and_ranker_decides_the_same_in_blocks(pacer, ranker):
    for name in ("eventful", "shaped", "in_app"):
        w = world(name)
        lived = check_weeks(w, PACERS[pacer](len(w.channels)), RANKERS[ranker]())
        assert lived.simulation.log.by_channel[:, :, :4].any()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("reward", ["expected", "sampled"])
def test_every_shape_of_a_world_has_the_same_weeks_in_blocks(shape, reward):
    w = generated(shape)
    for pacer in PACERS.values():
        check_weeks(w, pacer(len(w.channels)), affinity(), weeks=2, reward=reward)
    for ranker in RANKERS.values():
        check_weeks(w, ExactPacer(), ranker(), weeks=2, reward=reward)


@given(seed=st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_any_world_has_the_same_weeks_in_blocks(seed):
    try:
        w = world_from_tree(configuration(seed), "generated")
    except ValueError:
        return
    pacer = list(PACERS.values())[seed % len(PACERS)](len(w.channels))
    ranker = list(RANKERS.values())[seed % len(RANKERS)]()
    check_weeks(w, pacer, ranker, weeks=2, seed=seed)


def test_sends_are_vetoed_and_ignored_alike():
    w, slots = world("eventful"), world("eventful").slots_per_week
    for may in (allow_up_to_rows, guard):
        one = Population(w, MEMBERS)
        for _ in range(3):
            other = one.clone()
            rows = np.tile(np.array([3, 2, 2, 1, 0], np.int32), (MEMBERS, 1))
            script = np.concatenate([[slots], np.arange(MEMBERS * slots) % 4]).astype(np.float32)
            policy = FastPolicy(indifferent_pace, scripted_rank, np.zeros(1, np.float32), script)
            scalar_week(one, policy, may, rows)
            other.run_week(policy, may, rows)
            check_same(one, other)
            assert_array_equal(one.simulation.ledger, other.simulation.ledger)
        assert one.last_week().vetoed.any()


@pytest.mark.parametrize("name", ["eventful", "in_app"])  # whose first slot is later than Monday
def test_a_scalar_ranker_sees_the_same_in_blocks(name):
    w = world(name)
    notes = []
    for simulate in (scalar_week, Population.run_week):
        members = Population(w, MEMBERS, 3, 3)
        noted = np.zeros(8 * MEMBERS * w.slots_per_week * 2, np.float32)
        policy = FastPolicy(indifferent_pace, watch, np.array([-1], np.float32), noted)
        for _ in range(2):
            simulate(
                members,
                policy,
                guard,
                pack_plans(*[np.full((MEMBERS, len(w.channels)), 99, np.int32)] * 2),
            )
        notes.append(noted)
    assert notes[0].any()
    assert_array_equal(*notes)


def test_the_members_of_a_population_live_the_same_in_any_number_of_threads():
    w, found = world("eventful"), []
    for number in (1, 2, 3, 7):
        threads.set_num_threads(number)
        try:
            members = Population(w, 5000, 1, 1)
            for _ in range(3):
                PacedExecutor(CoinPacer(), affinity()).run_week(
                    members, np.full((5000, 2), 3, np.int32)
                )
        finally:
            threads.set_num_threads(None)
        found.append(members)
    for other in found[1:]:
        check_same(found[0], other)


def test_the_policies_of_the_library_have_a_block_form():
    for make in (ExactPacer, lambda: bid_price(2), CoinPacer, ThresholdPacer, QualityRanker):
        assert block_form_of(make().function, None) is not None
    assert block_form_of(affinity().function, None) is not None
    assert block_form_of(guard, None) is not None


def test_an_error_in_one_thread_reaches_the_caller_after_all_have_ended():
    ended = []

    def work(start: int, stop: int) -> None:
        if start:
            raise RuntimeError("out of order")
        ended.append(stop)

    threads.set_num_threads(2)
    try:
        with pytest.raises(RuntimeError, match="out of order"):
            threads.for_row_shards(work, 10_000)
    finally:
        threads.set_num_threads(None)
    assert ended == [5000]


@pytest.mark.parametrize("number", [0, -1, 1025, 1.5, True, "2"])
def test_a_number_of_threads_that_is_not_allowed_is_refused(number):
    with pytest.raises(ValueError, match="num_threads"):
        threads.set_num_threads(number)
