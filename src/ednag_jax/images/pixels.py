"""Arrays that hold images and labels in one of the usual forms, brought into the one form of `ImageSet`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ednag_jax.images.extras import import_extra
from ednag_jax.storage import DataError

SIZE_RANGE = (8, 512)
"""Side of an image in pixels: below, there is nothing to see; above, a data set no longer fits into memory."""


def as_rgb(pixels: np.ndarray, owner: str) -> np.ndarray:
    """Returns images as uint8 [n h w 3]; grey becomes three equal channels.

    Booleans are black and white, integers are 0..255 as they stand, floats are in [0, 1] if none is above 1,
    else in [0, 255]. The last axis decides what [n 3 h w] is: 1 or 3 there are channels, so such an array is
    refused rather than guessed at, unless its images are 1 or 3 wide.

    Args:
        pixels: [n h w], [n h w 1] or [n h w 3].
        owner: names the images in errors.

    Raises:
        DataError: another shape, or values that are no pixels.
    """
    if pixels.ndim == 4 and pixels.shape[-1] not in (1, 3) and pixels.shape[1] in (1, 3):
        raise DataError(
            f"{owner} has shape {pixels.shape}, channels first; allowed is [n h w], [n h w 1] or [n h w 3]: "
            "store x.transpose(0, 2, 3, 1)"
        )
    if pixels.ndim not in (3, 4) or (pixels.ndim == 4 and pixels.shape[-1] not in (1, 3)):
        raise DataError(f"{owner} has shape {pixels.shape}; reshape it to [n h w], [n h w 1] or [n h w 3]")
    if 0 in pixels.shape:
        raise DataError(f"{owner} has shape {pixels.shape}, no pixel; at least one image is needed")
    values = _as_bytes(pixels, owner)
    values = values[..., None] if values.ndim == 3 else values
    return np.ascontiguousarray(np.broadcast_to(values, (*values.shape[:3], 3)))


def _as_bytes(pixels: np.ndarray, owner: str) -> np.ndarray:
    """Returns the pixels as uint8, after checking that they are in one of the usual ranges."""
    if pixels.dtype == np.bool_:
        return pixels.astype(np.uint8) * np.uint8(255)
    if pixels.dtype.kind not in "uif":
        raise DataError(f"{owner} has type {pixels.dtype}; pixels must be uint8, or floats in [0, 1]")
    low, high = float(pixels.min()), float(pixels.max())
    if not (low >= 0 and high <= 255):  # also where one of them is NaN
        raise DataError(
            f"{owner} has values from {low:g} to {high:g}; allowed is uint8, or floats in [0, 1] or [0, 255]: "
            "undo the normalisation, or scale them"
        )
    if pixels.dtype.kind in "ui":
        return pixels.astype(np.uint8)
    return np.rint(pixels * (255 if high <= 1 else 1)).astype(np.uint8)


def as_labels(
    labels: np.ndarray, owner: str, classes: Sequence[str] | None = None
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Returns labels as int32 [n] positions in the class names, and these names.

    Args:
        labels: [n] or [n 1], integers or text.
        owner: names the labels in errors.
        classes: the names; then labels are integers below their number. Without them, the different labels
            in rising order are the classes.

    Raises:
        DataError: another shape or type, a label without a class, or a class without an image.
    """
    flat = labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels
    if flat.ndim != 1 or flat.dtype.kind not in "uiUS":
        raise DataError(
            f"{owner} have shape {labels.shape} and type {labels.dtype}; allowed is one integer or text "
            "an image [n]: use y.argmax(1) of one-hot labels, y.astype(int) of whole numbers kept as floats"
        )
    if classes is None:
        names, positions = np.unique(flat.astype("U") if flat.dtype.kind == "S" else flat, return_inverse=True)
        classes, flat = [str(name) for name in names], positions
    elif flat.dtype.kind in "US":
        raise DataError(f"{owner} are text; beside class names they must be integers: leave out the names")
    elif not 0 <= flat.min() <= flat.max() < len(classes):
        raise DataError(
            f"{owner} go from {flat.min()} to {flat.max()}; with {len(classes)} class names they must be in "
            f"[0, {len(classes)})"
        )
    require_images(np.bincount(flat, minlength=len(classes)), classes, owner)
    return flat.astype(np.int32), tuple(str(name) for name in classes)


def require_images(counts: np.ndarray, classes: Sequence[str], owner: str) -> None:
    """Raises DataError where there are fewer than two classes, or a class has no image."""
    if len(classes) < 2:
        raise DataError(f"{owner} has {len(classes)} class ({', '.join(classes)}); at least 2 are needed")
    empty = [name for name, count in zip(classes, counts, strict=True) if not count]
    if empty:
        shown = ", ".join(repr(name) for name in empty[:5])
        raise DataError(
            f"{owner} has no image in {len(empty)} of {len(classes)} classes ({shown}); each needs at least 1: "
            "add images, or remove the class"
        )


def check_size(size: int | None) -> None:
    """Raises ValueError where a side is asked for that is not in `SIZE_RANGE`."""
    low, high = SIZE_RANGE
    if size is not None and not low <= size <= high:
        raise ValueError(f"size must be an integer in [{low}, {high}] pixels, or None, got {size!r}")


def resized(images: np.ndarray, size: int | None) -> np.ndarray:
    """Returns images [n h w 3] as squares of a side, the middle cut out; as they are where it is None."""
    if size is None or images.shape[1:3] == (size, size):
        return images
    image = import_extra("PIL.Image", "resizing images")
    return np.stack([fitted(image.fromarray(pixels), size) for pixels in images])


def fitted(image: Any, size: int) -> np.ndarray:
    """Returns a pillow image's middle square as uint8 [size size 3], bicubic, without aliasing."""
    pillow, operations = (import_extra(f"PIL.{name}", "reading images") for name in ("Image", "ImageOps"))
    return np.asarray(operations.fit(image, (size, size), method=pillow.Resampling.BICUBIC))
