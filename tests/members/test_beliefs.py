"""What is believed of a member depends on its own log alone, and stays a belief whatever comes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from slowfast_rl.members.beliefs import BeliefFilter, Beliefs
from slowfast_rl.members.loading import load_world, world_names
from slowfast_rl.members.observations import bounds, weekly_features, weekly_observation
from slowfast_rl.members.population import Population, branch
from slowfast_rl.policies import default_executor
from tests.members.beliefs import (
    believing,
    check_same_beliefs,
    live_under_random_plans,
    seen,
    told,
    week_of,
)
from tests.members.policies import play, play_weeks, random_actions
from tests.members.populations import check_same
from tests.members.worlds import world

WORLDS = [*world_names(), "in_app", "eventful"]
WEEKS = 3


class TestTheSameBeliefs:
    """In any batch, shard, driver, clone."""

    @pytest.mark.parametrize("name", ["pronounced", "in_app", "eventful"])
    def test_a_member_is_believed_the_same_in_batches_of_1_7_and_600(self, name: str) -> None:
        many = believing(name, 600)
        actions = random_actions(many, WEEKS)
        play(many, actions)
        for first, size in ((0, 1), (599, 1), (200, 7)):
            rows = slice(first, first + size)
            few = believing(name, size, first_member=first)
            play(few, actions[:, :, rows])
            check_same_beliefs(many, few, rows)
            assert_array_equal(many.beliefs.observations()[rows], few.beliefs.observations())

    def test_both_drivers_lead_to_the_same_beliefs(self) -> None:
        stepped, fused = believing(), believing()
        actions = random_actions(stepped, WEEKS)
        play(stepped, actions)
        play_weeks(fused, actions)
        check_same_beliefs(stepped, fused)

    def test_in_the_middle_of_a_week_beliefs_stand_still(self) -> None:
        population, hold = believing(), np.ones(40, np.int64)
        begun = population.clone()
        for _ in range(population.world.slots_per_week - 1):
            population.step(hold)
            check_same_beliefs(begun, population)
        population.step(hold)
        assert not np.array_equal(begun.beliefs.observations(), population.beliefs.observations())

    def test_clones_shards_and_branches_are_believed_the_same_and_go_on_alike(self) -> None:
        whole = believing()
        actions = random_actions(whole, 2)
        play(whole, actions[:1])
        shard, clone, part = whole.shard(10, 25), whole.clone(), whole.take(slice(3, 9))
        branches = branch(whole.shard(0, 5), 3)
        untouched = whole.clone()
        for other, columns in (
            (shard, slice(10, 25)),
            (clone, slice(None)),
            (part, slice(3, 9)),
            (branches, np.repeat(np.arange(5), 3)),
        ):
            check_same_beliefs(whole, other, columns)
        play(shard, actions[1:, :, 10:25])
        play(part, actions[1:, :, 3:9])
        play(branches, np.repeat(actions[1:, :, :5], 3, axis=2))
        check_same_beliefs(whole, untouched)
        play(whole, actions[1:])
        check_same_beliefs(whole, shard, slice(10, 25))
        check_same_beliefs(whole, part, slice(3, 9))
        check_same_beliefs(whole, branches, np.repeat(np.arange(5), 3))
        check_same_beliefs(untouched, clone)

    def test_keeping_beliefs_changes_no_life(self) -> None:
        believed, plain = believing(), Population(world("eventful"), 40, luck_seed=6)
        actions = random_actions(plain, WEEKS)
        play(believed, actions)
        play(plain, actions)
        check_same(plain, believed)
        assert plain.beliefs is None

    def test_the_weeks_signals_tell_all_that_beliefs_need(self) -> None:
        population = believing("in_app")
        w = population.world
        served = Beliefs(BeliefFilter(w), 40)
        actions = random_actions(population, WEEKS)
        for week in range(WEEKS):
            play(population, actions[week : week + 1])
            living = population.alive
            served.update_from_observations(weekly_observation(population))
        assert living.sum() > 20
        for mine, theirs in zip(served.tables, population.beliefs.tables, strict=True):
            assert_array_equal(mine[living], theirs[living])


class TestEpisodes:
    """Beliefs begin and end with their member."""

    def test_a_new_member_is_believed_to_be_new(self) -> None:
        population, fresh = believing(), believing()
        play(population, random_actions(population, 2))
        before = population.clone()
        rows, others = np.array([3, 17]), np.delete(np.arange(40), [3, 17])
        population.restart(rows)
        check_same_beliefs(fresh, population.take(rows), rows)
        check_same_beliefs(before, population.take(others), others)
        for seed in (None, 5):
            live_under_random_plans(population, 1)
            population.reset(seed)
            check_same_beliefs(fresh, population)

    def test_beliefs_about_the_churned_stay_as_they_are(self) -> None:
        population = believing(num_members=200)
        play(population, random_actions(population, 3))
        dead = ~population.alive
        before = population.clone()
        assert 5 < dead.sum() < 195
        play(population, random_actions(population, 2, seed=1))
        check_same_beliefs(before.take(dead), population.take(dead))
        lived = population.alive
        moved = before.beliefs.tables.habit != population.beliefs.tables.habit
        assert_array_equal(moved[lived], True)

    def test_the_week_of_the_churn_is_not_taken_in(self) -> None:
        doomed = load_world("pronounced", {"churn.floor": 1, "churn.scale": 0})
        population = Population(doomed, 20, belief_filter=BeliefFilter(doomed))
        fresh = population.clone()
        play(population, random_actions(population, 1))
        assert not population.alive.any()
        check_same_beliefs(fresh, population)


class TestSignals:
    """The table of what beliefs tell."""

    @pytest.mark.parametrize("name", WORLDS)
    def test_names_are_unique_and_as_many_as_documented(self, name: str) -> None:
        w = world(name)
        features = BeliefFilter(w).features
        sensitivities = len(w.traits.fatigue_sensitivity_values) or 16
        assert len(features) == sensitivities + 11 + 6 * len(w.channels)
        names = {f.name for f in features}
        assert len(names) == len(features)
        assert names.isdisjoint(f.name for f in weekly_features(w))
        assert all(f.low < f.high for f in features)

    @pytest.mark.parametrize("name", WORLDS)
    def test_signals_of_lived_lives_are_within_their_bounds(self, name: str) -> None:
        population = believing(name, 100)
        for _ in range(4):
            live_under_random_plans(population, 5)
            observations = population.beliefs.observations()
            low, high = bounds(population.beliefs.filter.features)
            assert observations.dtype == np.float32
            assert (observations >= low - 1e-5).all()
            assert (observations <= high + 1e-5).all()

    def test_signals_are_fresh(self) -> None:
        beliefs = Beliefs(BeliefFilter(world("pronounced")), 2)
        beliefs.observations()[:] = 77
        assert beliefs.observations().max() < 77


class TestPrior:
    """What is believed of whom nothing is known."""

    @pytest.mark.parametrize("name", WORLDS)
    def test_the_prior_is_the_worlds_own_law(self, name: str) -> None:
        w = world(name)
        prior = {k: float(v[0]) for k, v in told(Beliefs(BeliefFilter(w), 1)).items()}
        members = Population(w, 40_000).simulation.traits
        kappa, base, rate = (
            a.astype(float)
            for a in (members.fatigue_sensitivity, members.base_logit, members.base_rate)
        )
        error = 40_000**-0.5
        spread = 1 if kappa.std() > 0 else 0
        assert prior["sensitivity_score"] == pytest.approx(0, abs=1e-6)
        assert prior["sensitivity_score_sd"] == pytest.approx(spread, abs=1e-5)
        assert prior["sensitivity"] == pytest.approx(
            kappa.mean(), abs=0.03 + 4 * kappa.std() * error
        )
        assert prior["base_logit"] == pytest.approx(base.mean(), abs=1e-4 + 4 * base.std() * error)
        assert prior["base_logit_sd"] == pytest.approx(base.std(), rel=0.03, abs=0.011)
        assert prior["habit"] == pytest.approx(rate.mean(), abs=1e-5 + 4 * rate.std() * error)
        assert prior["goodwill"] == 1
        for channel in w.channels:
            assert prior[f"{channel}_response_score"] == pytest.approx(0, abs=1e-6)
            assert 0.97 < prior[f"{channel}_response_score_sd"] < 1
            assert prior[f"{channel}_fatigue"] == 0
            assert prior[f"{channel}_response_kept"] == pytest.approx(1)

    def test_sensitivities_of_a_few_values_have_their_shares(self) -> None:
        prior = Beliefs(BeliefFilter(world("two_type")), 1).observations()[0]
        assert_allclose(prior[:2], [5 / 6, 1 / 6], rtol=1e-6)


COUNTS = st.lists(st.tuples(*[st.integers(0, 14)] * 6, st.integers(0, 7)), min_size=1, max_size=8)


@pytest.mark.parametrize("name", WORLDS)
@settings(max_examples=15)
@given(weeks=COUNTS, repeats=st.sampled_from([1, 30]))
def test_no_counts_however_odd_make_a_belief_that_is_no_number(
    name: str, weeks: list[tuple[int, ...]], repeats: int
) -> None:
    w = world(name)
    channels = len(w.channels)
    beliefs = Beliefs(BeliefFilter(w), 1)
    for *counts, views in weeks * repeats:
        sends, opens, dismissals = (np.resize(counts[k::3], channels) for k in range(3))
        log = week_of(1, channels, sends=sends, opens=opens, dismissals=dismissals, views=views)
        beliefs.update(log, np.ones(1, np.uint8))
    observations = told(beliefs)
    for name_, values in observations.items():
        assert np.isfinite(values).all(), name_
    for table in beliefs.tables:
        assert np.isfinite(table).all()
    weights = [v for k, v in observations.items() if k.startswith("sensitivity_weight")]
    assert sum(weights)[0] == pytest.approx(1, abs=1e-5)
    assert 0 < observations["goodwill"][0] <= 1 + 1e-6
    assert beliefs.tables.fatigue.min() >= 0


def test_more_opens_than_sends_count_as_all_opened_and_more_dismissals_as_all_dismissed() -> None:
    w = world("pronounced")
    odd = seen(w, week_of(1, sends=[3, 0], opens=[5, 2], views=4))
    assert_array_equal(
        odd.observations(), seen(w, week_of(1, sends=[3, 0], opens=[3, 0], views=4)).observations()
    )
    odd = seen(w, week_of(1, sends=[3, 1], opens=[1, 0], dismissals=[9, 9]))
    even = seen(w, week_of(1, sends=[3, 1], opens=[1, 0], dismissals=[2, 1]))
    assert_array_equal(odd.observations(), even.observations())


def test_goodwill_that_is_back_within_a_day_is_all_there() -> None:
    w = load_world("pronounced", {"fatigue.goodwill_days": 1})
    week = week_of(1, sends=[14, 7])
    assert_allclose(told(seen(w, week, week, week))["goodwill"], 1, atol=1e-6)


def test_members_that_never_tire_can_be_told_from_those_that_do() -> None:
    changes = {
        "traits.fatigue_sensitivity_values": [0, 2],
        "traits.fatigue_sensitivity_shares": [0.5, 0.5],
    }
    w = load_world("pronounced", changes)
    calm, annoyed = week_of(1, sends=[14, 7]), week_of(1, sends=[14, 7], dismissals=[9, 5])
    one, other = (told(seen(w, week, week)) for week in (calm, annoyed))
    assert all(np.isfinite(v).all() for v in [*one.values(), *other.values()])
    assert one["sensitivity_weight_0"] > 0.6 > 0.4 > other["sensitivity_weight_0"]


def test_signals_stay_within_their_bounds_where_few_members_are_very_sensitive():
    law = {"fatigue_sensitivity_values": [0.2, 5], "fatigue_sensitivity_shares": [0.98, 0.02]}
    w = load_world("two_type", {f"traits.{name}": value for name, value in law.items()})
    population = Population(w, 64, 1, 1, belief_filter=BeliefFilter(w))
    for _ in range(12):
        default_executor().run_week(population, np.tile(w.plans[-1], (64, 1)))
    observations = population.beliefs.observations()
    low, high = bounds(population.beliefs.filter.features)
    assert (observations >= low).all()
    assert (observations <= high).all()
