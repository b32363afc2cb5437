"""Who gains from planning: by segment, in absolute and relative terms, against two baselines.

python experiments/casual_viewers/run.py [--quick] [--seeds 0 1 2] [--checkpoints NAME=DIR ...]
"""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from figure import draw
from gains import gains_by_segment
from report import tables

import slowfast_rl as sf
from slowfast_rl.evaluation import Contestant, Twins
from slowfast_rl.evaluation.contestants import trained_contestant
from slowfast_rl.slow import PPOPlanner, SegmentsPlanner, UtilityPlanner
from slowfast_rl.store.files import write_block, write_text_atomically

FOLDER = Path(__file__).parent
WORLDS = ("pronounced", "calibrated")
BASELINES = ("never", "best_fixed", "oracle", "always")
PPO_OPPORTUNITIES = 60_000_000
COSTS = {
    "pronounced": None,
    "calibrated": 0.0075,
}  # of the utility planner; population 77: .005 and .01 do alike
Makers = dict[str, Callable[[int], Contestant]]


def main() -> None:
    """Train, evaluate, print, and write if this is the full run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one seed, few; writes nothing")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--checkpoints", nargs="*", default=[], metavar="NAME=DIR",
                        help="trained agents besides; the same name for several seeds")  # fmt: skip
    options = parser.parse_args()
    torch.set_num_threads(1)
    quick, seeds = options.quick, options.seeds[:1] if options.quick else options.seeds
    results: dict[str, Any] = {
        "command": " ".join(["python experiments/casual_viewers/run.py", *sys.argv[1:]]),
        "seeds": seeds,
        "worlds": {},
    }
    for name in WORLDS[:1] if quick else WORLDS:
        world = sf.load_world(name)
        makers = planners(world, quick)
        contestants = {n: [make(seed) for seed in seeds] for n, make in makers.items()}
        for label, agent in checkpoints(options.checkpoints, world):
            contestants.setdefault(label, []).append(agent._replace(name=label))
        results["worlds"][name] = measure(contestants, Twins(world))
    text = tables(results)
    sys.stdout.write(text + "\n")
    if not quick:
        write_text_atomically(FOLDER / "results.json", json.dumps(results, indent=1))
        draw(results, FOLDER / "casual_viewers.png")
        write_block(FOLDER / "README.md", "casual_viewers", text)


def planners(world: sf.World, quick: bool) -> Makers:
    """Return what trains each planner on a seed, default executor."""
    small = {"num_members": 1024, "weeks": 24} if quick else {}
    opportunities = 3_000_000 if quick else PPO_OPPORTUNITIES
    cost = COSTS[world.name]

    def contestant(name: str, planner: Any, seed: int) -> Contestant:
        cpu, played = planner.cpu_seconds, planner.opportunities
        return Contestant(name, planner, None, (seed,), cpu, played)

    def ppo(seed: int) -> Contestant:
        planner = PPOPlanner().learn(world, total_opportunities=opportunities, seed=seed)
        return contestant("ppo", planner, seed)

    def utility(seed: int) -> Contestant:
        planner = UtilityPlanner(message_cost=cost, **small).learn(world, seed=seed)
        return contestant("utility", planner, seed)

    def segments(seed: int) -> Contestant:
        planner = SegmentsPlanner(**(small | {"num_members": 128} if quick else {}))
        return contestant("segments", planner.learn(world, seed=seed), seed)

    return {"utility": utility, "ppo": ppo, "segments": segments}


def checkpoints(named: list[str], world: sf.World) -> list[tuple[str, Contestant]]:
    """Return the agents of ``NAME=DIR`` that were trained in this world."""
    found = []
    for entry in named:
        name, _, folder = entry.partition("=")
        agent = sf.SlowFastAgent.load(Path(folder))
        if agent.world is not None and agent.world.name == world.name:
            found.append((name, trained_contestant(agent, world)))
    return found


def measure(contestants: dict[str, list[Contestant]], twins: Twins) -> dict[str, Any]:
    """Return each planner's gains by segment, its seeds averaged."""
    entrants = [c for group in contestants.values() for c in group]
    board = sf.compare([*entrants, *BASELINES], twins.world, twins.protocol, twins=twins)
    # Names on the board, in the order of the entrants: a second ``a`` is called ``a_2``.
    names = iter([row["name"] for row in board.rows])
    groups = {name: [next(names) for _ in group] for name, group in contestants.items()}
    groups |= {name: [name] for name in ("oracle", "always")}
    return {"board": board.to_json()} | gains_by_segment(board, twins.segments, groups)


if __name__ == "__main__":
    main()
