"""One step is one send opportunity: the planner's plan shows, binds, and earns as in Pacing."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from slowfast_rl.envs import MessagingVectorEnv, PacingVectorEnv
from slowfast_rl.policies import PlanSource, default_executor
from slowfast_rl.store import InMemoryFeatureStore
from tests.envs.messaging import N, feasible, holds, shown, with_planner
from tests.envs.planners import ConstantPlanner, VariedPlanner
from tests.envs.policies import Columns, default_actions
from tests.members.worlds import world


class TestThePlanInTheObservation:
    def test_without_a_planner_all_of_it_is_zero(self) -> None:
        env = MessagingVectorEnv(N, world("eventful"))
        seen, (observations, _) = Columns(env), env.reset(seed=1)
        for _ in range(30):
            assert not seen.one(observations, "has_plan").any()
            for pattern in ("{}_plan_target", "{}_plan_left"):
                assert not seen.per_channel(observations, pattern).any()
            observations = env.step(np.ones(N, np.int64))[0]

    def test_the_planners_choice_shows_from_the_first_opportunity_of_its_week(self) -> None:
        planner = VariedPlanner(world("deathless"))
        env = with_planner(planner, name="deathless", weeks=9)
        observations, _ = env.reset(seed=1)
        for week in range(4):
            plans = env.world.plans[planner.choose(env.population.members, np.full(N, week))]
            expected = np.where(env.population.opted_in, plans, 0)
            assert Columns(env).one(observations, "has_plan").all()
            assert_array_equal(shown(env, observations), expected)
            observations = holds(env, env.world.slots_per_week)
        assert env.plan_exchange.reader.counters == (0, 0)

    def test_what_is_left_falls_with_every_send_and_returns_on_monday(self) -> None:
        env = with_planner(ConstantPlanner(world("deathless"), (7, 2)), name="deathless", weeks=9)
        seen, (observations, _) = Columns(env), env.reset(seed=1)
        for _ in range(2 * env.world.slots_per_week):
            target = seen.per_channel(observations, "{}_plan_target")
            left = seen.per_channel(observations, "{}_plan_left")
            sent = seen.per_channel(observations, "{}_sends_this_week")
            assert_array_equal(sent, env.population.sent_this_week)
            assert_array_equal(left, np.maximum(target - sent, 0))
            observations = env.step(np.ones(N, np.int64))[0]
        assert (left == 0).all()

    def test_an_opt_out_in_mid_week_makes_its_target_0_and_nothing_else(self) -> None:
        env = with_planner(ConstantPlanner(world("eventful"), (14, 7)), weeks=9)
        observations, _ = env.reset(seed=1)
        plan, left = (14, 7), 0
        for _ in range(env.world.slots_per_week - 1):
            before = env.population.opted_in
            observations = env.step(np.ones(N, np.int64))[0]
            left += (before & ~env.population.opted_in).sum()
            assert shown(env, observations) == feasible(env, plan)
        assert left > 3

    def test_the_final_observation_shows_the_plan_of_the_week_that_is_not_played(self) -> None:
        planner = VariedPlanner(world("deathless"))
        env = with_planner(planner, name="deathless", weeks=2)
        env.reset(seed=1)
        holds(env, 2 * env.world.slots_per_week - 1)
        opted_in, members = env.population.opted_in, env.population.members
        *_, truncated, info = env.step(np.zeros(N, np.int64))
        assert truncated.all()
        plans = env.world.plans[planner.choose(members, np.full(N, 2))]
        assert_array_equal(shown(env, np.stack(info["final_obs"])), np.where(opted_in, plans, 0))


class TestThePlanner:
    def test_is_asked_once_per_member_and_week(self) -> None:
        planner = VariedPlanner(world("eventful"))
        env = with_planner(planner)
        env.reset(seed=1)
        lived, rng = set(), np.random.default_rng(0)
        for _ in range(5 * env.world.slots_per_week):
            pairs = zip(env.population.members, env.population.weeks, strict=True)
            lived |= {(int(m), int(w)) for m, w in pairs}
            env.step(rng.integers(0, 5, N))
        assert set(planner.asked.values()) == {1}
        assert lived <= set(planner.asked)
        assert env.plan_exchange.store.counters["refused_writes"] == 0
        assert env.plan_exchange.reader.counters == (0, 0)

    def test_its_version_goes_with_the_plan(self) -> None:
        env = with_planner(ConstantPlanner(world("eventful"), (1, 0)))
        env.reset(seed=1)
        assert (env.plan_exchange.plans_in_force(env.population).policy_version == 5).all()

    @pytest.mark.parametrize(
        ("answer", "message"),
        [
            (np.zeros(N - 1, np.int64), r"int64 of shape \(29,\); allowed are integers of shape"),
            (np.zeros(N), r"float64 of shape \(30,\)"),
            (np.full(N, 63), "plans span 63 to 63; allowed is 0 to 62"),
            (np.full(N, -1), "plans span -1 to -1; allowed is 0 to 62"),
        ],
    )
    def test_a_wrong_answer_is_refused(self, answer: np.ndarray, message: str) -> None:
        planner = VariedPlanner(world("eventful"))
        planner.plan = lambda request: answer
        env = with_planner(planner)
        with pytest.raises(ValueError, match=message):
            env.reset(seed=1)

    def test_its_store_is_the_environments(self) -> None:
        planner = VariedPlanner(world("eventful"))
        source = PlanSource(planner, InMemoryFeatureStore())
        with pytest.raises(ValueError, match=r"store and plan_source\.store differ"):
            MessagingVectorEnv(1, store=InMemoryFeatureStore(), plan_source=source)
        env = MessagingVectorEnv(1, store=source.store, plan_source=source)
        assert env.plan_exchange.store is source.store


class TestTheSameWeekAsPacing:
    def test_an_executor_is_refused_because_the_actions_are_the_decisions(self) -> None:
        with pytest.raises(TypeError, match="unexpected keyword argument 'executor'"):
            MessagingVectorEnv(1, executor=default_executor())

    def test_the_default_executor_played_by_hand_earns_what_pacing_earns(self) -> None:
        planner = VariedPlanner(world("eventful"))
        messaging = with_planner(planner, population_seed=3)
        pacing = PacingVectorEnv(N, world("eventful"), weeks=3, population_seed=3)
        observations, _ = messaging.reset(seed=8)
        pacing.reset(seed=8)
        ended = 0
        for _ in range(7):
            members, weeks = pacing.population.members, pacing.population.weeks
            assert_array_equal(messaging.population.members, members)
            _, expected, terminated, truncated, _ = pacing.step(planner.choose(members, weeks))
            reward = np.zeros(N)
            for _ in range(messaging.world.slots_per_week):
                action = default_actions(messaging, observations)
                observations, step, churned, limited, info = messaging.step(action)
                reward += step
                assert not info["vetoed"].any()
            assert_allclose(reward, expected, rtol=1e-9, atol=1e-9)
            assert_array_equal(churned, terminated)
            assert_array_equal(limited, truncated)
            ended += (churned | limited).sum()
            for part in ("state", "log"):
                ours = getattr(messaging.population.simulation, part)
                theirs = getattr(pacing.population.simulation, part)
                for mine, other in zip(ours, theirs, strict=True):
                    assert_array_equal(mine, other)
        assert ended > N


def test_events_of_a_step_are_the_worlds_own() -> None:
    env = MessagingVectorEnv(200, world("eventful"))
    env.reset(seed=1)
    before = env.population.simulation.log.by_channel[:, 1].copy()
    *_, info = env.step(np.ones(200, np.int64))
    rose = env.population.simulation.log.by_channel[:, 1] - before
    for name, column in (("sent", 0), ("opened", 4), ("dismissed", 8), ("opted_out", 12)):
        assert_array_equal(info[name], rose[:, column] > 0)
        assert info[name].any()
        assert info[f"_{name}"].all()
