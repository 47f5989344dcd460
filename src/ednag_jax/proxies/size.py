"""Size as a proxy: parameters and multiply-adds, which on many tables rank as well as anything untrained."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from ednag_jax.networks import multiply_adds
from ednag_jax.networks.nasbench201 import build
from ednag_jax.spaces.nasbench201 import EDGES, NONE, OPS


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


def nasbench201_flops_table(
    *, num_classes: int, channels: int = 16, num_cells: int = 5, image_size: int = 32
) -> Float[Array, " k"]:
    """Returns multiply-adds of the network without cells, then what an edge adds with each operation (host).

    Exact, as edges add up: see `networks.counting.multiply_adds`, which counts the six networks of one op each.
    """
    shape = (image_size, image_size, 3)

    def count(op: int) -> int:
        settings = {"num_classes": num_classes, "channels": channels, "num_cells": num_cells}
        return multiply_adds(build([op] * len(EDGES), **settings), shape)

    base = count(NONE)
    return jnp.array([base, *((count(op) - base) // len(EDGES) for op in range(len(OPS)))], jnp.float32)
