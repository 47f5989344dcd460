"""The vision transformers of AutoFormer (Chen et al. 2021): one subnet built, without its supernet.

As released: layer norms before attention and MLP, absolute positions, relative positions on keys and values,
and the mean over patches before the classifier; the class token is there, and counted, all the same.
"""

from __future__ import annotations

from typing import NamedTuple

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from ednag_jax.config import check_choice, check_range
from ednag_jax.networks.blocks import TORCH_INIT
from ednag_jax.spaces.autoformer import (
    HEAD_SIZE,
    NUM_CLASSES,
    NUM_PATCHES,
    PATCH_NUMBERS,
    RELATIVE_POSITIONS,
    AutoFormer,
)
from ednag_jax.types import HostPhenotype

PATCH_SIZE = 16
POOLINGS = ("mean", "class_token")
MAX_DISTANCE = (RELATIVE_POSITIONS - 2) // 2
"""In patches; what is farther apart counts as that far."""

WEIGHT_INIT = nn.initializers.truncated_normal(0.02)
"""Of all linear layers, tokens and positions; biases start at 0."""
EPSILON = 1e-5
"""Of the layer norms."""


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
) -> AutoFormerNet:
    """Returns the network of an architecture (host).

    Args:
        phenotype: of the space.
        num_classes: of the classifier.
        space: which of the spaces.
        patch_size: pixels; the image's size must be a multiple of it.
        pooling: what the classifier sees, `mean` of the patches as released, or `class_token`.
        drop_path_rate: probability, in [0, 1], of leaving out a branch of the last block in training; it grows
            linearly from 0 at the first block. The official training has 0.1.

    Raises:
        ValueError: another pooling, or a rate out of its range.
    """
    check_choice("pooling", pooling, POOLINGS)
    check_range("drop_path_rate", drop_path_rate, 0, 1)
    width, blocks = blocks_of(phenotype, space=space)
    return AutoFormerNet(width, blocks, num_classes, patch_size, pooling, drop_path_rate)


def parameter_count(phenotype: Int[Array, "*b e"], *, num_classes: int, space: AutoFormer) -> Int[Array, "*b"]:
    """Returns how many numbers of each network are trained, for 224 pixels in patches of 16, by formula."""
    widths = jnp.array([int(width) for width in space.whole[0].values])
    width = widths[space.whole_field(phenotype, 0)]
    return space.num_params(phenotype) + (num_classes - NUM_CLASSES) * (width + 1)


def multiply_add_count(
    phenotype: Int[Array, "*b e"], *, num_classes: int, space: AutoFormer
) -> Float[Array, "*b"]:
    """Returns the multiply-adds of each network for 224 pixels in patches of 16, by formula."""
    widths = [int(width) for width in space.whole[0].values]
    ratios, heads = (choice.values for choice in space.block)
    table = jnp.array([[[_block_multiply_adds(w, m, int(h)) for h in heads] for m in ratios] for w in widths])
    fixed = [float(NUM_PATCHES * PATCH_NUMBERS * width + width * num_classes) for width in widths]
    width = space.whole_field(phenotype, 0)
    ratio, head = (space.block_field(phenotype, choice) for choice in range(2))
    blocks = table[width[..., None], ratio, head] * space.block_exists(phenotype)
    return jnp.array(fixed)[width] + jnp.sum(blocks, axis=-1)


def _block_multiply_adds(width: int, ratio: float, heads: int) -> float:
    """Returns those of one block: of linear layers by token, of keys, values and positions by pair of them."""
    inner, hidden, tokens = HEAD_SIZE * heads, int(width * ratio), NUM_PATCHES + 1
    return float(tokens * (4 * width * inner + 2 * width * hidden) + tokens**2 * 4 * inner)


class AutoFormerNet(nn.Module):
    """Patches behind a class token, with absolute positions; encoder blocks, a layer norm, a classifier."""

    width: int
    blocks: tuple[Block, ...]
    num_classes: int
    patch_size: int = PATCH_SIZE
    pooling: str = "mean"
    drop_path_rate: float = 0.0

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool = False) -> Float[Array, "b k"]:
        """Returns logits for images of the size that it was initialised with.

        Training with a drop path rate draws from the key `dropout`.

        Raises:
            ValueError: patches do not cover the images.
        """
        if x.shape[1] % self.patch_size or x.shape[2] % self.patch_size:
            raise ValueError(
                f"images have {x.shape[1]} x {x.shape[2]} pixels, which must be multiples of patch_size "
                f"{self.patch_size}: resize them, or build the network with another patch_size"
            )
        patch = (self.patch_size, self.patch_size)
        embed = nn.Conv(self.width, patch, patch, padding="VALID", kernel_init=TORCH_INIT, name="embed")
        x = embed(x)
        batch, grid = x.shape[0], (x.shape[1], x.shape[2])
        token = self.param("class_token", WEIGHT_INIT, (1, 1, self.width))
        tokens = jnp.broadcast_to(token, (batch, 1, self.width))
        x = jnp.concatenate([tokens, x.reshape(batch, -1, self.width)], axis=1)
        x = x + self.param("positions", WEIGHT_INIT, (1, x.shape[1], self.width))
        rates = np.linspace(0, self.drop_path_rate, len(self.blocks)).tolist()
        for index, (block, rate) in enumerate(zip(self.blocks, rates, strict=True)):
            x = EncoderBlock(block, grid, rate, name=f"block_{index}")(x, train=train)
        x = nn.LayerNorm(EPSILON, name="norm")(x)
        pooled = jnp.mean(x[:, 1:], axis=1) if self.pooling == "mean" else x[:, 0]
        return nn.Dense(self.num_classes, kernel_init=WEIGHT_INIT, name="classifier")(pooled)


class EncoderBlock(nn.Module):
    """Attention, then an MLP, each behind a layer norm and added to what came in, or left out in training."""

    block: Block
    grid: tuple[int, int]
    drop_path_rate: float = 0.0

    @nn.compact
    def __call__(self, x: Float[Array, "b n d"], *, train: bool) -> Float[Array, "b n d"]:
        drop_path = nn.Dropout(self.drop_path_rate, broadcast_dims=(1, 2), deterministic=not train)
        attend = RelativeAttention(self.block.heads, self.grid, name="attention")
        x = x + drop_path(attend(nn.LayerNorm(EPSILON, name="attention_norm")(x)))
        widen = nn.Dense(self.block.hidden, kernel_init=WEIGHT_INIT, name="mlp_in")
        narrow = nn.Dense(x.shape[-1], kernel_init=WEIGHT_INIT, name="mlp_out")
        hidden = nn.gelu(widen(nn.LayerNorm(EPSILON, name="mlp_norm")(x)), approximate=False)
        return x + drop_path(narrow(hidden))


class RelativeAttention(nn.Module):
    """Self-attention of heads of 64 numbers, with relative positions added to the keys and to the values.

    A pair's position is the sum of a vertical and a horizontal entry, the same for all heads.
    """

    heads: int
    grid: tuple[int, int]

    @nn.compact
    def __call__(self, x: Float[Array, "b n d"]) -> Float[Array, "b n d"]:
        project = nn.DenseGeneral((3, self.heads, HEAD_SIZE), kernel_init=WEIGHT_INIT, name="qkv")
        query, key, value = jnp.moveaxis(project(x), 2, 0)
        logits = jnp.einsum("bqhd,bkhd->bhqk", query, key)
        logits += jnp.einsum("bqhd,qkd->bhqk", query, self._positions("key"))
        share = nn.softmax(logits / HEAD_SIZE**0.5)
        mixed = jnp.einsum("bhqk,bkhd->bqhd", share, value)
        mixed += jnp.einsum("bhqk,qkd->bqhd", share, self._positions("value"))
        return nn.DenseGeneral(x.shape[-1], (-2, -1), kernel_init=WEIGHT_INIT, name="out")(mixed)

    def _positions(self, name: str) -> Float[Array, "n n d"]:
        """Returns what every pair of tokens [query, key] adds to the keys, or to the values."""
        shape, rows = (RELATIVE_POSITIONS, HEAD_SIZE), relative_rows(self.grid)
        vertical = self.param(f"{name}_vertical", WEIGHT_INIT, shape)
        horizontal = self.param(f"{name}_horizontal", WEIGHT_INIT, shape)
        return vertical[rows[0]] + horizontal[rows[1]]
