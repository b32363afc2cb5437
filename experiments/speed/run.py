"""Measure the speed on this machine and write the tables of this folder's README.

python experiments/speed/run.py [--suites env store serve] [--redis redis://localhost:6379/0]
python experiments/speed/run.py --suites scale --members 1000000 --redis redis://localhost:6379/0

The suite scale needs the extra ray, and writes the tables of docs/scaling.md.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from slowfast_rl.benchmarks.needs import Assumptions, weekly_needs
from slowfast_rl.store.files import write_block, write_text_atomically

FOLDER = Path(__file__).parent
SUITES = ("env", "store", "serve")
SCALING = FOLDER.parents[1] / "docs" / "scaling.md"


def main() -> None:
    """Run the benchmarks as a user would, keep their rows and their tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--suites", nargs="+", default=SUITES, choices=(*SUITES, "scale"))
    parser.add_argument("--redis", help="url of a server; without one its rows are left out")
    parser.add_argument("--members", type=int, default=100_000, help="at most, of scale")
    options = parser.parse_args()
    for suite in options.suites:
        with tempfile.TemporaryDirectory() as place:
            run = Path(place) / "bench"
            command = [sys.executable, "-m", "slowfast_rl.cli.bench", f"suite={suite}"]
            if suite == "scale":
                command += [f"num_members={options.members}", "repeats=3"]
            if options.redis is not None and suite != "env":
                command.append(f"redis_url={options.redis}")
            subprocess.run([*command, f"hydra.run.dir={run}"], check=True)
            table = (run / "bench.txt").read_text().rstrip()
            name = "bench.json" if suite == "env" else f"{suite}.json"
            write_text_atomically(FOLDER / name, (run / "bench.json").read_text())
        if suite == "scale":
            write_scaling(table, json.loads((FOLDER / "scale.json").read_text()))
            continue
        block = "speed" if suite == "env" else f"speed_{suite}"
        write_block(FOLDER / "README.md", block, f"```\n{table}\n```")


def write_scaling(table: str, rows: list[dict[str, object]]) -> None:
    """Write what was measured, what is assumed and what follows to docs/scaling.md."""
    given = Assumptions()
    write_block(SCALING, "scale", f"```\n{table}\n```")
    write_block(SCALING, "assumptions", given.table())
    write_block(SCALING, "needs", weekly_needs(rows, given))


if __name__ == "__main__":
    main()
