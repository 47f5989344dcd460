"""Every method against one: paired where both ran the same seeds, corrected for the number of tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from ednag_jax.report import Summary, cliffs_delta, holm, summarise, wilcoxon
from ednag_jax.reports.groups import Group, at_seeds, common_seeds, filled
from ednag_jax.result import Result

MIN_SEEDS = 2
"""A test of fewer has nothing to say."""


class Comparison(NamedTuple):
    """One method against the baseline; differences are the method's value less the baseline's."""

    label: str
    num_pairs: int
    """Seeds that both have; 0 where the test is unpaired."""
    difference: Summary
    """Of the pairs; its mean alone where the test is unpaired."""
    delta: float
    """Cliff's delta over all seeds of both: above 0 the method is better."""
    p_value: float
    """Of Wilcoxon's signed-rank test, or Mann and Whitney's where unpaired; NaN with too few seeds."""
    p_holm: float
    """The same, corrected by Holm's method for the tests on this benchmark."""


def compare_with(group: Group, baseline: str) -> list[Comparison]:
    """Returns every other run of a group against the baseline."""
    first = group.runs[baseline]
    found = [_against(first, result, label) for label, result in group.runs.items() if label != baseline]
    return [
        each._replace(p_holm=p) for each, p in zip(found, _holm([each.p_value for each in found]), strict=True)
    ]


def _against(first: Result, other: Result, label: str) -> Comparison:
    """Returns a comparison without its correction: a seed that met nothing counts as the worst of both."""
    seeds = common_seeds(first, other)
    all_values = filled(first.best_accuracy, other.best_accuracy)
    delta = cliffs_delta(all_values[1], all_values[0])
    nan = float("nan")
    if len(seeds) < MIN_SEEDS:
        mean = float(all_values[1].mean() - all_values[0].mean())
        p_value = nan
        if min(len(first.seeds), len(other.seeds)) >= MIN_SEEDS:
            p_value = float(stats.mannwhitneyu(all_values[1], all_values[0]).pvalue)
        return Comparison(label, 0, Summary(mean, nan, nan, nan, nan), delta, p_value, nan)
    a, b = filled(at_seeds(first, seeds), at_seeds(other, seeds))
    return Comparison(label, len(seeds), summarise(b - a), delta, wilcoxon(b, a), nan)


def _holm(p_values: Sequence[float]) -> list[float]:
    """Returns the p-values corrected for those of them that are numbers."""
    known = [i for i, p in enumerate(p_values) if not np.isnan(p)]
    corrected = dict(zip(known, holm([p_values[i] for i in known]), strict=True))
    return [corrected.get(i, float("nan")) for i in range(len(p_values))]
