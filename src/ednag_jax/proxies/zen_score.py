"""Zen-score (Lin et al. 2021): how far the features of a network with Gaussian weights move with its input."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PyTree

from ednag_jax.networks.blocks import Classifier
from ednag_jax.networks.nasbench201 import CONV_1X1, CONV_3X3, EDGES_FROM, NasBench201Any
from ednag_jax.types import KeyArray

MIXUP = 0.01
"""How much of a second input is added to the first."""


def zen_score(
    network: nn.Module,
    variables: PyTree,
    images: Float[Array, "b h w c"],
    *inputs: Array,
    key: KeyArray | None = None,
) -> Float[Array, ""]:
    """Returns log E |f(x) - f(x + 0.01 e)| + sum over batch normalisations of log sqrt(mean variance).

    f are the features before the mean over the image, |.| the sum of absolute values (as in the authors' code;
    the paper writes a norm); x, e and all weights are from N(0, 1). Normalisation, by the batch, hides what
    scale its input had; the second term puts it back: the mean is over channels, of their variances for x. A
    normalisation that nothing reaches, such as behind `none`, is left out. -inf where no path leads through.
    Departures from the paper: residual links stay, and weights are drawn once; for a mean vary the key.

    Args:
        network: one with a `Classifier` of `ednag_jax.networks.blocks`, so of NAS-Bench-201, DARTS or
            TransNAS-Bench-101, called as `network(images, *inputs, train=True)`; without auxiliary head.
        variables: its variables; only their shapes matter.
        images: only their number and size matter; 16 or so.
        *inputs: what else the network takes, such as the phenotype of `NasBench201Any`.
        key: of weights and inputs; default is `jax.random.key(0)`.

    Raises:
        ValueError: a network without such a classifier.
    """
    key_weights, key_pair = jax.random.split(jax.random.key(0) if key is None else key)
    pair = gaussian_pair(key_pair, images.shape)
    return zen_of_pair(network, gaussian_weights(key_weights, variables), pair, *inputs)


def gaussian_weights(key: KeyArray, variables: PyTree) -> dict[str, Any]:
    """Returns weights from N(0, 1), scales 1, biases 0, in the shapes of the variables; running averages 0."""
    leaves, structure = jax.tree_util.tree_flatten_with_path(variables["params"])
    fixed = {"scale": jnp.ones, "bias": jnp.zeros}
    drawn = [
        fixed[path[-1].key](leaf.shape)
        if path[-1].key in fixed
        else jax.random.normal(jax.random.fold_in(key, index), leaf.shape)
        for index, (path, leaf) in enumerate(leaves)
    ]
    averages = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape), variables["batch_stats"])
    return {"params": jax.tree.unflatten(structure, drawn), "batch_stats": averages}


def gaussian_pair(key: KeyArray, shape: tuple[int, ...]) -> Float[Array, "2 b h w c"]:
    """Returns x and x + 0.01 e, both x and e from N(0, 1)."""
    x, other = jax.random.normal(key, (2, *shape))
    return jnp.stack([x, x + MIXUP * other])


def zen_of_pair(
    network: nn.Module, variables: PyTree, pair: Float[Array, "2 b h w c"], *inputs: Array
) -> Float[Array, ""]:
    """Returns the Zen-score for these weights and this pair of inputs, x first."""

    def forward(images: Array) -> tuple[Array, Any]:
        return features_and_variances(network, variables, images, *inputs)

    (features, moved), variances = jax.vmap(forward)(pair)  # one pass for both, of half as many operations
    distance = jnp.sum(jnp.abs(features - moved)) / len(features)
    return jnp.log(distance) + log_scale(network, jax.tree.map(lambda of_pair: of_pair[0], variances), *inputs)


def features_and_variances(
    network: nn.Module, variables: PyTree, images: Float[Array, "b h w c"], *inputs: Array
) -> tuple[Float[Array, "b h2 w2 f"], PyTree]:
    """Returns what the classifier reads, and `batch_stats` with what the batch's variances are as `var`."""
    features: list[Array] = []

    def look(call: Any, args: Any, kwargs: Any, context: nn.module.InterceptorContext) -> Any:
        result, module = call(*args, **kwargs), context.module
        if context.method_name == "__call__" and isinstance(module, Classifier):
            features.append(args[0])
        elif context.method_name == "__call__" and isinstance(module, nn.BatchNorm):
            # the module itself stores a share of it, which differs with its momentum
            module.put_variable("batch_stats", "var", jnp.var(args[0], axis=range(args[0].ndim - 1)))
        return result

    with nn.intercept_methods(look):
        _, changed = network.apply(variables, images, *inputs, train=True, mutable=["batch_stats"])
    if not features:
        raise ValueError(
            f"a {type(network).__name__} has no Classifier of ednag_jax.networks.blocks, whose input the "
            "Zen-score compares: take networks of nasbench201, darts or transnas101, or another proxy"
        )
    return features[-1], changed["batch_stats"]


def log_scale(network: nn.Module, variances: PyTree, *inputs: Array) -> Float[Array, ""]:
    """Returns the sum of log sqrt(mean variance) over the normalisations that the network has."""
    total = jnp.zeros(())
    for path, leaf in jax.tree_util.tree_leaves_with_path(variances):
        *_, layer, name = (entry.key for entry in path)
        if name == "var" and isinstance(network, NasBench201Any) and leaf.ndim > 1:
            total += _of_any_cells(leaf, inputs[0], EDGES_FROM[int(layer[-1])])
        elif name == "var":
            total += log_deviation(leaf)
    return total


def log_deviation(variance: Float[Array, "*n c"]) -> Float[Array, "*n"]:
    """Returns log sqrt(mean over channels) of each layer, 0 where all are 0."""
    mean = jnp.mean(variance, axis=-1)
    return jnp.where(mean > 0, 0.5 * jnp.log(jnp.where(mean > 0, mean, 1.0)), 0.0)


def _of_any_cells(
    variance: Float[Array, "cells c"], phenotype: Int[Array, " e"], edges: tuple[int, ...]
) -> Float[Array, ""]:
    """Returns what normalisations behind a node add, over the cells of a stage.

    `NasBench201Any` normalises all edges of a node side by side; a cell has those of its convolutions.
    """
    op = phenotype[jnp.array(edges)]
    is_there = (op == CONV_1X1) | (op == CONV_3X3)
    apart = variance.reshape(len(variance), len(edges), -1)
    return jnp.sum(log_deviation(apart) * is_there)
