"""Which of its queries a search ends with, on the host."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from ednag_jax.queries import QueryLog, incumbents
from ednag_jax.spaces import SearchSpace
from ednag_jax.types import Strategy

Choose = Callable[[Sequence[QueryLog], int], Int[np.ndarray, "s q"]]
"""`choose(logs, length)`: the row of each seed's log that it would end with after 1 .. length queries."""


def best_told(logs: Sequence[QueryLog], length: int) -> Int[np.ndarray, "s q"]:
    """Returns the row of the best number told so far; see `incumbents`."""
    return np.stack([incumbents(log.accuracy, length) for log in logs])


def chooser(strategy: Strategy, space: SearchSpace, config: Any, *, is_noisy: bool) -> Choose:
    """Returns the rule of a strategy: under a noisy oracle its own, where it has one, else the best told."""
    if not is_noisy or strategy.recommend is None:
        return best_told
    return partial(_recommended, jax.jit(jax.vmap(partial(strategy.recommend, space=space, config=config))))


def _recommended(
    recommend: Callable[..., Int[Array, "s q"]], logs: Sequence[QueryLog], length: int
) -> Int[np.ndarray, "s q"]:
    """Returns what a strategy recommends; carried on unchanged where a run asked for fewer than `length`."""
    asked = np.array([len(log.accuracy) for log in logs])
    row = np.minimum(np.arange(length), asked[:, None] - 1)
    phenotype = np.stack([log.phenotype[rows] for log, rows in zip(logs, row, strict=True)])
    told = np.stack([log.accuracy[rows] for log, rows in zip(logs, row, strict=True)])
    told = np.where(np.isnan(told) | (np.arange(length) >= asked[:, None]), -np.inf, told)
    rows = np.asarray(recommend(jnp.asarray(phenotype), jnp.asarray(told, jnp.float32)))
    return np.take_along_axis(rows, row, axis=1)
