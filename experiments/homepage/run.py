"""Does planning pay for promotion slots on a homepage, with the library as it is?

python experiments/homepage/run.py [--seeds 0 1] [--quick]
"""

import slowfast_rl as sf
from slowfast_rl.evaluation import Contestant
from slowfast_rl.evaluation import formatting as fmt
from slowfast_rl.evaluation.references import compute_references
from slowfast_rl.evaluation.statistics import mean_interval
from slowfast_rl.evaluation.studies import (
    Flag,
    Options,
    Results,
    Study,
    default_agent,
    rollout_planner,
)
from slowfast_rl.slow import FixedPlanner, UtilityPlanner

WORLD = "homepage"
SPREAD = "traits.fatigue_sensitivity_spread"
OTHER_SPREADS = (0.0, 0.6)  # how much members differ in banner blindness, beside the world's own
BASELINES = ("best_fixed", "oracle", "threshold", "never", "always")


def measure(options: Options) -> Results:
    """Return a leaderboard's rows, and what a plan per member could bring at other spreads."""
    world, protocol = sf.load_world(WORLD), options.protocol
    references = compute_references(world, protocol, workers=1)
    best = FixedPlanner(world, references.best_fixed_plan)
    entrants = []
    for seed in options.seeds:
        agent = default_agent(rollout_planner(options.quick))
        agent.name = "slowfast"
        agent.learn(world, total_opportunities=options.opportunities, seed=seed)
        utility = UtilityPlanner(**options.log).learn(world, agent.fast, seed=seed)
        entrants += [
            agent,
            Contestant("best_fixed, executor of slowfast", best, agent.fast, (seed,)),
            Contestant("utility", utility, agent.fast, (seed,), utility.cpu_seconds),
        ]
    board = sf.compare([*entrants, *BASELINES], world, protocol, references=references)
    others = [sf.load_world(WORLD, {SPREAD: spread}) for spread in OTHER_SPREADS]
    cases = [compute_references(other, protocol, workers=1) for other in others] + [references]
    return {
        "board": board.to_json(),
        "opportunities": options.opportunities,
        "best_fixed_plan": references.best_fixed_plan,
        "spreads": [
            {
                "spread": spread,
                "best_fixed_plan": case.best_fixed_plan,
                "lead": mean_interval(case.oracle - case.best_fixed),
                "gap": case.gap,
            }
            for spread, case in zip(
                (*OTHER_SPREADS, world.traits.fatigue_sensitivity_spread), cases, strict=True
            )
        ],
    }


def tables(results: Results) -> str:
    """Return a leaderboard, and a table of what plans per member could bring."""
    board = results["board"]
    rows = [
        {
            "agent": row["name"].replace(",seed=", ", seed "),
            "promotions": list(row["sends_per_week"].values()),
        }
        | {name: interval(row, name) for name in ("return", "return_vs_default_fixed")}
        | {"gap": interval(row, "gap_closed"), "cpu": row["train_cpu_seconds"]}
        for row in board["agents"]
    ]
    return fmt.paragraphs(
        f"`{results['command']}` wrote these tables: world `{board['world']}`, "
        f"{board['num_members']} members that no training sees, {board['weeks']} weeks, "
        f"{results['opportunities'] // 10**6} million opportunities of training for slowfast's "
        "planner; 95 % intervals, paired over members. Returns are in discounted viewing days; "
        "promotions are hero + row, shown a week to a member who has not left.",
        fmt.table_of(
            "agent | return | over the best fixed plan | gap closed | promotions a week | "
            "CPU-seconds",
            "{agent} | {return[0]:.2f} | {return_vs_default_fixed:+.2i} | {gap:.2i} | "
            "{promotions:.1f+} | {cpu:.0f}",
            rows,
        ),
        "What the best constant plan for each member gains over the best fixed plan, if members "
        "differ less in banner blindness (standard deviation of its logarithm):",
        fmt.table_of(
            "spread | best fixed plan | gain of a plan for each member | in % of the return",
            "{spread} | {best_fixed_plan:+} | {lead:+.2i} | {gap:.1%}",
            results["spreads"],
        ),
    )


def interval(row, name):
    """Return a leaderboard's number with the ends of its interval; None where it has none."""
    return None if row[name] is None else [row[name], *row[f"{name}_ci95"]]


FLAGS = {"seeds": Flag([0, 1], quick=1)}
SIZES = {
    "protocol": (sf.EvaluationProtocol(512, 52), sf.EvaluationProtocol(16, 4, 2, streams=(0,))),
    "opportunities": (60_000_000, 100_000),  # of the planner's training
    "log": ({}, {"num_members": 1024, "weeks": 16}),  # that the utility planner learns from
}
STUDY = Study(__file__, measure, tables, flags=FLAGS, sizes=SIZES)

if __name__ == "__main__":
    STUDY.run()
