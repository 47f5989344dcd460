"""What a network is trained on: images divided, normalised, put in a random order and moved at random."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, UInt8

from ednag_jax.types import KeyArray, Scalar

LEVELS = 256
"""Of a pixel."""


class Split(NamedTuple):
    """Which images are trained on, and which are kept to measure by; rows in rising order."""

    train: Int[np.ndarray, " n"]
    held_out: Int[np.ndarray, " m"]


class Normalisation(NamedTuple):
    """Of the channels, for pixels in [0, 1]."""

    mean: Float[np.ndarray, "3"]
    std: Float[np.ndarray, "3"]


class TrainingData(NamedTuple):
    """The images that are trained on, as a step reads them."""

    images: UInt8[Array, "n h w 3"]
    labels: Int[Array, " n"]
    normalisation: Normalisation


def stratified_split(labels: Int[np.ndarray, " n"], *, share: float, seed: int) -> Split:
    """Returns a random division in which every class of two images or more is on both sides.

    Args:
        labels: class of every image.
        share: of every class that is held out, rounded; at least one image, and at most all but one. A class of
            one image is trained on. 0 holds out none.
        seed: the same one gives the same division.
    """
    rng, held_out = np.random.default_rng(seed), np.zeros(len(labels), bool)
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        if share > 0 and len(rows) > 1:
            held_out[rows[: np.clip(round(share * len(rows)), 1, len(rows) - 1)]] = True
    return Split(np.flatnonzero(~held_out), np.flatnonzero(held_out))


def normalisation_of(images: UInt8[np.ndarray, "n h w 3"]) -> Normalisation:
    """Returns mean and standard deviation of every channel over all pixels.

    They are those of the levels' counts, which takes no memory. A channel that is one grey everywhere gets a
    deviation of one level in place of 0.
    """
    share = (
        np.stack([np.bincount(images[..., c].ravel(), minlength=LEVELS) for c in range(3)])
        / images[..., 0].size
    )
    level = np.arange(LEVELS) / (LEVELS - 1)
    mean = share @ level
    variance = np.sum(share * (level - mean[:, None]) ** 2, axis=1)
    std = np.maximum(np.sqrt(variance), level[1])
    return Normalisation(mean.astype(np.float32), std.astype(np.float32))


def normalised(images: UInt8[Array, "b h w 3"], by: Normalisation) -> Float[Array, "b h w 3"]:
    """Returns images as a network sees them."""
    return (images / jnp.float32(LEVELS - 1) - by.mean) / by.std


def epoch_order(num_images: int, batch: int, *, seed: int, epoch: int) -> Int[np.ndarray, "t b"]:
    """Returns which images every step of an epoch sees: all, in a random order of its own.

    The last batch of the recipe is what is left over. Here it is filled up with the first images of the order,
    so that all steps are one compiled program, and batch normalisation never sees a batch of one.
    """
    order = np.random.default_rng([seed, epoch]).permutation(num_images)
    steps = -(-num_images // batch)
    return np.resize(order, (steps, batch)).astype(np.int32)


def augmented(
    key: KeyArray, images: UInt8[Array, "b h w 3"], flip_rate: Scalar, padding: int
) -> UInt8[Array, "b h w 3"]:
    """Returns images mirrored at random, then cut out at random from themselves with a black border.

    Args:
        key: consumed.
        images: of a batch.
        flip_rate: share that is mirrored left to right, in [0, 1].
        padding: pixels of the border; 0 cuts out nothing.
    """
    key_flips, key_corners = jax.random.split(key)
    flips = jax.random.bernoulli(key_flips, flip_rate, (len(images), 1, 1, 1))
    images = jnp.where(flips, images[:, :, ::-1], images)
    corners = jax.random.randint(key_corners, (len(images), 2), 0, 2 * padding + 1)
    bordered = jnp.pad(images, ((0, 0), (padding, padding), (padding, padding), (0, 0)))

    def cut(image: UInt8[Array, "h2 w2 3"], corner: Int[Array, "2"]) -> UInt8[Array, "h w 3"]:
        return jax.lax.dynamic_slice(image, (corner[0], corner[1], 0), images.shape[1:])

    return jax.vmap(cut)(bordered, corners)
