"""How good is a planner that has only a log: by a fitted world, or from the log directly?

python experiments/from_logs/run.py [--truths 0 1 2] [--seeds 0 1 2] [--quick]
"""

from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

import slowfast_rl as sf
from slowfast_rl.evaluation import Twins, mean_interval
from slowfast_rl.evaluation import formatting as fmt
from slowfast_rl.evaluation.studies import (
    Flag,
    Options,
    Results,
    Row,
    Study,
    measured_rows,
    rollout_planner,
)
from slowfast_rl.fitting.parameters import ParameterSpace
from slowfast_rl.slow import FixedPlanner, SegmentsPlanner, UtilityPlanner

BASE = "pronounced"  # the world that a fit begins with
OFF = 1.5  # factor by which each fitted parameter of the truth is above or below it
FIXED_SEED = 78  # of the members that choose the best fixed plan
ARMS = {
    "true": "planner trained in the true world",
    "fitted": "planner trained in the world fitted to the log",
    "start": "planner trained in the world that the fit began with",
    "utility": "utility planner learned from the log",
    "best arm": "best fixed plan of the log",
}


def truth(number: int) -> sf.World:
    """Return a world whose parameters differ from the base's, up or down by lot."""
    space = ParameterSpace(sf.load_world(BASE))
    up = np.random.default_rng(700 + number).random(len(space)) < 0.5
    return space.world(np.where(up, 1, -1) * np.log(OFF), f"truth-{number}")


def measure(options: Options) -> Results:
    """Return the rows of all true worlds: the fit, and what planners gain in truth."""
    jobs = {f"truth-{n}": partial(of_truth, n, options) for n in options.truths}
    return {"rows": measured_rows(options, jobs, lambda row: (row["truth"], row["seed"]))}


def of_truth(number: int, options: Options) -> list[Row]:
    """Return a row for each training seed in one true world."""
    world = truth(number)
    with TemporaryDirectory() as folder:
        sf.logs.record(
            Path(folder) / "log", world, sf.fast.PacedExecutor(), num_members=options.members,
            weeks=options.log_weeks, population_seed=40 + number, luck_seed=40 + number,
            holds=False,
        )  # fmt: skip
        log = sf.logs.read(Path(folder) / "log", BASE)
        assert not sf.logs.check(log, ["plans", "fit"]).errors
        found = sf.fit(sf.logs.weekly_table(log), log.world, seed=number, **options.fit)
        utility = UtilityPlanner(window=options.window).learn_from_log(log)
        arm = SegmentsPlanner(segments=1).learn_from_log(log)
    fixed = SegmentsPlanner(
        segments=1, num_members=options.fixed_members, weeks=options.fixed_weeks
    )
    fixed.learn(world, seed=FIXED_SEED)
    twins = Twins(world, options.protocol)
    best = twins.rollout(FixedPlanner(world, fixed.wanted[0])).returns
    direct = {
        "utility": twins.rollout(utility).returns,
        "best arm": twins.rollout(FixedPlanner(world, arm.wanted[0])).returns,
    }
    rows = []
    for seed in options.seeds:
        returns = dict(direct)
        for name, place in (("true", world), ("fitted", found.world), ("start", log.world)):
            planner = rollout_planner(options.quick)
            planner.learn(place, total_opportunities=options.opportunities, seed=seed)
            returns[name] = twins.rollout(planner).returns
        rows.append(
            {
                "truth": number,
                "seed": seed,
                "verdict": found.verdict.splitlines()[0],
                "fit_cpu": found.cpu_seconds,
                "largest_error": largest_error(found, world),
                "best_fixed": mean_interval(best),
                "gains": {name: mean_interval(returns[name] - best) for name in ARMS},
                "gained_back": mean_interval(returns["fitted"] - returns["start"]),
                "to_gain": mean_interval(returns["true"] - returns["start"]),
            }
        )
    return rows


def largest_error(found: sf.Fit, world: sf.World) -> float:
    """Return the largest error of the logs of the fitted parameters, goodwill's left out."""
    space = ParameterSpace(found.base)
    told = [not parameter.is_goodwill for parameter in space.parameters]
    return float(np.abs(found.theta - space.theta(world))[told].max())


def recovered(rows: list[Row], part: str, whole: str) -> str:
    """Return the pooled share of a gain, with the interval over rows by the jackknife."""
    pairs = np.array([[row[part][0], row[whole][0]] for row in rows])
    share = pairs[:, 0].sum() / pairs[:, 1].sum()
    if len(pairs) < 2:
        return f"{share:.2f}"
    rest = pairs.sum(axis=0) - pairs
    left_out = rest[:, 0] / rest[:, 1]
    spread = np.sqrt((len(pairs) - 1) * ((left_out - left_out.mean()) ** 2).mean())
    return f"{share:.2f} ± {1.96 * spread:.2f}"


def tables(results: Results) -> str:
    """Return the gains of all planners in truth, and the shares that the fit recovers."""
    rows = [
        row | {"lead": row["gains"]["fitted"], "true_lead": row["gains"]["true"]}
        for row in results["rows"]
    ]
    shown = [{"truth": r["truth"], "seed": r["seed"], "g": r["gains"]} for r in rows]
    header = "truth | seed | " + " | ".join(ARMS)
    cells = "{truth} | {seed} | " + " | ".join(f"{{g[{name}]:+.2i}}" for name in ARMS)
    return fmt.paragraphs(
        f"`{results['command']}` wrote these tables. A gain is the mean discounted return of the "
        "planner's plans over the best fixed plan's, with the default executor, on the evaluation "
        "members of the true world; 95 % intervals, paired over members.",
        fmt.table_of(header, cells, shown),
        "The fitted world recovers "
        f"{recovered(rows, 'gained_back', 'to_gain')} of what the true world's planner has over "
        f"the start's, and {recovered(rows, 'lead', 'true_lead')} of its lead over the best fixed "
        "plan, pooled over true worlds and training seeds (intervals by the jackknife over rows).",
        fmt.table_of(
            "truth | verdict of the fit | CPU-seconds of the fit | largest log error",
            "{truth} | {verdict} | {fit_cpu:.0f} | {largest_error:.2f}",
            [row for row in rows if row["seed"] == rows[0]["seed"]],
        ),
        fmt.table_of(
            "planner | is",
            "{name} | {what}",
            [{"name": name, "what": what} for name, what in ARMS.items()],
        ),
    )


FLAGS = {
    "truths": Flag([0, 1, 2], quick=1, selects=True),
    "seeds": Flag([0, 1, 2], quick=1),
}
SIZES = {
    "protocol": (sf.EvaluationProtocol(), sf.EvaluationProtocol(16, 4, 2, streams=(0,))),
    "opportunities": (300_000_000, 100_000),
    "members": (10_000, 400),
    "log_weeks": (52, 10),
    "fit": ({}, {"coarse_members": 400, "members": 400, "derivative_members": 400}),
    "window": (4, 2),
    "fixed_members": (2048, 16),
    "fixed_weeks": (104, 4),
}
STUDY = Study(__file__, measure, tables, flags=FLAGS, sizes=SIZES)

if __name__ == "__main__":
    STUDY.run()
