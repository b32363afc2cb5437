"""Reference policies, computed once and committed: the best fixed plan and the oracle's plans."""

import hashlib
import json
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from slowfast_rl.evaluation.progress import progress_bar
from slowfast_rl.evaluation.protocol import (
    REFERENCE_POPULATION,
    REFERENCE_STREAMS,
    EvaluationProtocol,
    burned_in,
)
from slowfast_rl.evaluation.statistics import (
    Interval,
    mean_interval,
    ratio_interval,
    relative,
)
from slowfast_rl.evaluation.twins import Twins
from slowfast_rl.members.arrays import Float64, Int64
from slowfast_rl.members.bounds import quoted, shortened
from slowfast_rl.members.loading import world_hash
from slowfast_rl.members.reading import (
    MAX_JSON_BYTES,
    parse_json,
    read_bytes,
    sealed,
    unsealed,
)
from slowfast_rl.members.shapes import UNIFORM
from slowfast_rl.members.workers import ProcessWorkers, run_jobs, runs_in_this_process, use_workers
from slowfast_rl.members.world import World
from slowfast_rl.policies.settings import is_number
from slowfast_rl.slow.branches import constant_plan_returns
from slowfast_rl.slow.simple import FixedPlanner, PerMemberPlanner
from slowfast_rl.store.files import write_bytes_atomically

REFERENCES_FOLDER = Path(__file__).parent / "references"
_EXECUTOR = "exact pacer, quality ranker"
_ORACLE_LUCKS = {"6": tuple(range(4, 10)), "12": REFERENCE_STREAMS, "24": tuple(range(4, 28))}


@dataclass(frozen=True)
class References:
    """The reference policies of one world and protocol, and their returns.

    Attributes:
        world: the world's name.
        key: digest of world, menu, executor, populations, members, lucks, burn-in and weeks.
        best_fixed_plan: the single plan with the highest mean return on the reference population.
        oracle_plans: [N] menu index of each evaluated member's best constant plan, chosen under 12
            lucks.
        best_fixed: [N] return of the best fixed plan under the scoring lucks, default executor.
        oracle: [N] return of the oracle's plans under the same lucks and executor.
        oracle_return_by_lucks: the oracle's mean return if its plans are chosen under 6, 12 or 24
            lucks.
        fixed_returns: mean return of every plan on the reference population; a key is a plan such
            as "3,1", followed by a blank and the shape if that is not uniform.
        best_fixed_shape: the best fixed plan's pacing shape.
    """

    world: str
    key: str
    best_fixed_plan: tuple[int, ...]
    oracle_plans: Int64
    best_fixed: Float64
    oracle: Float64
    oracle_return_by_lucks: dict[str, float]
    fixed_returns: dict[str, float]
    best_fixed_shape: str = UNIFORM

    def __repr__(self) -> str:
        """Return the case and the two returns."""
        return (
            f"<References of {self.world}, {len(self.oracle)} members: best fixed "
            f"{self.best_fixed.mean():.2f}, oracle {self.oracle.mean():.2f}>"
        )

    @property
    def gap(self) -> float | None:
        """The oracle's lead over the best fixed plan as a share of the latter's mean return.

        None where the interval of that return does not lie above 0.
        """
        return relative(float((self.oracle - self.best_fixed).mean()), self.best_fixed)

    @property
    def lead_text(self) -> str:
        """The oracle's lead over the best fixed plan in per cent, or without a share in days."""
        if self.gap is not None:
            return f"{100 * self.gap:.1f} %"
        return f"{(self.oracle - self.best_fixed).mean():.2f} viewing days (discounted)"


def gap_closed(returns: Float64, references: References | None) -> Interval | None:
    """Return the share of the gap between best fixed plan (0) and oracle (1) that returns close.

    Args:
        returns: [N] returns of the members of the references.
        references: the references of the same case, or None.

    Returns:
        The share with its interval; None without references or where there is no gap.
    """
    if references is None:
        return None
    fixed = references.best_fixed
    return ratio_interval(returns - fixed, references.oracle - fixed)


def reference_key(world: World, protocol: EvaluationProtocol) -> str:
    """Return the digest that identifies the references of a world and protocol."""
    content = json.dumps(
        [world_hash(world), _EXECUTOR, asdict(protocol), REFERENCE_POPULATION, _ORACLE_LUCKS],
        sort_keys=True,
    )
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def load_references(
    world: World, protocol: EvaluationProtocol, folders: tuple[Path, ...] = (REFERENCES_FOLDER,)
) -> References | None:
    """Return the stored references of a world and protocol, or None if there are none.

    Args:
        world: the world.
        protocol: the evaluation protocol.
        folders: folders that are searched, in this order.

    Raises:
        ValueError: the file is damaged.
    """
    name = f"{world.name}-{reference_key(world, protocol)}.json"
    for path in (folder / name for folder in folders):
        if path.is_file():
            try:
                content = parse_json(unsealed(read_bytes(path, MAX_JSON_BYTES)))
                return _parse(content, world, protocol)
            except (ValueError, KeyError, TypeError, OverflowError, OSError) as error:
                told = shortened(str(error))
                raise ValueError(f"{path} holds no readable references: {told}") from error
    return None


def _parse(content: dict[str, Any], world: World, protocol: EvaluationProtocol) -> References:
    """Return the references of a file's content, after a check of key, shapes and values."""
    key, size = reference_key(world, protocol), (protocol.num_members,)
    references = References(
        world=str(content["world"]),
        key=str(content["key"]),
        best_fixed_plan=tuple(content["best_fixed_plan"]),
        oracle_plans=_array(content, "oracle_plans", np.int64),
        best_fixed=_array(content, "best_fixed", np.float64),
        oracle=_array(content, "oracle", np.float64),
        oracle_return_by_lucks=dict(content["oracle_return_by_lucks"]),
        fixed_returns=dict(content["fixed_returns"]),
        best_fixed_shape=str(content.get("best_fixed_shape", UNIFORM)),
    )
    if (references.key, references.world) != (key, world.name):
        found = quoted(f"{references.world}-{references.key}")
        raise ValueError(f"key is {found}; {world.name}-{key} is needed")
    for name in ("oracle_plans", "best_fixed", "oracle"):
        values = getattr(references, name)
        if values.shape != size:
            raise ValueError(f"{name} has shape {values.shape}; needed: {size}")
        if not np.isfinite(values).all():
            raise ValueError(f"{name} has values that are not finite numbers")
    plans, last = references.oracle_plans, len(world.plans) - 1
    if ((plans < 0) | (plans > last)).any():
        raise ValueError(f"oracle_plans has plans outside the menu; allowed is 0 to {last}")
    world.plan_index(references.best_fixed_plan, references.best_fixed_shape)
    if list(references.oracle_return_by_lucks) != list(_ORACLE_LUCKS):
        raise ValueError(f"oracle_return_by_lucks is not for {', '.join(_ORACLE_LUCKS)} lucks")
    if list(references.fixed_returns) != _plan_keys(world):
        raise ValueError("fixed_returns are not those of the plans of the menu")
    for name in ("oracle_return_by_lucks", "fixed_returns"):
        for key, value in getattr(references, name).items():
            if not is_number(value):
                raise ValueError(f"{name}[{key!r}] is {quoted(value)}; a finite number is needed")
    return references


def _array(content: dict[str, Any], name: str, kind: Any) -> Any:
    """Return a list of numbers as an array, [N]; whole numbers where the kind is one of them."""
    values = content[name]
    allowed = int if kind is np.int64 else float
    if not isinstance(values, list) or not all(type(value) is allowed for value in values):
        raise ValueError(f"{name} is {quoted(values)}; a list of {allowed.__name__} is needed")
    return np.array(values, kind)


def _plan_keys(world: World) -> list[str]:
    """Return the text of each plan in ``fixed_returns``, such as "3,1" or "3,1 weekend"."""
    shapes = [world.shape_names[shape] for shape in world.plan_shapes]
    return [
        ",".join(map(str, plan)) + (f" {shape}" if shape != UNIFORM else "")
        for plan, shape in zip(world.plans.tolist(), shapes, strict=True)
    ]


def save_references(references: References, folder: Path = REFERENCES_FOLDER) -> Path:
    """Write references to a file, atomically, and return its path."""
    content = asdict(references)
    lead = mean_interval(references.oracle - references.best_fixed)
    content |= {
        "best_fixed_plan": list(references.best_fixed_plan),
        "oracle_plans": references.oracle_plans.tolist(),
        "best_fixed": np.round(references.best_fixed, 5).tolist(),
        "oracle": np.round(references.oracle, 5).tolist(),
        "best_fixed_return": float(references.best_fixed.mean()),
        "oracle_return": float(references.oracle.mean()),
        "oracle_minus_best_fixed_ci95": [lead.low, lead.high],
        "gap": references.gap,
    }
    path = folder / f"{references.world}-{references.key}.json"
    write_bytes_atomically(path, sealed(json.dumps(content, allow_nan=False)))
    return path


def compute_references(world: World, protocol: EvaluationProtocol, workers: int = 2) -> References:
    """Compute the references of a case by simulating every plan; this takes up to an hour.

    Args:
        world: the world.
        protocol: the evaluation protocol.
        workers: number of processes, where no other workers are in use; 1 uses the current process.

    Raises:
        ValueError: ``workers`` is below 1, or a scoring luck is one under which the oracle's plans
            are chosen.
    """
    processes = ProcessWorkers(workers)
    if set(protocol.streams) & set(_ORACLE_LUCKS["24"]):
        raise ValueError(
            f"streams is {protocol.streams}; streams 4 to 27 are reserved for the oracle"
        )
    lucks = [(s, REFERENCE_POPULATION) for s in REFERENCE_STREAMS]
    lucks += [(s, protocol.population_seed) for s in _ORACLE_LUCKS["24"]]
    returns = []  # each [N, O]
    bar = progress_bar(len(lucks), world.name, " lucks", leave=True)
    within = use_workers(processes) if runs_in_this_process() else nullcontext()
    with bar, within:
        for result in run_jobs(_plan_returns, (world, protocol), lucks):
            returns.append(result)
            bar.update()
    fixed = np.mean(returns[: len(REFERENCE_STREAMS)], axis=(0, 1))  # [O]
    own = dict(zip(_ORACLE_LUCKS["24"], returns[len(REFERENCE_STREAMS) :], strict=True))
    oracle_plans = {
        lucks: np.mean([own[s] for s in streams], axis=0).argmax(axis=1)
        for lucks, streams in _ORACLE_LUCKS.items()
    }
    first = int(fixed.argmax())
    best = tuple(int(t) for t in world.plans[first])
    shape_names = [world.shape_names[shape] for shape in world.plan_shapes]  # [O]
    twins = Twins(world, protocol)
    oracles = {
        lucks: twins.rollout(PerMemberPlanner(world, plans)).returns
        for lucks, plans in oracle_plans.items()
    }
    return References(
        world=world.name,
        key=reference_key(world, protocol),
        best_fixed_plan=best,
        oracle_plans=oracle_plans["12"],
        best_fixed=twins.rollout(FixedPlanner(world, best, shape_names[first])).returns,
        oracle=oracles["12"],
        oracle_return_by_lucks={lucks: float(r.mean()) for lucks, r in oracles.items()},
        fixed_returns=dict(zip(_plan_keys(world), fixed.tolist(), strict=True)),
        best_fixed_shape=shape_names[first],
    )


def _plan_returns(case: tuple[World, EvaluationProtocol], luck: tuple[int, int]) -> Float64:
    """Return each member's return under each constant plan, under one luck, [N, O]."""
    (world, protocol), (stream, population_seed) = case, luck
    start = burned_in(world, protocol, stream, population_seed)
    return constant_plan_returns(start, protocol.weeks)
