"""Variation of a population [n d] after denoising: reset mutation, or normalised polynomial mutation."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from ednag_jax.config import EvolveConfig
from ednag_jax.types import KeyArray, Scalar


def min_max_normalise(genotype: Float[Array, "n d"]) -> Float[Array, "n d"]:
    """Returns each individual stretched to [-1, 1]; one whose numbers are all equal becomes -1."""
    low = jnp.min(genotype, axis=-1, keepdims=True)
    spread = jnp.max(genotype, axis=-1, keepdims=True) - low
    return 2 * (genotype - low) / jnp.where(spread > 0, spread, 1.0) - 1


def polynomial_mutation(
    genotype: Float[Array, "n d"],
    uniform: Float[
        Array,
        (
            n  # d
        ),
    ],
    distribution_index: Scalar,
) -> Float[Array, "n d"]:
    """Returns genotypes in [-1, 1] moved by Deb's polynomial mutation, bounds -1 and 1.

    With y = the distance to the bound that u moves towards, as a share of the range, and m =
    distribution_index + 1: for u <= 1/2 the value falls by 1 - (2u + (1 - 2u) (1-y)^m)^(1/m) of the
    range, for u > 1/2 it rises by the mirror image (Deb and Agrawal 1999).

    Args:
        genotype: in [-1, 1].
        uniform: u in [0, 1); one a coordinate [n d], or one an individual [n 1] as the published
            experiments draw it. Shared by all coordinates it is a rising function of each, so the
            arg-max of a node, and with it the phenotype, stays what it was.
        distribution_index: at least 0; larger is milder.
    """
    falls = uniform <= 0.5
    u = jnp.where(falls, uniform, 1 - uniform)
    away = jnp.where(falls, 1 - genotype, 1 + genotype) / 2
    power = distribution_index + 1
    moved = 1 - (2 * u + (1 - 2 * u) * away**power) ** (1 / power)
    return genotype + jnp.where(falls, -2.0, 2.0) * moved


def reset_mutation(key: KeyArray, genotype: Float[Array, "n d"], rate: Scalar) -> Float[Array, "n d"]:
    """Returns genotypes in which each number is drawn anew with probability `rate`, uniformly between the
    individual's own least and greatest number, so that any field can change however small the noise of (9)."""
    u_reset, u_value = jax.random.uniform(key, (2, *genotype.shape))
    low = jnp.min(genotype, axis=-1, keepdims=True)
    high = jnp.max(genotype, axis=-1, keepdims=True)
    return jnp.where(u_reset < rate, low + (high - low) * u_value, genotype)


def normalised_polynomial(
    key: KeyArray, genotype: Float[Array, "n d"], step: Int[Array, ""], config: EvolveConfig
) -> Float[Array, "n d"]:
    """Returns the published experiments' variation: min-max normalise, mutate a share of the individuals with
    one draw each, normalise again; the first step has a distribution index of its own."""
    genotype = min_max_normalise(genotype)
    u_mutate, u_move = jax.random.uniform(key, (2, genotype.shape[0], 1))
    index = jnp.where(step == 0, config.first_distribution_index, config.distribution_index)
    mutated = polynomial_mutation(genotype, u_move, index)
    return min_max_normalise(jnp.where(u_mutate < config.mutation_rate, mutated, genotype))


def vary(
    key: KeyArray, children: Float[Array, "n d"], step: Int[Array, ""], *, config: EvolveConfig
) -> Float[Array, "n d"]:
    """Returns the children as selection will see them, under the variation that config names."""
    if config.variation == "none":
        return children
    if config.variation == "reset":
        return reset_mutation(key, children, config.mutation_rate)
    return normalised_polynomial(key, children, step, config)
