"""What does an old plan cost, and what does an outage?

python experiments/stale_plans/run.py [--quick]
"""

from pathlib import Path

from tqdm import tqdm

import slowfast_rl as sf
from slowfast_rl.evaluation import figures
from slowfast_rl.evaluation import formatting as fmt
from slowfast_rl.evaluation.statistics import mean_interval
from slowfast_rl.evaluation.studies import Options, Results, Study, default_agent, rollout_planner
from slowfast_rl.evaluation.twins import Twins
from slowfast_rl.slow import FixedPlanner

WORLD, SEED = "pronounced", 0
BEGINS = 26  # scored week in which the outage begins
CASES = {  # weeks from one planning to the next; weeks without a planner
    "every": (2, 3, 4, 5, 8, 13, 26),
    "outages": (1, 2, 4, 5, 8, 13, 26),
}


def is_up(kind, number):
    """Return the function of the scored week that says whether the planner is up."""
    if kind == "every":
        return lambda week: week % number == 0
    return lambda week: not BEGINS <= week < BEGINS + number


def measure(options: Options) -> Results:
    """Return what is lost against a planner that is always up, and the share of its gain kept."""
    twins = Twins(sf.load_world(WORLD), options.protocol)
    agent = default_agent(rollout_planner(options.quick))
    agent.learn(twins.world, total_opportunities=options.opportunities, seed=SEED)
    always = twins.rollout(agent.slow, agent.fast)
    safe = twins.rollout(FixedPlanner(twins.world, twins.world.safe_plan), agent.fast)
    gain = float((always.returns - safe.returns).mean())
    rows = {kind: [] for kind in CASES}
    cases = [(kind, weeks) for kind in CASES for weeks in CASES[kind]]
    for kind, weeks in tqdm(cases[:2] if options.quick else cases, unit="case"):
        rollout = twins.rollout(agent.slow, agent.fast, planned=is_up(kind, weeks))
        lost = mean_interval(rollout.returns - always.returns)
        fallbacks = rollout.fallbacks / float(rollout.weekly["alive"].sum())
        kept = 1 + lost.mean / gain
        row = {"weeks": weeks, "lost": lost, "kept": kept, "fallbacks": fallbacks}
        rows[kind].append(row)
    return {
        "world": WORLD,
        "members": options.protocol.num_members,
        "lucks": len(options.protocol.streams),
        "weeks": options.protocol.weeks,
        "begins": BEGINS,
        "remembered_weeks": 4,
        "gain": gain,
        **rows,
    }


def tables(results: Results) -> str:
    """Return two tables: the plans' age, and the length of an outage."""
    texts = [
        f"`{results['command']}` wrote these tables: world `{results['world']}`, "
        f"{results['members']:,} members that no training sees, {results['lucks']} lucks, "
        f"{results['weeks']} weeks; 95 % intervals, paired over members. A planner that is always "
        f"up gains {results['gain']:.2f} discounted viewing days over the safe plan."
    ]
    for kind, name, title in (
        ("every", "planner is up every so many weeks", "A planner that is up now and then"),
        ("outages", "weeks without a planner", "One outage, from scored week {begins} on"),
    ):
        header = f"{name} | return lost | of the gain kept | member-weeks on a fallback"
        row = "{weeks} | {lost:+.2i} | {kept:.0%} | {fallbacks:.0%}"
        texts += [f"{title.format(**results)}:", fmt.table_of(header, row, results[kind])]
    return fmt.paragraphs(*texts)


def draw(results: Results, path: Path) -> None:
    """Draw the return lost by plan age and by outage length."""
    with figures.panels(path, 1, 2, (8, 3), sharey=True) as axes:
        for ax, kind, name in zip(
            axes[0],
            ("every", "outages"),
            ("weeks from one planning to the next", "weeks without a planner"),
            strict=True,
        ):
            weeks = [row["weeks"] for row in results[kind]]
            figures.intervals(ax, weeks, [row["lost"] for row in results[kind]], fmt="o-")
            figures.zero(ax)
            last = results["remembered_weeks"] + (kind == "every")
            figures.zero(
                ax, True, last, linestyle=":", linewidth=1.2, label="after it the safe plan serves"
            )
            ax.set_xlabel(name)
        axes[0, 1].legend()
        axes[0, 0].set_ylabel("return minus that of always up")


SIZES = {
    "protocol": (sf.EvaluationProtocol(weeks=78), sf.EvaluationProtocol(64, 30, streams=(0,))),
    "opportunities": (100_000_000, 100_000),  # of the planner's training: a third of the default's
}
STUDY = Study(__file__, measure, tables, draw, sizes=SIZES)

if __name__ == "__main__":
    STUDY.run()
