"""slowfast-bench: measure speed on this machine, beside a peer measured in the same run.

  slowfast-bench suite=env world=calibrated num_members=65536
  slowfast-bench suite=serve redis_url=redis://localhost:6379/0
  slowfast-bench suite=train agents=[slowfast,ppo] repeats=3

suite=env measures units per CPU-second on one thread. suite=train trains agents and peers, and says
when they had closed shares of the gap. suite=population measures a week of a member, for 10,000
members, 100,000 and so on. suite=store measures rows per second, and the in-memory store's share of
the time of an environment's step. suite=serve measures the time of one decision, p50 and p99.
suite=scale measures what planning for a member costs, for 10,000 members, 100,000 and so on: CPU
and real time in this process and on 1 and 2 Ray workers, and bytes. Each is the median, minimum and
maximum of several repeats; quick=true is the short form. Writes to runs/bench/<time>: config.yaml,
bench.txt and bench.json.
"""

import json
import platform
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from slowfast_rl.benchmarks.cases import Case, measure
from slowfast_rl.benchmarks.env import env_cases
from slowfast_rl.benchmarks.env_peers import PEER, missing_peers
from slowfast_rl.benchmarks.population import WEEK, population_cases
from slowfast_rl.benchmarks.serve import MINUS, serve_cases
from slowfast_rl.benchmarks.store import PEERS, store_cases
from slowfast_rl.benchmarks.train import PEERS as TRAINED_PEERS
from slowfast_rl.benchmarks.train import PLAYED, available_peers, train_cases
from slowfast_rl.cli.app import run
from slowfast_rl.cli.names import overrides
from slowfast_rl.cli.results import say
from slowfast_rl.cli.schema import limited, read
from slowfast_rl.cli.settings import Settings
from slowfast_rl.evaluation.progress import progress_bar
from slowfast_rl.members.loading import config_folder
from slowfast_rl.store.checks import check_no_password
from slowfast_rl.store.files import write_text_atomically

SUITES = ("env", "train", "population", "store", "serve", "scale")
RAY_WORKERS = (1, 2)  # of suite=scale
_RATES = ("opportunities", "weeks", "steps", "rows")  # units that are counted in a second
_NOT_TRAINED = ("tiny",)  # experiments that learn nothing good
_QUICKLY_TRAINED = ("slowfast",)
EVALUATED = 2048  # members of the evaluations in suite=train, all of those of the references
_OF_TRAINING = (  # settings that suite=train passes on
    "world", "world_file", "world_overrides", "population_seed", "luck_seed", "device",
    "torch_threads",
)  # fmt: skip
MOST_QUICK = 2048  # members of a short form
# The targets, by the beginning of a row's name.
_BARS = {
    "state and beliefs": "≤700", "state": "≤300",
    "in memory, share": "≤5",
    "in memory, first decision, p50": "≤25", "in memory, first decision, p99": "≤60",
    "in memory, later decision, p50": "≤25", "in memory, later decision, p99": "≤60",
    "Redis, first decision, p99": "≤1000", f"Redis, first decision {MINUS}, p50": "≤60",
}  # fmt: skip
_PEER_BARS = {  # as a ratio to the peer
    "fused weeks, plan (1, 1)": "≥4.50", "fused weeks, plan (3, 1)": "≥3.80",
    "fused weeks, always (14, 7)": "≥2.00", "fused weeks, learned executor, random plans": "≥1.80",
    "fused weeks, learned executor, always (14, 7)": "≥1.30",
    "Messaging-v0 step, observations": "≥1.00",
    "in memory, read": "≥0.25", "Redis, read": "≥0.50",
}  # fmt: skip
_FLAT = "≤1.25"  # as a ratio to the fewest members


class Row(NamedTuple):
    """A row of ``bench.json``: opportunities, weeks, steps or rows a second, %, µs, s or bytes.

    Where a repeat did not reach a value, ``max`` is None; where half of them did not, ``median``.
    """

    suite: str
    name: str
    members: int
    unit: str
    median: float | None
    min: float | None
    max: float | None
    cpu: str


@dataclass(frozen=True, kw_only=True)
class BenchSettings(Settings):
    """Settings of the command, as in ``configs/bench.yaml``."""

    suite: str = limited(choices=SUITES)
    agents: tuple[str, ...] | None
    repeats: int = limited(low=1)
    quick: bool
    redis_url: str | None

    def __post_init__(self) -> None:
        """Raise ValueError for a value outside what is allowed."""
        super().__post_init__()
        self._check_agents()
        if self.redis_url is not None:
            check_no_password(self.redis_url, (), "SLOWFAST_REDIS_PASSWORD")

    def _check_agents(self) -> None:
        """Check what ``suite=train`` is told to train.

        Raises:
            ValueError: an unknown name, or another suite.
        """
        if self.agents is None:
            return
        if self.suite != "train":
            raise ValueError(f"suite is {self.suite!r}; agents are allowed with train")
        known = (*experiments(), *TRAINED_PEERS)
        for name in self.agents:
            if name not in known:
                raise ValueError(f"agents has {name!r}; allowed: {', '.join(known)}")


def experiments() -> list[str]:
    """Return the names of the experiments that come with the library and learn something."""
    found = sorted(path.stem for path in (config_folder() / "experiment").glob("*.yaml"))
    return [name for name in found if name not in _NOT_TRAINED]


class Bench:
    """Measures a suite, prints a table and writes ``bench.json``.

    Raises:
        ValueError: a setting is missing, unknown, of the wrong type or outside what is allowed.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        s = read(BenchSettings, settings)
        if s.quick:
            s = replace(
                s, repeats=1, num_members=min(s.num_members, MOST_QUICK), weeks=min(s.weeks, 2)
            )
        self.settings = s
        self.world = self.settings.make_world()

    def run(self, folder: Path) -> None:
        """Run the command."""
        s = self.settings
        say(f"Measuring suite {s.suite} in world {self.world.name}; results go to {folder}")
        cpu, rows = cpu_name(), []
        with ExitStack() as stack:
            cases = self._cases(stack)
            total = sum(case.warm_up + s.repeats for case in cases)
            bar = stack.enter_context(progress_bar(total, "measuring", " repeats"))
            for case in cases:
                speed = measure(case, s.repeats, bar.update)
                rows.append(Row(s.suite, case.name, case.members, case.unit, *speed, cpu))
        text = json.dumps([row._asdict() for row in rows], indent=1)
        write_text_atomically(folder / "bench.txt", table(rows))
        write_text_atomically(folder / "bench.json", text)
        print(table(rows))
        print(f"All results  {folder}")

    def _cases(self, stack: ExitStack) -> list[Case]:
        """Return the cases of the suite."""
        s, world = self.settings, self.world
        if s.suite == "train":
            return self._trainings()
        if s.suite == "population":
            return population_cases(world, s.num_members, s.weeks, s.seed)
        if s.suite == "store":
            return store_cases(world, s.num_members, s.weeks, s.seed, s.redis_url, stack)
        if s.suite == "scale":
            from slowfast_rl.benchmarks.scale import scale_cases  # needs an extra

            workers = () if find_spec("ray") is None else RAY_WORKERS
            if not workers:
                say("Planning on Ray is left out: pip install 'slowfast_rl[ray]' brings Ray")
            return scale_cases(world, s.num_members, s.seed, workers, s.redis_url, stack)
        if s.suite == "serve":
            return serve_cases(world, s.num_members, s.seed, s.redis_url, stack)
        _say_missing(missing_peers())
        return env_cases(world, s.num_members, s.weeks, s.seed)

    def _trainings(self) -> list[Case]:
        """Return the cases of ``suite=train``."""
        s = self.settings
        peers, missing = available_peers()
        names = s.agents
        if names is None:
            names = _QUICKLY_TRAINED if s.quick else (*experiments(), *peers)
            _say_missing([] if s.quick else missing)
        given = [f"{k}={v}" for k, v in overrides().items() if k in _OF_TRAINING]
        if s.num_threads is not None:
            given.append(f"num_threads={s.num_threads}")
        return train_cases(names, EVALUATED, given, s.seed, s.quick)


def _say_missing(names: list[str]) -> None:
    """Say which peers are left out, and which extra brings them."""
    if names:
        say(f"Left out: {', '.join(names)}; pip install 'slowfast_rl[bench]' brings it")


def table(rows: list[Row]) -> str:
    """Return a table for the terminal, large numbers in millions, with peers and targets."""
    wide = max(48, *(len(row.name) for row in rows))
    lines = [
        rows[0].cpu + ", one thread" * (rows[0].suite != "scale"),
        "",
        f"{'':<{wide}}{'members':>11}  {'unit':<27}{'median':>8}{'min':>8}{'max':>8}"
        f"{'target':>7}{'x peer':>8}{'target':>7}",
    ]
    for row in rows:
        scale, unit = 1.0, row.unit
        if unit in _RATES:
            scale, unit = 1e6, f"M {unit} a second"
        elif unit == PLAYED:
            scale, unit = 1e6, f"M {unit}"
        bar = next((b for name, b in _BARS.items() if row.name.startswith(name)), "")
        ratio, peer_bar = _against_peer(row, rows)
        values = (row.median, row.min, row.max)
        numbers = "".join(f"{'–' if x is None else f'{x / scale:.2f}':>8}" for x in values)
        lines.append(
            f"{row.name:<{wide}}{row.members:>11,}  {unit:<27}{numbers}{bar:>7}{ratio:>8}"
            f"{peer_bar:>7}".rstrip()
        )
    return "\n".join([*lines, ""])


def _against_peer(row: Row, rows: list[Row]) -> tuple[str, str]:
    """Return a row's ratio to its peer, and the target of this ratio; empty where it has none.

    The peer of a time of a member in a week is that among the fewest members.
    """
    if row.unit == WEEK:
        peer = next(other for other in rows if other.name == row.name).median
        bar = _FLAT if row.median != peer else ""
    elif row.unit in _RATES:
        medians = {other.name: other.median for other in rows}
        peer, bar = medians.get(PEERS.get(row.name, PEER)), _PEER_BARS.get(row.name, "")
    else:
        peer, bar = None, _PEER_BARS.get(row.name, "")
    return "" if row.median is None or peer is None else f"{row.median / peer:.2f}", bar


def cpu_name() -> str:
    """Return the processor's model name, as far as the system reports it."""
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
