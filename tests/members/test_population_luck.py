"""Seeds, streams and episodes: which member a row plays, and under which luck."""

import numpy as np
import pytest

from tests.members.policies import play, random_actions
from tests.members.populations import WEEKS, check_same, population


class TestLuck:
    """Seeds and streams."""

    @pytest.mark.parametrize(
        "other", [{"luck_stream": 1}, {"luck_seed": 7}], ids=["stream", "seed"]
    )
    def test_other_luck_is_another_life_of_the_same_members(self, other: dict[str, int]) -> None:
        one, two = population(), population(**other)
        assert np.array_equal(one.simulation.traits.taste, two.simulation.traits.taste)
        assert np.array_equal(one.opted_in, two.opted_in)
        actions = random_actions(one, 1)
        assert not np.array_equal(play(one, actions), play(two, actions))
        assert not np.array_equal(one.simulation.state.habit, two.simulation.state.habit)

    def test_streams_of_luck_are_uncorrelated(self) -> None:
        simulation = [population("homogeneous", 4000, luck_stream=s) for s in (0, 1)]
        hold = np.zeros(4000, np.int64)
        for _ in range(21):
            for p in simulation:
                p.step(hold)
        days = [p.last_week().viewing_days for p in simulation]
        assert abs(np.corrcoef(days)[0, 1]) < 4 / np.sqrt(4000)

    def test_another_population_seed_is_other_members(self) -> None:
        one, two = population(), population(population_seed=1)
        assert not np.any(one.simulation.traits.taste == two.simulation.traits.taste)


class TestEpisodes:
    """Restart and reset, of some rows or all."""

    def test_row_i_in_episode_e_plays_member_first_plus_i_plus_e_strides(self) -> None:
        p = population(num_members=4, first_member=100)
        assert p.members.tolist() == [100, 101, 102, 103]
        p.restart(np.array([1, 3]))
        p.restart(np.array([3]))
        assert p.members.tolist() == [100, 105, 102, 111]
        assert p.episodes.tolist() == [0, 1, 0, 2]

    def test_a_shard_keeps_the_stride_of_its_parent(self) -> None:
        shard = population(num_members=10, first_member=100).shard(4, 6)
        shard.restart(np.array([0, 1]))
        assert shard.members.tolist() == [114, 115]

    def test_ids_wrap_at_32_bits(self) -> None:
        p = population(num_members=2, first_member=2**32 - 1)
        assert p.members.tolist() == [2**32 - 1, 0]

    @pytest.mark.parametrize("rows", [[1, 3], [False, True, False, True]], ids=["rows", "mask"])
    def test_a_restarted_row_begins_the_life_of_the_new_member(self, rows: list[int]) -> None:
        p = population(num_members=4)
        actions = random_actions(p, WEEKS)
        play(p, actions[:1])
        others = p.take([0, 2])
        p.restart(np.array(rows))
        assert p.members.tolist() == [0, 5, 2, 7]
        assert p.weeks.tolist() == [1, 0, 1, 0]
        check_same(p.take([0, 2]), others)
        fresh = [population(num_members=1, first_member=m) for m in (5, 7)]
        for row, one in zip((1, 3), fresh, strict=True):
            check_same(p.take([row]), one)
        play(p, actions[1:])
        for row, one in zip((1, 3), fresh, strict=True):
            play(one, actions[1:, :, [row]])
            check_same(p.take([row]), one)

    def test_reset_with_a_seed_is_a_fresh_population_under_that_luck(self) -> None:
        p = population()
        actions = random_actions(p, WEEKS)
        play(p, actions)
        p.restart(np.arange(10))
        p.step(actions[0, 0])
        p.reset(99)
        fresh = population(luck_seed=99)
        assert p.slot == 0
        assert p.episodes.tolist() == [0] * 40
        check_same(p, fresh)
        assert np.array_equal(play(p, actions), play(fresh, actions))
        check_same(p, fresh)

    def test_reset_without_a_seed_goes_on_to_new_members_under_the_same_luck(self) -> None:
        p = population()
        actions = random_actions(p, WEEKS)
        play(p, actions)
        p.reset()
        p.reset()
        fresh = population(first_member=80)
        check_same(p, fresh)
        play(p, actions)
        play(fresh, actions)
        check_same(p, fresh)
