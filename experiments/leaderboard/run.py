"""Train every agent on several seeds, evaluate all on the same members and luck, write the tables.

python experiments/leaderboard/run.py [--worlds pronounced no_dismissals calibrated] [--seeds 0 1 2]
    [--agents slowfast ppo ...] [--quick]

What was measured is kept in runs/leaderboard, one file per world, agent and seed: a run that was
stopped resumes where it was, and several may share the work.
"""

from functools import cache, partial

import numpy as np
from agents import AGENTS

import slowfast_rl as sf
from slowfast_rl.evaluation import formatting as fmt
from slowfast_rl.evaluation.references import gap_closed, load_references
from slowfast_rl.evaluation.statistics import mean_interval
from slowfast_rl.evaluation.studies import Flag, Options, Results, Study, merge_rows, run_missing
from slowfast_rl.evaluation.twins import Twins

FIRST, EXECUTOR = "slowfast", "own_over_default_executor"
ABLATED = {  # agents of worlds but the first
    "no_dismissals": ("slowfast", "plain_rollouts", "best_fixed"),
    "calibrated": ("slowfast", "best_fixed", "never"),
}


def measure(options: Options) -> Results:
    """Train and evaluate what is missing, and return every agent's numbers by world."""
    twins = cache(lambda world: Twins(sf.load_world(world), options.protocol))
    known = {w: load_references(sf.load_world(w), options.protocol) for w in options.worlds}
    jobs = {
        f"{world}-{agent}-{seed}": partial(train, world, agent, seed, twins, options.quick)
        for world in options.worlds
        for seed in options.seeds
        for agent in options.agents
        if seed in options.seeds[: AGENTS[agent].seeds] and agent in ABLATED.get(world, AGENTS)
    }
    run_missing(jobs, options.kept, ".npz")
    order, worlds = list(AGENTS).index, dict(options.before.get("worlds", {}))
    for world in options.worlds:
        rows = fmt.as_json(summary(options.kept, world, known[world]))
        worlds[world] = merge_rows(
            worlds.get(world, []), rows, lambda row: (order(row["agent"]), row["seed"])
        )
    return {"worlds": worlds}


def train(world, agent, seed, twins, quick):
    """Return what an agent brought: returns [N] with its own and with the default executor."""
    entrant, twins = AGENTS[agent].make(world, seed, quick), twins(world)
    own = default = twins.rollout(entrant.planner, entrant.executor)
    if entrant.executor is not None and not entrant.single:
        default = twins.rollout(entrant.planner)
    return {
        "own": own.returns,
        "default": default.returns,
        "sends": own.sends_per_week,
        "churn": own.weekly["churned"].sum() / own.weekly["alive"].sum(),
        "cpu_seconds": entrant.train_cpu_seconds,
        "opportunities": entrant.train_opportunities,
    }


def summary(kept, world, known):
    """Yield a row for each agent and seed; differences are the first agent's lead, by seed."""
    runs = {}
    for path in sorted(kept.glob(f"{world}-*.npz")):
        _, agent, seed = path.stem.rsplit("-", 2)
        if agent in AGENTS:
            with np.load(path) as file:
                runs[agent, int(seed)] = dict(file)
    for (agent, seed), run in runs.items():
        own, default = run["own"], run["default"]
        row = {"agent": agent, "seed": seed, "return": mean_interval(own)}
        row |= {name: run[name] for name in ("sends", "churn", "cpu_seconds", "opportunities")}
        row["gap_closed"] = gap_closed(default, known)
        if known is not None:
            row["over_best_fixed"] = mean_interval(own - known.best_fixed)
        row[EXECUTOR] = mean_interval(own - default)
        firsts = [
            first
            for (name, other), first in runs.items()
            if name == FIRST and (AGENTS[agent].seeds is not None or other == seed)
        ]
        row["lead"] = [mean_interval(first["own"] - own) for first in firsts]
        # The same of plans alone, run by the default executor.
        row["planner_lead"] = [mean_interval(first["default"] - default) for first in firsts]
        yield row


def tables(results: Results) -> str:
    """Return a table for each world."""
    header = (
        "agent | seed | return | gap closed | slowfast's lead | its executor's lead over the "
        "default one | sends a week | CPU-s | million opportunities"
    )
    cells = (
        "{agent} | {seed} | {return:.2i} | {gap_closed:.3i} | {lead:.2i;} | "
        "{own_over_default_executor:.2i} | {sends:.1f+} | {cpu_seconds:.0f} | {opportunities:.0f}"
    )
    texts = [f"`{results['command']}` wrote these tables."]
    for world, rows in results["worlds"].items():
        means = [
            f"- `{agent}`: mean gap closed {np.mean(gaps):.3f} over {len(gaps)} seeds"
            for agent, gaps in ((agent, _gaps(seeds)) for agent, seeds in by_agent(rows).items())
            if len(gaps) > 1
        ]
        shown = [
            row
            | {"seed": None if AGENTS[row["agent"]].seeds else row["seed"]}
            | {"lead": None if row["agent"] == FIRST else row["lead"]}
            | {EXECUTOR: None if row[EXECUTOR] == [0, 0, 0] else row[EXECUTOR]}
            | {"opportunities": row["opportunities"] / 1e6}
            for row in rows
        ]
        table = fmt.table_of(header, cells, shown)
        texts += [f"### `{world}`", table, "\n".join(means)]
    return fmt.paragraphs(*texts)


def by_agent(rows):
    """Return each agent's rows, one a seed."""
    names = dict.fromkeys(row["agent"] for row in rows)
    return {name: [row for row in rows if row["agent"] == name] for name in names}


def _gaps(rows):
    return [row["gap_closed"][0] for row in rows if row["gap_closed"]]


def headline(results: Results, world: str = "pronounced") -> str:
    """Return one line for each agent of a world, seeds side by side, as Markdown."""
    agents = [
        {
            "agent": f"`{agent}`: {AGENTS[agent].what}",
            "order": np.mean([row["return"][0] for row in rows]),
            "returns": [row["return"][0] for row in rows],
            "gaps": _gaps(rows),
            "leads": None if agent == FIRST else [v for row in rows for v in row["lead"]],
            "seconds": [row["cpu_seconds"] for row in rows],
        }
        for agent, rows in by_agent(results["worlds"][world]).items()
    ]
    return fmt.paragraphs(
        f"`{results['command']}`, world `{world}`: 2,048 members that training never sees, 4 "
        "lucks, 104 weeks; a number for each training seed, 95 % intervals paired over members.",
        fmt.table_of(
            "agent | return | gap closed | lead of `slowfast` | training CPU-seconds",
            "{agent} | {returns:.2f/} | {gaps:.3f/} | {leads:.2i;} | {seconds:.0f/}",
            sorted(agents, key=lambda row: -row["order"]),
        ),
    )


FLAGS = {
    "worlds": Flag(["pronounced", *ABLATED], selects=True),
    "seeds": Flag([0, 1, 2], quick=1, selects=True),
    "agents": Flag(list(AGENTS), choices=list(AGENTS), selects=True),
}
SIZES = {"protocol": (sf.EvaluationProtocol(), sf.EvaluationProtocol(num_members=64, weeks=8))}
STUDY = Study(__file__, measure, tables, flags=FLAGS, sizes=SIZES, headline=headline)

if __name__ == "__main__":
    STUDY.run()
