"""Arguments of the wrong kind: one line that names the value and what is allowed."""

import numpy as np
import pytest

import slowfast_rl as sf
from slowfast_rl.envs import PacingEnv
from slowfast_rl.members.bounds import whole_number


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"weeks": 1.5}, "weeks is 1.5; allowed is a whole number"),
        ({"weeks": "3"}, "weeks is '3'; allowed is a whole number"),
        ({"weeks": True}, "weeks is True; allowed is a whole number"),
        ({"weeks": 0}, "weeks is 0; allowed is 1 or more"),
        ({"max_episode_steps": 2.5}, "max_episode_steps is 2.5; allowed is a whole number"),
        ({"population_seed": 1.5}, "population_seed is 1.5; allowed is a whole number"),
        ({"luck_seed": -1}, "luck_seed is -1; allowed is 0 to"),
        ({"render_mode": "typo"}, "render_mode is 'typo'; allowed: ansi, rgb_array or None"),
    ],
)
def test_an_environment_refuses_arguments_of_the_wrong_kind(arguments, message):
    with pytest.raises(ValueError, match="^" + message):
        PacingEnv(**arguments)


def test_whole_numbers_of_numpy_are_whole_numbers():
    assert PacingEnv(weeks=np.int32(3)).unwrapped.vector.weeks == 3
    assert whole_number("a", np.uint8(7)) == 7
    with pytest.raises(ValueError, match="a is 8; allowed is 0 to 7"):
        whole_number("a", 8, 0, 7)


def test_members_and_weeks_of_an_evaluation_are_whole_numbers():
    with pytest.raises(ValueError, match=r"weeks is 2\.5; allowed is a whole number"):
        sf.EvaluationProtocol(weeks=2.5)
    with pytest.raises(ValueError, match="num_members is 1; allowed is 2 or more"):
        sf.EvaluationProtocol(num_members=1)


def test_a_run_folder_that_is_given_for_an_agent_names_its_agent(tmp_path):
    with pytest.raises(ValueError, match="no agent that can be loaded: it does not exist"):
        sf.Agent.load(tmp_path / "nope.zip")
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "final.zip").touch()
    with pytest.raises(ValueError, match=r"it is a run.s folder; its agent is .*final\.zip"):
        sf.Agent.load(tmp_path)
