"""How good is a planner that has only a log: by a fitted world, or from the log directly?

python experiments/from_logs/run.py [--truths 0 1 2] [--seeds 0 1 2] [--quick]
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from cases import BASE, CASES, MAIN, Case, log_of, rule_of

import slowfast_rl as sf
from slowfast_rl.agents import SlowFastAgent
from slowfast_rl.evaluation import Twins, mean_interval
from slowfast_rl.evaluation import formatting as fmt
from slowfast_rl.evaluation.studies import (
    Flag,
    Options,
    Results,
    Row,
    Study,
    kept_rows,
    merge_rows,
    rollout_planner,
    run_missing,
)
from slowfast_rl.fitting.parameters import ParameterSpace
from slowfast_rl.slow import BasePlanner, CQLPlanner, FixedPlanner, SegmentsPlanner, UtilityPlanner

FIXED_SEED = 78  # of the members that choose the best fixed plan
TRAINED = {
    "true": "planner trained in the true world",
    "fitted": "planner trained in the world fitted to the log",
    "start": "planner trained in the world that the fit began with",
}
LISTED = (  # parameters that plans depend on most, whose log errors should be below .1
    "traits.responsiveness", "traits.fatigue_sensitivity_spread", "traits.base_rate_location",
    "response.fatigue_decay", "fatigue.decay_days", "dismissal.rate",
)  # fmt: skip
LEARNED = {
    "utility": "utility planner, effects in windows of 4 weeks in which a plan was held",
    "utility 8": "the same, windows of 8 weeks",
    "segments": "best plan of each of three segments",
    "best arm": "best fixed plan",
    "cql": "conservative Q-learning on weekly plans (extra `offline_rl`)",
}
LEARNERS = {
    "utility": lambda quick: UtilityPlanner(window=2 if quick else 4),
    "utility 8": lambda quick: UtilityPlanner(window=3 if quick else 8),
    "segments": lambda quick: SegmentsPlanner(window=2 if quick else 4),
    "best arm": lambda quick: SegmentsPlanner(segments=1, window=2 if quick else 4),
    "cql": lambda quick: CQLPlanner(gradient_steps=100 if quick else 10_000),
}


def measure(options: Options) -> Results:
    """Return the rows of all true worlds: what planners gain in truth, trained or learned."""
    jobs = {
        f"trained-{n}": partial(trained, MAIN, n, options.seeds, options) for n in options.truths
    }
    jobs |= {
        f"{learner}-{n}".replace(" ", "-"): partial(learned, learner, n, options)
        for learner in options.learners
        for n in options.truths
    }
    jobs |= {
        f"case-{name}-{n}".replace(" ", "-"): partial(of_case, name, n, options)
        for name in options.cases
        for n in options.case_truths
    }
    jobs |= {f"fit-{n}": partial(fit_of, n, options) for n in options.fits}
    run_missing(jobs, options.kept)
    found: Results = {"rows": [], "learned": [], "cases": [], "fits": []}
    for row in kept_rows(options.kept):
        kinds = {"case": "cases", "learner": "learned", "parameters": "fits"}
        found[next((kinds[key] for key in kinds if key in row), "rows")].append(row)
    return {
        name: merge_rows(options.before.get(name, []), found[name], key)
        for name, key in KEYS.items()
    }


KEYS = {
    "rows": lambda row: (row["truth"], row["seed"]),
    "learned": lambda row: (list(LEARNED).index(row["learner"]), row["truth"]),
    "cases": lambda row: (list(CASES).index(row["case"]), row["truth"], row["seed"]),
    "fits": lambda row: row["truth"],
}


def trained(case: Case, number: int, seeds: list[int], options: Options) -> list[Row]:
    """Return a row for each training seed in one true world."""
    world, rule = case.truth(number), rule_of(case)
    with log_of(case, number, options, rule) as log:
        found = sf.fit(
            sf.logs.weekly_table(log), log.world, planner=rule, seed=number, **options.fit
        )
    twins = Twins(world, options.protocol)
    best = best_fixed(twins, options)
    places = {"true": world, "fitted": found.world, "start": sf.load_world(BASE)}
    rows = []
    for seed in seeds:
        returns = {
            name: twins.rollout(planner_of(name, place, number, seed, case, options)).returns
            for name, place in places.items()
        }
        rows.append(
            {
                "truth": number,
                "seed": seed,
                "verdict": found.verdict.splitlines()[0],
                "fit_cpu": found.cpu_seconds,
                "largest_error": largest_error(found, world),
                "best_fixed": mean_interval(best),
                "gains": {name: mean_interval(returns[name] - best) for name in TRAINED},
                "gained_back": mean_interval(returns["fitted"] - returns["start"]),
                "to_gain": mean_interval(returns["true"] - returns["start"]),
            }
        )
    return rows


def fit_of(number: int, options: Options) -> list[Row]:
    """Return a row of a fit to the main log of a true world, beside the truth."""
    world = MAIN.truth(number)
    with log_of(MAIN, number, options, None) as log:
        found = sf.fit(sf.logs.weekly_table(log), log.world, seed=number, **options.fit)
    space = ParameterSpace(found.base)
    errors, values = found.theta - space.theta(world), space.values(world)
    told = {
        p.name: {"error": float(error), "inside": bool(p.low <= value <= p.high)}
        for p, error, value in zip(found.parameters, errors, values, strict=True)
    }
    row = {"truth": number, "fit_cpu": found.cpu_seconds, "objective": found.objective}
    return [row | {"expected": found.null.mean, "spread": found.null.spread, "parameters": told}]


def of_case(name: str, number: int, options: Options) -> list[Row]:
    """Return a row for the first training seed in a case's true world."""
    case, ignored = CASES[name], ""
    if case.rule:
        with log_of(case, number, options, rule_of(case)) as log:
            found = sf.fit(sf.logs.weekly_table(log), log.world, seed=number, **options.fit)
        ignored = found.verdict.splitlines()[0]
    rows = trained(case, number, options.seeds[:1], options)
    return [{"case": name, "rule_ignored": ignored} | row for row in rows]


def learned(learner: str, number: int, options: Options) -> list[Row]:
    """Return a row of a planner that learned from the main log of a true world alone."""
    with log_of(MAIN, number, options, None) as log:
        planner = LEARNERS[learner](options.quick).learn_from_log(log)
    twins = Twins(MAIN.truth(number), options.protocol)
    gain = twins.rollout(planner).returns - best_fixed(twins, options)
    return [{"learner": learner, "truth": number, "gain": mean_interval(gain)}]


def planner_of(
    name: str, place: sf.World, number: int, seed: int, case: Case, options: Options
) -> BasePlanner:
    """Return a planner trained in a world; those that several jobs need are kept in a file."""
    shared = {"start": f"start-{seed}"}
    if case.has_drawn_truth:
        shared["true"] = f"true-{number}-{seed}"
    path = options.kept / f"{shared[name]}.zip" if name in shared else None
    if path is not None and path.is_file():
        return SlowFastAgent.load(path).slow
    planner = rollout_planner(options.quick)
    planner.learn(place, total_opportunities=options.opportunities, seed=seed)
    if path is not None:
        agent = SlowFastAgent(planner)
        agent.world = place
        agent.save(path)
    return planner


def best_fixed(twins: Twins, options: Options) -> np.ndarray:
    """Return each member's return under the best fixed plan of the true world, [N]."""
    fixed = SegmentsPlanner(
        segments=1, num_members=options.fixed_members, weeks=options.fixed_weeks
    )
    fixed.learn(twins.world, seed=FIXED_SEED)
    return twins.rollout(FixedPlanner(twins.world, fixed.wanted[0])).returns


def largest_error(found: sf.Fit, world: sf.World) -> float:
    """Return the largest error of the logs of the fitted parameters, goodwill's left out."""
    space = ParameterSpace(found.base)
    told = [not parameter.is_goodwill for parameter in space.parameters]
    return float(np.abs(found.theta - space.theta(world))[told].max())


def tables(results: Results) -> str:
    """Return the gains of all planners in truth, and the shares that the fit recovers."""
    rows = results["rows"]
    worlds = sorted({row["truth"] for row in rows})
    cells = " | ".join(f"{{gains[{name}]:+.2i}}" for name in TRAINED)
    return fmt.paragraphs(
        f"`{results['command']}` wrote these tables. A gain is the mean discounted return of the "
        "planner's plans over the best fixed plan's, with the default executor, on the evaluation "
        "members of the true world; 95 % intervals, paired over members.",
        fmt.table_of("truth | seed | true | fitted | start", "{truth} | {seed} | " + cells, rows),
        fmt.table_of("planner | is", "{name} | {text}", described(TRAINED)),
        "The fitted world recovers "
        f"{recovered(rows, 'fitted', 'true', 'start')} of what the true world's planner has over "
        f"the start's, and {recovered(rows, 'fitted', 'true')} of its lead over the best fixed "
        "plan, pooled over true worlds and training seeds (intervals by the jackknife over true "
        "worlds).",
        fmt.table_of(
            "truth | verdict of the fit | CPU-seconds of the fit | largest log error",
            "{truth} | {verdict} | {fit_cpu:.0f} | {largest_error:.2f}",
            [row for row in rows if row["seed"] == rows[0]["seed"]],
        ),
        "Planners that learned from the log alone, without any simulation; gains over the best "
        "fixed plan of the true world:",
        fmt.table_of(
            "learner | is | " + " | ".join(f"truth {n}" for n in worlds),
            "{learner} | {text} | " + " | ".join(f"{{gains[{n}]:+.2i}}" for n in worlds),
            [
                {"learner": name, "text": LEARNED[name], "gains": gains}
                for name in LEARNED
                if set(gains := by_truth(results["learned"], name)) >= set(worlds)
            ],
        ),
        "Other logs, training seed 0. A fit that says in its first line that the model is wrong is "
        "marked; the share is of what the true world's planner has over the start's:",
        fmt.table_of(
            "log | truth | true | fitted | start | share | largest log error | says it is wrong",
            "{text} | {truth} | " + cells + " | {share:.2f} | {largest_error:.2f} | {wrong}",
            [
                row
                | {
                    "text": CASES[row["case"]].text,
                    "share": share([row], "fitted", "true", "start"),
                    "wrong": "yes" if "WRONG" in row["verdict"] else "no",
                }
                for row in results["cases"]
            ],
        ),
        *(
            f"If the fit is not told that a rule chose the plans, its first line is: "
            f"*{row['rule_ignored']}*"
            for row in results["cases"]
            if row["rule_ignored"]
        ),
        *fit_tables(results["fits"]),
    )


def fit_tables(rows: list[Row]) -> list[str]:
    """Return how near fits came to the truth, by log and by parameter."""
    if not rows:
        return []
    names = list(rows[0]["parameters"])
    by_log = [
        row
        | {
            "listed": max(abs(p["error"]) for n, p in row["parameters"].items() if listed(n)),
            "inside": sum(p["inside"] for p in row["parameters"].values()),
        }
        for row in rows
    ]
    by_name = [
        {
            "name": f"{name}{' (listed)' if listed(name) else ''}",
            "rms": np.mean([row["parameters"][name]["error"] ** 2 for row in rows]) ** 0.5,
            "largest": max(abs(row["parameters"][name]["error"]) for row in rows),
            "inside": sum(row["parameters"][name]["inside"] for row in rows),
        }
        for name in names
    ]
    inside = sum(row["inside"] for row in by_log)
    return [
        f"Fits of {len(rows)} true worlds from the base world, each with a log of its own. "
        f"{inside} of {len(rows) * len(names)} intervals of 95 % hold the true value "
        f"({inside / len(rows) / len(names):.3f}). The listed parameters are those whose log error "
        f"should be below .1; it is for all of them in {sum(r['listed'] < 0.1 for r in by_log)} of "
        f"{len(rows)} logs.",
        fmt.table_of(
            "truth | objective | a right model has | CPU-seconds | largest log error of the listed "
            f"| intervals that hold, of {len(names)}",
            "{truth} | {objective:.0f} | {expected:.0f} ± {spread:.0f} | {fit_cpu:.0f} | "
            "{listed:.3f} | {inside}",
            by_log,
        ),
        fmt.table_of(
            "parameter | root mean square log error | largest | "
            f"intervals that hold, of {len(rows)}",
            "{name} | {rms:.3f} | {largest:.3f} | {inside}",
            by_name,
        ),
    ]


def listed(name: str) -> bool:
    """Return whether a parameter is one that plans depend on most."""
    return name.startswith(LISTED)


def described(texts: Mapping[str, str]) -> list[Row]:
    """Return rows of names and texts."""
    return [{"name": name, "text": text} for name, text in texts.items()]


def by_truth(rows: list[Row], learner: str) -> dict[int, Any]:
    """Return a learner's gains by true world."""
    return {row["truth"]: row["gain"] for row in rows if row["learner"] == learner}


def share(rows: list[Row], part: str, whole: str, base: str = "") -> float:
    """Return the pooled share of a planner's lead over another one, or over the best fixed plan."""

    def lead(name: str) -> float:
        return sum(r["gains"][name][0] - (r["gains"][base][0] if base else 0) for r in rows)

    return lead(part) / lead(whole)


def recovered(rows: list[Row], *names: str) -> str:
    """Return a pooled share, with an interval by the jackknife over true worlds."""
    found, worlds = share(rows, *names), sorted({row["truth"] for row in rows})
    if len(worlds) < 2:
        return f"{found:.2f}"
    left_out = np.array([share([r for r in rows if r["truth"] != n], *names) for n in worlds])
    spread = np.sqrt((len(worlds) - 1) * ((left_out - left_out.mean()) ** 2).mean())
    return f"{found:.2f} ± {1.96 * spread:.2f}"


FLAGS = {
    "truths": Flag([0, 1, 2], quick=1, selects=True),
    "seeds": Flag([0, 1, 2], quick=1),
    "learners": Flag(list(LEARNED), quick=4, choices=LEARNED, selects=True),
    "cases": Flag(list(CASES), quick=1, choices=CASES, selects=True),
    "case_truths": Flag([0], selects=True, help="true worlds of the cases"),
    "fits": Flag(list(range(10)), quick=1, selects=True, help="true worlds that are fitted"),
}
SIZES = {
    "protocol": (sf.EvaluationProtocol(), sf.EvaluationProtocol(16, 4, 2, streams=(0,))),
    "opportunities": (300_000_000, 100_000),
    "members": (10_000, 1000),
    "log_weeks": (52, 10),
    "fit": ({}, {"coarse_members": 400, "members": 400, "derivative_members": 400}),
    "fixed_members": (2048, 16),
    "fixed_weeks": (104, 4),
}
STUDY = Study(__file__, measure, tables, flags=FLAGS, sizes=SIZES)

if __name__ == "__main__":
    STUDY.run()
