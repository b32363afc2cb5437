from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import slowfast_rl as sf
from slowfast_rl.evaluation import Twins
from slowfast_rl.evaluation.curves import write_curves
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
    write_curves(board, folder, steps=500)
    return {path.name: EventAccumulator(str(path)).Reload() for path in folder.iterdir()}


def values(curve, tag):
    return [event.value for event in curve.Scalars(tag)]


def test_every_agent_has_a_run_of_its_own(curves):
    assert set(curves) == {"never", "always"}


def test_long_term_reward_is_the_first_group_and_steps_are_simulated_weeks(curves):
    tags = curves["always"].Tags()["scalars"]
    groups = {tag.split("/")[0] for tag in tags}
    assert min(groups) == "Long-term reward"
    for tag in ("Long-term reward/per_week", "Long-term reward/cumulative"):
        assert [event.step for event in curves["always"].Scalars(tag)] == list(range(TINY.weeks))


def test_reward_is_per_member_of_the_start_and_adds_up(board, curves):
    weekly = board.rollouts["always"].weekly["reward"].sum(axis=1) / 64
    assert_allclose(values(curves["always"], "Long-term reward/per_week"), weekly, rtol=1e-5)
    cumulative = values(curves["always"], "Long-term reward/cumulative")
    assert_allclose(cumulative, np.cumsum(weekly), rtol=1e-5)


def test_sends_and_opt_outs_are_per_living_and_per_opted_in_member(board, curves):
    weekly = board.rollouts["always"].weekly
    alive = weekly["alive"].sum(axis=1)
    sends = weekly["sends"][:, :, 0].sum(axis=1) / alive
    assert_allclose(values(curves["always"], "long_term/sends_push"), sends, rtol=1e-5)
    left = weekly["opt_outs"][:, :, 1].sum(axis=1) / weekly["opted_in"][:, :, 1].sum(axis=1)
    assert_allclose(values(curves["always"], "long_term/opt_outs_email"), left, rtol=1e-5)
    assert not any(values(curves["never"], "long_term/sends_push"))


def test_the_return_is_a_level_line_with_its_interval(board, curves):
    row = board.row("never")
    events = curves["never"].Scalars("eval/return")
    assert [event.step for event in events] == [0, 500]
    assert_allclose([event.value for event in events], row["return"], rtol=1e-5)
    low, high = (values(curves["never"], f"eval/return_ci_{end}")[0] for end in ("low", "high"))
    assert_allclose([low, high], row["return_ci95"], rtol=1e-5)


def test_an_agent_with_a_curve_of_its_own_gets_no_level_line(board, tmp_path):
    write_curves(board, tmp_path, curved=["always"])
    tags = EventAccumulator(str(tmp_path / "always")).Reload().Tags()["scalars"]
    assert "eval/return" not in tags
    assert "Long-term reward/per_week" in tags


def test_where_all_have_churned_nobody_is_active(tmp_path):
    doomed = load_world("pronounced", {"churn.floor": 1})
    protocol = replace(TINY, burn_in=0, weeks=3)
    members = Twins(doomed, protocol)
    board = sf.compare(["never"], doomed, twins=members, progress=False)
    write_curves(board, tmp_path)
    curve = EventAccumulator(str(tmp_path / "never")).Reload()
    assert values(curve, "long_term/active_members") == [1, 0, 0]
