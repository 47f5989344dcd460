"""Fronts and the hypervolume that they dominate, on the host: exact, for any number of objectives."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int


def front_rows(values: Float[np.ndarray, "m k"]) -> Int[np.ndarray, " f"]:
    """Returns the rows that no other row dominates, best first objective first; of equal rows the first.

    Args:
        values: higher is better in every column; a row with a NaN is on no front.

    >>> front_rows(np.array([[1.0, 3.0], [2.0, 2.0], [1.0, 2.0]])).tolist()
    [1, 0]
    """
    front: list[int] = []
    # In this order no row dominates an earlier one.
    for row in np.lexsort(-values.T[::-1]):
        if not np.isnan(values[row]).any() and not np.any(np.all(values[front] >= values[row], axis=1)):
            front.append(int(row))
    return np.array(front, np.int64)


def hypervolume(values: Float[np.ndarray, "m k"], reference: Float[np.ndarray, " k"]) -> float:
    """Returns the volume that the rows dominate and that lies above the reference point, exactly.

    By slicing: between two neighbouring values of the first objective, the volume of the others' front. That is
    n log n operations for two objectives and a factor n for each further one, n the length of the front.

    Args:
        values: higher is better in every column; rows not above the reference in all of them add nothing.
        reference: of the same columns.

    >>> hypervolume(np.array([[1.0, 3.0], [2.0, 2.0]]), np.zeros(2))
    5.0
    """
    gains = np.asarray(values, np.float64) - reference
    gains = gains[np.all(gains > 0, axis=1)]
    return _volume(gains[front_rows(gains)])


def _volume(gains: Float[np.ndarray, "m k"]) -> float:
    """Returns the volume between the origin and positive rows."""
    ordered = gains[np.argsort(-gains[:, 0])]
    depth = -np.diff(ordered[:, 0], append=0.0)
    if gains.shape[1] == 1:
        return float(depth.sum())
    if gains.shape[1] == 2:
        return float(depth @ np.maximum.accumulate(ordered[:, 1]))
    return float(sum(d * _volume(ordered[: i + 1, 1:]) for i, d in enumerate(depth) if d > 0))


def hypervolume_curve(
    values: Float[np.ndarray, "q k"], reference: Float[np.ndarray, " k"], length: int
) -> Float[np.ndarray, " length"]:
    """Returns the hypervolume of the first 1 .. length rows; carried on where there are fewer rows.

    Args:
        values: in the order of the queries; NaN where one failed or is infeasible.
        reference: see `hypervolume`.
        length: of the curve.
    """
    front, curve = np.empty((0, len(reference))), np.zeros(length)
    for query, value in enumerate(values[:length]):
        if np.all(value > reference) and not np.any(np.all(front >= value, axis=1)):
            front = np.concatenate([front[~np.all(value >= front, axis=1)], value[None]])
            curve[query:] = hypervolume(front, reference)
    return curve
