"""Cells as what DiffusionNAG diffuses: a matrix of nodes by types, and which nodes hear each other.

The eight nodes of a cell of NAS-Bench-201 are its input, its six edges and its output, the seven types input,
output and the five operations: the padded encoding of the space, 1 at a node's type and -1 elsewhere. What
leads to what is the same for all cells and is not diffused.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from ednag_jax.spaces import NasBench201, SearchSpace
from ednag_jax.spaces.nasbench201 import EDGES, OPS

NUM_NODES, NUM_TYPES = len(EDGES) + 2, len(OPS) + 2
INPUT, OUTPUT = 0, 1
"""Types of the two ends."""
PADDED = NasBench201(encoding="padded")


def check_space(space: SearchSpace) -> None:
    """Raises ValueError for another space than NAS-Bench-201: a score network is made for one space."""
    if not isinstance(space, NasBench201):
        raise ValueError(
            f"diffusion_nag generates cells of nasbench201 alone, got space {space.name!r}: another space "
            "needs a score network of its own; use ednag or ednag_online there"
        )


def as_matrix(phenotype: Int[Array, "*b e"]) -> Float[Array, "*b v o"]:
    """Returns cells as matrices, 1 at the type of each node and -1 elsewhere."""
    return PADDED.encode(phenotype).reshape(*phenotype.shape[:-1], NUM_NODES, NUM_TYPES)


def from_matrix(matrix: Float[Array, "*b v o"]) -> Int[Array, "*b e"]:
    """Returns the cells that matrices decode to, by the greatest number of each node; -1 marks no operation.

    A cell whose ends are not an input and an output is none: all of it is -1.
    """
    flat = matrix.reshape(*matrix.shape[:-2], NUM_NODES * NUM_TYPES)
    ends = jnp.argmax(matrix[..., jnp.array([0, -1]), :], axis=-1)
    whole = jnp.all(ends == jnp.array([INPUT, OUTPUT]), axis=-1)
    return jnp.where(whole[..., None], PADDED.decode(flat), -1)


def hearing() -> Bool[np.ndarray, "v v"]:
    """Returns which nodes hear each other: itself, and all that lead to it or follow it, however far.

    Two nodes without a path between them do not: the attention along directed acyclic graphs of the literature.
    """
    ends = ((-1, 0), *EDGES, (EDGES[-1][1], -2))  # input and output as edges
    leads = np.array([[target == source for source, _ in ends] for _, target in ends])
    for middle in range(NUM_NODES):
        leads |= leads[:, middle, None] & leads[None, middle]
    return leads | leads.T | np.eye(NUM_NODES, dtype=bool)


def possible() -> Bool[np.ndarray, "v o"]:
    """Returns which types each node of a cell may have."""
    table = np.zeros((NUM_NODES, NUM_TYPES), bool)
    table[0, INPUT] = table[-1, OUTPUT] = True
    table[1:-1, 2:] = True
    return table


def uniform_score(
    matrix: Float[Array, "*b v o"], sigma: Float[Array, "*b"] | Float[Array, ""]
) -> Float[Array, "*b v o"]:
    """Returns the exact score of noisy cells, all cells being equally likely: (E[x_0 | x] - x) / sigma^2.

    Nodes are then independent, so the expectation is, node by node, a softmax over the types that it may have.
    So what a score network learns from the cells of this space is known in closed form, and it is judged by it.
    """
    variance = jnp.square(sigma)[..., None, None]
    # |x - e_o|^2 differs between types by -4 x_o alone, where e_o is 1 at o and -1 elsewhere.
    logits = jnp.where(possible(), 2.0 * matrix / variance, -jnp.inf)
    mean = 2.0 * jax.nn.softmax(logits, axis=-1) - 1.0
    return (mean - matrix) / variance
