"""Compiled kernels: float32 throughout, found in the cache by a second process, never stale."""

import copy
import subprocess
import sys
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest
from numba import types

from slowfast_rl.members import compile as compiling
from slowfast_rl.members import driver, dynamics, numerics, random, stepping
from slowfast_rl.members.constants import constants
from slowfast_rl.members.opportunity import SIMULATION
from tests.members.worlds import world

F, I, WORD = types.float32, types.int64, types.uint32
W = numba.typeof(constants(world("pronounced")))
ROOT = Path(__file__).parents[2]

#: Kernels that return float32, with the arguments that the drivers give them.
SCALARS: dict[Any, tuple[Any, ...]] = {
    numerics.exp: (F,),
    numerics.log: (F,),
    numerics.logistic: (F,),
    numerics.inverse_normal: (F,),
    random.uniform: (WORD,),
    random.normal: (WORD,),
    dynamics.organic_view: (W, F, F, F, F, F, I),
    dynamics.organic_hazard: (F, WORD, WORD),
    dynamics.relevance: (W, F, F, F),
    dynamics.felt_fatigue: (W, F, F, F),
    dynamics.response: (W, WORD, F, F, F, F, F),
    dynamics.dismissal: (W, WORD, F, F),
    dynamics.opt_out: (W, WORD, F, F, F),
    dynamics.fatigue_after_send: (W, F, F, types.boolean),
    dynamics.goodwill_after_unopened: (W, WORD, F, F),
    dynamics.goodwill_after_day: (W, F),
    dynamics.habit_after_day: (W, F, types.uint8),
    dynamics.churn: (W, F),
    dynamics.expected_view: (F, F),
    stepping.total_fatigue: (SIMULATION[2], I),
}
#: Kernels that store what they find, and may not compute it in float64 on the way.
STORING: dict[Any, tuple[Any, ...]] = {
    dynamics.candidate: (I, WORD),
    stepping.open_day: (SIMULATION, I, I),
    stepping.close_day: (SIMULATION, I, I),
    stepping.close_week: (SIMULATION, I, WORD),
}


def name(kernel: Any) -> str:
    return str(kernel.__name__)


def types_inside(kernel: Any, arguments: tuple[Any, ...]) -> tuple[Any, set[str]]:
    """Compile afresh; return the return type and the names of all types met on the way."""
    fresh = numba.njit(error_model="numpy")(kernel.py_func)
    fresh.compile(arguments)
    (overload,) = fresh.overloads.values()
    inside = {str(t) for t in overload.type_annotation.typemap.values()}
    return overload.signature.return_type, inside


def test_every_kernel_of_the_equations_is_checked() -> None:
    found = {
        k
        for module in (dynamics, numerics)
        for k in vars(module).values()
        if isinstance(k, numba.core.dispatcher.Dispatcher)
    }
    assert found - {random.choose_below} <= set(SCALARS) | set(STORING)


@pytest.mark.parametrize("kernel", SCALARS, ids=name)
def test_a_kernel_returns_float32_and_never_computes_in_float64(kernel: Any) -> None:
    returned, inside = types_inside(kernel, SCALARS[kernel])
    assert returned == F
    assert not {t for t in inside if "float64" in t and not t.startswith("Constants")}


@pytest.mark.parametrize("kernel", STORING, ids=name)
def test_a_storing_kernel_never_computes_in_float64(kernel: Any) -> None:
    _, inside = types_inside(kernel, STORING[kernel])
    assert {t for t in inside if "float32" in t}
    assert "float64" not in inside


def test_silent_float64_would_be_seen() -> None:
    @numba.njit
    def promoted(x: np.float32) -> np.float32:
        return np.float32(x * 0.5)

    class Kernel:
        py_func = promoted.py_func

    returned, inside = types_inside(Kernel, (F,))
    assert returned == F
    assert "float64" in inside


SECOND_PROCESS = """
import numpy as np
from slowfast_rl.members import block_policy, block_steps, blocks, driver
from slowfast_rl.members.loading import load_world
from slowfast_rl.members.population import Population
from slowfast_rl.policies.executor import default_executor, exact_pace
from tests.members import policies

population = Population(load_world("pronounced"), 3)
actions = np.ones((1, 21, 3), np.int64)
policies.play(population, actions)
policies.play_weeks(population, actions)
default_executor().run_week(population, np.ones((3, 2), np.int32))
kernels = (driver.begin, block_steps.step_slot, blocks.run_week, driver.fill_utility,
           block_policy.pace_each, block_policy.block_form_of(exact_pace, None),
           policies.scripted_pace, policies.scripted_rank, policies.allow_all)
for kernel in kernels:
    stats = kernel.compiled.stats
    print(kernel.__name__, sum(stats.cache_hits.values()), sum(stats.cache_misses.values()))
"""


def test_a_second_process_finds_all_drivers_and_policies_in_the_cache() -> None:
    for _ in range(2):
        run = subprocess.run(
            [sys.executable, "-c", SECOND_PROCESS], cwd=ROOT, capture_output=True, text=True
        )
        assert run.returncode == 0, run.stderr
    rows = [line.split() for line in run.stdout.splitlines()]
    assert [row[0] for row in rows] == [
        "begin",
        "step_slot",
        "run_week",
        "fill_utility",
        "pace_each",
        "_pace_block",
        "scripted_pace",
        "scripted_rank",
        "allow_all",
    ]
    for kernel, hits, misses in rows:
        assert int(hits) > 0, kernel
        assert int(misses) == 0, kernel


class TestDriver:
    """A function with a signature, which numba would compile where it is defined."""

    def test_it_compiles_when_it_is_first_called_and_takes_no_other_arguments(self) -> None:
        @compiling.driver(types.int64(types.int64))
        def doubled(x: int) -> int:
            return 2 * x

        made: Any = doubled
        assert not made._dispatcher.overloads
        assert doubled(3) == 6
        assert list(made.compiled.overloads) == [(types.int64,)]
        with pytest.raises(TypeError, match="No matching definition"):
            doubled(np.zeros(3))

    def test_a_copy_is_the_driver_itself(self) -> None:
        assert copy.deepcopy(driver.begin) is driver.begin

    def test_one_driver_calls_another_that_it_is_given(self) -> None:
        one, rate = compiling.driver(types.float64(types.float64)), types.float64

        @compiling.driver(rate(types.FunctionType(rate(rate)), rate))
        def twice(function: Any, x: float) -> float:
            return float(function(function(x)))

        @one
        def halved(x: float) -> float:
            return x / 2

        assert twice(halved, 8.0) == 2


class TestCacheFolder:
    """A kernel inlines other files' functions, so any changed source is another folder."""

    @pytest.fixture
    def package(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        for layer in ("members", "policies", "fast", "slow"):
            (tmp_path / "package" / layer).mkdir(parents=True)
            (tmp_path / "package" / layer / "a.py").write_text("a = 1")
        monkeypatch.setattr(compiling, "_PACKAGE", tmp_path / "package")
        monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
        return tmp_path / "package"

    @staticmethod
    def folders() -> tuple[Path, Path]:
        """For kernels of members, and for those of the layers above."""
        find = compiling._cache_folder.__wrapped__
        return find(True), find(False)

    @pytest.mark.usefixtures("package")
    def test_unchanged_sources_keep_their_folder(self) -> None:
        assert self.folders() == self.folders()
        assert all(folder.is_dir() for folder in self.folders())

    @pytest.mark.parametrize(
        ("layer", "changed"),
        [
            ("members", (True, True)),
            ("policies", (False, True)),
            ("fast", (False, True)),
            ("slow", (False, False)),
        ],
    )
    def test_a_changed_source_changes_the_folder_of_the_kernels_that_reach_it(
        self, package: Path, layer: str, changed: tuple[bool, bool]
    ) -> None:
        before = self.folders()
        (package / layer / "a.py").write_text("a = 2")
        after = self.folders()
        assert tuple(b != a for b, a in zip(before, after, strict=True)) == changed

    @pytest.mark.usefixtures("package")
    def test_an_unwritable_folder_is_passed_over(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "file").write_text("")
        monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "file"))
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
        assert self.folders()[0].is_relative_to(tmp_path / "home")
