"""Flat PPO: one policy at every opportunity, no planner, nothing to begin with."""

from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from slowfast_rl.agents import disk
from slowfast_rl.agents.single import Unplanned, may_send
from slowfast_rl.fast.ppo import PPOExecutor
from slowfast_rl.members.arrays import Float32, Int64
from slowfast_rl.members.random import Domain, random_words
from slowfast_rl.members.world import World
from slowfast_rl.policies.budget import Progress


class FlatPPOAgent:
    """Stable-Baselines3 PPO on ``Messaging-v0`` without a planner, the single-level alternative.

    Discounts by .98 a week, .98^(1/slots) an opportunity, as the two-level agent does.

    Args:
        policy: what learns; one without plans and without a ranker by default.

    Raises:
        ValueError: the policy reads plans.
    """

    name = "flat_ppo"

    def __init__(self, policy: PPOExecutor | None = None) -> None:
        self.policy = PPOExecutor(planned=False) if policy is None else policy
        if self.policy.planned:
            raise ValueError("policy reads plans; allowed is one with planned=False")
        self.world: World | None = None
        self.seed = 0
        self.train_cpu_seconds = 0.0
        self.train_opportunities = 0

    @property
    def executor(self) -> Unplanned:
        """What lives the weeks."""
        return Unplanned(self.policy)

    def learn(
        self,
        world: World,
        *,
        total_opportunities: int | None = None,
        total_cpu_seconds: float | None = None,
        seed: int = 0,
        logger: Any = None,
        progress: Progress | None = None,
    ) -> Self:
        """Train from new weights.

        Args:
            world: the world to train in.
            total_opportunities: send opportunities to play; reproducible bit for bit.
            total_cpu_seconds: CPU time to spend instead.
            seed: of population, luck, exploration and weights.
            logger: a Stable-Baselines3 logger.
            progress: called before each rollout with the opportunities played so far.

        Raises:
            ValueError: not exactly one budget above 0 is given.
        """
        self.policy.learn(
            world,
            total_opportunities=total_opportunities,
            total_cpu_seconds=total_cpu_seconds,
            seed=seed,
            logger=logger,
            progress=progress,
        )
        self.world, self.seed = world, seed
        self.train_opportunities = self.policy.opportunities + self.policy.opportunities_before
        self.train_cpu_seconds = self.policy.cpu_seconds
        return self

    def predict(
        self,
        obs: Float32,
        *,
        entity_ids: ArrayLike,
        now: ArrayLike,
        state: None = None,
        episode_start: ArrayLike | None = None,
        deterministic: bool = True,
    ) -> tuple[Int64, None]:
        """Choose an action of ``Messaging-v0`` for each of B members.

        Args:
            obs: [B, F] observations of ``Messaging-v0`` (without latents).
            entity_ids: [B] member ids, which key the coins.
            now: simulated seconds, one or [B], likewise.
            state: as in Stable-Baselines3; not used, as are all that follow.
            episode_start: likewise.
            deterministic: likewise; coins are keyed by seed, member and time either way.

        Returns:
            [B] actions, 0 holds; and None, as there is no recurrent state.

        Raises:
            ValueError: observations of another shape, or not one id and time per row.
            RuntimeError: the agent has not learned yet.
        """
        if self.world is None:
            raise RuntimeError("the agent has no world; call learn or load first")
        seen = np.asarray(obs, np.float32)
        may, size = may_send(self.world, seen), len(seen)
        ids = np.broadcast_to(np.asarray(entity_ids, np.int64), size)
        minutes = np.broadcast_to(np.asarray(now, np.int64), size) // 60
        words = random_words(self.seed, 0, ids, minutes, Domain.PACER)
        masks = np.column_stack([np.ones(size), *[may] * self.world.num_candidates])
        coins = (words >> 8).astype(np.float32) * np.float32(2.0**-24)
        return self.policy.act(seen, masks.astype(np.int8), coins), None

    def save(self, path: str | Path) -> None:
        """Write the agent to a directory, or to a zip if the path ends in ``.zip``.

        Raises:
            RuntimeError: the agent has not learned yet.
        """
        settings, arrays = self.policy.state()
        if self.world is None:
            raise RuntimeError("the agent has no world; call learn or load first")
        content = {
            "seed": self.seed,
            "train_opportunities": self.train_opportunities,
            "train_cpu_seconds": self.train_cpu_seconds,
            "pacer": self.policy.name,
            "pacer_state": {},
            "ranker": self.policy.name,
            "ranker_state": {},
            "planner": "none",
            "planner_settings": settings,
            "plans_for": "own",
        }
        disk.write_agent(Path(path), self.world, content, arrays)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read an agent written by :meth:`save`.

        Raises:
            ValueError: the files are missing, damaged, or hold another kind of agent.
        """
        try:
            world, content, arrays = disk.read_agent(Path(path))
            parts = tuple(content[part] for part in ("pacer", "ranker", "planner"))
            if parts != (PPOExecutor.name, PPOExecutor.name, "none"):
                raise ValueError(f"an agent of {parts}; allowed: ppo, ppo, none")
            agent = cls(PPOExecutor.from_state(world, content["planner_settings"], arrays))
        except (ValueError, TypeError) as error:
            raise ValueError(f"{path} holds no agent that can be loaded: {error}") from error
        agent.world, agent.seed = world, content["seed"]
        agent.train_opportunities = content["train_opportunities"]
        agent.train_cpu_seconds = content["train_cpu_seconds"]
        return agent
