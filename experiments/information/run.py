"""What would the default learner reach if it knew more of each member?

python experiments/information/run.py [--worlds pronounced] [--seeds 0] [--planners ...] [--quick]

What was measured is kept in runs/information: a run that was stopped resumes where it was.
"""

from functools import cache, partial

import numpy as np

import slowfast_rl as sf
from slowfast_rl.evaluation import formatting as fmt
from slowfast_rl.evaluation.references import gap_closed, load_references
from slowfast_rl.evaluation.statistics import mean_interval
from slowfast_rl.evaluation.studies import (
    Flag,
    Options,
    Results,
    Study,
    measured_rows,
    rollout_planner,
)
from slowfast_rl.evaluation.twins import Twins
from slowfast_rl.members.features import privileged_features
from slowfast_rl.members.random import Domain, random_words

NOISE_SEED = 11


class InformedPlanner(sf.slow.RolloutPlanner):
    """A rollout planner with logged signals and, through noise, ln kappa.

    Args:
        world: whose law of kappa scales the noise.
        explained: R^2 of its noisy ln kappa, above 0, at most 1.
        settings: of the rollout planner.
    """

    def __init__(self, world, explained, **settings):
        super().__init__(beliefs=False, privileged=True, **settings)
        names = [feature.name for feature in privileged_features(world)]
        self._column = names.index("fatigue_sensitivity")
        spread = world.traits.fatigue_sensitivity_spread
        self._noise = spread * (1 / explained - 1) ** 0.5

    def inputs(self, request):
        """Return logged signals and latents, all of them 0 but the noisy ln kappa."""
        latents = np.zeros_like(request.latents)
        log_kappa = np.log(np.maximum(request.latents[:, self._column], 1e-6))
        latents[:, self._column] = log_kappa + self._noise * normal_of(request.entity_ids)
        return super().inputs(request._replace(latents=latents))


def normal_of(members):
    """Return a standard normal number for each member [B], the same at every call."""
    first, second = (
        (random_words(NOISE_SEED, stream, members, 0 * members, Domain.EXPLORATION) + 0.5) / 2**32
        for stream in range(2)
    )
    return np.sqrt(-2 * np.log(first)) * np.cos(2 * np.pi * second)


def informed(explained):
    """Return what a noisy planner knows, and a maker of it."""

    def maker(world, quick):
        return InformedPlanner(world, explained, **({"states": 200} if quick else {}))

    return f"logged signals and ln kappa at R² = {explained:g}", maker


def rollouts(**settings):
    """Return a maker of a rollout planner."""
    return lambda world, quick: rollout_planner(quick, **settings)


PLANNERS = {  # what each knows, and how it is made from the world and ``quick``
    "logged": ("logged signals alone", rollouts(beliefs=False)),
    "beliefs": ("logged signals and beliefs: the default", rollouts()),
    "r2_25": informed(0.25),
    "r2_50": informed(0.5),
    "r2_75": informed(0.75),
    "kappa": informed(1.0),
    "latents": ("logged signals and all latents", rollouts(beliefs=False, privileged=True)),
}


def measure(options: Options) -> Results:
    """Return a row for every world, planner and seed."""
    twins = cache(lambda name: Twins(sf.load_world(name), options.protocol))
    names = options.planners[:2] if options.quick else options.planners
    jobs = {
        f"{world}-{name}-{seed}": partial(train, world, name, seed, twins, options)
        for world in options.worlds
        for seed in options.seeds
        for name in names
    }
    order = list(PLANNERS).index
    rows = measured_rows(options, jobs, lambda r: (r["world"], order(r["planner"]), r["seed"]))
    return {"opportunities": options.opportunities, "rows": rows}


def train(world, name, seed, twins, options):
    """Train a planner and return what its plans bring, run by the default executor."""
    twins = twins(world)
    planner = PLANNERS[name][1](twins.world, options.quick)
    planner.learn(twins.world, total_opportunities=options.opportunities, seed=seed)
    returns = twins.rollout(planner).returns
    row = {
        "world": world,
        "planner": name,
        "seed": seed,
        "return": mean_interval(returns),
        "gap_closed": gap_closed(returns, load_references(twins.world, twins.protocol)),
        "cpu_seconds": planner.cpu_seconds,
    }
    return [row]


def tables(results: Results) -> str:
    """Return one table of all planners."""
    return fmt.paragraphs(
        f"`{results['command']}` wrote this table: {results['opportunities'] // 10**6} million "
        "opportunities of training each, plans run by the default executor; 95 % intervals over "
        "members.",
        fmt.table_of(
            "world | what the planner knows | seed | return | gap closed | CPU-seconds",
            "`{world}` | {knows} | {seed} | {return[0]:.2f} | {gap_closed:.3i} | {cpu_seconds:.0f}",
            [row | {"knows": PLANNERS[row["planner"]][0]} for row in results["rows"]],
        ),
    )


FLAGS = {
    "worlds": Flag(["pronounced"], selects=True),
    "seeds": Flag([0], selects=True),
    "planners": Flag(list(PLANNERS), choices=list(PLANNERS), selects=True),
}
SIZES = {
    "protocol": (sf.EvaluationProtocol(), sf.EvaluationProtocol(64, 8)),
    "opportunities": (100_000_000, 100_000),  # for each planner: a third of the default's
}
STUDY = Study(__file__, measure, tables, flags=FLAGS, sizes=SIZES)

if __name__ == "__main__":
    STUDY.run()
