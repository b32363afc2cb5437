"""Plans that others write, late, lost or out of reach: the safe plan serves until one arrives."""

import numpy as np
from numpy.testing import assert_array_equal

from slowfast_rl.envs import MessagingVectorEnv
from slowfast_rl.members.clock import DAY_SECONDS, WEEK_SECONDS
from slowfast_rl.store import InMemoryFeatureStore, pacing_plan, write_plans
from tests.envs.messaging import N, feasible, holds, shown, with_planner
from tests.envs.planners import ConstantPlanner, VariedPlanner
from tests.envs.stores import CuttableStore
from tests.members.worlds import world
from tests.store.faults import Faults, FaultyStore

SAFE = (1, 1)
MIDDAY = 12 * 3600


class TestPlansThatOthersWrite:
    def opened(self, store: object = None, weeks: int = 12) -> MessagingVectorEnv:
        own = InMemoryFeatureStore() if store is None else store
        env = MessagingVectorEnv(N, world("deathless"), weeks=weeks, store=own)
        self.observations, _ = env.reset(seed=1)
        return env

    def write(self, env: MessagingVectorEnv, plan: tuple[int, int], week: int, now: int) -> int:
        plans = pacing_plan(np.tile(plan, (N, 1)), week)
        return write_plans(env.plan_exchange.store, env.population.members, plans, now)

    def test_until_one_arrives_the_safe_plan_serves_and_it_takes_over_at_the_next_opportunity(
        self,
    ) -> None:
        env = self.opened()
        assert shown(env, self.observations) == feasible(env, SAFE)
        self.write(env, (5, 3), week=0, now=0)
        assert shown(env, env.observe()) == feasible(env, SAFE), "this opportunity is seen already"
        assert shown(env, holds(env, 1)) == feasible(env, (5, 3))
        assert env.plan_exchange.reader.counters == (N, N)

    def test_one_used_this_week_holds_although_another_row_appears(self) -> None:
        env = self.opened()
        self.write(env, (5, 3), week=0, now=0)
        holds(env, 1)
        env.plan_exchange.store.delete("plans", env.population.members)
        assert self.write(env, (2, 2), week=0, now=DAY_SECONDS) == N
        assert shown(env, holds(env, 10)) == feasible(env, (5, 3))
        assert shown(env, holds(env, 10)) == feasible(env, (5, 3)), "remembered on Monday"
        assert env.plan_exchange.reader.counters == (2 * N, N)

    def test_one_written_for_monday_serves_from_monday_without_a_fallback(self) -> None:
        env = self.opened()
        self.write(env, (5, 3), week=0, now=0)
        holds(env, env.world.slots_per_week - 1)
        self.write(env, (2, 2), week=1, now=WEEK_SECONDS)
        assert shown(env, holds(env, 1)) == feasible(env, (2, 2))
        assert env.plan_exchange.reader.counters == (N, N)

    def test_members_may_get_theirs_at_different_times(self) -> None:
        env = self.opened()
        odd = np.arange(N) % 2 == 1
        ids = env.population.members
        plans = pacing_plan(np.tile((5, 3), (odd.sum(), 1)), 0)
        write_plans(env.plan_exchange.store, ids[odd], plans, 0)
        expected = np.where(odd[:, None], feasible(env, (5, 3)), feasible(env, SAFE))
        assert_array_equal(shown(env, holds(env, 1)), expected)
        assert_array_equal(shown(env, holds(env, 5)), expected)
        plans = pacing_plan(np.tile((2, 2), (N, 1)), 0)
        write_plans(env.plan_exchange.store, ids, plans, 4 * DAY_SECONDS)
        expected = np.where(odd[:, None], feasible(env, (5, 3)), feasible(env, (2, 2)))
        assert_array_equal(shown(env, holds(env, 12)), expected)
        assert env.plan_exchange.reader.counters == (N, N)

    def test_a_fallbacks_cap_counts_every_send_since_monday(self) -> None:
        env = self.opened()
        self.write(env, (5, 7), week=0, now=0)
        everyone = np.ones(N, np.int64)
        for _ in range(6):
            env.step(everyone)  # two days: an email and two pushes each, but the first was safe
        sent = env.population.sent_this_week
        env.plan_exchange.reader.forget(env.population.members)  # the executor lost its memory
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
        assert env.plan_exchange.reader.counters == (3 * N, 0)  # week 2 has begun

    def test_a_plan_that_arrives_a_day_late_takes_over_then(self) -> None:
        store = FaultyStore(InMemoryFeatureStore(), Faults(delay_seconds=DAY_SECONDS + MIDDAY))
        planner = ConstantPlanner(world("deathless"), (5, 3))
        env = with_planner(planner, store, "deathless")
        observations, _ = env.reset(seed=1)
        for slot in range(env.world.slots_per_week):
            late = slot < 4  # Tuesday's first push, at 12:30, is the first after noon
            assert shown(env, observations) == feasible(env, SAFE if late else (5, 3))
            observations = holds(env, 1)
        assert env.plan_exchange.reader.counters == (2 * N, N)

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
        env = MessagingVectorEnv(N, world("deathless"), weeks=2, store=store, first_member=0)
        everyone = np.arange(2 * N)
        plans = pacing_plan(np.tile((5, 3), (2 * N, 1)), 0)
        assert write_plans(store, everyone, plans, 0) == 2 * N
        observations, _ = env.reset(seed=1)
        assert shown(env, observations) == feasible(env, SAFE)
        observations = holds(env, 2 * env.world.slots_per_week)
        assert_array_equal(env.population.members, np.arange(N, 2 * N))
        assert shown(env, observations) == feasible(env, SAFE)
        assert env.population.weeks.max() == 0
