"""Planners without training: a fixed plan, a plan per member, random plans, exchanged plans."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from slowfast_rl.members.arrays import Bool, Int64
from slowfast_rl.members.random import Domain, ExplorationStream, random_words
from slowfast_rl.members.shapes import UNIFORM
from slowfast_rl.members.world import World
from slowfast_rl.policies.component import State
from slowfast_rl.policies.contracts import BasePlanner, PlanRequest
from slowfast_rl.policies.registry import register


@register
class FixedPlanner(BasePlanner):
    """The same plan for all members, 0 on channels that the member has left.

    Args:
        world: the world, on whose menu the plan is.
        plan: sends per week on each channel, in the order of ``world.channels``.
        shape: name of the pacing shape.

    Raises:
        ValueError: the plan is not on the menu.
    """

    name = "fixed"
    thread_safe = True

    def __init__(self, world: World, plan: Sequence[int], shape: str = UNIFORM) -> None:
        super().__init__()
        self.wanted, self.shape = tuple(int(target) for target in plan), shape
        self.prepare(world)

    def prepare(self, world: World) -> Self:
        """Find the plan on a world's menu.

        Raises:
            ValueError: it is not on the menu.
        """
        if len(self.wanted) != len(world.channels):
            raise ValueError(
                f"plan is {list(self.wanted)}; one target per channel {world.channels} is needed"
            )
        self._index = world.plan_index(self.wanted, self.shape)
        self._feasible = FeasibleIndex(world)
        return super().prepare(world)

    def plan(self, request: PlanRequest) -> Int64:
        """Return the plan's index for each of B members, [B]."""
        wanted = np.full(len(request.entity_ids), self._index)
        return self._feasible(wanted, request.feasible)

    def state(self) -> dict[str, Any]:
        """Return the plan and its shape."""
        return {"plan": list(self.wanted), "shape": self.shape}

    @classmethod
    def from_state(cls, world: World, settings: Any, state: State, **parts: Any) -> Self:
        """Rebuild a planner from :meth:`state`.

        Raises:
            ValueError: the state is not that of a fixed planner of this world.
        """
        plan, shape = state.get("plan"), state.get("shape")
        if sorted(state) != ["plan", "shape"] or not isinstance(plan, list):
            raise ValueError(f"fixed planner has {dict(state)}; allowed: a list as plan, a shape")
        if not isinstance(shape, str):
            raise ValueError(f"shape is {shape!r}; allowed is the name of a pacing shape")
        return cls(world, plan, shape)


def safe_planner(world: World) -> FixedPlanner:
    """Return the planner of the world's safe plan, or of the largest plan on the menu within it."""
    pairs = zip(world.menu, world.safe_plan, strict=True)
    return FixedPlanner(world, [max(t for t in targets if t <= most) for targets, most in pairs])


class PerMemberPlanner(BasePlanner):
    """A constant plan for each member, such as the oracle's.

    Args:
        world: the world.
        plans: [N] indices into the menu; member m has plan ``plans[m]``.
    """

    name = "per_member"
    thread_safe = True

    def __init__(self, world: World, plans: Int64) -> None:
        super().__init__()
        self._feasible = FeasibleIndex(world)
        self._plans = plans

    def plan(self, request: PlanRequest) -> Int64:
        """Return each member's plan, 0 on channels that it has left, [B]."""
        return self._feasible(self._plans[request.entity_ids], request.feasible)


@register
class RandomPlanner(BasePlanner):
    """A feasible plan, drawn uniformly for each member and week.

    Args:
        seed: the seed; a plan depends only on seed, member, week and the feasible plans.
        domain: the domain of the random numbers: exploration or burn-in.
        stream: an independent stream of random numbers.
    """

    name = "random"
    thread_safe = True

    def __init__(
        self,
        seed: int = 0,
        domain: Domain = Domain.EXPLORATION,
        stream: int = ExplorationStream.RANDOM_PLANS,
    ) -> None:
        super().__init__()
        self.seed, self.domain, self.stream = seed, domain, stream

    def state(self) -> dict[str, Any]:
        """Return what keys the coins."""
        return {"seed": self.seed, "domain": int(self.domain), "stream": int(self.stream)}

    @classmethod
    def from_state(cls, world: World, settings: Any, state: State, **parts: Any) -> Self:
        """Rebuild a planner from :meth:`state`.

        Raises:
            ValueError: the state is not that of a random planner.
        """
        whole = all(type(value) is int for value in state.values())
        if sorted(state) != ["domain", "seed", "stream"] or not whole:
            raise ValueError(f"random planner has {dict(state)}; allowed: domain, seed and stream")
        return cls(state["seed"], Domain(state["domain"]), state["stream"]).prepare(world)

    def plan(self, request: PlanRequest) -> Int64:
        """Return a random feasible plan for each of B members, [B]."""
        words = random_words(self.seed, self.stream, request.entity_ids, request.weeks, self.domain)
        count = request.feasible.sum(axis=1)
        rank = (words.astype(np.uint64) * count.astype(np.uint64)) >> np.uint64(32)
        cumulative = np.cumsum(request.feasible, axis=1, dtype=np.int32)
        chosen: Int64 = np.argmax(cumulative > rank[:, None].astype(np.int32), axis=1)
        return chosen


class DealtPlanner(BasePlanner):
    """Another planner's choices, exchanged at random among members with the same opt-in flags.

    The number of sends of each week stays the same, but no longer depends on the member. The value
    that remains is not due to personalisation.

    Args:
        planner: the other planner.
        seed: the seed of the exchange.
    """

    name = "dealt"

    def __init__(self, planner: BasePlanner, seed: int = 0) -> None:
        super().__init__()
        self._planner, self.seed = planner, seed
        self.needs_beliefs, self.privileged = planner.needs_beliefs, planner.privileged
        self.belief_filter = planner.belief_filter
        self.policy_version = planner.policy_version
        self.thread_safe = planner.thread_safe

    def plan(self, request: PlanRequest) -> Int64:
        """Return the choices, exchanged within each group of members with equal flags, [B]."""
        plans = self._planner.plan(request)
        coins = random_words(
            self.seed,
            ExplorationStream.DEALT_PLANS,
            request.entity_ids,
            request.weeks,
            Domain.EXPLORATION,
        )
        packed = np.packbits(request.feasible, axis=1)  # sorting bytes is cheaper than flags
        groups = np.unique(packed, axis=0, return_inverse=True)[1].ravel()
        receivers = np.argsort(groups, kind="stable")
        givers = np.lexsort((coins, groups))
        dealt = plans.copy()
        dealt[receivers] = plans[givers]
        return dealt


class FeasibleIndex:
    """Maps wanted plans to feasible ones: target 0 on every channel that the member has left.

    Args:
        world: the world, whose menu has a target of 0 on every channel.
    """

    def __init__(self, world: World) -> None:
        plans, num_channels = world.plans, len(world.channels)
        bits = np.arange(2**num_channels)[:, None] >> np.arange(num_channels) & 1  # [2^C, C]
        shape, *positions = np.unravel_index(np.arange(len(plans)), world.plan_grid)  # each [O]
        kept = np.stack(positions)[:, None] * bits.T[:, :, None]  # [C, 2^C, O], 0 if it was left
        shapes = np.broadcast_to(shape, kept.shape[1:])
        self._index = np.ravel_multi_index((shapes, *kept), world.plan_grid).astype(
            np.int64
        )  # [2^C, O]
        others = plans.sum(axis=1, keepdims=True) - plans
        self._alone = (plans > 0) & (others == 0)  # [O, C] plans that send on this channel only

    def __call__(self, wanted: Int64, feasible: Bool) -> Int64:
        """Return feasible plans, [B].

        Args:
            wanted: [B] indices into the menu.
            feasible: [B, O] feasible plans, as in a request.
        """
        opted_in = feasible @ self._alone  # [B, C]
        pattern = opted_in @ (1 << np.arange(opted_in.shape[1]))
        chosen: Int64 = self._index[pattern, wanted]
        return chosen
