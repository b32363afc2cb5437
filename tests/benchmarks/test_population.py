"""The suite of populations: sizes, memory, and members at the beginning of their episodes."""

import pytest

from slowfast_rl.benchmarks import population
from slowfast_rl.benchmarks.cases import measure
from slowfast_rl.benchmarks.population import population_cases, sizes, state_bytes
from slowfast_rl.members.beliefs import BeliefFilter
from tests.members.worlds import world


def test_sizes_are_every_tenfold_from_ten_thousand():
    assert sizes(1_000_000) == [10_000, 100_000, 1_000_000]
    assert sizes(500) == [500]


def test_each_size_has_its_weeks_and_its_bytes_without_and_with_beliefs():
    cases = population_cases(world("pronounced"), 300, 1, 0)
    values = {case.name: measure(case, 2).median for case in cases}
    assert set(values) == {
        "fused weeks, plan (3, 1)", "fused weeks, random plans", "state",
        "fused weeks, plan (3, 1), beliefs", "fused weeks, random plans, beliefs",
        "state and beliefs",
    }  # fmt: skip
    assert values["state"] < values["state and beliefs"]
    assert all(value > 0 for value in values.values())


def test_a_size_for_which_memory_is_short_is_left_out_and_says_so(monkeypatch):
    monkeypatch.setattr(population, "free_memory", lambda: 1000.0)
    case = population_cases(world("pronounced"), 300, 1, 0)[0]
    assert case.name.startswith("fused weeks, plan (3, 1): left out, ")
    assert measure(case, 1) == (None, None, None)


@pytest.mark.parametrize("name", ["pronounced", "in_app"])
def test_bytes_are_those_of_all_arrays(name):
    found = world(name)
    few = state_bytes(found, 0, None)
    assert 100 < few < state_bytes(found, 0, BeliefFilter(found)) < 10_000
