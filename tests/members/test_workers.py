"""Jobs give the same results in the same order, wherever they run."""

import copy
from threading import get_ident

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from slowfast_rl.members import threads
from slowfast_rl.members.beliefs import BeliefFilter
from slowfast_rl.members.population import Population
from slowfast_rl.members.workers import (
    ProcessWorkers,
    SerialWorkers,
    count_cpu_seconds,
    cpu_seconds,
    row_shards,
    run_jobs,
    runs_in_this_process,
    use_workers,
)
from slowfast_rl.policies import default_executor
from slowfast_rl.policies.budget import Stopwatch
from tests.members.populations import check_same
from tests.members.worlds import world


class CopyingWorkers:
    """Workers that get copies, as in another process, and begin with the last jobs."""

    def map(self, function, shared, jobs):
        results = [
            function(copy.deepcopy(shared), copy.deepcopy(job)) for job in reversed(list(jobs))
        ]
        return iter(results[::-1])


def double(shared, job):
    shared.append(job)
    return 2 * job + len(shared)


def own_thread(shared, job):
    return get_ident() == shared[0]


@pytest.fixture
def three_threads():
    threads.set_num_threads(3)
    yield
    threads.set_num_threads(None)


class Policy:
    def __init__(self, *, thread_safe):
        self.thread_safe = thread_safe

    def plan(self, request):
        raise AssertionError


class SilentPolicy:
    def run_week(self, population, target):
        raise AssertionError


@pytest.mark.usefixtures("three_threads")
def test_jobs_run_in_threads_if_all_their_policies_say_that_they_may():
    here, safe = get_ident(), Policy(thread_safe=True)
    assert not any(run_jobs(own_thread, (here, safe), range(8)))
    for other in (Policy(thread_safe=False), SilentPolicy()):
        assert all(run_jobs(own_thread, (here, safe, other), range(8)))


@pytest.mark.usefixtures("three_threads")
def test_results_of_threads_come_in_the_order_of_the_jobs_and_an_error_ends_them():
    def work(shared, job):
        if job == 5:
            raise RuntimeError("out of order")
        return 10 * job

    found = run_jobs(work, (), range(8))
    assert [next(found) for _ in range(5)] == [0, 10, 20, 30, 40]
    with pytest.raises(RuntimeError, match="out of order"):
        next(found)


@pytest.mark.usefixtures("three_threads")
def test_a_job_in_a_thread_does_not_wait_for_others_to_simulate_its_rows():
    def rows(shared, job):
        seen = []
        threads.for_row_shards(lambda start, stop: seen.append((start, stop)), 5000)
        return seen

    assert list(run_jobs(rows, (), range(8))) == [[(0, 5000)]] * 8


def test_jobs_run_in_this_process_unless_other_workers_are_in_use():
    assert runs_in_this_process()
    with use_workers(CopyingWorkers()):
        assert not runs_in_this_process()
        assert list(run_jobs(double, [0], [3, 4])) == [8, 10]
        with use_workers(SerialWorkers()):
            assert runs_in_this_process()
            assert list(run_jobs(double, [0], [3, 4])) == [8, 11]
    assert runs_in_this_process()


def test_results_of_other_processes_come_in_the_order_of_the_jobs():
    with use_workers(ProcessWorkers(2)):
        assert list(run_jobs(double, [0], range(5))) == [2, 4, 6, 8, 10]


def test_no_worker_is_an_error():
    with pytest.raises(ValueError, match="workers is 0; allowed is 1 or more"):
        ProcessWorkers(0)


@pytest.mark.parametrize("count", [0, 1, 1024, 1025, 5000])
def test_shards_are_all_rows_in_order(count):
    rows = np.arange(count)
    shards = row_shards(count)
    assert_array_equal(np.concatenate([rows[shard] for shard in shards]), rows)
    assert all(len(rows[shard]) == 1024 for shard in shards[:-1])


def test_cpu_time_of_workers_counts_against_a_budget():
    watch, before = Stopwatch(2.0), cpu_seconds()
    count_cpu_seconds(5.0)
    assert 5 <= cpu_seconds() - before < 6
    assert 7 <= watch.spent < 8
    watch.call_untimed(count_cpu_seconds, 100)
    assert 7 <= watch.spent < 8


@pytest.mark.parametrize("beliefs", [False, True])
def test_rows_that_are_put_back_go_on_as_if_they_had_never_been_taken(beliefs):
    w = world("eventful")
    belief_filter = BeliefFilter(w) if beliefs else None
    whole = Population(w, 30, 3, 3, belief_filter=belief_filter)
    divided = whole.clone()

    def simulate(population):
        for _ in range(3):
            default_executor().run_week(population, np.full((population.num_members, 2), 4))
            population.restart(~population.alive)

    simulate(whole)
    for rows in (slice(0, 11), np.array([20, 12]), np.isin(np.arange(30), [11, *range(13, 20)])):
        part = divided.take(rows)
        simulate(part)
        divided.put(rows, part)
    part = divided.shard(21, 30)
    simulate(part)
    divided.put(slice(21, 30), part)
    check_same(whole, divided)
    if beliefs:
        for ours, theirs in zip(divided.beliefs.tables, whole.beliefs.tables, strict=True):
            assert_array_equal(ours, theirs)
