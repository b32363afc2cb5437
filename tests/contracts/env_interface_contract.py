"""What every environment shows: Gymnasium's rules, spaces, features, masks, rewards."""

from itertools import combinations, product

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers.vector import (
    NormalizeObservation,
    NormalizeReward,
    RecordEpisodeStatistics,
    RescaleObservation,
)
from numpy.testing import assert_array_equal
from stable_baselines3.common.env_checker import check_env as check_env_for_sb3

from slowfast_rl.envs.base import MemberVectorEnv
from slowfast_rl.members.observations import privileged_observation
from tests.envs.cases import SEED, WEEKS, Case, actions_of, play, same, steps


def arrays_in(data: object) -> list[np.ndarray]:
    """All arrays in nested tuples and dictionaries."""
    if isinstance(data, dict):
        data = tuple(data.values())
    if isinstance(data, tuple):
        return [array for part in data for array in arrays_in(part)]
    return [data] if isinstance(data, np.ndarray) else []


def shared_memory(one: object, other: object) -> bool:
    """Whether an array of one is in memory where an array of the other is."""
    pairs = product(arrays_in(one), arrays_in(other))
    return any(np.shares_memory(*pair) for pair in pairs)


HEADINGS = (
    "Description",
    "Action Space",
    "Observation Space",
    "Rewards",
    "Starting State",
    "Episode End",
    "Arguments",
    "Example",
    "Version History",
    "References",
)


class EnvInterfaceContract:
    """Subclass it with `case` parametrised over environments."""

    def test_gymnasium_accepts_it_without_a_warning(self, case: Case) -> None:
        check_env(case.single(), skip_render_check=False)

    def test_stable_baselines3_accepts_it_without_a_warning(self, case: Case) -> None:
        check_env_for_sb3(case.single())

    def test_it_is_made_by_its_name_with_the_package_in_front(self, case: Case) -> None:
        env = gym.make(f"slowfast_rl:{case.id}", **case.arguments())
        env.reset(seed=SEED)
        env.step(env.action_space.sample())
        assert env.get_wrapper_attr("action_masks")().dtype == bool
        vector = gym.make_vec(f"slowfast_rl:{case.id}", num_envs=3, **case.arguments())
        assert isinstance(vector, MemberVectorEnv)
        assert vector.unwrapped is vector
        assert vector.spec is not None
        assert vector.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP

    def test_everything_that_make_passes_is_accepted(self, case: Case) -> None:
        env = gym.make(case.id, render_mode=None, max_episode_steps=2, **case.arguments())
        env.reset(seed=SEED)
        assert [env.step(0)[3] for _ in range(2)] == [False, True]
        assert env.unwrapped.render_mode is None
        vector = case.vector(2, render_mode=None, max_episode_steps=2)
        _, one, two = play(vector, np.zeros((2, 2), np.int64))
        assert not (one[2] | one[3]).any()
        assert (two[2] | two[3]).all()
        assert gym.make_vec(vector.spec).num_envs == 2

    def test_a_render_mode_is_needed_to_render_and_a_reset_before(self, case: Case) -> None:
        for env in (case.single(), case.vector(2)):
            env.reset(seed=SEED)
            with pytest.warns(
                UserWarning, match="render_mode is None; make the environment with one of"
            ):
                assert env.render() is None
        for mode, kind in (("ansi", str), ("rgb_array", np.ndarray)):
            for env in (case.single(render_mode=mode), case.vector(2, render_mode=mode)):
                assert env.render_mode == mode
                assert mode in env.metadata["render_modes"]
                with pytest.raises(gym.error.ResetNeeded, match="call reset first"):
                    env.render()
                env.reset(seed=SEED)
                frame = env.render()
                assert isinstance(frame if isinstance(env, gym.Env) else frame[1], kind)

    def test_gymnasiums_collection_of_frames_films_an_episode(self, case: Case) -> None:
        film = gym.make(case.id, render_mode="rgb_array_list", **case.arguments())
        film.reset(seed=SEED)
        ended = False
        while not ended:
            *_, terminated, truncated, _ = film.step(0)
            ended = terminated or truncated
        frames = film.render()
        assert len({frame.shape for frame in frames}) == 1
        assert frames[0].dtype == np.uint8
        assert frames[0].shape[0] % 2 == frames[0].shape[1] % 2 == 0, "a film needs even sides"
        assert any((one != frames[0]).any() for one in frames)
        assert film.metadata["render_fps"] > 0

    def test_gymnasiums_vector_wrappers_work(self, case: Case) -> None:
        env = case.vector(3, autoreset_mode=AutoresetMode.NEXT_STEP)
        wrapped = NormalizeReward(NormalizeObservation(RecordEpisodeStatistics(env)))
        wrapped.reset(seed=SEED)
        records = 0
        for actions in actions_of(env, steps(env, 2 * WEEKS)):
            observations, rewards, _, _, info = wrapped.step(actions)
            assert np.isfinite(observations).all()
            assert np.isfinite(rewards).all()
            records += info.get("_episode", np.zeros(3)).sum()
        assert records >= 3
        rescaled = RescaleObservation(env, np.float32(0), np.float32(1))
        assert rescaled.observation_space.contains(rescaled.reset(seed=SEED)[0])

    def test_its_documentation_has_gymnasiums_headings(self, case: Case) -> None:
        for env in (case.single(), case.vector(2)):
            headings = [line for line in (env.__doc__ or "").splitlines() if "## " in line]
            assert [line.strip().removeprefix("## ") for line in headings] == list(HEADINGS)

    def test_the_mask_is_int8_in_infos_and_bool_from_the_method(self, case: Case) -> None:
        env = case.vector(5)
        _, info = env.reset(seed=SEED)
        env.single_action_space.seed(SEED)
        forbidden = 0
        for _ in range(steps(env, 2 * WEEKS)):
            mask = info["action_mask"]
            assert (mask.dtype, mask.shape) == (np.int8, (5, env.num_actions))
            assert info["_action_mask"].all()
            assert env.action_masks().dtype == bool
            assert_array_equal(env.action_masks(), mask)
            forbidden += (mask == 0).sum()
            assert mask[:, 0].all(), "to hold, or the plan of nothing, is always allowed"
            sampled = np.array([env.single_action_space.sample(mask=row) for row in mask])
            assert mask[np.arange(5), sampled].all()
            *_, info = env.step(sampled)
        assert forbidden > 0

    def test_observations_keep_their_bounds_and_type(self, case: Case) -> None:
        env = case.vector(40)
        for result in play(env, actions_of(env, steps(env, 4 * WEEKS))):
            observations = result[0]
            assert observations.dtype == np.float32
            assert env.observation_space.contains(observations)
            for final in result[-1].get("final_obs", ()):
                assert final is None or env.single_observation_space.contains(final)

    def test_features_name_every_column(self, case: Case) -> None:
        env = case.vector(2)
        names = [feature.name for feature in env.features]
        assert env.single_observation_space.shape == (len(names),)
        assert len(set(names)) == len(names)
        assert case.single().features == env.features

    def test_privileged_appends_the_latents(self, case: Case) -> None:
        logged, told = (case.vector(4, privileged=p) for p in (False, True))
        actions = actions_of(logged, steps(logged, 1))
        for one, other in zip(play(logged, actions), play(told, actions), strict=True):
            assert_array_equal(other[0][:, : one[0].shape[1]], one[0])
        latents = privileged_observation(told.population)
        assert_array_equal(told.observe()[:, logged.observe().shape[1] :], latents)

    def test_what_is_returned_is_the_callers_to_keep(self, case: Case) -> None:
        env = case.vector(6)
        results = play(env, actions_of(env, steps(env, WEEKS)))
        for one, other in combinations(results[:2] + results[-2:], 2):
            assert not shared_memory((one[0], one[-1]), (other[0], other[-1]))
        kept, spoiled = case.vector(6), case.vector(6)
        for env in (kept, spoiled):
            env.reset(seed=SEED)
        for actions in actions_of(env, steps(env, 2)):
            for array in (spoiled.observe(), spoiled.action_masks()):
                array[:] = 1
            expected, result = kept.step(actions), spoiled.step(actions.copy())
            assert same(result, expected)
            result[0][:] = 0
            result[-1]["action_mask"][:] = 1

    def test_rewards_are_as_drawn_where_asked(self, case: Case) -> None:
        sampled, expected = (
            case.vector(50, reward=r, luck_seed=SEED, first_member=0)
            for r in ("sampled", "expected")
        )
        actions = actions_of(sampled, steps(sampled, 1))
        drawn = np.array([r[1] for r in play(sampled, actions)[1:]])
        smooth = np.array([r[1] for r in play(expected, actions)[1:]])
        assert drawn.dtype == smooth.dtype == np.float64
        assert not np.array_equal(drawn, smooth)
        assert abs(drawn.sum() - smooth.sum()) < 0.1 * abs(smooth).sum()
