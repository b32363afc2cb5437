"""Train every experiment on several seeds, and compare the agents of each seed, by the commands.

python experiments/leaderboard/run.py [--worlds pronounced no_dismissals calibrated] [--seeds 0 1 2]
    [--experiments slowfast ppo ...] [--quick]

Runs `slowfast-train experiment=<name> seed=<seed>` and `slowfast-compare checkpoints=[...]`. Their
folders are kept in runs/leaderboard. What was trained is not trained again, so that the study may
be stopped, and run again in part.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
from tqdm import tqdm

from slowfast_rl.evaluation import figures
from slowfast_rl.evaluation import formatting as fmt
from slowfast_rl.evaluation.studies import Flag, Options, Results, Study, merge_rows
from slowfast_rl.members.loading import config_folder

FIRST = "slowfast"
BASELINES = ("best_fixed", "oracle", "never", "always")
LONGER = {"flat_ppo_long": ("flat_ppo", "total_cpu_seconds=1200")}  # another budget
FROM_LOG = {  # trained on one recorded log instead of in a simulation
    "utility_from_log": ("utility", "slow.window=4"),
    "segments_from_log": ("segments", "slow.window=4"),
    "cql_from_log": ("offline_cql",),  # needs the extra offline_rl
}
LOG = ["num_members=10000", "weeks=52", "explore=0.1"]  # of a recorded log
FILES = (config_folder() / "experiment").glob("*.yaml")
# Without "tiny", which is no agent to compare, and one that is there as "cql_from_log".
EXPERIMENTS = sorted({path.stem for path in FILES} - {"tiny", "offline_cql"})
OTHER_WORLDS = {  # what is compared in worlds but the first
    "no_dismissals": ("slowfast", "plain_rollouts"),
    "calibrated": ("slowfast",),
}
QUICK = {  # settings of a quick run; of others the budget is small
    "utility": ["slow.num_members=1024", "slow.weeks=16"],
    "segments": ["slow.num_members=64", "slow.weeks=4"],
    "fixed": ["slow.num_members=64", "slow.weeks=4"],
    "threshold": ["agent.num_members=64", "agent.weeks=4"],
}
SMALL = ["num_members=64", "weeks=8"]  # of an evaluation that is not looked at
ABOUT = {  # what a table says of an agent
    "slowfast": "rollout policy iteration with beliefs; bid price, affinity",
    "slowfast_dealt": "its own plans, dealt at random among members with the same opt-ins",
    "slowfast_own": "trained to plan for its own executor",
    "plain_rollouts": "without beliefs",
    "privileged": "with all latents instead: an upper bound",
    "utility": "the published utility planner",
    "segments": "the best plan for each tercile of viewing",
    "fixed": "the best of the plans that are the same for everyone",
    "utility_from_log": "the same from a log of 10,000 members in a year, executor included",
    "segments_from_log": "the best plan for each tercile of viewing, from that log",
    "cql_from_log": "conservative Q-learning on weekly plans, from that log",
    "ppo": "PPO on weekly options",
    "fast_ppo": "PPO at every opportunity within the plans of slowfast's planner",
    "hierarchical_ppo": "PPO on both levels, in turns",
    "threshold": "uplift threshold, tuned on return",
    "flat_ppo": "PPO at every opportunity, without a planner",
    "flat_ppo_long": "the same, 20 CPU-minutes",
    "best_fixed": "the best fixed plan, default executor",
    "oracle": "the best constant plan per member, default executor",
    "never": "nothing",
    "always": "the most",
}


def measure(options: Options) -> Results:
    """Train and compare what is missing, and return every agent's numbers by world."""
    jobs = [
        (world, experiment, seed)
        for seed in options.seeds
        for world in options.worlds
        for experiment in options.experiments
        if experiment in OTHER_WORLDS.get(world, options.experiments)
        and not (options.quick and experiment == "cql_from_log")  # needs an extra
    ]
    with tqdm(jobs, unit="training") as bar:
        for job in bar:
            bar.set_postfix_str(" ".join(map(str, job)))
            train(*job, options)
    worlds = dict(options.before.get("worlds", {}))
    for world in options.worlds:
        rows = [row for seed in options.seeds for row in compared(world, seed, options)]
        worlds[world] = merge_rows(
            worlds.get(world, []), rows, lambda row: (list(ABOUT).index(row["agent"]), row["seed"])
        )
    return {"worlds": worlds}


def train(world: str, experiment: str, seed: int, options: Options) -> None:
    """Run a training that is not there yet; its own evaluation is small."""
    folder = options.kept / world / str(seed) / experiment
    if (folder / "leaderboard.json").is_file():
        return
    shutil.rmtree(folder, ignore_errors=True)
    name, *more = (LONGER | FROM_LOG).get(experiment, (experiment,))
    if options.quick:
        more = QUICK.get(name, ["total_opportunities=20000"])
    if experiment in FROM_LOG:
        more += [f"logs={recorded_log(world, seed, options)}"]
    run(
        "train", f"experiment={name}", f"world={world}", f"seed={seed}", f"name={experiment}",
        f"hydra.run.dir={folder}", *SMALL, *more,
    )  # fmt: skip


def recorded_log(world: str, seed: int, options: Options) -> Path:
    """Return the folder of the log of a seed, which is recorded if it is not there yet."""
    folder = options.kept / world / f"log-{seed}"
    log = folder / "log"
    if not (log / "log.json").is_file():
        shutil.rmtree(folder, ignore_errors=True)
        run(
            "logs", "mode=export", f"world={world}", f"seed={seed}", f"output={log}",
            f"hydra.run.dir={folder}", *(["num_members=400", "weeks=10"] if options.quick else LOG),
        )  # fmt: skip
    return log


def compared(world: str, seed: int, options: Options) -> list[dict]:
    """Return a row for each agent of a seed; the first is compared with all others."""
    trained = options.kept / world / str(seed)
    runs = sorted(p.parent for p in trained.glob("*/leaderboard.json") if p.parent.name in ABOUT)
    runs.sort(key=lambda run: run.name != FIRST)
    agents = [*BASELINES[2 * options.quick :]]  # no references come with a quick run's case
    rows = leaderboard(world, f"compared-{seed}", runs, agents, "controls=false", options)
    rows += leaderboard(world, f"dealt-{seed}", runs[:1], [], "controls=true", options)[1:]
    return [row_of(row, seed) for row in rows]


def leaderboard(
    world: str, name: str, runs: list[Path], agents: list[str], controls: str, options: Options
) -> list[dict]:
    """Return the rows of a comparison, which is run if it is not there yet."""
    folder = options.kept / world / name
    board = folder / "leaderboard.json"
    if not board.is_file() or _checkpoints(board) != {str(run) for run in runs}:
        shutil.rmtree(folder, ignore_errors=True)
        run(
            "compare", f"world={world}", f"checkpoints=[{','.join(map(str, runs))}]", controls,
            f"agents=[{','.join(agents)}]", f"hydra.run.dir={folder}",
            *(SMALL if options.quick else ()),
        )  # fmt: skip
    return json.loads(board.read_text())["agents"]


def row_of(row: dict, seed: int) -> dict:
    """Return what the tables show of a leaderboard's row."""

    def interval(name: str, ends: str, sign: int = 1) -> list[float] | None:
        if row[name] is None:
            return None
        low, high = sorted(sign * end for end in row[ends])
        return [sign * row[name], low, high]

    return {
        "agent": row["name"],
        "seed": seed,
        "return": interval("return", "return_ci95"),
        "gap_closed": interval("gap_closed", "gap_closed_ci95"),
        "over_best_fixed": interval("return_vs_default_fixed", "return_vs_default_fixed_ci95"),
        "lead": interval("paired_diff", "paired_ci95", -1),
        "sends": list(row["sends_per_week"].values()),
        "cpu_seconds": row["train_cpu_seconds"],
        "opportunities": row["train_opportunities"],
    }


def run(command: str, *arguments: str) -> None:
    """Run one of the library's commands; its errors show."""
    module = f"slowfast_rl.cli.{command}"
    subprocess.run(
        [sys.executable, "-m", module, *arguments], check=True, stdout=subprocess.DEVNULL
    )


def tables(results: Results) -> str:
    """Return a table for each world."""
    header = (
        "agent | seed | return | over the best fixed plan | gap closed | slowfast's lead | sends a "
        "week | CPU-s | million opportunities"
    )
    cells = (
        "{agent} | {seed} | {return:.2i} | {over_best_fixed:.2i} | {gap_closed:.3i} | {lead:.2i} | "
        "{sends:.1f+} | {cpu_seconds:.0f} | {opportunities:.0f}"
    )
    texts = [f"`{results['command']}` wrote these tables."]
    for world, rows in results["worlds"].items():
        means = [
            f"- `{agent}`: mean gap closed {np.mean(gaps):.3f} over {len(gaps)} seeds"
            for agent, gaps in ((agent, _gaps(seeds)) for agent, seeds in by_agent(rows).items())
            if len(gaps) > 1 and agent not in BASELINES
        ]
        shown = [row | {"opportunities": row["opportunities"] / 1e6} for row in rows]
        texts += [f"### `{world}`", fmt.table_of(header, cells, shown), "\n".join(means)]
    return fmt.paragraphs(*texts)


def by_agent(rows: list[dict]) -> dict[str, list[dict]]:
    """Return each agent's rows, one for each seed."""
    names = dict.fromkeys(row["agent"] for row in rows)
    return {name: [row for row in rows if row["agent"] == name] for name in names}


def draw(results: Results, path: Path, world: str = "pronounced") -> None:
    """Draw each agent's lead over the best fixed plan: one interval for each training seed."""
    agents = {
        name: rows
        for name, rows in by_agent(results["worlds"][world]).items()
        if rows[0]["over_best_fixed"] and name != "best_fixed"
    }
    means = {name: np.mean([r["over_best_fixed"][0] for r in agents[name]]) for name in agents}
    order = sorted(agents, key=lambda name: means[name])
    with figures.panels(path, 1, 1, (8, 0.3 * len(order) + 0.9)) as axes:
        ax = axes[0, 0]
        for place, name in enumerate(order):
            rows = agents[name][: 1 if name in BASELINES else None]
            leads = [row["over_best_fixed"] for row in rows]
            ours = name in (FIRST, "slowfast_own")
            reference = name in BASELINES or name == "privileged"
            colour = figures.BLUE if ours else figures.GREY if reference else figures.DARK
            places = place + 0.22 * (np.arange(len(leads)) - (len(leads) - 1) / 2)
            figures.intervals(ax, places, leads, across=True, color=colour, markersize=3)
        figures.zero(ax, across=True)
        ax.set_yticks(range(len(order)), order)
        ax.set_xlabel(
            "lead in return over the best fixed plan, discounted viewing days a member: one point "
            "for each\ntraining seed, seed 0 lowest, paired 95 % intervals over 2,048 members and "
            "4 lucks"
        )


def headline(results: Results, world: str = "pronounced") -> str:
    """Return the main result as one sentence, as Markdown."""
    rows = by_agent(results["worlds"][world])
    ours = rows[FIRST]

    def leads(name: str) -> str:
        shown = " / ".join(f"{row['over_best_fixed'][0]:+.2f}" for row in rows[name])
        _, low, high = rows[name][0]["over_best_fixed"]
        return f"`{name}` {shown} (± {(high - low) / 2:.2f})"

    compared = ", ".join(map(leads, ("slowfast", "ppo", "utility", "flat_ppo_long")))
    sends = " + ".join(f"{sent:.1f}" for sent in ours[0]["sends"])
    gaps = " / ".join(f"{gap:.3f}" for gap in _gaps(ours))
    seeds = ", ".join(str(row["seed"]) for row in ours)
    return (
        f"`{results['command']}`, world `{world}`, training seeds {seeds}: lead in return over the "
        f"best fixed plan, in discounted viewing days a member, 95 % in brackets: {compared}. "
        f"`{FIRST}` sends {sends} push and email a week; its plans close {gaps} of the gap to the "
        "oracle."
    )


def _gaps(rows: list[dict]) -> list[float]:
    return [row["gap_closed"][0] for row in rows if row["gap_closed"]]


def _checkpoints(board: Path) -> set[str]:
    rows = json.loads(board.read_text())["agents"]
    return {row["checkpoint"] for row in rows if row["checkpoint"]}


FLAGS = {
    "worlds": Flag(["pronounced", *OTHER_WORLDS], quick=1, selects=True),
    "seeds": Flag([0, 1, 2], quick=1, selects=True),
    "experiments": Flag(
        [*EXPERIMENTS, *LONGER, *FROM_LOG], choices=[*EXPERIMENTS, *LONGER, *FROM_LOG], selects=True
    ),
}
STUDY = Study(__file__, measure, tables, draw, flags=FLAGS, headline=headline)

if __name__ == "__main__":
    STUDY.run()
