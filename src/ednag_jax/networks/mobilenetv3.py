"""The MobileNetV3 networks of Once-for-All (Cai et al. 2020): one subnet built, without its supernet.

A stem, a fixed block, five stages of inverted residual blocks as in MobileNetV3-Large (Howard et al. 2019), and
a head that mixes features only after the mean over the image. Parameters and multiply-adds are those listed
with the released subnets.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Num

from ednag_jax.networks.blocks import TORCH_INIT, conv, norm
from ednag_jax.networks.counting import MULTIPLY_ADDS, PARAMETERS, Count
from ednag_jax.spaces.mobilenetv3 import MobileNetV3
from ednag_jax.types import HostPhenotype

FIXED_CHANNELS = (16, 960, 1280)
"""At width 1: of the stem and its block, before the mean over the image, before the classifier."""

FAN_OUT_INIT = nn.initializers.variance_scaling(2.0, "fan_out", "normal")
"""What the official training starts convolutions from."""


class Stage(NamedTuple):
    """What the blocks of one stage share, at width 1; only a stage's first block has its stride."""

    channels: int
    stride: int
    excites: bool
    swishes: bool


STAGES = (
    Stage(24, 2, False, False),
    Stage(40, 2, True, False),
    Stage(80, 2, False, True),
    Stage(112, 1, True, True),
    Stage(160, 2, True, True),
)


class Block(NamedTuple):
    """One inverted residual block, by its own channel numbers."""

    kernel: int
    inner: int
    """Channels of the depthwise convolution; where as many come in, nothing expands them before it."""
    channels: int
    stride: int
    excites: bool
    swishes: bool


def make_divisible(channels: float, divisor: int = 8) -> int:
    """Returns the nearest multiple of the divisor that is not below 90 % of the channels (Sandler et al. 2018).

    >>> make_divisible(19.2), make_divisible(28.8), make_divisible(134.4)
    (24, 32, 136)
    """
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded


def squeezed(channels: int) -> int:
    """Returns how many numbers decide the gates of a block's channels."""
    return make_divisible(channels // 4)


def first_block(channels: int) -> Block:
    """Returns the block that every network has before its stages; it expands nothing."""
    return Block(3, channels, channels, 1, excites=False, swishes=False)


def blocks_of(phenotype: HostPhenotype, *, space: MobileNetV3, width: float = 1.0) -> tuple[Block, ...]:
    """Returns the blocks of a network in order, the fixed first one included (host)."""
    config = space.to_config(phenotype)
    channels = make_divisible(FIXED_CHANNELS[0] * width)
    blocks = [first_block(channels)]
    room = space.depth_range[1]
    for index, (stage, depth) in enumerate(zip(STAGES, config["d"], strict=True)):
        outer = make_divisible(stage.channels * width)
        for slot in range(depth):
            kernel, ratio = (int(config[key][room * index + slot]) for key in ("ks", "e"))
            stride = stage.stride if slot == 0 else 1
            blocks.append(Block(kernel, channels * ratio, outer, stride, stage.excites, stage.swishes))
            channels = outer
    return tuple(blocks)


def build(
    phenotype: HostPhenotype,
    *,
    num_classes: int,
    space: MobileNetV3 | None = None,
    width: float = 1.0,
    dropout_rate: float = 0.0,
) -> MobileNetV3Net:
    """Returns the network of an architecture (host); its resolution is for the images, not for the network.

    Args:
        phenotype: of the space.
        num_classes: of the classifier.
        space: default is the registered one.
        width: multiplier of all channels, above 0; supernets of 1.0 and 1.2 were released.
        dropout_rate: before the classifier, in [0, 1); the official training has 0.1.

    Raises:
        ValueError: width is not above 0.
    """
    stem, expanded, head = _fixed_channels(width)
    blocks = blocks_of(phenotype, space=space or MobileNetV3(), width=width)
    return MobileNetV3Net(stem, blocks, expanded, head, num_classes, dropout_rate)


def parameter_count(
    phenotype: Int[Array, "*b e"], *, num_classes: int, space: MobileNetV3 | None = None, width: float = 1.0
) -> Int[Array, "*b"]:
    """Returns how many numbers of each network are trained, by formula."""
    return _total(PARAMETERS, phenotype, num_classes, space=space or MobileNetV3(), width=width)


def multiply_add_count(
    phenotype: Int[Array, "*b e"], *, num_classes: int, space: MobileNetV3 | None = None, width: float = 1.0
) -> Float[Array, "*b"]:
    """Returns the multiply-adds of each network for one image of its own resolution, by formula."""
    return _total(MULTIPLY_ADDS, phenotype, num_classes, space=space or MobileNetV3(), width=width)


class MobileNetV3Net(nn.Module):
    """A network of any inverted residual blocks between the stem and the head of MobileNetV3."""

    stem_channels: int
    blocks: tuple[Block, ...]
    expanded_channels: int
    head_channels: int
    num_classes: int
    dropout_rate: float = 0.0

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool = False) -> Float[Array, "b k"]:
        """Returns logits; training with dropout draws from the key `dropout`."""
        x = nn.hard_swish(ConvNorm(self.stem_channels, 3, stride=2, name="stem")(x, train=train))
        for index, block in enumerate(self.blocks):
            x = InvertedResidual(block, name=f"block_{index}")(x, train=train)
        x = nn.hard_swish(ConvNorm(self.expanded_channels, 1, name="expand")(x, train=train))
        mix = nn.Dense(self.head_channels, use_bias=False, kernel_init=FAN_OUT_INIT, name="mix")
        x = nn.hard_swish(mix(jnp.mean(x, axis=(1, 2))))
        x = nn.Dropout(self.dropout_rate, deterministic=not train)(x)
        return nn.Dense(self.num_classes, kernel_init=TORCH_INIT, name="classifier")(x)


class InvertedResidual(nn.Module):
    """Expand, convolve each channel by itself, excite, project; plus the input where the shape stays."""

    block: Block

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool) -> Float[Array, "b h2 w2 f"]:
        kernel, inner, channels, stride, excites, swishes = self.block
        activate, inputs = nn.hard_swish if swishes else nn.relu, x
        if inner != inputs.shape[-1]:
            x = activate(ConvNorm(inner, 1, name="expand")(x, train=train))
        depthwise = ConvNorm(inner, kernel, stride=stride, groups=inner, name="depthwise")
        x = activate(depthwise(x, train=train))
        if excites:
            x = SqueezeExcite(name="excite")(x)
        x = ConvNorm(channels, 1, name="project")(x, train=train)
        return x + inputs if x.shape == inputs.shape else x


class ConvNorm(nn.Module):
    """Convolution, batch normalisation."""

    features: int
    size: int
    stride: int = 1
    groups: int = 1

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool) -> Float[Array, "b h2 w2 f"]:
        convolve = conv(
            self.features,
            self.size,
            stride=self.stride,
            groups=self.groups,
            kernel_init=FAN_OUT_INIT,
            name="conv",
        )
        return norm(train)(convolve(x))


class SqueezeExcite(nn.Module):
    """Scales every channel by a gate in [0, 1] that the means of all channels decide."""

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
        channels = x.shape[-1]
        squeeze = nn.Dense(squeezed(channels), kernel_init=FAN_OUT_INIT, name="squeeze")
        gate = nn.relu(squeeze(jnp.mean(x, axis=(1, 2), keepdims=True)))
        return x * nn.hard_sigmoid(nn.Dense(channels, kernel_init=FAN_OUT_INIT, name="gate")(gate))


def _fixed_channels(width: float) -> tuple[int, int, int]:
    """Returns the channels of stem, expansion and head."""
    if not width > 0:
        raise ValueError(f"width must be above 0, got {width}: it multiplies all channels, and 1.0 is usual")
    stem, expanded, head = (make_divisible(channels * width) for channels in FIXED_CHANNELS)
    return stem, expanded, head


def _total(
    count: Count, phenotype: Int[Array, "*b e"], num_classes: int, *, space: MobileNetV3, width: float
) -> Num[Array, "*b"]:
    """Returns what all layers add."""
    resolution = space.whole_field(phenotype, 0)
    fixed = [_of_fixed(count, num_classes, width, pixels) for pixels in space.resolutions]
    blocks = np.array([_of_blocks(count, space, width, pixels) for pixels in space.resolutions])
    stage, slot = np.divmod(np.arange(space.num_blocks), space.depth_range[1])
    kernel, ratio = (space.block_field(phenotype, choice) for choice in range(2))
    chosen = jnp.asarray(blocks)[resolution[..., None], stage, np.minimum(slot, 1), kernel, ratio]
    return jnp.array(fixed)[resolution] + jnp.sum(chosen * space.block_exists(phenotype), axis=-1)


def _sides(resolution: int) -> list[int]:
    """Returns how many pixels high the image is after the stem and after every stage."""
    sides = [-(-resolution // 2)]
    for stage in STAGES:
        sides.append(-(-sides[-1] // stage.stride))
    return sides


def _of_fixed(count: Count, num_classes: int, width: float, resolution: int) -> float:
    """Returns what stem, first block and head add."""
    stem, expanded, head = _fixed_channels(width)
    first, *_, last = _sides(resolution)
    start = count.conv_norm(3, stem, 3, first**2) + _of_block(count, stem, first_block(stem), (first, first))
    expand = count.conv_norm(make_divisible(STAGES[-1].channels * width), expanded, 1, last**2)
    return start + expand + count.conv(expanded, head, 1, 1) + count.linear(head, num_classes)


def _of_blocks(count: Count, space: MobileNetV3, width: float, resolution: int) -> Num[np.ndarray, "5 2 k e"]:
    """Returns what a block adds by stage, first of it (0) or later (1), kernel and expand ratio."""
    kernels, ratios = ([int(value) for value in choice.values] for choice in space.block)
    inputs, sides, found = make_divisible(FIXED_CHANNELS[0] * width), _sides(resolution), []
    for stage, before, after in zip(STAGES, sides[:-1], sides[1:], strict=True):
        outer = make_divisible(stage.channels * width)
        for channels, side in ((inputs, before), (outer, after)):
            for kernel, ratio in itertools.product(kernels, ratios):
                block = Block(kernel, channels * ratio, outer, 1, stage.excites, stage.swishes)
                found.append(_of_block(count, channels, block, (side, after)))
        inputs = outer
    return np.array(found).reshape(len(STAGES), 2, len(kernels), len(ratios))


def _of_block(count: Count, inputs: int, block: Block, sides: tuple[int, int]) -> float:
    """Returns what one block adds; `sides` are the heights of its input and its output."""
    inner, (before, after) = block.inner, (side**2 for side in sides)
    total = count.conv_norm(1, inner, block.kernel, after) + count.conv_norm(inner, block.channels, 1, after)
    if inner != inputs:
        total += count.conv_norm(inputs, inner, 1, before)
    if block.excites:
        total += count.linear(inner, squeezed(inner)) + count.linear(squeezed(inner), inner)
    return total
