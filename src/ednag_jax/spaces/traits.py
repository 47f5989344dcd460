"""Traits of an architecture: what a predictor compares, beyond the fields that a search changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

NONE, SKIP, CONV_1X1, CONV_3X3 = range(4)
"""Op ids that cells of NAS-Bench-201 and TransNAS-Bench-101 micro have in common."""
PATHS = ((3,), (0, 4), (1, 5), (0, 2, 5))
"""Edges on each path from node 0 to node 3 of a cell of 4 nodes."""


class Traits(NamedTuple):
    """Two descriptions of architectures; half a squared distance in either is a dissimilarity, 0 to about 1."""

    coarse: Float[Array, "*b c"]
    """Tells what kind of architecture it is."""
    fine: Float[Array, "*b f"]
    """Tells architectures apart."""


def categories(groups: Sequence[tuple[Int[Array, "*b _"], int]]) -> Float[Array, "*b f"]:
    """Returns one-hot columns whose half squared distance is the mean over groups of the share that differs.

    Args:
        groups: each the values of some categories, from 0 to below the number beside them.
    """
    columns = [
        jax.nn.one_hot(values, number).reshape(*values.shape[:-1], -1) / jnp.sqrt(values.shape[-1])
        for values, number in groups
    ]
    return jnp.concatenate(columns, axis=-1) / jnp.sqrt(len(groups))


def cell_traits(ops: Int[Array, "*b 6"], num_ops: int) -> Traits:
    """Returns the traits of cells of 4 nodes whose edges are in the order (0,1) (0,2) (1,2) (0,3) (1,3) (2,3).

    Fine: the six ops, and what the four paths from input to output compute, each a sequence of ops that
    `none` breaks. Coarse: the ops of the edges on some path, and the kinds of all ops, where the two
    convolutions are one kind.
    """
    kind = jnp.where(ops == CONV_3X3, CONV_1X1, ops)
    coarse = categories([(jnp.where(_is_used(ops), ops, NONE), num_ops), (kind, num_ops)])
    paths = [_path(ops, path, num_ops) for path in PATHS]
    size = num_ops ** max(map(len, PATHS))
    return Traits(coarse, categories([(ops, num_ops), (jnp.stack(paths, axis=-1), size)]))


def _path(ops: Int[Array, "*b 6"], path: tuple[int, ...], num_ops: int) -> Int[Array, "*b"]:
    """Returns the number of a path's sequence of ops, 0 where an edge of it is none."""
    on_path = ops[..., path]
    place = jnp.array([num_ops**i for i in range(len(path))])
    return jnp.where(jnp.any(on_path == NONE, axis=-1), 0, jnp.sum(on_path * place, axis=-1))


def _is_used(ops: Int[Array, "*b 6"]) -> Bool[Array, "*b 6"]:
    """Returns which edges lie on an unbroken path from input to output."""
    unbroken = jnp.stack([jnp.all(ops[..., path] != NONE, axis=-1) for path in PATHS], axis=-1)
    on_path = jnp.array([[edge in path for path in PATHS] for edge in range(ops.shape[-1])])
    return jnp.any(on_path & unbroken[..., None, :], axis=-1)
