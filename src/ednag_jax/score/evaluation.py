"""How good a generator is without guidance: valid, unique, new, spread as the cells are, and its score."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from ednag_jax.score.cells import as_matrix, uniform_score
from ednag_jax.score.sde import ScoreFn
from ednag_jax.spaces import NasBench201
from ednag_jax.types import KeyArray


class Quality(NamedTuple):
    """Of samples; shares in [0, 1]."""

    validity: float
    """Share whose ends are an input and an output, and whose edges are operations."""
    uniqueness: float
    """Share of the valid ones that are different."""
    novelty: float
    """Share of the different ones that were not learnt from."""
    marginals: Float[np.ndarray, "e o"]
    """Share of each operation on each edge, over the valid ones."""

    @property
    def distance(self) -> float:
        """Greatest distance in total variation of an edge's operations from all being equally likely."""
        return float(0.5 * np.abs(self.marginals - 1 / self.marginals.shape[1]).sum(axis=1).max())


def quality(phenotype: Int[Array, "n e"], learnt: Int[Array, "m e"]) -> Quality:
    """Returns how good samples are, given the cells that were learnt from; NaN where none is there to judge."""
    space = NasBench201()
    valid = np.asarray(space.is_valid(phenotype))
    cells = np.asarray(phenotype)[valid]
    unique = np.unique(np.asarray(space.arch_index(jnp.asarray(cells))))
    known = np.isin(unique, np.asarray(space.arch_index(learnt)))
    marginals = np.stack(
        [(cells == op).sum(axis=0) / max(len(cells), 1) for op in range(space.choices[0])], axis=1
    )
    return Quality(
        float(valid.mean()),
        len(unique) / len(cells) if len(cells) else float("nan"),
        float(np.mean(~known)) if len(unique) else float("nan"),
        marginals,
    )


def expected_uniqueness(num: int, size: int = NasBench201().size) -> float:
    """Returns the uniqueness that `num` uniform draws of `size` cells have in the mean.

    >>> round(expected_uniqueness(1000), 3)
    0.969
    """
    return float(-size * np.expm1(num * np.log1p(-1 / size)) / num)


def score_error(key: KeyArray, score: ScoreFn, sigma: Float[Array, ""], num: int = 256) -> Float[Array, ""]:
    """Returns the squared error of a score at a level of noise, as a share of the exact score's square.

    The exact one is that of all cells, each equally likely.
    """
    key_cells, key_noise = jax.random.split(key)
    clean = as_matrix(NasBench201().random(key_cells, num))
    noisy = clean + sigma * jax.random.normal(key_noise, clean.shape)
    exact = uniform_score(noisy, sigma)
    return jnp.sum(jnp.square(score(noisy, sigma) - exact)) / jnp.sum(jnp.square(exact))
