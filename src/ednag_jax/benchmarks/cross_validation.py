"""How well a surrogate says what architectures score that it was not fitted to: folds, R2, Kendall's tau."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import kendalltau


class Quality(NamedTuple):
    """Of predictions for architectures held out."""

    r2: float
    """Share of the variance explained; 0 for saying the mean, below 0 for less than that."""
    kendall_tau: float
    rmse: float
    """In the unit of what is predicted."""


def quality(predicted: Float[np.ndarray, " n"], measured: Float[np.ndarray, " n"]) -> Quality:
    """Returns how well predictions agree with measurements.

    >>> quality(np.array([1.0, 2.0, 4.0]), np.array([1.0, 2.0, 3.0])).r2
    0.5
    """
    error = np.mean((predicted - measured) ** 2)
    tau = float(kendalltau(predicted, measured).statistic)
    return Quality(float(1 - error / np.var(measured)), tau, float(np.sqrt(error)))


def cross_validated(
    fit_and_predict: Callable[[Int[np.ndarray, " m"], Int[np.ndarray, " k"]], Float[np.ndarray, " k"]],
    num: int,
    *,
    folds: int = 5,
    repeats: int = 10,
) -> Float[np.ndarray, "r n"]:
    """Returns a prediction for every row, from a fit without it, once a repeat; repeats cut other folds.

    Args:
        fit_and_predict: from the rows to fit and the rows to predict, the predictions of these.
        num: of rows.
        folds: parts of the rows, each held out once.
        repeats: how often they are cut anew.
    """
    predicted = np.full((repeats, num), np.nan)
    for repeat in range(repeats):
        order = np.random.default_rng(repeat).permutation(num)
        for fold in range(folds):
            rest = order[fold::folds]
            predicted[repeat, rest] = fit_and_predict(np.setdiff1d(order, rest), rest)
    return predicted


def mean_quality(predicted: Float[np.ndarray, "r n"], measured: Float[np.ndarray, " n"]) -> Quality:
    """Returns the mean over repeats of each number."""
    return Quality(*np.mean([quality(row, measured) for row in predicted], axis=0).tolist())
