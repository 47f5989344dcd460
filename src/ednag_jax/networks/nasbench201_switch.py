"""The network of any cell of NAS-Bench-201 that runs only the cell's own operations: for one cell at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from ednag_jax.networks.blocks import CELL_EDGES, EPSILON, MOMENTUM, avg_pool
from ednag_jax.networks.nasbench201 import CONV_1X1, CONV_3X3, STACKED_INIT, matrix_convolution, skeleton
from ednag_jax.spaces.nasbench201 import OPS
from ednag_jax.types import HostPhenotype


class NasBench201Switch(nn.Module):
    """The network of whichever cell it is called with; each edge branches to its operation.

    What `NasBench201Any` computes, with the parameters in another order. A branch that is not taken costs
    nothing, so that on a CPU a training takes about half the time. Under `jax.vmap` every branch is taken, and
    `NasBench201Any`, which shares work between the edges, is the faster of the two.
    """

    num_classes: int
    channels: int = 16
    num_cells: int = 5

    @nn.compact
    def __call__(
        self, images: Float[Array, "b h w c"], phenotype: Int[Array, " e"], *, train: bool = False
    ) -> Float[Array, "b k"]:
        def stage(x: Array, index: int, features: int) -> Array:
            for cell in range(self.num_cells):
                x = SwitchCell(features, name=f"stage_{index}_cell_{cell}")(x, phenotype, train=train)
            return x

        return skeleton(
            images,
            stage,
            train,
            channels=self.channels,
            num_classes=self.num_classes,
            convolution=matrix_convolution,
        )


class EdgeVariables(NamedTuple):
    """What the convolutions of one edge need, and the normalisation after them."""

    kernel_1x1: Float[Array, "1 1 c c"]
    kernel_3x3: Float[Array, "3 3 c c"]
    scale: Float[Array, " c"]
    bias: Float[Array, " c"]
    mean: Float[Array, " c"]
    var: Float[Array, " c"]


class Averages(NamedTuple):
    """Of a normalisation, over the batches so far."""

    mean: Float[Array, " c"]
    var: Float[Array, " c"]


class SwitchCell(nn.Module):
    """A cell that takes its operations as an array and runs those alone."""

    features: int

    @nn.compact
    def __call__(
        self, x: Float[Array, "b h w c"], phenotype: Int[Array, " e"], *, train: bool
    ) -> Float[Array, "b h w c"]:
        edges, shape = len(CELL_EDGES), (self.features, self.features)
        ones, zeros, each = nn.initializers.ones, nn.initializers.zeros, (edges, self.features)
        mean = self.variable("batch_stats", "mean", jnp.zeros, each)
        var = self.variable("batch_stats", "var", jnp.ones, each)
        variables = EdgeVariables(
            self.param("kernel_1x1", STACKED_INIT, (edges, 1, 1, *shape)),
            self.param("kernel_3x3", STACKED_INIT, (edges, 3, 3, *shape)),
            self.param("scale", ones, each),
            self.param("bias", zeros, each),
            mean.value,
            var.value,
        )
        nodes, averages = [x, *[jnp.zeros_like(x)] * 3], []
        for edge, (source, target) in enumerate(CELL_EDGES):
            own = EdgeVariables(*(leaf[edge] for leaf in variables))
            made, changed = jax.lax.switch(phenotype[edge], BRANCHES[train], nodes[source], own)
            nodes[target] += made
            averages.append(changed)
        if train and not self.is_initializing():
            mean.value, var.value = (jnp.stack(column) for column in zip(*averages, strict=True))
        return nodes[-1]


Branch = Callable[[Array, EdgeVariables], tuple[Array, Averages]]


def conv_norm(
    x: Float[Array, "b h w c"], kernel: Float[Array, "k k c c"], edge: EdgeVariables, *, train: bool
) -> tuple[Float[Array, "b h w c"], Averages]:
    """Returns ReLU, convolution, batch normalisation; and the averages after it."""
    pad = len(kernel) // 2
    convolved = matrix_convolution(nn.relu(x), kernel, (1, 1), ((pad, pad), (pad, pad)))
    mean, var, kept = edge.mean, edge.var, Averages(edge.mean, edge.var)
    if train:
        mean = jnp.mean(convolved, (0, 1, 2))
        var = jnp.maximum(jnp.mean(convolved**2, (0, 1, 2)) - mean**2, 0.0)
        kept = jax.tree.map(lambda old, new: MOMENTUM * old + (1 - MOMENTUM) * new, kept, Averages(mean, var))
    return (convolved - mean) * (jax.lax.rsqrt(var + EPSILON) * edge.scale) + edge.bias, kept


def _branches(train: bool) -> tuple[Branch, ...]:
    """Returns what each op id does with its source."""

    def fixed(function: Callable[[Array], Array]) -> Branch:
        return lambda x, edge: (function(x), Averages(edge.mean, edge.var))

    by_name: dict[str, Branch] = {
        "none": fixed(jnp.zeros_like),
        "skip_connect": fixed(lambda x: x),
        "nor_conv_1x1": lambda x, edge: conv_norm(x, edge.kernel_1x1, edge, train=train),
        "nor_conv_3x3": lambda x, edge: conv_norm(x, edge.kernel_3x3, edge, train=train),
        "avg_pool_3x3": fixed(avg_pool),
    }
    return tuple(by_name[op] for op in OPS)


BRANCHES = {train: _branches(train) for train in (False, True)}
"""Whether in training -> what each op id does."""


def extract(variables: dict[str, Any], phenotype: HostPhenotype) -> dict[str, Any]:
    """Returns the variables with which `build(phenotype)` computes what `NasBench201Switch` does with these."""
    taken = [(edge, int(op)) for edge, op in enumerate(phenotype) if op in (CONV_1X1, CONV_3X3)]
    params, stats = dict(variables["params"]), dict(variables["batch_stats"])
    for name in [name for name in params if "_cell_" in name]:
        own, averages = params.pop(name), stats.pop(name)
        if not taken:
            continue
        params[name], stats[name] = {}, {}
        for edge, op in taken:
            kernel = own["kernel_1x1" if op == CONV_1X1 else "kernel_3x3"][edge]
            norm = {leaf: own[leaf][edge] for leaf in ("scale", "bias")}
            params[name][f"edge_{edge}"] = {"conv": {"kernel": kernel}, "norm": norm}
            stats[name][f"edge_{edge}"] = {"norm": {leaf: averages[leaf][edge] for leaf in averages}}
    return {"params": params, "batch_stats": stats}
