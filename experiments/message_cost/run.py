"""Sweep the utility planner's message cost, and measure what logs can show of opt-outs.

python experiments/message_cost/run.py [--quick] [--seeds 0 1 2]
"""

from pathlib import Path

import numpy as np
from identify import learned_error, opt_out_power

import slowfast_rl as sf
from slowfast_rl.evaluation import Twins, figures, mean_interval
from slowfast_rl.evaluation import formatting as fmt
from slowfast_rl.evaluation.studies import Flag, Options, Results, Study
from slowfast_rl.evaluation.world.sweeps import check_protocol
from slowfast_rl.slow import FixedPlanner, SegmentsPlanner, UtilityPlanner

COSTS = (0.0, 0.0025, 0.005, 0.01, 0.015, 0.02, 0.03, 0.045, 0.06)
CASES = {str(cost): {"message_cost": cost} for cost in COSTS} | {
    "0, opt-outs and churn not counted": {"message_cost": 0.0, "opt_out": 0.0, "churn": 0.0}
}
WINDOWS = (1, 8, 26)  # weeks
FIXED_SEED = 78  # of the members that choose the best fixed plan
WORLDS = {
    "pronounced": ("pronounced", {}),
    "pronounced, opt-outs the only lasting harm": (
        "pronounced", {"fatigue.goodwill_loss": 0, "organic.fatigue_weight": 0},
    ),
    "calibrated": ("calibrated", {}),
}  # fmt: skip
LEARNED = {"viewing_days": "viewing days", "push_opt_outs": "push opt-outs", "churn": "churn"}


def measure(options: Options) -> Results:
    """Return the sweep and the power calculation of each world, and the learned effects' errors."""
    protocol, seeds, size = options.protocol, options.seeds, options.log
    settings = UtilityPlanner(**size).settings
    worlds = {}
    for name, (base, changes) in WORLDS.items():
        twins = Twins(sf.load_world(base, changes), protocol)
        fixed = SegmentsPlanner(segments=1, num_members=options.fixed_members, lucks=1)
        plan = fixed.learn(twins.world, seed=FIXED_SEED).wanted[0]
        worlds[name] = {
            "best_fixed": plan,
            "sweep": sweep(twins, plan, seeds, size),
            "power": opt_out_power(twins, plan),
        }
    home = sf.load_world("pronounced")
    return {
        "seeds": seeds,
        "population_seed": protocol.population_seed,
        "members": protocol.num_members,
        "lucks": len(protocol.streams),
        "weeks": protocol.weeks,
        "log_members": settings.num_members,
        "log_weeks": settings.weeks,
        "worlds": worlds,
        "learned": learned_error(home, options.log_sizes, seeds, options.quick),
    }


def sweep(twins, plan, seeds, size):
    """Return, by window and cost, what the planner gains over the best fixed plan and sends."""
    world = twins.world
    fixed, never, always = (
        twins.rollout(FixedPlanner(world, p))
        for p in (plan, world.plans.min(axis=0).tolist(), world.plans.max(axis=0).tolist())
    )
    windows = {}
    for window in WINDOWS:
        learned = [UtilityPlanner(window=window, **size).learn(world, seed=s) for s in seeds]
        windows[str(window)] = {
            case: outcome([twins.rollout(p.weighted(**weights)) for p in learned], fixed)
            for case, weights in CASES.items()
        }
    return {
        "return": fixed.returns.mean(),
        "never": mean_interval(never.returns - fixed.returns),
        "always": mean_interval(always.returns - fixed.returns),
        "always_sends": always.sends_per_week.sum(),
        "windows": windows,
    }


def outcome(rollouts, fixed):
    """Return the gain of the mean over seeds with its interval over members, and per seed."""
    gains = [r.returns - fixed.returns for r in rollouts]
    return {
        "gain": mean_interval(np.mean(gains, axis=0)),
        "by_seed": [mean_interval(gain) for gain in gains],
        "sends": np.mean([r.sends_per_week.sum() for r in rollouts]),
    }


def tables(results: Results) -> str:
    """Return the sweep of each world, the power calculation and the learned effects' errors."""
    learned = results["learned"]
    effects = learned["effects"]
    return fmt.paragraphs(
        f"`{results['command']}` wrote these tables. The planner learns from logs of "
        f"{results['log_members']} members over {results['log_weeks']} weeks, seeds "
        f"{', '.join(map(str, results['seeds']))}; returns are of {results['members']} members of "
        f"population seed {results['population_seed']}, {results['lucks']} lucks, "
        f"{results['weeks']} weeks, default executor, as the difference to the best fixed plan "
        "(found on population 78), mean over seeds with its paired 95 % interval over members. "
        "Sends are per living member and week; in brackets as a share of always-send's.",
        *(
            text
            for name, w in results["worlds"].items()
            for text in (f"### World `{name}`", *_sweep(w["best_fixed"], w["sweep"]))
        ),
        "### How many member-weeks identify an opt-out effect",
        "Two-sided 5 %, power 80 %, no model; rates measured on the same twins.",
        fmt.table_of(
            "world | channel | plans | opt-outs a week, of the opted-in | "
            "member-weeks per plan: the average | ... for each of 100 kinds of members",
            "`{world}` | {channel} | {plan:+} → {other:+} | {rates[0]:.3 %} → {rates[1]:.3 %} | "
            "{member_weeks:,.0f} | {hundred:,.0f}",
            [
                row | {"world": name, "hundred": 100 * row["member_weeks"]}
                for name, w in results["worlds"].items()
                for row in w["power"]
            ],
        ),
        "### What the planner's model learned of each component",
        f"World `pronounced`, the effect of the maximum against never over {learned['window']} "
        f"weeks on {learned['members']} members opted in to all channels, against twins. Each "
        "cell: error of the mean effect; share of the effect's variance over members that is "
        "explained (1 is perfect, 0 no better than one number for all), mean and range over seeds.",
        fmt.table(
            ["member-weeks of logs", *(name.replace("_", " ") for name in effects)],
            [
                ["true mean effect", *(f"{effect:+.4f}" for effect in effects.values())],
                *(
                    [f"{row['member_weeks']:,}", *(_error(row[n], effects[n]) for n in effects)]
                    for row in learned["sizes"]
                ),
            ],
        ),
    )


def _sweep(best_fixed, s):
    most, windows = s["always_sends"], s["windows"]
    yield (
        f"Best fixed plan {fmt.plan_text(best_fixed)}: {s['return']:.2f}. Never "
        f"{fmt.number(s['never'])}, always {fmt.number(s['always'])} with {most:.1f} sends."
    )
    rows = []
    for case in next(iter(windows.values())):
        cells = [window[case] for window in windows.values()]
        shown = (f"{c['sends']:.1f} ({c['sends'] / most:.0%})" for c in cells)
        gains = (fmt.number(c["gain"]) for c in cells)
        rows.append([case, *map("; ".join, zip(gains, shown, strict=True))])
    yield fmt.table(["cost per message", *(f"window {w} weeks" for w in windows)], rows)


def _error(learned, effect):
    bias, shares = np.mean(learned["bias"]) / effect, learned["explained"]
    return f"{bias:+.0%}, {np.mean(shares):+.2f} ({min(shares):+.2f} to {max(shares):+.2f})"


def draw(results: Results, path: Path) -> None:
    """Draw return and sends against cost for each world, and what the logs show."""
    worlds, learned = results["worlds"], results["learned"]["sizes"]
    with figures.panels(path, 2, len(worlds) + 1, (16, 6.4)) as axes:
        for (gain, sends), (name, world) in zip(axes.T, worlds.items(), strict=False):
            s = world["sweep"]
            colours = (figures.ORANGE, figures.BLUE, figures.GREY)
            for (window, cases), colour in zip(s["windows"].items(), colours, strict=True):
                swept = [cases[str(cost)] for cost in COSTS]
                label = f"window {window} week{'s' if window != '1' else ''}"
                share = [100 * case["sends"] / s["always_sends"] for case in swept]
                figures.line(gain, COSTS, [case["gain"] for case in swept], color=colour)
                figures.line(sends, COSTS, share, color=colour, label=label)
            always = s["always"][0]
            figures.zero(gain, linestyle=":")
            figures.zero(gain, at=always, linestyle="--")
            gain.annotate("always", (COSTS[-1], always), ha="right", va="bottom")
            gain.set(title=name, ylabel="return minus the best fixed plan's")
            sends.set(ylabel="sends, % of always", ylim=(0, 105))
            sends.legend()
            for ax in (gain, sends):
                ax.set_xlabel("cost per message (viewing days)")
        ax = axes[0, -1]
        for name, label in LEARNED.items():
            shares = [row[name]["explained"] for row in learned]
            values = [(np.mean(share), min(share), max(share)) for share in shares]
            figures.line(ax, [row["member_weeks"] for row in learned], values, label=label)
        figures.zero(ax, linestyle=":")
        ax.set(title="effects learned, pronounced", xlabel="member-weeks of logs", xscale="log")
        ax.set(ylabel="variance over members explained", ylim=(-1, 1))
        ax.legend()
        axes[1, -1].axis("off")


SIZES = {
    "protocol": (check_protocol(2048, 104, 8), check_protocol(256, 20, 8)),
    "log": ({}, {"num_members": 512, "weeks": 52}),  # that the planner learns from
    "log_sizes": ((256, 1024, 4096, 16_384, 65_536), (256,)),  # members, 104 weeks each
    "fixed_members": (4096, 64),
}
STUDY = Study(__file__, measure, tables, draw, {"seeds": Flag([0, 1, 2], quick=1)}, SIZES)

if __name__ == "__main__":
    STUDY.run()
