"""The two-level agent: a slow planner, a fast executor, and the store between them."""

from collections.abc import Callable
from pathlib import Path
from time import process_time
from typing import Any, Self

from numpy.typing import ArrayLike

from slowfast_rl.agents import disk
from slowfast_rl.agents.online import OnlinePredictor
from slowfast_rl.fast import (
    AffinityRanker,
    BidPricePacer,
    CoinPacer,
    ExactPacer,
    LearningRanker,
    PacedExecutor,
    QualityRanker,
    UpliftRanker,
)
from slowfast_rl.members.arrays import Float32, Int64
from slowfast_rl.members.world import World
from slowfast_rl.policies.budget import check_budget
from slowfast_rl.policies.plan_exchange import Planner
from slowfast_rl.slow import (
    FittedPlanner,
    FixedPlanner,
    LearningPlanner,
    PPOPlanner,
    RolloutPlanner,
    SavedPlanner,
    SegmentsPlanner,
    UtilityPlanner,
)
from slowfast_rl.slow.simple import safe_planner
from slowfast_rl.store import FeatureStore, InMemoryFeatureStore

# What can be saved, by the name it has on disk.
_PLANNERS: dict[str, type[SavedPlanner]] = {
    planner.name: planner
    for planner in (RolloutPlanner, PPOPlanner, UtilityPlanner, SegmentsPlanner, FixedPlanner)
}
_RANKERS = {ranker.name: ranker for ranker in (AffinityRanker, UpliftRanker, QualityRanker)}
_PACERS = {pacer.name: pacer for pacer in (ExactPacer, CoinPacer, BidPricePacer)}


class SlowFastAgent:
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

    Raises:
        ValueError: ``plans_for`` is neither.
    """

    name = "slowfast"

    def __init__(
        self,
        slow: Planner | None = None,
        fast: PacedExecutor | None = None,
        store: FeatureStore | None = None,
        plans_for: str = "default",
    ) -> None:
        if plans_for not in ("default", "own"):
            raise ValueError(f"plans_for is {plans_for!r}; allowed: default, own")
        self.plans_for = plans_for
        self.slow: Planner = RolloutPlanner() if slow is None else slow
        self.fast = PacedExecutor(ranker=AffinityRanker()) if fast is None else fast
        self.store: FeatureStore = InMemoryFeatureStore() if store is None else store
        self.world: World | None = None
        self.seed = 0
        self.train_opportunities = 0  # all played for it, logs and set-up included
        self.train_cpu_seconds = 0.0
        self._serving: OnlinePredictor | None = None

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
        """Fit ranker and pacer on simulated logs, then train the planner on top of them.

        A second call starts anew. What does not learn stays as it is; a planner that does not, or
        whose settings say how long, needs no budget.

        Args:
            world: the world to train in.
            total_opportunities: send opportunities for the planner; reproducible bit for bit.
            total_cpu_seconds: CPU time for the planner instead.
            seed: of population, luck, exploration and weights.
            logger: a Stable-Baselines3 logger.
            progress: called before each of the planner's rollouts with the opportunities played.

        Raises:
            ValueError: the planner learns and not exactly one budget above 0 is given.
        """
        slow, start = self.slow, process_time()
        if isinstance(slow, LearningPlanner):
            check_budget(total_opportunities, total_cpu_seconds)
        self.world, self.seed, self._serving = world, seed, None
        before = 0
        if isinstance(self.fast.ranker, LearningRanker):
            before += self.fast.ranker.learn(world, seed=seed).opportunities
        if isinstance(self.fast.pacer, BidPricePacer):
            before += self.fast.pacer.learn(world, self.fast.ranker, seed=seed).opportunities
        self.train_opportunities = before
        self.train_cpu_seconds = ranker_seconds = process_time() - start
        if not isinstance(slow, LearningPlanner | FittedPlanner):
            return self
        executor = self._learns_with

        def account(opportunities: int) -> None:
            set_up = slow.opportunities_before if isinstance(slow, LearningPlanner) else 0
            self.train_opportunities = before + set_up + opportunities
            self.train_cpu_seconds = ranker_seconds + slow.cpu_seconds

        def report(opportunities: int) -> None:
            account(opportunities)
            if progress is not None:
                progress(opportunities)

        if isinstance(slow, LearningPlanner):
            slow.learn(
                world,
                executor,
                total_opportunities=total_opportunities,
                total_cpu_seconds=total_cpu_seconds,
                seed=seed,
                logger=logger,
                progress=report,
            )
        else:
            slow.learn(world, executor, seed=seed, progress=report)
        account(slow.opportunities)
        return self

    def untrained_copy(self, world: World) -> "SlowFastAgent":
        """Return the same agent as before its training, with the weights that it began with."""
        slow, pacer, ranker = self.slow, self.fast.pacer, self.fast.ranker
        if isinstance(pacer, BidPricePacer):
            pacer = BidPricePacer()
        if isinstance(slow, LearningPlanner):
            slow = type(slow)(**slow.settings).untrained(world, self.seed, self._learns_with)
        elif isinstance(slow, FittedPlanner):
            slow = safe_planner(world)  # knowing nothing, it has no choice
        if isinstance(ranker, LearningRanker):
            ranker = type(ranker)()
        agent = SlowFastAgent(slow, PacedExecutor(pacer, ranker), plans_for=self.plans_for)
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
        if self._serving is None:
            world = self._known_world()
            self._serving = OnlinePredictor(world, self.slow, self.fast, self.store, self.seed)
        return self._serving.choose(obs, entity_ids, now, episode_start), None

    def save(self, path: str | Path) -> None:
        """Write the agent to a directory, or to a zip if the path ends in ``.zip``.

        The world, settings and weights are validated JSON and safetensors; nothing is pickled. The
        store's rows stay where they are.

        Raises:
            ValueError: the planner, pacer or ranker is of a kind that cannot be saved.
            RuntimeError: the agent knows no world yet, or its planner has not learned.
        """
        world = self._known_world()
        slow, pacer, ranker = self.slow, self.fast.pacer, self.fast.ranker
        if not isinstance(slow, SavedPlanner) or slow.name not in _PLANNERS:
            raise _unknown("planner", type(slow).__name__, _PLANNERS)
        if not isinstance(ranker, AffinityRanker | UpliftRanker | QualityRanker):
            raise _unknown("ranker", ranker.name, _RANKERS)
        if not isinstance(pacer, ExactPacer | CoinPacer | BidPricePacer):
            raise _unknown("pacer", pacer.name, _PACERS)
        settings, arrays = slow.state()
        content = {
            "seed": self.seed,
            "train_opportunities": self.train_opportunities,
            "train_cpu_seconds": self.train_cpu_seconds,
            "pacer": pacer.name,
            "pacer_state": pacer.state(),
            "ranker": ranker.name,
            "ranker_state": ranker.state(),
            "planner": slow.name,
            "planner_settings": settings,
            "plans_for": self.plans_for,
        }
        disk.write_agent(Path(path), world, content, arrays)

    @classmethod
    def load(
        cls, path: str | Path, store: FeatureStore | None = None, device: str | None = None
    ) -> Self:
        """Read an agent written by :meth:`save`.

        Args:
            path: the directory or zip.
            store: as in the constructor.
            device: where the planner's network goes; None for where it was.

        Raises:
            ValueError: the files are missing, damaged, or of another format.
        """
        try:
            world, content, arrays = disk.read_agent(Path(path))
            for part, known in (("planner", _PLANNERS), ("ranker", _RANKERS), ("pacer", _PACERS)):
                if content[part] not in known:
                    raise _unknown(part, content[part], known)
            planner, ranker = _PLANNERS[content["planner"]], _RANKERS[content["ranker"]]
            pacer = _PACERS[content["pacer"]].from_state(content["pacer_state"])
            settings = content["planner_settings"]
            if device is not None and "device" in settings:
                settings = settings | {"device": device}
            slow = planner.from_state(world, settings, arrays)
            fast = PacedExecutor(pacer, ranker.from_state(content["ranker_state"]))
            fast.policy(world)  # a pacer of other channels shows itself
            agent = cls(slow, fast, store, content["plans_for"])
        except (ValueError, IndexError, OverflowError) as error:  # as damaged numbers raise
            raise ValueError(f"{path} holds no agent that can be loaded: {error}") from error
        agent.world, agent.seed = world, content["seed"]
        agent.train_opportunities = content["train_opportunities"]
        agent.train_cpu_seconds = content["train_cpu_seconds"]
        return agent

    @property
    def _learns_with(self) -> PacedExecutor | None:
        """The executor that the planner learns with; None for the default."""
        return self.fast if self.plans_for == "own" else None

    def _known_world(self) -> World:
        if self.world is None:
            raise RuntimeError("the agent has no world; call learn or load first")
        return self.world


def _unknown(part: str, name: str, known: Any) -> ValueError:
    return ValueError(f"{part} {name!r} cannot be saved or loaded; allowed: {', '.join(known)}")
