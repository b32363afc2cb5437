"""The executor as a service that answers opportunities given as lines of JSON."""

import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from slowfast_rl.fast.decide import decide, sources
from slowfast_rl.members.arrays import Float32
from slowfast_rl.members.clock import WEEK_SECONDS
from slowfast_rl.members.features import bounds, opportunity_features, weekly_features
from slowfast_rl.members.world import World
from slowfast_rl.policies.columns import columns, opted_in_columns
from slowfast_rl.policies.contracts import BaseExecutor
from slowfast_rl.policies.guard import may_send
from slowfast_rl.policies.plan_reader import PlanReader
from slowfast_rl.services.simulation import executor_version
from slowfast_rl.store import FeatureStore

_PART = 1000  # decisions in a part of the log
_PART_SECONDS = 5.0  # after which a smaller part is written


class JsonLinesService:
    """Answers opportunities, with plans from the store.

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
        self.world, self.executor, self.seed, self.folder = world, executor, seed, folder
        self.reader = PlanReader(world, store)
        self.version = executor_version(executor)
        self._low, self._high = bounds(weekly_features(world) + opportunity_features(world))
        self._rows: list[dict[str, Any]] = []
        self._written, self._since = 0, time.monotonic()

    def respond(self, line: str) -> dict[str, Any]:
        """Return the decision at one opportunity, or an error message, as JSON can hold it.

        A propensity that the executor does not know is None.

        Args:
            line: JSON with ``member``, ``now`` in simulated seconds and ``observation``, the F
                numbers that ``Messaging-v0`` observes.
        """
        try:
            asked = json.loads(line)
            if not isinstance(asked, dict):
                raise ValueError(f"the line is a {type(asked).__name__}; a JSON object is needed")
            member, now = asked["member"], asked["now"]
            obs = np.array([asked["observation"]], np.float32)
            for name, value in (("member", member), ("now", now)):
                if type(value) is not int or not 0 <= value < 2**63:
                    raise ValueError(f"{name} is {value!r}; allowed are whole numbers from 0")
            width = len(columns(self.world))
            if obs.shape != (1, width) or not np.isfinite(obs).all():
                raise ValueError(f"observation needs {width} finite numbers")
            self._check_bounds(obs[0])
        except json.JSONDecodeError as error:
            return {"error": f"not JSON: {error.msg} at character {error.pos}"}
        except KeyError as error:
            return {"error": f"{error} is missing; needed: member, now, observation"}
        except (ValueError, TypeError, RecursionError) as error:
            return {"error": str(error)}
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
        row = {
            "time": now,
            "member": member,
            "channel": channels[channel],
            "action": 0 if vetoed else int(choice.actions[0]),
            "propensity": probability_or_none(choice.propensity[0]),
            "vetoed": vetoed,
            "target": int(reading.plan.target[0, channel]),
            "cap": int(reading.plan.cap[0, channel]),
            "sent_this_week": int(sent[0]),
            "opted_in": bool(opted_in[0]),
            "plan_source": sources(reading, times // WEEK_SECONDS)[0],
            "plan_week": int(reading.plan.week[0]),
            "plan_version": int(reading.plan.policy_version[0]),
            "executor_version": self.version,
        }
        self._log(row)
        return row

    def close(self) -> None:
        """Write the decisions that are not in the log yet."""
        if self._rows:
            from slowfast_rl.services.decision_log import write_part  # needs an extra

            name = f"part-{time.time_ns():020}-{self._written:06}"
            rows = {key: [row[key] for row in self._rows] for key in self._rows[0]}
            write_part(self.folder / "decisions", name, rows)
            self._rows, self._written = [], self._written + 1
        self._since = time.monotonic()

    def _check_bounds(self, observation: Float32) -> None:
        """Check the F numbers of an observation of ``Messaging-v0``.

        Raises:
            ValueError: a number is outside the bounds of its feature.
        """
        outside = (observation < self._low) | (observation > self._high)
        if outside.any():
            i = int(outside.argmax())
            name = list(columns(self.world))[i]
            raise ValueError(
                f"observation has {name} = {observation[i]:g}; allowed is {self._low[i]:g} to "
                f"{self._high[i]:g}"
            )

    def _log(self, row: dict[str, Any]) -> None:
        self._rows.append(row)
        if len(self._rows) >= _PART or time.monotonic() - self._since > _PART_SECONDS:
            self.close()


def probability_or_none(value: float) -> float | None:
    """Return a probability for JSON, which has no NaN: None where it is unknown."""
    return None if np.isnan(value) else float(value)
