"""A light stand-in where the trained backbone is absent: random convolutions and their statistics.

Random filters keep edges, colours and where they lie, so classes that differ in these stay apart; what trained
features know of objects they do not have.
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt8

from ednag_jax.features.pictures import middle_square

IMAGE_SIZE = 32
WIDTHS = (64, 64, 16)
"""Channels of each layer; of the last they are few, because all its 4 x 4 places are kept."""
LAST_SIZE = IMAGE_SIZE // 2 ** len(WIDTHS)
NUM_FEATURES = 2 * sum(WIDTHS[:-1]) + LAST_SIZE**2 * WIDTHS[-1]
SEED = 0


@cache
def draw_weights() -> dict[str, Any]:
    """Returns the filters [3 3 in out] of every layer, the same always, scaled to keep the variance."""
    generator = np.random.default_rng(SEED)
    layers = {}
    for index, (inner, outer) in enumerate(pairwise((3, *WIDTHS))):
        kernel = generator.standard_normal((3, 3, inner, outer)) * np.sqrt(2 / (9 * inner))
        layers[f"layer_{index}"] = kernel.astype(np.float32)
    return layers


def network_inputs(images: UInt8[Array, "b h w 3"]) -> Float[Array, "b 32 32 3"]:
    """Returns the images' middle squares at 32 x 32 pixels in [-1, 1]."""
    return middle_square(images, IMAGE_SIZE) * 2 - 1


@jax.jit
def features(params: dict[str, Float[Array, "3 3 i o"]], x: Float[Array, "b h w 3"]) -> Float[Array, "b f"]:
    """Returns mean and deviation of every channel after each layer but the last, and all the last one gives.

    A layer is a convolution, a ReLU and the means of 2 x 2 pixels.
    """
    parts = []
    for index in range(len(WIDTHS)):
        x = jax.lax.conv_general_dilated(
            x, params[f"layer_{index}"], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        x = nn.avg_pool(jax.nn.relu(x), (2, 2), (2, 2))
        if index < len(WIDTHS) - 1:
            parts += [jnp.mean(x, (1, 2)), jnp.std(x, (1, 2))]
    return jnp.concatenate([*parts, x.reshape(len(x), -1)], axis=-1)
