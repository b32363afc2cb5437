"""What it takes to see an opt-out effect: by counting, and by what the planner's model learned."""

from typing import Any

import numpy as np

import slowfast_rl as sf
from slowfast_rl.evaluation import Twins
from slowfast_rl.evaluation.protocol import burned_in
from slowfast_rl.evaluation.world.sweeps import check_protocol
from slowfast_rl.members.arrays import Float64
from slowfast_rl.policies.executor import default_executor
from slowfast_rl.policies.guard import feasible_target
from slowfast_rl.policies.plan_exchange import plan_request
from slowfast_rl.slow import FixedPlanner, UtilityPlanner
from slowfast_rl.slow.effects import plan_effects, plan_features
from slowfast_rl.slow.plan_effect_features import observation_terms
from slowfast_rl.slow.plan_logs import outcome_names

POWER = (1.959964 + 0.841621) ** 2  # two-sided 5 %, power 80 %


def opt_out_power(twins: Twins, plan: tuple[int, ...]) -> list[dict[str, Any]]:
    """Return weekly opt-out rates of neighbouring plans and what it takes to tell them apart.

    Each channel's target is raised by one step of the menu and to its maximum.
    """
    world, rows = twins.world, []
    for c, channel in enumerate(world.channels):
        menu = world.menu[c]
        step = menu[min(menu.index(plan[c]) + 1, len(menu) - 1)]
        for target in sorted({step, menu[-1]} - {plan[c]}):
            other = tuple(target if k == c else t for k, t in enumerate(plan))
            low, high = (opt_out_rate(twins, p, c) for p in (plan, other))
            noise = low * (1 - low) + high * (1 - high)
            weeks = POWER * noise / (high - low) ** 2
            row = {"channel": channel, "plan": plan, "other": other}
            rows.append(row | {"rates": [low, high], "member_weeks": weeks})
    return rows


def opt_out_rate(twins: Twins, plan: tuple[int, ...], channel: int) -> float:
    """Return opt-outs a week per member opted in to the channel."""
    weekly = twins.rollout(FixedPlanner(twins.world, plan)).weekly
    return float(weekly["opt_outs"][..., channel].sum() / weekly["opted_in"][..., channel].sum())


def learned_error(
    world: sf.World, sizes: tuple[int, ...], seeds: list[int], quick: bool = False
) -> dict[str, Any]:
    """Return how well effects learned from logs of several sizes fit those seen on twins.

    By component: of the effect of the maximum against never over the window, for members opted in
    to all channels, the error of its mean and the share of its variance over members explained.
    """
    window = UtilityPlanner().settings.window
    protocol = check_protocol(128 if quick else 2048, window, 16)
    start = burned_in(world, protocol, 0)
    start = start.take(np.flatnonzero(start.alive & start.opted_in.all(axis=1)))
    terms, features = (
        observation_terms(world, plan_request(start).observations),
        plan_features(world),
    )
    halves = [twin_effects(start, window, range(h, 8 if quick else 128, 2)) for h in (0, 1)]
    truth, most = (halves[0] + halves[1]) / 2, len(world.plans) - 1
    names = outcome_names(world)
    result: dict[str, Any] = {"window": window, "members": start.num_members, "sizes": []}
    result["effects"] = dict(zip(names, truth.mean(axis=0).tolist(), strict=True))
    for size in sizes:
        fits = [UtilityPlanner(num_members=size, window=window).learn(world, seed=s) for s in seeds]
        row: dict[str, Any] = {"members": size, "member_weeks": size * fits[0].settings.weeks}
        for k, name in enumerate(names):
            unit = np.eye(len(names))[k]
            learned = [
                plan_effects(f.effects, terms, features, unit)[:, most] for f in fits if f.effects
            ]
            row[name] = {
                "bias": [float(e.mean() - truth[:, k].mean()) for e in learned],
                "explained": [explained(e, halves[0][:, k], halves[1][:, k]) for e in learned],
            }
        result["sizes"].append(row)
    return result


def twin_effects(start: sf.Population, window: int, streams: range) -> Float64:
    """Return what the maximum does to each component of each member over the window, [N, M].

    The mean over lucks of the difference between the same member's weeks under either plan.
    """
    world = start.world
    discount = world.reward.weekly_discount
    plans = (world.plans.max(axis=0), world.plans.min(axis=0))
    total = np.zeros((start.num_members, len(outcome_names(world))))
    for stream in streams:
        for sign, plan in zip((1, -1), plans, strict=True):
            population = start.clone()
            population.simulation.state.stream[:] = 1000 + stream  # from here on another luck
            for week in range(window):
                target = np.tile(plan, (start.num_members, 1))
                feasible = feasible_target(target, population.opted_in)
                outcome = default_executor().run_week(population, feasible)
                opens = outcome.opens.sum(axis=1)
                total += (sign * discount**week) * np.column_stack(
                    [outcome.viewing_days, opens, outcome.churned, outcome.opt_outs]
                )
    return total / len(streams)


def covariance(one: Float64, other: Float64) -> float:
    """Return the covariance of two estimates; that of the truth where their errors are alone."""
    return float(np.mean((one - one.mean()) * (other - other.mean())))


def explained(learned: Float64, one: Float64, other: Float64) -> float:
    """Return the share of the true effect's variance over members that a learned one explains.

    Two independent noisy estimates of the truth make it free of their noise: 1 is perfect, 0 is no
    better than one number for all, below 0 worse.
    """
    centred = learned - learned.mean()
    error = np.mean((centred - one + one.mean()) * (centred - other + other.mean()))
    return float(1 - error / covariance(one, other))
