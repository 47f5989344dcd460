"""The AutoFormer network of whichever architecture it is called with: a supernet, used through masks.

An architecture takes the first rows and columns of shared weights, as in AutoFormer's own supernet, so one set
of parameters and one compiled program serve a whole space.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from ednag_jax.networks.autoformer import EPSILON, PATCH_SIZE, WEIGHT_INIT, blocks_of, relative_rows
from ednag_jax.networks.blocks import TORCH_INIT
from ednag_jax.spaces.autoformer import HEAD_SIZE, RELATIVE_POSITIONS, AutoFormer
from ednag_jax.types import HostPhenotype

PROBED = ("qkv", "out", "mlp_in", "mlp_out")
"""Linear layers of a block whose input is sown, and whose output takes a perturbation: together they give the
gradient of the weight, input times gradient of the output, without forming it."""


class Masks(NamedTuple):
    """What of the widest and deepest network an architecture has; of the blocks stacked, [blocks ...]."""

    exists: Bool[Array, "*k"]
    heads: Bool[Array, "*k h"]
    hidden: Bool[Array, "*k m"]


def masks_of(phenotype: Int[Array, " e"], space: AutoFormer) -> tuple[Bool[Array, " d"], Masks]:
    """Returns which features an architecture has, and the masks of all its blocks."""
    width = _value(space.whole[0].values, space.whole_field(phenotype, 0)).astype(jnp.int32)
    ratio, heads = (
        _value(choice.values, space.block_field(phenotype, index)) for index, choice in enumerate(space.block)
    )
    widest, most_heads, most_hidden = extents(space)
    hidden = jnp.arange(most_hidden) < (width * ratio).astype(jnp.int32)[:, None]
    masks = Masks(space.block_exists(phenotype), jnp.arange(most_heads) < heads[:, None], hidden)
    return jnp.arange(widest) < width, masks


def extents(space: AutoFormer) -> tuple[int, int, int]:
    """Returns the greatest width, number of heads and of neurons of an MLP."""
    width, (ratio, heads) = max(space.whole[0].values), (max(choice.values) for choice in space.block)
    return int(width), int(heads), int(width * ratio)


def _value(values: tuple[float, ...], index: Int[Array, "*b"]) -> Float[Array, "*b"]:
    return jnp.array(values, jnp.float32)[index]


class AutoFormerAny(nn.Module):
    """What `AutoFormerNet` computes with the architecture's share of the parameters, which `extract` gives."""

    space: AutoFormer
    num_classes: int
    patch_size: int = PATCH_SIZE

    @nn.compact
    def __call__(
        self, images: Float[Array, "b h w c"], phenotype: Int[Array, " e"], *, train: bool = False
    ) -> Float[Array, "b k"]:
        """Returns logits, from the mean over patches, for images of the size that it was initialised with."""
        del train  # nothing here depends on it
        features, masks = masks_of(phenotype, self.space)
        patch, width = (self.patch_size, self.patch_size), features.shape[0]
        x = nn.Conv(width, patch, patch, padding="VALID", kernel_init=TORCH_INIT, name="embed")(images)
        batch, grid = x.shape[0], (x.shape[1], x.shape[2])
        token = self.param("class_token", WEIGHT_INIT, (1, 1, width))
        tokens = jnp.broadcast_to(token, (batch, 1, width))
        x = jnp.concatenate([tokens, x.reshape(batch, -1, width)], axis=1)
        x = (x + self.param("positions", WEIGHT_INIT, (1, x.shape[1], width))) * features
        blocks = nn.scan(
            AnyBlock,
            variable_axes={"params": 0, "perturbations": 0, "intermediates": 0},
            split_rngs={"params": True},
            in_axes=(0, nn.broadcast),
        )
        x, _ = blocks(grid, name="blocks")(x, masks, features)
        x = nn.LayerNorm(EPSILON, name="norm")(x, mask=features) * features
        return nn.Dense(self.num_classes, kernel_init=WEIGHT_INIT, name="classifier")(
            jnp.mean(x[:, 1:], axis=1)
        )


class AnyBlock(nn.Module):
    """`EncoderBlock` with masks: what an architecture has not is 0 on every way in and out of a layer."""

    grid: tuple[int, int]

    @nn.compact
    def __call__(
        self, x: Float[Array, "b n d"], masks: Masks, features: Bool[Array, " d"]
    ) -> tuple[Float[Array, "b n d"], None]:
        share = masks.exists * features
        x = x + self._attention(self._normed(x, features, "attention_norm"), masks.heads) * share
        hidden = self._linear(self._normed(x, features, "mlp_norm"), masks.hidden.shape, "mlp_in")
        hidden = nn.gelu(hidden, approximate=False) * masks.hidden
        return x + self._linear(hidden, features.shape, "mlp_out") * share, None

    def _normed(self, x: Array, features: Array, name: str) -> Array:
        return nn.LayerNorm(EPSILON, name=name)(x, mask=features) * features

    def _attention(self, x: Float[Array, "b n d"], heads: Bool[Array, " h"]) -> Float[Array, "b n d"]:
        """Returns attention as `RelativeAttention` has it; heads that the block has not say nothing."""
        projected = self._linear(x, (3, heads.shape[0], HEAD_SIZE), "qkv")
        query, key, value = jnp.moveaxis(projected, 2, 0)
        logits = jnp.einsum("bqhd,bkhd->bhqk", query, key)
        logits += jnp.einsum("bqhd,qkd->bhqk", query, self._positions("key"))
        weight = nn.softmax(logits / HEAD_SIZE**0.5)
        mixed = jnp.einsum("bhqk,bkhd->bqhd", weight, value)
        mixed += jnp.einsum("bhqk,qkd->bqhd", weight, self._positions("value"))
        return self._linear(mixed * heads[:, None], x.shape[-1:], "out", axis=(-2, -1))

    def _positions(self, name: str) -> Float[Array, "n n d"]:
        """Returns what every pair of tokens [query, key] adds to the keys, or to the values."""
        shape, rows = (RELATIVE_POSITIONS, HEAD_SIZE), relative_rows(self.grid)
        vertical = self.param(f"{name}_vertical", WEIGHT_INIT, shape)
        horizontal = self.param(f"{name}_horizontal", WEIGHT_INIT, shape)
        return vertical[rows[0]] + horizontal[rows[1]]

    def _linear(self, x: Array, outputs: tuple[int, ...], name: str, axis: Any = -1) -> Array:
        """Returns a linear layer's output, its input and perturbation made known under its name."""
        self.sow("intermediates", f"{name}_input", x, reduce_fn=lambda _, new: new)
        layer = nn.DenseGeneral(outputs, axis, kernel_init=WEIGHT_INIT, name=name)
        return self.perturb(f"{name}_output", layer(x))


def extract(params: dict[str, Any], phenotype: HostPhenotype, space: AutoFormer) -> dict[str, Any]:
    """Returns the parameters with which `AutoFormerNet` computes what `AutoFormerAny` does (host)."""
    width, blocks = blocks_of(phenotype, space=space)
    features = slice(width)
    own = {name: params[name] for name in ("embed", "class_token", "positions", "norm", "classifier")}
    own = {name: _cut(value, features) for name, value in own.items() if name != "classifier"}
    kernel, bias = params["classifier"]["kernel"], params["classifier"]["bias"]
    own["classifier"] = {"kernel": kernel[features], "bias": bias}
    for index, block in enumerate(blocks):
        stacked = _at(params["blocks"], index)
        own[f"block_{index}"] = _block(stacked, features, slice(block.heads), slice(block.hidden))
    return own


def _at(tree: Any, index: int) -> Any:
    """Returns one block of parameters stacked over blocks."""
    return {name: _at(leaf, index) for name, leaf in tree.items()} if isinstance(tree, dict) else tree[index]


def _cut(tree: Any, features: slice) -> Any:
    """Returns the first features along the last axis of every array."""
    if isinstance(tree, dict):
        return {name: _cut(leaf, features) for name, leaf in tree.items()}
    return tree[..., features]


def _block(block: dict[str, Any], features: slice, heads: slice, hidden: slice) -> dict[str, Any]:
    """Returns a block's share, in the form of `EncoderBlock`'s parameters."""
    tables = {f"{name}_{way}" for name in ("key", "value") for way in ("vertical", "horizontal")}
    qkv, out, widen, narrow = (block[name] for name in PROBED)
    attention = {
        **{name: block[name] for name in tables},
        "qkv": {"kernel": qkv["kernel"][features, :, heads], "bias": qkv["bias"][:, heads]},
        "out": {"kernel": out["kernel"][heads, :, features], "bias": out["bias"][features]},
    }
    return {
        "attention": attention,
        **{name: _cut(block[name], features) for name in ("attention_norm", "mlp_norm")},
        "mlp_in": {"kernel": widen["kernel"][features, hidden], "bias": widen["bias"][hidden]},
        "mlp_out": {"kernel": narrow["kernel"][hidden, features], "bias": narrow["bias"][features]},
    }
