"""What every environment does: Gymnasium's rules, members, episodes, masks, errors."""

from itertools import combinations
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env, data_equivalence
from gymnasium.utils.passive_env_checker import data_shares_objects
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from numpy.testing import assert_array_equal
from stable_baselines3.common.env_checker import check_env as check_env_for_sb3

from slowfast_rl.envs import MessagingVectorEnv
from slowfast_rl.envs.base import MemberVectorEnv
from slowfast_rl.members.signals import privileged_signals
from tests.envs.cases import DOOMED, WEEKS, Case
from tests.members.worlds import world

SEED = 11
HEADINGS = (
    "Description",
    "Action Space",
    "Observation Space",
    "Rewards",
    "Starting State",
    "Episode End",
    "Arguments",
    "Version History",
)


def steps(env: MemberVectorEnv, weeks: int) -> int:
    """How many steps a number of weeks takes."""
    return weeks * (env.world.slots_per_week if isinstance(env, MessagingVectorEnv) else 1)


def actions_of(env: MemberVectorEnv, count: int, seed: int = 0) -> np.ndarray:
    """[count, N] random actions, forbidden ones too."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, env.num_actions, (count, env.num_envs))


def play(env: gym.vector.VectorEnv, actions: np.ndarray, seed: int | None = SEED) -> list[Any]:
    """Everything that reset and the steps return, in order."""
    return [env.reset(seed=seed), *(env.step(a) for a in actions)]


def same(one: Any, other: Any) -> bool:
    return data_equivalence(one, other, exact=True)


class EnvContract:
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

    def test_its_documentation_has_gymnasiums_headings(self, case: Case) -> None:
        for env in (case.single(), case.vector(2)):
            headings = [line for line in (env.__doc__ or "").splitlines() if "## " in line]
            assert [line.strip().removeprefix("## ") for line in headings] == list(HEADINGS)

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

    def test_churn_terminates_and_does_not_truncate(self, case: Case) -> None:
        more = {"plan_source": None} if case.name == "Messaging" else {}
        env = case.vector(3, world=DOOMED, weeks=1, **more)
        results = play(env, actions_of(env, steps(env, 1)))
        for _, _, terminated, truncated, _ in results[1:-1]:
            assert not (terminated | truncated).any()
        _, _, terminated, truncated, _ = results[-1]
        assert terminated.all()
        assert not truncated.any()

    def test_the_time_limit_truncates_and_does_not_terminate(self, case: Case) -> None:
        more = {"plan_source": None} if case.name == "Messaging" else {}
        env = case.vector(3, world=world("deathless"), weeks=2, **more)
        results = play(env, actions_of(env, steps(env, 4)))[1:]
        limit = steps(env, 2)
        for number, (_, _, terminated, truncated, _) in enumerate(results, 1):
            assert not terminated.any()
            assert truncated.all() == (number % limit == 0)
            assert truncated.any() == truncated.all()

    def test_a_finished_single_episode_stays_finished(self, case: Case) -> None:
        more = {"plan_source": None} if case.name == "Messaging" else {}
        env = case.single(world=DOOMED, weeks=1, **more)
        env.reset(seed=SEED)
        count = steps(env.vector, 1)
        ends = [env.step(0)[2:4] for _ in range(2 * count)]
        assert ends == [(False, False)] * (count - 1) + [(True, False)] * (count + 1)

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
        latents = privileged_signals(told.population)
        assert_array_equal(told.observe()[:, logged.observe().shape[1] :], latents)

    def test_what_is_returned_is_the_callers_to_keep(self, case: Case) -> None:
        env = case.vector(6)
        results = play(env, actions_of(env, steps(env, WEEKS)))
        for one, other in combinations(results[:2] + results[-2:], 2):
            assert not data_shares_objects((one[0], one[-1]), (other[0], other[-1]))
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
        given = {"num_envs": 2} | arguments
        given |= {"plan_source": None} if case.name == "Messaging" else {}
        with pytest.raises(ValueError, match=message):
            case.vector(**given)

    def test_rewards_are_as_drawn_where_asked(self, case: Case) -> None:
        sampled, expected = (case.vector(50, reward=r) for r in ("sampled", "expected"))
        actions = actions_of(sampled, steps(sampled, 1))
        drawn = np.array([r[1] for r in play(sampled, actions)[1:]])
        smooth = np.array([r[1] for r in play(expected, actions)[1:]])
        assert drawn.dtype == smooth.dtype == np.float64
        assert not np.array_equal(drawn, smooth)
        assert abs(drawn.sum() - smooth.sum()) < 0.1 * abs(smooth).sum()
