"""The suite of trainings: what is read off a training, and the peers that learn."""

import json

import numpy as np
import pytest

from slowfast_rl.agents import SlowFastAgent
from slowfast_rl.benchmarks.peers import SB3PPO, SbxPPO
from slowfast_rl.benchmarks.train import (
    CPU,
    PLAYED,
    REAL,
    Evaluated,
    _run,
    _Trainings,
    agent_of,
    read_evaluations,
    training_table,
)
from slowfast_rl.members.population import Population
from slowfast_rl.policies.component import NotTrainedError
from slowfast_rl.policies.plan_exchange import plan_request
from tests.members.worlds import world
from tests.pages import ROOT

CURVE = """step,eval/gap_closed,eval/cpu_seconds,eval/wall_time,slow/loss
1000,0.1,1.5,1.75,
1500,,,,0.3
2000,0.45,2.5,3.0,
3000,0.38,3.5,4.0,
"""


def test_evaluations_are_read_from_a_trainings_metrics():
    found = read_evaluations(CURVE.splitlines())
    assert [evaluated.gap for evaluated in found] == [0.1, 0.45, 0.38]
    assert found[1].at == {CPU: 2.5, REAL: 3.0, PLAYED: 2000}


def test_metrics_without_a_gap_are_an_error():
    with pytest.raises(ValueError, match="the world needs references"):
        read_evaluations(["step,eval/return", "1000,3"])


def test_the_first_evaluation_that_reaches_a_share_counts_and_each_repeat_trains_once():
    seeds = []

    def train(seed):
        seeds.append(seed)
        return [Evaluated(gap, {CPU: seed + gap}) for gap in (0.1, 0.45, 0.38)]

    trainings = _Trainings(train, 5)
    assert [trainings.reached(0.4, CPU) for _ in range(2)] == [5.45, 6.45]
    assert [trainings.reached(0.6, CPU) for _ in range(2)] == [None, None]
    assert trainings.last() == 0.38
    assert seeds == [5, 6]


def test_a_training_that_fails_is_an_error_with_its_reason():
    with pytest.raises(ValueError, match=r"experiment=nothing failed: .*nothing"):
        _run(["experiment=nothing"])


@pytest.mark.parametrize("kind", [SB3PPO, SbxPPO])
def test_a_peers_net_is_that_of_its_library_and_is_saved(kind, tmp_path, monkeypatch):
    if kind is SbxPPO:
        pytest.importorskip("sbx", reason="the extra bench")
    models, copy = [], kind._copy
    monkeypatch.setattr(
        kind, "_copy", lambda self, *given: (models.append(given), copy(self, *given))[1]
    )
    own, counts = world("pronounced"), []
    agent = SlowFastAgent(slow=kind(num_envs=8, weeks=6))
    agent.learn(own, total_opportunities=8 * 21, seed=3, progress=counts.append)
    model, scaled = models[-1]
    population = Population(own, 50)
    request = plan_request(population)
    chosen, _ = model.predict(scaled.normalize_obs(request.observations), deterministic=True)
    assert (agent.slow.plan(request) == chosen).mean() > 0.95  # logits are close in the beginning
    assert counts == [0]
    assert agent.slow.opportunities == 8 * 2048 * 21
    assert agent.slow.cpu_seconds > 0
    agent.save(tmp_path / "a")
    loaded = SlowFastAgent.load(tmp_path / "a", allow=[kind])
    assert np.array_equal(loaded.slow.plan(request), agent.slow.plan(request))


def test_a_peer_does_not_plan_before_it_has_learned():
    planner = SB3PPO()
    assert not planner.can_act
    with pytest.raises(NotTrainedError):
        planner.state()


def test_the_page_has_the_tables_of_the_rows_that_were_measured():
    rows = json.loads((ROOT / "experiments" / "speed" / "train.json").read_text())
    page = (ROOT / "docs" / "performance.md").read_text()
    assert training_table(rows) in page
    assert {"slowfast", "utility", "ppo"} <= {agent_of(row) for row in rows}
