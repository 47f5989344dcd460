"""The networks of TransNAS-Bench-101 (Duan et al. 2021) for its seven tasks.

Checked against the release's own source: the stem (two convolutions of stride 2, 32 and 64 channels), what the
digits of a macro string mean, two cells or blocks a digit, the operations, no normalisation after the last,
what stands on top (`transnas101_heads`), how weights start. Not checked: the parameters and multiply-adds that
the release tabulates, because no file of them was to be had; the tests compare the networks with a formula of
our own.

A departure of the release from its paper is kept: the normalisation on a block's shortcut has epsilon 1 and
running averages that forget at once, because `affine` and `track_running_stats` are passed in the place of
epsilon and momentum.
"""

from __future__ import annotations

from collections.abc import Sequence

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Num

from ednag_jax.config import check_choice
from ednag_jax.networks.blocks import CELL_EDGES, Cell, ReluConvNorm, conv, norm
from ednag_jax.networks.counting import MULTIPLY_ADDS, PARAMETERS, Count
from ednag_jax.networks.transnas101_heads import DECODER_WIDTH, TASKS, head
from ednag_jax.spaces.transnas101 import OPS
from ednag_jax.types import HostPhenotype

IMAGE_SHAPE = (256, 256, 3)
STEM_HALVINGS = 2
MICRO_BLOCKS = (3, 0, 3, 0, 3)
"""Block ids of the stack that every micro cell is put in, '41414' in the official string."""
KERNEL_INIT = nn.initializers.variance_scaling(2.0, "fan_out", "normal")


class TransNas101Net(nn.Module):
    """A backbone and what a task puts on it.

    It is called with images [b h w c], for jigsaw with tiles [b 9 h w c], and returns [b k], or [b h w k] where
    the task asks for a number of every pixel.
    """

    blocks: tuple[int, ...]
    """Block ids: bit 0 doubles the channels, bit 1 halves the resolution."""
    cell: tuple[str, ...] | None
    """Operation names of the cell's edges; None for residual blocks."""
    num_classes: int
    """Outputs of an image or of each of its pixels: classes, numbers or channels."""
    channels: int = 64
    num_cells: int = 2
    """Of each block."""
    task: str = "class_object"

    @nn.compact
    def __call__(self, images: Float[Array, "b *n h w c"], *, train: bool = False) -> Float[Array, "b *m k"]:
        backbone = Backbone(self.blocks, self.cell, self.channels, self.num_cells, name="backbone")
        halvings = STEM_HALVINGS + sum(block // 2 for block in self.blocks)
        self._check(images.shape, 2**halvings)
        on_top = head(self.task, self.num_classes, halvings, DECODER_WIDTH * self.channels)
        if TASKS[self.task].tiles > 1:
            features = _side_by_side(backbone, images, train)
        else:
            features = backbone(images, train=train)
        return on_top(features) if TASKS[self.task].decoder is None else on_top(features, train=train)

    def _check(self, shape: tuple[int, ...], least: int) -> None:
        """Raises ValueError where the task takes no images of this shape."""
        tiles = TASKS[self.task].tiles
        if tiles > 1 and (len(shape) != 5 or shape[1] != tiles):
            raise ValueError(f"{self.task} takes tiles [b {tiles} h w c], got {shape}")
        if tiles == 1 and len(shape) != 4:
            raise ValueError(f"{self.task} takes images [b h w c], got {shape}")
        if TASKS[self.task].decoder is not None and any(size % least for size in shape[1:3]):
            raise ValueError(
                f"{self.task} takes images whose height and width are multiples of {least}, which is how often "
                f"this network halves them, got {shape}: pad or resize them"
            )


def _side_by_side(
    backbone: nn.Module, tiles: Float[Array, "b n h w c"], train: bool
) -> Float[Array, "b h2 w2 f"]:
    """Returns the channels of all tiles; they pass one after the other, so each is normalised by its own."""

    def one(own: nn.Module, _: None, tile: Float[Array, "b h w c"]) -> tuple[None, Array]:
        return None, own(tile, train=train)

    if backbone.is_initializing():  # a scan finds variables, it does not make them
        return jnp.concatenate([backbone(tiles[:, 0], train=train)] * tiles.shape[1], axis=-1)
    carried = ["batch_stats"] if backbone.is_mutable_collection("batch_stats") else []
    shared = ["params"] if carried else ["params", "batch_stats"]
    scanned = nn.scan(one, variable_broadcast=shared, variable_carry=carried, in_axes=1, out_axes=3)
    _, features = scanned(backbone, None, tiles)
    return features.reshape(*features.shape[:3], -1)


class Backbone(nn.Module):
    """A stack of blocks, each of two cells or two residual blocks, of which the first doubles and halves."""

    blocks: tuple[int, ...]
    cell: tuple[str, ...] | None
    channels: int = 64
    num_cells: int = 2

    @nn.compact
    def __call__(self, images: Float[Array, "b h w c"], *, train: bool = False) -> Float[Array, "b h2 w2 f"]:
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
        return x


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
    phenotype: HostPhenotype,
    *,
    num_classes: int,
    channels: int = 64,
    num_cells: int = 2,
    task: str = "class_object",
) -> TransNas101Net:
    """Returns the network of one cell for a task; `channels` and `num_cells` default to the published size.

    `transnas101_heads.TASKS` says what each task is; its `outputs` are the published `num_classes`.
    """
    check_choice("task", task, tuple(TASKS))
    cell = tuple(OPS[int(op)] for op in phenotype)
    return TransNas101Net(MICRO_BLOCKS, cell, num_classes, channels, num_cells, task)


def build_macro(
    phenotype: HostPhenotype,
    *,
    num_classes: int,
    channels: int = 64,
    num_cells: int = 2,
    task: str = "class_object",
) -> TransNas101Net:
    """Returns the network of one stack for a task; `channels` and `num_cells` default to the published size."""
    check_choice("task", task, tuple(TASKS))
    blocks = tuple(int(block) for block in phenotype if block >= 0)
    return TransNas101Net(blocks, None, num_classes, channels, num_cells, task)


def micro_parameter_count(
    phenotype: Int[Array, "*b e"], *, num_classes: int, channels: int = 64, num_cells: int = 2
) -> Int[Array, "*b"]:
    """Returns how many numbers of each cell's network of a classification are trained, by formula."""
    return _micro_total(PARAMETERS, phenotype, num_classes, channels=channels, num_cells=num_cells)


def micro_multiply_add_count(
    phenotype: Int[Array, "*b e"],
    *,
    num_classes: int,
    channels: int = 64,
    num_cells: int = 2,
    image_size: int = IMAGE_SHAPE[0],
) -> Float[Array, "*b"]:
    """Returns the multiply-adds of each cell's network for one image, by formula."""
    size = {"channels": channels, "num_cells": num_cells, "image_size": image_size}
    return _micro_total(MULTIPLY_ADDS, phenotype, num_classes, **size)


def macro_parameter_count(
    phenotype: Int[Array, "*b e"], *, num_classes: int, channels: int = 64, num_cells: int = 2
) -> Int[Array, "*b"]:
    """Returns how many numbers of each stack's network of a classification are trained, by formula."""
    return _macro_total(PARAMETERS, phenotype, num_classes, channels=channels, num_cells=num_cells)


def macro_multiply_add_count(
    phenotype: Int[Array, "*b e"],
    *,
    num_classes: int,
    channels: int = 64,
    num_cells: int = 2,
    image_size: int = IMAGE_SHAPE[0],
) -> Float[Array, "*b"]:
    """Returns the multiply-adds of each stack's network for one image, by formula."""
    size = {"channels": channels, "num_cells": num_cells, "image_size": image_size}
    return _macro_total(MULTIPLY_ADDS, phenotype, num_classes, **size)


def _micro_total(
    count: Count,
    phenotype: Int[Array, "*b e"],
    num_classes: int,
    *,
    channels: int,
    num_cells: int,
    image_size: int = IMAGE_SHAPE[0],
) -> Num[Array, "*b"]:
    """Returns what all layers add."""
    (total, side), inputs = _of_stem(count, channels, image_size), channels
    for features, stride in _plan(MICRO_BLOCKS, channels):
        side = -(-side // stride)
        for index in range(num_cells):
            changes = index == 0 and (stride > 1 or inputs != features)
            for edge, (source, _) in enumerate(CELL_EDGES):
                own = inputs if source == 0 else features
                convs = [count.conv_norm(own, features, size, side**2) for size in (1, 3)]
                skip = convs[0] if changes and source == 0 else 0
                total += jnp.array([0, skip, *convs])[phenotype[..., edge]]
            inputs = features
    return total + count.linear(inputs, num_classes)


def _macro_total(
    count: Count,
    phenotype: Int[Array, "*b e"],
    num_classes: int,
    *,
    channels: int,
    num_cells: int,
    image_size: int = IMAGE_SHAPE[0],
) -> Num[Array, "*b"]:
    """Returns what all layers add."""
    total, stem_side = _of_stem(count, channels, image_size)
    inputs, side = jnp.asarray(channels), jnp.asarray(stem_side)
    for block in jnp.moveaxis(phenotype, -1, 0):
        is_block = block >= 0
        features = inputs * jnp.where(is_block & (block % 2 == 1), 2, 1)
        side = jnp.where(is_block & (block // 2 == 1), -(-side // 2), side)
        first = count.conv_norm(inputs, features, 3, side**2)
        shortcut = (block > 0) * count.conv_norm(inputs, features, 1, side**2)
        rest = (2 * num_cells - 1) * count.conv_norm(features, features, 3, side**2)
        total, inputs = total + is_block * (first + shortcut + rest), features
    return total + count.linear(inputs, num_classes)


def _of_stem(count: Count, channels: int, image_size: int) -> tuple[Num[Array, ""], int]:
    """Returns what both convolutions of stride 2 add, and how many pixels high they leave the image."""
    half, quarter = -(-image_size // 2), -(-image_size // 4)
    first = count.conv_norm(3, channels // 2, 3, half**2)
    return jnp.asarray(first + count.conv_norm(channels // 2, channels, 3, quarter**2)), quarter
