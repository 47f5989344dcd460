"""What stands on a TransNAS-Bench-101 backbone for each of its seven tasks, and what each is trained to lower.

Layers, sizes, targets and losses are those of the release's own source (Duan et al. 2021,
github.com/yawen-d/TransNASBench); its pretrained networks are not at hand, so nothing is compared with them.

Class_object, class_scene, room_layout and jigsaw have a linear layer; segmentsemantic, autoencoder and normal
have a decoder that doubles the resolution back to the image's. The release adds a hundredth of an adversarial
loss to 99 hundredths of the L1 loss of autoencoder and normal; the adversary is left out here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, Num

from ednag_jax.config import check_choice
from ednag_jax.networks.blocks import TORCH_INIT, Classifier, norm

LEAK = 0.2
"""Slope of the decoders' activations below 0."""
DECODER_WIDTH = 16
"""Channels of a decoder's first layer over the backbone's base channels: 1,024 over 64."""
SEGMENTATION_HALVINGS = 5
GENERATIVE_LAYERS = (
    (1, None),
    (1, None),
    (2, 6),
    (2, None),
    (4, 5),
    (8, None),
    (16, 4),
    (16, None),
    (32, 3),
    (32, None),
    (64, 2),
    (32, None),
    (64, 1),
)
"""Of each layer: the width's divisor, and the least number of doublings at which it is one of them."""
SMOOTHING = 1e-5
"""Added to a probability before its logarithm."""
SSIM_SIZE, SSIM_SIGMA, SSIM_C1, SSIM_C2 = 11, 1.5, 0.01**2, 0.03**2


def deconv_init(key: Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> Array:
    """Returns what torch draws for a transposed convolution: it takes the outputs for the inputs."""
    bound = (shape[0] * shape[1] * shape[3]) ** -0.5
    return jax.random.uniform(key, shape, dtype, -bound, bound)


class DecoderLayer(nn.Module):
    """A 3x3 convolution with bias, or one that doubles the resolution; batch normalisation, leaky ReLU."""

    features: int
    doubles: bool = False

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool) -> Float[Array, "b h2 w2 f"]:
        return nn.leaky_relu(norm(train)(self.layer(x.shape[-1])(x)), LEAK)

    def layer(self, inputs: int) -> nn.Module:
        if not self.doubles:
            return biased_conv(self.features, inputs, name="conv")
        return nn.ConvTranspose(
            self.features,
            (3, 3),
            strides=(2, 2),
            padding=((1, 2), (1, 2)),  # torch's padding of 1 and output_padding of 1
            kernel_init=deconv_init,
            bias_init=uniform_init(9 * self.features),
            name="deconv",
        )


def uniform_init(fan_in: int) -> Callable[..., Array]:
    """Returns torch's start of a bias, U(-1, 1) / sqrt(fan_in)."""

    def draw(key: Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> Array:
        return jax.random.uniform(key, shape, dtype, -(fan_in**-0.5), fan_in**-0.5)

    return draw


def biased_conv(features: int, inputs: int, *, name: str) -> nn.Conv:
    """Returns a 3x3 convolution with bias that keeps the resolution."""
    bias_init = uniform_init(9 * inputs)
    return nn.Conv(features, (3, 3), padding=1, kernel_init=TORCH_INIT, bias_init=bias_init, name=name)


class SegmentationDecoder(nn.Module):
    """Eight layers from features to the logits of every pixel, each but the first and the last two halving."""

    num_classes: int
    num_doublings: int
    """2 to 6, the last of the layers before the logits."""
    width: int

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool) -> Float[Array, "b h2 w2 k"]:
        features = [self.width // 2**i for i in range(SEGMENTATION_HALVINGS + 1)]
        features.append(features[-1])
        for index, own in enumerate(features):
            doubles = index >= len(features) - self.num_doublings
            x = DecoderLayer(own, doubles, name=f"layer_{index}")(x, train=train)
        return biased_conv(self.num_classes, x.shape[-1], name="logits")(x)


class GenerativeDecoder(nn.Module):
    """Fourteen layers from features to an image in [-1, 1]."""

    channels: int
    num_doublings: int
    """2 to 6."""
    width: int

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool) -> Float[Array, "b h2 w2 k"]:
        for index, (divisor, least) in enumerate(GENERATIVE_LAYERS):
            doubles = least is not None and self.num_doublings >= least
            x = DecoderLayer(self.width // divisor, doubles, name=f"layer_{index}")(x, train=train)
        return jnp.tanh(biased_conv(self.channels, x.shape[-1], name="image")(x))


# --------------------------------------------------------------------------------------------------- losses


def soft_cross_entropy(logits: Float[Array, "b k"], targets: Float[Array, "b k"]) -> Float[Array, ""]:
    """Returns the cross entropy to probabilities, which the release smooths by `SMOOTHING`."""
    return -jnp.mean(jnp.sum(targets * jnp.log(nn.softmax(logits) + SMOOTHING), axis=-1))


def cross_entropy(logits: Float[Array, "*b k"], labels: Int[Array, "*b"]) -> Float[Array, ""]:
    """Returns the mean cross entropy to labels, of images or of pixels."""
    return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(logits, labels))


def squared_error(outputs: Float[Array, "b k"], targets: Float[Array, "b k"]) -> Float[Array, ""]:
    """Returns the mean squared error over all numbers."""
    return jnp.mean((outputs - targets) ** 2)


def absolute_error(outputs: Float[Array, "b h w c"], targets: Float[Array, "b h w c"]) -> Float[Array, ""]:
    """Returns the mean absolute error over all numbers."""
    return jnp.mean(jnp.abs(outputs - targets))


def ssim(outputs: Float[Array, "b h w c"], targets: Float[Array, "b h w c"]) -> Float[Array, ""]:
    """Returns the mean structural similarity (Wang et al. 2004) of images, at most 1: what the tables hold.

    A Gaussian window of 11 pixels and deviation 1.5 inside the image, range 1, as the release has it; its
    images of autoencoder lie in [-1, 1] all the same.
    """
    means = [_blurred(x) for x in (outputs, targets)]
    variances = [_blurred(x * x) - mean**2 for x, mean in zip((outputs, targets), means, strict=True)]
    covariance = _blurred(outputs * targets) - means[0] * means[1]
    contrast = (2 * covariance + SSIM_C2) / (sum(variances) + SSIM_C2)
    return jnp.mean(contrast * (2 * means[0] * means[1] + SSIM_C1) / (means[0] ** 2 + means[1] ** 2 + SSIM_C1))


def _blurred(x: Float[Array, "b h w c"]) -> Float[Array, "b h2 w2 c"]:
    """Returns the Gaussian mean around every pixel that is far enough from the edge."""
    offset = np.arange(SSIM_SIZE) - SSIM_SIZE // 2
    weight = np.exp(-(offset**2) / (2 * SSIM_SIGMA**2))
    for axis in (1, 2):
        kept = x.shape[axis] - SSIM_SIZE + 1
        shifted = (jax.lax.slice_in_dim(x, i, i + kept, axis=axis) for i in range(SSIM_SIZE))
        x = sum(share * own for share, own in zip(weight / weight.sum(), shifted, strict=True))
    return x


# ---------------------------------------------------------------------------------------------------- tasks


class Task(NamedTuple):
    """What a task's networks are asked for."""

    outputs: int
    """Classes, numbers or channels, of an image or of each of its pixels."""
    decoder: Callable[..., nn.Module] | None
    """None is a linear layer."""
    loss: Callable[..., Float[Array, ""]]
    """Of outputs and targets."""
    tiles: int = 1
    """Parts of an image that the backbone sees one after the other; their features are laid side by side."""
    image_shape: tuple[int, ...] = (256, 256, 3)
    """Of one input, tiles included, as published."""


TASKS = {
    "class_scene": Task(47, None, soft_cross_entropy),
    "class_object": Task(75, None, soft_cross_entropy),
    "room_layout": Task(9, None, squared_error),
    "jigsaw": Task(1000, None, cross_entropy, tiles=9, image_shape=(9, 64, 64, 3)),
    "segmentsemantic": Task(17, SegmentationDecoder, cross_entropy),
    "normal": Task(3, GenerativeDecoder, absolute_error),
    "autoencoder": Task(3, GenerativeDecoder, absolute_error),
}
"""Targets: of the classifications probabilities, of room_layout the box's nine numbers, standardised, of jigsaw
the number of the permutation, of segmentsemantic the class of every pixel, of normal an image in [0, 1], of
autoencoder the input image in [-1, 1]."""


def head(task: str, outputs: int, num_doublings: int, width: int) -> nn.Module:
    """Returns the module of a task called `head`; the last two are a decoder's.

    Args:
        task: one of `TASKS`.
        outputs: as in `Task`.
        num_doublings: from the features' resolution to the image's.
        width: channels of the decoder's first layer, a multiple of 64.
    """
    decoder = TASKS[task].decoder
    if decoder is None:
        return Classifier(outputs, name="head")
    return decoder(outputs, num_doublings, width, name="head")


def task_loss(task: str, outputs: Float[Array, "..."], targets: Num[Array, "..."]) -> Float[Array, ""]:
    """Returns the mean loss of a batch, lower is better.

    Raises:
        ValueError: unknown task.
    """
    check_choice("task", task, tuple(TASKS))
    return TASKS[task].loss(outputs, targets)
