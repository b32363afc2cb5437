"""Compiled kernels are kept where no other user can plant or change them, and read if intact."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numba
import pytest

from slowfast_rl.members import compile as compiling
from slowfast_rl.members import kernel_cache
from tests.damage import damaged, payload, pickled
from tests.waiting import HANG_SECONDS

ROOT = Path(__file__).parents[2]
OWN = f"slowfast_rl-{os.geteuid()}"
SMALL_KERNEL = """
import numpy as np
from slowfast_rl.members.random import Domain, random_words
print(random_words(0, 0, np.zeros(1, int), np.zeros(1, int), Domain.EXPLORATION)[0])
"""


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with everything that the library may choose from: a cache, a home, a temporary."""
    tmp_path = tmp_path.resolve()
    for name in ("given", "home", "temporary"):
        (tmp_path / name).mkdir(mode=0o700)
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "given"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    return tmp_path


class TestPrivateFolder:
    def test_it_is_made_for_its_user_alone(self, places: Path) -> None:
        folder = kernel_cache.private_folder()
        assert folder == places / "given" / OWN
        assert folder.stat().st_mode & 0o777 == 0o700

    def test_without_a_home_it_is_in_the_folder_for_temporary_files(
        self, places: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def no_home() -> Path:
            raise RuntimeError("Could not determine home directory.")

        monkeypatch.delenv("NUMBA_CACHE_DIR")
        monkeypatch.delenv("XDG_CACHE_HOME")
        monkeypatch.setattr(Path, "home", no_home)
        assert kernel_cache.private_folder() == places / "temporary" / OWN

    def test_a_given_folder_needs_no_home(
        self, places: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
        assert kernel_cache.private_folder() == places / "given" / OWN

    @pytest.mark.parametrize("mode", [0o777, 0o770, 0o755, 0o702])
    def test_a_folder_that_others_may_enter_is_not_used(self, places: Path, mode: int) -> None:
        (places / "given" / OWN).mkdir()
        (places / "given" / OWN).chmod(mode)
        assert kernel_cache.private_folder() == places / "home" / OWN

    def test_a_link_is_not_used(self, places: Path) -> None:
        (places / "elsewhere").mkdir(mode=0o700)
        (places / "given" / OWN).symlink_to(places / "elsewhere")
        assert kernel_cache.private_folder() == places / "home" / OWN

    def test_a_link_on_the_way_cannot_be_pointed_elsewhere_later(
        self, places: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (places / "link").symlink_to(places / "given")
        monkeypatch.setenv("NUMBA_CACHE_DIR", str(places / "link"))
        assert kernel_cache.private_folder() == places / "given" / OWN
        (places / "circle").symlink_to(places / "circle")
        monkeypatch.setenv("NUMBA_CACHE_DIR", str(places / "circle"))
        assert kernel_cache.private_folder() == places / "home" / OWN

    def test_a_folder_that_is_a_file_is_not_used(self, places: Path) -> None:
        (places / "given" / OWN).write_text("")
        assert kernel_cache.private_folder() == places / "home" / OWN

    def test_a_folder_in_one_where_others_may_rename_it_is_not_used(self, places: Path) -> None:
        (places / "given").chmod(0o777)
        assert kernel_cache.private_folder() == places / "home" / OWN
        (places / "given").chmod(0o1777)
        assert kernel_cache.private_folder() == places / "given" / OWN

    @pytest.mark.usefixtures("places")
    def test_a_folder_of_another_user_is_not_used(self, monkeypatch: pytest.MonkeyPatch) -> None:
        stranger = os.geteuid() + 1
        monkeypatch.setattr(os, "geteuid", lambda: stranger)
        assert kernel_cache.private_folder() is None

    def test_a_given_folder_that_is_not_used_is_told(
        self, places: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        (places / "given").chmod(0o777)
        kernel_cache.private_folder()
        (line,) = caplog.messages
        assert str(places / "given") in line
        assert "no other user can change" in line


def test_without_a_private_folder_a_kernel_is_compiled_and_nothing_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(compiling, "_cache_folder", lambda members_only: None)

    @compiling.driver()
    def doubled(x: int) -> int:
        return 2 * x

    made: Any = doubled
    assert doubled(3) == 6
    assert made.stats.cache_path is None


class TestCheckedFiles:
    """numba's index and data files; what is damaged or planted is as if it was not there."""

    @pytest.fixture
    def file(self, tmp_path: Path) -> Any:
        file = kernel_cache._CheckedFile(str(tmp_path), "kernel", "stamp")
        file.save("key", ["compiled"])
        return file

    def test_intact_files_are_read(self, file: Any) -> None:
        assert file.load("key") == ["compiled"]
        assert file.load("other") is None

    @pytest.mark.parametrize("name", ["kernel.nbi", "kernel.1.nbc"])
    def test_a_damaged_file_is_not_read_and_is_replaced(
        self, file: Any, tmp_path: Path, name: str
    ) -> None:
        whole = (tmp_path / name).read_bytes()
        for content in damaged(whole, 1000):
            (tmp_path / name).write_bytes(content)
            assert file.load("key") is None
        file.save("key", ["compiled again"])
        assert file.load("key") == ["compiled again"]

    @pytest.mark.parametrize("name", ["kernel.nbi", "kernel.1.nbc"])
    def test_a_planted_pickle_does_not_run(self, file: Any, tmp_path: Path, name: str) -> None:
        planted = tmp_path / "planted"
        for before in (b"", pickled(numba.__version__)):
            (tmp_path / name).write_bytes(before + payload(planted))
            assert file.load("key") is None
        assert not planted.exists()

    def test_a_full_disk_does_not_stop_a_compilation(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def full(*_: Any) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(kernel_cache._CheckedFile, "save", full)

        @compiling.driver()
        def tripled(x: int) -> int:
            return 3 * x

        assert tripled(2) == 6
        assert "No space left on device" in caplog.text


def run(places: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Compile or load one small kernel in another process."""
    found = {key: value for key, value in os.environ.items() if key != "HOME"}
    return subprocess.run(
        [sys.executable, "-c", SMALL_KERNEL],
        cwd=ROOT,
        env=found | environment,
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
    )


def test_a_process_whose_cache_was_damaged_compiles_again_with_the_same_result(
    places: Path,
) -> None:
    first = run(places)
    assert first.returncode == 0, first.stderr
    files = [path for path in (places / "given").rglob("*.nb?") if path.is_file()]
    assert files
    for path in files:
        path.write_bytes(payload(places / "planted"))
    second = run(places)
    assert second.stdout == first.stdout
    assert "Compiling" in second.stderr
    assert "Compiling" not in run(places).stderr
    assert not (places / "planted").exists()


def test_where_numba_is_told_not_to_compile_the_simulation_still_runs(places: Path) -> None:
    done = run(places, NUMBA_DISABLE_JIT="1")
    assert done.returncode == 0, done.stderr
    assert "NUMBA_DISABLE_JIT is 1 and has no effect" in done.stderr
    assert done.stdout == run(places).stdout
