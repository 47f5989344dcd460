"""Tables of spaces without a table index: values found by an architecture's 64-bit hash, in traced code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, UInt32

from ednag_jax.queries import packed_ids
from ednag_jax.spaces import SearchSpace
from ednag_jax.storage import DataError
from ednag_jax.types import KeyArray

ROWS_PER_BUCKET = 4
"""Mean at most: more makes fewer, wider buckets, so less memory and more comparisons."""


class HashTable(NamedTuple):
    """b buckets (a power of two) of w slots; a row lies in the bucket that its key's first word names."""

    keys: UInt32[Array, "b w 2"]
    values: Float[Array, "b w"]
    """NaN in slots that hold no row."""


@dataclass(frozen=True)
class HashLookup:
    """The fitness function of a `HashTable`: the value of each architecture, NaN where the table has no row."""

    space: SearchSpace

    def __call__(self, params: HashTable, key: KeyArray, phenotype: Int[Array, "n e"]) -> Float[Array, " n"]:
        del key  # a table does not draw
        ids = self.space.arch_id(phenotype)
        bucket = ids[:, 0] & jnp.uint32(params.keys.shape[0] - 1)
        values = params.values[bucket]
        # An empty slot has the key (0, 0), which an architecture may have too.
        is_row = jnp.all(params.keys[bucket] == ids[:, None, :], axis=-1) & ~jnp.isnan(values)
        value = jnp.sum(jnp.where(is_row, values, 0.0), axis=-1)
        return jnp.where(jnp.any(is_row, axis=-1), value, jnp.nan)


def hash_tables(ids: UInt32[np.ndarray, "n 2"], columns: Mapping[str, np.ndarray]) -> dict[str, HashTable]:
    """Returns one table a column, all with the same array of keys.

    Args:
        ids: `arch_id` of each row.
        columns: [n] numbers by name.

    Raises:
        DataError: two rows with the same hash.
    """
    repeated = len(ids) - len(np.unique(packed_ids(ids)))
    if repeated:
        raise DataError(f"{repeated} of {len(ids)} rows are architectures that an earlier row has; get it anew")
    buckets = 1 << max(0, (len(ids) - 1) // ROWS_PER_BUCKET).bit_length()
    bucket = ids[:, 0] & (buckets - 1)
    order = np.argsort(bucket, kind="stable")
    count = np.bincount(bucket, minlength=buckets)
    slot = np.arange(len(ids)) - np.repeat(np.cumsum(count) - count, count)
    place = (bucket[order], slot)
    shape = (buckets, int(count.max()))
    keys = np.zeros((*shape, 2), np.uint32)
    keys[place] = ids[order]
    shared = jnp.asarray(keys)
    return {name: HashTable(shared, _placed(column[order], place, shape)) for name, column in columns.items()}


def _placed(
    column: np.ndarray, place: tuple[np.ndarray, np.ndarray], shape: tuple[int, int]
) -> Float[Array, "b w"]:
    """Returns a column's values at their places, NaN elsewhere."""
    values = np.full(shape, np.nan, np.float32)
    values[place] = column
    return jnp.asarray(values)
