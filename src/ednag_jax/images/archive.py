"""Images from an .npz of plain arrays."""

from __future__ import annotations

from pathlib import Path

from ednag_jax.images.base import ImageSet
from ednag_jax.images.pixels import as_labels, as_rgb, resized
from ednag_jax.storage import DataError, read_npz

SPLITS = ("train", "test")


def from_archive(path: Path, *, name: str, size: int | None = None, split: str = "train") -> ImageSet:
    """Returns the images of an .npz: its arrays `x`, `y`, or `x_train`, `y_train`, `x_test`, `y_test`.

    Args:
        path: of the file. `classes` [c] in it, where there is such an array, names the integer labels.
        name: of the data set.
        size: side of the images, or None to keep their size.
        split: `train`, or `test`; a file with one `x` has only the first.

    Raises:
        DataError: not a whole .npz, an array missing, or images or labels in another form.
    """
    arrays = read_npz(path.read_bytes(), str(path))
    suffix = "" if "x" in arrays and split == "train" else f"_{split}"
    missing = [key for key in (f"x{suffix}", f"y{suffix}") if key not in arrays]
    if missing:
        raise DataError(
            f"{str(path)!r} has the arrays {', '.join(arrays) or 'none'}; split {split!r} needs "
            f"{' and '.join(missing)} too: images x [n h w 3] and labels y [n], or x_train, y_train, "
            "x_test, y_test"
        )
    pixels = as_rgb(arrays[f"x{suffix}"], f"x{suffix} of {str(path)!r}")
    targets = arrays[f"y{suffix}"]
    if targets.shape[:1] != pixels.shape[:1]:
        raise DataError(f"{str(path)!r} has {len(pixels)} images and labels {targets.shape}; give one an image")
    classes = [str(label) for label in arrays["classes"].ravel()] if "classes" in arrays else None
    labels, names = as_labels(targets, f"labels y{suffix} of {str(path)!r}", classes)
    return ImageSet(name, resized(pixels, size), labels, names)
