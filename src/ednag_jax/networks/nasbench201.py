"""The networks of NAS-Bench-201 (Dong and Yang 2020): one cell built, and a form that computes any cell.

A stem, three stages of cells at 1, 2 and 4 times the channels with a residual block of stride 2 between them,
batch normalisation, ReLU, mean, linear layer. At the published size all 15,625 cells have as many parameters as
in the benchmark.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Num

from ednag_jax.networks.blocks import (
    CELL_EDGES,
    Cell,
    Classifier,
    ReluConvNorm,
    avg_pool,
    conv,
    norm,
)
from ednag_jax.networks.counting import MULTIPLY_ADDS, PARAMETERS, Count
from ednag_jax.networks.variables import CIFAR_SHAPE
from ednag_jax.spaces.nasbench201 import OPS
from ednag_jax.types import HostPhenotype

NUM_STAGES = 3
CONV_1X1, CONV_3X3 = OPS.index("nor_conv_1x1"), OPS.index("nor_conv_3x3")
EDGES_FROM = tuple(
    tuple(edge for edge, (source, _) in enumerate(CELL_EDGES) if source == node) for node in range(3)
)
"""Node -> the edges that leave it: they read the same input, so `AnyCell` convolves for all of them at once."""
STACKED_INIT = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform", batch_axis=0)


class NasBench201Net(nn.Module):
    """The network of one cell."""

    ops: tuple[int, ...]
    """Op id of every edge."""
    num_classes: int
    channels: int = 16
    num_cells: int = 5
    """Of each stage."""

    @nn.compact
    def __call__(self, images: Float[Array, "b h w c"], *, train: bool = False) -> Float[Array, "b k"]:
        names = tuple(OPS[op] for op in self.ops)

        def stage(x: Array, index: int, features: int) -> Array:
            for cell in range(self.num_cells):
                x = Cell(names, features, name=f"stage_{index}_cell_{cell}")(x, train=train)
            return x

        return skeleton(images, stage, train, channels=self.channels, num_classes=self.num_classes)


class NasBench201Any(nn.Module):
    """The network of whichever cell it is called with, so that one compiled program trains or scores many.

    Every edge has the parameters of both convolutions and one normalisation, and computes every operation; the
    phenotype selects. So one set of parameters can be shared by all cells (a supernet), and `jax.vmap` over
    parameters and phenotypes runs many cells at once; `extract` gives one cell's own parameters.

    Convolutions are products of matrices, because XLA has no fast form for a CPU of a convolution whose kernels
    are vmapped, nor of one in a loop: gradients of 8 small cells took 11 s each with convolutions, now 0.04 s.
    """

    num_classes: int
    channels: int = 16
    num_cells: int = 5

    @nn.compact
    def __call__(
        self, images: Float[Array, "b h w c"], phenotype: Int[Array, " e"], *, train: bool = False
    ) -> Float[Array, "b k"]:
        def stage(x: Array, index: int, features: int) -> Array:
            cells = nn.scan(
                AnyCell,
                variable_axes={"params": 0, "batch_stats": 0},
                split_rngs={"params": True},
                in_axes=nn.broadcast,
                length=self.num_cells,
            )
            return cells(features, train, name=f"stage_{index}")(x, phenotype)[0]

        return skeleton(
            images,
            stage,
            train,
            channels=self.channels,
            num_classes=self.num_classes,
            convolution=matrix_convolution,
        )


class AnyCell(nn.Module):
    """A cell that takes its operations as an array."""

    features: int
    train: bool

    @nn.compact
    def __call__(
        self, x: Float[Array, "b h w c"], phenotype: Int[Array, " e"]
    ) -> tuple[Float[Array, "b h w c"], None]:
        kernel = self._kernels(phenotype)
        nodes = [x, *[jnp.zeros_like(x)] * 3]
        for node, edges in enumerate(EDGES_FROM):
            source = nodes[node]
            side_by_side = jnp.concatenate([kernel[edge] for edge in edges], axis=-1)
            convolved = matrix_convolution(nn.relu(source), side_by_side, (1, 1), ((1, 1), (1, 1)))
            normed = norm(self.train, name=f"norm_{node}")(convolved)
            pooled = avg_pool(source)
            for edge, own in zip(edges, jnp.split(normed, len(edges), axis=-1), strict=True):
                results = {"none": jnp.zeros_like(x), "skip_connect": source, "avg_pool_3x3": pooled}
                chosen = jax.lax.select_n(phenotype[edge], *(results.get(op, own) for op in OPS))
                nodes[CELL_EDGES[edge][1]] += chosen
        return nodes[-1], None

    def _kernels(self, phenotype: Int[Array, " e"]) -> Float[Array, "e 3 3 c c"]:
        """Returns the kernel of every edge's operation; one of 1x1 with zeros around it."""
        shape = (self.features, self.features)
        small = self.param("kernel_1x1", STACKED_INIT, (len(CELL_EDGES), 1, 1, *shape))
        large = self.param("kernel_3x3", STACKED_INIT, (len(CELL_EDGES), 3, 3, *shape))
        padded = jnp.pad(small, ((0, 0), (1, 1), (1, 1), (0, 0), (0, 0)))
        return jnp.where((phenotype == CONV_3X3)[:, None, None, None, None], large, padded)


class Reduction(nn.Module):
    """The residual block between two stages: twice the channels, half the resolution."""

    features: int
    convolution: Any = None

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool) -> Float[Array, "b h2 w2 f"]:
        first = ReluConvNorm(self.features, 3, 2, convolution=self.convolution, name="first")
        second = ReluConvNorm(self.features, 3, convolution=self.convolution, name="second")
        shortcut = conv(self.features, 1, conv_general_dilated=self.convolution, name="shortcut")
        pooled = nn.avg_pool(x, (2, 2), (2, 2))
        return shortcut(pooled) + second(first(x, train=train), train=train)


def skeleton(
    images: Float[Array, "b h w c"],
    stage: Callable[[Array, int, int], Array],
    train: bool,
    *,
    channels: int,
    num_classes: int,
    convolution: Any = None,
) -> Float[Array, "b k"]:
    """Returns the logits; `stage(x, index, features)` applies the cells of one stage."""
    x = norm(train, name="stem_norm")(conv(channels, 3, conv_general_dilated=convolution, name="stem")(images))
    for index in range(NUM_STAGES):
        features = channels * 2**index
        if index:
            x = Reduction(features, convolution, name=f"reduction_{index}")(x, train=train)
        x = stage(x, index, features)
    return Classifier(num_classes, name="classifier")(nn.relu(norm(train, name="last_norm")(x)))


def matrix_convolution(
    x: Float[Array, "b h w c"],
    kernel: Float[Array, "kh kw c f"],
    strides: tuple[int, int],
    padding: Any,
    **unused: Any,
) -> Float[Array, "b h2 w2 f"]:
    """Returns a convolution as one product of matrices per row of the kernel; no dilation, no groups.

    `jax.lax.conv_general_dilated`'s arguments, those left at their defaults ignored.
    """
    del unused
    padded = jnp.pad(x, ((0, 0), *padding, (0, 0)))
    (rows, columns), (down, right) = kernel.shape[:2], strides
    height, width = ((padded.shape[1] - rows) // down + 1, (padded.shape[2] - columns) // right + 1)
    spans = [padded[:, :, j : j + (width - 1) * right + 1 : right] for j in range(columns)]
    beside = jnp.concatenate(spans, axis=-1)
    lines = [beside[:, i : i + (height - 1) * down + 1 : down] for i in range(rows)]
    return sum(line @ row.reshape(-1, kernel.shape[-1]) for line, row in zip(lines, kernel, strict=True))


def build(
    phenotype: HostPhenotype, *, num_classes: int, channels: int = 16, num_cells: int = 5
) -> NasBench201Net:
    """Returns the network of one cell; `channels` and `num_cells` default to the published size."""
    return NasBench201Net(tuple(int(op) for op in phenotype), num_classes, channels, num_cells)


def parameter_count(
    phenotype: Int[Array, "*b e"], *, num_classes: int, channels: int = 16, num_cells: int = 5
) -> Int[Array, "*b"]:
    """Returns how many numbers of each cell's network are trained, by formula."""
    total = _total(PARAMETERS, phenotype, num_classes, channels=channels, num_cells=num_cells)
    return total + 2 * channels * 2 ** (NUM_STAGES - 1)  # the last normalisation


def multiply_add_count(
    phenotype: Int[Array, "*b e"],
    *,
    num_classes: int,
    channels: int = 16,
    num_cells: int = 5,
    image_size: int = CIFAR_SHAPE[0],
) -> Float[Array, "*b"]:
    """Returns the multiply-adds of each cell's network for one image, by formula; as `multiply_adds` counts."""
    size = {"channels": channels, "num_cells": num_cells, "image_size": image_size}
    return _total(MULTIPLY_ADDS, phenotype, num_classes, **size)


def _total(
    count: Count,
    phenotype: Int[Array, "*b e"],
    num_classes: int,
    *,
    channels: int,
    num_cells: int,
    image_size: int = CIFAR_SHAPE[0],
) -> Num[Array, "*b"]:
    """Returns what all convolutions, the normalisations after them and the classifier add."""
    total = jnp.asarray(count.conv_norm(3, channels, 3, image_size**2))
    for index in range(NUM_STAGES):
        features, pixels = channels * 2**index, (image_size >> index) ** 2
        if index:
            inputs = features // 2
            total += count.conv_norm(inputs, features, 3, pixels) + count.conv(inputs, features, 1, pixels)
            total += count.conv_norm(features, features, 3, pixels)
        of_op = [0] * len(OPS)
        of_op[CONV_1X1], of_op[CONV_3X3] = (
            count.conv_norm(features, features, size, pixels) for size in (1, 3)
        )
        total += num_cells * jnp.sum(jnp.array(of_op)[phenotype], axis=-1)
    return total + count.linear(features, num_classes)


def extract(variables: dict[str, Any], phenotype: HostPhenotype) -> dict[str, Any]:
    """Returns the variables with which `build(phenotype)` computes what `NasBench201Any` does with these."""
    ops = tuple(int(op) for op in phenotype)
    params = _cells(variables["params"], ops, _edge_params)
    return {"params": params, "batch_stats": _cells(variables["batch_stats"], ops, _edge_stats)}


def _cells(collection: dict[str, Any], ops: tuple[int, ...], of_edge: Callable[..., Any]) -> dict[str, Any]:
    """Returns a collection with every stage's stacked cells taken apart."""
    stages = {f"stage_{index}" for index in range(NUM_STAGES)}
    apart = {name: value for name, value in collection.items() if name not in stages}
    for name in sorted(stages):
        for cell in range(jax.tree.leaves(collection[name])[0].shape[0]):
            own = jax.tree.map(lambda leaf, cell=cell: leaf[cell], collection[name])
            kept = [edge for edge, op in enumerate(ops) if op in (CONV_1X1, CONV_3X3)]
            if kept:
                apart[f"{name}_cell_{cell}"] = {f"edge_{edge}": of_edge(own, edge, ops[edge]) for edge in kept}
    return apart


def _edge_params(cell: dict[str, Any], edge: int, op: int) -> dict[str, Any]:
    kernel = cell["kernel_1x1" if op == CONV_1X1 else "kernel_3x3"][edge]
    return {"conv": {"kernel": kernel}, **_edge_stats(cell, edge, op)}


def _edge_stats(cell: dict[str, Any], edge: int, op: int) -> dict[str, Any]:
    """Returns what the normalisation of one edge holds: a share of what the node's edges hold side by side."""
    del op
    node = CELL_EDGES[edge][0]
    share, shares = EDGES_FROM[node].index(edge), len(EDGES_FROM[node])
    return {"norm": jax.tree.map(lambda leaf: jnp.split(leaf, shares)[share], cell[f"norm_{node}"])}
