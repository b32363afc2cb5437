"""What does each further turn of the default agent's levels bring?

python experiments/turns/run.py [--seeds 0 1 2] [--quick]
"""

import tempfile
from pathlib import Path

import slowfast_rl as sf
from slowfast_rl.agents.turns import seed_of_turn
from slowfast_rl.evaluation import formatting as fmt
from slowfast_rl.evaluation.statistics import mean_interval
from slowfast_rl.evaluation.studies import Flag, Options, Results, Study, rollout_planner

WORLD = "pronounced"
STEPS = {  # by name: what an agent has had more than the one before it
    "first": "executor fitted to logs under random plans, planner trained for it",
    "refit": "prices and ranker fitted again, to logs under the planner's plans",
    "replanned": "planner trained again for that executor, from where it was",
}


def measure(options: Options) -> Results:
    """Return, for each seed, the return after each turn and what the turn added."""
    world = sf.load_world(WORLD)
    agents = [a for seed in options.seeds for a in trained(world, seed, options)]
    board = sf.compare(agents, world, options.protocol)
    rows = []
    for number, agent in enumerate(agents):
        step = list(STEPS)[number % len(STEPS)]
        before = agents[number - 1] if step != "first" else None
        rollout = board.rollout(agent.name)
        gain = None
        if before is not None:
            gain = mean_interval(rollout.returns - board.rollout(before.name).returns)
        rows.append(
            {
                "step": step,
                "seed": agent.seed,
                "return": mean_interval(rollout.returns),
                "gain": gain,
                "sends": list(board.row(agent.name)["sends_per_week"].values()),
                "cpu": agent.train_cpu_seconds,
            }
        )
    return {"rows": rows, "opportunities": options.opportunities}


def trained(world: sf.World, seed: int, options: Options) -> list[sf.SlowFastAgent]:
    """Return the agent after its first two turns, and copies after a third and a fourth one."""
    planner = rollout_planner(options.quick)
    first = sf.SlowFastAgent(planner, executor(options), plans_for="own")
    first.learn(world, total_opportunities=options.opportunities, seed=seed)
    later = seed_of_turn(seed, 1)  # other members and luck, as in the turns of an agent
    refit = copy_of(first)
    refit.fast.learn(world, planner=refit.slow, seed=later)
    again = copy_of(refit)
    budget = {"total_opportunities": options.opportunities}
    again.slow.learn(world, again.fast, seed=later, warm_start=True, **budget)
    again.train_cpu_seconds += again.slow.cpu_seconds
    agents = [first, refit, again]
    for agent, step in zip(agents, STEPS, strict=True):
        agent.name = f"{step},seed={seed}"
    return agents


def executor(options: Options) -> sf.fast.PacedExecutor:
    """Return the default executor, not trained yet."""
    pacer = sf.fast.BidPricePacer(**options.pacer)
    return sf.fast.PacedExecutor(pacer, sf.fast.AffinityRanker(**options.ranker))


def copy_of(agent: sf.SlowFastAgent) -> sf.SlowFastAgent:
    """Return the agent as a file keeps it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "agent.zip"
        agent.save(path)
        return sf.SlowFastAgent.load(path)


def tables(results: Results) -> str:
    """Return a table of the turns, and what each of them is."""
    rows = results["rows"]
    return fmt.paragraphs(
        f"`{results['command']}` wrote this table: world `{WORLD}`, evaluation members that no "
        f"training sees, {results['opportunities'] // 10**6} million opportunities in each turn of "
        "the planner; 95 % intervals, paired over members. Returns are in discounted viewing days; "
        "a gain is over the row before; CPU-seconds are of all turns so far but those of a refit.",
        fmt.table_of(
            "after | seed | return | gain | sends a week | CPU-seconds",
            "{step} | {seed} | {return[0]:.2f} | {gain:+.2i} | {sends:.1f+} | {cpu:.0f}",
            rows,
        ),
        fmt.table_of(
            "after | what the agent has had",
            "{step} | {what}",
            [{"step": step, "what": what} for step, what in STEPS.items()],
        ),
    )


FLAGS = {"seeds": Flag([0, 1, 2], quick=1)}
SIZES = {
    "protocol": (sf.EvaluationProtocol(), sf.EvaluationProtocol(16, 4, 2, streams=(0,))),
    "opportunities": (300_000_000, 100_000),
    "pacer": ({}, {"num_members": 32, "weeks": 6, "burn_in": 2}),
    "ranker": ({}, {"num_members": 32, "weeks": 6}),
}
STUDY = Study(__file__, measure, tables, flags=FLAGS, sizes=SIZES)

if __name__ == "__main__":
    STUDY.run()
