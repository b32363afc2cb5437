"""The two-level agent: a slow planner, a fast executor, and the store between them."""

from collections.abc import Callable
from pathlib import Path
from time import process_time
from typing import Any, Self

import numpy as np

from slowfast_rl.agents import disk
from slowfast_rl.agents.fast_predict import choose_candidates
from slowfast_rl.envs.execution import Planner, Request
from slowfast_rl.envs.guard import feasible_plans
from slowfast_rl.envs.reader import PlanReader
from slowfast_rl.fast import AffinityRanker, Executor, QualityRanker
from slowfast_rl.members.arrays import Float32, Int64
from slowfast_rl.members.clock import WEEK_SECONDS
from slowfast_rl.members.signals import slot_features, week_features
from slowfast_rl.members.world import World
from slowfast_rl.slow import FixedPlanner, PPOPlanner
from slowfast_rl.store import (
    FeatureStore,
    InMemoryFeatureStore,
    StoreUnavailable,
    pacing_plan,
    plan_view,
    write_plans,
)

_RANKERS = {"quality": QualityRanker, "affinity": AffinityRanker}


class SlowFastAgent:
    """Plans each member's week with ``slow``, picks messages with ``fast``, through ``store``.

    Args:
        slow: the planner; :class:`~slowfast_rl.slow.PPOPlanner` by default.
        fast: the executor; exact pacer and affinity ranker by default.
        store: the feature store that :meth:`predict` uses; None makes one in memory. Evaluation
            gives every luck a store of its own.
    """

    name = "slowfast"

    def __init__(
        self,
        slow: Planner | None = None,
        fast: Executor | None = None,
        store: FeatureStore | None = None,
    ) -> None:
        self.slow: Planner = PPOPlanner() if slow is None else slow
        self.fast = Executor(ranker=AffinityRanker()) if fast is None else fast
        self.store = InMemoryFeatureStore() if store is None else store
        self.world: World | None = None
        self.seed = 0
        self.train_opportunities = 0
        self.train_cpu_seconds = 0.0
        self._reader: PlanReader | None = None

    def learn(
        self,
        world: World,
        *,
        total_opportunities: int | None = None,
        total_cpu_seconds: float | None = None,
        seed: int = 0,
        logger: Any = None,
        progress: Callable[[int], None] | None = None,
    ) -> Self:
        """Fit the ranker on randomised logs, then train the planner on top of it.

        Args:
            world: the world to train in.
            total_opportunities: send opportunities for the planner; reproducible bit for bit.
            total_cpu_seconds: CPU time for the planner instead.
            seed: of population, luck, exploration and weights.
            logger: a Stable-Baselines3 logger.
            progress: called with the opportunities played so far.

        Raises:
            ValueError: not exactly one budget is given, or the planner does not learn.
        """
        start = process_time()
        self.world, self.seed, self._reader = world, seed, None
        if isinstance(self.fast.ranker, AffinityRanker):
            self.fast.ranker.learn(world, seed=seed)
        if isinstance(self.slow, PPOPlanner):
            self.slow.learn(
                world,
                self.fast,
                total_opportunities=total_opportunities,
                total_cpu_seconds=total_cpu_seconds,
                seed=seed,
                logger=logger,
                progress=progress,
            )
            self.train_opportunities = self.slow.opportunities
        self.train_cpu_seconds = process_time() - start
        return self

    def untrained_copy(self, world: World) -> "SlowFastAgent":
        """Return the same agent with the weights that training began with."""
        slow, ranker = self.slow, self.fast.ranker
        if isinstance(slow, PPOPlanner):
            slow = PPOPlanner(**slow.settings).untrained(world, self.seed)
        if isinstance(ranker, AffinityRanker):
            ranker = AffinityRanker()
        agent = SlowFastAgent(slow, Executor(self.fast.pacer, ranker))
        agent.world, agent.seed = world, self.seed
        return agent

    def predict(
        self,
        obs: Float32,
        *,
        entity_ids: Int64,
        now: Int64 | int,
        state: None = None,
        episode_start: Any = None,
        deterministic: bool = True,
    ) -> tuple[Int64, None]:
        """Choose an action of ``Messaging-v0`` for each of B members.

        Members without a plan of this week get one, through the store, before the executor reads.

        Args:
            obs: [B, F] observations of ``Messaging-v0`` (without latents).
            entity_ids: [B] member ids, no id twice.
            now: simulated seconds, one or [B].
            state: as in Stable-Baselines3; not used.
            episode_start: [B] true where an episode begins: what is known of them is forgotten.
            deterministic: as in Stable-Baselines3; the pacer's coins are keyed by seed, member and
                time either way.

        Returns:
            [B] actions, 0 holds; and None, as there is no recurrent state.

        Raises:
            ValueError: observations of another shape.
            RuntimeError: the agent knows no world yet.
        """
        if self.world is None:
            raise RuntimeError("the agent has no world; call learn or load first")
        world = self.world
        features = week_features(world) + slot_features(world)
        if obs.ndim != 2 or obs.shape[1] != len(features):
            raise ValueError(f"obs has shape {obs.shape}; allowed is (B, {len(features)})")
        if self._reader is None:
            self.store.apply([plan_view(len(world.channels))])
            self._reader = PlanReader(world, self.store)
        ids = np.asarray(entity_ids, np.int64)
        times = np.broadcast_to(np.asarray(now, np.int64), ids.shape)
        if episode_start is not None and np.any(episode_start):
            self._reader.forget(ids[np.asarray(episode_start, bool)])
        self._plan(obs[:, : len(week_features(world))], ids, times)
        plan = self._reader.read(ids, times)
        actions = choose_candidates(
            world, self.fast, obs, plan.target, plan.cap, ids, times, self.seed
        )
        return actions, None

    def _plan(self, signals: Float32, ids: Int64, times: Int64) -> None:
        """Write plans for the members that have none of this week."""
        assert self.world is not None
        world = self.world
        weeks = times // WEEK_SECONDS
        try:
            stored = self.store.get_online_features("plans", ids, times)
            need = (stored.values["week"] != weeks) | (stored.status != 1)
            if not need.any():
                return
            names = [feature.name for feature in week_features(world)]
            columns = [names.index(f"{channel}_opted_in") for channel in world.channels]
            opted_in = signals[need][:, columns] > 0.5
            feasible = feasible_plans(world.plans, opted_in)
            chosen = self.slow.plan(Request(signals[need], feasible, ids[need], weeks[need]))
            plan = pacing_plan(
                world.plans[chosen], weeks[need], policy_version=self.slow.policy_version
            )
            write_plans(self.store, ids[need], plan, times[need])
        except StoreUnavailable:
            return  # the reader falls back and counts

    def save(self, path: str | Path) -> None:
        """Write the agent to a directory, or to a zip if the path ends in ``.zip``.

        The world, settings and weights are validated JSON and safetensors; nothing is pickled.
        """
        if self.world is None:
            raise RuntimeError("the agent has no world; call learn first")
        ranker = self.fast.ranker
        content: dict[str, Any] = {
            "seed": self.seed,
            "train_opportunities": self.train_opportunities,
            "train_cpu_seconds": self.train_cpu_seconds,
            "pacer": self.fast.pacer.name,
            "ranker": ranker.name,
            "ranker_state": ranker.state() if isinstance(ranker, AffinityRanker) else {},
        }
        arrays = {}
        if isinstance(self.slow, PPOPlanner):
            settings, arrays = self.slow.state()
            content |= {"planner": "ppo", "planner_settings": settings}
        elif isinstance(self.slow, FixedPlanner):
            content |= {"planner": "fixed", "planner_settings": {"plan": list(self.slow.wanted)}}
        else:
            raise ValueError(
                f"planner {type(self.slow).__name__} cannot be saved; allowed: ppo, fixed"
            )
        disk.write_agent(Path(path), self.world, content, arrays)

    @classmethod
    def load(cls, path: str | Path, store: FeatureStore | None = None) -> Self:
        """Read an agent written by :meth:`save`.

        Raises:
            ValueError: the files are missing, damaged, or of another format.
        """
        world, content, arrays = disk.read_agent(Path(path))
        settings = content["planner_settings"]
        slow: Planner
        if content["planner"] == "ppo":
            slow = PPOPlanner.from_state(world, settings, arrays)
        else:
            slow = FixedPlanner(world, settings["plan"])
        ranker_type = _RANKERS[content["ranker"]]
        ranker = (
            ranker_type.from_state(content["ranker_state"])
            if issubclass(ranker_type, AffinityRanker)
            else ranker_type()
        )
        agent = cls(slow, Executor(ranker=ranker), store)
        agent.world, agent.seed = world, int(content["seed"])
        agent.train_opportunities = int(content["train_opportunities"])
        agent.train_cpu_seconds = float(content["train_cpu_seconds"])
        return agent
