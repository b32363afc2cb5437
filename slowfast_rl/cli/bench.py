"""slowfast-bench: how fast it is on this machine, beside a peer measured in the same run.

  slowfast-bench suite=env
  slowfast-bench suite=env world=calibrated num_members=65536
  slowfast-bench suite=env repeats=21

Units per CPU-second on one thread; median, least and most of some repeats. Writes to
runs/bench/<time>: config.yaml, bench.txt and bench.json.
"""

import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from slowfast_rl.cli.app import run
from slowfast_rl.cli.results import say
from slowfast_rl.cli.schema import read
from slowfast_rl.cli.settings import Settings
from slowfast_rl.evaluation.progress import progress_bar
from slowfast_rl.evaluation.speed import PEER, env_cases, measure
from slowfast_rl.store.files import write_text_atomically

SUITES = ("env",)
_BARS = {"fused": 12e6, "Messaging-v0": 3e6}  # what we hold ourselves to, by a name's beginning


class Row(NamedTuple):
    """A row of ``bench.json``: units per CPU-second."""

    suite: str
    name: str
    members: int
    unit: str
    median: float
    min: float
    max: float
    cpu: str


@dataclass(frozen=True, kw_only=True)
class BenchSettings(Settings):
    """Settings of the command, as in ``configs/bench.yaml``."""

    suite: str
    repeats: int

    def __post_init__(self) -> None:
        """Raise ValueError for a value outside what is allowed."""
        super().__post_init__()
        if self.suite not in SUITES:
            raise ValueError(f"suite is {self.suite!r}; allowed: {', '.join(SUITES)}")
        if self.repeats < 1:
            raise ValueError(f"repeats is {self.repeats}; allowed is 1 or more")


class Bench:
    """Measures a suite, prints a table and writes ``bench.json``.

    Raises:
        ValueError: a setting is missing, unknown, of the wrong type or outside what is allowed.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.settings = read(BenchSettings, settings)
        self.world = self.settings.make_world()

    def run(self, folder: Path) -> None:
        """Do it."""
        s = self.settings
        say(f"Measuring suite {s.suite} in world {self.world.name}; results go to {folder}")
        cases, cpu = env_cases(self.world, s.num_members, s.weeks, s.seed), cpu_name()
        rows = []
        with progress_bar(len(cases) * (s.repeats + 1), "measuring", " repeats") as bar:
            for case in cases:
                speed = measure(case, s.repeats, bar.update)
                rows.append(Row(s.suite, case.name, case.members, case.unit, *speed, cpu))
        text = json.dumps([row._asdict() for row in rows], indent=1)
        write_text_atomically(folder / "bench.txt", table(rows))
        write_text_atomically(folder / "bench.json", text)
        print(table(rows))
        print(f"All results  {folder}")


def table(rows: list[Row]) -> str:
    """Return rows for the terminal, in millions a CPU-second."""
    peer = next((row.median for row in rows if row.name == PEER), None)
    lines = [
        f"{rows[0].cpu}, one thread; millions a CPU-second",
        "",
        f"{'':<36}{'members':>8}  {'unit':<14}{'median':>8}{'min':>8}{'max':>8}"
        f"{'bar':>7}{'x CartPole':>12}",
    ]
    for row in rows:
        bar = next((b for name, b in _BARS.items() if row.name.startswith(name)), None)
        lines.append(
            f"{row.name:<36}{row.members:>8,}  {row.unit:<14}{row.median / 1e6:>8.2f}"
            f"{row.min / 1e6:>8.2f}{row.max / 1e6:>8.2f}"
            f"{'' if bar is None else f'≥{bar / 1e6:.0f}':>7}"
            f"{'' if peer is None else f'{row.median / peer:.2f}':>12}"
        )
    return "\n".join([*lines, ""])


def cpu_name() -> str:
    """Return the processor's model name, as far as the system tells."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def main() -> None:
    """Run the command."""
    run("bench", Bench, __doc__ or "")


if __name__ == "__main__":
    main()
