"""The networks of DARTS (Liu et al. 2019) for CIFAR: normal cells, with reduction cells at 1/3 and 2/3 of them.

At 36 channels, 20 cells and 10 classes they have the published sizes, counted without the auxiliary head, which
adds 476,426: DARTS (second order) 3,349,342 parameters, P-DARTS 3,433,798, PC-DARTS 3,634,678.
"""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Num

from ednag_jax.networks.blocks import Classifier, FactorizedReduce, ReluConvNorm, avg_pool, conv, max_pool, norm
from ednag_jax.networks.counting import MULTIPLY_ADDS, PARAMETERS, Count
from ednag_jax.networks.variables import CIFAR_SHAPE
from ednag_jax.spaces.darts import CELLS, NUM_EDGES, NUM_INPUTS, NUM_NODES, OPS, edges
from ednag_jax.types import HostPhenotype, Scalar

STEM_MULTIPLIER = 3
AUXILIARY_FEATURES = (128, 768)
AUXILIARY_SIZE = 8
"""Height and width that the auxiliary head reads: a quarter of CIFAR's."""


class DartsNet(nn.Module):
    """The network of one pair of cells.

    With `auxiliary`, the auxiliary head's logits are sown as `auxiliary` into the collection `intermediates`.
    """

    normal: tuple[tuple[str, int], ...]
    """(operation name, source) of every edge, two a node; sources 0 and 1 are the cells before."""
    reduce: tuple[tuple[str, int], ...]
    num_classes: int
    channels: int = 36
    num_cells: int = 20
    auxiliary: bool = False

    @nn.compact
    def __call__(
        self, images: Float[Array, "b h w c"], *, train: bool = False, drop_path_rate: Scalar | None = None
    ) -> Float[Array, "b k"]:
        """Returns the logits.

        Args:
            images: with `auxiliary` of 32 x 32.
            train: normalise by the batch, and keep its averages in the collection `batch_stats`.
            drop_path_rate: share of the paths through an operation to leave out while training, in [0, 1),
                drawn from the stream `dropout`; None leaves out none.
        """
        stem = conv(STEM_MULTIPLIER * self.channels, 3, name="stem")
        before = last = norm(train, name="stem_norm")(stem(images))
        features, was_reduced = self.channels, False
        rate = drop_path_rate if train else None
        for index in range(self.num_cells):
            reduced = index in reductions(self.num_cells)
            features *= 1 + reduced
            genes = self.reduce if reduced else self.normal
            cell = DartsCell(genes, features, reduced, was_reduced, name=f"cell_{index}")
            before, last = last, cell(before, last, train=train, drop_path_rate=rate)
            was_reduced = reduced
            if self.auxiliary and index == reductions(self.num_cells)[-1]:
                head = AuxiliaryHead(self.num_classes, name="auxiliary_head")
                self.sow("intermediates", "auxiliary", head(last, train=train))
        return Classifier(self.num_classes, name="classifier")(last)


class DartsCell(nn.Module):
    """One cell: a node is the sum of two operations, the output all nodes side by side."""

    genes: tuple[tuple[str, int], ...]
    features: int
    reduces: bool
    """Operations on the cell's inputs have stride 2."""
    was_reduced: bool
    """The cell before was a reduction cell, so the one before it has twice the resolution."""

    @nn.compact
    def __call__(
        self,
        before: Float[Array, "b h0 w0 c0"],
        last: Float[Array, "b h w c"],
        *,
        train: bool,
        drop_path_rate: Scalar | None = None,
    ) -> Float[Array, "b h2 w2 f"]:
        fit = FactorizedReduce if self.was_reduced else _projection
        states = [
            fit(self.features, name="preprocess_0")(before, train=train),
            _projection(self.features, name="preprocess_1")(last, train=train),
        ]
        results = []
        for edge, (op, source) in enumerate(self.genes):
            stride = 2 if self.reduces and source < NUM_INPUTS else 1
            result = Operation(op, self.features, stride, name=f"edge_{edge}")(states[source], train=train)
            if drop_path_rate is not None and (op, stride) != ("skip_connect", 1):
                result = drop_path(self.make_rng("dropout"), result, drop_path_rate)
            results.append(result)
            if edge % 2:
                states.append(results[-2] + results[-1])
        return jnp.concatenate(states[NUM_INPUTS:], axis=-1)


def _projection(features: int, name: str) -> ReluConvNorm:
    return ReluConvNorm(features, 1, name=name)


class Operation(nn.Module):
    """One of the seven operations, by name."""

    op: str
    features: int
    stride: int

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool) -> Float[Array, "b h2 w2 c"]:
        kind, size = self.op[:-4], int(self.op[-1]) if self.op[-1].isdecimal() else 0
        if self.op == "skip_connect":
            return x if self.stride == 1 else FactorizedReduce(self.features, name="reduce")(x, train=train)
        if kind == "max_pool":
            return max_pool(x, self.stride)
        if kind == "avg_pool":
            return avg_pool(x, self.stride)
        if kind == "dil_conv":
            return Separable(self.features, size, self.stride, 2, name="first")(x, train=train)
        x = Separable(self.features, size, self.stride, name="first")(x, train=train)
        return Separable(self.features, size, name="second")(x, train=train)


class Separable(nn.Module):
    """ReLU, a convolution of each channel alone, a 1x1 convolution, batch normalisation."""

    features: int
    size: int
    stride: int = 1
    dilation: int = 1

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool) -> Float[Array, "b h2 w2 f"]:
        channels = x.shape[-1]
        depthwise = conv(
            channels, self.size, stride=self.stride, dilation=self.dilation, groups=channels, name="depthwise"
        )
        return norm(train)(conv(self.features, 1, name="pointwise")(depthwise(nn.relu(x))))


class AuxiliaryHead(nn.Module):
    """A second classifier on the output of the second reduction cell, 8 x 8."""

    num_classes: int

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool) -> Float[Array, "b k"]:
        if x.shape[1:3] != (AUXILIARY_SIZE, AUXILIARY_SIZE):
            raise ValueError(
                f"the auxiliary head reads {AUXILIARY_SIZE} x {AUXILIARY_SIZE} pixels, got {x.shape[1]} x "
                f"{x.shape[2]}; give images of 32 x 32, or leave `auxiliary` out"
            )
        narrow, wide = AUXILIARY_FEATURES
        x = nn.avg_pool(nn.relu(x), (5, 5), (3, 3))
        x = nn.relu(norm(train, name="norm_0")(conv(narrow, 1, name="conv_0")(x)))
        last = nn.Conv(wide, (2, 2), padding="VALID", use_bias=False, name="conv_1")
        return Classifier(self.num_classes, name="classifier")(nn.relu(norm(train, name="norm_1")(last(x))))


def drop_path(key: Array, x: Float[Array, "b h w c"], rate: Scalar) -> Float[Array, "b h w c"]:
    """Returns x with that share of the images set to 0, and the rest scaled so that the mean stays."""
    kept = jax.random.bernoulli(key, 1 - rate, (x.shape[0], 1, 1, 1))
    return jnp.where(kept, x / (1 - rate), 0.0)


def reductions(num_cells: int) -> tuple[int, int]:
    """Returns which cells are reduction cells; of fewer than 3 cells one may be both, or none be there.

    >>> reductions(20)
    (6, 13)
    """
    return num_cells // 3, 2 * num_cells // 3


def build(
    phenotype: HostPhenotype,
    *,
    num_classes: int,
    channels: int = 36,
    num_cells: int = 20,
    auxiliary: bool = False,
) -> DartsNet:
    """Returns the network of one pair of cells; `channels` and `num_cells` default to the published size."""
    genes = np.asarray(phenotype).reshape(len(CELLS), NUM_EDGES, 2)
    normal, reduce = (tuple((OPS[op], source) for source, op in cell) for cell in genes.tolist())
    return DartsNet(normal, reduce, num_classes, channels, num_cells, auxiliary)


def parameter_count(
    phenotype: Int[Array, "*b e"], *, num_classes: int, channels: int = 36, num_cells: int = 20
) -> Int[Array, "*b"]:
    """Returns how many numbers of each network without auxiliary head are trained, by formula."""
    return _total(PARAMETERS, phenotype, num_classes, channels=channels, num_cells=num_cells)


def multiply_add_count(
    phenotype: Int[Array, "*b e"],
    *,
    num_classes: int,
    channels: int = 36,
    num_cells: int = 20,
    image_size: int = CIFAR_SHAPE[0],
) -> Float[Array, "*b"]:
    """Returns the multiply-adds of each network without auxiliary head for one image, by formula."""
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
    """Returns what all layers but the auxiliary head's add."""
    source, op = edges(phenotype)
    before = last = STEM_MULTIPLIER * channels
    features, side = channels, image_size
    total = jnp.asarray(count.conv_norm(3, last, 3, side**2))
    for index in range(num_cells):
        reduces = index in reductions(num_cells)
        features *= 1 + reduces
        total += count.conv_norm(before, features, 1, side**2) + count.conv_norm(last, features, 1, side**2)
        side = -(-side // (1 + reduces))
        which = CELLS.index("reduce" if reduces else "normal")
        stride = jnp.where(source[..., which, :] < NUM_INPUTS, 1 + reduces, 1)
        sizes = [[_of_op(count, name, features, stride, side**2) for stride in (1, 2)] for name in OPS]
        total += jnp.sum(jnp.array(sizes)[op[..., which, :], stride - 1], axis=-1)
        before, last = last, NUM_NODES * features
    return total + count.linear(last, num_classes)


def _of_op(count: Count, name: str, features: int, stride: int, pixels: int) -> float:
    """Returns what an operation adds."""
    pointwise = count.conv_norm(features, features, 1, pixels)
    if name == "skip_connect":
        return pointwise if stride > 1 else 0
    if name.endswith("pool_3x3"):
        return 0
    separable = count.conv(1, features, int(name[-1]), pixels) + pointwise
    return separable * (2 if name.startswith("sep") else 1)
