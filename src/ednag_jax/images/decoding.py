"""One image file as an array, whatever its mode, depth, size and orientation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ednag_jax.images.extras import import_extra
from ednag_jax.images.pixels import fitted

PURPOSE = "reading image files"
DEEP_MAX = 65535
"""White in 16 bits a channel, which pillow gives as mode `I;16`, or `I` of its older versions."""


def shorter_side(path: Path) -> int:
    """Returns an image's shorter side in pixels; only the file's head is read.

    Raises:
        Exception: nearly any, where the file is damaged.
    """
    with import_extra("PIL.Image", PURPOSE).open(path) as image:
        return min(image.size)


def square(path: Path, size: int) -> np.ndarray:
    """Returns an image as uint8 [size size 3]: upright, its middle square, bicubic.

    Of an animation the first frame is taken, what shows through is put on white, grey of 16 bits is scaled to
    8. A photo much larger than `size` is decoded at a fraction of its size, which JPEG allows.

    Raises:
        Exception: nearly any, where the file is damaged.
    """
    image = import_extra("PIL.Image", PURPOSE)
    with image.open(path) as opened:
        opened.draft(None, (2 * size, 2 * size))  # at once to `size` it would be less sharp
        upright = import_extra("PIL.ImageOps", PURPOSE).exif_transpose(opened)
    return fitted(_as_rgb(upright, image), size)


def _as_rgb(image: Any, pillow: Any) -> Any:
    """Returns a pillow image in mode RGB."""
    if image.mode.startswith(("I", "F")):
        values = np.asarray(image)
        if image.mode == "F" or values.min() < 0 or values.max() > DEEP_MAX:
            raise ValueError(f"mode {image.mode} with values {values.min():g} to {values.max():g} is not known")
        image = pillow.fromarray(np.rint(values * (255 / DEEP_MAX)).astype(np.uint8))
    if "transparency" in image.info or image.mode.endswith(("A", "a")):
        image = image.convert("RGBA")
        image = pillow.alpha_composite(pillow.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")
