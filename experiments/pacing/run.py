"""Live fixed plans under every pacer and pacing shape; write this folder's tables and figure.

python experiments/pacing/run.py [--quick]
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from figure import draw
from report import tables
from tqdm import tqdm

import slowfast_rl as sf
from slowfast_rl.evaluation.statistics import mean_interval
from slowfast_rl.evaluation.twins import Rollout, Twins
from slowfast_rl.fast import (
    AffinityRanker,
    BidPricePacer,
    CoinPacer,
    ExactPacer,
    PacedExecutor,
    QualityRanker,
)
from slowfast_rl.members.arrays import Int32
from slowfast_rl.members.loading import world_hash
from slowfast_rl.members.population import Population
from slowfast_rl.members.state import Week
from slowfast_rl.slow import FixedPlanner
from slowfast_rl.store import UNIFORM_SHAPE
from slowfast_rl.store.files import write_block, write_text_atomically

FOLDER = Path(__file__).parent
PLANS = ((1, 1), (3, 1), (5, 2))
SEEDS = (0, 1, 2)  # of the fits
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

    def __init__(self, executor: PacedExecutor) -> None:
        self.executor = executor

    def run_week(
        self,
        population: Population,
        target: Int32,
        cap: Int32 | None = None,
        shape: Int32 | int = UNIFORM_SHAPE,
    ) -> Week:
        """Live through one week; see JittedExecutor."""
        most = np.int32(population.world.slots_per_week)
        return self.executor.run_week(population, target, np.where(target > 0, most, 0), shape)


Fit = dict[tuple[str, str], PacedExecutor | Uncapped]  # by pacer and ranker


def main() -> None:
    """Measure, print, and write if this is the full run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="64 members; writes nothing")
    quick = parser.parse_args().quick
    protocol = sf.EvaluationProtocol(64, 8, 2, streams=(0,)) if quick else sf.EvaluationProtocol()
    world = sf.load_world("pronounced")
    shaped = sf.load_world("pronounced", {"shapes": SHAPES})
    fits = [fit(world, seed, quick) for seed in SEEDS[: 1 if quick else None]]
    results = {
        "command": "python experiments/pacing/run.py",
        "world": world.name,
        "world_hash": world_hash(world),
        "channels": world.channels,
        "offered": SHAPES,
        "members": protocol.num_members,
        "weeks": protocol.weeks,
        "lucks": len(protocol.streams),
        "population_seed": protocol.population_seed,
        "seeds": SEEDS[: len(fits)],
        "pacers": pacers(Twins(world, protocol), fits),
        "shapes": shapes(Twins(shaped, protocol), fits),
    }
    text = tables(results)
    sys.stdout.write(text + "\n")
    if quick:
        return
    write_text_atomically(FOLDER / "results.json", json.dumps(results, indent=1))
    draw(results, FOLDER / "pacing.png")
    write_block(FOLDER / "README.md", "pacing", text)


def fit(world: sf.World, seed: int, quick: bool) -> Fit:
    """Return every fast policy, learned on a training population."""
    sizes = {"num_members": 64, "weeks": 12, "seed": seed} if quick else {"seed": seed}
    made: Fit = {}
    for ranker in (QualityRanker(), AffinityRanker().learn(world, **sizes)):
        made["exact", ranker.name] = PacedExecutor(ExactPacer(), ranker)
        made["coin", ranker.name] = PacedExecutor(CoinPacer(), ranker)
        made["coin, no cap", ranker.name] = Uncapped(PacedExecutor(CoinPacer(), ranker))
        price = BidPricePacer().learn(world, ranker, **sizes)
        made["bid price", ranker.name] = PacedExecutor(price, ranker)
    return made


def pacers(twins: Twins, fits: Sequence[Fit]) -> list[dict[str, Any]]:
    """Return a row per plan, ranker and pacer."""
    rows = []
    with tqdm(total=len(PLANS) * len(fits[0]), desc="pacers") as bar:
        for plan in PLANS:
            planner = FixedPlanner(twins.world, plan)
            simulation: dict[tuple[str, str], list[Rollout]] = {}
            for name in fits[0]:
                simulation[name] = live(twins, planner, fits, name)
                pacer, ranker = name
                rows.append(
                    {"plan": plan, "ranker": ranker, "pacer": pacer}
                    | measured(simulation[name])
                    | {"minus_exact": difference(simulation[name], simulation["exact", ranker])}
                    | {
                        "minus_default": difference(
                            simulation[name], simulation["exact", "quality"]
                        )
                    }
                )
                bar.update()
    return rows


def shapes(twins: Twins, fits: Sequence[Fit]) -> list[dict[str, Any]]:
    """Return a row per plan, fast policy and pacing shape, against even pacing."""
    rows, names = [], (("exact", "quality"), ("bid price", "affinity"))
    others = twins.world.shape_names[1:]
    with tqdm(total=len(PLANS) * len(names) * (1 + len(others)), desc="shapes") as bar:
        for plan in PLANS:
            for name in names:
                even = live(twins, FixedPlanner(twins.world, plan), fits, name)
                bar.update()
                for shape in others:
                    shaped = live(twins, FixedPlanner(twins.world, plan, shape), fits, name)
                    rows.append(
                        {"plan": plan, "pacer": name[0], "ranker": name[1], "shape": shape}
                        | measured(shaped)
                        | {"minus_uniform": difference(shaped, even)}
                    )
                    bar.update()
    return rows


def live(
    twins: Twins, planner: FixedPlanner, fits: Sequence[Fit], name: tuple[str, str]
) -> list[Rollout]:
    """Return a rollout per fit, or one where nothing is learned."""
    learns = "bid price" in name or "affinity" in name
    return [twins.rollout(planner, made[name]) for made in (fits if learns else fits[:1])]


def measured(simulation: Sequence[Rollout]) -> dict[str, Any]:
    """Return return, sends a week per living member and channel, and opens per send."""

    def total(name: str) -> Any:
        return np.sum([life.weekly[name].sum(axis=(0, 1)) for life in simulation], axis=0)

    return {
        "return": mean_interval(np.mean([life.returns for life in simulation], axis=0)),
        "sends": (total("sends") / total("alive")).tolist(),
        "open_rate": float(total("opens").sum() / total("sends").sum()),
    }


def difference(simulation: Sequence[Rollout], others: Sequence[Rollout]) -> dict[str, Any]:
    """Return the paired difference of returns, its interval over members, and each fit's mean."""
    with_it, without = (
        np.array([life.returns for life in group]) for group in (simulation, others)
    )
    by_fit = with_it - without  # [F, N]
    return {"mean": mean_interval(by_fit.mean(axis=0)), "fits": by_fit.mean(axis=1).tolist()}


if __name__ == "__main__":
    main()
