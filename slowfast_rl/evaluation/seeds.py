"""Statistics over training seeds: agents that differ in their seed alone form a group.

Three things make a return uncertain. *Luck*: the same agent on the same members has another return
under other luck; returns are means over the lucks of the evaluation. *Members*: other members would
have had another mean; paired intervals over members show it. *Training seeds*: trained again, the
agent would be another one; only several trainings show it. This module measures the last two
together, with the bootstrap: seeds are drawn anew, and members within their segments. Needs the
extra ``report``.

Reference: Agarwal et al. 2021, "Deep Reinforcement Learning at the Edge of the Statistical
Precipice", arXiv 2108.13264 (interquartile mean, stratified bootstrap, probability of improvement).
"""

from collections.abc import Callable, Sequence
from itertools import permutations
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from slowfast_rl.evaluation.contestants import unique_name
from slowfast_rl.evaluation.statistics import Interval
from slowfast_rl.members.arrays import Float64, Int64

try:
    from scipy import stats
except ImportError as error:
    raise ImportError(
        "statistics over seeds need scipy: pip install 'slowfast_rl[report]'"
    ) from error

_RESAMPLES = 2000
_BATCH = 100  # resamples at once
_SEED = 0  # of the bootstrap
_ALIKE = 1.25  # budgets of one group differ by at most this factor


class Group(NamedTuple):
    """Agents that differ in their training seed alone.

    Attributes:
        name: of the group, which no other group and no agent outside it has.
        agents: names of its agents, one for each seed, in the order of their seeds.
        seeds: their training seeds.
        repeats: names of agents that were trained with a seed of another one; they do not count.
    """

    name: str
    agents: tuple[str, ...]
    seeds: tuple[int, ...]
    repeats: tuple[str, ...] = ()


def groups(rows: Sequence[dict[str, Any]]) -> tuple[list[Group], dict[str, str]]:
    """Group the rows of a leaderboard by recipe and by budget.

    Args:
        rows: of the leaderboard; a row's ``group`` is the digest of its agent's recipe.

    Returns:
        The groups with two seeds or more; and for each other agent whose recipe has several rows,
        by its name, why it is in no group.
    """
    of_recipe: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        if row["group"] is not None:
            of_recipe.setdefault(row["group"], []).append(row)
    result: list[Group] = []
    left_out: dict[str, str] = {}
    for alike in (a for same in of_recipe.values() if same[1:] for a in _of_like_budgets(same)):
        by_seed: dict[int, str] = {}
        for row in alike:
            first = by_seed.setdefault(row["seeds"][0], row["name"])
            if first != row["name"]:
                left_out[row["name"]] = f"it was trained with seed {row['seeds'][0]}, as {first}"
        if len(by_seed) < 2:
            name, used = alike[0]["name"], alike[0]["train_opportunities"]
            left_out[name] = f"no other seed was trained for about {used:,} opportunities"
            continue
        seeds = sorted(by_seed)
        agents = tuple(by_seed[seed] for seed in seeds)
        taken = {group.name for group in result} | {row["name"] for row in rows} - set(agents)
        name = unique_name(alike[0]["name"].split(",seed=")[0], taken)
        repeats = tuple(row["name"] for row in alike if row["name"] not in agents)
        result.append(Group(name, agents, tuple(seeds), repeats))
    return result, left_out


def _of_like_budgets(rows: Sequence[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Return rows in lists of like budgets, the smallest budget first."""
    result: list[list[dict[str, Any]]] = []
    for row in sorted(rows, key=lambda row: row["train_opportunities"]):
        least = result[-1][0]["train_opportunities"] if result else 0
        if result and row["train_opportunities"] <= _ALIKE * least:
            result[-1].append(row)
        else:
            result.append([row])
    return result


def statistics_over_seeds(
    groups: Sequence[Group], returns: dict[str, Float64], base: Float64, segments: Int64
) -> list[dict[str, Any]]:
    """Return each group's statistics, as in ``leaderboard.json``.

    Args:
        groups: the groups.
        returns: [N] return of each member, mean over lucks, by the agent's name.
        base: [N] return of each member under the baseline.
        segments: [N] each member's segment, within which members are drawn anew.
    """
    scores = [np.stack([returns[agent] for agent in group.agents]) for group in groups]
    result: list[dict[str, Any]] = []
    for group, own in zip(groups, scores, strict=True):  # own: [S, N]
        both = _interval(interquartile_mean, [own], segments)
        of_seeds = _interval(interquartile_mean, [own], None)
        lead = _interval(interquartile_mean, [own - base], segments)
        result.append(
            {
                "name": group.name,
                "agents": list(group.agents),
                "seeds": list(group.seeds),
                "repeats": list(group.repeats),
                "iqm": both.mean,
                "iqm_ci95": [both.low, both.high],
                "iqm_ci95_of_seeds": [of_seeds.low, of_seeds.high],
                "iqm_lead": lead.mean,
                "iqm_lead_ci95": [lead.low, lead.high],
                "std_of_seeds": float(own.mean(axis=1).std(ddof=1)),
                "probability_of_improvement": {},
            }
        )
    for one, other in permutations(range(len(groups)), 2):
        p = _interval(probability_of_improvement, [scores[one], scores[other]], segments)
        better = result[one]["probability_of_improvement"]
        better[groups[other].name] = [p.mean, p.low, p.high]
    return result


def interquartile_mean(scores: Float64) -> Float64:
    """Return the mean of the middle half of seeds' scores [..., S]: of all, below four seeds."""
    middle: Float64 = stats.trim_mean(scores, 0.25, axis=-1)
    return middle


def probability_of_improvement(scores: Float64, others: Float64) -> Float64:
    """Return the share of pairs of seeds in which the first is better; ties count half.

    Args:
        scores: [..., S].
        others: [..., T].
    """
    difference = scores[..., :, None] - others[..., None, :]
    wins = (difference > 0) + 0.5 * (difference == 0)
    return np.asarray(wins.mean(axis=(-2, -1)))


def _strata(segments: Int64) -> list[Int64]:
    """Return the members of each segment, [n]; one alone, of which none can be drawn, is joined."""
    strata: list[Int64] = []
    for segment in np.unique(segments):
        members = np.flatnonzero(segments == segment)
        if strata and min(len(strata[-1]), len(members)) < 2:
            strata[-1] = np.concatenate([strata[-1], members])
        else:
            strata.append(members)
    return strata


def _interval(
    statistic: Callable[..., Float64], groups: Sequence[Float64], segments: Int64 | None
) -> Interval:
    """Return a statistic of the seeds' mean returns with its bootstrapped 95 % interval.

    Args:
        statistic: of one array [..., S] of seeds' means per group.
        groups: [S, N] returns of each group.
        segments: [N] strata of the members, of which all groups get the same; None keeps the
            members as they are and draws only the seeds anew.
    """
    indices = [np.arange(len(group)) for group in groups]
    if segments is not None:
        indices += _strata(segments)

    def of_indices(*drawn: NDArray[Any], axis: int = -1) -> Float64:  # each [..., n]
        seeds, strata = drawn[: len(groups)], drawn[len(groups) :]
        means = []
        for group, chosen in zip(groups, seeds, strict=True):
            if strata:
                members = np.concatenate(strata, axis=-1).astype(np.int64)  # [..., N]
                rows = chosen.astype(np.int64)[..., :, None]
                means.append(group[rows, members[..., None, :]].mean(axis=-1))
            else:
                means.append(group.mean(axis=1)[chosen.astype(np.int64)])
        return statistic(*means)

    drawn = stats.bootstrap(
        indices,
        of_indices,
        n_resamples=_RESAMPLES,
        batch=_BATCH,
        vectorized=True,
        axis=-1,
        method="percentile",
        rng=np.random.default_rng(_SEED),
    ).confidence_interval
    return Interval(float(of_indices(*indices)), float(drawn.low), float(drawn.high))
