"""The vision transformers of AutoFormer (Chen et al. 2021) as Flax modules."""

from __future__ import annotations

from typing import NamedTuple

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from ednag_jax.config import check_choice, check_range
from ednag_jax.spaces.autoformer import HEAD_SIZE, RELATIVE_POSITIONS, AutoFormer
from ednag_jax.types import HostPhenotype

PATCH_SIZE = 16
POOLINGS = ("mean", "class_token")
MAX_DISTANCE = (RELATIVE_POSITIONS - 2) // 2
"""In patches; what is farther apart counts as that far."""

WEIGHT_INIT = nn.initializers.truncated_normal(0.02)
PATCH_INIT = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")
"""Uniform between +-1 / sqrt(inputs)."""


class Block(NamedTuple):
    """What one block of the encoder chooses: heads, and neurons of its MLP."""

    heads: int
    hidden: int


def blocks_of(phenotype: HostPhenotype, *, space: AutoFormer) -> tuple[int, tuple[Block, ...]]:
    """Returns the width of an architecture and its blocks in order (host)."""
    fields = jnp.asarray(phenotype)
    width = int(space.whole[0].values[int(space.whole_field(fields, 0))])
    ratio, heads = (
        np.array(choice.values)[np.asarray(space.block_field(fields, index))]
        for index, choice in enumerate(space.block)
    )
    exists = np.asarray(space.block_exists(fields))
    chosen = zip(heads[exists], ratio[exists], strict=True)
    return width, tuple(Block(int(heads), int(width * ratio)) for heads, ratio in chosen)


def relative_rows(grid: tuple[int, int]) -> Int[np.ndarray, "2 n n"]:
    """Returns which rows of the two tables, vertical and horizontal, a pair of tokens [query, key] looks up.

    Row 0 is for pairs with the class token, which is the first token; then distances -14 to 14 in patches.
    """
    position = np.indices(grid).reshape(2, -1)
    distance = position[:, None, :] - position[:, :, None]
    rows = np.clip(distance, -MAX_DISTANCE, MAX_DISTANCE) + MAX_DISTANCE + 1
    return np.pad(rows, ((0, 0), (1, 0), (1, 0)))


def build(
    phenotype: HostPhenotype,
    *,
    num_classes: int,
    space: AutoFormer,
    patch_size: int = PATCH_SIZE,
    pooling: str = "mean",
    drop_path_rate: float = 0.0,
) -> VisionTransformer:
    """Returns the network of an architecture (host).

    Args:
        phenotype: of the space.
        num_classes: of the classifier.
        space: which of the spaces; its parameter counts are for 1,000 classes and 224 pixels in patches of 16.
        patch_size: pixels.
        pooling: what the classifier sees, `mean` of the patches as the published networks, or `class_token`.
        drop_path_rate: probability, in [0, 1), of leaving out the last block in training; it grows linearly
            from 0 at the first. The published training used 0.1.

    Raises:
        ValueError: another pooling, or a rate out of its range.
    """
    check_choice("pooling", pooling, POOLINGS)
    check_range("drop_path_rate", drop_path_rate, 0, 1)
    width, blocks = blocks_of(phenotype, space=space)
    return VisionTransformer(
        width=width,
        blocks=blocks,
        num_classes=num_classes,
        patch_size=patch_size,
        pooling=pooling,
        drop_path_rate=drop_path_rate,
    )


class VisionTransformer(nn.Module):
    """Patches and a class token with absolute positions, encoder blocks, a layer norm, a classifier."""

    width: int
    blocks: tuple[Block, ...]
    num_classes: int
    patch_size: int = PATCH_SIZE
    pooling: str = "mean"
    drop_path_rate: float = 0.0

    @nn.compact
    def __call__(self, images: Float[Array, "b h w c"], *, train: bool = False) -> Float[Array, "b k"]:
        """Returns logits; the size of images is fixed when parameters are made, a multiple of the patch size.

        In training with a drop path rate it draws from `dropout`.
        """
        patch = (self.patch_size, self.patch_size)
        x = nn.Conv(self.width, patch, strides=patch, padding="VALID", kernel_init=PATCH_INIT)(images)
        grid = (x.shape[1], x.shape[2])
        x = x.reshape(x.shape[0], -1, self.width)
        token = self.param("class_token", WEIGHT_INIT, (1, 1, self.width))
        x = jnp.concatenate([jnp.broadcast_to(token, (x.shape[0], 1, self.width)), x], axis=1)
        x = x + self.param("positions", WEIGHT_INIT, (1, x.shape[1], self.width))
        for block, rate in zip(self.blocks, np.linspace(0, self.drop_path_rate, len(self.blocks)), strict=True):
            x = EncoderBlock(block, grid, float(rate))(x, train=train)
        x = nn.LayerNorm(epsilon=1e-5)(x)
        pooled = jnp.mean(x[:, 1:], axis=1) if self.pooling == "mean" else x[:, 0]
        return nn.Dense(self.num_classes, kernel_init=WEIGHT_INIT)(pooled)


class EncoderBlock(nn.Module):
    """Attention, then an MLP; each behind a layer norm, added to what came in, or dropped in training."""

    block: Block
    grid: tuple[int, int]
    drop_path_rate: float = 0.0

    @nn.compact
    def __call__(self, x: Float[Array, "b n d"], *, train: bool) -> Float[Array, "b n d"]:
        drop_path = nn.Dropout(self.drop_path_rate, broadcast_dims=(1, 2), deterministic=not train)
        normed = nn.LayerNorm(epsilon=1e-5)(x)
        x = x + drop_path(RelativeAttention(self.block.heads, self.grid)(normed))
        hidden = nn.Dense(self.block.hidden, kernel_init=WEIGHT_INIT)(nn.LayerNorm(epsilon=1e-5)(x))
        hidden = nn.gelu(hidden, approximate=False)
        return x + drop_path(nn.Dense(x.shape[-1], kernel_init=WEIGHT_INIT)(hidden))


class RelativeAttention(nn.Module):
    """Self-attention of heads of 64 numbers, with relative positions added to keys and to values.

    A pair's position is the sum of a vertical and a horizontal entry, the same for all heads.
    """

    heads: int
    grid: tuple[int, int]

    @nn.compact
    def __call__(self, x: Float[Array, "b n d"]) -> Float[Array, "b n d"]:
        project = nn.DenseGeneral((3, self.heads, HEAD_SIZE), kernel_init=WEIGHT_INIT)
        query, key, value = jnp.moveaxis(project(x), 2, 0)
        key_position, value_position = self._positions("key"), self._positions("value")
        logits = jnp.einsum("bqhd,bkhd->bhqk", query, key)
        logits = logits + jnp.einsum("bqhd,qkd->bhqk", query, key_position)
        weight = nn.softmax(logits / HEAD_SIZE**0.5)
        mixed = jnp.einsum("bhqk,bkhd->bqhd", weight, value)
        mixed = mixed + jnp.einsum("bhqk,qkd->bqhd", weight, value_position)
        return nn.DenseGeneral(x.shape[-1], axis=(-2, -1), kernel_init=WEIGHT_INIT)(mixed)

    def _positions(self, name: str) -> Float[Array, "n n d"]:
        """Returns what every pair of tokens [query, key] adds to the keys, or to the values."""
        shape = (RELATIVE_POSITIONS, HEAD_SIZE)
        rows = relative_rows(self.grid)
        vertical = self.param(f"{name}_vertical", WEIGHT_INIT, shape)
        horizontal = self.param(f"{name}_horizontal", WEIGHT_INIT, shape)
        return vertical[rows[0]] + horizontal[rows[1]]
