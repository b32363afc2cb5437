import numpy as np
import pytest
from hypothesis import given, settings
from numpy.testing import assert_allclose, assert_array_equal

from slowfast_rl.agents import SlowFastAgent
from slowfast_rl.envs import MessagingVectorEnv
from slowfast_rl.fast import (
    AffinityRanker,
    BidPricePacer,
    CoinPacer,
    ExactPacer,
    PacedExecutor,
    QualityRanker,
    UpliftRanker,
)
from slowfast_rl.members.clock import WEEK_SECONDS
from slowfast_rl.members.loading import load_world
from slowfast_rl.members.observations import opportunity_observation
from slowfast_rl.members.population import Population
from slowfast_rl.policies import PlanSource
from slowfast_rl.policies.columns import columns
from slowfast_rl.policies.contracts import BasePlanner
from slowfast_rl.slow import FixedPlanner, RandomPlanner
from slowfast_rl.store import (
    InMemoryFeatureStore,
    Status,
    pacing_plan,
    read_plans,
    write_plans,
)
from tests.agents.cases import WEIGHTS as UNIT
from tests.agents.cases import Lived, live, untrained_agent
from tests.fast.cases import random_week, ranked
from tests.fast.test_decide import made_up
from tests.fast.test_rankers import WEIGHTS
from tests.members.worlds import world
from tests.store.faults import Faults, FaultyStore

MEMBERS, WEEKS = 48, 5


def assert_followed(lived: Lived, target: np.ndarray):
    """Sends are the target on channels kept all week, at most the target on the others."""
    assert lived.vetoed == 0
    assert lived.kept.any()
    assert_array_equal(lived.sends[lived.kept], target[lived.kept])
    assert (lived.sends <= np.where(lived.opted_in, target, 0)).all()


class Noted(BasePlanner):
    """A planner that notes what it chose for whom, by (member, week), and never changes it."""

    name = "noted"

    def __init__(self, planner, plans):
        super().__init__()
        self.planner, self.plans, self.noted = planner, plans, {}
        self.policy_version = planner.policy_version

    def plan(self, request):
        chosen = self.planner.plan(request)
        for member, week, plan in zip(request.entity_ids, request.weeks, chosen, strict=True):
            assert_array_equal(
                self.noted.setdefault((member, week), self.plans[plan]), self.plans[plan]
            )
        return chosen


@pytest.mark.parametrize("name", ["eventful", "in_app"])
def test_predict_follows_the_plans_that_its_planner_wrote_to_the_store(name):
    w, store = world(name), InMemoryFeatureStore()
    agent = untrained_agent(w, store)
    agent.slow = planner = Noted(RandomPlanner(1), w.plans)
    env = MessagingVectorEnv(MEMBERS, w, weeks=100, plan_source=PlanSource(planner, store))
    lived = live(agent, env, WEEKS)
    weeks = {}
    target = np.zeros(lived.sends.shape, int)
    for number, members in enumerate(lived.members):
        for row, member in enumerate(members):
            weeks[member] = weeks.get(member, -1) + 1
            target[number, row] = planner.noted[member, weeks[member]]
    slots = np.bincount([slot.channel for slot in w.schedule])
    assert_followed(lived, np.minimum(target, slots))
    assert len(np.unique(target.reshape(-1, target.shape[2]), axis=0)) > 5


def test_predict_plans_for_an_environment_that_only_reads_the_store():
    w = load_world("pronounced", {"opt_out.return_rate": 0, "opt_out.hazard": 0.02})
    store = InMemoryFeatureStore()
    agent = SlowFastAgent(FixedPlanner(w, (3, 7)), PacedExecutor(), store).learn(w)
    lived = live(agent, MessagingVectorEnv(MEMBERS, w, weeks=100, store=store), WEEKS)
    assert_followed(lived, np.where(lived.opted_in, [3, 7], 0))


def test_plans_go_through_the_store_with_their_week_and_version():
    w = world("deathless")
    agent = untrained_agent(w)
    agent.slow.policy_version = 9
    env = MessagingVectorEnv(MEMBERS, w, weeks=10, store=agent.store)
    live(agent, env, 2)
    plan, status = read_plans(agent.store, env.population.members, env.population.now - 1)
    assert (status == Status.PRESENT).all()
    assert_array_equal(plan.week, 1)
    assert_array_equal(plan.policy_version, 9)


@pytest.mark.parametrize(
    "faults",
    [Faults(drop_writes=True), Faults(fail_writes=True), Faults(fail_reads=True)],
    ids=["dropped writes", "failing writes", "failing reads"],
)
def test_with_no_plan_coming_through_the_store_predict_keeps_to_the_safe_plan(faults):
    w = world("eventful")
    store = FaultyStore(InMemoryFeatureStore(), faults)
    agent = SlowFastAgent(FixedPlanner(w, (14, 7)), PacedExecutor(), store).learn(w)
    lived = live(agent, MessagingVectorEnv(MEMBERS, w, weeks=100, store=store), WEEKS)
    assert_followed(lived, np.where(lived.opted_in, w.safe_plan, 0))


def test_an_episode_that_starts_forgets_what_was_known_of_the_member():
    w = world("deathless")
    agent = SlowFastAgent(FixedPlanner(w, (14, 0)), PacedExecutor()).learn(w)
    population = Population(w, 20)
    arguments = {"entity_ids": population.members, "now": population.now}
    agent.predict(opportunity_observation(population), **arguments)
    agent.slow._index = w.plan_index((0, 7))
    agent.predict(opportunity_observation(population), **arguments)
    plan, _ = read_plans(agent.store, population.members, population.now)
    assert plan.target[:, 0].max() == 14
    begins = np.arange(20) < 10
    agent.predict(opportunity_observation(population), **arguments, episode_start=begins)
    plan, _ = read_plans(agent.store, population.members, population.now)
    assert plan.target[begins, 0].max() == 0
    assert plan.target[~begins, 0].max() == 14


def always(population, executor, obs):
    """Actions where the plan wants a send at every slot."""
    size = (population.num_members, len(population.world.channels))
    many = np.full(size, 99, np.int32)
    plan = pacing_plan(many, 0)
    return executor.choose(
        population.world, obs, plan, population.members, population.now, 0
    ).actions


def assert_chosen_as_in_the_fused_week(population, ranker, slots):
    """Step through the week's first slots, each with the candidates of the fused week."""
    for slot in population.world.schedule[:slots]:
        actions = always(
            population, PacedExecutor(ranker=ranker), opportunity_observation(population)
        )
        opted_in = population.opted_in[:, slot.channel]
        assert_array_equal(actions, np.where(opted_in, ranked(population, ranker), 0))
        population.step(actions)


@settings(max_examples=15)
@given(WEIGHTS)
def test_from_observations_the_same_candidate_is_chosen_as_in_the_fused_week(weights):
    w = world("pronounced")
    population = Population(w, 10, 5, 5)
    random_week(population, np.random.default_rng(5), share=0.15)  # some topics were never sent
    for ranker in (
        AffinityRanker.with_weights(weights),
        QualityRanker(),
        UpliftRanker.with_weights(made_up(2)),
    ):
        assert_chosen_as_in_the_fused_week(population.clone(), ranker, slots=9)


def test_candidates_are_chosen_likewise_in_a_world_of_other_channels_topics_and_candidates():
    w = world("in_app")
    population, ranker = (
        Population(w, 30, 1, 1),
        AffinityRanker.with_weights(untrained_agent(w).fast.ranker.learned),
    )
    random_week(population, np.random.default_rng(1))
    assert_chosen_as_in_the_fused_week(population, ranker, slots=len(w.schedule))


PACERS = [ExactPacer(), CoinPacer(), BidPricePacer.with_quantiles([[-1, 0, 0.5, 1, 1.5, 3]] * 2)]


@pytest.mark.parametrize("pacer", PACERS, ids=lambda pacer: pacer.name)
@pytest.mark.parametrize(
    "ranker", [QualityRanker(), AffinityRanker.with_weights(UNIT)], ids=lambda r: r.name
)
def test_with_the_lucks_coins_predict_lives_the_very_week_of_the_fused_executor(pacer, ranker):
    w, executor = world("shaped"), PacedExecutor(pacer, ranker)
    stepped, fused = (Population(w, 200, 4, 4) for _ in range(2))
    generator = np.random.default_rng(4)
    shapes = np.array([0, 1, 3])[generator.integers(0, 3, 200)]
    for week in range(3):
        target = generator.integers(0, 8, (200, 2)).astype(np.int32)
        plan = pacing_plan(target, week, shape=shapes)
        expected = executor.run_week(fused, plan.target, plan.cap, plan.shape)
        for _ in w.schedule:
            obs, ids, now = opportunity_observation(stepped), stepped.members, stepped.now
            actions = executor.choose(w, obs, plan, ids, now, 4).actions
            stepped.step(np.where(stepped.alive, actions, 0))
        for name, mine, theirs in zip(expected._fields, stepped.last_week(), expected, strict=True):
            assert_allclose(mine, theirs, rtol=1e-12, err_msg=name)
    assert expected.sends.sum() > 400


def test_predict_writes_the_shapes_that_its_planner_chose():
    w = world("shaped")
    agent = SlowFastAgent(FixedPlanner(w, (3, 1), "active"), PacedExecutor()).learn(w)
    population = Population(w, 5)
    agent.predict(
        opportunity_observation(population), entity_ids=population.members, now=population.now
    )
    plan, _ = read_plans(agent.store, population.members, population.now)
    assert_array_equal(plan.shape, 3)


def test_a_shape_that_depends_on_launches_cannot_work_from_observations():
    w = world("shaped")
    agent = SlowFastAgent(FixedPlanner(w, (3, 1), "launches"), PacedExecutor()).learn(w)
    with pytest.raises(ValueError, match="shape 'launches' depends on the week's launches"):
        agent.predict(opportunity_observation(Population(w, 3)), entity_ids=[0, 1, 2], now=0)


def test_a_cap_below_the_target_is_kept():
    w = world("pronounced")
    population = Population(w, 20)
    target, times = np.full((20, 2), 99, np.int32), population.now
    obs, ids = opportunity_observation(population), population.members
    for cap, some in ((np.zeros_like(target), False), (np.ones_like(target), True)):
        plan = pacing_plan(np.minimum(target, cap), 0)._replace(target=target, cap=cap)
        actions = PacedExecutor().choose(w, obs, plan, ids, times, 0).actions
        assert actions.any() == some


def test_the_choice_does_not_depend_on_the_batch():
    w = world("pronounced")
    population = Population(w, 40)
    obs, rows = opportunity_observation(population), np.random.default_rng(0).permutation(40)[:17]
    whole, part = (untrained_agent(w) for _ in range(2))
    actions, state = whole.predict(obs, entity_ids=population.members, now=population.now)
    some, _ = part.predict(obs[rows], entity_ids=population.members[rows], now=0)
    assert state is None
    assert len(set(actions.tolist())) > 2
    assert_array_equal(some, actions[rows])


def test_observations_of_double_precision_give_the_same_choice():
    w = world("pronounced")
    population = Population(w, 40)
    obs = opportunity_observation(population)
    arguments = {"entity_ids": population.members, "now": population.now}
    one, _ = untrained_agent(w).predict(obs, **arguments)
    other, _ = untrained_agent(w).predict(obs.astype(np.float64), **arguments)
    assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"obs": np.zeros((3, 5), np.float32)}, r"obs has shape \(3, 5\); allowed is \(B, "),
        ({"obs": np.zeros(5, np.float32)}, r"obs has shape \(5,\)"),
        ({"entity_ids": [0, 1]}, r"entity_ids is int64 of shape \(2,\)"),
        ({"entity_ids": [0.0, 1.0, 2.0]}, "entity_ids is float64"),
        ({"entity_ids": [0, 1, 1]}, "entity id 1 comes twice"),
        ({"now": [0, 0]}, r"now is int64 of shape \(2,\)"),
        ({"now": 0.5}, "now is float64"),
        ({"episode_start": [True]}, r"episode_start has shape \(1,\); allowed is \(3,\)"),
    ],
)
def test_arguments_that_do_not_fit_are_refused_in_one_line(changes, message):
    w = world("pronounced")
    arguments = {
        "obs": opportunity_observation(Population(w, 3)),
        "entity_ids": [0, 1, 2],
        "now": 0,
    }
    arguments |= changes
    with pytest.raises(ValueError, match=message) as raised:
        untrained_agent(w).predict(arguments.pop("obs"), **arguments)
    assert "\n" not in str(raised.value)


def test_an_agent_without_a_world_says_so():
    with pytest.raises(RuntimeError, match="call learn or load first"):
        SlowFastAgent().predict(np.zeros((1, 1), np.float32), entity_ids=[0], now=0)


def test_nobody_is_answered_with_no_actions():
    one = world("pronounced")
    agent = untrained_agent(one)
    nobody = np.zeros((0, len(columns(one))), np.float32)
    for ids in ([], np.zeros(0, np.int64)):
        actions, state = agent.predict(nobody, entity_ids=ids, now=0)
        assert (actions.shape, actions.dtype, state) == ((0,), np.int64, None)
    assert agent.predict(nobody, entity_ids=[], now=[])[0].shape == (0,)


class Counting(FaultyStore):
    """Counts reads and writes."""

    reads = writes = 0

    def get_online_features(self, view, entity_ids, now):
        self.reads += 1
        return super().get_online_features(view, entity_ids, now)

    def write_to_online_store(self, view, entity_ids, rows, event_timestamp):
        self.writes += 1
        return super().write_to_online_store(view, entity_ids, rows, event_timestamp)


def test_predict_reads_the_store_for_the_first_decision_of_a_week_and_for_no_later_one():
    w, store = world("pronounced"), Counting(InMemoryFeatureStore(), Faults())
    agent = SlowFastAgent(FixedPlanner(w, (3, 1)), PacedExecutor(), store).learn(w)
    population = Population(w, 20)
    obs, ids = opportunity_observation(population), population.members
    agent.predict(obs, entity_ids=ids, now=0)
    assert (store.reads, store.writes) == (2, 1)  # looks, plans and reads what it wrote
    agent.predict(obs, entity_ids=ids, now=1)
    assert (store.reads, store.writes) == (2, 1)
    plan = pacing_plan(np.ones((20, 2), int), 1)
    write_plans(store, ids, plan, WEEK_SECONDS)
    for later in range(3):
        agent.predict(obs, entity_ids=ids, now=WEEK_SECONDS + later)
    assert (store.reads, store.writes) == (3, 2)
