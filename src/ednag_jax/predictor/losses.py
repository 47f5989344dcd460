"""What the predictor's training minimises, and how its order of architectures is judged."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from ednag_jax.config import PredictorTrainingConfig
from ednag_jax.predictor.examples import Examples
from ednag_jax.predictor.model import PredictorNetwork, applied
from ednag_jax.types import KeyArray, Params


def learning_loss(
    weights: Params,
    key: KeyArray,
    batch: Examples,
    training: PredictorTrainingConfig,
    *,
    network: PredictorNetwork,
) -> Float[Array, ""]:
    """Returns the squared error of z, and with their weights that of the levels and the ranking loss."""
    z, level = applied(network, weights, *batch[:3], train=True, rngs={"dropout": key})
    loss = standardised_error(z, batch) + training.level_weight * jnp.mean((level - batch.level) ** 2)
    return loss + training.ranking_weight * ranking_loss(z, batch)


def standardised_error(z: Float[Array, "t m"], examples: Examples) -> Float[Array, ""]:
    """Returns the squared error of standardised accuracies, mean over all architectures run."""
    squared = jnp.where(examples.was_run, (z - examples.target) ** 2, 0.0)
    return jnp.sum(squared) / jnp.maximum(jnp.sum(examples.was_run), 1)


def ranking_loss(z: Float[Array, "t m"], examples: Examples) -> Float[Array, ""]:
    """Returns log(1 + exp(-(z_i - z_j))), mean over the pairs of a task of which i was the better."""
    target, was_run = examples.target, examples.was_run
    pair = (target[:, :, None] > target[:, None, :]) & was_run[:, :, None] & was_run[:, None, :]
    loss = jnp.where(pair, jax.nn.softplus(z[:, None, :] - z[:, :, None]), 0.0)
    return jnp.sum(loss) / jnp.maximum(jnp.sum(pair), 1)


def spearman(a: Float[Array, " m"], b: Float[Array, " m"], chosen: Bool[Array, " m"]) -> Float[Array, ""]:
    """Returns the rank correlation of the chosen; ties get their mean rank, and all equal gives 0."""
    ranks = [jnp.where(chosen, mean_ranks(values, chosen), 0.0) for values in (a, b)]
    count = jnp.maximum(jnp.sum(chosen), 1)
    first, second = (jnp.where(chosen, rank - jnp.sum(rank) / count, 0.0) for rank in ranks)
    spread = jnp.sqrt(jnp.sum(first**2) * jnp.sum(second**2))
    return jnp.where(spread > 0, jnp.sum(first * second) / jnp.where(spread > 0, spread, 1.0), 0.0)


def mean_ranks(values: Float[Array, " m"], chosen: Bool[Array, " m"]) -> Float[Array, " m"]:
    """Returns the rank of each value among the chosen, from 0.5 for a least one; those not chosen come last."""
    filled = jnp.where(chosen, values, jnp.inf)
    ordered = jnp.sort(filled)
    below, not_above = (jnp.searchsorted(ordered, filled, side=side) for side in ("left", "right"))
    return (below + not_above) / 2
