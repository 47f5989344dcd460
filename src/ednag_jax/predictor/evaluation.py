"""How well the predictor orders architectures on tasks it has not seen, and which of its own are near."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from scipy.stats import spearmanr

from ednag_jax.predictor.examples import TaskTable, check_table
from ednag_jax.predictor.model import Predictor, Target, encode_dataset, score


class TaskQuality(NamedTuple):
    """Of predictions on the tasks of a table."""

    spearman: Float[np.ndarray, " t"]
    """Rank correlation of predicted and measured accuracies; NaN where all measured ones are equal."""
    rmse: Float[np.ndarray, " t"]
    """Percent."""


def task_quality(predictor: Predictor, table: TaskTable) -> TaskQuality:
    """Returns how well a predictor says the accuracies of each task of a table, those run.

    Raises:
        ValueError: a table whose parts do not fit.
    """
    check_table(table)
    rows = []
    for features, mask, archs, accuracy in zip(*table[:4], strict=True):
        run = np.isfinite(accuracy)
        predicted = score(predictor, encode_dataset(predictor, features, mask), archs).mean
        rows.append(_quality(np.asarray(predicted, np.float64)[run], accuracy[run]))
    return TaskQuality(*(np.array(column) for column in zip(*rows, strict=True)))


def _quality(predicted: Float[np.ndarray, " m"], measured: Float[np.ndarray, " m"]) -> tuple[float, float]:
    """Returns rank correlation and root mean squared error."""
    return rank_correlation(predicted, measured), float(np.sqrt(np.mean((predicted - measured) ** 2)))


def rank_correlation(predicted: Float[np.ndarray, " m"], measured: Float[np.ndarray, " m"]) -> float:
    """Returns Spearman's correlation over what was measured; NaN where either is the same for all."""
    known = np.isfinite(measured)
    predicted, measured = predicted[known], measured[known]
    same = not known.any() or np.ptp(measured) == 0 or np.ptp(predicted) == 0
    return np.nan if same else float(spearmanr(predicted, measured).statistic)


def nearest_tasks(predictor: Predictor, target: Target, num: int = 3) -> list[tuple[str, float]]:
    """Returns the tasks that the predictor learnt from and finds most like a data set, with their distances.

    A distance is that of the vectors, mean over the ensemble, in units of how far the tasks learnt from lie
    from their own mean on average.
    """
    distance = jnp.linalg.norm(predictor.task_vectors - target.dataset[:, None], axis=-1)
    centre = jnp.mean(predictor.task_vectors, axis=1, keepdims=True)
    spread = jnp.mean(jnp.linalg.norm(predictor.task_vectors - centre, axis=-1), axis=1, keepdims=True)
    mean = np.asarray(jnp.mean(distance / jnp.maximum(spread, 1e-9), axis=0))
    return [(predictor.tasks[row], float(mean[row])) for row in np.argsort(mean, kind="stable")[:num]]
