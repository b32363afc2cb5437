"""The two-level agent: a slow planner, a fast executor, and the store between them."""

from collections.abc import Callable
from typing import Any, Self

from numpy.typing import ArrayLike

from slowfast_rl.agents.base import Agent, Training, checked
from slowfast_rl.agents.online import OnlinePredictor
from slowfast_rl.fast import AffinityRanker, PacedExecutor
from slowfast_rl.members.arrays import Float32, Int64
from slowfast_rl.members.world import World
from slowfast_rl.policies.budget import check_budget
from slowfast_rl.policies.contracts import BaseExecutor, BasePlanner
from slowfast_rl.slow import RolloutPlanner
from slowfast_rl.slow.simple import safe_planner
from slowfast_rl.store import FeatureStore, InMemoryFeatureStore

_DEFAULT = "rollouts+bid_price"


class SlowFastAgent(Agent):
    """Plans each member's week with ``slow``, picks messages with ``fast``, through ``store``.

    Args:
        slow: the planner; :class:`~slowfast_rl.slow.RolloutPlanner` by default.
        fast: the executor; exact pacer and affinity ranker by default.
        store: the feature store that :meth:`predict` uses, for one population under one luck;
            None makes one in memory. Evaluation gives every luck a store of its own.
        plans_for: the executor that the planner learns to plan for. "default" is the exact pacer
            with the quality ranker, that planners are scored with: either level can then change
            without the other. "own" is this agent's: a little more return, for plans that suit it
            alone.
        name: what leaderboards and curves call the agent. None says what it is, as in "ppo+coin";
            the default experiment's planner and executor are called "slowfast".

    Raises:
        ValueError: ``plans_for`` is neither, or the class of ``slow`` or ``fast`` is not complete.
    """

    kind = "slowfast"
    slow: BasePlanner

    def __init__(
        self,
        slow: BasePlanner | None = None,
        fast: BaseExecutor | None = None,
        store: FeatureStore | None = None,
        plans_for: str = "default",
        name: str | None = None,
    ) -> None:
        if plans_for not in ("default", "own"):
            raise ValueError(f"plans_for is {plans_for!r}; allowed: default, own")
        self.plans_for = plans_for
        self.slow = RolloutPlanner() if slow is None else checked(slow, "planner", "slow")
        default = PacedExecutor(ranker=AffinityRanker()) if fast is None else fast
        self.fast = checked(default, "executor", "fast")
        for part in type(self.fast).parts:
            if getattr(self.fast, part) is not None:
                checked(getattr(self.fast, part), part, part)
        if not self.fast.planned:
            raise ValueError("fast sees no plans; allowed is an executor with planned=True")
        if plans_for == "own" and self.fast.takes_plans:
            raise ValueError(
                "plans_for is 'own', and the executor learns from the planner's plans; allowed "
                "here is 'default'"
            )
        self.store: FeatureStore = InMemoryFeatureStore() if store is None else store
        self._predictor: OnlinePredictor | None = None
        parts = f"{self.slow.name}+{self.fast.label}"
        self.name = name or ("slowfast" if parts == _DEFAULT else parts)

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
        """Fit the executor on simulated logs, then train the planner on top of it.

        An executor that learns from a planner's plans, such as
        :class:`~slowfast_rl.fast.PPOExecutor`, learns after the planner, with a budget of the same
        size. A second call starts anew. What does not learn stays as it is; what does not take a
        budget learns from as much as its settings say.

        Args:
            world: the world to train in.
            total_opportunities: send opportunities for each level; reproducible bit for bit.
            total_cpu_seconds: CPU time for each level instead.
            seed: of population, luck, exploration and weights.
            logger: a Stable-Baselines3 logger.
            progress: called now and then with the opportunities that the level has played.

        Raises:
            ValueError: a level takes a budget and not exactly one budget above 0 is given.
        """
        slow, fast = self.slow, self.fast
        budget = {
            "total_opportunities": total_opportunities,
            "total_cpu_seconds": total_cpu_seconds,
        }
        if slow.takes_budget or fast.takes_budget:
            check_budget(total_opportunities, total_cpu_seconds)
        self.world, self.seed, self._predictor = world, seed, None
        self.train_opportunities, self.train_cpu_seconds = 0, 0.0
        training = Training(self, progress)
        if fast.learns and not fast.takes_plans:
            quiet = Training(self, None)  # its opportunities are not those of the bar
            quiet.run(fast, world, **budget, seed=seed, logger=logger)
            training = quiet.with_progress(progress)
        if slow.learns:
            executor = fast if self.plans_for == "own" else None
            slow.prepare(world)
            training.run(slow, world, executor=executor, **budget, seed=seed, logger=logger)
        elif slow.world is None:
            slow.prepare(world)
        if fast.takes_plans:
            training.run(fast, world, planner=slow, **budget, seed=seed, logger=logger)
        return self

    def untrained_copy(self, world: World) -> "SlowFastAgent":
        """Return the same agent as before its training, with the weights that it began with."""
        slow, fast = self.slow, self.fast
        if slow.learns:
            executor = fast if self.plans_for == "own" else None
            slow = slow.untrained(world, self.seed, executor) or safe_planner(world)
        if fast.learns:
            fast = fast.untrained(world, self.seed, slow if fast.takes_plans else None)
        agent = SlowFastAgent(slow, fast, plans_for=self.plans_for, name=self.name)
        agent.world, agent.seed = world, self.seed
        return agent

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
            ValueError: observations, ids or times of another shape.
            RuntimeError: the agent knows no world yet.
        """
        if self._predictor is None:
            world = self.known_world()
            self._predictor = OnlinePredictor(world, self.slow, self.fast, self.store, self.seed)
        return self._predictor.choose(obs, entity_ids, now, episode_start), None

    @classmethod
    def assembled(
        cls,
        slow: BasePlanner | None,
        fast: BaseExecutor,
        store: FeatureStore | None,
        plans_for: str,
    ) -> Self:
        """Return an agent of parts that were rebuilt from a file."""
        if slow is None:
            raise ValueError("slow is null; a two-level agent needs a planner")
        return cls(slow, fast, store, plans_for)
