"""What strategies with a model propose, and how they read an archive that is still filling."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int

from ednag_jax.arch_ids import is_known, is_repeat
from ednag_jax.spaces import SearchSpace
from ednag_jax.types import Evaluation, KeyArray

LONG_ARCHIVE = 100
"""Queries from which on it pays to compile a program for each quarter of the archive."""
SPARE_DRAWS = 4
"""Draws for each first query, so that in all but the smallest spaces none of them is asked twice."""


def first_queries(key: KeyArray, num: int, *, space: SearchSpace) -> Int[Array, "n e"]:
    """Returns num architectures drawn uniformly, different where the spare draws allow."""
    drawn = space.random(key, SPARE_DRAWS * num)
    # The sort is stable: the first of each come first, in the order of the draws.
    order = jnp.argsort(is_repeat(space.arch_id(drawn)))
    return drawn[order[:num]]


def mutants(
    key: KeyArray, archive: Evaluation, num: int, *, num_parents: int, space: SearchSpace
) -> Int[Array, "m e"]:
    """Returns num neighbours of the fittest of an archive, which take turns as the parent.

    Args:
        key: consumed.
        archive: [q ...]; fitness -inf where a row is not in use, or failed.
        num: how many.
        num_parents: how many of the fittest; all, where there are fewer.
        space: what is searched.
    """
    fitness, fittest = jax.lax.top_k(archive.fitness, min(num_parents, len(archive.fitness)))
    alive = jnp.maximum(jnp.sum(fitness > -jnp.inf), 1)
    parents = archive.phenotype[fittest[jnp.arange(num) % alive]]
    return jax.vmap(space.mutate)(jax.random.split(key, num), parents)


def is_new(
    candidates: Int[Array, "m e"], archive: Evaluation, used: Int[Array, ""], *, space: SearchSpace
) -> Bool[Array, " m"]:
    """Returns which candidates are valid, not yet queried, and not the repeat of an earlier candidate."""
    ids = space.arch_id(candidates)
    return space.is_valid(candidates) & ~is_known(ids, archive.arch_id, used) & ~is_repeat(ids)


def on_used_rows(
    function: Callable[..., Any], archive: Evaluation, used: Int[Array, ""], *arguments: Any
) -> Any:
    """Returns function(archive, used, *arguments), of a long archive with the quarters that are filled alone.

    So a step early in a run costs less; what the function returns must not have the archive's size.

    Args:
        function: traced.
        archive: [q ...].
        used: how many rows are in use; not batched over seeds, or every quarter would be computed.
        *arguments: handed on.
    """
    size = archive.fitness.shape[0]
    quarters = range(1, 5) if size >= LONG_ARCHIVE else (4,)
    sizes = [-(-size * quarter // 4) for quarter in quarters]
    branches = [partial(_on_first_rows, function, rows) for rows in sizes]
    return jax.lax.switch(jnp.sum(used > jnp.array(sizes)), branches, archive, used, *arguments)


def _on_first_rows(function: Callable[..., Any], rows: int, archive: Evaluation, *arguments: Any) -> Any:
    return function(Evaluation(*(column[:rows] for column in archive)), *arguments)
