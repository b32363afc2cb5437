"""A member's life depends on who it is, when, its luck and what is done to it: on nothing else."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slowfast_rl.members.opportunity import FastPolicy
from slowfast_rl.members.population import Population, branch
from slowfast_rl.members.state import EW4, SENDS, THIS
from tests.members.policies import (
    SEEN,
    allow_all,
    indifferent_pace,
    no_rows,
    play,
    play_weeks,
    random_actions,
    watch,
)
from tests.members.populations import WEEKS, check_same, differs, population
from tests.members.worlds import world

NAMES = ("pronounced", "calibrated", "eventful", "in_app")


class TestTheSameLife:
    """In any batch, shard, driver, clone."""

    @pytest.mark.parametrize("name", NAMES)
    def test_a_member_lives_the_same_life_in_batches_of_1_7_and_4096(self, name: str) -> None:
        many = population(name, 4096)
        actions = random_actions(many, WEEKS)
        rewards = play(many, actions)
        for first, size in ((0, 1), (4095, 1), (2000, 7)):
            rows = slice(first, first + size)
            few = population(name, size, first_member=first)
            assert np.array_equal(play(few, actions[:, :, rows]), rewards[:, :, rows])
            check_same(many, few, rows)

    @settings(max_examples=25)
    @given(st.integers(0, 60), st.integers(1, 9), st.integers(0, 2**32 - 1))
    def test_any_part_of_any_population_lives_the_same_life(
        self, first: int, size: int, seed: int
    ) -> None:
        many = Population(world("eventful"), 69, population_seed=seed, luck_seed=seed)
        few = Population(world("eventful"), size, seed, seed, first_member=first)
        actions = random_actions(many, 1)
        play(many, actions)
        play(few, actions[:, :, first : first + size])
        check_same(many, few, slice(first, first + size))

    @pytest.mark.parametrize("name", NAMES)
    def test_both_drivers_live_the_same_life(self, name: str) -> None:
        stepped, fused = population(name), population(name)
        actions = random_actions(stepped, WEEKS)
        slot_rewards = play(stepped, actions)
        week_rewards = play_weeks(fused, actions)
        check_same(stepped, fused)
        assert slot_rewards.sum(axis=1) == pytest.approx(np.array(week_rewards), abs=1e-4)
        for a, b in zip(stepped.last_week(), fused.last_week(), strict=True):
            assert np.array_equal(a, b)

    def test_drivers_can_take_turns(self) -> None:
        stepped, mixed = population(), population()
        actions = random_actions(stepped, WEEKS)
        play(stepped, actions)
        play(mixed, actions[:1])
        play_weeks(mixed, actions[1:2])
        play(mixed, actions[2:])
        check_same(stepped, mixed)

    @pytest.mark.parametrize("name", ["pronounced", "in_app"])
    def test_a_policy_sees_the_same_in_both_drivers(self, name: str) -> None:
        stepped, fused = population(name), population(name)
        n, slots = stepped.num_members, stepped.world.slots_per_week
        noted = np.zeros(WEEKS * slots * n * SEEN, np.float32)
        policy = FastPolicy(indifferent_pace, watch, np.zeros(1, np.float32), noted)
        for _ in range(WEEKS):
            fused.run_week(policy, allow_all, no_rows(n))
        seen = noted.reshape(WEEKS * slots, n, SEEN)
        for t in range(WEEKS * slots):
            slot, log = stepped.world.schedule[t % slots], stepped.simulation.log
            day = 7 * (t // slots) + slot.weekday
            living = stepped.alive
            expected = [
                np.full(n, slot.channel),
                stepped.sent_this_week[:, slot.channel],
                stepped.opted_in[:, slot.channel],
                np.full(n, day),
                log.by_member[:, THIS],
                log.by_member[:, EW4],
                log.by_channel[:, slot.channel, SENDS + THIS],
                np.full(n, stepped.simulation.launches[day, 0]),
            ]
            assert np.array_equal(seen[t][living], np.stack(expected, axis=1)[living])
            stepped.step(np.ones(n, np.int64))

    def test_a_shard_lives_as_its_rows_do(self) -> None:
        whole = population()
        actions = random_actions(whole, WEEKS)
        early = whole.shard(10, 25)
        play(whole, actions[:1])
        whole.step(actions[1, 0])
        late = whole.shard(10, 25)  # in the middle of a day
        part = actions[:, :, 10:25]
        play(early, part[:1])
        early.step(part[1, 0])
        check_same(early, late)
        for a in range(1, 21):
            early.step(part[1, a])
            late.step(part[1, a])
            whole.step(actions[1, a])
        check_same(early, late)
        check_same(whole, late, slice(10, 25))

    def test_a_clone_continues_identically(self) -> None:
        original = population()
        actions = random_actions(original, WEEKS)
        play(original, actions[:1])
        clone = original.clone()
        assert np.array_equal(play(original, actions[1:]), play(clone, actions[1:]))
        check_same(original, clone)

    def test_a_clone_is_untouched_by_what_happens_to_the_original(self) -> None:
        original = population()
        actions = random_actions(original, WEEKS)
        clone, untouched = original.clone(), population()
        play(original, np.full_like(actions, 1))
        check_same(clone, untouched)
        play(clone, actions)
        assert differs(original, clone)
        play(untouched, actions)
        check_same(clone, untouched)

    def test_a_slice_of_rows_is_a_copy_too(self) -> None:
        original, untouched = population(), population()
        part = original.take(slice(5, 20))
        play(part, random_actions(part, 2))
        part.restart(np.arange(15))
        check_same(original, untouched)
        assert not original.episodes.any()

    def test_branches_of_a_member_differ_only_by_their_actions(self) -> None:
        trunk = population(num_members=5)
        actions = random_actions(trunk, 1)
        play(trunk, actions)
        branches = branch(trunk, 3)
        assert branches.members.tolist() == np.repeat(trunk.members, 3).tolist()
        play(branches, np.repeat(actions, 3, axis=2))
        for b in range(3):
            check_same(branches, branches.take(slice(b, None, 3)), slice(b, None, 3))
        play(trunk, actions)
        check_same(branches.take(np.arange(1, 15, 3)), trunk)

    def test_twins_share_their_luck_until_their_actions_differ(self) -> None:
        one, other = population(num_members=200), population(num_members=200)
        hold = np.zeros(200, np.int64)
        send = hold.copy()
        send[:100] = 1
        one.step(hold)
        other.step(send)
        check_same(one.shard(100, 200), other.shard(100, 200))
        assert differs(one.shard(0, 100), other.shard(0, 100))
        organic = [p.simulation.state.organic_slot for p in (one, other)]
        assert np.array_equal(*organic)
