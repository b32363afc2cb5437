"""What every environment refuses, by name and without a change."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from numpy.testing import assert_array_equal

from tests.envs.cases import SEED, Case, actions_of, play, same


class EnvErrorsContract:
    """Subclass it with `case` parametrised over environments."""

    @pytest.mark.parametrize(
        ("seed", "allowed"),
        [(-1, "greater or equal to zero"), ([1, 2], "integer"), (1.5, "integer")],
    )
    def test_a_wrong_seed_is_refused_and_changes_nothing(
        self, case: Case, seed: Any, allowed: str
    ) -> None:
        env, twin = case.vector(2), case.vector(2)
        actions = actions_of(env, 2)
        before, reference = play(env, actions[:1]), play(twin, actions[:1])
        with pytest.raises((ValueError, gym.error.Error), match=allowed):
            env.reset(seed=seed)
        assert same(before, reference)
        assert same(env.step(actions[1]), twin.step(actions[1]))

    @pytest.mark.parametrize(
        ("mask", "error", "message"),
        [
            ([True, False], TypeError, "allowed is an array of bool"),
            (np.array([1, 0]), TypeError, "allowed is an array of bool"),
            (np.array([True]), ValueError, r"allowed is \(2,\)"),
            (np.array([False, False]), ValueError, "at least one True"),
        ],
    )
    def test_a_wrong_reset_mask_is_refused(
        self, case: Case, mask: Any, error: type[Exception], message: str
    ) -> None:
        env = case.vector(2)
        env.reset(seed=SEED, options={})
        with pytest.raises(error, match=message):
            env.reset(options={"reset_mask": mask})

    def test_a_seed_is_not_for_some_rows_whose_luck_the_others_share(self, case: Case) -> None:
        env, some = case.vector(2), {"reset_mask": np.array([True, False])}
        with pytest.raises(gym.error.ResetNeeded, match="reset all rows first"):
            env.reset(options=some)
        env.reset(seed=SEED)
        with pytest.raises(ValueError, match="seed is 3 with a reset_mask of some rows"):
            env.reset(seed=3, options=some)

    @pytest.mark.parametrize(
        ("actions", "message"),
        [
            (np.zeros(2, np.float32), "dtype float32; allowed are integers"),
            (np.zeros(2, bool), "dtype bool; allowed are integers"),
            (np.zeros(3, np.int64), r"shape \(3,\); allowed is \(2,\)"),
            (np.zeros((2, 1), np.int64), r"shape \(2, 1\); allowed is \(2,\)"),
            (np.array([0, -1]), "span -1 to 0; allowed is 0 to "),
            (np.array([0, 9999]), "span 0 to 9999; allowed is 0 to "),
        ],
    )
    def test_wrong_actions_are_refused_and_change_nothing(
        self, case: Case, actions: Any, message: str
    ) -> None:
        env, twin = case.vector(2), case.vector(2)
        for each in (env, twin):
            each.reset(seed=SEED)
        with pytest.raises(ValueError, match=message) as error:
            env.step(actions)
        assert "\n" not in str(error.value)
        good = actions_of(env, 1)[0]
        assert same(env.step(good.tolist()), twin.step(good.astype(np.uint8)))

    @pytest.mark.parametrize("action", [np.zeros(1, np.int64), [0], None, 0.5])
    def test_a_wrong_single_action_is_refused(self, case: Case, action: Any) -> None:
        env = case.single()
        env.reset(seed=SEED)
        with pytest.raises(ValueError, match="allowed"):
            env.step(action)
        env.step(np.array(0))

    def test_it_must_be_reset_before_a_step_and_not_closed(self, case: Case) -> None:
        for env, action in ((case.single(), 0), (case.vector(2), np.zeros(2, np.int64))):
            with pytest.raises(gym.error.ResetNeeded, match="call reset first"):
                env.step(action)
            env.reset(seed=SEED)
            env.step(action)
            env.close()
            env.close()
            for call in (env.reset, lambda env=env, action=action: env.step(action)):
                with pytest.raises(gym.error.ClosedEnvironmentError, match="make a new one"):
                    call()

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"weeks": 0}, "weeks is 0; allowed is 1 or more"),
            ({"max_episode_steps": 0}, "max_episode_steps is 0; allowed is 1 or more"),
            ({"autoreset_mode": "Sometimes"}, "allowed: AutoresetMode.NEXT_STEP, "),
            ({"reward": "none"}, "reward is 'none'; allowed: expected, sampled"),
            ({"world": "nowhere"}, "unknown world 'nowhere'"),
            ({"menu": {"push": [0]}}, r"menu names \['push'\]; allowed: "),
            ({"luck_seed": -1}, "luck_seed is -1; allowed is 0 to"),
            ({"num_envs": 0}, "num_envs is 0; allowed is 1 or more"),
        ],
    )
    def test_wrong_arguments_are_refused(
        self, case: Case, arguments: dict[str, Any], message: str
    ) -> None:
        with pytest.raises(ValueError, match=message):
            case.vector(**{"num_envs": 2} | arguments | case.without_planner())

    def test_rows_are_restarted_after_the_first_reset_only(self, case: Case) -> None:
        env = case.vector(3)
        with pytest.raises(gym.error.ResetNeeded, match="restart was called before reset"):
            env.restart(np.array([0]))
        env.reset(seed=0)
        env.restart(np.array([0]))
        assert_array_equal(env.population.episodes, [1, 0, 0])
