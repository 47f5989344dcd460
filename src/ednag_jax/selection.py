"""Equation (10): the n survivors of n parents and n children, by elitism, diversity and roulette."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from ednag_jax.config import EvolveConfig
from ednag_jax.denoise import in_blocks
from ednag_jax.feasibility import on_one_scale
from ednag_jax.fitness import mean_ranks
from ednag_jax.types import KeyArray, Scalar

DIVERSE_FITNESS_SHARE = 0.1
"""In the published experiments only individuals this near the best fitness may be kept as diverse."""


def distance_sums(genotypes: Float[Array, "m d"]) -> Float[Array, " m"]:
    """Returns each individual's sum of Euclidean distances to all, from one Gram matrix."""
    norm = jnp.sum(genotypes**2, axis=-1)

    def sums(rows: Float[Array, "r d"]) -> Float[Array, "r 1"]:
        product = jnp.matmul(rows, genotypes.T, precision=jax.lax.Precision.HIGHEST)
        squared = jnp.sum(rows**2, axis=-1, keepdims=True) - 2 * product + norm
        # Rounding takes the square of a small distance below 0.
        return jnp.sum(jnp.sqrt(jnp.maximum(squared, 0.0)), axis=-1, keepdims=True)

    return in_blocks(sums, genotypes)[:, 0]


def elite(fitness: Float[Array, " m"], num: int) -> Int[Array, num]:
    """Returns the indices of the num fittest of different fitness, best first.

    Where there are fewer fitness values than num, the best of the repeated ones fill up.
    """
    values, order = jax.lax.top_k(fitness, fitness.shape[0])
    repeated = jnp.concatenate([jnp.zeros(1, bool), values[1:] == values[:-1]])
    place = jnp.arange(fitness.shape[0]) + fitness.shape[0] * repeated
    return order[jax.lax.top_k(-place, num)[1]]


def diverse(
    diversity: Float[Array, " m"], eligible: Bool[Array, " m"], taken: Bool[Array, " m"], num: int
) -> Int[Array, num]:
    """Returns the indices of the num most distinct individuals not yet taken, eligible ones first."""
    # Diversity is never negative, so the ineligible go below all eligible, in their own order.
    score = jnp.where(eligible, diversity, -1 / (1 + diversity))
    return jax.lax.top_k(jnp.where(taken, -jnp.inf, score), num)[1]


def roulette_rank(
    key: KeyArray, fitness: Float[Array, " m"], taken: Bool[Array, " m"], num: int, pressure: Scalar
) -> Int[Array, num]:
    """Returns num individuals not yet taken, drawn without replacement with weight (mean rank + 1)^pressure.

    Exact by the Gumbel top-k trick; the scale of fitness has no say, and any fitness has a weight.
    """
    log_weight = pressure * jnp.log1p(mean_ranks(fitness))
    score = log_weight + jax.random.gumbel(key, fitness.shape)
    return jax.lax.top_k(jnp.where(taken, -jnp.inf, score), num)[1]


def walk(
    uniform: Float[Array, " k"], weight: Float[Array, " m"], taken: Bool[Array, " m"]
) -> Bool[Array, " m"]:
    """Returns the slots taken after k spins of a wheel that walks on from a taken slot to the next free one.

    Each spin u stops at the first slot whose cumulative weight reaches u times the total; past the last
    slot comes the first. That is hashing with linear probing, where the set of slots taken does not
    depend on the order of the keys, so no loop over the spins is needed: with `surplus_i` = keys that
    stopped at slots 0..i less the i+1 slots, a slot stays free exactly where the surplus falls below
    all its earlier values, the previous lap's included.

    No spin runs past the last slot: u times the last sum never rounds above that sum.

    Args:
        uniform: one draw in [0, 1) a spin; k + the number taken must be below m.
        weight: above 0.
        taken: slots taken before the first spin.
    """
    size = weight.shape[0]
    cumulative, occupied = jnp.stack([weight, taken]) @ jnp.triu(jnp.ones((size, size)))
    stopped = jnp.sum(uniform[:, None] * cumulative[-1] <= cumulative, axis=0)
    surplus = stopped + occupied - jnp.arange(1, size + 1)
    last_lap = jnp.min(surplus) - surplus[-1]
    lowest_before = jnp.concatenate([last_lap[None], jnp.minimum(jax.lax.cummin(surplus), last_lap)[:-1]])
    return surplus >= lowest_before


def walk_weights(fitness: Float[Array, " m"], diversity: Float[Array, " m"]) -> Float[Array, " m"]:
    """Returns the published experiments' wheel: fitness * (1 + diversity in [0, 1]), scaled to [0.1, 1]."""
    fitness = on_one_scale(fitness)
    # An all-failed population has no finite fitness; it counts as equal.
    alive = fitness > -jnp.inf
    finite = jnp.where(alive, fitness, jnp.min(jnp.where(alive, fitness, 0.0)))
    return 0.1 + 0.9 * _unit(finite * (1 + _unit(diversity)))


def _unit(values: Float[Array, " m"]) -> Float[Array, " m"]:
    """Returns values min-max scaled to [0, 1]; all 0 where they are equal."""
    low, high = jnp.min(values), jnp.max(values)
    return (values - low) / jnp.where(high > low, high - low, 1.0)


def select(
    key: KeyArray,
    genotypes_2n: Float[Array, "m d"],
    fitness_2n: Float[Array, " m"],
    *,
    config: EvolveConfig,
) -> Int[Array, " n"]:
    """Returns the indices of the survivors, equation (10): elites (best first), then diverse, then roulette.

    Args:
        key: consumed.
        genotypes_2n: parents and children.
        fitness_2n: higher is better; -inf marks a failure.
        config: rates, roulette and population_size n; no individual is taken twice.
    """
    num_roulette = config.population_size - config.num_elite - config.num_diverse
    diversity = distance_sums(genotypes_2n)
    index = elite(fitness_2n, config.num_elite)
    if config.num_diverse:
        eligible = fitness_2n > -jnp.inf
        if config.roulette == "walk":
            eligible &= fitness_2n >= DIVERSE_FITNESS_SHARE * jnp.max(fitness_2n)
        chosen = diverse(diversity, eligible, _mask(index, fitness_2n), config.num_diverse)
        index = jnp.concatenate([index, chosen])
    if not num_roulette:
        return index
    taken = _mask(index, fitness_2n)
    if config.roulette == "rank":
        drawn = roulette_rank(key, fitness_2n, taken, num_roulette, config.roulette_pressure)
    else:
        uniform = jax.random.uniform(key, (num_roulette,))
        occupied = walk(uniform, walk_weights(fitness_2n, diversity), taken)
        drawn = jax.lax.top_k((occupied & ~taken).astype(jnp.float32), num_roulette)[1]
    return jnp.concatenate([index, drawn])


def _mask(index: Int[Array, " k"], like: Float[Array, " m"]) -> Bool[Array, " m"]:
    """Returns which of m slots an index list names."""
    return jnp.any(index[:, None] == jnp.arange(like.shape[0]), axis=0)
