"""What a data set of images is to the rest of the package."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ednag_jax.storage import digest


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Labelled images on the host, all of one size.

    Raises:
        ValueError: shapes or types that do not fit, a label without a class, or fewer than two classes.
    """

    name: str
    images: np.ndarray
    """[n h w 3] uint8."""
    labels: np.ndarray
    """[n] int32, positions in `classes`."""
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.images.ndim != 4 or self.images.shape[-1] != 3 or self.images.dtype != np.uint8:
            raise ValueError(
                f"images of {self.name!r} must be uint8 [n h w 3], got {self.images.dtype} {self.images.shape}"
            )
        if self.labels.shape != self.images.shape[:1] or self.labels.dtype != np.int32:
            raise ValueError(
                f"labels of {self.name!r} must be int32 {self.images.shape[:1]}, got {self.labels.dtype} "
                f"{self.labels.shape}"
            )
        if len(self.classes) < 2:
            raise ValueError(f"{self.name!r} must have at least 2 classes, got {len(self.classes)}")
        if self.labels.size and not 0 <= self.labels.min() <= self.labels.max() < len(self.classes):
            raise ValueError(
                f"labels of {self.name!r} must be in [0, {len(self.classes)}), got {self.labels.min()} to "
                f"{self.labels.max()}"
            )

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: np.ndarray, name: str | None = None) -> ImageSet:
        """Returns the images in these rows, all classes kept; under the same name where none is given."""
        return ImageSet(name or self.name, self.images[rows], self.labels[rows], self.classes)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of images and labels: what a cache of anything derived from them is named by."""
        return digest(self.images, self.labels)
