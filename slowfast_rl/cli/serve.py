"""slowfast-serve: execute the plans in the store, and log every decision.

  slowfast-serve checkpoint=runs/train/a store=redis num_members=2048 weeks=4 week_seconds=20
  slowfast-serve checkpoint=runs/train/a store=shared store.name=demo folder=runs/demo
  slowfast-serve checkpoint=runs/train/a store=redis source=stdin < opportunities.jsonl

source=simulation simulates a population: each simulated day it writes the clock and the logged
features to the store, and reads the plans that slowfast-plan writes there. With the folder of an
earlier run it resumes from that run's last day. source=stdin answers each JSON line with another:
{"member": 17, "now": 28800, "observation": [...]}, with an observation of Messaging-v0.
Decisions are written to decisions/ in parquet, the summary of a simulation to serve.json.
"""

import fcntl
import json
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slowfast_rl.agents import SlowFastAgent
from slowfast_rl.cli.app import check_writable, run
from slowfast_rl.cli.checkpoints import load_agent, say_source
from slowfast_rl.cli.results import say
from slowfast_rl.cli.schema import build, limited, read
from slowfast_rl.cli.settings import Settings, check_shared
from slowfast_rl.cli.waiting import once_available
from slowfast_rl.evaluation.progress import progress_bar
from slowfast_rl.members.clock import WEEK_SECONDS
from slowfast_rl.members.population import Population
from slowfast_rl.services.json_lines import LONGEST_LINE, JsonLinesService
from slowfast_rl.services.line_batches import line_batches
from slowfast_rl.services.simulation import SimulationService
from slowfast_rl.store import FeatureStore
from slowfast_rl.store.files import write_text_atomically

SOURCES = ("simulation", "stdin")
_IDLE_SECONDS = 5.0  # without a line, after which the decisions so far become a part of the log
_RETRY_SECONDS = 0.05  # between two attempts to open a store


@dataclass(frozen=True, kw_only=True)
class ServeSettings(Settings):
    """Settings of the command, as in ``configs/serve.yaml``."""

    checkpoint: str
    allow: tuple[str, ...]
    store: dict[str, Any]
    source: str = limited(choices=SOURCES)
    week_seconds: float = limited(low=0)
    folder: str | None

    def __post_init__(self) -> None:
        """Raise ValueError for a value outside what is allowed."""
        super().__post_init__()
        if self.folder is not None:
            check_writable(Path(self.folder), "folder")


class Serve:
    """Executes plans with a checkpoint's fast policy.

    Raises:
        ValueError: a setting is missing, unknown, of the wrong type or outside what is allowed.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        s = self.settings = read(ServeSettings, settings)
        self.world = s.make_world()
        self.agent = load_agent(s.checkpoint, self.world, s.device, s.allow, SlowFastAgent)
        check_shared(s.store)
        self.store: FeatureStore = once_available(lambda: build(s.store, "store"), _wait)

    def run(self, folder: Path) -> None:
        """Run the command."""
        say_source(self.settings.checkpoint)
        kept = folder if self.settings.folder is None else Path(self.settings.folder)
        with _alone(kept):
            if self.settings.source == "stdin":
                self._stream(kept)
            else:
                self._simulate(kept)

    def _simulate(self, folder: Path) -> None:
        s = self.settings
        population = Population(self.world, s.num_members, s.population_seed, s.luck_seed)
        service = once_available(
            lambda: SimulationService(population, self.agent.fast, self.store, s.seed, folder),
            _wait,
        )
        say(f"Serving {s.num_members:,} members from {self.store!r}; decisions go to {folder}")
        begun, first = time.monotonic(), service.now

        def until(now: int) -> None:
            due = begun + (now - first) * s.week_seconds / WEEK_SECONDS
            time.sleep(max(0.0, due - time.monotonic()))

        total, silent = 7 * s.weeks, False
        if service.days >= total:
            say(f"{service.days} days are served already; weeks={s.weeks} asks for {total}")
            return
        with progress_bar(total - service.days, "serving", " days") as bar:
            while service.days < total:
                before = service.unreachable
                service.simulate_day(until)
                if (service.unreachable > before) != silent:
                    silent = not silent
                    bar.write(
                        "the store does not answer; remembered and safe plans serve meanwhile"
                        if silent
                        else "the store answers again",
                        file=sys.stderr,
                    )
                bar.update()
                write_text_atomically(folder / "serve.json", json.dumps(summary(service), indent=1))
        for name, value in summary(service).items():
            say(f"{name:<24}{value}")

    def _stream(self, folder: Path) -> None:
        s = self.settings
        service = once_available(
            lambda: JsonLinesService(self.world, self.agent.fast, self.store, s.seed, folder), _wait
        )
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        number = 0
        try:
            for lines in line_batches(sys.stdin.fileno(), LONGEST_LINE, _IDLE_SECONDS):
                asked = {}
                for line in lines:
                    number += 1
                    if line.strip():
                        asked[number] = line
                answers = zip(asked, service.respond_all([*asked.values()]), strict=True)
                told = "".join(f"{json.dumps({'line': n, **answer})}\n" for n, answer in answers)
                print(told, end="", flush=True)
                if not lines:
                    service.rest()
        finally:
            service.rest()


def _wait() -> None:
    """Wait until the next attempt to open the store."""
    time.sleep(_RETRY_SECONDS)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Lock the folder against a second service; the lock ends with the process.

    Raises:
        ValueError: another service uses it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".serving").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(
                f"another slowfast-serve uses folder {folder}; allowed is another folder"
            ) from None
        yield


def summary(service: SimulationService) -> dict[str, Any]:
    """Return the summary of a simulation."""
    population = service.population
    return {
        "world": population.world.name,
        "members": population.num_members,
        "days": service.days,
        "alive": int(population.alive.sum()),
        "mean_return": float(service.returns.mean()),
        "executor_version": service.version,
        **service.counters,
    }


def main() -> None:
    """Run the command."""
    run("serve", Serve, __doc__ or "")


if __name__ == "__main__":
    main()
