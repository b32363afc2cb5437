"""No policy, no store failure and no staleness gets past the guard: by the world's own events."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from stable_baselines3 import PPO

from slowfast_rl.envs import MessagingVectorEnv, PacingVectorEnv, SB3VecEnv
from slowfast_rl.members.arrays import Float32, Int32, Int64
from slowfast_rl.members.clock import DAY_SECONDS, WEEK_SECONDS
from slowfast_rl.members.loading import load_world
from slowfast_rl.members.population import Population
from slowfast_rl.members.state import Events, Week
from slowfast_rl.members.world import World
from slowfast_rl.policies import PlanSource
from slowfast_rl.policies.contracts import Executor
from slowfast_rl.policies.guard import (
    NO_CAP,
    action_mask,
    below_ceiling,
    feasible_plans,
    feasible_target,
    hold_forbidden,
    may_send,
    pack_plans,
    plan_ceiling,
)
from slowfast_rl.store import UNIFORM_SHAPE, InMemoryFeatureStore, pacing_plan, write_plans
from tests.envs.planners import VariedPlanner
from tests.envs.policies import Columns, eager_executor
from tests.members.worlds import world
from tests.store.faults import Faults, FaultyStore

N, WEEKS = 12, 3
# To play costs too much for a failure to be made smaller.
PLAY = settings(phases=[Phase.explicit, Phase.reuse, Phase.generate])


class Witness:
    """Watches a population live: no send to who left the channel, and a tally of the others."""

    def __init__(self, population: Population) -> None:
        self.population, self._step = population, population.step
        self.sends: Counter[tuple[int, int, int]] = Counter()  # by member, week, channel
        population.step = self.step

    @property
    def channel(self) -> int:
        return self.population.world.schedule[self.population.slot].channel

    def so_far(self) -> list[int]:
        """This week's sends on this slot's channel, [N]."""
        pairs = zip(self.population.members, self.population.weeks, strict=True)
        return [self.sends[int(m), int(w), self.channel] for m, w in pairs]

    def step(self, actions: Int64) -> tuple[Any, Events]:
        channel, population = self.channel, self.population
        opted_in, alive = population.opted_in[:, channel], population.alive
        members, weeks = population.members, population.weeks
        reward, events = self._step(actions)
        sent = events.sent.astype(bool)
        assert not (sent & ~opted_in).any()
        assert not (sent & ~alive).any()
        for i in np.flatnonzero(sent):
            self.sends[int(members[i]), int(weeks[i]), channel] += 1
        return reward, events


class Recorder:
    """An executor that keeps what the world says of the weeks it ran."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self.weeks: list[Week] = []

    def run_week(
        self,
        population: Population,
        target: Int32,
        cap: Int32 | None = None,
        shape: Int32 | int = UNIFORM_SHAPE,
    ) -> Week:
        self.weeks.append(self._executor.run_week(population, target, cap, shape))
        return self.weeks[-1]


shares = st.floats(0, 1)
worlds = st.builds(
    lambda **values: load_world("pronounced", {k.replace("__", "."): v for k, v in values.items()}),
    opt_out__hazard=st.floats(0, 0.5),
    opt_out__return_rate=shares,
    traits__opt_in=st.fixed_dictionaries({"push": shares, "email": shares}),
    churn__floor=st.floats(0, 0.3),
    num_candidates=st.integers(1, 6),
    safe_plan=st.fixed_dictionaries({"push": st.integers(0, 3), "email": st.integers(0, 2)}),
)
faults = st.builds(
    Faults,
    drop_writes=st.booleans(),
    delay_seconds=st.sampled_from([0, 0, 3600, 2 * DAY_SECONDS, 9 * DAY_SECONDS]),
    fail_writes=st.booleans(),
    empty_reads=st.booleans(),
    fail_reads=st.booleans(),
)
schedules = st.lists(st.one_of(st.just(Faults()), faults), min_size=1, max_size=5)


def faulty(schedule: list[Faults]) -> FaultyStore:
    """A store whose faults change from day to day."""
    return FaultyStore(
        InMemoryFeatureStore(), lambda clock: schedule[clock // DAY_SECONDS % len(schedule)]
    )


def allowed_plans(planner: VariedPlanner, member: int, week: int) -> list[tuple[int, ...]]:
    """Plans that may be in force: the member's own of this and earlier weeks, or the safe one."""
    w = planner.world
    chosen = planner.choose(np.full(week + 1, member), np.arange(week + 1))
    return [tuple(plan) for plan in w.plans[chosen].tolist()] + [w.safe_plan]


def play_and_watch(env: MessagingVectorEnv, policy: Any, weeks: int) -> Witness:
    """Step through weeks; every send must be within the plan that showed at its opportunity."""
    witness, seen = Witness(env.population), Columns(env)
    observations, _ = env.reset(seed=3)
    for _ in range(weeks * env.world.slots_per_week):
        before, channel = witness.so_far(), witness.channel
        target = seen.per_channel(observations, "{}_plan_target")[:, channel]
        mask = env.action_masks()[:, 1]
        opted_in = env.population.opted_in[:, channel]
        assert_array_equal(mask, (before < target) & opted_in)
        members, week = env.population.members, env.population.weeks
        actions = policy(observations)
        observations, *_, info = env.step(actions)
        after = [witness.sends[int(m), int(w), channel] for m, w in zip(members, week, strict=True)]
        assert_array_equal(np.array(after) - before, (actions > 0) & mask)
        done = ~info["_sent"]
        vetoed = np.where(done, info.get("final_info", info)["vetoed"], info["vetoed"])
        assert_array_equal(vetoed, (actions > 0) & ~mask)
    return witness


def check_plans(witness: Witness, planner: VariedPlanner) -> None:
    """No week's sends exceed every plan that may have been in force."""
    for (member, week, channel), count in witness.sends.items():
        assert count <= max(p[channel] for p in allowed_plans(planner, member, week))


@settings(PLAY, max_examples=15)
@given(worlds, schedules, st.integers(0, 2**31))
def test_random_actions_stay_within_plans_whatever_the_store_does(
    one: World, schedule: list[Faults], seed: int
) -> None:
    planner = VariedPlanner(one)
    env = MessagingVectorEnv(
        N, one, weeks=WEEKS, plan_source=PlanSource(planner, faulty(schedule)), population_seed=seed
    )
    rng = np.random.default_rng(seed)
    witness = play_and_watch(env, lambda _: rng.integers(0, env.num_actions, N), WEEKS + 1)
    check_plans(witness, planner)
    if all(today == Faults() for today in schedule):
        for (member, week, channel), count in witness.sends.items():
            plan = one.plans[planner.choose(np.array([member]), np.array([week]))[0]]
            assert count <= plan[channel]


@settings(PLAY, max_examples=5)
@given(worlds, schedules)
def test_raw_stable_baselines3_stays_within_plans_too(one: World, schedule: list[Faults]) -> None:
    planner = VariedPlanner(one)
    env = MessagingVectorEnv(N, one, weeks=WEEKS, plan_source=PlanSource(planner, faulty(schedule)))
    model = PPO("MlpPolicy", SB3VecEnv(env), n_steps=8, batch_size=8 * N, seed=1)

    def policy(observations: Float32) -> Int64:
        return np.asarray(model.predict(observations, deterministic=False)[0], np.int64)

    witness = play_and_watch(env, policy, 2)
    check_plans(witness, planner)


@settings(PLAY, max_examples=15)
@given(worlds, schedules, st.integers(0, 2**31))
def test_a_jitted_policy_that_always_sends_stays_within_plans_whatever_the_store_does(
    one: World, schedule: list[Faults], seed: int
) -> None:
    executor = Recorder(eager_executor())
    env = PacingVectorEnv(
        N, one, weeks=WEEKS, store=faulty(schedule), executor=executor, population_seed=seed
    )
    planner = VariedPlanner(one)
    slots = np.bincount([slot.channel for slot in one.schedule])
    env.reset(seed=seed)
    for _ in range(WEEKS + 1):
        p = env.population
        members, weeks, alive, opted_in = p.members, p.weeks.astype(np.int64), p.alive, p.opted_in
        chosen = planner.choose(members, weeks)
        env.step(chosen)
        week = executor.weeks.pop()
        assert (week.sends[~opted_in] == 0).all()
        assert (week.sends[~alive] == 0).all()
        assert (week.ignored == 0).all(), "the world met a send on a channel left"
        for i in np.flatnonzero(alive):
            may = np.array(allowed_plans(planner, int(members[i]), int(weeks[i])))
            if all(today == Faults() for today in schedule):
                may = one.plans[chosen[[i]]]
                stayed = opted_in[i] & (week.opt_outs[i] == 0)
                expected = np.minimum(may[0], slots)
                assert_array_equal(week.sends[i][stayed], expected[stayed])
            assert (week.sends[i] <= may.max(axis=0)).all()


@settings(PLAY, max_examples=10)
@given(worlds, st.data())
def test_plans_that_others_write_at_any_time_are_kept_with_their_caps(
    one: World, data: st.DataObject
) -> None:
    store = InMemoryFeatureStore()
    env = MessagingVectorEnv(N, one, weeks=WEEKS, store=store)
    witness = Witness(env.population)
    rng = np.random.default_rng(data.draw(st.integers(0, 2**31)))
    highest: dict[tuple[int, int], int] = {}
    env.reset(seed=3)
    for _ in range(WEEKS * one.slots_per_week):
        if rng.random() < 0.2:
            p = env.population
            target = rng.integers(0, 8, (N, 2))
            cap = target + rng.integers(0, 3, (N, 2))
            plan = pacing_plan(target, p.weeks, cap)
            write_plans(store, p.members, plan, p.now)
            for member, caps in zip(p.members.tolist(), cap.tolist(), strict=True):
                for c in range(2):
                    highest[member, c] = max(highest.get((member, c), 0), caps[c])
        env.step(rng.integers(1, env.num_actions, N))
    for (member, _, channel), count in witness.sends.items():
        assert count <= max(one.safe_plan[channel], highest.get((member, channel), 0))


@pytest.mark.parametrize("forged", [2**31 - 1, 1000, -1, -(2**31)])
def test_no_stored_number_sends_more_than_the_largest_plan_of_the_menu(forged: int) -> None:
    one = load_world("pronounced", {"menu.push": [0, 1, 3], "menu.email": [0, 1]})
    sends = np.full((N, 2), forged, np.int32)
    plan = pacing_plan(np.zeros((N, 2), np.int32), 0)._replace(target=sends, cap=sends)
    for weeks_ago in (0, 1):  # as a plan of this week, and as one that is remembered
        store = InMemoryFeatureStore()
        env = MessagingVectorEnv(N, one, weeks=WEEKS, store=store)
        witness = Witness(env.population)
        env.reset(seed=3)
        write_plans(store, env.population.members, plan, 0)
        for _ in range((1 + weeks_ago) * one.slots_per_week):
            env.step(np.ones(N, np.int64))
        largest = [max(c[i] for c in one.plans.tolist()) for i in range(2)]
        assert largest == [3, 1]
        for channel, limit in enumerate(largest):
            most = max((n for (*_, c), n in witness.sends.items() if c == channel), default=0)
            # The first opportunity is before the write, under the safe plan.
            assert most == limit if forged > 0 else most <= one.safe_plan[channel]


def test_numbers_below_the_ceiling_stay_and_others_are_cut_to_it() -> None:
    ceiling = plan_ceiling(np.array([[0, 0], [14, 0], [0, 7]], np.int32))
    assert_array_equal(ceiling, [14, 7])
    sends = np.array([[14, 7], [0, 3]], np.int32)
    assert below_ceiling(sends, ceiling) is sends
    cut = below_ceiling(np.array([[15, 2**31 - 1], [-1, 3]], np.int32), ceiling)
    assert_array_equal(cut, [[14, 7], [0, 3]])
    assert cut.dtype == np.int32


def test_without_a_plan_only_opt_ins_bind() -> None:
    env = MessagingVectorEnv(200, world("eventful"), weeks=WEEKS)
    witness = Witness(env.population)
    env.reset(seed=3)
    for _ in range(env.world.slots_per_week):
        opted_in = env.population.opted_in[:, witness.channel]
        assert_array_equal(env.action_masks()[:, 1], opted_in)
        actions = np.ones(200, np.int64)
        env.step(actions)
    slots = np.bincount([slot.channel for slot in env.world.schedule])
    counts = [n for (_, week, c), n in witness.sends.items() if week == 0 and n == slots[c]]
    assert counts, "somebody stays and receives everything"


def test_the_mask_and_the_veto_are_one_rule() -> None:
    p = Population(world("eventful"), 300, luck_seed=2)
    rng = np.random.default_rng(0)
    rows = pack_plans(np.zeros((300, 2), np.int32), rng.integers(0, 4, (300, 2), np.int32))
    for _ in range(2 * p.world.slots_per_week):
        mask = action_mask(p, rows)
        channel = p.world.schedule[p.slot].channel
        sent, opted_in = p.sent_this_week[:, channel], p.opted_in[:, channel]
        expected = opted_in & (sent < rows[:, 2 * channel + 1])
        assert_array_equal(mask[:, 1:], np.tile(expected[:, None], p.world.num_candidates))
        assert_array_equal(may_send(sent, rows[:, 2 * channel + 1], opted_in), expected)
        actions = rng.integers(0, 5, 300)
        kept = actions.copy()
        vetoed = hold_forbidden(p, rows, kept)
        assert_array_equal(vetoed, (actions > 0) & ~expected)
        assert_array_equal(kept, np.where(expected, actions, 0))
        p.step(kept)


def test_arguments_of_unequal_length_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(3,\), \(2,\) and \(3,\); one length"):
        may_send(np.zeros(3, np.int32), np.zeros(2, np.int32), np.ones(3, bool))


def test_no_cap_is_more_than_any_week_has_slots() -> None:
    assert NO_CAP > 7 * DAY_SECONDS > WEEK_SECONDS // 2


class TestFeasibility:
    def test_a_plan_is_feasible_if_it_leaves_alone_every_channel_left(self) -> None:
        plans = world("in_app").plans
        opted_in = np.array([[1, 1, 1], [0, 1, 1], [1, 0, 0], [0, 0, 0]], bool)
        expected = [[not (plan[~row] > 0).any() for plan in plans] for row in opted_in]
        assert_array_equal(feasible_plans(plans, opted_in), expected)
        assert feasible_plans(plans, opted_in[:0]).shape == (0, len(plans))

    def test_a_target_is_0_on_channels_left(self) -> None:
        target = np.array([[3, 2], [3, 2]], np.int32)
        kept = feasible_target(target, np.array([[1, 0], [1, 1]], bool))
        assert_array_equal(kept, [[3, 0], [3, 2]])
        assert kept.dtype == np.int32
