"""Planners that learn nothing: one plan for all, a plan per member, a random plan, dealt plans."""

from collections.abc import Sequence

import numpy as np

from slowfast_rl.envs.execution import Planner, Request
from slowfast_rl.envs.guard import feasible_target
from slowfast_rl.members.arrays import Bool, Int32, Int64
from slowfast_rl.members.random import Domain, random_words
from slowfast_rl.members.world import World


class FixedPlanner:
    """The same plan for everyone, 0 on channels that the member has left.

    Args:
        world: whose menu the plan is on.
        plan: sends a week per channel, in the order of ``world.channels``.

    Raises:
        ValueError: the plan is not on the menu.
    """

    policy_version = 0

    def __init__(self, world: World, plan: Sequence[int]) -> None:
        self._feasible = FeasibleIndex(world)
        self._index = world.plan_index(tuple(plan))
        self.wanted = tuple(int(target) for target in plan)

    def plan(self, request: Request) -> Int64:
        """Return the plan's index for each of B members, [B]."""
        wanted = np.full(len(request.entity_ids), self._index)
        return self._feasible(wanted, request.feasible)


class PerMemberPlanner:
    """A constant plan for each member, such as the oracle's.

    Args:
        world: whose menu the plans are on.
        plans: [N] indices into the menu; member m has plan ``plans[m]``.
    """

    policy_version = 0

    def __init__(self, world: World, plans: Int64) -> None:
        self._feasible = FeasibleIndex(world)
        self._plans = plans

    def plan(self, request: Request) -> Int64:
        """Return each member's plan, 0 on channels that it has left, [B]."""
        return self._feasible(self._plans[request.entity_ids], request.feasible)


class RandomPlanner:
    """A feasible plan drawn uniformly each week, by coins of its own.

    Args:
        seed: keys the coins; the choice depends on (seed, member, week) alone.
        domain: which coins: those of exploration or of the burn-in.
    """

    policy_version = 0

    def __init__(self, seed: int = 0, domain: Domain = Domain.EXPLORATION, stream: int = 0) -> None:
        self.seed, self.domain, self.stream = seed, domain, stream

    def plan(self, request: Request) -> Int64:
        """Return a random feasible plan for each of B members, [B]."""
        words = random_words(self.seed, self.stream, request.entity_ids, request.weeks, self.domain)
        count = request.feasible.sum(axis=1)
        rank = (words.astype(np.uint64) * count.astype(np.uint64)) >> np.uint64(32)
        cumulative = np.cumsum(request.feasible, axis=1)
        return np.argmax(cumulative > rank[:, None].astype(np.int64), axis=1)


class DealtPlanner:
    """Another planner's choices, dealt at random among members with the same opt-in flags.

    Keeps how much is sent each week and loses who gets it: what is left of a planner's value is
    not personalisation.

    Args:
        planner: whose choices to deal.
        seed: keys the dealing.
    """

    def __init__(self, planner: Planner, seed: int = 0) -> None:
        self._planner, self.seed = planner, seed

    @property
    def policy_version(self) -> int:
        """The dealt planner's version."""
        return self._planner.policy_version

    def plan(self, request: Request) -> Int64:
        """Return the choices in another order within each group of equal flags, [B]."""
        plans = self._planner.plan(request)
        coins = random_words(self.seed, 1, request.entity_ids, request.weeks, Domain.EXPLORATION)
        packed = np.packbits(request.feasible, axis=1)
        groups = np.unique(packed.view(f"V{packed.shape[1]}").ravel(), return_inverse=True)[1]
        receivers = np.argsort(groups, kind="stable")
        givers = np.lexsort((coins, groups))
        dealt = plans.copy()
        dealt[receivers] = plans[givers]
        return dealt


class FeasibleIndex:
    """Maps wanted plans to feasible ones: target 0 on every channel that the member has left.

    Raises:
        ValueError: the menu lacks 0 on a channel, so that some plan cannot be made feasible.
    """

    def __init__(self, world: World) -> None:
        plans = world.plans
        self._alone = [_alone(plans, c) for c in range(plans.shape[1])]  # C times [O]
        self._index = {tuple(p): i for i, p in enumerate(plans.tolist())}
        self._plans = plans

    def __call__(self, wanted: Int64, feasible: Bool) -> Int64:
        """Return feasible plans.

        Args:
            wanted: [B] indices into the menu.
            feasible: [B, O] as in a request.
        """
        if feasible[np.arange(len(wanted)), wanted].all():
            return wanted.astype(np.int64)
        opted_in = np.stack([feasible[:, alone].any(axis=1) for alone in self._alone], axis=1)
        target = feasible_target(self._plans[wanted], opted_in)
        return np.array([self._index[tuple(t)] for t in target.tolist()], np.int64)


def _alone(plans: Int32, channel: int) -> Bool:
    """Return which plans send on this channel and on no other, [O]."""
    others = np.delete(plans, channel, axis=1)
    return np.asarray((plans[:, channel] > 0) & (others == 0).all(axis=1))
