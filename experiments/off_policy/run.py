"""What does a log say of a policy that it did not follow, and is it true?

python experiments/off_policy/run.py [--logs 20] [--quick]
"""

from functools import partial

import simulate as sim
from summary import holding, summaries

import slowfast_rl as sf
from slowfast_rl.evaluation import formatting as fmt
from slowfast_rl.evaluation.studies import Flag, Options, Results, Study, kept_rows, run_missing
from slowfast_rl.ope.weekly import evaluate_weekly_plans
from slowfast_rl.slow import RandomPlanner


def measure(options: Options) -> Results:
    """Return one row for each log, policy and horizon: estimates of the lift, and its truth."""
    world = sf.load_world(sim.WORLD)
    planners, found = sim.policies(world, options.quick), sim.executors(world, options.quick)
    jobs = {}
    for seed in range(100, 100 + options.logs):
        given = world, seed, options
        jobs |= {f"held-{seed}": partial(held, planners, *given)}
        jobs |= {f"messages-{seed}": partial(messages, found, *given)}
        jobs |= {f"weekly-{seed}": partial(weekly, planners, *given)}
    run_missing(jobs, options.kept)
    return {"logs": options.logs, "rows": kept_rows(options.kept)}


def held(planners, world, seed, options):
    """Return rows about plans that are held for the horizon."""
    population = sim.start(world, options.members, seed)
    logs = sim.held_plans(population, options.horizons, seed)
    rows = []
    for name, planner in planners.items():
        truth = sim.truth(population, planner, options.horizons)
        replanned = sim.weekly_truth(population, planner, options.horizons)
        for horizon, log in logs.items():
            result = log.evaluate(world, planner, name=name)
            extra = {"held": truth[horizon].mean(), "replanned": replanned[horizon].mean()}
            caused = truth[horizon].mean() - result.logged
            rows.append(row("held", seed, horizon, result, caused) | extra)
    return rows


def messages(found, world, seed, options):
    """Return rows about messages."""
    population = sim.start(world, options.recipients, seed)
    log, views = sim.messages(population, options.weeks, seed)
    rows = []
    for name, target in sim.message_policies(world, log, found).items():
        caused = ((target - log.probabilities) * views).sum(axis=1).mean()
        result = log.evaluate(world, target, name=name)
        rows.append(row("messages", seed, 0, result, caused))
    return rows


def weekly(planners, world, seed, options):
    """Return rows about plans that are redrawn every week."""
    population = sim.start(world, options.members, seed)
    log = sim.weekly_plans(population, options.log_weeks, seed)
    horizons = options.weekly_horizons
    logged = sim.weekly_truth(population, RandomPlanner(seed), horizons)
    rows = []
    for name, planner in planners.items():
        truth = sim.weekly_truth(population, planner, horizons)
        for horizon in horizons:
            result = evaluate_weekly_plans(world, log, planner, name=name, horizon=horizon)
            caused = truth[horizon].mean() - logged[horizon].mean()
            rows.append(row("weekly", seed, horizon, result, caused))
    return rows


def row(kind, seed, horizon, result, caused):
    """Return a result beside the truth."""
    lifts = {name: list(found.lift) for name, found in result.estimates.items()}
    size = None if result.diagnostics is None else result.diagnostics.effective_size
    return {
        "kind": kind, "log": seed, "horizon": horizon, "policy": result.policy, "lifts": lifts,
        "truth": float(caused), "size": size, "warned": len(result.warnings) > 0,
    }  # fmt: skip


def tables(results: Results) -> str:
    """Return how near each method comes to the truth, and how well it ranks policies."""
    columns = (
        "bias | RMSE | of IPW's variance | coverage | pairs ranked right | of those with a gap"
    )
    cells = (
        "{bias:+.2f} | {rmse:.2f} | {variance:.2f} | {coverage:.2f} | {ranked:.2f} | {clear:.2f}"
    )
    rows = results["rows"]
    sizes = [r["size"] for r in rows if r["kind"] == "held"]
    return fmt.paragraphs(
        f"`{results['command']}` wrote these tables: {results['logs']} logs and 6 policies each, "
        "intervals of 95 % against the same members under the same luck. A pair has a gap if the "
        "truths of two policies differ by more than two standard errors of their difference.",
        "Plans that are drawn once and held, lift in discounted viewing days; the effective size "
        f"is {min(sizes):.0f} to {max(sizes):.0f} windows:",
        fmt.table_of(
            f"horizon, weeks | method | {columns}",
            "{horizon} | {method} | " + cells,
            summaries(rows, "held"),
        ),
        "Messages, lift in views per 1,000 opportunities:",
        fmt.table_of(f"method | {columns}", "{method} | " + cells, summaries(rows, "messages")),
        "Plans that are redrawn every week, lift in discounted viewing days:",
        fmt.table_of(
            "horizon, weeks | method | bias | RMSE | coverage | pairs ranked right",
            "{horizon} | {method} | {bias:+.2f} | {rmse:.2f} | {coverage:.2f} | {ranked:.2f}",
            summaries(rows, "weekly"),
        ),
        "What holding a plan hides: the lead of the policy `utility` over no sends, if it plans "
        "once and if it plans every week.",
        fmt.table_of(
            "horizon, weeks | planned once | planned every week | share that holding shows",
            "{horizon} | {once:+.2f} | {weekly:+.2f} | {share:.0%}",
            holding(rows),
        ),
    )


FLAGS = {"logs": Flag(20, quick=1)}
SIZES = {
    "members": (5000, 400),
    "recipients": (3000, 100),
    "weeks": (4, 1),
    "log_weeks": (16, 4),
    "weekly_horizons": ((1, 4, 8), (1, 4)),
    "horizons": ((1, 4, 8, 26), (1, 4)),
}
STUDY = Study(__file__, measure, tables, flags=FLAGS, sizes=SIZES)

if __name__ == "__main__":
    STUDY.run()
