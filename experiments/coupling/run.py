"""Sweep the global threshold and the plan, and write how relevant what they send is.

python experiments/coupling/run.py [--quick] [--seeds 0 1 2] [--members 1024] [--weeks 52]
"""

from pathlib import Path

import numpy as np
from measure import measure as measure_setting

import slowfast_rl as sf
from slowfast_rl.evaluation import figures
from slowfast_rl.evaluation import formatting as fmt
from slowfast_rl.evaluation.protocol import burned_in, check_training_seed
from slowfast_rl.evaluation.studies import Flag, Options, Results, Study
from slowfast_rl.fast import UpliftRanker

THRESHOLDS = (0.0, 0.01, 0.02, 0.03, 0.045, 0.06, 0.08, 0.11)
PLANS = ((1, 0), (1, 1), (2, 1), (3, 1), (4, 2), (5, 3), (10, 5), (14, 7))
COLUMNS = {  # the digits shown, and what it is
    "sends": (2, "sends a week"),
    "relevance": (3, "relevance of a send"),
    "best": (3, "most relevant of the four"),
    "open_rate": (4, "opens per send"),
    "response": (4, "response per send"),
}
MEASURES = ("relevance", "open_rate", "response")  # that may move with the sends
ARMS = {"threshold": "global threshold, no plan", "plan": "plan (push + email), exact pacer"}


def measure(options: Options) -> Results:
    """Return what every threshold and every plan sends, for a causal model of each seed."""
    world, runs = sf.load_world("pronounced"), []
    protocol = sf.EvaluationProtocol(num_members=options.members, streams=(0,))
    start = burned_in(world, protocol, 0)
    for seed in options.seeds:
        check_training_seed(seed, protocol)
        ranker = UpliftRanker(num_members=options.log_members).learn(world, seed=seed)
        arms = {
            arm: [
                measure_setting(start, ranker, options.weeks, **{arm: value})
                for value in values[:: options.step]
            ]
            for arm, values in (("threshold", THRESHOLDS), ("plan", PLANS))
        }
        runs.append({"seed": seed} | arms)
    sizes = {"members": options.members, "weeks": options.weeks}
    return {"world": world.name, **sizes, "runs": runs}


def tables(results: Results) -> str:
    """Return the first seed's sweeps and all seeds' elasticities."""
    runs, rows = results["runs"], []
    for arm, title in ARMS.items():
        rows.append([f"**{title}**{' |' * len(COLUMNS)}"])
        for row in runs[0][arm]:
            cells = (_cell(row[name], digits) for name, (digits, _) in COLUMNS.items())
            rows.append((row["label"], *cells))
    header = ["setting", *(name for _, name in COLUMNS.values())]
    return fmt.paragraphs(
        f"`{results['command']}` wrote these tables: world `{results['world']}`, "
        f"{results['members']} members that training never sees, {results['weeks']} weeks after "
        "the burn-in, one luck; ± is the 95 % interval over members. The causal model was trained "
        f"on seed {runs[0]['seed']}.",
        fmt.table(header, rows),
        "How much each measure moves when sends double (percent, by regression of logarithms over "
        "the sweep's settings), per training seed:",
        fmt.table(
            ["arm", "seed", *(COLUMNS[name][1] for name in MEASURES)],
            [
                (arm, str(run["seed"]), *(f"{doubling(run[arm], m):+.1f} %" for m in MEASURES))
                for arm in ARMS
                for run in runs
            ],
        ),
    )


def doubling(rows, name):
    """Return by how many percent a measure moves when sends double."""
    sends = np.log2([row["sends"][0] for row in rows])
    slope = np.polyfit(sends, np.log2([row[name][0] for row in rows]), 1)[0]
    return float(100 * (2**slope - 1))


def _cell(v, digits):
    return f"{v[0]:.{digits}f} ± {v[2] - v[0]:.{digits}f}"


def draw(results: Results, path: Path) -> None:
    """Draw one panel a measure, one line a sweep and seed."""
    titles = {"relevance": "relevance of a send (1: a random candidate)"}
    names = {"threshold": "global threshold", "plan": "slow plan"}
    with figures.panels(path, 1, len(MEASURES), (11, 3.3)) as axes:
        for ax, name in zip(axes[0], MEASURES, strict=True):
            for arm, colour in (("threshold", figures.ORANGE), ("plan", figures.BLUE)):
                for number, run in enumerate(results["runs"]):
                    sends = [row["sends"][0] for row in run[arm]]
                    label = names[arm] if number == 0 else None
                    values = [row[name] for row in run[arm]]
                    figures.line(ax, sends, values, color=colour, linewidth=1.2, label=label)
            ax.set(title=titles.get(name, COLUMNS[name][1]), xlabel="sends a week", ylim=(0, None))
        axes[0, 0].legend()


FLAGS = {
    "seeds": Flag([0, 1, 2], quick=1),
    "members": Flag(1024, quick=128),
    "weeks": Flag(52, quick=6),
}
SIZES = {"log_members": (4096, 256), "step": (1, 3)}  # of the model's log; every third setting
STUDY = Study(__file__, measure, tables, draw, FLAGS, SIZES)

if __name__ == "__main__":
    STUDY.run()
