"""Who learns when, and what may be asked of a level before it has learned."""

import pytest

from slowfast_rl.agents import SlowFastAgent, ThresholdAgent
from slowfast_rl.fast import (
    AffinityRanker,
    BidPricePacer,
    PacedExecutor,
    PPOExecutor,
    UpliftRanker,
)
from slowfast_rl.slow import FixedPlanner, PPOPlanner, SegmentsPlanner, UtilityPlanner
from tests.slow.cases import budget, small_world, tiny_planner, tiny_rollouts

TINY = {"num_envs": 16, "weeks": 3, "n_steps": 8, "batch_size": 64, "hidden": 8}


@pytest.mark.parametrize("turns", [["fast", "slow"], ["fast"]])
@pytest.mark.parametrize("planner", [PPOPlanner, UtilityPlanner, SegmentsPlanner])
def test_an_executor_that_learns_from_plans_is_refused_before_a_planner_without_plans(
    planner, turns
):
    message = r"turns are \['fast'.*allowed is slow before fast"
    with pytest.raises(ValueError, match=message) as raised:
        SlowFastAgent(planner(), PPOExecutor(**TINY), turns=turns)
    assert "\n" not in str(raised.value)


def test_an_executor_may_learn_first_from_a_planner_that_has_plans():
    world = small_world()
    trained = tiny_planner()
    trained.learn(world, total_opportunities=budget(trained, world), seed=1)
    for planner in (tiny_rollouts(), trained):
        assert (
            SlowFastAgent(planner, PPOExecutor(**TINY), turns=["fast", "slow"]).order[0] == "fast"
        )
    assert SlowFastAgent(FixedPlanner(world, (2, 7)), PPOExecutor(**TINY)).order == ("fast",)


def test_progress_is_told_of_the_turns_that_have_a_budget():
    world, seen = small_world(), []
    agent = SlowFastAgent(UtilityPlanner(num_members=64, weeks=16), PPOExecutor(**TINY))
    agent.learn(world, total_opportunities=8000, progress=seen.append)
    assert 0 < seen[-1] <= agent.fast.opportunities
    assert agent.slow.opportunities > max(seen)


def test_a_trained_planner_that_is_not_to_learn_stays_as_it_is():
    world = small_world()
    planner = tiny_rollouts()
    planner.learn(world, total_opportunities=budget(planner, world), seed=1)
    before = planner.state()
    agent = SlowFastAgent(planner, PPOExecutor(**TINY), turns=["fast"])
    agent.learn(world, total_opportunities=8000)
    after = agent.slow.state()
    assert before.keys() == after.keys() != set()
    assert all((before[name] == after[name]).all() for name in before)


def test_an_agent_whose_executor_learns_first_starts_anew_when_it_learns_again():
    world, states = small_world(), []
    agent = SlowFastAgent(tiny_rollouts(), PPOExecutor(**TINY), turns=["fast", "slow"])
    for _ in range(2):
        agent.learn(world, total_opportunities=20000, seed=3)
        states.append(agent.fast.state() | agent.slow.state())
    assert all((states[0][name] == states[1][name]).all() for name in states[0])


def test_later_turns_of_a_level_meet_new_members_and_luck():
    world, seeds = small_world(), {"slow": [], "fast": []}

    class Slow(PPOPlanner):
        def learn(self, world, *, seed=0, total_opportunities=None, **others):
            seeds["slow"].append(seed)
            return super().learn(
                world, seed=seed, total_opportunities=total_opportunities, **others
            )

    class Fast(PPOExecutor):
        def learn(self, world, planner=None, *, seed=0, total_opportunities=None, **others):
            seeds["fast"].append(seed)
            return super().learn(
                world, planner, seed=seed, total_opportunities=total_opportunities, **others
            )

    turns = ["slow", "fast", "slow", "fast", "slow"]
    agent = SlowFastAgent(Slow(tiny_planner().settings), Fast(**TINY), turns=turns)
    agent.learn(world, total_opportunities=20000, seed=3)
    assert seeds["slow"][0] == seeds["fast"][0] == 3
    assert len(set(seeds["slow"])) == 3
    assert len(set(seeds["fast"])) == 2
    assert all(0 <= seed < 2**32 for level in seeds.values() for seed in level)


FIT = {"num_members": 32, "weeks": 6}
PACED = {"pacer": BidPricePacer(burn_in=2, **FIT), "ranker": AffinityRanker(**FIT)}
LOGS = 2 * 32 * 6 * 21


@pytest.mark.parametrize(
    ("part", "exactly"),
    [
        (PacedExecutor(**PACED), True),
        (PacedExecutor(ranker=UpliftRanker(**FIT)), True),
        (PacedExecutor(), True),
        (UtilityPlanner(num_members=64, weeks=16), True),
        (SegmentsPlanner(num_members=16, weeks=3, segments=1), True),
        (SegmentsPlanner(num_members=16, weeks=3, lucks=2), False),
    ],
    ids=lambda part: getattr(part, "name", ""),
)
def test_what_a_part_learns_from_by_its_settings_is_known_before(part, exactly):
    world = small_world()
    planned = part.schedule(world, None)
    assert type(planned.opportunities) is int
    learned = part.learn(world, seed=1).opportunities
    assert learned == planned.opportunities if exactly else 0 < learned <= planned.opportunities


@pytest.mark.parametrize("sends", [None, 2.0])
def test_what_a_threshold_agent_learns_from_is_known_before(sends):
    world = small_world()
    agent = ThresholdAgent(UpliftRanker(**FIT), num_members=16, weeks=2, sends_per_week=sends)
    (turn,) = agent.turns(world)
    assert agent.learn(world).train_opportunities == turn.schedule.opportunities


def test_fits_that_come_on_top_of_a_budget_are_said():
    world = small_world()
    fast = PPOExecutor(**PACED, **TINY)
    agent = SlowFastAgent(tiny_planner(), fast, turns=["slow", "fast", "slow", "fast"])
    first, later = (turn for turn in agent.turns(world, 20000) if turn.level == "fast")
    assert first.schedule.on_top == LOGS
    assert later.schedule.on_top == 0
    assert str(first).endswith(f", and {LOGS:,} by the settings of its parts")
    timed = agent.turns(world, total_cpu_seconds=4)[1]
    assert str(timed) == f"executor ppo: 1 CPU-seconds, and {LOGS:,} by the settings of its parts"
    agent.learn(world, total_opportunities=20000)
    total = sum(turn.schedule.opportunities for turn in agent.turns(world, 20000))
    assert agent.train_opportunities == total + LOGS
    assert str(SlowFastAgent(tiny_planner(), PacedExecutor()).turns(world, 20000)[0]) == (
        "executor paced: nothing to learn"
    )
