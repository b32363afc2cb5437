"""Simulated logs whose truth is known: the same members and luck under another policy."""

import numpy as np

import slowfast_rl as sf
from slowfast_rl.evaluation.protocol import burned_in
from slowfast_rl.fast import (
    AffinityRanker,
    BidPricePacer,
    CoinPacer,
    PacedExecutor,
    QualityRanker,
    UpliftRanker,
)
from slowfast_rl.fast.exploring import draw_actions
from slowfast_rl.members.observations import opportunity_observation
from slowfast_rl.ope.messages import Messages
from slowfast_rl.ope.plans import HeldPlans, outcome_columns, outcome_weights, week_outcomes
from slowfast_rl.ope.policies import message_probabilities, plan_probabilities
from slowfast_rl.ope.weekly import WeeklyPlans
from slowfast_rl.policies.guard import feasible_target
from slowfast_rl.policies.plan_exchange import plan_request, plans_of_planner
from slowfast_rl.policies.simulate import run_plans
from slowfast_rl.policies.stepwise import slots_of
from slowfast_rl.slow import FixedPlanner, RandomPlanner, UtilityPlanner
from slowfast_rl.store import PacingPlan, pacing_plan

WORLD = "pronounced"


def start(world, members, seed, burn_in=8):
    """Return the members that stayed under random plans for some weeks; a log starts from them."""
    protocol = sf.EvaluationProtocol(members, 1, burn_in, seed, seed, streams=(0,))
    population = burned_in(world, protocol, 0)
    return population.take(np.flatnonzero(population.alive))


def outcomes_of(population, plans, horizons):
    """Return the discounted outcomes of plans that are held, [N, M] at each horizon."""
    world = population.world
    total = np.zeros((population.num_members, len(outcome_columns(world))), np.float32)
    found = {}
    for week in range(max(horizons)):
        alive = population.alive[:, None]  # a churned member's last week stays in the log
        total += (
            world.reward.weekly_discount**week * alive * week_outcomes(run_plans(population, plans))
        )
        if week + 1 in horizons:
            found[week + 1] = total.copy()
    return found


def held_plans(population, horizons, seed):
    """Return logs of plans drawn uniformly and held, by horizon."""
    asked = plan_request(population)
    plans = RandomPlanner(seed).plan(asked)
    share = 1 / asked.feasible.sum(axis=1)
    return {
        horizon: HeldPlans(
            asked.observations, asked.feasible, asked.entity_ids, asked.weeks, plans, share,
            outcomes, horizon,
        )
        for horizon, outcomes in outcomes_of(population.clone(), plans, horizons).items()
    }  # fmt: skip


def truth(population, policy, horizons):
    """Return each member's return under a policy whose plans are held, [N] at each horizon."""
    world = population.world
    target = plan_probabilities(world, policy, plan_request(population))
    found = outcomes_of(population.clone(), target.argmax(axis=1), horizons)
    return {horizon: outcomes @ outcome_weights(world) for horizon, outcomes in found.items()}


def policies(world, quick):
    """Return six planners by name."""
    size = {"num_members": 1024, "weeks": 16} if quick else {"num_members": 8192, "weeks": 52}
    utility = UtilityPlanner(**size).learn(world, seed=77)
    fixed = {f"{a} + {b}": FixedPlanner(world, (a, b)) for a, b in ((0, 0), (1, 1), (3, 1), (5, 2))}
    return {**fixed, "utility": utility, "utility, costly": utility.weighted(message_cost=0.06)}


def coin_probabilities(world, obs, plan):
    """Return four fifths of the published pacer's coin, a candidate drawn uniformly, [B, 1 + K]."""
    coin = PacedExecutor(CoinPacer()).action_probabilities(world, obs, plan)
    send = 0.8 * (1 - coin[:, :1])  # below 1, so that holding has support everywhere
    return np.hstack([1 - send, *[send / world.num_candidates] * world.num_candidates])


def messages(population, weeks, seed):
    """Return a log of messages, and whether each action would have led to a view, [B, 1 + K].

    Plans are drawn anew every week; a coin decides on a send and the candidate is drawn uniformly.
    The reward is whether the member views on that day, on which later decisions are the log's.
    """
    world, planner = population.world, RandomPlanner(seed)
    days = [slot.weekday for slot in world.schedule]
    rows, views, caused = [], [], []
    for _ in range(weeks):
        plans = planner.plan(plan_request(population))
        for number, day in enumerate(days):
            if number == 0 or days[number - 1] != day:
                seen, today = np.zeros(population.num_members, bool), len(rows)
            living, later = population.alive, days[number + 1 :].count(day)
            after = []
            for action in range(1 + world.num_candidates):
                branch = population.clone()
                viewed = seen | decide(branch, plans, seed, action)[1]
                for _ in range(later):
                    viewed = viewed | decide(branch, plans, seed)[1]
                after.append(viewed[living])
            row, viewed = decide(population, plans, seed)
            rows.append([column[living] for column in (*row, seen)])
            seen |= viewed
            caused.append(np.stack(after, axis=1))
            if not later:  # of each opportunity of the day
                ids = population.members[seen]
                views += [np.isin(row[1], ids) for row in rows[today:]]
    columns = [np.concatenate(column) for column in zip(*rows, strict=True)]
    *first, known = columns
    log = Messages(
        *first[:4], np.concatenate(views).astype(float), PacingPlan(*first[4:]), known=known
    )
    return log, np.concatenate(caused)


def decide(population, plans, seed, action=None):
    """Simulate one slot under the coin or under one action; return the log's columns and views."""
    world = population.world
    target = feasible_target(world.plans[plans], population.opted_in)
    plan = pacing_plan(target, population.weeks.astype(np.int64))
    obs = opportunity_observation(population, target)
    probabilities = coin_probabilities(world, obs, plan)
    slots = slots_of(world, obs, population.now)
    actions = draw_actions(probabilities, population.members, slots, seed).actions
    if action is not None:
        actions = np.full_like(actions, action)
    taken = np.where(population.alive, actions, 0)
    _, events = population.step(taken)
    return (obs, population.members, actions, probabilities, *plan), events.viewed > 0


def executors(world, quick):
    """Return four executors by name, which all keep the guard and send nothing without a plan."""
    size = {"num_members": 256, "weeks": 10} if quick else {}
    affinity = AffinityRanker(**size).learn(world, seed=77)
    uplift = UpliftRanker(**size).learn(world, seed=77)
    price = BidPricePacer(**size).learn(world, affinity, seed=77)
    return {
        "coin, best quality": PacedExecutor(CoinPacer(), QualityRanker()),
        "coin, best affinity": PacedExecutor(CoinPacer(), affinity),
        "coin, best uplift": PacedExecutor(CoinPacer(), uplift),
        "bid price, best affinity": PacedExecutor(price, affinity),
    }


def message_policies(world, log, found):
    """Return the probabilities of six executors on a log, by name."""
    given = {
        name: message_probabilities(world, e, log.observations, log.plan)
        for name, e in found.items()
    }
    never, half = np.zeros_like(log.probabilities), log.probabilities / 2
    never[:, 0], half[:, 0] = 1, half[:, 0] + 0.5
    return given | {"never": never, "half as often": half}


def weekly_plans(population, weeks, seed):
    """Return a log of plans drawn uniformly every week."""
    world, planner, rows = population.world, RandomPlanner(seed), []
    population = population.clone()
    for _ in range(weeks):
        asked, alive = plan_request(population), population.alive
        plans = planner.plan(asked)
        week = week_outcomes(run_plans(population, plans))
        rewards = alive * (week @ outcome_weights(world))
        share = 1 / asked.feasible.sum(axis=1)
        rows.append((asked.observations, asked.feasible, plans, share, rewards, alive))
    observations, feasible, plans, share, rewards, alive = map(np.stack, zip(*rows, strict=True))
    members = population.members
    return WeeklyPlans(observations, feasible, members, plans, share, rewards, alive, 8)


def weekly_truth(population, planner, horizons):
    """Return each member's return under a planner that plans every week, [N] at each horizon."""
    world, population = population.world, population.clone()
    total, found = np.zeros(population.num_members), {}
    for week in range(max(horizons)):
        alive = population.alive
        outcomes = week_outcomes(run_plans(population, plans_of_planner(population, planner)))
        total += world.reward.weekly_discount**week * alive * (outcomes @ outcome_weights(world))
        if week + 1 in horizons:
            found[week + 1] = total.copy()
    return found
