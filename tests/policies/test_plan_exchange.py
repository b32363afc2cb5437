"""Planner, store and executor put together as evaluation and training use them."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from slowfast_rl.members.beliefs import BeliefFilter
from slowfast_rl.members.observations import privileged_observation, weekly_observation
from slowfast_rl.members.population import Population
from slowfast_rl.policies import PlanExchange, default_executor
from slowfast_rl.policies.contracts import PlanRequest
from slowfast_rl.policies.plan_exchange import pack_plan, plan_request, plans_of_planner
from slowfast_rl.store import InMemoryFeatureStore, pacing_plan
from tests.envs.planners import VariedPlanner
from tests.envs.policies import eager_executor
from tests.envs.stores import CuttableStore
from tests.members.worlds import world
from tests.store.faults import Faults, FaultyStore

N = 60


def lived(weeks: int = 4) -> Population:
    """Members of whom some churned and some left channels."""
    population = Population(world("eventful"), N, luck_seed=3, first_member=50)
    target = np.full((N, 2), 7, np.int32)
    for _ in range(weeks):
        eager_executor().run_week(population, target)
    assert 0 < population.alive.sum() < N
    return population


def test_a_request_holds_what_a_planner_may_know_of_the_rows_asked_for() -> None:
    population = lived()
    rows = np.arange(N) % 3 == 0
    asked = plan_request(population, rows)
    assert_array_equal(asked.observations, weekly_observation(population)[rows])
    assert_array_equal(asked.entity_ids, 50 + np.flatnonzero(rows))
    assert_array_equal(asked.weeks, np.full(rows.sum(), 4))
    plans, opted_in = population.world.plans, population.opted_in[rows]
    expected = ((plans[None] == 0) | opted_in[:, None]).all(axis=2)
    assert_array_equal(asked.feasible, expected)
    assert len(plan_request(population).observations) == N


class Curious(VariedPlanner):
    """Wants to know more; notes what it is told."""

    def __init__(self, belief_filter: BeliefFilter | None, privileged: bool) -> None:
        super().__init__(world("eventful"))
        self.belief_filter, self.privileged = belief_filter, privileged

    def plan(self, request: PlanRequest) -> np.ndarray:
        self.told = request
        return super().plan(request)


@pytest.mark.parametrize("privileged", [False, True])
@pytest.mark.parametrize("believes", [False, True])
def test_a_curious_planner_is_told_what_it_asks_for_of_the_living(
    believes: bool, privileged: bool
) -> None:
    belief_filter = BeliefFilter(world("eventful"))
    population = Population(world("eventful"), N, luck_seed=3, belief_filter=belief_filter)
    for _ in range(4):
        eager_executor().run_week(population, np.full((N, 2), 7, np.int32))
    alive = population.alive
    assert 0 < alive.sum() < N
    planner = Curious(belief_filter if believes else None, privileged)
    plans_of_planner(population, planner)
    told = planner.told
    assert_array_equal(told.observations, weekly_observation(population)[alive])
    for part, wanted, all_rows in (
        (told.beliefs, believes, population.beliefs.observations()),
        (told.latents, privileged, privileged_observation(population)),
    ):
        assert (part is not None) == wanted
        if wanted:
            assert_array_equal(part, all_rows[alive])


@pytest.mark.parametrize("needed", [False, True])
def test_a_planner_that_needs_beliefs_is_prepared_with_a_filter_of_its_world(needed: bool) -> None:
    planner = VariedPlanner(world("eventful"))
    planner.needs_beliefs = needed
    assert planner.prepare(world("in_app")) is planner
    assert planner.world is world("in_app")
    expected = BeliefFilter(world("in_app")).features if needed else None
    found = planner.belief_filter
    assert (found and found.features) == expected


def test_a_planner_that_asks_for_nothing_is_told_nothing_more() -> None:
    belief_filter = BeliefFilter(world("eventful"))
    population = Population(world("eventful"), N, belief_filter=belief_filter)
    for planner in (None, VariedPlanner(population.world)):
        asked = plan_request(population, None, planner)
        assert asked.beliefs is None
        assert asked.latents is None


def test_beliefs_that_nobody_keeps_cannot_be_asked_for() -> None:
    planner = Curious(BeliefFilter(world("eventful")), privileged=False)
    with pytest.raises(ValueError, match="needs beliefs; the population keeps none"):
        plans_of_planner(lived(), planner)


def test_only_the_living_are_planned_for_and_sent_to() -> None:
    population, plan_exchange = lived(), PlanExchange(world("eventful"), executor=eager_executor())
    planner, alive, opted_in = VariedPlanner(population.world), population.alive, None
    plans = plans_of_planner(population, planner)
    assert sum(planner.asked.values()) == alive.sum()
    assert (plans[~alive] == 0).all()
    plan_exchange.issue(population, plans, 7)
    stored = plan_exchange.store.snapshot().arrays["plans/entity_ids"]
    assert_array_equal(stored, population.members[alive])
    opted_in = population.opted_in
    week, plan = plan_exchange.run_week(population)
    expected = population.world.plans[plans] * (opted_in & alive[:, None])
    assert_array_equal(plan.target, expected)
    assert_array_equal(plan.cap, expected)
    assert (plan.policy_version[alive] == 7).all()
    assert (week.sends[~alive] == 0).all()
    assert week.sends.sum() > 0


def test_nobody_alive_needs_no_planner() -> None:
    population, plan_exchange = lived(), PlanExchange(world("eventful"))
    population.simulation.state.alive[:] = 0
    planner = VariedPlanner(population.world)
    plans = plans_of_planner(population, planner)
    plan_exchange.issue(population, plans)
    week, _ = plan_exchange.run_week(population)
    assert not planner.asked
    assert not week.reward.any()


def test_some_rows_may_be_planned_for_and_read_alone() -> None:
    population, plan_exchange = lived(), PlanExchange(world("eventful"))
    planner = VariedPlanner(population.world)
    some = np.flatnonzero(np.arange(N) % 2 == 0)
    living = some[population.alive[some]]
    assert 0 < len(living) < len(some)
    plans = plans_of_planner(population, planner, some)
    assert {member for member, _ in planner.asked} == set(population.members[living])
    plan_exchange.issue(population, plans, rows=some)
    plan, settled = plan_exchange.read_plans_in_force(population, living)
    assert settled.all()
    targets = population.world.plans[plans[living]]
    assert_array_equal(plan.target, np.where(population.opted_in[living], targets, 0))
    assert plan_exchange.reader.counters == (0, 0)
    plan_exchange.plans_in_force(population)
    assert plan_exchange.reader.counters.fallbacks == population.alive.sum() - len(living)


@pytest.mark.parametrize("faults", [Faults(drop_writes=True), Faults(fail_writes=True)])
def test_with_every_write_lost_the_safe_plan_is_sent_and_nothing_else(faults: Faults) -> None:
    store = FaultyStore(InMemoryFeatureStore(), faults)
    plan_exchange = PlanExchange(world("eventful"), store, eager_executor())
    population, planner = lived(), VariedPlanner(world("eventful"))
    for _ in range(4):
        may = population.opted_in & population.alive[:, None]
        plan_exchange.issue(population, plans_of_planner(population, planner))
        week, plan = plan_exchange.run_week(population)
        assert_array_equal(week.sends, may * np.array(population.world.safe_plan))
        assert_array_equal(plan.target, week.sends)


def test_a_snapshot_of_the_reader_continues_a_run_identically() -> None:
    """With a store that goes silent: what was remembered must have come along."""
    worlds, planner = world("eventful"), VariedPlanner(world("eventful"))
    store = FaultyStore(InMemoryFeatureStore(), Faults())
    one, population = PlanExchange(worlds, store), lived(2)
    for _ in range(2):
        one.issue(population, plans_of_planner(population, planner))
        one.run_week(population)
    twin_store = FaultyStore(InMemoryFeatureStore(), Faults())
    other, twin = PlanExchange(worlds, twin_store), population.clone()
    other.store.restore(store.snapshot())
    other.reader.restore(one.reader.snapshot())
    store.faults = twin_store.faults = Faults(fail_reads=True)
    for _ in range(6):
        (week, plan), (twin_week, twin_plan) = one.run_week(population), other.run_week(twin)
        for mine, theirs in zip((*week, *plan), (*twin_week, *twin_plan), strict=True):
            assert_array_equal(mine, theirs)
        assert one.reader.counters == other.reader.counters
    assert one.reader.counters.fallbacks > 0


def test_rows_of_a_plan_are_target_and_cap_per_channel_then_the_shape() -> None:
    plan = pacing_plan([[3, 2], [0, 7]], 0, cap=[[4, 2], [1, 9]], shape=[0, 5])
    assert pack_plan(plan).tolist() == [[3, 4, 2, 2, 0], [0, 1, 7, 9, 5]]
    assert pack_plan(plan).dtype == np.int32


def test_a_plans_shape_travels_through_the_store_to_the_executor() -> None:
    w = world("shaped")
    planned, direct = (Population(w, 400, 2, 2) for _ in range(2))
    plan_exchange, plans = PlanExchange(w), np.arange(400) * 7 % len(w.plans)
    for _ in range(3):
        before = direct.opted_in & direct.alive[:, None]
        shape = np.where(direct.alive, w.plan_shapes[plans], 0)
        plan_exchange.issue(planned, plans)
        week, plan = plan_exchange.run_week(planned)
        assert_array_equal(plan.shape, shape)
        same = default_executor().run_week(direct, w.plans[plans] * before, shape=shape)
        for mine, theirs in zip(week, same, strict=True):
            assert_array_equal(mine, theirs)
    uniform = Population(w, 400, 2, 2)
    for _ in range(3):
        last = default_executor().run_week(uniform, w.plans[plans] * uniform.opted_in)
    assert not np.array_equal(last.reward, week.reward)


def test_a_plan_written_once_the_store_is_back_survives_the_deletion_owed() -> None:
    store = CuttableStore()
    plan_exchange = PlanExchange(world("eventful"), store)
    population = Population(world("eventful"), N)
    plan_exchange.issue(population, np.full(N, population.world.plan_index((7, 7))))
    store.down = True
    plan_exchange.forget(population.members)
    store.down = False
    plan_exchange.issue(population, np.full(N, population.world.plan_index((3, 2))))
    assert_array_equal(
        plan_exchange.plans_in_force(population).target, population.opted_in * (3, 2)
    )
    assert plan_exchange.reader.counters == (0, 0)
