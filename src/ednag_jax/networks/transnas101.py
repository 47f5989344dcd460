"""The networks of TransNAS-Bench-101 (Duan et al. 2021) for its two classification tasks.

Checked against the release's own source: the stem (two convolutions of stride 2, 32 and 64 channels), what the
digits of a macro string mean, two cells or blocks a digit, the operations, no normalisation after the last, the
linear head, how weights start; and 75 classes of objects, 47 of scenes, images of 256 x 256. Not checked: the
parameters and multiply-adds that the release tabulates, because no file of them was to be had; the tests
compare the networks with a formula of our own.

A departure of the release from its paper is kept: the normalisation on a block's shortcut has epsilon 1 and
running averages that forget at once, because `affine` and `track_running_stats` are passed in the place of
epsilon and momentum.
"""

from __future__ import annotations

from collections.abc import Sequence

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from ednag_jax.networks.blocks import CELL_EDGES, Cell, Classifier, ReluConvNorm, conv, norm
from ednag_jax.networks.counting import conv_norm_size
from ednag_jax.spaces.transnas101 import OPS
from ednag_jax.types import HostPhenotype

NUM_CLASSES = {"class_object": 75, "class_scene": 47}
"""Task -> classes that its networks tell apart."""
IMAGE_SHAPE = (256, 256, 3)
MICRO_BLOCKS = (3, 0, 3, 0, 3)
"""Block ids of the stack that every micro cell is put in, '41414' in the official string."""
KERNEL_INIT = nn.initializers.variance_scaling(2.0, "fan_out", "normal")


class TransNas101Net(nn.Module):
    """A stack of blocks, each of two cells or two residual blocks, of which the first doubles and halves."""

    blocks: tuple[int, ...]
    """Block ids: bit 0 doubles the channels, bit 1 halves the resolution."""
    cell: tuple[str, ...] | None
    """Operation names of the cell's edges; None for residual blocks."""
    num_classes: int
    channels: int = 64
    num_cells: int = 2
    """Of each block."""

    @nn.compact
    def __call__(self, images: Float[Array, "b h w c"], *, train: bool = False) -> Float[Array, "b k"]:
        first = conv(self.channels // 2, 3, stride=2, kernel_init=KERNEL_INIT, name="stem")
        x = norm(train, name="stem_norm")(first(images))
        x = ReluConvNorm(self.channels, 3, 2, KERNEL_INIT, name="stem_second")(x, train=train)
        for block, (features, stride) in enumerate(_plan(self.blocks, self.channels)):
            for index in range(self.num_cells):
                name, own_stride = f"block_{block}_cell_{index}", 1 if index else stride
                if self.cell is None:
                    x = Residual(features, own_stride, name=name)(x, train=train)
                else:
                    x = Cell(self.cell, features, own_stride, KERNEL_INIT, name=name)(x, train=train)
        return Classifier(self.num_classes, name="classifier")(x)


class Residual(nn.Module):
    """Two 3x3 convolutions beside a shortcut, which is a 1x1 convolution where the shape changes."""

    features: int
    stride: int = 1

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool) -> Float[Array, "b h2 w2 f"]:
        y = ReluConvNorm(self.features, 3, self.stride, KERNEL_INIT, name="first")(x, train=train)
        y = ReluConvNorm(self.features, 3, 1, KERNEL_INIT, name="second")(y, train=train)
        if self.stride == 1 and x.shape[-1] == self.features:
            return x + y
        shortcut = conv(self.features, 1, stride=self.stride, kernel_init=KERNEL_INIT, name="shortcut")
        return norm(train, momentum=0.0, epsilon=1.0, name="shortcut_norm")(shortcut(x)) + y


def _plan(blocks: Sequence[int], channels: int) -> list[tuple[int, int]]:
    """Returns (output channels, stride) of every block."""
    doublings = np.cumsum([block % 2 for block in blocks])
    return [(channels * 2 ** int(d), 1 + block // 2) for d, block in zip(doublings, blocks, strict=True)]


def build_micro(
    phenotype: HostPhenotype, *, num_classes: int, channels: int = 64, num_cells: int = 2
) -> TransNas101Net:
    """Returns the network of one cell; `channels` and `num_cells` default to the published size."""
    cell = tuple(OPS[int(op)] for op in phenotype)
    return TransNas101Net(MICRO_BLOCKS, cell, num_classes, channels, num_cells)


def build_macro(
    phenotype: HostPhenotype, *, num_classes: int, channels: int = 64, num_cells: int = 2
) -> TransNas101Net:
    """Returns the network of one stack; `channels` and `num_cells` default to the published size."""
    blocks = tuple(int(block) for block in phenotype if block >= 0)
    return TransNas101Net(blocks, None, num_classes, channels, num_cells)


def micro_parameter_count(
    phenotype: Int[Array, "*b e"], *, num_classes: int, channels: int = 64, num_cells: int = 2
) -> Int[Array, "*b"]:
    """Returns how many numbers of each cell's network are trained, by formula."""
    total, inputs = jnp.asarray(_stem_size(channels)), channels
    for features, stride in _plan(MICRO_BLOCKS, channels):
        for index in range(num_cells):
            changes = index == 0 and (stride > 1 or inputs != features)
            for edge, (source, _) in enumerate(CELL_EDGES):
                own = inputs if source == 0 else features
                skip = conv_norm_size(own, features, 1) if changes and source == 0 else 0
                convs = [conv_norm_size(own, features, size) for size in (1, 3)]
                total += jnp.array([0, skip, *convs])[phenotype[..., edge]]
            inputs = features
    return total + (inputs + 1) * num_classes


def macro_parameter_count(
    phenotype: Int[Array, "*b e"], *, num_classes: int, channels: int = 64, num_cells: int = 2
) -> Int[Array, "*b"]:
    """Returns how many numbers of each stack's network are trained, by formula."""
    total, inputs = jnp.asarray(_stem_size(channels)), jnp.asarray(channels)
    for block in jnp.moveaxis(phenotype, -1, 0):
        features = inputs * jnp.where(block % 2 == 1, 2, 1)
        second = conv_norm_size(features, features, 3)
        shortcut = (block > 0) * conv_norm_size(inputs, features, 1)
        size = conv_norm_size(inputs, features, 3) + second + shortcut + (num_cells - 1) * 2 * second
        is_block = block >= 0
        total, inputs = total + is_block * size, jnp.where(is_block, features, inputs)
    return total + (inputs + 1) * num_classes


def _stem_size(channels: int) -> int:
    return conv_norm_size(3, channels // 2, 3) + conv_norm_size(channels // 2, channels, 3)
