"""Measure the speed on this machine and write the tables of this folder's README.

python experiments/speed/run.py [--suites env store serve] [--redis redis://localhost:6379/0]
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from slowfast_rl.store.files import write_block, write_text_atomically

FOLDER = Path(__file__).parent
SUITES = ("env", "store", "serve")


def main() -> None:
    """Run the benchmarks as a user would, keep their rows and their tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--suites", nargs="+", default=SUITES, choices=SUITES)
    parser.add_argument("--redis", help="url of a server; without one its rows are left out")
    options = parser.parse_args()
    for suite in options.suites:
        with tempfile.TemporaryDirectory() as place:
            run = Path(place) / "bench"
            command = [sys.executable, "-m", "slowfast_rl.cli.bench", f"suite={suite}"]
            if options.redis is not None and suite != "env":
                command.append(f"redis_url={options.redis}")
            subprocess.run([*command, f"hydra.run.dir={run}"], check=True)
            table = (run / "bench.txt").read_text().rstrip()
            name = "bench.json" if suite == "env" else f"{suite}.json"
            write_text_atomically(FOLDER / name, (run / "bench.json").read_text())
        block = "speed" if suite == "env" else f"speed_{suite}"
        write_block(FOLDER / "README.md", block, f"```\n{table}\n```")


if __name__ == "__main__":
    main()
