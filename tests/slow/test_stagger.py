import numpy as np
from numpy.testing import assert_array_equal

from slowfast_rl.envs.pacing import PacingVectorEnv
from slowfast_rl.envs.sb3 import StaggeredVecEnv
from slowfast_rl.members.observations import bounds, weekly_features
from slowfast_rl.slow.ppo import stagger_under_random_plans
from tests.members.worlds import world


def test_staggering_gives_every_age_to_equally_many_members():
    env = PacingVectorEnv(24, world("deathless"), weeks=6)
    stagger_under_random_plans(env, seed=0)
    assert_array_equal(np.bincount(env.population.weeks), [4] * 6)


def test_staggering_an_episode_of_one_week_leaves_all_at_its_begin():
    env = PacingVectorEnv(5, world("pronounced"), weeks=1)
    observations = stagger_under_random_plans(env, seed=0)
    assert_array_equal(env.population.weeks, 0)
    assert len(observations) > 0


def test_staggering_returns_signals_of_all_ages_within_their_bounds():
    w = world("deathless")
    observations = stagger_under_random_plans(PacingVectorEnv(64, w, weeks=10), seed=0)
    assert observations.shape == (10 * 8, len(weekly_features(w)))
    low, high = bounds(weekly_features(w))
    assert (observations >= low).all()
    assert (observations <= high).all()
    tenure = [feature.name for feature in weekly_features(w)].index("tenure")
    assert set(observations[:, tenure]) == set(range(10))


def test_a_staggered_environment_goes_on_where_it_is_when_reset():
    env = PacingVectorEnv(12, world("pronounced"), weeks=6)
    stagger_under_random_plans(env, seed=0)
    weeks = env.population.weeks
    assert_array_equal(StaggeredVecEnv(env).reset(), env.observe())
    assert_array_equal(env.population.weeks, weeks)


def test_staggering_depends_on_the_seed_alone():
    w = world("pronounced")
    one, again, other = (
        stagger_under_random_plans(PacingVectorEnv(16, w, weeks=4), seed) for seed in (1, 1, 2)
    )
    assert_array_equal(one, again)
    assert not np.array_equal(one, other)


def test_an_episode_that_began_before_training_says_nothing_of_its_return():
    env = PacingVectorEnv(8, world("deathless"), weeks=4)
    stagger_under_random_plans(env, seed=0)
    venv, plans = StaggeredVecEnv(env), np.zeros(8, np.int64)
    begun_before = env.population.weeks > 0
    reported = np.zeros(8, int)
    for _ in range(8):  # two episodes' length: every row ends twice, but those that began now
        _, _, done, infos = venv.step(plans)
        assert all("terminal_observation" in infos[row] for row in np.flatnonzero(done))
        reported += [("episode" in info) for info in infos]
        lengths = [info["episode"]["l"] for info in infos if "episode" in info]
        assert set(lengths) <= {4}
    assert_array_equal(reported, np.where(begun_before, 1, 2))
