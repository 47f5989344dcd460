"""Architectures as one value for each of a space's choices: independent distributions over them, and counts.

Tables are [k v]: a row a choice, as wide as the widest; slots beyond a choice's own values hold probability 0.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from ednag_jax.spaces import SearchSpace
from ednag_jax.types import KeyArray


def slots(space: SearchSpace) -> Bool[np.ndarray, "k v"]:
    """Returns which slots of a table are values of a choice."""
    return np.arange(max(space.choices)) < np.array(space.choices)[:, None]


def log_softmax(logits: Float[Array, "k v"], space: SearchSpace) -> Float[Array, "k v"]:
    """Returns the log probability of every value, each choice normalised; -inf where there is none."""
    return jax.nn.log_softmax(jnp.where(slots(space), logits, -jnp.inf), axis=-1)


def draw(
    key: KeyArray, log_probability: Float[Array, "k v"], num: int, *, space: SearchSpace
) -> Int[Array, "n e"]:
    """Returns num phenotypes, every choice drawn by itself; not all need be valid."""
    shape = (num, log_probability.shape[0])
    return space.from_choices(jax.random.categorical(key, log_probability, shape=shape).astype(jnp.int32))


def marks(phenotype: Int[Array, "n e"], space: SearchSpace) -> Float[Array, "n k v"]:
    """Returns 1 at the value of every choice that matters, 0 elsewhere.

    So a choice that an architecture does not depend on, such as the width of a block that it does not have,
    counts for nothing.
    """
    one_hot = jax.nn.one_hot(space.to_choices(phenotype), max(space.choices))
    return one_hot * space.matters(phenotype)[..., None]


def log_probability_of(
    phenotype: Int[Array, "n e"], log_probability: Float[Array, "k v"], *, space: SearchSpace
) -> Float[Array, " n"]:
    """Returns the log probability of n architectures: the sum over the choices that matter."""
    # Not -inf: 0 times it, at the slots that are no value, would be NaN.
    finite = jnp.where(slots(space), log_probability, 0.0)
    return jnp.einsum("nkv,kv->n", marks(phenotype, space), finite)
