"""The MobileNetV3 networks of Once-for-All (Cai et al. 2020) as Flax modules."""

from __future__ import annotations

from typing import NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from ednag_jax.spaces.mobilenetv3 import MobileNetV3
from ednag_jax.types import HostPhenotype

STEM_CHANNELS, EXPANDED_CHANNELS, HEAD_CHANNELS = 16, 960, 1280
"""At width 1: before the first stage, before the average over the image, before the classifier."""

CONV_INIT = nn.initializers.variance_scaling(2.0, "fan_out", "normal")
CLASSIFIER_INIT = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")
"""Uniform between +-1 / sqrt(inputs)."""


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


def blocks_of(phenotype: HostPhenotype, *, space: MobileNetV3, width: float = 1.0) -> tuple[Block, ...]:
    """Returns the blocks of a network in order, the fixed first one included (host)."""
    config = space.to_config(phenotype)
    channels = make_divisible(STEM_CHANNELS * width)
    blocks = [Block(3, channels, channels, 1, excites=False, swishes=False)]
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
    dropout_rate: float = 0.1,
) -> MobileNetV3Network:
    """Returns the network of an architecture (host); the resolution is the images', not the network's.

    Args:
        phenotype: of the space, or of the one given.
        num_classes: of the classifier.
        space: default is the registered one.
        width: multiplier of all channels, above 0; 1.0 and 1.2 were released. The latency table is for 1.2.
        dropout_rate: before the classifier, in [0, 1).

    Raises:
        ValueError: no positive width.
    """
    if not width > 0:
        raise ValueError(f"width must be above 0, got {width}: it multiplies all channels, and 1.0 is usual")
    return MobileNetV3Network(
        stem_channels=make_divisible(STEM_CHANNELS * width),
        blocks=blocks_of(phenotype, space=space or MobileNetV3(), width=width),
        expanded_channels=make_divisible(EXPANDED_CHANNELS * width),
        head_channels=make_divisible(HEAD_CHANNELS * width),
        num_classes=num_classes,
        dropout_rate=dropout_rate,
    )


class MobileNetV3Network(nn.Module):
    """Stem, inverted residual blocks, and a head that mixes features after averaging over the image."""

    stem_channels: int
    blocks: tuple[Block, ...]
    expanded_channels: int
    head_channels: int
    num_classes: int
    dropout_rate: float = 0.0

    @nn.compact
    def __call__(self, images: Float[Array, "b h w c"], *, train: bool = False) -> Float[Array, "b k"]:
        """Returns logits; in training it updates `batch_stats` and, with dropout, draws from `dropout`."""
        x = ConvNorm(self.stem_channels, 3, stride=2)(images, train=train)
        x = nn.hard_swish(x)
        for block in self.blocks:
            x = InvertedResidual(block)(x, train=train)
        x = nn.hard_swish(ConvNorm(self.expanded_channels, 1)(x, train=train))
        x = jnp.mean(x, axis=(1, 2))
        x = nn.hard_swish(nn.Dense(self.head_channels, use_bias=False, kernel_init=CONV_INIT)(x))
        x = nn.Dropout(self.dropout_rate, deterministic=not train)(x)
        return nn.Dense(self.num_classes, kernel_init=CLASSIFIER_INIT)(x)


class InvertedResidual(nn.Module):
    """Expand, convolve every channel by itself, excite, project; plus the input where the shape is kept."""

    block: Block

    @nn.compact
    def __call__(self, inputs: Float[Array, "b h w c"], *, train: bool) -> Float[Array, "b ho wo co"]:
        kernel, inner, channels, stride, excites, swishes = self.block
        activate = nn.hard_swish if swishes else nn.relu
        x = inputs
        if inner != inputs.shape[-1]:
            x = activate(ConvNorm(inner, 1)(x, train=train))
        x = activate(ConvNorm(inner, kernel, stride=stride, groups=inner)(x, train=train))
        if excites:
            x = SqueezeExcite()(x)
        x = ConvNorm(channels, 1)(x, train=train)
        return x + inputs if x.shape == inputs.shape else x


class ConvNorm(nn.Module):
    """A convolution without bias, padded by half its kernel on every side, then batch norm."""

    channels: int
    kernel: int
    stride: int = 1
    groups: int = 1

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool) -> Float[Array, "b ho wo co"]:
        x = nn.Conv(
            self.channels,
            (self.kernel, self.kernel),
            strides=self.stride,
            padding=self.kernel // 2,
            feature_group_count=self.groups,
            use_bias=False,
            kernel_init=CONV_INIT,
        )(x)
        return nn.BatchNorm(use_running_average=not train, momentum=0.9, epsilon=1e-5)(x)


class SqueezeExcite(nn.Module):
    """Scales every channel by a gate in [0, 1] that is computed from the averages of all channels."""

    reduction: int = 4

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
        channels = x.shape[-1]
        gate = jnp.mean(x, axis=(1, 2), keepdims=True)
        gate = nn.relu(nn.Dense(make_divisible(channels // self.reduction), kernel_init=CONV_INIT)(gate))
        return x * nn.hard_sigmoid(nn.Dense(channels, kernel_init=CONV_INIT)(gate))
