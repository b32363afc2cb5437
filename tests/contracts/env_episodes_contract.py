"""What every environment does with lives: seeds, members, resets, how episodes end."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from numpy.testing import assert_array_equal

from tests.envs.cases import DOOMED, SEED, WEEKS, Case, actions_of, play, same, steps
from tests.members.worlds import world


class EnvEpisodesContract:
    """Subclass it with `case` parametrised over environments."""

    def test_a_seed_decides_everything(self, case: Case) -> None:
        envs = [case.vector(6) for _ in range(3)]
        actions = actions_of(envs[0], steps(envs[0], WEEKS))
        first, second = play(envs[0], actions), play(envs[1], actions)
        assert same(first, second)
        assert same(play(envs[0], actions), first)
        assert not same(play(envs[2], actions, SEED + 1), first)

    @pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP])
    @pytest.mark.parametrize("limit", [None, 2])
    def test_rows_are_single_environments_and_infos_are_laid_out_as_gymnasiums(
        self, case: Case, mode: AutoresetMode, limit: int | None
    ) -> None:
        n = 8
        known = {"luck_seed": SEED, "max_episode_steps": limit}
        vector = case.vector(n, first_member=0, autoreset_mode=mode, **known)

        def row(i: int) -> gym.Env:
            single = case.single(first_member=i, luck_seed=SEED)
            single.vector.max_episode_steps = limit
            single.vector.population.stride = n  # its new episodes are then the row's
            return single

        singles = SyncVectorEnv([lambda i=i: row(i) for i in range(n)], autoreset_mode=mode)
        ends = []
        assert same(vector.reset(seed=SEED), singles.reset(seed=[SEED] * n))
        for actions in actions_of(vector, max(40, steps(vector, 4 * WEEKS))):
            *mine, my_info = vector.step(actions)
            *theirs, info = singles.step(actions)
            assert same(mine, theirs)
            ended = mine[2] | mine[3]
            ends.append(ended)
            for name in my_info.keys() - info.keys():  # they name nothing that no row has
                assert not my_info.pop(name).any()
            assert same(my_info, info)
        whole = np.array(ends)
        alone = (whole.any(axis=1) & ~whole.all(axis=1)).any()
        assert alone or limit is not None, "no row ended alone"

    def test_every_episode_plays_a_new_member(self, case: Case) -> None:
        n, first = 200, 100
        env = case.vector(n, first_member=first)
        env.reset(seed=SEED)
        episodes, alone = np.zeros(n, np.int64), 0
        for actions in actions_of(env, steps(env, 2 * WEEKS)):
            assert_array_equal(env.population.members, first + np.arange(n) + episodes * n)
            _, _, terminated, truncated, _ = env.step(actions)
            episodes += terminated | truncated
            alone += len(set(episodes)) > 1
        assert alone
        assert episodes.min() == 2

    def test_reset_goes_to_the_next_members_and_a_seed_back_to_the_first(self, case: Case) -> None:
        env = case.vector(3, luck_seed=SEED, first_member=0)
        unseeded = env.reset()
        assert_array_equal(env.population.members, [0, 1, 2])
        env.reset()
        assert_array_equal(env.population.members, [3, 4, 5])
        env.step(np.zeros(3, np.int64))
        env.reset()
        assert_array_equal(env.population.members, [6, 7, 8])
        assert env.luck_seed == SEED
        assert same(env.reset(seed=SEED), unseeded)
        assert_array_equal(env.population.members, [0, 1, 2])
        env.reset(seed=np.int64(SEED + 1))
        assert env.luck_seed == SEED
        assert env.np_random_seed == SEED + 1
        assert_array_equal(env.population.weeks, [0, 0, 0])

    def test_another_seed_simulates_other_members_with_other_luck(self, case: Case) -> None:
        env = case.vector(2)
        played = set()
        for seed in [*range(20), 2**32, 2**63 - 1, 2**64 + 5, 10**30]:
            env.reset(seed=seed)
            played.add((env.luck_seed, *env.population.members.tolist()))
        firsts = {members[1] for members in played}
        assert len(firsts) == len({luck for luck, *_ in played}) == 24
        env.reset(seed=np.uint64(2**64 - 1))
        before = env.luck_seed, env.population.members.tolist()
        env.reset(seed=2**64 - 1)
        assert (env.luck_seed, env.population.members.tolist()) == before

    def test_the_first_reset_without_a_seed_takes_entropy(self, case: Case) -> None:
        for make in (case.single, lambda: case.vector(2)):
            envs = [make(), make()]
            for env in envs:
                env.reset()
            lucks = [getattr(env, "vector", env).luck_seed for env in envs]
            assert lucks[0] != lucks[1]
            assert envs[0].np_random_seed != envs[1].np_random_seed

    def test_what_the_constructor_was_given_holds_and_the_rest_is_drawn_alike(
        self, case: Case
    ) -> None:
        free = case.vector(2)
        free.reset(seed=SEED)
        lucky, known = case.vector(2, luck_seed=7), case.vector(2, first_member=100)
        lucky.reset(seed=SEED)
        known.reset(seed=SEED)
        assert lucky.luck_seed == 7
        assert_array_equal(lucky.population.members, free.population.members)
        assert known.luck_seed == free.luck_seed
        assert_array_equal(known.population.members, [100, 101])
        lucky.reset(seed=SEED + 1)
        assert lucky.luck_seed == 7
        assert lucky.population.members[0] != free.population.members[0]

    def test_the_generator_draws_luck_and_member(self, case: Case) -> None:
        seeded, single, given = case.vector(1), case.single(), case.vector(1)
        given.np_random = np.random.Generator(np.random.PCG64(np.random.SeedSequence(SEED)))
        first = seeded.reset(seed=SEED)
        assert same(given.reset(), first)
        assert_array_equal(single.reset(seed=SEED)[0], first[0][0])
        assert single.np_random_seed == SEED
        assert single.np_random.bit_generator.state == seeded.np_random.bit_generator.state

    def test_copies_made_by_gymnasium_simulate_different_members(self, case: Case) -> None:
        copies = SyncVectorEnv([case.single for _ in range(4)])
        for seed in (SEED, None):
            copies.reset(seed=seed)
            members = {int(env.unwrapped.vector.population.members[0]) for env in copies.envs}
            assert len(members) == 4

    def test_rows_reset_by_a_mask_begin_anew_and_the_others_go_on(self, case: Case) -> None:
        env, steady = (
            case.vector(3, autoreset_mode=AutoresetMode.DISABLED, luck_seed=1, first_member=0)
            for _ in range(2)
        )
        assert env.autoreset_mode is env.metadata["autoreset_mode"] is AutoresetMode.DISABLED
        for each in (env, steady):
            each.reset(seed=SEED)
        first = actions_of(env, 1)[0]
        for each in (env, steady):
            each.step(first)
        options = {"reset_mask": np.array([False, True, False])}
        observations, info = env.reset(options=options)
        assert list(options) == ["reset_mask"]
        assert_array_equal(env.population.members, [0, 4, 2])
        assert_array_equal(observations[[0, 2]], steady.observe()[[0, 2]])
        assert info["action_mask"].shape == (3, env.num_actions)
        fresh = case.vector(1, luck_seed=1, first_member=4)
        assert_array_equal(fresh.reset()[0][0], observations[1])
        action = actions_of(env, 1, seed=5)[0]
        mine, expected, begun = env.step(action), steady.step(action), fresh.step(action[1:2])
        for one, other, new in zip(mine[:4], expected[:4], begun[:4], strict=True):
            assert_array_equal(one[[0, 2]], other[[0, 2]])
            assert_array_equal(one[1], new[0])

    def test_without_autoreset_a_step_after_the_end_warns_until_a_reset(self, case: Case) -> None:
        env = case.vector(
            2, world=DOOMED, autoreset_mode=AutoresetMode.DISABLED, **case.without_planner()
        )
        actions = actions_of(env, steps(env, 1))
        play(env, actions)
        with pytest.warns(UserWarning, match="call reset"):
            env.step(actions[0])
        env.step(actions[0])  # the warning is given once
        env.reset(options={"reset_mask": np.array([True, True])})
        env.step(actions[0])

    def test_churn_terminates_and_does_not_truncate(self, case: Case) -> None:
        env = case.vector(3, world=DOOMED, weeks=1, **case.without_planner())
        results = play(env, actions_of(env, steps(env, 1)))
        for _, _, terminated, truncated, _ in results[1:-1]:
            assert not (terminated | truncated).any()
        _, _, terminated, truncated, _ = results[-1]
        assert terminated.all()
        assert not truncated.any()

    def test_the_time_limit_truncates_and_does_not_terminate(self, case: Case) -> None:
        env = case.vector(3, world=world("deathless"), weeks=2, **case.without_planner())
        results = play(env, actions_of(env, steps(env, 4)))[1:]
        limit = steps(env, 2)
        for number, (_, _, terminated, truncated, _) in enumerate(results, 1):
            assert not terminated.any()
            assert truncated.all() == (number % limit == 0)
            assert truncated.any() == truncated.all()

    def test_a_finished_single_episode_stays_finished(self, case: Case) -> None:
        env = case.single(world=DOOMED, weeks=1, **case.without_planner())
        env.reset(seed=SEED)
        count = steps(env.vector, 1)
        ends = [env.step(0)[2:4] for _ in range(count)]
        with pytest.warns(UserWarning, match="although an episode has ended"):
            ends += [env.step(0)[2:4] for _ in range(count)]
        assert ends == [(False, False)] * (count - 1) + [(True, False)] * (count + 1)
