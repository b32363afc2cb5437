"""The two-level agent: a slow planner, a fast executor, and the store between them."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from numpy.typing import ArrayLike

from slowfast_rl.agents.base import Agent, checked
from slowfast_rl.agents.online import OnlinePredictor
from slowfast_rl.agents.turns import Training, logger_of, rebuild, seed_of_turn
from slowfast_rl.fast import AffinityRanker, BidPricePacer, PacedExecutor
from slowfast_rl.members.arrays import Float32, Int64
from slowfast_rl.members.loading import as_world
from slowfast_rl.members.world import World
from slowfast_rl.policies.checkpoint import Checkpoint
from slowfast_rl.policies.contracts import BaseExecutor, BasePlanner
from slowfast_rl.slow import RolloutPlanner
from slowfast_rl.slow.simple import safe_planner
from slowfast_rl.store import FeatureStore, InMemoryFeatureStore
from slowfast_rl.store.checks import check_ids

if TYPE_CHECKING:
    from stable_baselines3.common.logger import Logger

    from slowfast_rl.logs.reading import EventLog

_DEFAULT = "rollouts+bid_price"


class SlowFastAgent(Agent):
    """Plans each member's week with ``slow``, picks messages with ``fast``, through ``store``.

    Args:
        slow: the planner; :class:`~slowfast_rl.slow.RolloutPlanner` by default.
        fast: the executor; bid-price pacer and affinity ranker by default.
        store: the feature store that :meth:`predict` uses, for one population under one luck;
            None makes one in memory. Evaluation gives every luck a store of its own.
        turns: levels in the order in which they learn, such as ``["slow", "fast", "slow"]``; a
            level's later turns go on from its earlier ones. None lets the executor learn first and
            then the planner; an executor that learns from a planner's plans, such as
            :class:`~slowfast_rl.fast.PPOExecutor`, learns after the planner.
        plans_for: the executor that the planner learns to plan for. "default" is the exact pacer
            with the quality ranker, that planners are scored with: either level can then change
            without the other. "own" is this agent's: the return is slightly higher,
            and the plans suit only this executor.
        name: what leaderboards and curves call the agent. None derives it from the parts, as in
            "ppo+coin"; the default experiment's planner and executor are called "slowfast".

    Raises:
        ValueError: ``plans_for`` is neither, ``turns`` are not levels that learn or let an executor
            learn from plans before there are any, or the class of ``slow`` or ``fast`` is not
            complete.
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
        turns: Sequence[str] | None = None,
    ) -> None:
        if plans_for not in ("default", "own"):
            raise ValueError(f"plans_for is {plans_for!r}; allowed: default, own")
        self.plans_for = plans_for
        self.slow = RolloutPlanner() if slow is None else checked(slow, "planner", "slow")
        default = PacedExecutor(BidPricePacer(), AffinityRanker()) if fast is None else fast
        self.fast = checked(default, "executor", "fast")
        if not self.fast.planned:
            raise ValueError("fast sees no plans; allowed is an executor with planned=True")
        self._turns = None if turns is None else tuple(turns)
        for level in self._turns or ():
            if level not in ("slow", "fast") or not getattr(self, level).learns:
                raise ValueError(
                    f"turns are {list(turns or ())}; allowed: slow and fast, of levels that learn"
                )
        order = self.order
        first = order.index("fast") if "fast" in order else 0
        if self.fast.takes_plans and not self.slow.can_act and "slow" not in order[:first]:
            raise ValueError(
                f"turns are {list(order)}; allowed is slow before fast, because executor "
                f"{self.fast.name} learns from plans and planner {self.slow.name} has none yet"
            )
        self.store: FeatureStore = InMemoryFeatureStore() if store is None else store
        self._predictor: OnlinePredictor | None = None
        parts = f"{self.slow.name}+{self.fast.label}"
        self.name = name or ("slowfast" if parts == _DEFAULT else parts)

    def learn(
        self,
        world: World | str,
        *,
        total_opportunities: int | None = None,
        total_cpu_seconds: float | None = None,
        seed: int = 0,
        logger: "Logger | Mapping[str, Logger] | None" = None,
        progress: Callable[[int], None] | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> Self:
        """Train both levels in turns, from the start.

        What does not learn stays as it is; what does not take a budget learns from as much as its
        settings say. See :meth:`turns` for who learns when and for how long.

        Args:
            world: the world to train in, or its name or file.
            total_opportunities: send opportunities to play in all; reproducible bit for bit.
            total_cpu_seconds: CPU time to spend in all instead.
            seed: of population, luck, exploration and weights; a level's later turns have other
                members and luck, that follow from it.
            logger: a Stable-Baselines3 logger, or one for each of "slow" and "fast".
            progress: called now and then with the opportunities of the budget played so far; where
                nothing takes a budget, with those of the planner.
            checkpoint: keeps the training now and then, and has the state of one that was stopped,
                which continues exactly; None for neither.

        Raises:
            ValueError: as :meth:`turns` does, or the planner cannot plan in this world.
        """
        world = as_world(world)
        stopped = rebuild(self, world, checkpoint)
        turns = self.turns(world, total_opportunities, total_cpu_seconds)
        slow, fast = self.slow, self.fast
        levels = [turn.level for turn in turns]
        # Either may refuse the world; then nothing has changed.
        _ = slow.begin(world) if "slow" in levels and not stopped else slow.prepare(world)
        self.world, self.seed, self._predictor = world, seed, None
        training = Training(self, turns, progress, checkpoint)
        executor = fast if self.plans_for == "own" else None
        prepared = executor is not None and fast.learns and levels[:1] == ["slow"]
        if prepared and not stopped:
            training.prepare(fast, world, seed)
        for number, turn in enumerate(turns):
            own = seed_of_turn(seed, levels[:number].count(turn.level))
            given: dict[str, Any] = {"seed": own, "logger": logger_of(logger, turn.level)}
            if turn.level == "slow":
                given["executor"] = executor
            else:
                planned = fast.takes_plans or "slow" in levels[:number]
                given["planner"] = slow if planned else None
                turn = turn._replace(warm_start=turn.warm_start or prepared)
            training.run(turn, world, **given)
        return self

    def learn_from_log(
        self, log: "EventLog", *, seed: int = 0, max_rows: int | None = None
    ) -> Self:
        """Train both levels on a log alone; see :meth:`Agent.learn_from_log`."""
        self._predictor = None
        return super().learn_from_log(log, seed=seed, max_rows=max_rows)

    @property
    def order(self) -> tuple[str, ...]:
        """The levels, "slow" or "fast", in the order in which they learn."""
        if self._turns is not None:
            return self._turns
        before = ("fast",) if self.fast.learns and not self.fast.takes_plans else ()
        after = ("fast",) if self.fast.learns and self.fast.takes_plans else ()
        return before + (("slow",) if self.slow.learns else ()) + after

    def untrained_copy(self, world: World) -> Self:
        """Return the same agent as before its training, with the weights that it began with.

        A planner that has no weights of its own to begin with is replaced by the safe plan, which
        has no turns.
        """
        slow, fast = self.slow, self.fast
        if slow.learns:
            executor = fast if self.plans_for == "own" else None
            slow = slow.untrained(world, self.seed, executor) or safe_planner(world)
        if fast.learns:
            fast = fast.untrained(world, self.seed, slow if fast.takes_plans else None)
        learns = {"slow": slow.learns, "fast": fast.learns}
        turns = None if self._turns is None else [level for level in self._turns if learns[level]]
        return self._made_of(slow, fast, world, turns=turns)

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
            ValueError: observations, ids or times of another shape, or a value that is not finite
                or outside its bounds. The message names the member and the value, and nothing has
                changed, so that the call can be repeated without that member.
            RuntimeError: the agent has no world yet; call learn or load first.
        """
        if self._predictor is None:
            world = self.known_world()
            self._predictor = OnlinePredictor(world, self.slow, self.fast, self.store, self.seed)
        return self._predictor.choose(obs, entity_ids, now, episode_start), None

    def forget(self, entity_ids: ArrayLike) -> None:
        """Delete what :meth:`predict` keeps of some members: plans and beliefs.

        Args:
            entity_ids: [B] ids of members that have left; unknown ones may be among them.

        Raises:
            ValueError: the ids are not integers from 0.
        """
        ids = check_ids(entity_ids)
        if self._predictor is not None:
            self._predictor.forget(ids)

    def options(self) -> dict[str, Any]:
        """Return the turns, as JSON can hold them."""
        return {"turns": None if self._turns is None else list(self._turns)}

    @classmethod
    def assembled(
        cls,
        slow: BasePlanner | None,
        fast: BaseExecutor,
        store: FeatureStore | None,
        content: Mapping[str, Any],
    ) -> Self:
        """Return an agent of parts that were rebuilt from a file."""
        if slow is None:
            raise ValueError("slow is null; a two-level agent needs a planner")
        return cls(slow, fast, store, content["plans_for"], turns=content["turns"])
