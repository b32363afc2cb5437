"""Benchmarks of training: what each agent takes until it closes shares of the gap.

Each training is one of ``slowfast-train``, in a process of its own. The values are those of its own
evaluations: the first one at which ``eval/gap_closed`` reaches a share counts, with the CPU time,
the real time and the opportunities of the training until then. A tiny training before the first one
compiles the simulation, which is done once on a machine.
"""

import csv
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, partial
from importlib.util import find_spec
from io import StringIO
from math import inf
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from slowfast_rl.benchmarks.cases import Case

SHARES = (0.2, 0.4, 0.6, 0.7)
CPU, REAL, PLAYED, SHARE = "s of CPU", "s", "opportunities of training", "gap closed"
_COLUMNS = {CPU: "eval/cpu_seconds", REAL: "eval/wall_time", PLAYED: "step"}
_GAP = "eval/gap_closed"
PEERS = {  # by name, how slowfast-train is told to train them, and the package that they need
    "sb3_ppo": ("SB3PPO", "stable_baselines3"),
    "sbx_ppo": ("SbxPPO", "sbx"),
}
_WARM_UP = "experiment=tiny"  # a few seconds in which all that is compiled is
MOST_QUICK = 3_000_000  # opportunities of a short form


class Evaluated(NamedTuple):
    """An evaluation during a training."""

    gap: float
    at: dict[str, float]  # by unit, what the training had used


def available_peers() -> tuple[list[str], list[str]]:
    """Return the names of peers that are installed, and of those that are not."""
    installed = [name for name, (_, package) in PEERS.items() if find_spec(package) is not None]
    return installed, [name for name in PEERS if name not in installed]


def train_cases(
    names: Sequence[str], members: int, arguments: Sequence[str], seed: int, quick: bool
) -> list[Case]:
    """Return the benchmarks of some trainings.

    Args:
        names: of experiments, and of ``PEERS``.
        members: evaluated during training, under the first luck.
        arguments: of every training besides, such as the world.
        seed: of the first repeat's training; each further one has the next.
        quick: whether to train for a short time and to evaluate few members.
    """
    arguments = [*arguments, "report=false"]
    warm_up = cache(partial(_run, [_WARM_UP, *arguments]))  # runs once, before the first training
    if quick:
        members = min(members, 64)
        arguments = [*arguments, f"total_opportunities={MOST_QUICK}"]
    arguments = [*arguments, f"evaluation.curve_members={members}"]
    cases = []
    for name in names:
        trainings = _Trainings(partial(_train, [*_choice(name), *arguments], warm_up), seed)
        for share in SHARES:
            for unit in _COLUMNS:
                once = partial(trainings.reached, share, unit)
                cases.append(Case(f"{name}, to {share}", members, unit, once, warm_up=0))
        cases.append(Case(f"{name}, at the end", members, SHARE, trainings.last, warm_up=0))
    return cases


def _choice(name: str) -> list[str]:
    """Return the arguments of ``slowfast-train`` that choose an agent."""
    if name not in PEERS:
        return [f"experiment={name}"]
    kind, _ = PEERS[name]  # its executor is the default one, which learns nothing
    return [f"slow._target_=slowfast_rl.benchmarks.peers.{kind}", "fast=quality"]


class _Trainings:
    """Trains with one seed after another; every value of a repeat is of the same training."""

    def __init__(self, train: Callable[[int], list[Evaluated]], seed: int) -> None:
        self._train, self._seed = train, seed
        self._done: list[list[Evaluated]] = []
        self._returned: Counter[tuple[float, str]] = Counter()

    def reached(self, share: float, unit: str) -> float | None:
        """Return what the next training used until it closed a share; None if it never did."""
        found = self._next(share, unit)
        return next((evaluated.at[unit] for evaluated in found if evaluated.gap >= share), None)

    def last(self) -> float:
        """Return the share that the next training closed at its end."""
        return self._next(1.0, SHARE)[-1].gap

    def _next(self, share: float, unit: str) -> list[Evaluated]:
        number = self._returned[share, unit]
        self._returned[share, unit] += 1
        if number == len(self._done):
            self._done.append(self._train(self._seed + number))
        return self._done[number]


def _train(arguments: Sequence[str], warm_up: Callable[[], object], seed: int) -> list[Evaluated]:
    """Train, and return the evaluations.

    Raises:
        ValueError: the command failed, or the world has no references.
    """
    warm_up()
    return read_evaluations(StringIO(_run([*arguments, f"seed={seed}"])))


def _run(arguments: Sequence[str]) -> str:
    """Run ``slowfast-train`` in a process of its own, and return its ``metrics.csv``.

    Raises:
        ValueError: the command failed.
    """
    with TemporaryDirectory() as place:
        folder = Path(place) / "run"
        command = [sys.executable, "-m", "slowfast_rl.cli.train", *arguments]
        result = subprocess.run(
            [*command, f"hydra.run.dir={folder}"], capture_output=True, text=True, check=False
        )
        if result.returncode:
            lines = result.stderr.strip().splitlines() or ["no message"]
            raise ValueError(f"slowfast-train {' '.join(arguments)} failed: {lines[-1]}")
        return (folder / "metrics.csv").read_text("utf-8")


def read_evaluations(metrics: Iterable[str]) -> list[Evaluated]:
    """Return the evaluations in the lines of a training's ``metrics.csv``, in their order.

    Raises:
        ValueError: there are none with ``eval/gap_closed``, as in a world without references.
    """
    rows = [row for row in csv.DictReader(metrics) if row.get(_GAP)]
    if not rows:
        raise ValueError(f"metrics.csv has no {_GAP}; the world needs references")
    return [
        Evaluated(float(row[_GAP]), {unit: float(row[name]) for unit, name in _COLUMNS.items()})
        for row in rows
    ]


def agent_of(row: Mapping[str, Any]) -> str:
    """Return the agent that a row of ``bench.json`` of ``suite=train`` is about."""
    return str(row["name"]).partition(",")[0]


def training_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return a Markdown table with a line for each agent, the fastest to each share first.

    Args:
        rows: of ``bench.json`` of ``suite=train``.
    """
    lines = [
        "| agent | " + " | ".join(f"to {share}" for share in SHARES) + " | at the end |",
        "|---|" + "---|" * (len(SHARES) + 1),
    ]
    found = {(row["name"], row["unit"]): row["median"] for row in rows}
    agents = list(dict.fromkeys(agent_of(row) for row in rows))

    def slowness(agent: str) -> list[float]:
        needed = [found[f"{agent}, to {share}", CPU] for share in reversed(SHARES)]
        return [inf if seconds is None else seconds for seconds in needed]

    for agent in sorted(agents, key=slowness):
        cells = []
        for share in SHARES:
            cpu, real, played = (found[f"{agent}, to {share}", unit] for unit in _COLUMNS)
            reached = cpu is not None
            cells.append(f"{cpu:.1f} / {real:.1f} / {played / 1e6:.1f}" if reached else "–")
        cells.append(f"{found[f'{agent}, at the end', SHARE]:.2f}")
        lines.append(f"| {agent} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
