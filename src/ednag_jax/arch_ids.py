"""Which architectures are the same: their ids, a number or the two halves of a hash, compared."""

from __future__ import annotations

from functools import reduce
from operator import and_

import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, Num


def is_known(ids: Num[Array, "m *h"], queried: Num[Array, "q *h"], used: Int[Array, ""]) -> Bool[Array, " m"]:
    """Returns which ids are among the first `used` of those queried."""
    return jnp.any(same_ids(ids, queried) & (jnp.arange(len(queried)) < used), axis=1)


def is_repeat(ids: Num[Array, "m *h"]) -> Bool[Array, " m"]:
    """Returns which ids equal one before them."""
    return jnp.any(jnp.tril(same_ids(ids, ids), -1), axis=1)


def same_ids(a: Num[Array, "m *h"], b: Num[Array, "q *h"]) -> Bool[Array, "m q"]:
    """Returns which of m ids are the same as which of q."""
    # Halves of hashes compared one by one: with jnp.all over both XLA computes the hashes anew for each pair.
    columns = zip(a.reshape(len(a), -1).T, b.reshape(len(b), -1).T, strict=True)
    return reduce(and_, (new[:, None] == old for new, old in columns))
