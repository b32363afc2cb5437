"""message_cost and casual_viewers: their measures on numbers with known answers."""

from types import SimpleNamespace

import numpy as np
import pytest

from slowfast_rl.evaluation import Twins
from slowfast_rl.evaluation.protocol import EvaluationProtocol
from slowfast_rl.members.loading import load_world
from tests.experiments.studies import study_module

SMALL = EvaluationProtocol(64, 6, 2, 31, 31, (0,))


def noisy_truth(seed: int) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=40_000)
    return truth, truth + 3 * rng.normal(size=40_000), truth + 3 * rng.normal(size=40_000)


@pytest.mark.parametrize(("scale", "share"), [(1.0, 1.0), (0.0, 0.0), (0.5, 0.75), (-1.0, -3.0)])
def test_the_share_explained_is_that_of_the_truth_not_of_its_noisy_estimates(
    scale: float, share: float
) -> None:
    explained = study_module("message_cost", "identify").explained
    truth, one, other = noisy_truth(0)
    assert explained(scale * truth + 7, one, other) == pytest.approx(share, abs=0.2)


def test_effects_on_twins_are_those_of_the_maximum_against_never() -> None:
    identify = study_module("message_cost", "identify")
    world = load_world("pronounced", {"opt_out.hazard": 0.05})
    twins = Twins(world, SMALL)
    start = twins.starts[0]
    effects = identify.twin_effects(start, 2, range(6)).mean(axis=0)
    assert effects[1] > 0  # opens
    assert (effects[3:] > 0.05).all()  # opt-outs
    once, again = (identify.twin_effects(start, 2, range(3)) for _ in range(2))
    assert np.array_equal(once, again)


def test_opt_outs_that_differ_more_need_fewer_member_weeks() -> None:
    world = load_world("pronounced", {"opt_out.hazard": 0.02})
    rows = study_module("message_cost", "identify").opt_out_power(Twins(world, SMALL), (3, 1))
    by = {(row["channel"], tuple(row["other"])): row for row in rows}
    assert set(by) == {
        ("push", (4, 1)), ("push", (14, 1)), ("email", (3, 2)), ("email", (3, 7)),
    }  # fmt: skip
    assert by["push", (14, 1)]["member_weeks"] < by["push", (4, 1)]["member_weeks"]
    low, high = by["push", (14, 1)]["rates"]
    expected = 7.849 * (low * (1 - low) + high * (1 - high)) / (high - low) ** 2
    assert by["push", (14, 1)]["member_weeks"] == pytest.approx(expected, rel=1e-3)


def test_gains_are_paired_differences_within_a_segment() -> None:
    gains_by_segment = study_module("casual_viewers").gains_by_segment
    segments = np.repeat([0, 1, 2], 50)
    never = np.repeat([10.0, 20.0, 50.0], 50)
    fixed = never + 1
    one, two = never + np.repeat([2.0, 0.0, 5.0], 50), never + np.repeat([4.0, 0.0, 5.0], 50)
    rollouts = {
        name: SimpleNamespace(returns=returns)
        for name, returns in {"never": never, "best_fixed": fixed, "a": one, "a_2": two}.items()
    }
    row = {"sends_per_week": {"push": 2.0, "email": 1.0}}
    row |= {"by_segment": dict.fromkeys(("casual", "regular", "heavy"), row)}
    board = SimpleNamespace(rollouts=rollouts, row=lambda _: row)
    result = gains_by_segment(board, segments, {"a": ["a", "a_2"]})
    over_never = result["gains"]["a"]["never"]
    assert [over_never[s]["absolute"][0] for s in ("casual", "regular", "heavy")] == [3, 0, 5]
    assert over_never["casual"]["relative"][0] == pytest.approx(0.3)
    assert over_never["all"]["absolute"][0] == pytest.approx(8 / 3)
    assert over_never["casual"]["sends"] == 3
    assert result["gains"]["a"]["best_fixed"]["regular"]["absolute"][0] == -1
    assert result["trend"]["a"]["never"] == pytest.approx([-2, -2, -2])
    assert result["level"]["never"]["heavy"] == 50
