import subprocess
import sys
from pathlib import Path

import pytest

from slowfast_rl.evaluation import figures

INTERVALS = [(1, 0, 2), (2, 1, 4)]


def test_panels_are_drawn_and_written(tmp_path: Path) -> None:
    for titles in (None, ["first", "second"]):
        path = tmp_path / "figure.png"
        with figures.panels(path, 2, 3, (6, 4), titles) as axes:
            assert axes.shape == (2, 3)
            figures.line(axes[0, 0], [1, 2], INTERVALS, label="band")
            figures.line(axes[0, 1], [1, 2], [1, 2], color=figures.ORANGE)
            figures.intervals(axes[1, 0], [1, 2], INTERVALS)
            figures.intervals(axes[1, 1], [1, 2], INTERVALS, across=True)
            figures.zero(axes[1, 0])
            figures.zero(axes[1, 1], across=True)
            figures.log2_axis(axes[0, 2], [1, 2, 4])
            assert len(axes[0, 0].collections) == 1
            assert not axes[0, 1].collections
        assert path.read_bytes().startswith(b"\x89PNG")
        path.unlink()


def test_a_figure_that_fails_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), figures.panels(tmp_path / "a.png", 1, 1, (1, 1)):
        _ = 1 / 0
    assert not list(tmp_path.iterdir())


def test_without_matplotlib_the_message_names_the_extra() -> None:
    code = "import sys; sys.modules['matplotlib'] = None; import slowfast_rl.evaluation.figures"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last == "ImportError: figures need matplotlib: pip install 'slowfast_rl[report]'"
