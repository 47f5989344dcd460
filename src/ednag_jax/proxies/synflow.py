"""SynFlow (Tanaka et al. 2020): how much signal all of a network's weights carry together, without data."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

INPUT_SCALE = 1e-30
"""In the place of ones: scores of NAS-Bench-201 reach 6e66, which float32 does not hold, and a network with
absolute weights is linear in its input. So scores from 1e-8 to 1e68 are told apart; 0 and inf are what is
left outside."""


def synflow(
    network: nn.Module, variables: PyTree, images: Float[Array, "b h w c"], *inputs: Array
) -> Float[Array, ""]:
    """Returns log10 of the sum over weights of |w dR/dw|, R the sum of logits for one input of ones.

    As zero-cost-nas computes it: weights are absolute and batch normalisation is left out. Then nothing is
    negative, so the sum is the derivative of R along the weights themselves: one forward pass with a tangent.
    Biases are left out, where zero-cost-nas keeps their absolute values; NAS-Bench-201's networks have one at
    the logits only, where it makes no difference. -inf where no path of weights leads to the logits. For
    networks of ReLUs, pooling and linear layers, as others are not linear in their input.

    Args:
        network: a flax module, called as `network(images, *inputs, train=False)`.
        variables: its variables; of these `params` is read.
        images: only their size matters.
        *inputs: what else the network takes, such as the phenotype of `NasBench201Any`.
    """
    absolute = jax.tree.map(jnp.abs, variables["params"])
    ones = jnp.full((1, *images.shape[1:]), INPUT_SCALE, images.dtype)

    def total(params: PyTree) -> Float[Array, ""]:
        with nn.intercept_methods(without_normalisation):
            logits: Any = network.apply({**variables, "params": params}, ones, *inputs, train=False)
        return jnp.sum(logits)

    # a bias does not scale with the input: it would weigh 1e30 times too much
    unbiased = jax.tree_util.tree_map_with_path(
        lambda path, leaf: jnp.zeros_like(leaf) if path[-1].key == "bias" else leaf, absolute
    )
    _, along = jax.jvp(total, (unbiased,), (unbiased,))
    return jnp.log10(along) - jnp.log10(jnp.asarray(INPUT_SCALE, images.dtype))


def without_normalisation(call: Any, args: Any, kwargs: Any, context: nn.module.InterceptorContext) -> Any:
    """Returns what a method returns, and for a batch normalisation its input."""
    if isinstance(context.module, nn.BatchNorm) and context.method_name == "__call__":
        return args[0]
    return call(*args, **kwargs)
