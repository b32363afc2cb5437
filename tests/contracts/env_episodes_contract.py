"""What every environment does with lives: seeds, members, resets, how episodes end."""

import gymnasium as gym
import numpy as np
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

    def test_rows_are_single_environments_and_infos_are_laid_out_as_gymnasiums(
        self, case: Case
    ) -> None:
        n = 4
        vector = case.vector(n)

        def row(i: int) -> gym.Env:
            single = case.single(first_member=i)
            single.vector.population.stride = n  # its new episodes are then the row's
            return single

        singles = SyncVectorEnv(
            [lambda i=i: row(i) for i in range(n)], autoreset_mode=AutoresetMode.SAME_STEP
        )
        ends = []
        assert same(vector.reset(seed=SEED), singles.reset(seed=[SEED] * n))
        for actions in actions_of(vector, steps(vector, 4 * WEEKS)):
            *mine, my_info = vector.step(actions)
            *theirs, info = singles.step(actions)
            assert same(mine, theirs)
            ended = mine[2] | mine[3]
            ends.append(ended)
            for name in my_info.keys() - info.keys():  # they name nothing that no row has
                assert ended.all()
                assert not my_info.pop(name).any()
            assert same(my_info, info)
        whole = np.array(ends)
        assert (whole.any(axis=1) & ~whole.all(axis=1)).any(), "no row ended alone"

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
        env = case.vector(3, luck_seed=SEED)
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
        assert env.luck_seed == SEED + 1
        assert env.np_random_seed == SEED + 1
        assert_array_equal(env.population.weeks, [0, 0, 0])

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
        ends = [env.step(0)[2:4] for _ in range(2 * count)]
        assert ends == [(False, False)] * (count - 1) + [(True, False)] * (count + 1)
