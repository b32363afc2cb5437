"""Small agents, and lives lived through ``Messaging-v0`` by their ``predict``."""

import json
from typing import Any, NamedTuple

import numpy as np

from slowfast_rl.agents import SlowFastAgent
from slowfast_rl.envs import MessagingVectorEnv
from slowfast_rl.fast import AffinityRanker, PacedExecutor
from slowfast_rl.fast.affinity import Weights
from slowfast_rl.members.reading import sealed
from slowfast_rl.members.world import World
from slowfast_rl.store import FeatureStore
from tests.slow.cases import tiny_planner

WEIGHTS = Weights(4, 0.5, 0.3, 0.8, -1, 0.4)


def untrained_agent(world: World, store: FeatureStore | None = None, seed: int = 3):
    """An agent of random planner weights and made-up ranker weights, as if it had learned."""
    slow = tiny_planner().untrained(world, seed)
    agent = SlowFastAgent(slow, PacedExecutor(ranker=AffinityRanker.with_weights(WEIGHTS)), store)
    agent.world, agent.seed = world, seed
    return agent


def resealed(content: dict[str, Any]) -> bytes:
    """Return an agent's JSON with changed content and a digest that fits."""
    text = json.dumps({key: value for key, value in content.items() if key != "sha256"}, indent=1)
    return sealed(text)


class Lived(NamedTuple):
    """What some weeks of ``predict`` brought; W weeks."""

    sends: np.ndarray  # [W, N, C]
    opted_in: np.ndarray  # [W, N, C] as the week began
    kept: np.ndarray  # [W, N, C] opted in all week
    members: np.ndarray  # [W, N]
    vetoed: int


def live(agent, env: MessagingVectorEnv, weeks: int) -> Lived:
    """Let ``predict`` play an environment from its reset on."""
    obs, _ = env.reset(seed=11)
    lived, vetoed = [], 0
    begins = np.ones(env.num_envs, bool)
    for _ in range(weeks):
        size = (env.num_envs, len(env.world.channels))
        sends, left = np.zeros(size, int), np.zeros(size, bool)
        opted_in, members = env.population.opted_in, env.population.members
        for slot in env.world.schedule:
            population = env.population
            actions, _ = agent.predict(
                obs, entity_ids=population.members, now=population.now, episode_start=begins
            )
            obs, _, terminated, truncated, info = env.step(actions)
            begins = terminated | truncated
            for part in (info, info.get("final_info", {})):  # rows that go on, rows that ended
                if part:
                    vetoed += int(np.sum(part["vetoed"]))
                    sends[:, slot.channel] += part["sent"]
                    left[:, slot.channel] |= part["opted_out"]
        lived.append((sends, opted_in, opted_in & ~left, members))
    return Lived(*(np.array(part) for part in zip(*lived, strict=True)), vetoed)
