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
        name: of the group.
        agents: names of its agents, in the order of their seeds.
        seeds: their training seeds.
    """

    name: str
    agents: tuple[str, ...]
    seeds: tuple[int, ...]


def groups(rows: Sequence[dict[str, Any]]) -> list[Group]:
    """Return the groups of a leaderboard's rows that have two seeds or more."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        if row["group"] is not None:
            found.setdefault(row["group"], []).append(row)
    result = []
    for members in found.values():
        used = [row["train_opportunities"] for row in members]
        if len({tuple(row["seeds"]) for row in members}) < 2 or max(used) > _ALIKE * min(used):
            continue
        members.sort(key=lambda row: row["seeds"])
        name = members[0]["name"].split(",seed=")[0]
        agents = tuple(row["name"] for row in members)
        result.append(Group(name, agents, tuple(row["seeds"][0] for row in members)))
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
    scores = {g.name: np.stack([returns[agent] for agent in g.agents]) for g in groups}
    result: list[dict[str, Any]] = []
    for group in groups:
        own = scores[group.name]  # [S, N]
        both = _interval(interquartile_mean, [own], segments)
        of_seeds = _interval(interquartile_mean, [own], None)
        lead = _interval(interquartile_mean, [own - base], segments)
        result.append(
            {
                "name": group.name,
                "agents": list(group.agents),
                "seeds": list(group.seeds),
                "iqm": both.mean,
                "iqm_ci95": [both.low, both.high],
                "iqm_ci95_of_seeds": [of_seeds.low, of_seeds.high],
                "iqm_lead": lead.mean,
                "iqm_lead_ci95": [lead.low, lead.high],
                "std_of_seeds": float(own.mean(axis=1).std(ddof=1)),
                "probability_of_improvement": {},
            }
        )
    for (i, one), (_, other) in permutations(enumerate(groups), 2):
        p = _interval(probability_of_improvement, [scores[one.name], scores[other.name]], segments)
        result[i]["probability_of_improvement"][other.name] = [p.mean, p.low, p.high]
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
        indices += [np.flatnonzero(segments == s) for s in np.unique(segments)]

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
