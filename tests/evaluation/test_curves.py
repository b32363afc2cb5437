from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import slowfast_rl as sf
from slowfast_rl.evaluation import Twins
from slowfast_rl.evaluation.curves import BaselineLines, layout, write_curves
from slowfast_rl.members.loading import load_world
from tests.evaluation.cases import TINY, references, small_world, twins


@pytest.fixture(scope="module")
def board():
    return sf.compare(
        ["never", "always"],
        small_world(),
        TINY,
        references=references(),
        twins=twins(),
        progress=False,
    )


@pytest.fixture(scope="module")
def curves(board, tmp_path_factory):
    folder = tmp_path_factory.mktemp("curves")
    write_curves(board, folder, {"never": "never", "always": "most"}, lines=BaselineLines(8, 500))
    return {path.name: EventAccumulator(str(path)).Reload() for path in folder.iterdir()}


def values(curve, tag):
    return [event.value for event in curve.Scalars(tag)]


def test_every_agent_that_is_named_has_a_run_of_the_given_name(curves):
    assert set(curves) == {"never", "most"}


def test_long_term_reward_is_the_first_group_and_steps_are_simulated_weeks(curves):
    tags = curves["most"].Tags()["scalars"]
    groups = {tag.split("/")[0] for tag in tags}
    assert min(groups) == "Long-term reward"
    for tag in ("Long-term reward/per_week", "Long-term reward/cumulative"):
        assert [event.step for event in curves["most"].Scalars(tag)] == list(range(TINY.weeks))


def test_reward_is_per_member_of_the_start_and_adds_up(board, curves):
    weekly = board.rollouts["always"].weekly["reward"].sum(axis=1) / 64
    assert_allclose(values(curves["most"], "Long-term reward/per_week"), weekly, rtol=1e-5)
    cumulative = values(curves["most"], "Long-term reward/cumulative")
    assert_allclose(cumulative, np.cumsum(weekly), rtol=1e-5)


def test_sends_and_opt_outs_are_per_living_and_per_opted_in_member(board, curves):
    weekly = board.rollouts["always"].weekly
    alive = weekly["alive"].sum(axis=1)
    sends = weekly["sends"][:, :, 0].sum(axis=1) / alive
    assert_allclose(values(curves["most"], "long_term/sends_push"), sends, rtol=1e-5)
    left = weekly["opt_outs"][:, :, 1].sum(axis=1) / weekly["opted_in"][:, :, 1].sum(axis=1)
    assert_allclose(values(curves["most"], "long_term/opt_outs_email"), left, rtol=1e-5)
    assert not any(values(curves["never"], "long_term/sends_push"))


def test_the_lead_is_paired_with_the_best_fixed_plan_and_has_its_interval(board, curves):
    tag = "Long-term reward/lead_over_best_fixed"
    for name, run in (("never", "never"), ("always", "most")):
        leads = board.rollouts[name].rewards - board.baseline_rollout.rewards
        assert_allclose(values(curves[run], tag), leads.mean(axis=1), rtol=1e-4, atol=1e-7)
        half = 1.96 * leads.std(axis=1, ddof=1) / len(leads.T) ** 0.5
        low = values(curves[run], "lead/per_week_ci_low")
        assert_allclose(low, leads.mean(axis=1) - half, rtol=1e-3, atol=1e-6)
        summed = values(curves[run], "lead/summed")
        assert_allclose(summed, leads.mean(axis=1).cumsum(), rtol=1e-4, atol=1e-6)


def test_baselines_are_level_lines_of_the_members_and_luck_that_training_evaluates(board, curves):
    for name, run in (("never", "never"), ("always", "most")):
        events = curves[run].Scalars("eval/return")
        assert [event.step for event in events] == [0, 500]
        few = board.rollouts[name].luck_returns[0, :8].mean()
        assert_allclose([event.value for event in events], few, rtol=1e-5)


def test_the_final_metrics_are_those_of_the_whole_evaluation(board, curves):
    assert_allclose(values(curves["never"], "final/return"), board.row("never")["return"], 1e-5)
    lead = board.row("never")["return_vs_default_fixed"]
    assert_allclose(values(curves["never"], "final/lead_over_best_fixed"), lead, rtol=1e-4)


def test_a_baseline_that_another_job_of_the_sweep_wrote_is_not_written_again(board, tmp_path):
    for _ in range(2):
        write_curves(board, tmp_path, {"never": "never"})
    assert len(list((tmp_path / "never").iterdir())) == 1


def test_the_first_charts_show_the_lead_with_its_band():
    charts = next(iter(layout("best_fixed").values()))
    assert {kind for kind, _ in charts.values()} == {"Margin"}
    assert charts["per week"][1][0] == "Long-term reward/lead_over_best_fixed"


def test_where_all_have_churned_nobody_is_active(tmp_path):
    doomed = load_world("pronounced", {"churn.floor": 1, "churn.scale": 0})
    protocol = replace(TINY, burn_in=0, weeks=3)
    members = Twins(doomed, protocol)
    board = sf.compare(["never"], doomed, twins=members, progress=False)
    write_curves(board, tmp_path, {"never": "never"})
    curve = EventAccumulator(str(tmp_path / "never")).Reload()
    assert values(curve, "long_term/active_members") == [1, 0, 0]
