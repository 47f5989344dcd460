"""Images as frozen networks take them."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, UInt8


def middle_square(images: UInt8[Array, "b h w 3"], size: int) -> Float[Array, "b s s 3"]:
    """Returns the middle squares at size x size pixels, bicubic without aliasing, in [0, 1]."""
    batch, height, width, channels = images.shape
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = images[:, top : top + side, left : left + side].astype(jnp.float32) / 255
    resized = jax.image.resize(square, (batch, size, size, channels), "cubic") if side != size else square
    return jnp.clip(resized, 0, 1)  # cubic curves overshoot at edges
