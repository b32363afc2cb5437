"""Simulate fixed plans under every pacer and pacing shape; write this folder's tables and figure.

python experiments/pacing/run.py [--quick]
"""

from pathlib import Path

import numpy as np
from tqdm import tqdm

import slowfast_rl as sf
from slowfast_rl.evaluation import figures
from slowfast_rl.evaluation import formatting as fmt
from slowfast_rl.evaluation.statistics import mean_interval
from slowfast_rl.evaluation.studies import Options, Results, Study
from slowfast_rl.evaluation.twins import Twins
from slowfast_rl.fast import (
    AffinityRanker,
    BidPricePacer,
    CoinPacer,
    ExactPacer,
    PacedExecutor,
    QualityRanker,
)
from slowfast_rl.members.loading import world_hash
from slowfast_rl.slow import FixedPlanner
from slowfast_rl.store import UNIFORM_SHAPE

PLANS = ((1, 1), (3, 1), (5, 2))
SHAPED = (("exact", "quality"), ("bid price", "affinity"))  # pacers and rankers that follow shapes
LATE, EARLY = [0, 0, 0, 0, 0.7, 0.7, 0.7], [0.7, 0.7, 0.7, 0.7, 0, 0, 0]
SHAPES = {  # chosen beforehand: the world file's examples, two of them also turned around
    "weekend": {"day": LATE},
    "weekdays": {"day": EARLY},
    "launches": {"launch": 1},
    "lulls": {"launch": -1},
    "active": {"activity": [0, 0, 0, 0, 0.3, 0.3, 0]},
}


class Uncapped:
    """An executor with no cap but the opt-in: coins meet the target in the mean."""

    def __init__(self, executor):
        self.executor = executor

    def run_week(self, population, target, cap=None, shape=UNIFORM_SHAPE):
        """Simulate one week; see JittedExecutor."""
        most = np.int32(population.world.slots_per_week)
        return self.executor.run_week(population, target, np.where(target > 0, most, 0), shape)


def fit(world, sizes, seed):
    """Return every fast policy by pacer and ranker, learned on a training population."""
    made = {}
    for ranker in (QualityRanker(), AffinityRanker(**sizes).learn(world, seed=seed)):
        made["exact", ranker.name] = PacedExecutor(ExactPacer(), ranker)
        made["coin", ranker.name] = PacedExecutor(CoinPacer(), ranker)
        made["coin, no cap", ranker.name] = Uncapped(PacedExecutor(CoinPacer(), ranker))
        price = BidPricePacer(**sizes).learn(world, ranker, seed=seed)
        made["bid price", ranker.name] = PacedExecutor(price, ranker)
    return made


def measure(options: Options) -> Results:
    """Return a row per plan, ranker and pacer, and one per plan, fast policy and shape."""
    protocol, world = options.protocol, sf.load_world("pronounced")
    shaped = sf.load_world("pronounced", {"shapes": SHAPES})
    fits = [fit(world, options.log, seed) for seed in options.seeds]
    plain = Twins(world, protocol)
    names = [(plan, name, None) for plan in PLANS for name in fits[0]]
    base = {case: rollouts(plain, fits, *case) for case in tqdm(names, desc="pacers")}
    pacers = [
        {"plan": plan, "ranker": ranker, "pacer": pacer}
        | measures(own)
        | {"minus_exact": difference(own, base[plan, ("exact", ranker), None])}
        | {"minus_default": difference(own, base[plan, ("exact", "quality"), None])}
        for (plan, (pacer, ranker), _), own in base.items()
    ]
    twins = Twins(shaped, protocol)
    names = [(p, name, shape) for p in PLANS for name in SHAPED for shape in (None, *SHAPES)]
    base = {case: rollouts(twins, fits, *case) for case in tqdm(names, desc="shapes")}
    shapes = [
        {"plan": plan, "pacer": name[0], "ranker": name[1], "shape": shape}
        | measures(own)
        | {"minus_uniform": difference(own, base[plan, name, None])}
        for (plan, name, shape), own in base.items()
        if shape is not None
    ]
    return {
        "world": world.name,
        "world_hash": world_hash(world),
        "channels": world.channels,
        "offered": SHAPES,
        "members": protocol.num_members,
        "weeks": protocol.weeks,
        "lucks": len(protocol.streams),
        "population_seed": protocol.population_seed,
        "seeds": options.seeds,
        "pacers": pacers,
        "shapes": shapes,
    }


def rollouts(twins, fits, plan, name, shape):
    """Return a rollout per fit, or one where nothing is learned."""
    planner = FixedPlanner(twins.world, plan, *([shape] if shape else []))
    learns = "bid price" in name or "affinity" in name
    return [twins.rollout(planner, made[name]) for made in (fits if learns else fits[:1])]


def measures(group):
    """Return return, sends a week per living member and channel, and opens per send."""
    opens, sends = (sum(r.weekly[name].sum() for r in group) for name in ("opens", "sends"))
    return {
        "return": mean_interval(np.mean([r.returns for r in group], axis=0)),
        "sends": sum(r.weekly["sends"].sum(axis=(0, 1)) for r in group)
        / sum(r.weekly["alive"].sum() for r in group),
        "open_rate": opens / sends,
    }


def difference(group, others):
    """Return the paired difference of returns, its interval over members, and each fit's mean."""
    by_fit = np.array([r.returns for r in group]) - np.array([r.returns for r in others])  # [F, N]
    return {"mean": mean_interval(by_fit.mean(axis=0)), "fits": by_fit.mean(axis=1)}


def tables(results: Results) -> str:
    """Return a table of pacers and one of shapes, each with every row that was measured."""
    r, shapes = results, results["shapes"]
    above, below = (
        sum(min(sign * v for v in row["minus_uniform"]["mean"]) > 0 for row in shapes)
        for sign in (1, -1)
    )
    pacers = [
        row
        | (row["minus_exact"] if row["pacer"] != "exact" else {"mean": None, "fits": None})
        | ({"minus_default": {"mean": None}} if _is_default(row) else {})
        for row in r["pacers"]
    ]
    counts = "{sends:.2f+} | {open_rate:.2 %} | {fits:+.2f/}"
    return fmt.paragraphs(
        f"`{r['command']}` wrote these tables: world `{r['world']}`, {r['members']} members of "
        f"population seed {r['population_seed']}, {r['lucks']} lucks, {r['weeks']} weeks; "
        "brackets hold 95 % intervals over members, paired where policies are compared. What "
        f"learns was fitted on training seeds {', '.join(map(str, r['seeds']))}: the return is "
        f"the mean of the fits, whose own differences are in the last column. Plans are "
        f"{' + '.join(r['channels'])} a week; sends and opens are logged, per living member and "
        "per send.",
        fmt.table_of(
            "plan | ranker | pacer | return | minus exact | minus exact + quality | sends a week | "
            "opens | minus exact, each fit",
            "{plan:+} | {ranker} | {pacer} | {return[0]:.2f} | {mean:+.2i} | "
            "{minus_default[mean]:+.2i} | " + counts,
            pacers,
        ),
        f"Shapes, against even pacing in the same world with {len(r['offered'])} shapes on "
        f"offer: of {len(shapes)} differences {above} lie above 0 with their "
        f"interval, {below} below; about {len(shapes) / 40:.1f} on each side "
        "would if no shape did anything.",
        fmt.table_of(
            "plan | pacer + ranker | shape | return | minus uniform | sends a week | opens | "
            "minus uniform, each fit",
            "{plan:+} | {pacer} + {ranker} | {shape} | {return[0]:.2f} | {mean:+.2i} | " + counts,
            [row | row["minus_uniform"] for row in shapes],
        ),
    )


def _is_default(row):
    return (row["pacer"], row["ranker"]) == ("exact", "quality")


def draw(results: Results, path: Path) -> None:
    """Draw what pacers add to the exact one, and what shapes add to even pacing."""
    pacers = [row for row in results["pacers"] if row["pacer"] != "exact"]
    with figures.panels(path, 1, 2, (10, 4.6)) as ((left, right),):
        _differences(left, pacers, "pacer", "minus_exact", "{ranker} ranker")
        left.set_title("What pacers add to the exact one")
        _differences(right, results["shapes"], "shape", "minus_uniform", "{pacer} + {ranker}")
        right.set_title("What pacing shapes add to even pacing")


def _differences(ax, rows, name, difference, group):
    """Draw a line per plan and name, with a point and its interval per group."""
    lines = list(dict.fromkeys((*row["plan"], row[name]) for row in rows))
    for label, offset in zip(
        dict.fromkeys(group.format(**row) for row in rows), (-0.15, 0.15), strict=True
    ):
        own = [row for row in rows if group.format(**row) == label]
        at = [lines.index((*row["plan"], row[name])) + offset for row in own]
        values = [row[difference]["mean"] for row in own]
        figures.intervals(ax, at, values, across=True, label=label)
    figures.zero(ax, across=True)
    ax.set_yticks(range(len(lines)), [f"{push} + {email}, {last}" for push, email, last in lines])
    ax.set(ylim=(len(lines) - 0.5, -0.5), xlabel="difference in return, paired 95 % interval")
    ax.legend()


SIZES = {
    "protocol": (sf.EvaluationProtocol(), sf.EvaluationProtocol(64, 8, 2, streams=(0,))),
    "seeds": ([0, 1, 2], [0]),  # of the fits
    "log": ({}, {"num_members": 64, "weeks": 12}),  # that they learn from
}
STUDY = Study(__file__, measure, tables, draw, sizes=SIZES)

if __name__ == "__main__":
    STUDY.run()
