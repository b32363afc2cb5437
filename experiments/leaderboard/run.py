"""Train every agent on several seeds, evaluate all on the same members and luck, write the tables.

python experiments/leaderboard/run.py [--worlds pronounced no_dismissals calibrated] [--seeds 0 1 2]
    [--agents slowfast ppo ...] [--quick]

What was measured is kept in runs/leaderboard, one file per world, agent and seed: a run that was
stopped goes on where it was, and several may share the work.
"""

import argparse
import io
import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from agents import AGENTS
from report import headline, summary, tables
from tqdm import tqdm

import slowfast_rl as sf
from slowfast_rl.evaluation.contestants import Contestant
from slowfast_rl.evaluation.references import load_references
from slowfast_rl.evaluation.studies import merge_rows
from slowfast_rl.evaluation.twins import Twins
from slowfast_rl.store.files import write_block, write_bytes_atomically, write_text_atomically

FOLDER = Path(__file__).parent
KEPT = FOLDER.parent.parent / "runs" / "leaderboard"
WORLDS = ("pronounced", "no_dismissals", "calibrated")
ABLATED = {  # agents of worlds but the first
    "no_dismissals": ("slowfast", "plain_rollouts", "best_fixed"),
    "calibrated": ("slowfast", "best_fixed", "never"),
}


def main() -> None:
    """Train and evaluate what is missing, then write what is there."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--worlds", nargs="+", default=WORLDS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--agents", nargs="+", default=list(AGENTS), choices=list(AGENTS))
    parser.add_argument("--quick", action="store_true", help="few members, little training")
    options = parser.parse_args()
    torch.set_num_threads(1)
    scratch = TemporaryDirectory()  # of a quick run; it goes with the process
    kept = Path(scratch.name) if options.quick else KEPT
    protocol = (
        sf.EvaluationProtocol(num_members=64, weeks=8) if options.quick else sf.EvaluationProtocol()
    )
    seeds = options.seeds[:1] if options.quick else options.seeds
    jobs = [
        (w, a, s)
        for w in options.worlds
        for s in seeds
        for a in options.agents
        if s in seeds[: AGENTS[a].seeds] and a in ABLATED.get(w, AGENTS)
    ]
    twins: dict[str, Twins] = {}
    with tqdm(jobs, unit="agent") as bar:
        for name, agent, seed in bar:
            bar.set_postfix_str(f"{name} {agent} seed {seed}")
            path = kept / f"{name}-{agent}-{seed}.npz"
            if path.is_file():
                continue
            contestant = AGENTS[agent].make(name, seed, options.quick)
            if name not in twins:
                twins[name] = Twins(sf.load_world(name), protocol)
            write_arrays(path, measure(contestant, twins[name]))
    if options.quick:
        sys.stdout.write("quick: no table was written\n")
        return
    references = {w: load_references(sf.load_world(w), protocol) for w in options.worlds}
    results = summary(kept, options.worlds, references)
    worlds = json.loads((FOLDER / "results.json").read_text())["worlds"]
    order = list(AGENTS).index
    for name, rows in results["worlds"].items():
        # Agents and seeds that were not run here stay as they were measured.
        worlds[name] = merge_rows(
            worlds.get(name, []), rows, lambda row: (order(row["agent"]), row["seed"])
        )
    results["worlds"] = worlds
    write_text_atomically(FOLDER / "results.json", json.dumps(results, indent=1))
    text = tables(results)
    write_block(FOLDER / "README.md", "leaderboard", text)
    write_block(FOLDER.parent.parent / "README.md", "leaderboard", headline(results))
    sys.stdout.write(text + "\n")


def measure(contestant: Contestant, twins: Twins) -> dict[str, np.ndarray]:
    """Return what an agent brought: returns [N] with its own and with the default executor."""
    own = twins.rollout(contestant.planner, contestant.executor)
    default = own
    if contestant.executor is not None and not contestant.single:
        default = twins.rollout(contestant.planner)
    weeks = own.weekly["alive"].sum()
    return {
        "own": own.returns,
        "default": default.returns,
        "sends": own.weekly["sends"].sum(axis=(0, 1)) / weeks,
        "churn": np.array(own.weekly["churned"].sum() / weeks),
        "cpu_seconds": np.array(contestant.train_cpu_seconds),
        "opportunities": np.array(contestant.train_opportunities),
    }


def write_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write arrays whole or not at all."""
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    write_bytes_atomically(path, buffer.getvalue())


if __name__ == "__main__":
    main()
