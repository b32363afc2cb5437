"""What every environment does behind Stable-Baselines3's ``VecEnv``."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers.vector import (
    ClipReward,
    RecordEpisodeStatistics,
    TransformObservation,
)
from numpy.testing import assert_array_equal
from sb3_contrib import MaskablePPO
from sb3_contrib.common.maskable.utils import get_action_masks, is_masking_supported
from stable_baselines3 import PPO
from stable_baselines3.common.evaluation import evaluate_policy

from slowfast_rl.envs import SB3VecEnv
from tests.envs.cases import DOOMED, SEED, WEEKS, Case, actions_of, steps
from tests.members.worlds import world


def adapter(case: Case, num_envs: int = 6, **more: object) -> SB3VecEnv:
    return SB3VecEnv(case.vector(num_envs, **more))


class SB3Contract:
    """Subclass it with `case` parametrised over environments."""

    def test_it_returns_what_the_vector_environment_does(self, case: Case) -> None:
        adapted, env = adapter(case), case.vector(6)
        actions = actions_of(env, steps(env, 2 * WEEKS))
        adapted.seed(SEED)
        assert_array_equal(adapted.reset(), env.reset(seed=SEED)[0])
        returns, lengths, ended = np.zeros(6), np.zeros(6), 0
        for action in actions:
            observations, rewards, done, infos = adapted.step(action)
            expected, reward, terminated, truncated, info = env.step(action)
            returns, lengths = returns + reward, lengths + 1
            assert_array_equal(observations, expected)
            assert_array_equal(rewards, reward.astype(np.float32))
            assert_array_equal(done, terminated | truncated)
            for row in range(6):
                assert bool(infos[row]) == done[row]
                if done[row]:
                    ended += 1
                    assert_array_equal(infos[row]["terminal_observation"], info["final_obs"][row])
                    assert infos[row]["TimeLimit.truncated"] == truncated[row]
                    assert infos[row]["episode"]["r"] == pytest.approx(returns[row])
                    assert infos[row]["episode"]["l"] == lengths[row]
            returns[done], lengths[done] = 0, 0
        assert ended > 6

    def test_a_time_limit_is_told_from_a_churn(self, case: Case) -> None:
        for one, limit in ((DOOMED, False), (world("deathless"), True)):
            adapted = adapter(case, world=one, weeks=1, **case.without_planner())
            adapted.reset()
            for action in actions_of(adapted.env, steps(adapted.env, 1)):
                _, _, done, infos = adapted.step(action)
            assert done.all()
            assert [info["TimeLimit.truncated"] for info in infos] == [limit] * 6

    def test_the_seed_serves_one_reset(self, case: Case) -> None:
        adapted = adapter(case, first_member=0)
        assert adapted.seed(SEED) == [SEED] * 6
        first = adapted.reset()
        assert_array_equal(adapted.env.population.members, np.arange(6))
        assert not np.array_equal(adapted.reset(), first)
        assert_array_equal(adapted.env.population.members, np.arange(6, 12))
        adapted.seed(SEED)
        assert_array_equal(adapted.reset(), first)

    def test_masks_and_attributes_come_once_per_row(self, case: Case) -> None:
        adapted = adapter(case)
        adapted.reset()
        masks = adapted.env.action_masks()
        assert_array_equal(adapted.env_method("action_masks"), masks)
        assert_array_equal(adapted.env_method("action_masks", indices=[4, 1]), masks[[4, 1]])
        assert_array_equal(adapted.env_method("action_masks", indices=2), masks[[2]])
        assert_array_equal([info["action_mask"] for info in adapted.reset_infos], masks)
        assert is_masking_supported(adapted)
        assert_array_equal(get_action_masks(adapted), masks)
        assert adapted.get_attr("weeks", indices=[0, 3]) == [WEEKS] * 2
        assert not adapted.has_attr("nothing_of_that_name")
        adapted.set_attr("weeks", WEEKS + 1)
        assert adapted.env.weeks == WEEKS + 1

    def test_an_environment_that_resets_in_the_next_step_is_refused(self, case: Case) -> None:
        with pytest.raises(ValueError, match=r"allowed are AutoresetMode\.SAME_STEP and"):
            adapter(case, autoreset_mode=AutoresetMode.NEXT_STEP)

    def test_another_packages_environment_is_refused_with_what_to_use(self, case: Case) -> None:
        other = gym.make_vec("CartPole-v1", num_envs=2)
        with pytest.raises(TypeError, match=r"such as SB3VecEnv\(gym.make_vec"):
            SB3VecEnv(other)

    def test_the_infos_of_an_episodes_last_step_are_passed_on_and_all_on_request(
        self, case: Case
    ) -> None:
        few, env = adapter(case), case.vector(6)
        every = SB3VecEnv(case.vector(6), all_infos=True)
        for each in (few, every):
            each.seed(SEED)
            each.reset()
        env.reset(seed=SEED)
        ended = 0
        for action in actions_of(env, steps(env, 2 * WEEKS)):
            *_, done, infos = few.step(action)
            all_infos = every.step(action)[-1]
            info = env.step(action)[-1]
            names = {name for name in info if not name.startswith(("_", "final"))} - {"action_mask"}
            assert names >= {"vetoed"}
            for row in range(6):
                source = info["final_info"] if done[row] else info
                for name in names:
                    assert np.array_equal(all_infos[row][name], source[name][row])
                    assert (name in infos[row]) == done[row]
                    if done[row]:
                        ended += 1
                        assert np.array_equal(infos[row][name], source[name][row])
        assert ended

    @pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.DISABLED])
    def test_it_works_around_gymnasiums_vector_wrappers(
        self, case: Case, mode: AutoresetMode
    ) -> None:
        env, plain = case.vector(3, autoreset_mode=mode), adapter(case, 3)
        around = RecordEpisodeStatistics(ClipReward(env, -0.1, 0.1))
        if mode is AutoresetMode.DISABLED:  # this wrapper refuses SAME_STEP
            around = TransformObservation(around, lambda o: o, None)
        wrapped = SB3VecEnv(around)
        for each in (plain, wrapped):
            each.seed(SEED)
            each.reset()
        ended = 0
        for action in actions_of(env, steps(env, 2 * WEEKS)):
            expected, rewards, done, infos = plain.step(action)
            observations, clipped, done_too, infos_too = wrapped.step(action)
            assert_array_equal(observations, expected)
            assert_array_equal(clipped, np.clip(rewards, -0.1, 0.1))
            assert_array_equal(done, done_too)
            for row in np.flatnonzero(done):
                ended += 1
                assert infos[row].keys() <= infos_too[row].keys()
                assert_array_equal(
                    infos[row]["terminal_observation"], infos_too[row]["terminal_observation"]
                )
                assert infos[row]["episode"]["l"] == infos_too[row]["episode"]["l"]
        assert ended
        assert_array_equal(wrapped.env_method("action_masks"), env.action_masks())
        assert wrapped.get_attr("weeks") == [WEEKS] * 3
        assert wrapped.env_is_wrapped(ClipReward) == [True] * 3
        assert plain.env_is_wrapped(ClipReward) == [False] * 3
        wrapped.set_attr("weeks", WEEKS + 1)
        assert env.weeks == WEEKS + 1

    def test_a_method_that_returns_one_value_for_all_rows_returns_it_for_each(
        self, case: Case
    ) -> None:
        adapted = adapter(case, 2)
        adapted.reset()
        assert adapted.env_method("close") == [None, None]
        adapted.close()

    def test_its_pictures_are_those_of_the_rows(self, case: Case) -> None:
        adapted = adapter(case, 2, render_mode="rgb_array")
        adapted.reset()
        one, two = adapted.get_images()
        assert_array_equal(adapted.render()[: one.shape[0], : one.shape[1]], one)
        assert one.shape == two.shape

    @pytest.mark.parametrize("kind", [PPO, MaskablePPO])
    def test_stable_baselines3_learns_and_evaluates_on_it(
        self, case: Case, kind: type[PPO]
    ) -> None:
        adapted = adapter(case)
        count = steps(adapted.env, 1)
        model = kind("MlpPolicy", adapted, n_steps=count, batch_size=6 * count, n_epochs=1, seed=1)
        model.learn(2 * 6 * count)
        assert model.num_timesteps == 2 * 6 * count
        mean, spread = evaluate_policy(model, adapted, n_eval_episodes=8)
        assert np.isfinite([mean, spread]).all()
        adapted.close()

    def test_rendering_by_env_method_gives_each_row_its_own_picture(self, case: Case) -> None:
        for num_envs in (2, 3):
            adapted = adapter(case, num_envs, render_mode="rgb_array")
            adapted.reset()
            frames = adapted.env_method("render", indices=[1])
            assert len(frames) == 1
            assert_array_equal(frames[0], adapted.env.render()[1])

    def test_spaces_are_those_of_one_row(self, case: Case) -> None:
        adapted = adapter(case, 3)
        assert adapted.get_attr("action_space") == [adapted.action_space] * 3
        assert adapted.get_attr("observation_space", 0) == [adapted.observation_space]

    def test_a_seed_that_is_not_given_is_drawn_and_returned(self, case: Case) -> None:
        adapted, again = adapter(case, 3), adapter(case, 3)
        (seed, *others), (second, *_) = adapted.seed(None), again.seed()
        assert isinstance(seed, int)
        assert others == [seed, seed]
        assert second != seed
        again.seed(seed)
        assert_array_equal(adapted.reset(), again.reset())

    def test_options_reach_the_next_reset_and_no_later_one(self, case: Case) -> None:
        adapted = adapter(case, 3)
        adapted.reset()
        before = adapted.env.unwrapped.population.episodes.copy()
        adapted.set_options({"reset_mask": np.array([True, False, False])})
        adapted.reset()
        assert_array_equal(adapted.env.unwrapped.population.episodes - before, [1, 0, 0])
        adapted.reset()
        assert_array_equal(adapted.env.unwrapped.population.episodes - before, [2, 1, 1])
        with pytest.raises(ValueError, match="options differ between rows; allowed"):
            adapted.set_options([{}, {"reset_mask": 1}, {}])
