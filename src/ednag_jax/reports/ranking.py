"""Methods ranked over blocks, seeds or benchmarks: Friedman's test and Nemenyi's critical difference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import stats

from ednag_jax.reports.groups import Group, at_seeds, filled
from ednag_jax.result import JSON_DECIMALS

LEVEL = 0.05
"""Of every test."""


class Ranking(NamedTuple):
    """Mean ranks of methods, the best first."""

    labels: list[str]
    mean_ranks: Float[np.ndarray, " k"]
    """1 is the best; equals share their mean rank."""
    num_blocks: int
    over: str
    """What the blocks are: `seeds` or `benchmarks`."""
    p_value: float
    """Friedman's test of whether all are the same; NaN for two methods, which it does not know."""
    critical_difference: float
    """Mean ranks that differ by more differ at the level 0.05, all pairs considered (Nemenyi)."""


def rank_groups(groups: Sequence[Group]) -> Ranking | None:
    """Returns the ranking of the methods that all groups share, None where there is nothing to rank.

    Over the groups' mean values where there are several, else over the seeds that all runs have. A group of
    one run has nothing to rank, so it does not count.
    """
    groups = with_several(groups)
    if not groups:
        return None
    shared = [label for label in groups[0].runs if all(label in group.runs for group in groups)]
    if len(shared) < 2:
        return None
    if len(groups) > 1:
        return rank(np.array([_means(group, shared) for group in groups]), shared, "benchmarks")
    runs = groups[0].runs
    seeds = sorted(set.intersection(*(set(result.seeds) for result in runs.values())))
    if len(seeds) < 2:
        return None
    return rank(np.stack([at_seeds(runs[label], seeds) for label in shared], axis=1), shared, "seeds")


def rank(scores: Float[np.ndarray, "b k"], labels: Sequence[str], over: str) -> Ranking:
    """Returns the ranking of k methods by their scores in b blocks; higher is better, NaN the worst."""
    ranks = block_ranks(scores)
    mean_ranks = ranks.mean(axis=0)
    order = np.argsort(mean_ranks, kind="stable")
    num_blocks, num = scores.shape
    named = [labels[i] for i in order]
    difference = critical_difference(num, num_blocks)
    return Ranking(named, mean_ranks[order], num_blocks, over, friedman(ranks), difference)


def block_ranks(scores: Float[np.ndarray, "b k"]) -> Float[np.ndarray, "b k"]:
    """Returns each method's rank in each block, 1 the best; equals share their mean rank.

    >>> block_ranks(np.array([[3.0, 1.0, 3.0, np.nan]]))
    array([[1.5, 3. , 1.5, 4. ]])
    """
    # A result file keeps so many decimals; a mean of equal numbers must not be told from another by rounding.
    rounded = np.round(np.where(np.isnan(scores), -np.inf, scores), JSON_DECIMALS)
    return stats.rankdata(-rounded, axis=1)


def friedman(ranks: Float[np.ndarray, "b k"]) -> float:
    """Returns the p-value of Friedman's test, ties corrected; 1 where all are always equal, NaN for k < 3."""
    if ranks.shape[1] < 3:
        return float("nan")
    if np.all(ranks == ranks[:, :1]):
        return 1.0
    return float(stats.friedmanchisquare(*ranks.T).pvalue)


def critical_difference(num: int, num_blocks: int) -> float:
    """Returns by how much mean ranks must differ: q sqrt(k (k + 1) / (6 b)), Nemenyi's test (Demsar 2006).

    >>> round(critical_difference(4, 10), 2)
    1.48
    """
    q = stats.studentized_range.ppf(1 - LEVEL, num, np.inf) / np.sqrt(2)
    return float(q * np.sqrt(num * (num + 1) / (6 * num_blocks)))


def cliques(mean_ranks: Float[np.ndarray, " k"], difference: float) -> list[tuple[int, int]]:
    """Returns the largest runs of methods, first and last, that do not differ; those of one are left out.

    >>> cliques(np.array([1.0, 1.5, 2.4, 4.0]), 1.0)
    [(0, 1), (1, 2)]
    """
    found: list[tuple[int, int]] = []
    for first, low in enumerate(mean_ranks):
        last = int(np.flatnonzero(mean_ranks <= low + difference)[-1])
        if last > first and (not found or last > found[-1][1]):
            found.append((first, last))
    return found


def with_several(groups: Sequence[Group]) -> list[Group]:
    """Returns the groups that have runs to compare."""
    return [group for group in groups if len(group.runs) > 1]


def left_out(groups: Sequence[Group]) -> Mapping[str, int]:
    """Returns the methods that some group lacks, so that they are not ranked -> in how many they are."""
    count = {label: sum(label in group.runs for group in groups) for group in groups for label in group.runs}
    return {label: num for label, num in count.items() if num < len(groups)}


def _means(group: Group, labels: Sequence[str]) -> list[float]:
    """Returns each method's mean over its seeds; one that met nothing counts as the worst that any met."""
    return [float(values.mean()) for values in filled(*(group.runs[label].best_accuracy for label in labels))]
