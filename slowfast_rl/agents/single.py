"""Agents without a planner: one policy decides at every opportunity, and nothing caps it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike

from slowfast_rl.agents.base import Agent, checked, whole_numbers
from slowfast_rl.agents.turns import Training, logger_of, rebuild
from slowfast_rl.members.arrays import Float32, Int32, Int64
from slowfast_rl.members.loading import as_world
from slowfast_rl.members.population import Population
from slowfast_rl.members.state import Week
from slowfast_rl.members.world import World
from slowfast_rl.policies.budget import Progress
from slowfast_rl.policies.checkpoint import Checkpoint
from slowfast_rl.policies.columns import columns
from slowfast_rl.policies.contracts import BaseExecutor, BasePlanner, Executor
from slowfast_rl.policies.guard import NO_CAP
from slowfast_rl.store import UNIFORM_SHAPE, FeatureStore

if TYPE_CHECKING:
    from stable_baselines3.common.logger import Logger


class Unplanned:
    """An executor that ignores plans: it has no cap, and the guard keeps the opt-ins.

    Args:
        executor: what decides.
    """

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    def run_week(
        self,
        population: Population,
        target: Int32,
        cap: Int32 | None = None,
        shape: Int32 | int = UNIFORM_SHAPE,
    ) -> Week:
        """Simulate one week without plans and caps."""
        free = np.full_like(target, NO_CAP)
        return self._executor.run_week(population, free, free, shape)


class SinglePolicyAgent(Agent):
    """One executor that decides alone, without plans and caps; the guard keeps the opt-ins.

    PPO at every opportunity, the single-level alternative to the two-level agent, is
    ``SinglePolicyAgent(PPOExecutor(planned=False), name="flat_ppo")``.

    Args:
        fast: the executor.
        name: what leaderboards call the agent; None for the executor's name.

    Raises:
        ValueError: the executor's class is not complete, or it needs a plan.
    """

    kind = "single_policy"

    def __init__(self, fast: BaseExecutor, name: str | None = None) -> None:
        self.slow = None
        self.fast = checked(fast, "executor", "fast")
        if self.fast.planned and self.fast.needs_plans:
            raise ValueError("fast reads plans; allowed is an executor with planned=False")
        self.name = fast.name if name is None else name

    @property
    def executor(self) -> Executor:
        """What simulates weeks for an evaluation."""
        return Unplanned(self.fast)

    def learn(
        self,
        world: World | str,
        *,
        total_opportunities: int | None = None,
        total_cpu_seconds: float | None = None,
        seed: int = 0,
        logger: "Logger | Mapping[str, Logger] | None" = None,
        progress: Progress | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> Self:
        """Train from the start.

        Args:
            world: the world to train in, or its name or file.
            total_opportunities: send opportunities to play; reproducible bit for bit.
            total_cpu_seconds: CPU time to spend instead.
            seed: of population, luck, exploration and weights.
            logger: a Stable-Baselines3 logger, or a mapping with one for "fast".
            progress: called now and then with the opportunities played so far.
            checkpoint: keeps the training now and then, and has the state of one that was stopped,
                which continues exactly; None for neither.

        Raises:
            ValueError: as :meth:`turns` does.
        """
        world = as_world(world)
        rebuild(self, world, checkpoint)
        turns = self.turns(world, total_opportunities, total_cpu_seconds)
        self.world, self.seed = world, seed
        training = Training(self, turns, progress, checkpoint)
        for turn in turns:
            logger_here = logger_of(logger, turn.level)
            training.run(turn, world, planner=None, seed=seed, logger=logger_here)
        return self

    @property
    def order(self) -> tuple[str, ...]:
        """The levels that learn: the executor or none."""
        return ("fast",) if self.fast.learns else ()

    def untrained_copy(self, world: World) -> Self:
        """Return the same agent as before its training, with the weights that it began with."""
        fast = self.fast.untrained(world, self.seed) if self.fast.learns else self.fast
        return self._made_of(None, fast, world)

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
            entity_ids: one id or [B], which key the coins.
            now: simulated seconds, one or [B], which key the coins.
            state: as in Stable-Baselines3; not used.
            episode_start: as in Stable-Baselines3; not used.
            deterministic: as in Stable-Baselines3; not used, as coins are keyed by seed, member
                and time either way.

        Returns:
            [B] actions, 0 holds; and None, as there is no recurrent state.

        Raises:
            ValueError: observations of another shape, or not one id and time per row.
            RuntimeError: the agent has not learned yet.
        """
        world, seen = self.known_world(), np.asarray(obs, np.float32)
        width = len(columns(world))
        if seen.ndim != 2 or seen.shape[1] != width:
            raise ValueError(f"obs has shape {seen.shape}; allowed is (B, {width})")
        batch = (len(seen),)
        given = {"entity_ids": entity_ids, "now": now}
        ids, times = (
            np.broadcast_to(whole_numbers(name, values, [batch, ()]), batch)
            for name, values in given.items()
        )
        return self.fast.choose(world, seen, None, ids, times, self.seed).actions, None

    @classmethod
    def assembled(
        cls,
        slow: BasePlanner | None,
        fast: BaseExecutor,
        store: FeatureStore | None,
        content: Mapping[str, Any],
    ) -> Self:
        """Return an agent of an executor that was rebuilt from a file."""
        if slow is not None:
            raise ValueError("slow is a planner; an agent of one policy has none")
        return cls(fast)
