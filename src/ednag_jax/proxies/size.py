"""Size as a proxy: parameters and multiply-adds, which on many tables rank as well as anything untrained."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from ednag_jax.networks import multiply_adds


def parameters(
    network: nn.Module, variables: PyTree, images: Float[Array, "b h w c"], *inputs: Array
) -> Float[Array, ""]:
    """Returns how many numbers the network trains; `ProxyFitness` counts whole populations by formula."""
    del network, images, inputs
    return jnp.asarray(float(sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))))


def flops(
    network: nn.Module, variables: PyTree, images: Float[Array, "b h w c"], *inputs: Array
) -> Float[Array, ""]:
    """Returns the multiply-adds of convolutions and linear layers for one image."""
    del variables
    _, height, width, channels = images.shape
    return jnp.asarray(float(multiply_adds(network, (height, width, channels), *inputs)))
