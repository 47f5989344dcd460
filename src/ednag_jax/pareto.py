"""Several objectives as one order: non-dominated fronts, then crowding (Deb et al. 2002), or drawn weights."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Num

from ednag_jax.arch_ids import is_repeat
from ednag_jax.feasibility import is_feasible
from ednag_jax.types import Evaluation, KeyArray


def dominates(values: Float[Array, "m k"]) -> Bool[Array, "m m"]:
    """Returns whether row i dominates row j: as good in every objective and better in one; higher is better."""
    a, b = values[:, None], values[None]
    return jnp.all(a >= b, axis=-1) & jnp.any(a > b, axis=-1)


def front_numbers(values: Float[Array, "m k"]) -> Int[Array, " m"]:
    """Returns the number of each row's front: 0 where nothing dominates it, 1 where only front 0 does, ...

    Fronts are peeled off one after the other; equal rows share a front.
    """
    above = dominates(values)

    def peel(carry: tuple[Array, Array]) -> tuple[Array, Array]:
        number, left = carry
        is_front = left & ~jnp.any(above & left[:, None], axis=0)
        return number + (left & ~is_front), left & ~is_front

    start = jnp.zeros(values.shape[0], jnp.int32), jnp.ones(values.shape[0], bool)
    return jax.lax.while_loop(lambda carry: jnp.any(carry[1]), peel, start)[0]


def crowding(values: Float[Array, "m k"], group: Int[Array, " m"]) -> Float[Array, " m"]:
    """Returns each row's crowding distance: how far apart its neighbours in its own group are.

    Summed over the objectives, each in units of its range over all rows; inf at both ends of a group.
    """
    spread = jnp.max(values, axis=0) - jnp.min(values, axis=0)
    higher = values[None] - values[:, None]  # [i j k]: by how much j is above i
    index = jnp.arange(values.shape[0])
    # Of equals the later one counts as above: each then has one neighbour on either side, as in a sorted list.
    is_above = (higher > 0) | ((higher == 0) & (index[None] > index[:, None])[..., None])
    is_above &= (group[None] == group[:, None])[..., None]
    above = jnp.min(higher, axis=1, where=is_above, initial=jnp.inf)
    below = jnp.min(higher, axis=0, where=is_above, initial=jnp.inf)
    return jnp.sum((above + below) / jnp.where(spread > 0, spread, 1.0), axis=-1)


def places(*keys: Num[Array, " m"]) -> Int[Array, " m"]:
    """Returns how many rank below each: by the first key, among equals by the next; of equals in all the last.

    >>> places(jnp.array([1, 2, 1]), jnp.array([5, 0, 7])).tolist()
    [0, 2, 1]
    """
    index = jnp.arange(keys[0].shape[0])
    is_below = index[None] > index[:, None]
    for key in reversed(keys):
        is_below = (key[None] < key[:, None]) | ((key[None] == key[:, None]) & is_below)
    return jnp.sum(is_below, axis=1)


def pareto_fitness(evaluation: Evaluation) -> Float[Array, " m"]:
    """Returns each individual's place in a population of several objectives: the best m - 1, the worst 0.

    The feasible come first, by their front and in it by crowding distance; then repeats of an architecture in
    the same order, since a front of copies is none; then what breaks constraints, by how much. No two places
    are equal, so both ends of a front are among the different values of `elite`. -inf marks a failure.
    """
    alive = jnp.isfinite(evaluation.accuracy)
    feasible = alive & is_feasible(evaluation.fitness)
    repeated = feasible & is_repeat(evaluation.arch_id)
    values = jnp.concatenate([evaluation.accuracy[:, None], -evaluation.cost], axis=-1)
    # At the worst of every objective an individual dominates nobody and stretches no range.
    worst = jnp.min(values, axis=0, where=feasible[:, None], initial=jnp.inf)
    values = jnp.where(feasible[:, None], values, jnp.where(jnp.isfinite(worst), worst, 0.0))
    number = front_numbers(values)
    spread = crowding(values, jnp.where(feasible & ~repeated, number, len(number)))
    tier = jnp.where(feasible, jnp.where(repeated, 0.0, 1.0), evaluation.fitness)
    return jnp.where(alive, places(tier, -number, spread).astype(jnp.float32), -jnp.inf)


CHEBYSHEV_SUM = 0.05
"""Weight of the plain sum beside the least term, so that of equals in the least the better in the rest wins."""


def scalarised(key: KeyArray, evaluation: Evaluation) -> Float[Array, " m"]:
    """Returns one fitness for several objectives under weights drawn anew (ParEGO, Knowles 2006).

    The augmented Chebyshev function of accuracy and negated costs, each scaled to [0, 1] over the feasible;
    its maximum is a point of the front, another one under other weights. Infeasible and failed as they were.
    """
    feasible = jnp.isfinite(evaluation.accuracy) & is_feasible(evaluation.fitness)
    values = jnp.concatenate([evaluation.accuracy[:, None], -evaluation.cost], axis=-1)
    low = jnp.min(values, axis=0, where=feasible[:, None], initial=jnp.inf)
    high = jnp.max(values, axis=0, where=feasible[:, None], initial=-jnp.inf)
    scaled = (values - low) / jnp.where(high > low, high - low, 1.0)
    terms = jax.random.dirichlet(key, jnp.ones(values.shape[1])) * scaled
    fitness = jnp.min(terms, axis=-1) + CHEBYSHEV_SUM * jnp.sum(terms, axis=-1)
    return jnp.where(feasible, fitness, evaluation.fitness)
