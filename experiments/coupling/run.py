"""Sweep the global threshold and the plan, and write how relevant what they send is.

python experiments/coupling/run.py [--quick] [--seeds 0 1 2] [--members 1024] [--weeks 52]
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from figure import draw
from measure import Setting, measure
from report import tables

import slowfast_rl as sf
from slowfast_rl.evaluation.protocol import burned_in, check_training_seed
from slowfast_rl.fast import UpliftRanker
from slowfast_rl.store.files import write_block, write_text_atomically

FOLDER = Path(__file__).parent
THRESHOLDS = (0.0, 0.01, 0.02, 0.03, 0.045, 0.06, 0.08, 0.11)
PLANS = ((1, 0), (1, 1), (2, 1), (3, 1), (4, 2), (5, 3), (10, 5), (14, 7))


def main() -> None:
    """Measure, print, and write if this is the full run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one seed, few members and settings")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--members", type=int, default=1024)
    parser.add_argument("--weeks", type=int, default=52)
    options = parser.parse_args()
    quick = options.quick
    seeds = options.seeds[:1] if quick else options.seeds
    members, weeks = (128, 6) if quick else (options.members, options.weeks)
    world, protocol = (
        sf.load_world("pronounced"),
        sf.EvaluationProtocol(num_members=members, streams=(0,)),
    )
    start = burned_in(world, protocol, 0)
    runs = []
    for seed in seeds:
        check_training_seed(seed, protocol)
        ranker = UpliftRanker().learn(world, num_members=256 if quick else 4096, seed=seed)
        step = 3 if quick else 1
        runs.append(
            {
                "seed": seed,
                "threshold": [
                    _json(measure(start, ranker, weeks, threshold=t)) for t in THRESHOLDS[::step]
                ],
                "plan": [_json(measure(start, ranker, weeks, plan=p)) for p in PLANS[::step]],
            }
        )
    results: dict[str, Any] = {
        "command": f"python experiments/coupling/run.py --seeds {' '.join(map(str, seeds))} "
        f"--members {members} --weeks {weeks}",
        "world": world.name,
        "members": members,
        "weeks": weeks,
        "runs": runs,
    }
    text = tables(results)
    sys.stdout.write(f"{text}\n")
    if quick:
        return
    write_text_atomically(FOLDER / "results.json", f"{json.dumps(results, indent=1)}\n")
    write_block(FOLDER / "README.md", "coupling", text)
    draw(results, FOLDER / "coupling.png")


def _json(setting: Setting) -> dict[str, Any]:
    return {k: v if isinstance(v, str) else list(v) for k, v in setting._asdict().items()}


if __name__ == "__main__":
    main()
