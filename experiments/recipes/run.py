"""Which parts of the recipe make the slow level learn?

python experiments/recipes/run.py [--seeds 0 1 2] [--recipes default ...] [--quick]

What was measured is kept in runs/recipes: a run that was stopped resumes where it was, and several
may share the work.
"""

from functools import cache, partial
from time import process_time

from student import StudentPlanner

import slowfast_rl as sf
from slowfast_rl.evaluation import formatting as fmt
from slowfast_rl.evaluation.references import gap_closed, load_references
from slowfast_rl.evaluation.statistics import mean_interval
from slowfast_rl.evaluation.studies import (
    Flag,
    Options,
    Results,
    Study,
    measured_rows,
    rollout_planner,
)
from slowfast_rl.evaluation.twins import Twins

WORLD = "pronounced"
PLAIN = {"beliefs": False}
RECIPES = {  # what it is, settings of the planner, iterations (None: 300 million opportunities)
    "default": ("the default: beliefs, 300 million opportunities", {}, None),
    "beliefs_6": ("beliefs, 6 iterations", {}, 6),
    "beliefs_3": ("beliefs, 3 iterations", {}, 3),
    "plain_6": ("without beliefs, 6 iterations", PLAIN, 6),
    "plain_3": ("without beliefs, 3 iterations", PLAIN, 3),
    "plain_1": ("without beliefs, 1 iteration", PLAIN, 1),
    "plain_40": (
        "without beliefs, 6 iterations, rollouts to week 40", PLAIN | {"horizon": 40}, 6,
    ),
    "latents_3": ("the teacher: all latents, 3 iterations", PLAIN | {"privileged": True}, 3),
    "student": ("its student: beliefs, 3 rounds of DAgger", {"residual": False}, None),
    "student_residual": (
        "the student and one iteration of rollouts to week 80", {"residual": True}, None,
    ),
}  # fmt: skip


def measure(options: Options) -> Results:
    """Return a row for every recipe and seed."""
    twins = cache(lambda: Twins(sf.load_world(WORLD), options.protocol))
    names = ["plain_1", "student_residual"] if options.quick else options.recipes
    jobs = {
        f"{name}-{seed}": partial(train, name, seed, twins, options.quick)
        for seed in options.seeds
        for name in names
    }
    order = list(RECIPES).index
    rows = measured_rows(options, jobs, lambda row: (order(row["recipe"]), row["seed"]))
    return {"world": WORLD, "rows": rows}


def train(name, seed, twins, quick):
    """Train by a recipe and return what the plans bring, run by the default executor."""
    twins, settings, start = twins(), RECIPES[name][1], process_time()
    make = StudentPlanner if "residual" in settings else rollout_planner
    planner = make(quick=quick, **settings)
    played = opportunities(RECIPES[name][2], planner, twins.world, quick)
    planner.learn(twins.world, total_opportunities=played, seed=seed)
    seconds, returns = process_time() - start, twins.rollout(planner).returns
    row = {
        "recipe": name,
        "seed": seed,
        "return": mean_interval(returns),
        "gap_closed": gap_closed(returns, load_references(twins.world, twins.protocol)),
        "cpu_seconds": seconds,
        "opportunities": planner.opportunities,
    }
    return [row]


def opportunities(iterations, planner, world, quick):
    """Return opportunities after which the last iteration has begun and none follows."""
    if quick or iterations is None:
        return 100_000 if quick else 300_000_000
    s = planner.settings
    later = s["weeks_between"] + s["branches"] * s["horizon"]
    weeks = s["ages"] + s["branches"] * s["horizon"] + (iterations - 1) * later - later / 2
    return int(s["states"] * world.slots_per_week * weeks)


def tables(results: Results) -> str:
    """Return one row for each recipe, seeds side by side."""
    cells = []
    for name, (what, *_) in RECIPES.items():
        rows = [row for row in results["rows"] if row["recipe"] == name]
        gaps = [row["gap_closed"] for row in rows if row["gap_closed"] is not None]
        if rows:
            cells.append([
                what,
                "; ".join(fmt.number(gap, 3, signed=False) for gap in gaps) or fmt.NOTHING,
                f"{sum(gap[0] for gap in gaps) / len(gaps):.3f}" if gaps else fmt.NOTHING,
                ", ".join(f"{row['cpu_seconds']:.0f}" for row in rows),
                f"{rows[0]['opportunities'] / 1e6:.0f}",
            ])  # fmt: skip
    header = ["recipe", "gap closed, by training seed", "mean"]
    return fmt.paragraphs(
        f"`{results['command']}` wrote this table: world `{results['world']}`, plans run by the "
        "default executor; 95 % intervals over members.",
        fmt.table([*header, "CPU-seconds", "million opportunities"], cells),
    )


FLAGS = {
    "seeds": Flag([0, 1, 2], quick=1, selects=True),
    "recipes": Flag(list(RECIPES), choices=list(RECIPES), selects=True),
}
SIZES = {"protocol": (sf.EvaluationProtocol(), sf.EvaluationProtocol(64, 8))}
STUDY = Study(__file__, measure, tables, flags=FLAGS, sizes=SIZES)

if __name__ == "__main__":
    STUDY.run()
