"""The executor as a service that answers opportunities given as lines of JSON."""

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from slowfast_rl.fast.decide import decide, sources
from slowfast_rl.logs.decisions import candidates_of
from slowfast_rl.members.arrays import Float32
from slowfast_rl.members.clock import DAY_SECONDS, WEEK_SECONDS
from slowfast_rl.members.world import World
from slowfast_rl.policies.columns import columns, opted_in_columns
from slowfast_rl.policies.contracts import BaseExecutor
from slowfast_rl.policies.guard import may_send
from slowfast_rl.policies.observation_checks import LATEST, check_now, opportunity_check
from slowfast_rl.services.journal import Journal
from slowfast_rl.services.served_plans import RegisteredStore, ServedPlanReader
from slowfast_rl.services.simulation import executor_version
from slowfast_rl.services.store_clock import clock_view, read_clock
from slowfast_rl.store import FeatureStore, StoreUnavailableError, plan_view

LONGEST_LINE = 1 << 20  # bytes
_AHEAD_SECONDS = 52 * WEEK_SECONDS  # by which a line's time may be after the clock in the store
_LONGEST_ERROR = 300  # characters
_LOG = logging.getLogger(__name__)


class _Asked(NamedTuple):
    """What a line asks for: a decision, or that a member be forgotten."""

    member: int
    now: int = 0
    observation: Float32 | None = None  # [1, F]; None to forget the member


class JsonLinesService:
    """Answers opportunities, with plans from the store.

    Whatever a line contains, and whatever the store holds, the line is answered, and the next ones
    are answered as if it had not been there. An answer without ``error`` is in the log before it is
    given. An answer with ``error`` is no decision, and nothing may be sent.

    Args:
        world: the world, for the layout of observations.
        executor: the fast policy.
        store: the store to which the planner writes.
        seed: seed of the pacer's coins.
        folder: folder of the decision log.
    """

    def __init__(
        self, world: World, executor: BaseExecutor, store: FeatureStore, seed: int, folder: Path
    ) -> None:
        self.world, self.executor, self.seed = world, executor, seed
        self.store = RegisteredStore(store, [plan_view(len(world.channels)), clock_view()])
        self.reader = ServedPlanReader(world, self.store)
        self.version = executor_version(executor)
        self._check = opportunity_check(world)
        self._latest = -1  # the latest time that is known to be allowed
        self._journal, self._log_failed = Journal(folder), False

    def respond(self, line: str | bytes) -> dict[str, Any]:
        """Return the decision at one opportunity, or an error message; see :meth:`respond_all`."""
        return self.respond_all([line])[0]

    def respond_all(self, lines: Sequence[str | bytes]) -> list[dict[str, Any]]:
        """Return the answers to lines, after all their decisions are in the log.

        Args:
            lines: JSON with ``member``, ``now`` in simulated seconds and ``observation``, the F
                numbers that ``Messaging-v0`` observes; or with ``forget``, the id of a member that
                has left, whose plans are deleted.
        """
        answers = [self._answer(line) for line in lines]
        decisions = [answer for answer in answers if "action" in answer]
        try:
            self._journal.append(decisions)
        except OSError as error:
            if decisions and not self._log_failed:
                _LOG.warning("decisions cannot be logged and are refused: %s", error)
            self._log_failed = True
            refused = {"error": f"the decision cannot be logged: {error}"}
            return [refused if "action" in answer else answer for answer in answers]
        if self._log_failed and decisions:
            _LOG.warning("decisions are logged again")
            self._log_failed = False
        return answers

    def rest(self) -> None:
        """Turn the decisions in the journal into a part of the log, while nothing arrives."""
        self._journal.convert()

    def _answer(self, line: str | bytes) -> dict[str, Any]:
        """Return the answer to a line, without logging it."""
        try:
            return self._respond(self._read(line))
        except json.JSONDecodeError as error:
            message = f"not JSON: {error.msg} at character {error.pos}"
        except UnicodeDecodeError as error:
            message = f"not UTF-8: {error.reason} at byte {error.start}"
        except KeyError as error:
            message = f"{error} is missing; needed: member, now, observation"
        except (ValueError, RecursionError) as error:
            message = str(error)
        except Exception as error:  # a line's fault must not end the service for the others
            message = f"{type(error).__name__}: {error}"
        return {"error": " ".join(message.split())[:_LONGEST_ERROR]}

    def _read(self, line: str | bytes) -> _Asked:
        """Return what a line asks for.

        Raises:
            ValueError: the line is not what is allowed.
            KeyError: a part is missing.
        """
        if len(line) > LONGEST_LINE:
            raise ValueError(f"the line is too long; allowed are {LONGEST_LINE:,} bytes")
        text = line if isinstance(line, str) else line.decode()
        asked = json.loads(text, object_pairs_hook=_distinct)
        if not isinstance(asked, dict):
            raise ValueError(f"the line is a {type(asked).__name__}; a JSON object is needed")
        if "forget" in asked:
            if len(asked) > 1:
                raise ValueError("beside forget no other key is allowed")
            return _Asked(_whole("forget", asked["forget"]))
        member, now = _whole("member", asked["member"]), _whole("now", asked["now"])
        self._check_time(now)
        return _Asked(member, now, self._observation(asked["observation"]))

    def _observation(self, values: Any) -> Float32:
        """Return an observation, [1, F].

        Raises:
            ValueError: there are not F finite numbers within their bounds.
        """
        width = len(columns(self.world))
        needed = ValueError(f"observation needs {width} finite numbers")
        if type(values) is not list or len(values) != width:
            raise needed
        if not all(type(value) in (int, float) for value in values):
            raise needed
        try:
            with np.errstate(over="ignore"):  # too large for float32 is outside all bounds
                obs = np.array([values], np.float64).astype(np.float32)
        except OverflowError:
            raise needed from None
        if not self._check.valid(obs)[0]:
            raise ValueError(f"observation has {self._check.fault(obs[0])}")
        return obs

    def _check_time(self, now: int) -> None:
        """Check that a time is within the horizon, and not a year after the clock in the store.

        Raises:
            ValueError: it is not.
        """
        if now <= self._latest:
            return
        latest = LATEST
        try:
            clock = read_clock(self.store)
        except (StoreUnavailableError, ValueError):
            clock = None  # silence of the store does not stop the executor
        if clock is not None:
            latest = min(clock + _AHEAD_SECONDS, LATEST)
        check_now(np.array(now), latest)
        self._latest = min(now + DAY_SECONDS, LATEST) if clock is None else latest

    def _respond(self, asked: _Asked) -> dict[str, Any]:
        """Return what the log holds of a decision, or that a member is forgotten."""
        if asked.observation is None:
            self.reader.forget(np.array([asked.member]))
            return {"forgot": asked.member}
        return self._decide(asked.member, asked.now, asked.observation)

    def _decide(self, member: int, now: int, obs: Float32) -> dict[str, Any]:
        """Return a decision as the log holds it."""
        times = np.array([now])
        reading, choice = decide(
            self.world, self.executor, self.reader, obs, np.array([member]), times, self.seed
        )
        column, channels = columns(self.world), self.world.channels
        channel = int(obs[0, [column[f"slot_is_{c}"] for c in channels]].argmax())
        opted_in = obs[:, opted_in_columns(self.world)[channel]] > 0.5
        sent = obs[:, column[f"{channels[channel]}_sends_this_week"]]
        allowed = may_send(
            sent, reading.plan.cap[:, channel], opted_in
        )  # whatever the pacer returned
        vetoed = bool(choice.actions[0] and not allowed[0])
        known = self.executor.action_probabilities(self.world, obs, reading.plan)
        candidates = candidates_of(self.world, obs)
        return {
            "time": now,
            "member": member,
            "channel": channels[channel],
            "action": 0 if vetoed else int(choice.actions[0]),
            "propensity": 1.0 if vetoed else probability_or_none(choice.propensity[0]),
            "vetoed": vetoed,
            "target": int(reading.plan.target[0, channel]),
            "cap": int(reading.plan.cap[0, channel]),
            "sent_this_week": int(sent[0]),
            "opted_in": bool(opted_in[0]),
            "plan_source": sources(reading, times // WEEK_SECONDS)[0],
            "plan_week": int(reading.plan.week[0]),
            "plan_version": int(reading.plan.policy_version[0]),
            "executor_version": self.version,
            **{name: values[0].tolist() for name, values in candidates.items()},
            "probabilities": None if known is None else known[0].tolist(),
        }


def probability_or_none(value: float) -> float | None:
    """Return a probability for JSON, which has no NaN: None where it is unknown."""
    return None if np.isnan(value) else float(value)


def _whole(name: str, value: Any) -> int:
    """Return an id or a time of a line; raise ValueError if it is none."""
    if type(value) is not int or not 0 <= value < 2**63:
        raise ValueError(f"{name} is {value!r:.60}; allowed are whole numbers from 0")
    return value


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the pairs of a JSON object; raise ValueError if a key comes twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key comes twice in the same object; allowed is once")
    return found
