import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from slowfast_rl.members.population import Population
from slowfast_rl.policies.executor import default_executor
from slowfast_rl.policies.guard import feasible_target
from slowfast_rl.policies.plan_exchange import plan_request
from slowfast_rl.slow import RandomPlanner
from slowfast_rl.slow.plan_logs import collect_plan_logs, outcome_names
from tests.members.worlds import world
from tests.slow.cases import small_world

NUM_MEMBERS, WEEKS, SEED = 40, 11, 4


def by_hand(w, window):
    """(member, week of the draw) -> what was known, the plan, the outcomes; member by member."""
    kept = {}
    for member in range(NUM_MEMBERS):
        one = Population(w, 1, SEED, SEED, first_member=member)
        for week in range(WEEKS):
            age = (week + member) % window
            if age == 0 and one.alive[0]:
                asked = plan_request(one)
                plan = RandomPlanner(SEED).plan(asked)
                kept[member, week] = (asked, plan[0], np.zeros(5))
                current = kept[member, week]
            elif age == 0 or week == 0:
                plan, current = None, None
            target = np.zeros((1, 2), np.int32) if plan is None else w.plans[plan]
            if plan is None and one.alive[0]:  # the first window, not seen from its beginning
                first = Population(w, 1, SEED, SEED, first_member=member)
                plan = RandomPlanner(SEED).plan(plan_request(first))
                target, current = w.plans[plan], None
            lived = default_executor().run_week(one, feasible_target(target, one.opted_in))
            if current is not None:
                now = [lived.viewing_days[0], lived.opens[0].sum(), lived.churned[0]]
                current[2][:] += 0.98**age * np.array([*now, *lived.opt_outs[0]])
    return {key: value for key, value in kept.items() if key[1] + window <= WEEKS}


@pytest.mark.parametrize("window", [1, 3])
def test_logs_are_what_each_member_lives_alone_under_the_plans_it_draws(window):
    w = small_world("eventful")
    logs, expected = collect_plan_logs(w, NUM_MEMBERS, WEEKS, window, SEED), by_hand(w, window)
    began = logs.observations[:, 4].astype(int)  # the tenure
    rows = {key: row for row, key in enumerate(zip(logs.members, began, strict=True))}
    assert len(rows) == len(logs.plans)
    assert set(rows) == set(expected)
    assert sum(outcomes[2] > 0 for _, _, outcomes in expected.values()) > 3  # some churned
    for key, (asked, plan, outcomes) in expected.items():
        row = rows[key]
        assert logs.plans[row] == plan
        assert_array_equal(logs.observations[row], asked.observations[0])
        assert_array_equal(logs.feasible[row], asked.feasible[0])
        assert_allclose(logs.outcomes[row], outcomes, rtol=1e-5)


def test_no_plan_is_drawn_that_the_member_cannot_have():
    logs = collect_plan_logs(world("eventful"), 200, 8, 2, 0)
    assert logs.feasible[np.arange(len(logs.plans)), logs.plans].all()
    assert not logs.feasible.all()


def test_outcomes_have_a_name_each():
    w = world("in_app")
    logs = collect_plan_logs(w, 10, 2, 1, 0)
    assert logs.outcomes.shape == (20, len(outcome_names(w)))
    assert outcome_names(w)[3:] == tuple(f"{c}_opt_outs" for c in w.channels)


def test_progress_hears_of_the_opportunities_before_each_week():
    told = []
    collect_plan_logs(small_world(), 5, 3, 1, 0, progress=told.append)
    assert told == [0, 105, 210]
