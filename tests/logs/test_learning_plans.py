"""Planners that learn from a log alone."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from slowfast_rl.logs.histories import weekly_observations, weekly_table
from slowfast_rl.logs.recording import PlanDesign
from slowfast_rl.slow import FixedPlanner, SegmentsPlanner, UtilityPlanner
from slowfast_rl.slow.effects import plan_features
from slowfast_rl.slow.plan_logs import collect_plan_logs, importance_weights, plan_logs_of
from tests.logs.learning import held_for, recorded


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """A log of the default design: half of the members hold plans for 2 to 8 weeks."""
    return recorded(tmp_path_factory.mktemp("log") / "log", "eventful")


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    """The same log in six parts."""
    return recorded(tmp_path_factory.mktemp("split") / "log", "eventful", shard=100)


def by_hand(log, window):
    """(member, week of the draw) -> plan, outcomes and the week of the window that was the last."""
    t, found = weekly_table(log), {}
    for n, member in enumerate(t.members):
        for start in range(log.weeks - window + 1):
            if not (t.alive[start, n] and t.drawn[start, n]):
                continue
            total, last, held = np.zeros(5), window - 1, True
            for k in range(window):
                week = start + k
                if k and t.drawn[week, n]:
                    held = False
                    break
                now = [t.viewing_days[week, n], t.opens[week, n].sum(), t.churned[week, n]]
                total += 0.98**k * np.array([*now, *t.opt_outs[week, n]])
                if t.churned[week, n]:
                    last = k
                    break
            if held:
                found[int(member), start] = t.plans[start, n], total, last
    return found


@pytest.mark.parametrize("window", [1, 3])
def test_windows_are_those_of_plans_that_were_held_with_what_was_observed_at_the_draw(log, window):
    expected = by_hand(log, window)
    seen = {
        (int(member), int(week)): row
        for members, weeks, rows in weekly_observations(log)
        for member, week, row in zip(members, weeks, rows, strict=True)
    }
    logs = plan_logs_of(log, window)
    free = {key for key in expected if feasible_count(log, seen[key]) > 1}
    assert len(logs.members) == len(free) > 200
    for i, key in enumerate(sorted(free)):
        plan, total, last = expected[key]
        assert key[0] == logs.members[i]
        assert logs.plans[i] == plan
        assert_allclose(logs.outcomes[i], total, rtol=1e-5)
        assert_array_equal(logs.observations[i], seen[key])
        assert (logs.held[i] == 1) == (last == window - 1)
        assert_allclose(logs.propensity[i] * logs.feasible[i].sum(), 1)


def feasible_count(log, row):
    """The number of plans that a member with an observation can have."""
    from slowfast_rl.policies.columns import opted_in_columns
    from slowfast_rl.policies.guard import feasible_plans

    opted_in = row[None, opted_in_columns(log.world)] > 0.5
    return int(feasible_plans(log.world.plans, opted_in).sum())


def test_windows_of_members_that_churn_count_as_often_as_they_would_without_other_holds(tmp_path):
    given = {"num_members": 3000, "weeks": 8}
    mixed = plan_logs_of(recorded(tmp_path / "mixed", "eventful", **given), 4)
    whole = plan_logs_of(recorded(tmp_path / "whole", "eventful", design=held_for(4), **given), 4)
    assert (whole.held == 1).all()
    assert mixed.held.min() < 0.4
    truth = whole.outcomes[:, 2].mean()
    noise = whole.outcomes[:, 2].std() / np.sqrt(min(len(whole.held), (mixed.held == 1).sum()))
    weighted = np.average(mixed.outcomes[:, 2], weights=mixed.held)
    assert abs(weighted - truth) < 4 * noise
    assert mixed.outcomes[:, 2].mean() > truth + 8 * noise  # all of them are too many
    assert mixed.outcomes[mixed.held == 1, 2].mean() < truth - 8 * noise  # and without, too few


def test_a_log_of_the_simulations_design_gives_the_effects_that_the_simulation_gives(tmp_path):
    size, weeks, window = 4096, 16, 4
    log = recorded(
        tmp_path / "log", num_members=size, weeks=weeks, design=held_for(window), explore=0.0
    )
    settings = {"window": window, "weeks": weeks, "num_members": size}
    ours = UtilityPlanner(**settings).learn_from_log(log)
    theirs = UtilityPlanner(**settings).learn(log.world, seed=3)
    others = UtilityPlanner(**settings).learn(log.world, seed=4)
    rows = collect_plan_logs(log.world, 500, 12, window, 9).observations
    gaps = [
        np.sqrt(np.mean((one.utilities(rows) - theirs.utilities(rows)) ** 2))
        for one in (ours, others)
    ]
    assert gaps[0] < 1.25 * gaps[1]  # no further than the simulation of other members
    # Effects on viewing alone are known better than with those on rare events.
    viewing = [
        planner.weighted(churn=0.0, opt_out=0.0).utilities(rows).mean(axis=0)
        for planner in (ours, theirs)
    ]
    assert np.corrcoef(*viewing)[0, 1] > 0.85


def test_weights_make_plans_of_a_planner_and_of_chance_those_of_chance(tmp_path):
    from tests.logs.cases import logged_world

    w = logged_world("pronounced")
    design = PlanDesign(random_plans=0.4, held_share=1, hold_low=2, hold_high=2)
    log = recorded(
        tmp_path / "log", num_members=2000, planner=FixedPlanner(w, (3, 2)), design=design
    )
    logs = plan_logs_of(log, 2)
    weights = importance_weights(logs)
    features = plan_features(w)
    usual = (logs.feasible @ features) / logs.feasible.sum(axis=1, keepdims=True)
    surprise = features[logs.plans] - usual
    noise = surprise.std(axis=0) * weights.std() / np.sqrt(len(weights))
    assert (np.abs((surprise * weights[:, None]).mean(axis=0)) < 4 * noise).all()
    assert np.abs(surprise.mean(axis=0)).max() > 20 * noise.max()
    assert_allclose(weights.mean(), 1, atol=0.05)


def test_uniform_plans_need_no_weights(log):
    logs = plan_logs_of(log, 1)
    assert importance_weights(logs) is None
    assert importance_weights(collect_plan_logs(log.world, 20, 6, 2, 1)) is None


@pytest.mark.parametrize(
    "make",
    [
        lambda: UtilityPlanner(window=2),
        lambda: SegmentsPlanner(window=2),
        lambda: SegmentsPlanner(window=2, segments=1),
    ],
)
def test_a_log_in_many_parts_teaches_the_same_bit_for_bit(log, split, make):
    assert len(split.part_names) == 6
    for max_rows in (10**6, 300):
        one = make().learn_from_log(log, max_rows=max_rows).state()
        other = make().learn_from_log(split, max_rows=max_rows).state()
        assert one.keys() == other.keys()
        for name in one:
            assert_array_equal(one[name], other[name])


def test_segments_from_a_log_have_the_plans_that_their_members_do_best_with(tmp_path):
    log = recorded(tmp_path / "log", num_members=6000, weeks=16, design=held_for(4))
    planner = SegmentsPlanner(segments=3, window=4).learn_from_log(log)
    assert len(planner.wanted) == 3
    assert planner.thresholds == tuple(sorted(planner.thresholds))
    sends = [sum(plan) for plan in planner.wanted]
    assert sends[0] < sends[2]  # whoever views more bears more messages
    logs = plan_logs_of(log, 4)
    utility = logs.outcomes[:, 0]
    fixed = SegmentsPlanner(segments=1, window=4).learn_from_log(log)
    (wanted,) = fixed.wanted
    near = np.abs(log.world.plans[logs.plans] - wanted).sum(axis=1) <= 3
    far = log.world.plans[logs.plans].sum(axis=1) == 0
    assert utility[near].mean() > utility[far].mean()


def test_a_log_that_cannot_answer_says_so_in_one_line(tmp_path, log):
    with pytest.raises(ValueError, match="no plan that was drawn by chance and held for 12"):
        plan_logs_of(log, 12)
    with pytest.raises(ValueError, match="no plan that was drawn and held for 13 weeks"):
        UtilityPlanner(window=13).learn_from_log(log)
    w = log.world
    design = PlanDesign(random_plans=0)
    dealt = recorded(
        tmp_path / "log", num_members=20, weeks=3, planner=FixedPlanner(w, (3, 2)), design=design
    )
    with pytest.raises(ValueError, match="no plan that was drawn by chance and held for 1 weeks"):
        plan_logs_of(dealt, 1)


def test_nothing_is_counted_as_simulated_and_learning_again_starts_anew(log):
    planner = UtilityPlanner(window=2).learn_from_log(log)
    first, version = planner.state(), planner.policy_version
    planner.learn_from_log(log)
    assert planner.opportunities == 0
    assert planner.policy_version == version + 1
    for name, array in planner.state().items():
        assert_array_equal(array, first[name])
