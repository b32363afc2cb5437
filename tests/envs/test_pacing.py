"""One step is one week: the plan goes through the store, the executor meets it."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from slowfast_rl.envs import PacingVectorEnv
from slowfast_rl.members.clock import WEEK_SECONDS
from slowfast_rl.members.observations import weekly_observation
from slowfast_rl.members.population import Population
from slowfast_rl.policies import default_executor
from slowfast_rl.store import InMemoryFeatureStore, read_plans
from tests.envs.policies import eager_executor
from tests.envs.stores import CuttableStore
from tests.members.worlds import world
from tests.store.faults import Faults, FaultyStore

N = 40


def opened(name: str = "deathless", **more: object) -> PacingVectorEnv:
    known = {"weeks": 12, "luck_seed": 4, "first_member": 0}
    env = PacingVectorEnv(N, world(name), **known | more)
    env.reset()
    return env


def week_of(env: PacingVectorEnv, plan: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Give everyone a plan for a week; return opt-ins before it and sends in it, [N, C] each."""
    opted_in = env.population.opted_in
    env.step(np.full(N, env.world.plan_index(plan)))
    return opted_in, env.population.last_week().sends


def test_the_default_executor_meets_every_plan_exactly() -> None:
    env = opened()
    for plan in ((0, 0), (3, 2), (14, 7), (1, 0)):
        opted_in, sends = week_of(env, plan)
        stayed = opted_in & (env.population.last_week().opt_outs == 0)
        assert_array_equal(sends[stayed], np.broadcast_to(plan, (N, 2))[stayed])
        assert (sends[~opted_in] == 0).all()
        assert stayed.sum() > N


def test_a_week_is_the_populations_week_under_the_feasible_plan() -> None:
    env = opened("eventful")
    twin = Population(world("eventful"), N, luck_seed=4)
    rng, churned = np.random.default_rng(0), 0
    for _ in range(5):
        actions = rng.integers(0, 63, N)
        target = np.where(twin.opted_in, env.world.plans[actions], 0).astype(np.int32)
        week = default_executor().run_week(twin, target)
        observations, reward, terminated, _, info = env.step(actions)
        assert_array_equal(observations[~terminated], weekly_observation(twin)[~terminated])
        assert_array_equal(reward, week.reward)
        assert_array_equal(terminated, ~twin.alive)
        for name, expected in (
            ("sends", week.sends.sum(axis=1)),
            ("opt_outs", week.opt_outs.sum(axis=1)),
            ("viewing_days", week.viewing_days),
        ):
            assert_array_equal(info[name][~terminated], expected[~terminated])
            final = info.get("final_info", info)[name]
            assert_array_equal(final[terminated], expected[terminated])
        churned += terminated.sum()
        twin.restart(np.flatnonzero(terminated))
    assert churned


def test_the_plan_goes_through_the_store() -> None:
    store = InMemoryFeatureStore()
    env = opened(store=store)
    for week in range(3):
        actions = np.arange(N) + week
        env.step(actions)
        plans, status = read_plans(store, np.arange(N), week * WEEK_SECONDS)
        assert (status == 1).all()
        assert_array_equal(plans.target, env.world.plans[actions])
        assert_array_equal(plans.cap, plans.target)
        assert_array_equal(plans.week, np.full(N, week))
    assert env.plan_exchange.reader.counters == (0, 0)
    assert store.counters["refused_writes"] == 0


@pytest.mark.parametrize("faults", [Faults(drop_writes=True), Faults(fail_writes=True)])
def test_with_every_write_lost_the_safe_plan_is_sent_and_nothing_else(faults: Faults) -> None:
    store = FaultyStore(InMemoryFeatureStore(), faults)
    env = opened(store=store, executor=eager_executor(), weeks=9)
    for _ in range(8):
        opted_in, sends = week_of(env, (14, 7))
        assert_array_equal(sends, opted_in * np.array(env.world.safe_plan))
    assert env.plan_exchange.reader.counters == (8 * N, 0)


@pytest.mark.parametrize("faults", [Faults(fail_reads=True), Faults(empty_reads=True)])
def test_with_the_store_silent_the_remembered_plan_serves_four_weeks_then_the_safe_plan(
    faults: Faults,
) -> None:
    store = FaultyStore(InMemoryFeatureStore(), Faults())
    env = opened(store=store, executor=eager_executor())
    week_of(env, (2, 2))
    store.faults = faults
    for week in range(1, 8):
        opted_in, sends = week_of(env, (14, 7))
        plan = (2, 2) if week <= 4 else env.world.safe_plan
        stayed = opted_in & (env.population.last_week().opt_outs == 0)
        assert_array_equal(sends[stayed], np.broadcast_to(plan, (N, 2))[stayed])
    assert env.plan_exchange.reader.counters == (7 * N, 0)
    store.faults = Faults()
    opted_in, sends = week_of(env, (3, 3))
    stayed = opted_in & (env.population.last_week().opt_outs == 0)
    assert_array_equal(sends[stayed], 3)


def test_an_outage_of_everything_stops_nothing() -> None:
    store = CuttableStore()
    env = opened("eventful", store=store, weeks=3)
    store.down = True
    for _ in range(7):
        env.step(np.full(N, 62))
    env.reset(seed=4)
    env.reset()
    env.step(np.full(N, 62))
    store.down = False
    env.reset(seed=4)
    week_of(env, (2, 1))
    played_on = env.population.episodes == 0
    assert played_on.any()
    remembered = env.plan_exchange.plans_in_force(env.population).target
    expected = env.population.opted_in * (2, 1)
    assert_array_equal(remembered[played_on], expected[played_on])


def test_the_store_holds_the_present_members_only() -> None:
    store = InMemoryFeatureStore()
    env = opened("eventful", store=store, weeks=3)
    for week in range(9):
        env.step(np.full(N, week))
        present = store.snapshot().arrays["plans/entity_ids"]
        assert set(present) <= set(env.population.members)
    remembered = env.plan_exchange.reader.snapshot().arrays["remembered/entity_ids"]
    assert set(remembered) <= set(env.population.members)


def test_a_forbidden_send_becomes_a_counted_hold() -> None:
    env = opened("deathless", executor=eager_executor())
    *_, info = env.step(np.full(N, env.world.plan_index((3, 2))))
    sends = env.population.last_week().sends.sum(axis=1)
    assert_array_equal(info["vetoed"], env.world.slots_per_week - sends)


def test_a_menu_of_ones_own_replaces_the_worlds() -> None:
    menu = {"email": [0, 1], "push": [0, 2, 4]}
    env = PacingVectorEnv(2, "pronounced", menu=menu)
    assert env.world.plans.tolist() == [[0, 0], [0, 1], [2, 0], [2, 1], [4, 0], [4, 1]]
    assert env.single_action_space.n == 6
    assert world("pronounced").menu != env.world.menu


def test_some_rows_may_begin_anew_on_monday_with_new_members() -> None:
    env = opened("deathless")
    env.step(np.full(N, 30))
    env.restart(np.array([3, 5]))
    expected = np.arange(N) + N * np.isin(np.arange(N), [3, 5])
    assert_array_equal(env.population.members, expected)
    assert_array_equal(env.population.weeks, np.where(np.isin(np.arange(N), [3, 5]), 0, 1))
    stored = env.plan_exchange.store.snapshot().arrays["plans/entity_ids"]
    assert_array_equal(stored, np.delete(np.arange(N), [3, 5]))
    env.restart([])
    with pytest.raises(ValueError, match="dtype bool; allowed are integers"):
        env.restart(np.ones(N, np.bool_))
