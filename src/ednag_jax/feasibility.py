"""Deb's rule (2000): what keeps within the constraints ranks above what does not; that by its violation."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

INFEASIBLE = 1e30
"""Fitness at and below minus this is no accuracy but a violation; -inf still marks a failure."""
MOST_VIOLATION = 1e7
"""Violations are cut here, so that their fitness stays finite."""


def feasible_first(fitness: Float[Array, "*n"], violation: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """Returns fitness where nothing is violated, else -INFEASIBLE (1 + violation): below any feasible fitness.

    Args:
        fitness: of the accuracies alone.
        violation: at least 0.
    """
    broken = -INFEASIBLE * (1 + jnp.minimum(violation, MOST_VIOLATION))
    return jnp.where(violation > 0, broken, fitness)


def is_feasible(fitness: Float[Array, "*n"] | Float[np.ndarray, "*n"]) -> Any:
    """Returns where a fitness, on device or host, is one of accuracies: nothing is violated, nothing failed."""
    return fitness > -INFEASIBLE


def on_one_scale(fitness: Float[Array, " n"]) -> Float[Array, " n"]:
    """Returns fitness with the infeasible just below the worst feasible of the population, by their violation.

    For rules that need a scale and not only an order. Unchanged where all are feasible; -inf stays.
    """
    feasible = is_feasible(fitness)
    worst = jnp.min(jnp.where(feasible, fitness, jnp.inf))
    violation = -fitness / INFEASIBLE - 1
    return jnp.where(feasible, fitness, jnp.where(jnp.any(feasible), worst, 0.0) - violation)
