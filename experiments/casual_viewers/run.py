"""Who gains from planning: by segment, in absolute and relative terms, against two baselines.

python experiments/casual_viewers/run.py [--quick] [--seeds 0 1 2] [--checkpoints NAME=DIR ...]
"""

from pathlib import Path

import numpy as np

import slowfast_rl as sf
from slowfast_rl.evaluation import Contestant, Twins, figures, mean_interval, ratio_interval
from slowfast_rl.evaluation import formatting as fmt
from slowfast_rl.evaluation.contestants import trained_contestant
from slowfast_rl.evaluation.protocol import SEGMENTS
from slowfast_rl.evaluation.statistics import independent_difference
from slowfast_rl.evaluation.studies import Flag, Options, Results, Study
from slowfast_rl.slow import PPOPlanner, SegmentsPlanner, UtilityPlanner

WORLDS = ("pronounced", "calibrated")
BASELINES = ("never", "best_fixed", "oracle", "always")
AGAINST = {"never": "never", "best_fixed": "the best fixed plan"}
# Of the utility planner; population 77: .005 and .01 do alike.
COSTS = {"pronounced": None, "calibrated": 0.0075}


def planners(world, quick):
    """Return the untrained planners, and the budgets of those that take one."""
    small = {"num_members": 1024, "weeks": 24} if quick else {}
    utility = UtilityPlanner(message_cost=COSTS[world.name], **small)
    segments = SegmentsPlanner(**(small | {"num_members": 128} if quick else {}))
    budget = {"total_opportunities": 3_000_000 if quick else 60_000_000}
    return {"utility": (utility, {}), "ppo": (PPOPlanner(), budget), "segments": (segments, {})}


def measure(options: Options) -> Results:
    """Return each planner's gains by segment in every world, its seeds averaged."""
    worlds = {}
    for name in WORLDS[:1] if options.quick else WORLDS:
        world, entrants = sf.load_world(name), {}
        for seed in options.seeds:
            for label, (planner, budget) in planners(world, options.quick).items():
                planner.learn(world, seed=seed, **budget)
                cpu, played = planner.cpu_seconds, planner.opportunities
                entrant = Contestant(label, planner, None, (seed,), cpu, played)
                entrants.setdefault(label, []).append(entrant)
        for label, _, folder in (entry.partition("=") for entry in options.checkpoints):
            agent = sf.SlowFastAgent.load(Path(folder))
            if agent.world is not None and agent.world.name == name:
                entrant = trained_contestant(agent, world)._replace(name=label)
                entrants.setdefault(label, []).append(entrant)
        twins = Twins(world)
        order = [c for group in entrants.values() for c in group]
        board = sf.compare([*order, *BASELINES], world, twins.protocol, twins=twins)
        # Names on the board, in the order of the entrants: a second ``a`` is called ``a_2``.
        names = iter([row["name"] for row in board.rows])
        groups = {label: [next(names) for _ in group] for label, group in entrants.items()}
        groups |= {label: [label] for label in ("oracle", "always")}
        gains = gains_by_segment(board, twins.segments, groups)
        worlds[name] = {"board": board.to_json()} | gains
    return {"seeds": options.seeds, "worlds": worlds}


def gains_by_segment(board, segments, groups):
    """Return absolute and relative gains with 95 % intervals, by planner, baseline and segment.

    Args:
        board: a leaderboard with the planners, never and best_fixed on it.
        segments: [N] 0 casual to 2 heavy.
        groups: names on the board of a planner's seeds, whose mean return counts, by its name.
    """
    members = {"all": np.ones(len(segments), bool)}
    members |= {name: segments == s for s, name in enumerate(SEGMENTS)}
    base = {name: board.rollouts[name].returns for name in AGAINST}
    result = {
        "gains": {name: {} for name in groups},
        "level": {a: {p: float(r[rows].mean()) for p, rows in members.items()}
                  for a, r in base.items()},
        "trend": {name: {} for name in groups},
    }  # fmt: skip
    for name, seeds in groups.items():
        returns = np.mean([board.rollouts[seed].returns for seed in seeds], axis=0)
        for against, other in base.items():
            gain = returns - other
            absolute = {part: mean_interval(gain[rows]) for part, rows in members.items()}
            result["gains"][name][against] = {
                part: {
                    "absolute": absolute[part],
                    "relative": ratio_interval(gain[rows], other[rows]),
                    "sends": sends(board, seeds, part),
                }
                for part, rows in members.items()
            }
            trend = independent_difference(absolute["casual"], absolute["heavy"])
            result["trend"][name][against] = trend
    return fmt.as_json(result)


def sends(board, seeds, part):
    """Return sends a week per living member of a segment, mean over seeds."""
    rows = [board.row(seed) for seed in seeds]
    rows = rows if part == "all" else [row["by_segment"][part] for row in rows]
    return float(np.mean([sum(row["sends_per_week"].values()) for row in rows]))


def tables(results: Results) -> str:
    """Return a table per world and baseline."""
    first = next(iter(results["worlds"].values()))["board"]
    texts = [
        f"`{results['command']}` wrote these tables: {first['num_members']} members of population "
        f"seed {first['population_seed']} that no training sees, {first['weeks']} weeks; training "
        f"seeds {', '.join(map(str, results['seeds']))}, whose returns are averaged member by "
        "member. Segments are terciles of the base viewing rate. Gains are in discounted viewing "
        "days and, in brackets, in % of the baseline's return in that segment; ± is 95 %, paired "
        "over members; then sends a week."
    ]
    for name, world in results["worlds"].items():
        for against, baseline in AGAINST.items():
            parts = [f"{part} ({value:.1f})" for part, value in world["level"][against].items()]
            rows = [
                (planner, *(_cell(cell) for cell in gains[against].values()),
                 fmt.number(world["trend"][planner][against]))
                for planner, gains in world["gains"].items()
            ]  # fmt: skip
            header = ["planner", *parts, "casual less heavy, absolute"]
            texts += [f"World `{name}`, over {baseline}:", fmt.table(header, rows)]
    return fmt.paragraphs(*texts)


def _cell(cell):
    relative = cell["relative"]
    share = fmt.NOTHING if relative is None else f"{fmt.half([100 * v for v in relative], 1)} %"
    return f"{fmt.half(cell['absolute'])} ({share}); {cell['sends']:.1f}"


def draw(results: Results, path: Path) -> None:
    """Draw a row of panels per world: absolute and relative gains against both baselines."""
    worlds = results["worlds"]
    with figures.panels(path, len(worlds), 4, (15, 3.2 * len(worlds))) as axes:
        for row, (name, world) in zip(axes, worlds.items(), strict=True):
            shown = [planner for planner in world["gains"] if planner != "always"]
            for ax, (against, unit) in zip(
                row, [(a, u) for a in AGAINST for u in ("absolute", "relative")], strict=True
            ):
                for k, planner in enumerate(shown):
                    parts = world["gains"][planner][against]
                    v = np.array([parts[s][unit] or [np.nan] * 3 for s in SEGMENTS])
                    v *= 100 if unit == "relative" else 1
                    at = np.arange(3) + (k - (len(shown) - 1) / 2) * 0.8 / len(shown)
                    ax.bar(at, v[:, 0], 0.8 / len(shown), label=planner)
                    figures.intervals(ax, at, v, fmt="none", ecolor="#555555", capsize=0)
                figures.zero(ax)
                ax.set_xticks(range(3), SEGMENTS)
                ax.set_ylabel("gain (%)" if unit == "relative" else "gain (viewing days)")
                ax.set_title(f"{name}, over {against.replace('_', ' ')}")
        axes[0, 0].legend()


FLAGS = {
    "seeds": Flag([0, 1, 2], quick=1),
    "checkpoints": Flag([], help="NAME=DIR of agents besides; one name for several seeds"),
}
STUDY = Study(__file__, measure, tables, draw, FLAGS)

if __name__ == "__main__":
    STUDY.run()
