"""A study's command: flags, quick runs, and what is written."""

import json
from pathlib import Path

import pytest

from slowfast_rl.evaluation.statistics import Interval
from slowfast_rl.evaluation.studies import Flag, Study, kept_rows, measured_rows, run_missing

FLAGS = {
    "members": Flag(100, quick=4),
    "seeds": Flag([0, 1], quick=1),
    "part": Flag(["all"], choices=("all", "some"), selects=True),
}
README = "before\n<!-- sums -->\n<!-- /sums -->\nafter\n"


@pytest.fixture
def study(tmp_path: Path) -> Study:
    folder = tmp_path / "experiments" / "sums"
    folder.mkdir(parents=True)
    (folder / "README.md").write_text(README)
    return Study(
        str(folder / "run.py"),
        lambda options: {
            "sum": options.members * options.weeks + sum(options.seeds),
            "interval": Interval(1.0, 0.0, 2.0),
        },
        lambda results: f"The sum is {results['sum']}.",
        lambda results, path: path.write_text(f"{results['sum']}") and None,
        FLAGS,
        {"weeks": (10, 2)},
    )


def test_a_full_run_prints_and_writes_results_tables_and_figure(study: Study, capsys) -> None:
    study.run(["--members", "5", "--part", "some"])
    assert capsys.readouterr().out == "The sum is 51.\n"
    assert json.loads((study.folder / "results.json").read_text()) == {
        "command": "python experiments/sums/run.py --members 5 --seeds 0 1",
        "sum": 51,
        "interval": [1.0, 0.0, 2.0],
    }
    assert (
        "<!-- sums -->\nThe sum is 51.\n<!-- /sums -->" in (study.folder / "README.md").read_text()
    )
    assert (study.folder / "sums.png").read_text() == "51"


def test_a_quick_run_takes_the_small_sizes_and_only_prints(study: Study, capsys) -> None:
    study.run(["--quick", "--seeds", "3", "4"])
    assert capsys.readouterr().out == "The sum is 11.\n"
    assert [path.name for path in study.folder.iterdir()] == ["README.md"]


def test_a_report_writes_tables_and_figure_of_the_results_that_are_there(study: Study) -> None:
    (study.folder / "results.json").write_text('{"sum": 7}')
    study.run(["--report"])
    assert (study.folder / "results.json").read_text() == '{"sum": 7}'
    assert "The sum is 7." in (study.folder / "README.md").read_text()
    assert (study.folder / "sums.png").read_text() == "7"


@pytest.mark.parametrize("words", [["--part", "none"], ["--quick", "--report"], ["--weeks", "3"]])
def test_a_command_that_is_not_understood_is_refused(study: Study, words: list[str]) -> None:
    with pytest.raises(SystemExit):
        study.run(words)


def test_rows_of_earlier_runs_stay_where_they_are_not_measured_again(tmp_path: Path) -> None:
    def measure(options) -> dict:
        jobs = {f"a-{seed}": lambda seed=seed: [{"seed": seed, "by": "now"}] for seed in (1, 2)}
        return {"rows": measured_rows(options, jobs, lambda row: (row["seed"],))}

    folder = tmp_path / "experiments" / "rows"
    folder.mkdir(parents=True)
    (folder / "README.md").write_text("<!-- rows -->\n<!-- /rows -->\n")
    rows = [{"seed": seed, "by": "before"} for seed in (0, 1)]
    (folder / "results.json").write_text(json.dumps({"rows": rows}))
    Study(str(folder / "run.py"), measure, lambda results: "text").run([])
    found = json.loads((folder / "results.json").read_text())["rows"]
    assert [(row["seed"], row["by"]) for row in found] == [(0, "before"), (1, "now"), (2, "now")]
    assert len(kept_rows(tmp_path / "runs" / "rows")) == 2


def test_arrays_are_kept_as_arrays(tmp_path: Path) -> None:
    np = pytest.importorskip("numpy")
    run_missing({"a": lambda: {"x": np.arange(3)}}, tmp_path, ".npz")
    with np.load(tmp_path / "a.npz") as file:
        assert file["x"].tolist() == [0, 1, 2]
