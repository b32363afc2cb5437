"""An environment continues exactly from the snapshot of another one."""

import gymnasium as gym
import numpy as np
import pytest
from numpy.testing import assert_array_equal, assert_equal

from slowfast_rl.agents.trees import flatten, unflatten
from tests.envs.cases import CASES, SEED, steps

MODES = ("SameStep", "NextStep", "Disabled")


def play(env, actions):
    """What an environment shows under actions."""
    return [env.step(a)[:4] for a in actions]


@pytest.mark.filterwarnings("ignore:.*step was called although an episode has ended")
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", CASES)
def test_a_restored_environment_continues_as_the_one_that_it_was_taken_from(name, mode):
    case, num_envs = CASES[name], 12
    first, second = (case.vector(num_envs, autoreset_mode=mode) for _ in range(2))
    first.reset(seed=SEED)
    rng = np.random.default_rng(SEED)
    actions = rng.integers(first.num_actions, size=(steps(first, 5), num_envs))
    half = len(actions) // 2
    play(first, actions[:half])
    arrays = {}
    state = flatten(first.snapshot(), arrays)  # as a file holds it
    second.restore(unflatten(state, arrays))
    assert_array_equal(second.observe(), first.observe())
    assert_equal(play(second, actions[half:]), play(first, actions[half:]))
    assert_equal(first.reset()[0], second.reset()[0])
    assert_equal(first.reset(seed=3)[0], second.reset(seed=3)[0])


def test_a_snapshot_of_another_environment_is_refused_and_changes_nothing():
    case = CASES["messaging"]
    env = case.vector(4)
    with pytest.raises(gym.error.ResetNeeded, match="snapshot was called before reset"):
        env.snapshot()
    env.reset(seed=SEED)
    others = [
        case.vector(5), case.vector(4, population_seed=1), case.vector(4, weeks=2),
        CASES["messaging-in-app"].vector(4), CASES["messaging-with-plans"].vector(4),
        CASES["pacing"].vector(4), case.vector(4, autoreset_mode="Disabled"),
    ]  # fmt: skip
    before = env.observe()
    for other in others:
        other.reset(seed=SEED)
        with pytest.raises(ValueError, match=r"the state is one of .*; allowed is one of"):
            env.restore(other.snapshot())
    for nothing in ({}, None, {"made_with": None}):
        with pytest.raises(ValueError, match=r"the state is one of None; allowed is one of"):
            env.restore(nothing)
    assert_array_equal(env.observe(), before)
