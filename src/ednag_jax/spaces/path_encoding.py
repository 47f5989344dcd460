"""Path encoding (White et al. 2021): which sequences of ops lead from the input of a cell to its output."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, pairwise

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from ednag_jax.spaces import nasbench101, nasbench201, transnas101
from ednag_jax.spaces.base import SearchSpace
from ednag_jax.spaces.nasbench101 import NUM_EDGES, NasBench101
from ednag_jax.spaces.nasbench101_graph import EDGES, NUM_VERTICES
from ednag_jax.spaces.nasbench201 import NasBench201
from ednag_jax.spaces.traits import NONE
from ednag_jax.spaces.traits import PATHS as CELL_PATHS
from ednag_jax.spaces.transnas101 import TransNas101Micro

LONGEST_MODULE_PATH = 3
"""Ops on the longest path of a module that counts: the paper cuts NAS-Bench-101's 364 sequences to 40 too."""
MODULE_PATHS = tuple(
    inside
    for length in range(LONGEST_MODULE_PATH + 1)
    for inside in combinations(range(1, NUM_VERTICES - 1), length)
)
"""Vertices on each possible path of a module, without input and output."""


def path_encoding(phenotype: Int[Array, "*b e"], space: SearchSpace) -> Float[Array, "*b f"]:
    """Returns 1 for each sequence of ops on some path, 0 for all others; elsewhere 1 for each choice taken.

    Cells of NAS-Bench-201 and TransNAS-Bench-101 have their paths in full, none of them through an edge `none`.
    Spaces without such cells have one column a value of each choice.
    """
    if isinstance(space, NasBench201):
        return _cell_paths(phenotype, len(nasbench201.OPS))
    if isinstance(space, TransNas101Micro):
        return _cell_paths(phenotype, len(transnas101.OPS))
    if isinstance(space, NasBench101):
        return _module_paths(phenotype)
    return (space.encode(phenotype) + 1) / 2


def _cell_paths(ops: Int[Array, "*b 6"], num_ops: int) -> Float[Array, "*b f"]:
    """Returns the path encoding of cells of 4 nodes."""
    on_paths = [ops[..., path] for path in CELL_PATHS]
    exists = [jnp.all(on_path != NONE, axis=-1) for on_path in on_paths]
    return _sequences(on_paths, exists, num_ops)


def _module_paths(phenotype: Int[Array, "*b 26"]) -> Float[Array, "*b f"]:
    """Returns the path encoding of modules, cut to paths of few ops."""
    edge, op = phenotype[..., :NUM_EDGES], phenotype[..., NUM_EDGES:]
    on_paths, exists = [], []
    for inside in MODULE_PATHS:
        needed = [EDGES.index(pair) for pair in pairwise((0, *inside, NUM_VERTICES - 1))]
        exists.append(jnp.all(edge[..., jnp.array(needed)] == 1, axis=-1))
        on_paths.append(op[..., jnp.array(inside, jnp.int32) - 1])
    return _sequences(on_paths, exists, len(nasbench101.OPS))


def _sequences(
    on_paths: Sequence[Int[Array, "*b _"]], exists: Sequence[Bool[Array, "*b"]], num_ops: int
) -> Float[Array, "*b f"]:
    """Returns 1 for each sequence of ops that an existing path has, the shortest sequences first."""
    columns: dict[int, Float[Array, "*b _"]] = {}
    for ops, there in zip(on_paths, exists, strict=True):
        length = ops.shape[-1]
        number = jnp.sum(ops * jnp.array([num_ops**i for i in range(length)], jnp.int32), axis=-1)
        marked = jax.nn.one_hot(number, num_ops**length) * there[..., None]
        columns[length] = jnp.maximum(columns[length], marked) if length in columns else marked
    return jnp.concatenate([columns[length] for length in sorted(columns)], axis=-1)
