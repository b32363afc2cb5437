"""Measure the speed on this machine, keep the rows, and write the tables of the pages.

python experiments/speed/run.py [--suites env store serve] [--redis redis://localhost:6379/0]
python experiments/speed/run.py --suites population --members 10000000
python experiments/speed/run.py --suites train [--agents slowfast ppo sb3_ppo] [--seeds 3]
python experiments/speed/run.py --suites scale --members 1000000 --redis redis://localhost:6379/0
python experiments/speed/run.py --suites env train --report

Tables of env, store and serve are in this folder's README, those of train and population in
docs/performance.md, and those of scale, which needs the extra ray, in docs/scaling.md. The peers of
env and train need the extra bench. With --agents, the rows of other agents stay as they are. With
--report nothing is measured: tables are written from the rows that were kept.
"""

import argparse
import json
import platform
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from slowfast_rl.benchmarks.needs import Assumptions, weekly_needs
from slowfast_rl.benchmarks.train import agent_of, training_table
from slowfast_rl.cli.bench import SUITES, Row, table
from slowfast_rl.store.files import write_block, write_text_atomically

FOLDER = Path(__file__).parent
DOCS = FOLDER.parents[1] / "docs"
SCALING, PERFORMANCE = DOCS / "scaling.md", DOCS / "performance.md"
DEFAULT_SUITES = ("env", "store", "serve")
MEASURED = FOLDER / "measured.json"  # by suite, the command and the versions of its rows
PACKAGES = (
    "numpy", "numba", "torch", "gymnasium", "stable-baselines3", "jax", "gymnax", "sbx-rl",
)  # fmt: skip
Rows = list[dict[str, Any]]


def main() -> None:
    """Run the benchmarks as a user would, keep their rows and write their tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--suites", nargs="+", default=DEFAULT_SUITES, choices=SUITES)
    parser.add_argument("--redis", help="url of a server; without one its rows are left out")
    parser.add_argument("--members", type=int, help="at most, of scale and population")
    parser.add_argument("--agents", nargs="+", help="of train; all of them without")
    parser.add_argument("--seeds", type=int, default=1, help="trainings of each agent")
    parser.add_argument("--report", action="store_true", help="measure nothing")
    options = parser.parse_args()
    for suite in options.suites:
        if not options.report:
            measure(suite, arguments_of(suite, options))
        write(suite, json.loads(rows_file(suite).read_text()))


def arguments_of(suite: str, options: argparse.Namespace) -> list[str]:
    """Return the arguments of ``slowfast-bench`` for a suite."""
    arguments = [f"suite={suite}"]
    if suite in ("scale", "population"):
        arguments += [f"num_members={options.members or 100_000}", "repeats=3"]
    if suite == "train":
        arguments.append(f"repeats={options.seeds}")
        if options.agents is not None:
            arguments.append(f"agents=[{','.join(options.agents)}]")
    if options.redis is not None and suite in ("store", "serve", "scale"):
        arguments.append(f"redis_url={options.redis}")
    return arguments


def measure(suite: str, arguments: Sequence[str]) -> None:
    """Run a suite, and keep its rows and what they were measured with."""
    with tempfile.TemporaryDirectory() as place:
        run = Path(place) / "bench"
        command = [sys.executable, "-m", "slowfast_rl.cli.bench", *arguments]
        subprocess.run([*command, f"hydra.run.dir={run}"], check=True)
        keep(suite, arguments, json.loads((run / "bench.json").read_text()))


def keep(suite: str, arguments: Sequence[str], rows: Rows) -> None:
    """Keep the rows of a suite; of trainings, those of other agents too."""
    path = rows_file(suite)
    if suite == "train" and path.exists():
        new = {agent_of(row) for row in rows}
        rows = [row for row in json.loads(path.read_text()) if agent_of(row) not in new] + rows
    write_text_atomically(path, json.dumps(rows, indent=1))
    known = json.loads(MEASURED.read_text()) if MEASURED.exists() else {}
    given = " ".join(argument for argument in arguments if not argument.startswith("agents="))
    known[suite] = {"command": f"slowfast-bench {given}", "versions": versions()}
    write_text_atomically(MEASURED, json.dumps(known, indent=1) + "\n")


def versions() -> str:
    """Return the versions of Python and of the packages that decide the speed."""
    found = [f"Python {platform.python_version()}"]
    for package in PACKAGES:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)


def rows_file(suite: str) -> Path:
    """Return where the rows of a suite are kept."""
    return FOLDER / ("bench.json" if suite == "env" else f"{suite}.json")


def write(suite: str, rows: Rows) -> None:
    """Write the tables of a suite."""
    text = f"```\n{table([Row(**row) for row in rows]).rstrip()}\n```"
    if suite == "scale":
        write_scaling(text, rows)
    elif suite in ("population", "train"):
        shown = text if suite == "population" else training_table(rows)
        given = json.loads(MEASURED.read_text())[suite]
        origin = f"Measured by `{given['command']}` on {rows[0]['cpu']} with {given['versions']}."
        write_block(PERFORMANCE, suite, f"{origin}\n\n{shown}")
    else:
        write_block(FOLDER / "README.md", "speed" if suite == "env" else f"speed_{suite}", text)


def write_scaling(text: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write what was measured, what is assumed and what follows to docs/scaling.md."""
    given = Assumptions()
    write_block(SCALING, "scale", text)
    write_block(SCALING, "assumptions", given.table())
    write_block(SCALING, "needs", weekly_needs(rows, given))


if __name__ == "__main__":
    main()
