"""The coordinate sweep that found the values of ``calibrated`` that its targets decide.

python experiments/calibration/sweep.py [--quick] [--members 131072]

One parameter at a time is moved a step down and up and stays where the sum of squared misses is
least; when no move helps, the steps are halved. Population 77 is searched, which nothing else
measures. Results go to ``sweep.json``, from which ``run.py`` makes the README's table.
"""

import argparse
import json
import sys
from pathlib import Path

from targets import PLAN, REPORT_WEEKS, TARGETS, report

import slowfast_rl as sf
from slowfast_rl.store.files import write_text_atomically

FOLDER = Path(__file__).parent
POPULATION = 77
# Only parameters whose targets the start misses: value at the start, first step, decimals.
PARAMETERS = {
    "traits.base_rate_location": (0.3, 0.08, 3),
    "traits.base_rate_spread": (2.4, 0.2, 3),
    "churn.scale": (0.012, 0.0008, 5),
}
DECIDES = tuple(range(4, 8))  # rows of TARGETS that these parameters decide


def main() -> None:
    """Search, print every move, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--members", type=int, default=131_072)
    parser.add_argument("--halvings", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="1,024 members; writes nothing")
    options = parser.parse_args()
    members = 1024 if options.quick else options.members
    moves = search(members, 1 if options.quick else options.halvings)
    if not options.quick:
        content = {
            "command": f"python experiments/calibration/sweep.py --members {members} "
            f"--halvings {options.halvings}",
            "population_seed": POPULATION,
            "members": members,
            "plan": PLAN,
            "weeks": REPORT_WEEKS,
            "moves": moves,
        }
        write_text_atomically(FOLDER / "sweep.json", json.dumps(content, indent=1))


def search(members: int, halvings: int) -> list[dict[str, object]]:
    """Return the accepted moves, the start first; each with its values, measurements and miss."""
    values = {name: start for name, (start, _, _) in PARAMETERS.items()}
    steps = {name: step for name, (_, step, _) in PARAMETERS.items()}
    best = _tried(values, members)
    moves, known = [best | {"tried": 1}], {tuple(values.values())}
    while halvings >= 0:
        moved = False
        for name, (_, _, decimals) in PARAMETERS.items():
            for sign in (1, -1):
                moved_to = values | {name: round(values[name] + sign * steps[name], decimals)}
                if tuple(moved_to.values()) in known:  # it was worse than where we stand
                    continue
                known.add(tuple(moved_to.values()))
                candidate = _tried(moved_to, members)
                if candidate["miss"] < best["miss"]:
                    best, values, moved = candidate, candidate["values"], True
                    moves.append(best | {"tried": len(known)})
                    break
        if not moved:
            steps = {name: step / 2 for name, step in steps.items()}
            halvings -= 1
    return moves


def _tried(values: dict[str, float], members: int) -> dict[str, object]:
    world = sf.load_world("calibrated", values)
    means = [interval.mean for interval in report(world, members, POPULATION)]
    miss = sum(TARGETS[row].miss(means[row]) ** 2 for row in DECIDES)
    shown = [f"{100 * means[row]:.2f} %" for row in DECIDES]
    sys.stdout.write(f"{values} -> {', '.join(shown)}, miss {miss:.3f}\n")
    sys.stdout.flush()
    return {"values": dict(values), "measured": means, "miss": miss}


if __name__ == "__main__":
    main()
