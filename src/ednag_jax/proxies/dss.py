"""DSS, the proxy of TF-TAS (Zhou et al. 2022) for vision transformers: diverse attention, salient MLPs."""

from __future__ import annotations

from math import prod
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

INPUTS_OF_ATTENTION = {"qkv": 1, "out": 2}
"""Weight of attention -> how many of its axes are inputs; the others are outputs."""
MLP = ("mlp_in", "mlp_out")


def dss(network: nn.Module, variables: PyTree, images: Float[Array, "b h w c"]) -> Float[Array, ""]:
    """Returns the sum over attention weights of |dR/dw|_* |w|_* and over MLP weights of |w dR/dw|.

    |.|_* is the nuclear norm of a weight as a matrix, and R the sum of logits for one input of ones with all
    parameters absolute. Embedding, relative positions and classifier do not count.

    Args:
        network: of an AutoFormer space, called as `network(images, train=False)`.
        variables: its variables.
        images: only their size matters.
    """
    absolute = jax.tree.map(jnp.abs, variables["params"])
    ones = jnp.ones((1, *images.shape[1:]), images.dtype)

    def total(params: PyTree) -> Float[Array, ""]:
        logits: Any = network.apply({"params": params}, ones, train=False)
        return jnp.sum(logits)

    scores = jax.tree_util.tree_map_with_path(_of_weight, absolute, jax.grad(total)(absolute))
    return jnp.sum(jnp.stack(jax.tree.leaves(scores)))


def _of_weight(
    path: tuple[Any, ...], weight: Float[Array, "..."], gradient: Float[Array, "..."]
) -> Float[Array, ""]:
    """Returns what one parameter adds to the score."""
    layer, name = ([None, *(entry.key for entry in path)])[-2:]
    if name == "kernel" and layer in MLP:
        return jnp.sum(jnp.abs(weight * gradient))
    if name == "kernel" and layer in INPUTS_OF_ATTENTION:
        num_inputs = INPUTS_OF_ATTENTION[layer]
        return nuclear_norm(weight, num_inputs) * nuclear_norm(gradient, num_inputs)
    return jnp.zeros(())


def nuclear_norm(weight: Float[Array, "..."], num_inputs: int) -> Float[Array, ""]:
    """Returns the sum of singular values of a weight as a matrix from its first axes to the others."""
    matrix = weight.reshape(prod(weight.shape[:num_inputs]), -1)
    return jnp.sum(jnp.linalg.svd(matrix, compute_uv=False))
