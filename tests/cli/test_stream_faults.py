"""A stream's executor is killed again and again, while its disk is full and plans are damaged.

`make test-faults` kills it twenty times over each store. Kills come after counted answers, so that
a slow machine changes no verdict.
"""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest

from slowfast_rl.agents import SlowFastAgent
from slowfast_rl.fast import AffinityRanker, PacedExecutor
from slowfast_rl.members.loading import load_world
from slowfast_rl.members.observations import opportunity_observation
from slowfast_rl.members.population import Population
from slowfast_rl.policies.columns import columns
from slowfast_rl.services.store_clock import clock_view
from slowfast_rl.slow import FixedPlanner
from slowfast_rl.store import PLANS, Status, pacing_plan, plan_view, read_plans, write_plans
from tests.agents.cases import WEIGHTS
from tests.cli.damaged_stores import Redis, Shared
from tests.cli.forking import start_command
from tests.cli.gates import limit_files
from tests.services.decisions import read_log
from tests.waiting import HANG_SECONDS

KILLS = int(os.environ.get("KILLS", "2"))
MEMBERS = np.arange(40)
ROOM = 4096  # bytes to which a file may grow on a full disk: about a dozen decisions
WORLD = load_world("pronounced")


def connect(place: str) -> None:
    """Use pipes for standard input and output; called in the process of the command."""
    sys.stdin, sys.stdout = open(f"{place}.in"), open(f"{place}.out", "w")  # noqa: SIM115


class Stream:
    """slowfast-serve with ``source=stdin``."""

    def __init__(self, *arguments: str, cwd: Path) -> None:
        place = cwd / uuid4().hex
        self.log = place.with_suffix(".log")
        for end in (".in", ".out"):
            os.mkfifo(place.with_suffix(end))
        self.process = start_command(
            "serve", (*arguments, "source=stdin"), cwd, self.log, connect, str(place)
        )
        self._asks = place.with_suffix(".in").open("w")
        self._answers = place.with_suffix(".out").open()

    def ask(self, questions: list[dict[str, Any]]) -> None:
        """Write questions, fewer than a pipe holds."""
        self._asks.write("".join(f"{json.dumps(question)}\n" for question in questions))
        self._asks.flush()

    def answers(self, number: int) -> list[dict[str, Any]]:
        """Wait for some answers."""
        return [json.loads(self._answers.readline()) for _ in range(number)]

    def kill(self) -> list[dict[str, Any]]:
        """Kill it, and return the answers that it had still given."""
        self.process.kill()
        self.process.join(HANG_SECONDS)
        assert self.process.exitcode == -signal.SIGKILL, self.log.read_text()
        self._asks.close()
        given = [json.loads(line) for line in self._answers if line.endswith("\n")]
        self._answers.close()
        return given

    def end(self) -> None:
        """Close its input, and wait until it ends."""
        self._asks.close()
        self.process.join(HANG_SECONDS)
        assert self.process.exitcode == 0, self.log.read_text()
        self._answers.close()


class Questions:
    """Opportunities of drawn members, each at a time of its own."""

    def __init__(self, draws: np.random.Generator) -> None:
        self._draws, self._asked = draws, 0
        self._observations = opportunity_observation(Population(WORLD, len(MEMBERS)))

    def some(self, members: Any) -> list[dict[str, Any]]:
        """Return one for each of some members, who got some messages and left some channels."""
        found = []
        for member in members:
            obs = self._observations[member].copy()
            for channel in WORLD.channels:
                obs[columns(WORLD)[f"{channel}_sends_this_week"]] = self._draws.integers(5)
                obs[columns(WORLD)[f"{channel}_opted_in"]] = self._draws.random() < 0.8
            self._asked += 1
            found.append({"member": int(member), "now": self._asked, "observation": obs.tolist()})
        return found

    def drawn(self, number: int) -> list[dict[str, Any]]:
        return self.some(self._draws.choice(MEMBERS, number))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("agent") / "agent.zip"
    fast = PacedExecutor(ranker=AffinityRanker.with_weights(WEIGHTS))
    agent = SlowFastAgent(FixedPlanner(WORLD, (5, 2)), fast)
    agent.world = WORLD
    agent.save(path)
    return path


@pytest.mark.parametrize("make_store", [Shared, Redis])
def test_each_answer_of_a_stream_that_is_killed_again_and_again_is_in_its_log_once(
    make_store: type[Shared | Redis], checkpoint: Path, tmp_path: Path
) -> None:
    draws = np.random.default_rng(KILLS)
    backend, questions = make_store(tmp_path), Questions(draws)
    backend.store.apply([plan_view(len(WORLD.channels)), clock_view()])
    plans = pacing_plan(np.tile([5, 2], (len(MEMBERS), 1)), 0)
    assert write_plans(backend.store, MEMBERS, plans, 0) == len(MEMBERS)
    arguments = (f"checkpoint={checkpoint}", *backend.arguments, f"folder={tmp_path}/served")
    answers: list[dict[str, Any]] = []
    refused = fallbacks = 0
    for number in range(KILLS + 1):
        stream = Stream(*arguments, cwd=tmp_path)
        hit = draws.choice(MEMBERS, 3, replace=False)
        backend.flip_bits(PLANS, hit, draws)  # nothing is asked: no call of the stream is disturbed
        assert (read_plans(backend.store, hit, 0)[1] == Status.NOT_FOUND).all()
        stream.ask(questions.some(hit))
        told = stream.answers(3)
        fallbacks += sum(answer["plan_source"] != "plan" for answer in told)  # it remembers nobody
        answers += told
        assert write_plans(backend.store, MEMBERS, plans, 0) == 3
        stream.ask(questions.some(hit))
        told = stream.answers(3)
        assert [answer["plan_source"] for answer in told] == ["plan"] * 3
        answers += told

        stream.ask(questions.drawn(20))
        answers += stream.answers(20)

        limit_files(stream.process.pid, ROOM)
        stream.ask(questions.drawn(40))
        told = stream.answers(40)
        errors = [answer["error"] for answer in told if "error" in answer]
        assert all("cannot be logged" in error for error in errors)
        refused += len(errors)
        limit_files(stream.process.pid, -1)
        answers += told

        if number < KILLS:
            asked = int(draws.integers(1, 60))
            stream.ask(questions.drawn(asked))
            answers += stream.answers(int(draws.integers(min(asked, 2))))
            answers += stream.kill()
        else:
            stream.end()
    backend.close()
    assert refused > 0
    assert fallbacks == 3 * (KILLS + 1)

    log = read_log(tmp_path / "served" / "decisions").to_pylist()
    decided = [answer for answer in answers if "error" not in answer]
    assert len({row["time"] for row in log}) == len(log)
    logged = {row["time"]: row for row in log}
    for answer in decided:
        row = logged[answer["time"]]
        assert {name: row[name] for name in answer if name != "line"} == {
            name: value for name, value in answer.items() if name != "line"
        }
    times = {answer["time"] for answer in decided}
    assert len(times) == len(decided)
    sends = [row for row in log if row["action"] > 0]
    assert sends
    assert all(row["opted_in"] and row["sent_this_week"] < row["cap"] for row in sends)
    assert sum(row["plan_source"] != "plan" for row in decided) == fallbacks
    assert not [*(tmp_path / "served").rglob("*.partial")]
