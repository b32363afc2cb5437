import json

import pytest

from slowfast_rl.evaluation import contestants
from slowfast_rl.members.reading import sealed
from slowfast_rl.slow import FixedPlanner
from tests.cli.calls import TINY, call

SHAPED = (
    "world=pronounced",
    "world_overrides={shapes: {weekend: {day: [0, 0, 0, 0, 3, 3, 3]}}, menu.push: [0, 5],"
    " menu.email: [0]}",
)


@pytest.fixture
def references(capsys, tmp_path, monkeypatch):
    """What the command printed, and the file that it wrote."""
    monkeypatch.chdir(tmp_path)
    arguments = (*TINY[:4], *SHAPED, "workers=1", "evaluation.references=kept")
    result = call(capsys, "references", *arguments)
    assert result.code == 0, result.err
    (file,) = (tmp_path / "kept").iterdir()
    return result.out, file


def test_the_shape_of_the_best_fixed_plan_is_printed_where_there_are_several(references):
    out, file = references
    kept = json.loads(file.read_text())
    plan, shape = tuple(kept["best_fixed_plan"]), kept["best_fixed_shape"]
    assert f"pronounced: best fixed plan {plan}, shape {shape}, return " in out


def test_training_is_compared_with_the_best_plan_in_its_shape(references, capsys, monkeypatch):
    _, file = references
    wanted = {"best_fixed_plan": [5, 0], "best_fixed_shape": "weekend"}
    kept = {k: v for k, v in json.loads(file.read_text()).items() if k != "sha256"}
    file.write_bytes(sealed(json.dumps(kept | wanted, indent=1)))
    lived = []

    class Spy(FixedPlanner):
        def __init__(self, world, plan, shape="uniform"):
            lived.append((*plan, shape))
            super().__init__(world, plan, shape)

    monkeypatch.setattr(contestants, "FixedPlanner", Spy)
    result = call(capsys, "train", *TINY, *SHAPED, "evaluation.references=kept")
    assert result.code == 0, result.err
    assert lived.count((5, 0, "weekend")) == 2  # beside the training, and in the leaderboard
