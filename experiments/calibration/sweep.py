"""The search that found the values of ``calibrated`` that its targets decide.

python experiments/calibration/sweep.py [--quick] [--runs 384]

Three parameters decide three shares. Newton's method, with slopes measured once by moving each
parameter alone, finds where the shares are; then each parameter is moved a step down and up to see
that nothing near is better. Members and luck of the search are its own. Results go to
``sweep.json``, from which ``run.py`` makes the README's table.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from targets import REPORT_WEEKS, RUN_MEMBERS, TARGETS, report

import slowfast_rl as sf
from slowfast_rl.store.files import write_text_atomically

FOLDER = Path(__file__).parent
FIRST_SEED = 77_000_000  # of as many as there are runs
# Only parameters whose targets the start misses: value at the start, step, decimals kept.
PARAMETERS = {
    "traits.base_rate_location": (0.3, 0.08, 2),
    "traits.base_rate_spread": (2.4, 0.2, 2),
    "churn.scale": (0.012, 0.0008, 4),
}
SOLVED = (4, 5, 7)  # rows of TARGETS that Newton's method solves for
DECIDED = (4, 5, 6, 7)  # rows whose misses count
AIM = np.array([0.018, 0.41 + 0.01 / 3, 0.20 + 0.01 / 3])  # the survey's shares add up to 99 %
NEWTON_STEPS = 3


def main() -> None:
    """Search, print every world tried, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=384)
    parser.add_argument("--quick", action="store_true", help="two runs; writes nothing")
    options = parser.parse_args()
    tried = search(2 if options.quick else options.runs)
    if not options.quick:
        content = {
            "command": f"python experiments/calibration/sweep.py --runs {options.runs}",
            "first_seed": FIRST_SEED,
            "runs": options.runs,
            "run_members": RUN_MEMBERS,
            "weeks": REPORT_WEEKS,
            "tried": tried,
        }
        write_text_atomically(FOLDER / "sweep.json", json.dumps(content, indent=1))


def search(runs: int) -> list[dict[str, Any]]:
    """Return all worlds tried, each with why, its values, measurements and miss."""
    decimals = [d for _, _, d in PARAMETERS.values()]
    steps = np.array([step for _, step, _ in PARAMETERS.values()])
    values = np.array([start for start, _, _ in PARAMETERS.values()])
    tried = [_try("start", values, runs)]
    here = _solved(tried[0])
    slopes = np.empty((len(SOLVED), len(values)))
    for p, step in enumerate(np.diag(steps)):
        tried.append(_try("slope", values + step, runs))
        slopes[:, p] = (_solved(tried[-1]) - here) / steps[p]
    for _ in range(NEWTON_STEPS):
        moved = values + np.linalg.solve(slopes, AIM - here)
        rounded = np.array([round(v, d) for v, d in zip(moved, decimals, strict=True)])
        if np.allclose(rounded, values):
            break
        values = rounded
        tried.append(_try("Newton", values, runs))
        here = _solved(tried[-1])
    for step in np.diag(steps / 2):
        tried += [_try("near", values + sign * step, runs) for sign in (-1, 1)]
    return tried


def _try(why: str, values: Any, runs: int) -> dict[str, Any]:
    named = {n: round(float(v), 6) for n, v in zip(PARAMETERS, values, strict=True)}
    intervals = report(sf.load_world("calibrated", named), runs, FIRST_SEED)
    measured = {TARGETS[row].quantity: intervals[row].mean for row in DECIDED}
    miss = sum(TARGETS[row].miss(intervals[row].mean) ** 2 for row in DECIDED)
    shown = ", ".join(f"{100 * share:.2f} %" for share in measured.values())
    sys.stdout.write(f"{why}: {named} -> {shown}, miss {miss:.3f}\n")
    sys.stdout.flush()
    return {"why": why, "values": named, "measured": measured, "miss": miss}


def _solved(tried: dict[str, Any]) -> Any:
    """Return the measured shares that Newton's method solves for, [3]."""
    return np.array([tried["measured"][TARGETS[row].quantity] for row in SOLVED])


if __name__ == "__main__":
    main()
