"""Members with features in parquet files, as a company would write them."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from slowfast_rl.members.arrays import Float32
from slowfast_rl.members.features import weekly_features
from slowfast_rl.members.observations import weekly_observation
from slowfast_rl.members.population import Population
from slowfast_rl.members.world import World
from slowfast_rl.policies import default_executor
from slowfast_rl.slow import RolloutPlanner


def features(world: World, count: int) -> Float32:
    """Return the weekly observations of members 0 to count - 1 in their third week."""
    population = Population(world, count, 5, 5)
    for _ in range(2):
        default_executor().run_week(population, np.full((count, 2), 4, np.int32))
    return weekly_observation(population)


def write_members(path: Path, world: World, ids, observations: Float32, row_group: int) -> None:
    """Write members [B] with observations [B, F] to a file, in row groups of some members."""
    names = [feature.name for feature in weekly_features(world)]
    table = {"entity_id": np.asarray(ids)} | dict(zip(names, observations.T, strict=True))
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(table), path, row_group_size=row_group)


def some_planner(world: World) -> RolloutPlanner:
    """A planner with beliefs whose plans differ from member to member: its nets are untrained."""
    planner = RolloutPlanner(hidden=8, rank=4).prepare(world)
    planner.values = [planner._new_value(world, torch.Generator().manual_seed(1))]
    planner.policy_version = 6
    return planner
