"""Can planner and executor evolve apart: what does each swap bring, and does a test see it?

python experiments/independent_evolution/run.py [--quick]
"""

from pathlib import Path

import numpy as np
from tqdm import tqdm

import slowfast_rl as sf
from slowfast_rl.evaluation import ab as factorial
from slowfast_rl.evaluation import figures
from slowfast_rl.evaluation import formatting as fmt
from slowfast_rl.evaluation.ab import factorial_test
from slowfast_rl.evaluation.statistics import mean_interval
from slowfast_rl.evaluation.studies import Options, Results, Study, rollout_planner
from slowfast_rl.evaluation.twins import Twins

WORLD, SEED = "pronounced", 0
SWAPS = {  # slow and fast arm with the newer one, then with the older one
    "newer planner, older executor": ((1, 0), (0, 0)),
    "newer planner, newer executor": ((1, 1), (0, 1)),
    "newer executor, older planner": ((0, 1), (0, 0)),
    "newer executor, newer planner": ((1, 1), (1, 0)),
}


def arms(world, options):
    """Return two planners and two executors, an older and a newer one at each level."""
    old, new = rollout_planner(options.quick, beliefs=False), rollout_planner(options.quick)
    for planner, opportunities in zip((old, new), options.opportunities, strict=True):
        planner.learn(world, total_opportunities=opportunities, seed=SEED)
    ranker = sf.fast.AffinityRanker().learn(world, seed=SEED)
    pacer = sf.fast.BidPricePacer().learn(world, ranker, seed=SEED)
    return [old, new], [None, sf.fast.PacedExecutor(pacer, ranker)]


def measure(options: Options) -> Results:
    """Return exact gains, the result of one large test, and the coverage of small tests."""
    twins = Twins(sf.load_world(WORLD), options.protocol)
    test = factorial_test(twins, *arms(twins.world, options))
    gains = {name: test.potential[new] - test.potential[old] for name, (new, old) in SWAPS.items()}
    return {
        "world": WORLD,
        "pool": options.protocol.num_members,
        "weeks": options.protocol.weeks,
        "truth": factorial.true_effects(test.potential),
        "swaps": [{"swap": name, "gain": mean_interval(gain)} for name, gain in gains.items()],
        "one_test": test.to_json(),
        "coverage": coverage(test.potential, test.covariates, options.tests, options.members),
    }


def coverage(potential, observations, tests, size):
    """Run small tests on members drawn from the pool; return how often intervals cover, how wide.

    The pool's own mean effect is the truth: a small test's members are a sample of it.
    """
    truth, draws = factorial.true_effects(potential), np.random.default_rng(SEED)
    found = {
        kind: {name: {"covered": 0, "width": 0.0} for name in factorial.EFFECTS}
        for kind in ("adjusted", "unadjusted")
    }
    for salt in tqdm(range(tests), desc="tests"):
        rows = draws.choice(potential.shape[2], size, replace=False)
        who = factorial.assign_arms(rows, salt)
        outcomes = factorial.observed(potential[:, :, rows], who)
        for kind, covariates in (("adjusted", observations[rows]), ("unadjusted", None)):
            effects = factorial.factorial_effects(outcomes, who, covariates)
            for name, effect in effects.items():
                found[kind][name]["covered"] += int(effect.low <= truth[name] <= effect.high)
                found[kind][name]["width"] += (effect.high - effect.low) / tests
    return {"tests": tests, "members": size, **found}


def tables(results: Results) -> str:
    """Return three tables: exact gains, one test, coverage of small tests."""
    small, pool = results["coverage"], f"{results['pool']:,}"
    rows = []
    for name, adjusted in small["adjusted"].items():
        plain, tests = small["unadjusted"][name], small["tests"]
        rows.append({
            "effect": name,
            "adjusted": adjusted["covered"] / tests,
            "narrow": adjusted["width"],
            "plain": plain["covered"] / tests,
            "wide": plain["width"],
            "ratio": adjusted["width"] / plain["width"],
        })  # fmt: skip
    return fmt.paragraphs(
        f"`{results['command']}` wrote these tables: world `{results['world']}`, {pool} members "
        f"that no training sees, {results['weeks']} weeks after the burn-in, one luck; discounted "
        "viewing days, 95 % intervals.",
        "Exact gains on twins, paired over members:",
        fmt.table_of("what is exchanged | gain", "{swap} | {gain:+.2i}", results["swaps"]),
        f"One test on all {pool} members, a quarter of them in each arm pair:",
        fmt.table_of(
            "effect | adjusted | unadjusted | truth",
            "{effect} | {adjusted:+.2i} | {unadjusted:+.2i} | {truth:+.2f}",
            effects(results),
        ),
        f"{small['tests']:,} tests of {small['members']} members each, drawn from the pool:",
        fmt.table_of(
            "effect | covered, adjusted | width | covered, unadjusted | width | ratio",
            "{effect} | {adjusted:.1%} | {narrow:.2f} | {plain:.1%} | {wide:.2f} | {ratio:.2f}",
            rows,
        ),
    )


def effects(results):
    """Return each effect of the one test with its two intervals and the truth."""
    return [
        {
            "effect": name,
            "adjusted": [effect["estimate"], *effect["ci95"]],
            "unadjusted": [effect["unadjusted"], *effect["unadjusted_ci95"]],
            "truth": effect["truth"],
        }
        for name, effect in results["one_test"]["effects"].items()
    ]


def draw(results: Results, path: Path) -> None:
    """Draw each effect of the one test with both intervals and what twins show."""
    rows = effects(results)
    at = np.arange(len(rows))
    with figures.panels(path, 1, 1, (6, 2.6)) as ((ax,),):
        for kind, shift, colour in (
            ("unadjusted", -0.12, figures.GREY), ("adjusted", 0.12, figures.BLUE),
        ):  # fmt: skip
            values = [row[kind] for row in rows]
            figures.intervals(ax, at + shift, values, across=True, label=kind, color=colour)
        ax.plot([row["truth"] for row in rows], at, "k|", markersize=28, label="twins")
        figures.zero(ax, across=True)
        ax.set_yticks(at, [row["effect"] for row in rows])
        ax.set_xlabel("effect, discounted viewing days")
        ax.legend(markerscale=0.5)


SIZES = {
    "protocol": (
        sf.EvaluationProtocol(8192, 26, streams=(0,)),
        sf.EvaluationProtocol(300, 6, streams=(0,)),
    ),
    "opportunities": ((30_000_000, 100_000_000), (100_000, 100_000)),  # of either planner
    "tests": (1000, 20),  # small ones
    "members": (400, 100),  # of the pool, in each of them
}
STUDY = Study(__file__, measure, tables, draw, sizes=SIZES)

if __name__ == "__main__":
    STUDY.run()
