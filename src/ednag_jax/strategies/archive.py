"""Everything that a run has queried, rows in the order of the queries, in arrays of a fixed size."""

from __future__ import annotations

from functools import reduce
from operator import and_

import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, Num

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


def is_known(ids: Num[Array, "m *h"], queried: Num[Array, "q *h"], used: Int[Array, ""]) -> Bool[Array, " m"]:
    """Returns which ids, numbers or hashes, are among the first `used` of those queried."""
    columns = zip(ids.reshape(len(ids), -1).T, queried.reshape(len(queried), -1).T, strict=True)
    # Halves of hashes compared one by one: with jnp.all over both XLA computes the hashes anew for each pair.
    equal = reduce(and_, (new[:, None] == old for new, old in columns))
    return jnp.any(equal & (jnp.arange(len(queried)) < used), axis=1)
