"""A member's life depends on who it is, when, its luck and what is done to it: on nothing else."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slowfast_rl.members.branching import branch
from slowfast_rl.members.clock import DAY_SECONDS, WEEK_SECONDS
from slowfast_rl.members.opportunity import FastPolicy
from slowfast_rl.members.population import Population
from slowfast_rl.members.state import EW4, SENDS, THIS
from tests.members.policies import (
    SEEN,
    allow_all,
    allow_up_to_rows,
    indifferent_pace,
    no_rows,
    play,
    play_weeks,
    random_actions,
    script,
    watch,
)
from tests.members.worlds import world

WEEKS = 3
NAMES = ("pronounced", "calibrated", "eventful", "in_app")


def population(name: str = "eventful", num_members: int = 40, **arguments: int) -> Population:
    return Population(world(name), num_members, **({"luck_seed": 6} | arguments))


def arrays(population: Population) -> dict[str, np.ndarray]:
    """Everything that differs between members."""
    lives = population.lives
    found = {"ledger": lives.ledger}
    for part in (lives.state, lives.log, lives.traits):
        found |= {f"{type(part).__name__}.{n}": a for n, a in part._asdict().items()}
    return found


def check_same(one: Population, other: Population, rows: object = slice(None)) -> None:
    """Bit for bit: one's rows are other's members."""
    for name, values in arrays(one).items():
        assert np.array_equal(values[rows], arrays(other)[name]), name


def differs(one: Population, other: Population) -> bool:
    pairs = zip(arrays(one).values(), arrays(other).values(), strict=True)
    return any(not np.array_equal(a, b) for a, b in pairs)


class TestTheSameLife:
    """In any batch, shard, driver, clone."""

    @pytest.mark.parametrize("name", NAMES)
    def test_a_member_lives_the_same_life_in_batches_of_1_7_and_4096(self, name: str) -> None:
        many = population(name, 4096)
        actions = random_actions(many, WEEKS)
        rewards = play(many, actions)
        for first, size in ((0, 1), (4095, 1), (2000, 7)):
            rows = slice(first, first + size)
            few = population(name, size, first_member=first)
            assert np.array_equal(play(few, actions[:, :, rows]), rewards[:, :, rows])
            check_same(many, few, rows)

    @settings(max_examples=25)
    @given(st.integers(0, 60), st.integers(1, 9), st.integers(0, 2**32 - 1))
    def test_any_part_of_any_population_lives_the_same_life(
        self, first: int, size: int, seed: int
    ) -> None:
        many = Population(world("eventful"), 69, population_seed=seed, luck_seed=seed)
        few = Population(world("eventful"), size, seed, seed, first_member=first)
        actions = random_actions(many, 1)
        play(many, actions)
        play(few, actions[:, :, first : first + size])
        check_same(many, few, slice(first, first + size))

    @pytest.mark.parametrize("name", NAMES)
    def test_both_drivers_live_the_same_life(self, name: str) -> None:
        stepped, fused = population(name), population(name)
        actions = random_actions(stepped, WEEKS)
        slot_rewards = play(stepped, actions)
        week_rewards = play_weeks(fused, actions)
        check_same(stepped, fused)
        assert slot_rewards.sum(axis=1) == pytest.approx(np.array(week_rewards), abs=1e-4)
        for a, b in zip(stepped.last_week(), fused.last_week(), strict=True):
            assert np.array_equal(a, b)

    def test_drivers_can_take_turns(self) -> None:
        stepped, mixed = population(), population()
        actions = random_actions(stepped, WEEKS)
        play(stepped, actions)
        play(mixed, actions[:1])
        play_weeks(mixed, actions[1:2])
        play(mixed, actions[2:])
        check_same(stepped, mixed)

    @pytest.mark.parametrize("name", ["pronounced", "in_app"])
    def test_a_policy_sees_the_same_in_both_drivers(self, name: str) -> None:
        stepped, fused = population(name), population(name)
        n, slots = stepped.num_members, stepped.world.slots_per_week
        noted = np.zeros(WEEKS * slots * n * SEEN, np.float32)
        policy = FastPolicy(indifferent_pace, watch, np.zeros(1, np.float32), noted)
        for _ in range(WEEKS):
            fused.run_week(policy, allow_all, no_rows(n))
        seen = noted.reshape(WEEKS * slots, n, SEEN)
        for t in range(WEEKS * slots):
            slot, log = stepped.world.schedule[t % slots], stepped.lives.log
            day = 7 * (t // slots) + slot.weekday
            living = stepped.alive
            expected = [
                np.full(n, slot.channel),
                stepped.sent_this_week[:, slot.channel],
                stepped.opted_in[:, slot.channel],
                np.full(n, day),
                log.by_member[:, THIS],
                log.by_member[:, EW4],
                log.by_channel[:, slot.channel, SENDS + THIS],
                np.full(n, stepped.lives.launches[day, 0]),
            ]
            assert np.array_equal(seen[t][living], np.stack(expected, axis=1)[living])
            stepped.step(np.ones(n, np.int64))

    def test_a_shard_lives_as_its_rows_do(self) -> None:
        whole = population()
        actions = random_actions(whole, WEEKS)
        early = whole.shard(10, 25)
        play(whole, actions[:1])
        whole.step(actions[1, 0])
        late = whole.shard(10, 25)  # in the middle of a day
        part = actions[:, :, 10:25]
        play(early, part[:1])
        early.step(part[1, 0])
        check_same(early, late)
        for a in range(1, 21):
            early.step(part[1, a])
            late.step(part[1, a])
            whole.step(actions[1, a])
        check_same(early, late)
        check_same(whole, late, slice(10, 25))

    def test_a_clone_continues_identically(self) -> None:
        original = population()
        actions = random_actions(original, WEEKS)
        play(original, actions[:1])
        clone = original.clone()
        assert np.array_equal(play(original, actions[1:]), play(clone, actions[1:]))
        check_same(original, clone)

    def test_a_clone_is_untouched_by_what_happens_to_the_original(self) -> None:
        original = population()
        actions = random_actions(original, WEEKS)
        clone, untouched = original.clone(), population()
        play(original, np.full_like(actions, 1))
        check_same(clone, untouched)
        play(clone, actions)
        assert differs(original, clone)
        play(untouched, actions)
        check_same(clone, untouched)

    def test_branches_of_a_member_differ_only_by_their_actions(self) -> None:
        trunk = population(num_members=5)
        actions = random_actions(trunk, 1)
        play(trunk, actions)
        branches = branch(trunk, 3)
        assert branches.members.tolist() == np.repeat(trunk.members, 3).tolist()
        play(branches, np.repeat(actions, 3, axis=2))
        for b in range(3):
            check_same(branches, branches.take(slice(b, None, 3)), slice(b, None, 3))
        play(trunk, actions)
        check_same(branches.take(np.arange(1, 15, 3)), trunk)

    def test_twins_share_their_luck_until_their_actions_differ(self) -> None:
        one, other = population(num_members=200), population(num_members=200)
        hold = np.zeros(200, np.int64)
        send = hold.copy()
        send[:100] = 1
        one.step(hold)
        other.step(send)
        check_same(one.shard(100, 200), other.shard(100, 200))
        assert differs(one.shard(0, 100), other.shard(0, 100))
        organic = [p.lives.state.organic_slot for p in (one, other)]
        assert np.array_equal(*organic)


class TestLuck:
    """Seeds, streams and episodes."""

    @pytest.mark.parametrize(
        "other", [{"luck_stream": 1}, {"luck_seed": 7}], ids=["stream", "seed"]
    )
    def test_other_luck_is_another_life_of_the_same_members(self, other: dict[str, int]) -> None:
        one, two = population(), population(**other)
        assert np.array_equal(one.lives.traits.taste, two.lives.traits.taste)
        assert np.array_equal(one.opted_in, two.opted_in)
        actions = random_actions(one, 1)
        assert not np.array_equal(play(one, actions), play(two, actions))
        assert not np.array_equal(one.lives.state.habit, two.lives.state.habit)

    def test_streams_of_luck_are_uncorrelated(self) -> None:
        lives = [population("homogeneous", 4000, luck_stream=s) for s in (0, 1)]
        hold = np.zeros(4000, np.int64)
        for _ in range(21):
            for p in lives:
                p.step(hold)
        days = [p.last_week().viewing_days for p in lives]
        assert abs(np.corrcoef(days)[0, 1]) < 4 / np.sqrt(4000)

    def test_another_population_seed_is_other_members(self) -> None:
        one, two = population(), population(population_seed=1)
        assert not np.any(one.lives.traits.taste == two.lives.traits.taste)

    def test_row_i_in_episode_e_plays_member_first_plus_i_plus_e_strides(self) -> None:
        p = population(num_members=4, first_member=100)
        assert p.members.tolist() == [100, 101, 102, 103]
        p.restart(np.array([1, 3]))
        p.restart(np.array([3]))
        assert p.members.tolist() == [100, 105, 102, 111]
        assert p.episodes.tolist() == [0, 1, 0, 2]

    def test_a_shard_keeps_the_stride_of_its_parent(self) -> None:
        shard = population(num_members=10, first_member=100).shard(4, 6)
        shard.restart(np.array([0, 1]))
        assert shard.members.tolist() == [114, 115]

    def test_ids_wrap_at_32_bits(self) -> None:
        p = population(num_members=2, first_member=2**32 - 1)
        assert p.members.tolist() == [2**32 - 1, 0]

    @pytest.mark.parametrize("rows", [[1, 3], [False, True, False, True]], ids=["rows", "mask"])
    def test_a_restarted_row_begins_the_life_of_the_new_member(self, rows: list[int]) -> None:
        p = population(num_members=4)
        actions = random_actions(p, WEEKS)
        play(p, actions[:1])
        others = p.take([0, 2])
        p.restart(np.array(rows))
        assert p.members.tolist() == [0, 5, 2, 7]
        assert p.weeks.tolist() == [1, 0, 1, 0]
        check_same(p.take([0, 2]), others)
        fresh = [population(num_members=1, first_member=m) for m in (5, 7)]
        for row, one in zip((1, 3), fresh, strict=True):
            check_same(p.take([row]), one)
        play(p, actions[1:])
        for row, one in zip((1, 3), fresh, strict=True):
            play(one, actions[1:, :, [row]])
            check_same(p.take([row]), one)

    def test_reset_with_a_seed_is_a_fresh_population_under_that_luck(self) -> None:
        p = population()
        actions = random_actions(p, WEEKS)
        play(p, actions)
        p.restart(np.arange(10))
        p.step(actions[0, 0])
        p.reset(99)
        fresh = population(luck_seed=99)
        assert p.slot == 0
        assert p.episodes.tolist() == [0] * 40
        check_same(p, fresh)
        assert np.array_equal(play(p, actions), play(fresh, actions))
        check_same(p, fresh)

    def test_reset_without_a_seed_goes_on_to_new_members_under_the_same_luck(self) -> None:
        p = population()
        actions = random_actions(p, WEEKS)
        play(p, actions)
        p.reset()
        p.reset()
        fresh = population(first_member=80)
        check_same(p, fresh)
        play(p, actions)
        play(fresh, actions)
        check_same(p, fresh)


class TestRules:
    """What the population keeps, whoever acts."""

    def test_opted_out_member_receives_nothing(self) -> None:
        p = population("pronounced", 400)
        out = ~p.opted_in
        assert (out.sum(axis=0) > 10).all()
        send = np.ones(400, np.int64)
        for t in range(20):
            channel = p.world.schedule[t].channel
            out = ~p.opted_in[:, channel]
            before = arrays(p.clone())
            rewards, events = p.step(send)
            for happened in (events.sent, events.opened, events.dismissed, events.opted_out):
                assert not happened[out].any()
            assert events.sent[~out].all()
            assert (rewards[out] >= 0).all()
            for name in ("Log.by_channel", "Log.by_topic"):
                assert np.array_equal(before[name][out], arrays(p)[name][out])

    def test_a_send_to_an_opted_out_member_is_a_hold_that_is_counted(self) -> None:
        sender, holder = population("pronounced", 400), population("pronounced", 400)
        out = ~sender.opted_in.any(axis=1)
        assert out.sum() > 3
        actions = np.ones((1, 21, 400), np.int64)
        sent, held = play(sender, actions), play(holder, 0 * actions)
        staying_out = out & ~sender.opted_in.any(axis=1)
        assert np.array_equal(sent[:, :, staying_out], held[:, :, staying_out])
        assert np.array_equal(sender.lives.state.habit[out], holder.lives.state.habit[out])
        assert (sender.last_week().ignored[out] == 21).all()
        assert (sender.last_week().ignored + sender.last_week().sends.sum(axis=1) == 21).all()
        assert not holder.last_week().ignored.any()

    def test_a_churned_members_state_is_frozen_and_its_reward_zero(self) -> None:
        p = population("eventful", 300)
        actions = random_actions(p, 8)
        play(p, actions[:3])
        dead = ~p.alive
        before = arrays(p.clone())
        assert 10 < dead.sum() < 290
        for week in range(3, 8):
            rewards = play(p, actions[week : week + 1])
            assert not rewards[:, :, dead].any()
            assert rewards[:, :, p.alive].any(axis=1).all()
            for values in p.last_week():
                assert not values[dead].any()
        assert (p.weeks == 8).all()
        assert not p.alive[dead].any()
        after = arrays(p)
        for name in before:
            if name.startswith("State.") and name != "State.week":
                assert np.array_equal(before[name][dead], after[name][dead]), name

    def test_a_churned_member_sends_no_events(self) -> None:
        p = population("eventful", 300)
        play(p, random_actions(p, 4))
        dead = ~p.alive
        _, events = p.step(np.ones(300, np.int64))
        assert dead.any()
        for happened in events:
            assert not happened[dead].any()

    def test_the_guards_vetoes_are_holds_and_counted(self) -> None:
        p, held = population("pronounced", 50), population("pronounced", 50)
        rows = np.tile(np.array([[3, 1]], np.int32), (50, 1))
        always = script(np.ones((21, 50), np.int64))
        week = p.run_week(always, allow_up_to_rows, rows)
        assert (week.sends <= rows).all()
        staying = p.opted_in.all(axis=1)
        assert (week.sends[staying] == rows[staying]).all()
        assert (week.vetoed[staying] == 21 - 4).all()
        assert (week.vetoed + week.sends.sum(axis=1) == 21).all()
        assert not week.ignored.any()
        nothing = held.run_week(always, allow_up_to_rows, 0 * rows)
        assert (nothing.vetoed == 21).all()
        assert not nothing.sends.any()

    @pytest.mark.parametrize(("threshold", "sends"), [(-1, True), (0, True), (0.1, False)])
    def test_the_best_candidate_is_sent_if_its_score_reaches_the_threshold(
        self, threshold: float, sends: bool
    ) -> None:
        p = population("pronounced", 5)
        noted = np.zeros(21 * 5 * SEEN, np.float32)
        policy = FastPolicy(indifferent_pace, watch, np.array([threshold], np.float32), noted)
        week = p.run_week(policy, allow_all, no_rows(5))
        assert (week.sends.sum(axis=1) > 0).tolist() == [sends] * 5

    def test_the_clock_stands_at_the_coming_slot(self) -> None:
        p = population("in_app", 2)
        hold = np.zeros(2, np.int64)
        assert p.now.tolist() == [0, 0]
        p.step(hold)
        assert p.now.tolist() == [DAY_SECONDS + 12 * 3600 + 1800] * 2
        for _ in range(9):
            p.step(hold)
        p.restart(np.array([1]))
        assert p.now.tolist() == [WEEK_SECONDS, 0]

    def test_properties_are_copies(self) -> None:
        p = population()
        p.weeks[:] = p.alive[:] = p.opted_in[:] = p.sent_this_week[:] = p.members[:] = 77
        check_same(p, population())


Wrong = Callable[[Population], object]
MISTAKES: dict[str, tuple[Wrong, str]] = {
    "too few actions": (lambda p: p.step(np.zeros(3, int)), r"shape \(3,\); allowed is \(4,\)"),
    "an action past K": (lambda p: p.step(np.full(4, 5)), "span 5 to 5; allowed is 0 to 4"),
    "a negative action": (lambda p: p.step(np.array([0, 0, 0, -1])), "span -1 to 0; allowed"),
    "a negative seed": (lambda p: p.reset(-1), "luck_seed is -1; allowed is 0 to 4294967295"),
    "too few rows": (
        lambda p: p.run_week(script(np.zeros((21, 4))), allow_all, no_rows(3)),
        "rows have 3 rows; allowed is 4",
    ),
    "no branches": (lambda p: branch(p, 0), "copies is 0; allowed is 1 or more"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_wrong_call_is_refused_and_changes_nothing(mistake: str) -> None:
    call, message = MISTAKES[mistake]
    p = population(num_members=4)
    with pytest.raises(ValueError, match=message):
        call(p)
    check_same(p, population(num_members=4))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_members": 0}, "num_members is 0; allowed is 1 or more"),
        ({"population_seed": -1}, "population_seed is -1; allowed is 0 to"),
        ({"luck_seed": 2**32}, "luck_seed is 4294967296; allowed is 0 to 4294967295"),
        ({"luck_stream": -1}, "luck_stream is -1; allowed"),
        ({"first_member": -1}, "first_member is -1; allowed"),
        ({"reward": "mean"}, "reward is 'mean'; allowed: expected, sampled"),
    ],
)
def test_a_wrong_argument_is_refused(arguments: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Population(world("pronounced"), **({"num_members": 2} | arguments))


MID_WEEK: dict[str, Wrong] = {
    "restart": lambda p: p.restart(np.array([0])),
    "run_week": lambda p: p.run_week(script(np.zeros((21, 4))), allow_all, no_rows(4)),
}


@pytest.mark.parametrize("call", MID_WEEK)
def test_in_the_middle_of_a_week_only_steps_are_possible(call: str) -> None:
    p = population(num_members=4)
    p.step(np.zeros(4, np.int64))
    with pytest.raises(ValueError, match=r"the population is at slot 1; .* slot 0"):
        MID_WEEK[call](p)
