"""Frozen networks that turn images into features for the predictor."""

from __future__ import annotations

from collections.abc import Callable

import jax
import numpy as np
from jaxtyping import Float, UInt8

from ednag_jax.features.backbones import AUTO, BACKBONES, Backbone, choose_backbone
from ednag_jax.features.cache import cached
from ednag_jax.storage import digest

__all__ = ["AUTO", "BACKBONES", "Backbone", "choose_backbone", "features_of"]

REVISION = 1
"""Raised when the code changes what features come out, so that kept ones of before are not used."""
ACCELERATOR_BATCH = 64
"""Images at a time where there is more to keep busy than a CPU."""


def features_of(
    images: UInt8[np.ndarray, "n h w 3"],
    backbone: str = AUTO,
    *,
    use_cache: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> Float[np.ndarray, "n f"]:
    """Returns features of images from a frozen network, float32; of images that are not square, the middle.

    Args:
        images: at least one.
        backbone: `efficientnet_lite0` (1280 features, ImageNet weights, needs the extra `images`), `untrained`
            (512 features, random filters, light), or `auto`: the first of them that is installed, and a warning
            where that is the second. `choose_backbone` says which it will be.
        use_cache: whether features are kept in, and taken from, the cache folder.
        progress: called as `progress(done, total)` after every batch.

    Raises:
        ValueError: unknown backbone, or no images.
        DataError: the backbone's weights are not installed, cut or altered.
    """
    network = choose_backbone(backbone)
    if images.ndim != 4 or images.shape[-1] != 3 or images.dtype != np.uint8 or not len(images):
        raise ValueError(f"images must be uint8 [n h w 3] with n at least 1, got {images.dtype} {images.shape}")

    def compute() -> np.ndarray:
        return _run(network, images, progress)

    if not use_cache:
        return compute()
    name = f"{network.name}-{REVISION}-{network.identity()[:16]}-{digest(images)[:32]}"
    return cached(name, (len(images), network.num_features), compute)


def _run(
    network: Backbone, images: np.ndarray, progress: Callable[[int, int], None] | None
) -> Float[np.ndarray, "n f"]:
    """Returns the features batch by batch; the last is filled up, so that no further program is compiled."""
    params = jax.device_put(network.load())
    size = network.cpu_batch if jax.default_backend() == "cpu" else ACCELERATOR_BATCH
    features = np.empty((len(images), network.num_features), np.float32)
    for start in range(0, len(images), size):
        batch = images[start : start + size]
        filled = np.zeros((size, *images.shape[1:]), np.uint8)
        filled[: len(batch)] = batch
        result = network.apply(params, network.inputs(jax.numpy.asarray(filled)))
        features[start : start + len(batch)] = np.asarray(result)[: len(batch)]
        if progress is not None:
            progress(start + len(batch), len(images))
    return features
