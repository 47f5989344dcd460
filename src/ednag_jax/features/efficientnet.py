"""EfficientNet-Lite0 in Flax, frozen: batch normalisations are folded into the convolutions before them.

EfficientNet (Tan and Le 2019) without squeeze-excite and with ReLU6, as TensorFlow's "lite" variants have it;
stem and head keep their 32 and 1280 channels. Arrays are images [b h w c], padded as in TensorFlow ("SAME").
"""

from __future__ import annotations

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt8

from ednag_jax.features.pictures import middle_square

IMAGE_SIZE = 224
NUM_FEATURES = 1280
NUM_CLASSES = 1000
STEM_CHANNELS = 32


class Stage(NamedTuple):
    """Blocks in a row; the first of them has the stride."""

    kernel: int
    expansion: int
    channels: int
    stride: int
    depth: int


STAGES = (
    Stage(3, 1, 16, 1, 1),
    Stage(3, 6, 24, 2, 2),
    Stage(5, 6, 40, 2, 2),
    Stage(3, 6, 80, 2, 3),
    Stage(5, 6, 112, 1, 3),
    Stage(5, 6, 192, 2, 4),
    Stage(3, 6, 320, 1, 1),
)


class Outputs(NamedTuple):
    """What the network says of b images."""

    features: Float[Array, "b 1280"]
    """Means over the last feature map, in [0, 6]."""
    logits: Float[Array, "b 1000"]
    """Of the ImageNet classes in the order of their synset numbers: 0 is the tench, 999 toilet paper."""


class EfficientNetLite0(nn.Module):
    """The network; its parameters come from `efficientnet_weights`."""

    @nn.compact
    def __call__(self, x: Float[Array, "b h w 3"]) -> Outputs:
        x = nn.relu6(nn.Conv(STEM_CHANNELS, (3, 3), strides=2, name="stem")(x))
        strides = [stage.stride if first == 0 else 1 for stage in STAGES for first in range(stage.depth)]
        stages = [stage for stage in STAGES for _ in range(stage.depth)]
        for index, (stage, stride) in enumerate(zip(stages, strides, strict=True)):
            block = InvertedBottleneck(
                stage.kernel, stage.expansion, stage.channels, stride, name=f"block_{index}"
            )
            x = block(x)
        x = nn.relu6(nn.Conv(NUM_FEATURES, (1, 1), name="head")(x))
        features = jnp.mean(x, axis=(1, 2))
        return Outputs(features, nn.Dense(NUM_CLASSES, name="classifier")(features))


class InvertedBottleneck(nn.Module):
    """Expand, convolve each channel by itself, project; plus the input where the shape stays."""

    kernel: int
    expansion: int
    channels: int
    stride: int

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h2 w2 f"]:
        inputs, inner = x, self.expansion * x.shape[-1]
        if self.expansion > 1:
            x = nn.relu6(nn.Conv(inner, (1, 1), name="expand")(x))
        x = nn.relu6(DepthwiseConv(self.kernel, self.stride, name="depthwise")(x))
        x = nn.Conv(self.channels, (1, 1), name="project")(x)
        return x + inputs if x.shape == inputs.shape else x


class DepthwiseConv(nn.Module):
    """Convolves each channel by itself."""

    size: int
    stride: int

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h2 w2 c"]:
        channels = x.shape[-1]
        shape = (self.size, self.size, 1, channels)
        kernel = self.param("kernel", nn.initializers.lecun_normal(), shape)
        bias = self.param("bias", nn.initializers.zeros, (channels,))
        return depthwise(x, kernel, self.stride) + bias


def depthwise(
    x: Float[Array, "b h w c"], kernel: Float[Array, "k k 1 c"], stride: int
) -> Float[Array, "b h2 w2 c"]:
    """Returns each channel convolved by itself, padded as in TensorFlow, as a sum of shifted images.

    The same numbers as a convolution in as many groups as channels. With that, XLA takes 6 times as long for
    the whole network on a CPU; the sum becomes one loop.
    """
    batch, height, width, channels = x.shape
    size, rows, columns = len(kernel), -(-height // stride), -(-width // stride)
    below, right = ((count - 1) * stride + 1 for count in (rows, columns))
    missing = [max(last + size - 1 - side, 0) for last, side in ((below, height), (right, width))]
    x = jnp.pad(x, ((0, 0), *((pad // 2, pad - pad // 2) for pad in missing), (0, 0)))
    total = jnp.zeros((batch, rows, columns, channels), x.dtype)
    for i, j in np.ndindex(size, size):
        total += x[:, i : i + below : stride, j : j + right : stride] * kernel[i, j, 0]
    return total


def network_inputs(images: UInt8[Array, "b h w 3"]) -> Float[Array, "b 224 224 3"]:
    """Returns the images' middle squares at the network's size and in its range [-1, 1]."""
    return middle_square(images, IMAGE_SIZE) * 2 - 1


@jax.jit
def outputs(params: Any, inputs: Float[Array, "b 224 224 3"]) -> Outputs:
    """Returns features and logits of what `network_inputs` made."""
    found: Outputs = EfficientNetLite0().apply({"params": params}, inputs)  # type: ignore[assignment]
    return found


@jax.jit
def features(params: Any, inputs: Float[Array, "b 224 224 3"]) -> Float[Array, "b 1280"]:
    """Returns the features alone."""
    return outputs(params, inputs).features
