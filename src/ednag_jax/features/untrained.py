"""A light stand-in where the trained backbone is absent: random convolutions and their statistics.

Random filters keep edges, colours and where they lie, so classes that differ in these stay apart; what trained
features know of objects they do not have.
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt8

from ednag_jax.features.pictures import middle_square

IMAGE_SIZE = 32
CHANNELS = 64
NUM_LAYERS = 3
GRID = 2
"""Cells a side over which the last layer is averaged, so that some of where things lie is kept."""
NUM_FEATURES = (2 * (NUM_LAYERS - 1) + GRID**2) * CHANNELS
SEED = 0


@cache
def draw_weights() -> dict[str, Any]:
    """Returns the filters [3 3 in out] of every layer, the same always, scaled to keep the variance."""
    generator = np.random.default_rng(SEED)
    widths = [3, *[CHANNELS] * NUM_LAYERS]
    layers = {}
    for index, (inner, outer) in enumerate(pairwise(widths)):
        kernel = generator.standard_normal((3, 3, inner, outer)) * np.sqrt(2 / (9 * inner))
        layers[f"layer_{index}"] = kernel.astype(np.float32)
    return layers


def network_inputs(images: UInt8[Array, "b h w 3"]) -> Float[Array, "b 32 32 3"]:
    """Returns the images' middle squares at 32 x 32 pixels in [-1, 1]."""
    return middle_square(images, IMAGE_SIZE) * 2 - 1


@jax.jit
def features(params: dict[str, Float[Array, "3 3 i o"]], x: Float[Array, "b h w 3"]) -> Float[Array, "b 512"]:
    """Returns mean and deviation of every channel after each layer but the last, and the last one's means on
    a grid; each layer is a convolution, a ReLU and a halving of the resolution."""
    parts = []
    for index in range(NUM_LAYERS):
        x = jax.lax.conv_general_dilated(
            x, params[f"layer_{index}"], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        x = _means(jax.nn.relu(x), x.shape[1] // 2)
        if index < NUM_LAYERS - 1:
            parts += [jnp.mean(x, (1, 2)), jnp.std(x, (1, 2))]
    parts.append(_means(x, GRID).reshape(len(x), -1))
    return jnp.concatenate(parts, axis=-1)


def _means(x: Float[Array, "b h w c"], cells: int) -> Float[Array, "b k k c"]:
    """Returns the means over a grid of cells x cells, which divides the resolution."""
    batch, height, width, channels = x.shape
    return x.reshape(batch, cells, height // cells, cells, width // cells, channels).mean((2, 4))
