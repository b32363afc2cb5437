"""The measures of experiments/coupling on numbers with known answers."""

import numpy as np
import pytest

from slowfast_rl.agents.single import Unplanned
from slowfast_rl.fast import PacedExecutor, ThresholdPacer, UpliftRanker
from slowfast_rl.fast.proposals import propose
from slowfast_rl.members.observations import opportunity_observation
from slowfast_rl.members.population import Population
from tests.experiments.studies import study_module
from tests.fast.test_decide import made_up
from tests.members.worlds import world


def test_a_measure_that_loses_a_tenth_when_sends_double_moves_by_minus_ten_percent() -> None:
    rows = [{"sends": [2.0**k, 0, 0], "open_rate": [0.2 * 0.9**k, 0, 0]} for k in range(-2, 4)]
    assert study_module("coupling").doubling(rows, "open_rate") == pytest.approx(-10)


def test_a_plan_and_a_threshold_live_as_the_jitted_executors_do() -> None:
    measure = study_module("coupling", "measure").measure
    ranker, start = UpliftRanker.with_weights(made_up(2)), Population(world("deathless"), 60, 3, 3)
    middle = float(
        np.median(propose(start.world, None, ranker, opportunity_observation(start)).scores)
    )
    for threshold, plan in ((None, (4, 2)), (middle, None)):
        setting = measure(start, ranker, 3, threshold=threshold, plan=plan)
        pacer = None if threshold is None else ThresholdPacer(threshold=threshold)
        executor = PacedExecutor(pacer, ranker)
        runner = executor if threshold is None else Unplanned(executor)
        population, sends, opens = start.clone(), 0.0, 0.0
        for _ in range(3):
            target = np.where(population.opted_in, plan or (0, 0), 0).astype(np.int32)
            week = runner.run_week(population, target)
            sends, opens = sends + week.sends.sum(), opens + week.opens.sum()
        assert setting.sends.mean == pytest.approx(sends / 180, rel=0.02)
        assert setting.open_rate.mean == pytest.approx(opens / sends, rel=0.1)
        assert 0.5 < setting.relevance.mean < 2.5
        assert 0 < setting.best.mean <= 1
    with pytest.raises(ValueError, match="one of them is needed"):
        measure(start, ranker, 3)
