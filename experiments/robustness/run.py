"""Trained agents in other worlds than their own, and agents retrained where the answer is known.

python experiments/robustness/run.py [--parts shifted limits apart] [--seeds 0 1 2] [--quick]

What was measured is kept in runs/robustness: a run that was stopped resumes where it was, and
several may share the work.
"""

from functools import cache, partial

from limits import measure_limit

import slowfast_rl as sf
from slowfast_rl.evaluation import formatting as fmt
from slowfast_rl.evaluation import studies
from slowfast_rl.evaluation.contestants import trained_contestant
from slowfast_rl.evaluation.statistics import mean_interval
from slowfast_rl.evaluation.studies import Flag, Options, Results, Study
from slowfast_rl.evaluation.twins import Twins
from slowfast_rl.evaluation.world.findings import changed
from slowfast_rl.evaluation.world.sweeps import CHECK_POPULATION

HOME = "pronounced"  # where agents are trained
SCORED = (0, 1)  # lucks; two resolve these differences, four would take twice the time
SCALED = {
    "as trained": {},
    "fatigue half-life × ½": {"fatigue.decay_days": 0.5},
    "fatigue half-life × 2": {"fatigue.decay_days": 2.0},
    "responsiveness × ½": {"traits.responsiveness": 0.5},
    "responsiveness × 2": {"traits.responsiveness": 2.0},
    "message cost × 3": {"reward.message_cost": 3.0},
    "opt-out hazard × 4": {"opt_out.hazard": 4.0},
    "another population": {},
}
LIMITS = ("costly", "null", "no_fatigue", "homogeneous", "two_type")
TIE, TIE_SEED = "responsiveness × 2", 2  # taken apart: which part is wrong in the other world?
PARTS = ["shifted", "limits", "apart"]


def measure(options: Options) -> Results:
    """Return rows of shifted worlds, of limit worlds, and of the tie taken apart."""

    @cache
    def twins(case):
        """Return the burned-in members of a shifted world, shared by all seeds."""
        members, weeks = options.shifted
        seed = CHECK_POPULATION if case == "another population" else 1_000_000
        protocol = sf.EvaluationProtocol(members, weeks, 8, seed, seed, SCORED)
        return Twins(changed(sf.load_world(HOME), SCALED[case], scaled=True), protocol)

    names = LIMITS[:2] if options.quick else LIMITS
    jobs = {
        "shifted": {f"shifted-{s}": partial(shifted, s, twins, options) for s in options.seeds},
        "limits": {
            f"limits-{name}-{seed}": partial(measure_limit, name, seed, options)
            for seed in options.seeds
            for name in names
        },
        "apart": {"apart": partial(apart, twins, options)},
    }
    for part in options.parts:
        studies.run_missing(jobs[part], options.kept)
    order, rows = list(SCALED).index, {}
    for part, place in {
        "shifted": lambda row: (order(row["world"]), row["seed"]),
        "limits": lambda row: (row["world"], row["seed"]),
    }.items():
        before = options.before.get(part, [])
        rows[part] = studies.merge_rows(before, studies.kept_rows(options.kept, f"{part}-*"), place)
    again = studies.kept_rows(options.kept, "apart")
    return {"apart": again or options.before.get("apart", []), **rows}


def trained(world, seed, options):
    """Return the default agent and the threshold, trained in a world."""
    agent = studies.default_agent(studies.rollout_planner(options.quick))
    agent.learn(world, total_opportunities=options.opportunities, seed=seed)
    return agent, sf.ThresholdAgent(**options.log).learn(world, seed=seed)


def shifted(seed, twins, options):
    """Return what an untouched agent brings in each world, against the threshold tuned at home."""
    agent, threshold = trained(sf.load_world(HOME), seed, options)
    rows = []
    for case in SCALED:
        there = twins(case)
        ours = trained_contestant(agent, there.world)
        theirs = trained_contestant(threshold, there.world)
        own, other = (there.rollout(c.planner, c.executor) for c in (ours, theirs))
        rows.append({
            "world": case,
            "seed": seed,
            "return": mean_interval(own.returns),
            "threshold": mean_interval(other.returns),
            "lead": mean_interval(own.returns - other.returns),
            "sends": own.sends_per_week.sum(),
            "threshold_sends": other.sends_per_week.sum(),
        })  # fmt: skip
    return rows


def apart(twins, options):
    """Return what each part of the agent brings once it is trained in the world it acts in."""
    home, twins = sf.load_world(HOME), twins(TIE)
    (own, threshold), (other, retuned) = (
        trained(world, TIE_SEED, options) for world in (home, twins.world)
    )
    price = sf.fast.BidPricePacer().learn(home, threshold.ranker, seed=TIE_SEED)
    effect = sf.fast.PacedExecutor(price, threshold.ranker)
    base, again = (trained_contestant(agent, twins.world) for agent in (threshold, retuned))
    cases = {
        "the untouched threshold": (base.planner, base.executor),
        "the untouched agent": (own.slow, own.fast),
        "its plans, default executor": (own.slow, None),
        "its plans, the threshold's ranker with a bid price": (own.slow, effect),
        "its plans, executor retrained there": (own.slow, other.fast),
        "planner retrained there, its executor": (other.slow, own.fast),
        "both retrained there": (other.slow, other.fast),
        "the threshold retuned there": (again.planner, again.executor),
    }
    rollouts = {name: twins.rollout(*levels) for name, levels in cases.items()}
    return [
        {
            "case": name,
            "return": mean_interval(rollout.returns),
            "lead": mean_interval(rollout.returns - rollouts["the untouched threshold"].returns),
            "sends": rollout.sends_per_week.sum(),
            "world": TIE,
            "seed": TIE_SEED,
        }
        for name, rollout in rollouts.items()
    ]


def tables(results: Results) -> str:
    """Return the table of shifted worlds, that of limit worlds, and the tie taken apart."""
    texts = [
        f"`{results['command']}` wrote these tables; 95 % intervals, paired over members.",
        fmt.table_of(
            "world | seed | slowfast | threshold | lead | sends a week, of the threshold",
            "{world} | {seed} | {return[0]:.2f} | {threshold[0]:.2f} | {lead:.2i} | {sends:.1f}, "
            "{threshold_sends:.1f}",
            results["shifted"],
        ),
        fmt.table_of(
            "limit world | seed | return | sends a week | what is known there",
            "`{world}` | {seed} | {return:.2i} | {sends:.3f} | {known}",
            [row | {"known": _known(row)} for row in results["limits"]],
        ),
    ]
    for row in results["apart"][:1]:
        title = "World `{world}`, seed {seed}, taken apart; leads over the untouched threshold:"
        header = "who acts | return | lead | sends a week"
        cells = "{case} | {return[0]:.2f} | {lead:.2i} | {sends:.1f}"
        texts += [title.format(**row), fmt.table_of(header, cells, results["apart"])]
    return fmt.paragraphs(*texts)


def _plain(v):
    return fmt.number(v, signed=False)


def _known(row):
    """Return how a row compares with its world's answer."""
    if "share_of_always" in row:
        return f"{100 * row['share_of_always']:.2f} % of the return of always sending"
    if "planner_over_fixed" in row:
        return f"plans over the best fixed plan {_plain(row['planner_over_fixed'])}"
    if "ratio" in row:
        both = "{:.2f} and {:.2f} sends a week".format(*row["sends_by_type"])
        return f"{both}: ratio {_plain(row['ratio'])}, difference {_plain(row['difference'])}"
    return "never sending is best"


FLAGS = {
    "parts": Flag(PARTS, choices=PARTS, selects=True),
    "seeds": Flag([0, 1, 2], quick=1, selects=True),
}
SIZES = {
    "shifted": ((2048, 104), (64, 8)),  # members and weeks in the shifted worlds
    "limits": (sf.EvaluationProtocol(1024, streams=SCORED), sf.EvaluationProtocol(64, 16)),
    "opportunities": (300_000_000, 100_000),  # of the agents at home and in shifted worlds
    "limit_opportunities": (100_000_000, 100_000),  # retrained on limit worlds
    "log": ({}, {"num_members": 64, "weeks": 4}),  # of the threshold
    "fixed": ({"num_members": 512}, {"num_members": 64, "weeks": 4}),  # the best plan for all
}
STUDY = Study(__file__, measure, tables, flags=FLAGS, sizes=SIZES)

if __name__ == "__main__":
    STUDY.run()
