"""What every environment refuses, by name and without a change."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from tests.envs.cases import SEED, Case, actions_of, play, same


class EnvErrorsContract:
    """Subclass it with `case` parametrised over environments."""

    @pytest.mark.parametrize(
        ("seed", "allowed"),
        [(-1, "greater or equal to zero"), ([1, 2], "integer"), (2**32, "0 to 4294967295")],
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

    def test_a_reset_of_some_rows_is_refused(self, case: Case) -> None:
        env = case.vector(2)
        env.reset(seed=SEED, options={})
        with pytest.raises(ValueError, match=r"reset_mask; allowed is a reset of all rows"):
            env.reset(options={"reset_mask": np.array([True, False])})

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
            ({"reward": "none"}, "reward is 'none'; allowed: expected, sampled"),
            ({"world": "nowhere"}, "unknown world 'nowhere'"),
            ({"menu": {"push": [0]}}, r"menu names \['push'\]; allowed: "),
            ({"luck_seed": -1}, "luck_seed is -1; allowed is 0 to"),
            ({"num_envs": 0}, "num_members is 0; allowed is 1 or more"),
        ],
    )
    def test_wrong_arguments_are_refused(
        self, case: Case, arguments: dict[str, Any], message: str
    ) -> None:
        with pytest.raises(ValueError, match=message):
            case.vector(**{"num_envs": 2} | arguments | case.without_planner())
