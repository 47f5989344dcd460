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
    """Three descriptions of architectures; half a squared distance in each is a dissimilarity of order 1."""

    rough: Float[Array, "*b r"]
    """Tells how much there is of everything."""
    coarse: Float[Array, "*b c"]
    """Tells what kind of architecture it is."""
    fine: Float[Array, "*b f"]
    """Tells architectures apart."""


def categories(values: Int[Array, "*b n"], number: int) -> Float[Array, "*b f"]:
    """Returns one-hot columns of values in [0, number); half a squared distance is the share that differs."""
    columns = jax.nn.one_hot(values, number) / jnp.sqrt(values.shape[-1])
    return columns.reshape(*values.shape[:-1], -1)


def counts(values: Int[Array, "*b n"], number: int, present: Bool[Array, "*b n"]) -> Float[Array, "*b f"]:
    """Returns how often each of `number` values is present, divided by sqrt(2 n).

    Half a squared distance is then k^2 / 2 n where k of the n places turn from one value to one other.
    """
    marks = jax.nn.one_hot(values, number) * present[..., None]
    return jnp.sum(marks, axis=-2) / jnp.sqrt(2.0 * values.shape[-1])


def joined(parts: Sequence[Float[Array, "*b _"]]) -> Float[Array, "*b f"]:
    """Returns columns whose half squared distance is the mean of that of the parts."""
    return jnp.concatenate(parts, axis=-1) / jnp.sqrt(len(parts))


def cell_traits(ops: Int[Array, "*b 6"], num_ops: int) -> Traits:
    """Returns the traits of cells of 4 nodes whose edges are in the order (0,1) (0,2) (1,2) (0,3) (1,3) (2,3).

    Rough: how often each op comes on edges that lie on a path without `none`. Coarse: what the four paths from
    input to output compute, in any order, with the two convolutions as one kind: isomorphic cells agree. Fine:
    the same with the convolutions told apart, and the six ops.
    """
    kinds = jnp.where(ops == CONV_3X3, CONV_1X1, ops)
    fine = joined([categories(ops, num_ops), _computed(ops, num_ops)])
    return Traits(counts(ops, num_ops, _on_a_path(ops)), _computed(kinds, num_ops), fine)


def _on_a_path(ops: Int[Array, "*b 6"]) -> Bool[Array, "*b 6"]:
    """Returns which edges lie on a path from input to output that no `none` breaks."""
    whole = [jnp.all(ops[..., path] != NONE, axis=-1) for path in PATHS]
    on_one = [
        jnp.any(jnp.stack([there for path, there in zip(PATHS, whole, strict=True) if edge in path]), axis=0)
        for edge in range(ops.shape[-1])
    ]
    return jnp.stack(on_one, axis=-1)


def _computed(ops: Int[Array, "*b 6"], num_ops: int) -> Float[Array, "*b f"]:
    """Returns how many of the paths compute each sequence of ops, scaled.

    A path that `none` breaks computes nothing; `skip` adds nothing to a sequence: identity is the empty one.
    Half a squared distance is the share of paths that differ; sequences that several compute weigh more.
    """
    size = sum((num_ops - CONV_1X1) ** length for length in range(max(map(len, PATHS)) + 1))
    computed = jnp.stack([_path(ops, path, num_ops) for path in PATHS], axis=-1)
    return jnp.sum(jax.nn.one_hot(computed, size), axis=-2) / jnp.sqrt(len(PATHS))


def _path(ops: Int[Array, "*b 6"], path: tuple[int, ...], num_ops: int) -> Int[Array, "*b"]:
    """Returns the number of a path's sequence of ops without skips, -1 where an edge of it is none.

    The ops after skip are the digits 1, 2, ... of a number without a digit 0, so the empty sequence is 0.
    """
    number = jnp.zeros(ops.shape[:-1], jnp.int32)
    for edge in path:
        op = ops[..., edge]
        number = jnp.where(op == SKIP, number, (num_ops - CONV_1X1) * number + op - SKIP)
    return jnp.where(jnp.any(ops[..., path] == NONE, axis=-1), -1, number)
