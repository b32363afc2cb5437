"""An executor that calls a policy at each slot, for policies that numba cannot compile."""

from typing import Any

import numpy as np

from slowfast_rl.members.arrays import Float32, Int32, Int64
from slowfast_rl.members.observations import opportunity_observation
from slowfast_rl.members.population import Population
from slowfast_rl.members.random import Domain, random_words, uniforms
from slowfast_rl.members.state import VETOED, Week
from slowfast_rl.policies.contracts import BaseExecutor
from slowfast_rl.policies.guard import NO_CAP, action_mask, hold_forbidden, pack_plans
from slowfast_rl.store import UNIFORM_SHAPE


class StepwiseExecutor:
    """Simulates populations slot by slot; every send passes the guard.

    Args:
        policy: the executor whose :meth:`BaseExecutor.act` chooses the actions.
        planned: whether observations show the plan and its caps hold. If not, the policy alone
            decides how much is sent.
    """

    def __init__(self, policy: BaseExecutor, *, planned: bool = True) -> None:
        self.policy, self.planned = policy, planned

    def run_week(
        self,
        population: Population,
        target: Int32,
        cap: Int32 | None = None,
        shape: Int32 | int = UNIFORM_SHAPE,
    ) -> Week:
        """Simulate one week; see :meth:`Executor.run_week`. The policy acts for living members.

        Raises:
            ValueError: the population is in the middle of a week, or the policy does not return
                one action of 0 to K per member.
        """
        if population.slot:
            raise ValueError(
                f"the population is at slot {population.slot}; a week starts at slot 0"
            )
        caps = target if cap is None else cap
        plan_rows = pack_plans(
            target, caps if self.planned else np.full_like(target, NO_CAP), shape
        )
        for slot in population.world.schedule:
            actions = self._decide(population, plan_rows)
            forbidden = hold_forbidden(population, plan_rows, actions)
            population.simulation.ledger[forbidden, VETOED] += 1
            _, events = population.step(actions)
            if self.planned:  # the target is 0 on a channel that the member has left
                left = events.opted_out.view(np.bool_)
                plan_rows[left, 2 * slot.channel : 2 * slot.channel + 2] = 0
        return population.last_week()

    def _decide(self, population: Population, plan_rows: Int32) -> Int64:
        """Return the policy's actions, [N]."""
        actions = np.zeros(population.num_members, np.int64)
        living = np.flatnonzero(population.alive)
        if living.size:
            simulation, slots = population.simulation, population.world.slots_per_week
            times = population.weeks[living].astype(np.int64) * slots + population.slot
            stream, who = int(simulation.state.stream[0]), population.members[living]
            observations = opportunity_observation(
                population, plan_rows[:, 0:-1:2] if self.planned else None
            )
            masks = action_mask(population, plan_rows)[living]
            coins = coins_of(simulation.seed, stream, who, times)
            answer = self.policy.act(observations[living], masks, coins)
            most = population.world.num_candidates
            actions[living] = checked_actions(answer, living.size, most)
        return actions


def coins_of(seed: int, stream: int, entity_ids: Int64, slots: Int64) -> Float32:
    """Return the coins of B opportunities, uniform in [0, 1), [B].

    Args:
        seed: seed of the luck.
        stream: stream of the luck.
        entity_ids: [B] member ids.
        slots: [B] opportunities since the first week began.
    """
    return uniforms(random_words(seed, stream, entity_ids, slots, Domain.PACER))


def checked_actions(answer: Any, count: int, most: int) -> Int64:
    """Return the actions of a policy as int64, [B].

    Args:
        answer: what the policy returned.
        count: B, the number of members.
        most: K, the greatest action.

    Raises:
        ValueError: the policy does not return one integer of 0 to K per member.
    """
    array = np.asarray(answer)
    if array.dtype.kind not in "iu" or array.shape != (count,):
        raise ValueError(
            f"the policy answered with {array.dtype} of shape {array.shape};"
            f" allowed are integers of shape ({count},)"
        )
    if count and not (array.min() >= 0 and array.max() <= most):
        raise ValueError(
            f"the policy's actions span {array.min()} to {array.max()}; allowed is 0 to {most}"
        )
    return array.astype(np.int64)
