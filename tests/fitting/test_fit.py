"""Fits of small logs whose truth is known."""

import json
from dataclasses import replace

import numpy as np
import pytest

import slowfast_rl as sf
from slowfast_rl.fitting.parameters import ParameterSpace
from slowfast_rl.slow import RandomPlanner
from tests.fitting.cases import given_log
from tests.members.worlds import world

SMALL = {
    "coarse_members": 1024, "coarse_steps": 3, "members": 2048, "derivative_members": 1024,
    "steps": 2,
}  # fmt: skip
FEW = ["traits.base_rate_location", "traits.responsiveness", "dismissal.rate"]


def off(w, factor=1.5):
    """A world whose parameters are all a factor too large or too small, by turns."""
    space = ParameterSpace(w)
    sign = np.where(np.arange(len(space)) % 2, 1, -1)
    return space.world(sign * np.log(factor), "off")


@pytest.fixture(scope="module")
def log():
    return given_log(world("pronounced"))


@pytest.fixture(scope="module")
def far(log):
    """A fit that begins far from the truth."""
    return sf.fit(log, off(world("pronounced")), **SMALL)


def test_a_fit_from_far_off_moves_responsiveness_and_base_rate_towards_the_truth(far):
    truth, space = world("pronounced"), ParameterSpace(far.base)
    errors = dict(zip(space.labels, space.theta(truth) - far.theta, strict=True))
    for name in ("responsiveness.push", "responsiveness.email", "base_rate_location"):
        assert abs(errors[f"traits.{name}"]) < 0.25  # it began 0.41 off
    assert far.fits
    assert far.history[-1] < far.history[0] / 2


def test_intervals_cover_the_truth(far):
    truth = ParameterSpace(far.base).values(world("pronounced"))
    covered = [p.low <= t <= p.high for p, t in zip(far.parameters, truth, strict=True)]
    assert np.mean(covered) > 0.9


def test_what_a_short_log_does_not_tell_keeps_the_priors_interval(far):
    found = {p.name: p for p in far.parameters}
    assert found["traits.responsiveness.push"].identified
    lost = found["opt_out.return_rate.email"]
    assert not lost.identified
    assert lost.error == pytest.approx(1, abs=0.3)


def test_goodwill_is_reported_as_a_combination(far):
    goodwill = far.combinations[0]
    assert set(goodwill.powers) == {
        "fatigue.goodwill_loss.push", "fatigue.goodwill_loss.email", "fatigue.goodwill_days",
    }  # fmt: skip
    assert goodwill.error <= min(
        p.error for p in far.parameters if p.name.startswith("fatigue.goodwill")
    )


def test_the_worlds_file_is_the_fitted_world_and_says_what_was_fitted(far, tmp_path):
    path = tmp_path / f"{far.world.name}.yaml"
    path.write_text(far.world_yaml())
    assert sf.load_world(path) == far.world
    assert path.read_text().count("# fitted, 95 %") == len(far.parameters)
    assert f"# {far.verdict}" in path.read_text()


def test_a_verdict_does_not_call_an_objective_that_a_right_model_seldom_has_a_fit(far):
    rare = replace(far, objective=far.null.high + 1, null=far.null._replace(probability=0.03))
    assert rare.fits
    assert rare.verdict.startswith("The model fits the log poorly: ")
    assert "one as large with probability 0.03." in rare.verdict


def test_a_fit_is_json(far):
    tree = json.loads(json.dumps(far.to_json(), allow_nan=False))
    assert len(tree["covariance"]) == len(tree["parameters"]) == len(far.parameters)
    assert tree["verdict"].startswith("The model fits the log")


def test_the_report_shows_the_log_beside_the_fitted_world(far, tmp_path):
    from slowfast_rl.fitting.report import write_report

    page = write_report(far, tmp_path, "slowfast-fit logs=log").read_text()
    assert far.verdict in page
    assert "viewing days a living member" in page.lower()
    assert page.count("<img") == 2 + 7


def test_a_fit_that_begins_at_the_truth_stays_within_its_standard_errors(log):
    found = sf.fit(log, world("pronounced"), **SMALL, seed=1)
    z = found.theta / np.sqrt(np.diag(found.covariance))
    assert (np.abs(z) < 3.5).all()
    assert np.mean(z**2) < 1.5


def test_a_fit_is_the_same_for_any_number_of_threads(log):
    tiny = SMALL | {"coarse_members": 4000, "coarse_steps": 1, "derivative_members": 500}
    found = []
    try:
        for number in (1, 2):
            sf.set_num_threads(number)
            found.append(sf.fit(log, off(world("pronounced")), **tiny, parameters=FEW))
    finally:
        sf.set_num_threads(None)
    one, other = found
    assert np.array_equal(one.theta, other.theta)
    assert one.history == other.history


def test_a_world_with_three_channels_and_days_without_slots_is_fitted():
    w = world("in_app")
    found = sf.fit(given_log(w), off(w), parameters=FEW, **SMALL)
    errors = ParameterSpace(found.base, names=FEW).theta(w) - found.theta
    names = [p.name for p in found.parameters]
    assert abs(errors[names.index("traits.responsiveness.in_app")]) < 0.25


def test_a_world_with_few_parameters_is_fitted():
    w = world("no_fatigue")
    found = sf.fit(given_log(w, 400, 6), w, **(SMALL | {"coarse_steps": 1, "steps": 1}))
    assert not [p for p in found.parameters if "goodwill" in p.name]
    assert found.fits


def rule(w):
    """Plans that depend on how much members view."""
    return ByViewing().prepare(w)


class ByViewing(sf.policies.BasePlanner):
    """Writes often to those who viewed often."""

    thread_safe = True

    def plan(self, request):
        names = [feature.name for feature in sf.weekly_features(self.world)]
        views = request.observations[:, names.index("viewing_days_mean_4_weeks")]
        rungs = np.array([self.world.plan_index(p) for p in ((1, 1), (3, 1), (5, 2), (10, 5))])
        return rungs[np.digitize(views, [0.4, 1.2, 2.5])]


def test_a_rule_that_is_given_fits_and_one_that_is_ignored_is_found_out():
    w = world("pronounced")
    log = given_log(w, 2000, 20, plans=rule(w))
    given = sf.fit(log, w, planner=rule(w), parameters=FEW, **SMALL)
    assert given.fits, given.verdict
    ignored = sf.fit(log, w, parameters=FEW, **SMALL)
    assert not ignored.fits
    assert ignored.verdict.startswith("THE MODEL IS WRONG")
    assert ignored.verdict in ignored.world_yaml()


def test_an_executor_that_explores_is_part_of_the_model():
    w = world("pronounced")
    executor = sf.fast.ExploringExecutor(explore=0.8)
    log = given_log(w, 1500, 10, executor=executor)
    few = SMALL | {"coarse_steps": 1, "derivative_members": 512}
    given, ignored = (
        sf.fit(log, w, executor=e, parameters=FEW[:1], **few) for e in (executor, None)
    )
    assert given.fits, given.verdict
    assert not ignored.fits


def test_a_planner_that_threads_may_not_share_is_simulated_too(log):
    w = world("pronounced")
    planner = RandomPlanner().prepare(w)
    planner.thread_safe = False
    tiny = SMALL | {"coarse_steps": 0, "steps": 0, "derivative_members": 64}
    assert sf.fit(log, w, planner=planner, parameters=FEW[:1], **tiny).num_members == 800


def test_members_with_a_history_are_fitted_with_it():
    w = world("pronounced")
    log = given_log(w, 1500, 12, history=12)
    found = sf.fit(log, w, parameters=FEW, **SMALL, history_weeks=12, ramp_weeks=4)
    assert found.fits, found.verdict


def test_members_that_had_churned_before_the_log_are_left_out(log):
    gone = log._replace(alive=log.alive.copy())
    gone.alive[:, :100] = False
    tiny = SMALL | {"coarse_steps": 0, "steps": 0, "derivative_members": 64}
    said = []
    found = sf.fit(gone, world("pronounced"), parameters=FEW[:1], **tiny, progress=said.append)
    assert found.num_members == 700
    assert said[0] == "100 of 800 members are left out: not there in the first week"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"weeks": 3}, "3 weeks"),
        ({"members": 90}, "90 members"),
        ({"name": "in_app"}, r"launches of the log has shape \(28, \d+\); allowed is \(28, \d+\)"),
    ],
)
def test_a_log_that_cannot_be_fitted_is_refused(change, said):
    log = given_log(world("pronounced"), change.get("members", 200), change.get("weeks", 4))
    with pytest.raises(ValueError, match=said):
        sf.fit(log, world(change.get("name", "pronounced")))


def test_plans_outside_the_menu_are_refused(log):
    wrong = log._replace(plans=log.plans + 1000)
    with pytest.raises(ValueError, match="the log has plan 1"):
        sf.fit(wrong, world("pronounced"))


@pytest.mark.parametrize(
    ("name", "changed", "said"),
    [
        ("launches", lambda v: v[:-7], r"launches of the log has shape"),
        ("opens", lambda v: v[:, :-1], r"opens of the log has shape"),
        ("plans", lambda v: v[:-1], r"has shape"),
        ("sends", lambda v: v * np.nan, "sends of the log has impossible values"),
        ("viewing_days", lambda v: -1 - v, "viewing_days of the log has impossible values"),
    ],
)
def test_a_log_with_impossible_values_is_refused(log, name, changed, said):
    with pytest.raises(ValueError, match=said):
        sf.fit(log._replace(**{name: changed(getattr(log, name))}), world("pronounced"))


def test_what_is_no_weekly_log_is_refused():
    with pytest.raises(ValueError, match="the log is 'company'; allowed is a table of"):
        sf.fit("company")


def test_settings_are_checked(log):
    with pytest.raises(ValueError, match="members is 1; allowed"):
        sf.fit(log, members=1)
    with pytest.raises(ValueError, match="allowed is either"):
        sf.fit(log, settings=sf.FitSettings(), members=4096)
