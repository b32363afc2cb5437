"""Train the default agent on several seeds and write the tables of this folder's README.

python experiments/first_run/run.py [--quick] [--seeds 0 1 2]
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import torch
import yaml
from tqdm import tqdm

import slowfast_rl as sf
from slowfast_rl.evaluation.contestants import slowfast_contestants
from slowfast_rl.evaluation.leaderboard import Leaderboard
from slowfast_rl.evaluation.statistics import mean_interval
from slowfast_rl.evaluation.tables import markdown
from slowfast_rl.evaluation.twins import Twins
from slowfast_rl.members.loading import config_folder
from slowfast_rl.slow import FixedPlanner
from slowfast_rl.store.files import write_block, write_text_atomically

FOLDER = Path(__file__).parent
BASELINES = ("never", "always", "random", "best_fixed", "oracle")
PLAN = (3, 1)  # where the rankers are compared


def main() -> None:
    """Train, compare, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one seed, little training")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--opportunities", type=int, default=default_opportunities())
    options = parser.parse_args()
    seeds = options.seeds[:1] if options.quick else options.seeds
    opportunities = 3_000_000 if options.quick else options.opportunities
    torch.set_num_threads(1)
    world, protocol = sf.load_world("pronounced"), sf.Protocol()
    twins = Twins(world, protocol)

    boards, rankers = [], []
    for seed in seeds:
        agent = sf.SlowFastAgent(slow=sf.slow.PPOPlanner())
        with tqdm(total=opportunities, desc=f"seed {seed}", unit_scale=True) as bar:
            agent.learn(
                world,
                total_opportunities=opportunities,
                seed=seed,
                progress=lambda done, bar=bar: bar.update(done - bar.n),
            )
        names = BASELINES if not boards else ()
        entrants = [*slowfast_contestants(agent, world), *names]
        boards.append(sf.compare(entrants, world, protocol, twins=twins))
        rankers.append(ranker_gain(agent, twins))

    result: dict[str, Any] = {
        "command": f"python experiments/first_run/run.py --seeds {' '.join(map(str, seeds))} "
        f"--opportunities {opportunities}",
        "seeds": seeds,
        "leaderboards": [board.to_json() for board in boards],
        "ranker_gain": rankers,
    }
    if options.quick:
        sys.stdout.write(markdown(boards[0]))
        return
    write_text_atomically(FOLDER / "results.json", json.dumps(result, indent=1))
    text = tables(boards, rankers, result["command"])
    for path in (FOLDER / "README.md", FOLDER.parent.parent / "README.md"):
        write_block(path, "first_run", text)


def default_opportunities() -> int:
    """Return what ``slowfast-train`` plays by default."""
    return int(yaml.safe_load((config_folder() / "train.yaml").read_text())["total_opportunities"])


def ranker_gain(agent: sf.SlowFastAgent, twins: Twins) -> list[float]:
    """Return what the learned ranker adds to the return at one fixed plan: mean, low, high."""
    planner = FixedPlanner(twins.world, PLAN)
    learned = twins.rollout(planner, agent.fast).returns
    return list(mean_interval(learned - twins.rollout(planner).returns))


def tables(boards: list[Leaderboard], rankers: list[list[float]], command: str) -> str:
    """Return the tables as Markdown."""
    first = boards[0]
    lines = [
        f"`{command}` wrote these tables: {first.protocol.num_members} members that training never "
        f"sees, {len(first.protocol.streams)} lucks, {first.protocol.weeks} weeks; 95 % intervals "
        "over members, paired where two agents are compared. Seed "
        f"{first.row('slowfast')['seeds'][0]} against everyone:",
        "",
        *[line for line in markdown(first).split("\n## ")[0].splitlines() if line.startswith("|")],
        "",
        "All seeds (`gap closed`: 0 is the best fixed plan, 1 the best constant plan per member in "
        "hindsight; the ranker's gain is in return at the fixed plan "
        f"{PLAN[0]} push + {PLAN[1]} email, learned against quality only):",
        "",
        "| seed | gap closed | minus untrained | minus own plans dealt at random | ranker's gain | "
        "CPU-seconds |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for board, gain in zip(boards, rankers, strict=True):
        row = board.row("slowfast")
        cells = [str(row["seeds"][0]), interval(row["gap_closed"], row["gap_closed_ci95"], 3)]
        for control in ("slowfast_untrained", "slowfast_dealt"):
            other = board.row(control)
            low, high = other["paired_ci95"]
            cells.append(interval(-other["paired_diff"], [-high, -low], 2))
        cells += [interval(gain[0], gain[1:], 2), f"{row['train_cpu_seconds']:.0f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def interval(value: float, ends: list[float], digits: int) -> str:
    """Return a number with its interval."""
    return f"{value:+.{digits}f} [{ends[0]:+.{digits}f}, {ends[1]:+.{digits}f}]"


if __name__ == "__main__":
    main()
