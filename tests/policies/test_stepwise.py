import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from slowfast_rl.envs import MessagingVectorEnv
from slowfast_rl.members.observations import (
    opportunity_features,
    opportunity_observation,
    weekly_features,
)
from slowfast_rl.members.population import Population
from slowfast_rl.policies import PlanSource
from slowfast_rl.policies.contracts import BaseExecutor
from slowfast_rl.policies.executor import default_executor
from slowfast_rl.policies.stepwise import StepwiseExecutor
from slowfast_rl.slow import FixedPlanner
from slowfast_rl.store import InMemoryFeatureStore, pacing_plan
from tests.members.worlds import world
from tests.policies.test_guard import worlds


class Wild:
    """Any actions at all, whatever the mask says."""

    def __init__(self, seed):
        self._generator = np.random.default_rng(seed)

    def act(self, observations, masks, coins):
        return self._generator.integers(0, masks.shape[1], len(masks))


class Pushy:
    """Sends the first candidate always."""

    def act(self, observations, masks, coins):
        return np.ones(len(masks), np.int64)


class Default:
    """The default executor's rule, read from observations and coins."""

    def __init__(self, w):
        names = [f.name for f in weekly_features(w) + opportunity_features(w)]
        self.left = [names.index(f"{c}_plan_left") for c in w.channels]
        self.now = [names.index(f"slot_is_{c}") for c in w.channels]
        self.slots = names.index("slots_left")
        candidates = range(1, w.num_candidates + 1)
        self.quality = [names.index(f"candidate_{j}_quality") for j in candidates]

    def act(self, observations, masks, coins):
        channel = observations[:, self.now].argmax(axis=1)
        left = observations[:, self.left][np.arange(len(masks)), channel]
        slots, best = observations[:, self.slots], observations[:, self.quality].argmax(axis=1) + 1
        send = (coins * slots < left) & (masks[:, 1] > 0)
        return np.where(send, best, 0)


@settings(max_examples=30)
@given(worlds, st.booleans(), st.integers(0, 2**32 - 1))
def test_no_policy_gets_past_the_guard(w, planned, seed):
    generator = np.random.default_rng(seed)
    population = Population(w, 12, seed, seed)
    policy = Wild(seed) if seed % 2 else Pushy()
    executor = StepwiseExecutor(policy, planned=planned)
    slots = np.bincount([slot.channel for slot in w.schedule], minlength=len(w.channels))
    for _ in range(4):
        cap = generator.integers(0, slots + 2, (12, len(slots))).astype(np.int32)
        opted_in, alive = population.opted_in, population.alive
        week = executor.run_week(population, cap)
        most = np.minimum(cap, slots) if planned else slots
        assert (week.sends <= most).all()
        assert (week.sends[~opted_in | ~alive[:, None]] == 0).all()
        assert (week.ignored == 0).all()
        if isinstance(policy, Pushy):  # each of its sends was sent or vetoed
            assert_array_equal(week.sends.sum(axis=1) + week.vetoed, slots.sum() * alive)


@pytest.mark.parametrize("name", ["pronounced", "eventful"])
def test_the_default_rule_slot_by_slot_lives_as_the_fused_executor(name):
    w = world(name)
    one, other = (Population(w, 120, 4, 4, luck_stream=2) for _ in range(2))
    target = np.random.default_rng(0).integers(0, 8, (120, 2)).astype(np.int32)
    for _ in range(4):
        fused = default_executor().run_week(one, target)
        stepped = StepwiseExecutor(Default(w)).run_week(other, target)
        for field in fused._fields:
            assert_array_equal(getattr(fused, field), getattr(stepped, field), err_msg=field)


class Recorder:
    """Takes prescribed actions and keeps what it saw."""

    def __init__(self, script):
        self.script, self.seen = script, []

    def act(self, observations, masks, coins):
        self.seen.append((observations, masks))
        return self.script[len(self.seen) - 1][: len(masks)]


@pytest.mark.parametrize("planned", [True, False])
def test_a_policy_sees_what_the_environment_shows(planned):
    w = world("deathless")
    script = np.random.default_rng(0).integers(0, 5, (63, 20))
    plans = {"plan_source": PlanSource(FixedPlanner(w, (5, 2)), InMemoryFeatureStore())}
    env = MessagingVectorEnv(
        20, w, population_seed=3, luck_seed=3, first_member=0, **(plans if planned else {})
    )
    observation, info = env.reset(seed=3)
    recorder, population = Recorder(script), Population(w, 20, 3, 3)
    for week in range(3):
        target = np.where(population.opted_in, [5, 2], 0).astype(np.int32)
        StepwiseExecutor(recorder, planned=planned).run_week(population, target)
        for actions in script[21 * week : 21 * week + 21]:
            seen, mask = recorder.seen.pop(0)
            assert_array_equal(seen, observation)
            assert_array_equal(mask, info["action_mask"])
            observation, _, _, _, info = env.step(actions)
        recorder.script = recorder.script[21:]


@pytest.mark.parametrize(
    "answer", [np.zeros(3, np.int64), np.zeros(20), np.zeros((20, 1), int), [0] * 19, 0]
)
def test_an_answer_that_is_not_one_integer_per_member_is_refused(answer):
    class Odd:
        def act(self, observations, masks, coins):
            return answer

    population = Population(world("deathless"), 20)
    with pytest.raises(ValueError, match=r"allowed are integers of shape \(20,\)"):
        StepwiseExecutor(Odd()).run_week(population, np.ones((20, 2), np.int32))


def test_a_week_begins_on_monday():
    population = Population(world("deathless"), 4)
    population.step(np.zeros(4, np.int64))
    with pytest.raises(ValueError, match="is at slot 1; a week starts at slot 0"):
        StepwiseExecutor(Pushy()).run_week(population, np.ones((4, 2), np.int32))


def test_coins_belong_to_the_member_and_the_luck_not_to_the_batch():
    class Coins:
        def __init__(self):
            self.seen = []

        def act(self, observations, masks, coins):
            self.seen.append(coins)
            return np.zeros(len(masks), np.int64)

    w, all_of_them, some = world("deathless"), Coins(), Coins()
    whole = Population(w, 10, 1, 5)
    part = whole.shard(3, 7)
    for coins, population in ((all_of_them, whole), (some, part)):
        no_plan = np.zeros((population.num_members, 2), np.int32)
        StepwiseExecutor(coins).run_week(population, no_plan)
    assert_array_equal(np.array(all_of_them.seen)[:, 3:7], some.seen)
    assert 0.4 < np.mean(all_of_them.seen) < 0.6


class Served(BaseExecutor):
    """The default rule, or a coin where no plan is seen; keeps what it saw."""

    name = "served"

    def __init__(self, w, planned=True):
        super().__init__()
        self.rule, self.planned, self.seen = Default(w), planned, []

    def act(self, observations, masks, coins):
        self.seen.append((observations, masks, coins))
        if self.planned:
            return self.rule.act(observations, masks, coins)
        return np.where(coins < 0.2, 2, 0)


@pytest.mark.parametrize("planned", [True, False])
@pytest.mark.parametrize("name", ["eventful", "in_app"])
def test_a_served_executor_decides_as_in_simulated_weeks(name, planned):
    w = world(name)
    one, other = (Population(w, 60, 4, 4) for _ in range(2))
    simulated, served = Served(w, planned), Served(w, planned)
    menu = np.random.default_rng(0).integers(0, 40, (60, len(w.channels))).astype(np.int32)
    for _ in range(3):
        target = np.where(one.opted_in, menu, 0).astype(np.int32)
        week = simulated.run_week(one, target)
        for _ in w.schedule:
            alive = np.flatnonzero(other.alive)
            targets = np.where(other.opted_in, target, 0)
            shown = opportunity_observation(other, targets)  # a plan that only some may see
            plan = pacing_plan(targets[alive], other.weeks[alive])
            ids, now = other.members[alive], other.now[alive]
            actions = np.zeros(60, np.int64)
            actions[alive] = served.choose(w, shown[alive], plan, ids, now + 7, 4).actions
            other.step(actions)
            mine, theirs = simulated.seen.pop(0), served.seen.pop(0)
            for found, wanted in zip(theirs, mine, strict=True):
                assert_array_equal(found, wanted)
        for field in week._fields:
            if field != "vetoed":  # a forbidden send is held before it is counted
                assert_array_equal(
                    getattr(other.last_week(), field), getattr(week, field), err_msg=field
                )
        assert week.sends.any()


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (np.full(20, 0.7), r"allowed are integers of shape \(20,\)"),
        (np.ones((20, 1), int), r"allowed are integers of shape \(20,\)"),
        (np.full(20, 9), "actions span 9 to 9; allowed is 0 to "),
        (np.full(20, -1), "actions span -1 to -1; allowed is 0 to "),
    ],
)
def test_an_answer_is_checked_alike_in_simulated_weeks_and_when_served(answer, message):
    class Odd(Served):
        def act(self, observations, masks, coins):
            return answer

    w = world("deathless")
    population, odd = Population(w, 20), Odd(w)
    obs, plan = opportunity_observation(population), pacing_plan(np.ones((20, 2), np.int32), 0)
    with pytest.raises(ValueError, match=message):
        odd.choose(w, obs, plan, population.members, population.now, 0)
    with pytest.raises(ValueError, match=message):
        odd.run_week(population, np.ones((20, 2), np.int32))
