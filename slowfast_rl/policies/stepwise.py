"""Decisions of a policy that numba cannot compile: slot by slot, or on received observations."""

from typing import Any

import numpy as np

from slowfast_rl.members.arrays import Float32, Int32, Int64
from slowfast_rl.members.clock import WEEK_SECONDS
from slowfast_rl.members.features import bounds, opportunity_features, weekly_features
from slowfast_rl.members.observations import opportunity_observation
from slowfast_rl.members.population import Population
from slowfast_rl.members.random import Domain, random_words, uniforms
from slowfast_rl.members.state import VETOED, Week
from slowfast_rl.members.world import World
from slowfast_rl.policies.columns import columns, opted_in_columns, slots_of_week
from slowfast_rl.policies.contracts import BaseExecutor, Choice
from slowfast_rl.policies.guard import NO_CAP, action_mask, hold_forbidden, may_send, pack_plans
from slowfast_rl.store import UNIFORM_SHAPE, PacingPlan


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


def choose_observed(
    executor: BaseExecutor,
    world: World,
    obs: Float32,
    plan: PacingPlan | None,
    entity_ids: Int64,
    times: Int64,
    seed: int,
) -> Choice:
    """Return an executor's decisions at opportunities that a service received.

    They are those that :class:`StepwiseExecutor` makes in a simulated week. The arguments are those
    of :meth:`~slowfast_rl.policies.contracts.BaseExecutor.choose`.
    """
    column, shown = columns(world), np.array(obs, np.float32)
    rows = np.arange(len(shown))
    here = shown[:, [column[f"slot_is_{c}"] for c in world.channels]].argmax(axis=1)
    sent = shown[:, [column[f"{c}_sends_this_week"] for c in world.channels]]
    opted_in = shown[:, opted_in_columns(world)] > 0.5
    target, cap = np.zeros(sent.shape, np.int32), np.full(len(shown), NO_CAP, np.int32)
    planned = plan is not None and executor.planned
    if plan is not None and executor.planned:
        target, cap = plan.target, plan.cap[rows, here]
    shown[:, column["has_plan"]] = planned
    high = bounds(weekly_features(world) + opportunity_features(world))[1]
    for c, channel in enumerate(world.channels):
        own, left = column[f"{channel}_plan_target"], column[f"{channel}_plan_left"]
        shown[:, own] = np.minimum(target[:, c], high[own])
        shown[:, left] = np.clip(target[:, c] - sent[:, c], 0, high[left])
    may = may_send(sent[rows, here], cap, opted_in[rows, here])
    masks = np.column_stack([np.ones(len(shown)), *[may] * world.num_candidates])
    coins = coins_of(seed, 0, entity_ids, slots_of(world, shown, times))
    answer, propensity = executor.decide(shown, masks.astype(np.int8), coins)
    actions = checked_actions(answer, len(shown), world.num_candidates)
    return Choice(np.where(may, actions, 0), np.where(may, propensity, 1.0))


def slots_of(world: World, obs: Float32, times: Int64) -> Int64:
    """Return which opportunities since the first week began were observed, [B].

    Args:
        world: the world, for the layout of observations and the schedule.
        obs: [B, F] observations of ``Messaging-v0``.
        times: [B] simulated seconds, whose weeks are used.
    """
    column = columns(world)
    here = obs[:, [column[f"slot_is_{c}"] for c in world.channels]].argmax(axis=1)
    left = obs[:, column["slots_left"]].astype(np.int64)
    of_week = slots_of_week(world)[here, np.clip(left, 0, world.slots_per_week)]
    found: Int64 = times // WEEK_SECONDS * world.slots_per_week + of_week
    return found


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
