"""Everything that a run has queried, rows in the order of the queries, in arrays of a fixed size."""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Int

from ednag_jax.types import Evaluation


def begun(first: Evaluation, size: int) -> Evaluation:
    """Returns an archive of `size` rows that holds the first queries; rows not yet used repeat the last.

    So a trace counts nothing that was not asked. The repeats rank last.
    """
    num = first.fitness.shape[0]
    row = jnp.minimum(jnp.arange(size), num - 1)
    archive = Evaluation(*(column[row] for column in first))
    return archive._replace(fitness=jnp.where(jnp.arange(size) < num, archive.fitness, -jnp.inf))


def extended(archive: Evaluation, row: Int[Array, ""], asked: Evaluation) -> Evaluation:
    """Returns the archive with the one query of an evaluation [1 ...] in a row."""
    return Evaluation(*(a.at[row].set(b[0]) for a, b in zip(archive, asked, strict=True)))
