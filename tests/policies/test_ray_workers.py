"""What runs on Ray gives the bits of one process, for any number of workers."""

import hashlib
import os
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import slowfast_rl as sf
from slowfast_rl.evaluation.protocol import EvaluationProtocol
from slowfast_rl.evaluation.references import compute_references
from slowfast_rl.evaluation.twins import Twins
from slowfast_rl.members.workers import cpu_seconds, run_jobs, runs_in_this_process
from slowfast_rl.slow import FixedPlanner, RolloutPlanner

pytestmark = pytest.mark.ray
ray = pytest.importorskip("ray", reason="the extra ray")
WORLD = sf.load_world("pronounced")
PROTOCOL = EvaluationProtocol(num_members=40, weeks=4, burn_in=1, streams=(0, 1, 2))


@pytest.fixture
def workers():
    """Return the context of some workers; Ray is stopped in the end."""
    from slowfast_rl.policies.ray_workers import ray_workers

    yield ray_workers
    ray.shutdown()


def learned(monkeypatch) -> RolloutPlanner:
    """A planner that learned from four shards of members."""
    monkeypatch.setattr("slowfast_rl.slow.branches.row_shards", shards_of_ten)
    planner = RolloutPlanner(
        states=40, branches=3, ages=4, weeks_between=2, horizon=3, hold=1, epochs=2, hidden=8
    )
    return planner.learn(WORLD, total_opportunities=50_000, seed=3)


def shards_of_ten(count):
    return [slice(first, first + 10) for first in range(0, count, 10)]


@pytest.mark.parametrize("count", [1, 2])
def test_a_learner_whose_rollouts_come_from_workers_learns_the_same(count, workers, monkeypatch):
    here = learned(monkeypatch)
    before = cpu_seconds()
    with workers(count):
        there = learned(monkeypatch)
    assert 0 < there.cpu_seconds <= cpu_seconds() - before
    assert there.opportunities == here.opportunities
    state = there.state()
    for name, array in here.state().items():
        assert_array_equal(state[name], array)


@pytest.mark.parametrize("count", [1, 2])
def test_twins_on_workers_live_the_same(count, workers, monkeypatch):
    planners = [learned(monkeypatch), FixedPlanner(WORLD, (3, 1))]
    rows = [Twins(WORLD, PROTOCOL).rollout(planner) for planner in planners]
    with workers(count):
        twins = Twins(WORLD, PROTOCOL)
        for planner, expected in zip(planners, rows, strict=True):
            found = twins.rollout(planner)
            assert_array_equal(found.luck_returns, expected.luck_returns)
            assert_array_equal(found.plan_counts, expected.plan_counts)
            assert_array_equal(found.observations, expected.observations)
            for name, values in expected.weekly.items():
                assert_array_equal(found.weekly[name], values)


def test_references_on_workers_are_the_same(workers):
    protocol = replace(PROTOCOL, num_members=10, weeks=2, streams=(0,))
    here = compute_references(WORLD, protocol, 1)
    with workers(2):
        there = compute_references(WORLD, protocol)
    assert there.fixed_returns == here.fixed_returns
    assert_array_equal(there.oracle, here.oracle)


def where(shared, job):
    shared["here"] = job
    return os.getpid(), os.environ.get("OMP_NUM_THREADS"), runs_in_this_process(), dict(shared)


def fail(shared, job):
    if job == 2:
        raise ValueError(f"job is {job}; allowed is another")
    return job


def die_once(path, job):
    if job == 3 and not os.path.exists(path):
        open(path, "w").close()
        os._exit(1)
    return job


def die(shared, job):
    os._exit(1)


def test_jobs_run_in_other_processes_with_copies_and_one_thread(workers):
    with workers(2) as own:
        assert own.num_workers == 2
        found = list(run_jobs(where, {}, range(4)))
    processes, threads, serial, shared = zip(*found, strict=True)
    assert os.getpid() not in processes
    assert set(threads) == {"1"}
    assert all(serial)  # a job's own jobs stay in its process
    assert [list(kept.values()) for kept in shared] == [[0], [1], [2], [3]]
    assert runs_in_this_process()
    assert not ray.is_initialized()


def test_an_error_of_a_job_is_raised_as_if_it_had_run_here(workers):
    with workers(1):
        jobs = run_jobs(fail, None, range(4))
        assert [next(jobs), next(jobs)] == [0, 1]
        with pytest.raises(ValueError, match=r"^job is 2; allowed is another$"):
            next(jobs)


def test_a_job_whose_worker_dies_runs_again(workers, tmp_path):
    with workers(2):
        assert list(run_jobs(die_once, str(tmp_path / "died"), range(6))) == list(range(6))
    assert (tmp_path / "died").exists()


def test_a_job_that_no_worker_survives_is_an_error_in_one_line(workers):
    with workers(1), pytest.raises(ChildProcessError, match=r"^Ray lost a worker: "):
        list(run_jobs(die, None, [0]))


def test_a_connection_of_the_callers_own_is_used_and_kept(workers):
    ray.init(num_cpus=1, include_dashboard=False, object_store_memory=100_000_000)
    with workers(3) as own:
        assert own.num_workers == 3
        assert list(run_jobs(fail, None, [0, 1])) == [0, 1]
    assert ray.is_initialized()


def test_no_workers_are_an_error(workers):
    with pytest.raises(ValueError, match="workers is 0; allowed is 1 or more"), workers(0):
        pass


def test_arrays_arrive_writable_on_both_sides(workers):
    with workers(1):
        (found,) = run_jobs(add_one, np.zeros(100_000), [np.zeros(100_000)])
    assert found.flags.writeable
    assert hashlib.sha256(found).digest() == hashlib.sha256(np.full(100_000, 2.0)).digest()


def add_one(shared, job):
    shared += 1
    job += 1
    return shared + job
