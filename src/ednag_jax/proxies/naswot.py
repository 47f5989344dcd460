"""NASWOT (Mellor et al. 2021): how differently an untrained network's ReLUs see a batch of images."""

from __future__ import annotations

from functools import partial

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PyTree

from ednag_jax.networks.nasbench201 import CONV_1X1, CONV_3X3, EDGES_FROM, NasBench201Any
from ednag_jax.proxies.relu_inputs import Visit, fold_relu_inputs


def naswot(
    network: nn.Module, variables: PyTree, images: Float[Array, "b h w c"], *inputs: Array
) -> Float[Array, ""]:
    """Returns the log-determinant of the kernel of ReLU codes, -inf where two images have the same codes.

    An image's code says which ReLU inputs are positive; entry (i, j) of the kernel counts the units, of all
    ReLU layers, on which images i and j agree. Normalisation is by the batch, as in the authors' code.

    Args:
        network: a flax module, called as `network(images, *inputs, train=True)`.
        variables: its variables.
        images: normalised; 64 or so.
        *inputs: what else the network takes, such as the phenotype of `NasBench201Any`.
    """
    sign, logdet = jnp.linalg.slogdet(code_kernel(network, variables, images, *inputs))
    return jnp.where(sign > 0, logdet, -jnp.inf)


def code_kernel(
    network: nn.Module, variables: PyTree, images: Float[Array, "b h w c"], *inputs: Array
) -> Float[Array, "b b"]:
    """Returns on how many ReLU units each pair of images agrees."""

    def logits(variables: PyTree, images: Array, *inputs: Array) -> Array:
        return network.apply(variables, images, *inputs, train=True, mutable=["batch_stats"])[0]

    visit: Visit = add_agreement
    if isinstance(network, NasBench201Any):
        visit = partial(_add_cell_agreement, conv_edges(inputs[0]))
    start = jnp.zeros((len(images), len(images)))
    return fold_relu_inputs(logits, visit, start, variables, images, *inputs)


def add_agreement(
    kernel: Float[Array, "b b"], x: Float[Array, "b ..."], place: int | None
) -> Float[Array, "b b"]:
    """Returns the kernel plus the units of one ReLU layer on which pairs of images agree."""
    del place
    code = jnp.where(x.reshape(len(x), -1) > 0, 1.0, -1.0)
    return kernel + (code @ code.T + code.shape[1]) / 2


def conv_edges(phenotype: Int[Array, " e"]) -> Float[Array, " 3"]:
    """Returns how many edges with a convolution leave nodes 0, 1 and 2 of a NAS-Bench-201 cell."""
    has_relu = (phenotype == CONV_1X1) | (phenotype == CONV_3X3)
    return jnp.stack([jnp.sum(has_relu[jnp.array(edges)]) for edges in EDGES_FROM]).astype(jnp.float32)


def _add_cell_agreement(
    weight: Float[Array, " 3"], kernel: Float[Array, "b b"], x: Float[Array, "b ..."], place: int | None
) -> Float[Array, "b b"]:
    """Returns the kernel with every ReLU as often as the cell's own network has it.

    `NasBench201Any` applies one ReLU a node, in a loop over cells; the network built has one for each edge with
    a convolution.
    """
    added = add_agreement(jnp.zeros_like(kernel), x, place)
    return kernel + (added if place is None else weight[place] * added)
