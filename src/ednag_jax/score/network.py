"""Networks that read noisy cells: a transformer whose attention follows the graph, and its two heads.

Each node has an embedding of its numbers, one of its place and one of how much noise there is; it attends to
the nodes that lead to it or follow it. The score network says a score per node, the guide one number per cell.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ednag_jax.config.score import ScoreConfig
from ednag_jax.score.cells import NUM_NODES, NUM_TYPES, hearing
from ednag_jax.score.sde import time_at
from ednag_jax.types import Params

NUM_TIMES, LONGEST = 1000, 10_000.0
"""Of the sines that describe a time: its unit is a thousandth, the longest period 2 pi times 10,000."""


def applied(network: nn.Module, weights: Params, *inputs: Any, **options: Any) -> Any:
    """Returns what a network says; to Flax it might be a pair, with variables that it changed."""
    return network.apply(weights, *inputs, **options)


def noise_features(sigma: Float[Array, "*b"], config: ScoreConfig) -> Float[Array, "*b w"]:
    """Returns sines and cosines of the time at which the noise is so large."""
    half = config.width // 2
    rate = jnp.exp(-np.log(LONGEST) * jnp.arange(half) / half)
    angle = NUM_TIMES * time_at(sigma, config)[..., None] * rate
    return jnp.concatenate([jnp.sin(angle), jnp.cos(angle)], axis=-1)


class Block(nn.Module):
    """What each node hears along the graph, then a layer of its own; each added to what was there."""

    config: ScoreConfig

    @nn.compact
    def __call__(self, x: Float[Array, "*b v w"], *, train: bool) -> Float[Array, "*b v w"]:
        config = self.config
        drop = nn.Dropout(config.dropout, deterministic=not train)
        parts = nn.Dense(3 * config.width, name="attention_in")(nn.LayerNorm(name="norm_heard")(x))
        split = parts.reshape(*x.shape[:-1], 3, config.num_heads, config.width // config.num_heads)
        query, key, value = jnp.moveaxis(split, -3, 0)
        fit = jnp.einsum("...vhc,...uhc->...hvu", query, key) / np.sqrt(query.shape[-1])
        weight = nn.softmax(jnp.where(hearing(), fit, -jnp.inf), axis=-1)
        heard = jnp.einsum("...hvu,...uhc->...vhc", weight, value).reshape(x.shape)
        x = x + drop(nn.Dense(config.width, name="attention_out")(heard))
        inner = nn.swish(nn.Dense(config.hidden_width, name="own_in")(nn.LayerNorm(name="norm_own")(x)))
        return x + drop(nn.Dense(config.width, name="own_out")(drop(inner)))


class NodeTransformer(nn.Module):
    """What each node of a noisy cell becomes; `context` is added to what all nodes are told."""

    config: ScoreConfig

    @nn.compact
    def __call__(
        self,
        matrix: Float[Array, "*b v o"],
        sigma: Float[Array, "*b"],
        context: Float[Array, "*b w"] | float = 0.0,
        *,
        train: bool = False,
    ) -> Float[Array, "*b v w"]:
        config = self.config
        told = nn.Dense(config.width, name="noise_in")(noise_features(sigma, config)) + context
        told = nn.Dense(config.width, name="noise_out")(nn.swish(told))
        place = self.param("place", nn.initializers.normal(0.5), (NUM_NODES, config.width))
        # Of variance near 1 at every level, or the greatest noise would drown what is small.
        scaled = matrix / jnp.sqrt(1.0 + jnp.square(sigma))[..., None, None]
        x = nn.Dense(config.width, name="types")(scaled) + place + told[..., None, :]
        for layer in range(config.num_layers):
            x = Block(config, name=f"block_{layer}")(x, train=train)
        return nn.LayerNorm(name="norm")(x)


class ScoreNetwork(nn.Module):
    """The score of noisy cells.

    (F / sqrt(1 + sigma^2) - sigma x / (1 + sigma^2)) / sigma with F what the transformer says: where the noise
    is great the second term, the score of a Gaussian, is nearly all of it (Karras et al. 2022).
    """

    config: ScoreConfig

    @nn.compact
    def __call__(
        self, matrix: Float[Array, "*b v o"], sigma: Float[Array, "*b"], *, train: bool = False
    ) -> Float[Array, "*b v o"]:
        nodes = NodeTransformer(self.config, name="nodes")(matrix, sigma, train=train)
        own = nn.Dense(NUM_TYPES, name="score")(nodes)
        level = sigma[..., None, None]
        return (own / jnp.sqrt(1 + level**2) - level * matrix / (1 + level**2)) / level


class GuideNetwork(nn.Module):
    """What a predictor expects of noisy cells on a data set, standardised: one number a cell."""

    config: ScoreConfig
    num_encoding: int
    """Numbers that describe a data set."""

    @nn.compact
    def __call__(
        self,
        matrix: Float[Array, "*b v o"],
        sigma: Float[Array, "*b"],
        encoding: Float[Array, "*b k"],
        *,
        train: bool = False,
    ) -> Float[Array, "*b"]:
        context = nn.Dense(self.config.width, name="data_set")(encoding)
        nodes = NodeTransformer(self.config, name="nodes")(matrix, sigma, context, train=train)
        whole = nodes.reshape(*nodes.shape[:-2], -1)
        inner = nn.swish(nn.Dense(self.config.hidden_width, name="hidden")(whole))
        return nn.Dense(1, name="last")(inner)[..., 0]
