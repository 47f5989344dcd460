"""Which cells are trained on a task: different ones, from the cheapest to the most expensive."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

import jax.numpy as jnp
import numpy as np
from jaxtyping import Int

from ednag_jax.config import MetaConfig
from ednag_jax.networks.nasbench201 import multiply_add_count
from ednag_jax.spaces import NasBench201

SHARED_STREAM, DRAWN_STREAM = 0, 1
"""Random streams of the cells that all tasks have, and of those drawn for one."""


@lru_cache(maxsize=1)
def distinct_cells() -> Int[np.ndarray, "u e"]:
    """Returns one cell of each of NAS-Bench-201's structures, fewest multiply-adds first.

    Of cells of the same structure it is the one with the fewest multiply-adds, so that no edge that leads
    nowhere computes anything.
    """
    space = NasBench201()
    cells = space.from_index(jnp.arange(space.size))
    structure = np.asarray(space.canonical_id(cells))
    cost = np.asarray(multiply_add_count(cells, num_classes=10))
    order = np.argsort(cost, kind="stable")
    _, first = np.unique(structure[order], return_index=True)
    return np.asarray(cells)[order[np.sort(first)]]


def cells_of(index: int, config: MetaConfig) -> Int[np.ndarray, "a e"]:
    """Returns the cells of a task: those that all tasks have, then those drawn for it, no two the same.

    Both are stratified: one cell of each of as many strata of equal size, by multiply-adds.

    Args:
        index: of the task.
        config: the recipe.
    """
    cells = distinct_cells()
    shared = _stratified(len(cells), config.num_cells_shared, [config.seed, SHARED_STREAM])
    others = np.setdiff1d(np.arange(len(cells)), shared)
    drawn = _stratified(len(others), config.num_cells_drawn, [config.seed, DRAWN_STREAM, index])
    return cells[np.concatenate([shared, others[drawn]])]


def _stratified(size: int, number: int, seed: list[int]) -> Int[np.ndarray, " n"]:
    """Returns one random number of each of `number` equal shares of 0 .. size-1."""
    rng, bounds = np.random.default_rng(seed), np.linspace(0, size, number + 1).astype(int)
    return np.array([rng.integers(low, high) for low, high in pairwise(bounds)], int)
