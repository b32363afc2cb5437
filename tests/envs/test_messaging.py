"""One step is one send opportunity: plans arrive through the store, show, bind, and hold."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from slowfast_rl.envs import MessagingVectorEnv, PacingVectorEnv, PlanSource
from slowfast_rl.members.arrays import Float32
from slowfast_rl.members.clock import DAY_SECONDS, WEEK_SECONDS
from slowfast_rl.store import InMemoryFeatureStore, pacing_plan, write_plans
from tests.envs.planners import ConstantPlanner, VariedPlanner
from tests.envs.policies import Columns, default_actions
from tests.envs.stores import CuttableStore
from tests.members.worlds import world
from tests.store.faults import Faults, FaultyStore

N = 30
SAFE = (1, 1)
MIDDAY = 12 * 3600


def with_planner(planner: object, store: object = None, name: str = "eventful", **more: object):
    source = PlanSource(planner, InMemoryFeatureStore() if store is None else store)
    return MessagingVectorEnv(N, world(name), **{"weeks": 3} | more, plan_source=source)


def holds(env: MessagingVectorEnv, slots: int) -> Float32:
    """Hold for some slots; return the last observations."""
    for _ in range(slots):
        observations = env.step(np.zeros(N, np.int64))[0]
    return observations


def shown(env: MessagingVectorEnv, observations: Float32) -> list[tuple[int, ...]]:
    """The plan that shows in each row."""
    targets = Columns(env).per_channel(observations, "{}_plan_target").astype(int)
    return [tuple(row) for row in targets.tolist()]


def feasible(env: MessagingVectorEnv, plan: tuple[int, ...]) -> list[tuple[int, ...]]:
    """A plan with 0 on every channel left, per row."""
    return [tuple(np.where(o, plan, 0).tolist()) for o in env.population.opted_in]


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
        assert env.execution.reader.counters == (0, 0)

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
        assert env.execution.store.counters["refused_writes"] == 0
        assert env.execution.reader.counters == (0, 0)

    def test_its_version_goes_with_the_plan(self) -> None:
        env = with_planner(ConstantPlanner(world("eventful"), (1, 0)))
        env.reset(seed=1)
        assert (env.execution.in_force(env.population).policy_version == 5).all()

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
        planner.plan = lambda request: answer  # type: ignore[method-assign]
        env = with_planner(planner)
        with pytest.raises(ValueError, match=message):
            env.reset(seed=1)

    def test_its_store_is_the_environments(self) -> None:
        planner = VariedPlanner(world("eventful"))
        source = PlanSource(planner, InMemoryFeatureStore())
        with pytest.raises(ValueError, match=r"store and plan_source\.store differ"):
            MessagingVectorEnv(1, store=InMemoryFeatureStore(), plan_source=source)
        env = MessagingVectorEnv(1, store=source.store, plan_source=source)
        assert env.execution.store is source.store


class TestPlansThatOthersWrite:
    def opened(self, store: object = None, weeks: int = 12) -> MessagingVectorEnv:
        own = InMemoryFeatureStore() if store is None else store
        env = MessagingVectorEnv(N, world("deathless"), weeks, store=own)
        self.observations, _ = env.reset(seed=1)
        return env

    def write(self, env: MessagingVectorEnv, plan: tuple[int, int], week: int, now: int) -> int:
        plans = pacing_plan(np.tile(plan, (N, 1)), week)
        return write_plans(env.execution.store, env.population.members, plans, now)

    def test_until_one_arrives_the_safe_plan_serves_and_it_takes_over_at_the_next_opportunity(
        self,
    ) -> None:
        env = self.opened()
        assert shown(env, self.observations) == feasible(env, SAFE)
        self.write(env, (5, 3), week=0, now=0)
        assert shown(env, env.observe()) == feasible(env, SAFE), "this opportunity is seen already"
        assert shown(env, holds(env, 1)) == feasible(env, (5, 3))
        assert env.execution.reader.counters == (N, N)

    def test_one_used_this_week_holds_although_another_row_appears(self) -> None:
        env = self.opened()
        self.write(env, (5, 3), week=0, now=0)
        holds(env, 1)
        env.execution.store.delete("plans", env.population.members)
        assert self.write(env, (2, 2), week=0, now=DAY_SECONDS) == N
        assert shown(env, holds(env, 10)) == feasible(env, (5, 3))
        assert shown(env, holds(env, 10)) == feasible(env, (5, 3)), "remembered on Monday"
        assert env.execution.reader.counters == (2 * N, N)

    def test_one_written_for_monday_serves_from_monday_without_a_fallback(self) -> None:
        env = self.opened()
        self.write(env, (5, 3), week=0, now=0)
        holds(env, env.world.slots_per_week - 1)
        self.write(env, (2, 2), week=1, now=WEEK_SECONDS)
        assert shown(env, holds(env, 1)) == feasible(env, (2, 2))
        assert env.execution.reader.counters == (N, N)

    def test_members_may_get_theirs_at_different_times(self) -> None:
        env = self.opened()
        odd = np.arange(N) % 2 == 1
        ids = env.population.members
        plans = pacing_plan(np.tile((5, 3), (odd.sum(), 1)), 0)
        write_plans(env.execution.store, ids[odd], plans, 0)
        expected = np.where(odd[:, None], feasible(env, (5, 3)), feasible(env, SAFE))
        assert_array_equal(shown(env, holds(env, 1)), expected)
        assert_array_equal(shown(env, holds(env, 5)), expected)
        plans = pacing_plan(np.tile((2, 2), (N, 1)), 0)
        write_plans(env.execution.store, ids, plans, 4 * DAY_SECONDS)
        expected = np.where(odd[:, None], feasible(env, (5, 3)), feasible(env, (2, 2)))
        assert_array_equal(shown(env, holds(env, 12)), expected)
        assert env.execution.reader.counters == (N, N)

    def test_a_fallbacks_cap_counts_every_send_since_monday(self) -> None:
        env = self.opened()
        self.write(env, (5, 7), week=0, now=0)
        everyone = np.ones(N, np.int64)
        for _ in range(6):
            env.step(everyone)  # two days: an email and two pushes each, but the first was safe
        sent = env.population.sent_this_week
        env.execution.reader.forget(env.population.members)  # the executor lost its memory
        env._read_plans(np.arange(N))
        for _ in range(6):
            env.step(everyone)
        assert_array_equal(env.population.sent_this_week, sent)
        assert sent.max() == 4

    def test_once_all_plans_are_settled_the_store_is_left_alone_until_monday(self) -> None:
        store = CuttableStore()
        env = self.opened(store)
        self.write(env, (5, 3), week=0, now=0)
        holds(env, 1)
        reads = []
        look = store.get_online_features
        store.get_online_features = lambda *a: reads.append(a) or look(*a)
        holds(env, env.world.slots_per_week - 2)
        assert not reads
        holds(env, 1)
        assert len(reads) == 1


class TestStoreFaults:
    def test_with_every_write_dropped_the_safe_plan_is_in_force_and_nothing_else(self) -> None:
        store = FaultyStore(InMemoryFeatureStore(), Faults(drop_writes=True))
        env = with_planner(VariedPlanner(world("deathless")), store, "deathless")
        observations, _ = env.reset(seed=1)
        slots = env.world.slots_per_week
        for slot in range(2 * slots):
            assert shown(env, observations) == feasible(env, SAFE)
            observations, *_ = env.step(np.ones(N, np.int64))
            if slot % slots == slots - 2:
                stayed = env.population.opted_in
                assert_array_equal(env.population.sent_this_week[stayed], 1)
        assert env.execution.reader.counters == (3 * N, 0)  # week 2 has begun

    def test_a_plan_that_arrives_a_day_late_takes_over_then(self) -> None:
        store = FaultyStore(InMemoryFeatureStore(), Faults(delay_seconds=DAY_SECONDS + MIDDAY))
        planner = ConstantPlanner(world("deathless"), (5, 3))
        env = with_planner(planner, store, "deathless")
        observations, _ = env.reset(seed=1)
        for slot in range(env.world.slots_per_week):
            late = slot < 4  # Tuesday's first push, at 12:30, is the first after noon
            assert shown(env, observations) == feasible(env, SAFE if late else (5, 3))
            observations = holds(env, 1)
        assert env.execution.reader.counters == (2 * N, N)

    def test_an_outage_of_everything_stops_nothing(self) -> None:
        store = CuttableStore()
        planner = ConstantPlanner(world("eventful"), (5, 3))
        env = with_planner(planner, store)
        env.reset(seed=1)
        holds(env, 25)
        store.down = True
        holds(env, 90)  # through churn, time limits and new members
        observations, _ = env.reset(seed=1)
        assert shown(env, observations) == feasible(env, SAFE)
        holds(env, 4)
        store.down = False
        env.reset()
        observations, _ = env.reset(seed=1)
        assert shown(env, observations) == feasible(env, (5, 3))

    def test_rows_of_an_earlier_life_are_not_believed(self) -> None:
        store = InMemoryFeatureStore()
        env = MessagingVectorEnv(N, world("deathless"), 2, store=store)
        everyone = np.arange(2 * N)
        plans = pacing_plan(np.tile((5, 3), (2 * N, 1)), 0)
        assert write_plans(store, everyone, plans, 0) == 2 * N
        observations, _ = env.reset(seed=1)
        assert shown(env, observations) == feasible(env, SAFE)
        observations = holds(env, 2 * env.world.slots_per_week)
        assert_array_equal(env.population.members, np.arange(N, 2 * N))
        assert shown(env, observations) == feasible(env, SAFE)
        assert env.population.weeks.max() == 0


class TestTheSameWeekAsPacing:
    def test_the_default_executor_played_by_hand_earns_what_pacing_earns(self) -> None:
        planner = VariedPlanner(world("eventful"))
        messaging = with_planner(planner, population_seed=3)
        pacing = PacingVectorEnv(N, world("eventful"), 3, population_seed=3)
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
                ours = getattr(messaging.population.lives, part)
                theirs = getattr(pacing.population.lives, part)
                for mine, other in zip(ours, theirs, strict=True):
                    assert_array_equal(mine, other)
        assert ended > N


def test_events_of_a_step_are_the_worlds_own() -> None:
    env = MessagingVectorEnv(200, world("eventful"))
    env.reset(seed=1)
    before = env.population.lives.log.by_channel[:, 1].copy()
    *_, info = env.step(np.ones(200, np.int64))
    rose = env.population.lives.log.by_channel[:, 1] - before
    for name, column in (("sent", 0), ("opened", 4), ("dismissed", 8), ("opted_out", 12)):
        assert_array_equal(info[name], rose[:, column] > 0)
        assert info[name].any()
        assert info[f"_{name}"].all()
