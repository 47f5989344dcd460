"""Corruptions that make further tasks of the same photographs and digits: each changes what an image needs.

A corruption is `function(rng, images [n s s 3]) -> [n s s 3]`, float32 in 0 to 255; what leaves that range is
clipped by `corrupted`. What it draws once (a permutation of pixels) is the same for all images of a task, what
it draws for every image (a quarter turn) differs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float, UInt8

Images = Float[np.ndarray, "n s s 3"]
LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)
PATCH = 4
"""Pixels of a side of the patches that are shuffled."""


def corrupted(
    images: UInt8[np.ndarray, "n s s 3"], names: Sequence[str], rng: np.random.Generator
) -> UInt8[np.ndarray, "n s s 3"]:
    """Returns the images after the named corruptions, in that order."""
    changed = images.astype(np.float32)
    for name in names:
        changed = np.clip(CORRUPTIONS[name](rng, changed), 0, 255).astype(np.float32)
    return np.round(changed).astype(np.uint8)


def noise(rng: np.random.Generator, images: Images) -> Images:
    """Returns the images with Gaussian noise."""
    return images + rng.normal(0, 50, images.shape)


def blur(rng: np.random.Generator, images: Images) -> Images:
    """Returns the mean over 3x3 pixels, twice."""
    del rng
    for _ in range(2):
        for axis in (1, 2):
            width = [(1, 1) if axis == at else (0, 0) for at in range(4)]
            edged, size = np.pad(images, width, mode="edge"), images.shape[axis]
            images = np.mean([np.take(edged, range(at, at + size), axis) for at in range(3)], axis=0)
    return images


def invert(rng: np.random.Generator, images: Images) -> Images:
    """Returns the negatives."""
    del rng
    return 255 - images


def lighting(rng: np.random.Generator, images: Images) -> Images:
    """Returns every image under a contrast and a brightness of its own."""
    contrast, brightness = rng.uniform(0.2, 1.4, len(images)), rng.uniform(-70, 70, len(images))
    return 128 + _each(contrast) * (images - 128) + _each(brightness)


def occlude(rng: np.random.Generator, images: Images) -> Images:
    """Returns the images with a square of half the side filled by one random grey."""
    size = images.shape[1]
    corner = rng.integers(0, size - size // 2 + 1, (len(images), 2, 1))
    inside = (np.arange(size) >= corner) & (np.arange(size) < corner + size // 2)
    covered = inside[:, 0, :, None] & inside[:, 1, None, :]
    return np.where(covered[..., None], _each(rng.uniform(0, 255, len(images))), images)


def permute_pixels(rng: np.random.Generator, images: Images) -> Images:
    """Returns the images with their pixels in one random order: neighbours say nothing any more."""
    flat = images.reshape(len(images), -1, 3)
    return flat[:, rng.permutation(flat.shape[1])].reshape(images.shape)


def rotate(rng: np.random.Generator, images: Images) -> Images:
    """Returns every image after a random number of quarter turns."""
    turns = rng.integers(0, 4, len(images))
    turned = np.stack([np.rot90(images, number, (1, 2)) for number in range(4)])
    return turned[turns, np.arange(len(images))]


def grey(rng: np.random.Generator, images: Images) -> Images:
    """Returns the images without colour."""
    del rng
    return np.broadcast_to(_luminance(images), images.shape)


def shuffle_colours(rng: np.random.Generator, images: Images) -> Images:
    """Returns every image with its channels in a random order."""
    orders = rng.permuted(np.tile(np.arange(3), (len(images), 1)), axis=1)
    return np.take_along_axis(images, orders[:, None, None, :], axis=-1)


def shuffle_patches(rng: np.random.Generator, images: Images) -> Images:
    """Returns every image with its patches of 4x4 pixels in a random order: texture stays, shape does not."""
    count, grid = len(images), images.shape[1] // PATCH
    patches = images.reshape(count, grid, PATCH, grid, PATCH, 3).swapaxes(2, 3)
    patches = patches.reshape(count, grid**2, PATCH, PATCH, 3)
    orders = rng.permuted(np.tile(np.arange(grid**2), (count, 1)), axis=1)
    patches = np.take_along_axis(patches, orders[:, :, None, None, None], axis=1)
    return patches.reshape(count, grid, grid, PATCH, PATCH, 3).swapaxes(2, 3).reshape(images.shape)


def threshold(rng: np.random.Generator, images: Images) -> Images:
    """Returns the images in black and white: whether a pixel is brighter than its image's mean."""
    del rng
    luminance = _luminance(images)
    white = luminance > luminance.mean(axis=(1, 2), keepdims=True)
    return np.broadcast_to(np.float32(255) * white, images.shape)


def edges(rng: np.random.Generator, images: Images) -> Images:
    """Returns how much each pixel differs from the ones to its right and below."""
    del rng
    right = np.abs(np.diff(images, axis=1, append=images[:, -1:]))
    return right + np.abs(np.diff(images, axis=2, append=images[:, :, -1:]))


def pixelate(rng: np.random.Generator, images: Images) -> Images:
    """Returns the images at half the resolution, every pixel four times."""
    del rng
    coarse = (images[:, ::2] + images[:, 1::2])[:, :, ::2] + (images[:, ::2] + images[:, 1::2])[:, :, 1::2]
    return np.repeat(np.repeat(coarse / 4, 2, axis=1), 2, axis=2)


def gratings(rng: np.random.Generator, images: Images) -> Images:
    """Returns the images with a wave across each, of random direction, length and phase."""
    size, count = images.shape[1], len(images)
    angle, cycles, phase = (rng.uniform(0, high, count) for high in (np.pi, 3, 2 * np.pi))
    down, right = np.mgrid[:size, :size] / size
    along = _each(np.cos(angle)) * down[..., None] + _each(np.sin(angle)) * right[..., None]
    return images + 80 * np.sin(2 * np.pi * _each(1 + cycles) * along + _each(phase))


def mixture(rng: np.random.Generator, images: Images) -> Images:
    """Returns every image with another one of the task shining through."""
    return 0.6 * images + 0.4 * images[rng.permutation(len(images))]


def _luminance(images: Images) -> Float[np.ndarray, "n s s 1"]:
    return (images @ LUMINANCE)[..., None]


def _each(values: Float[np.ndarray, " n"]) -> Float[np.ndarray, "n 1 1 1"]:
    """Returns one number an image, ready to meet images."""
    return values[:, None, None, None]


CORRUPTIONS: dict[str, Callable[[np.random.Generator, Images], Images]] = {
    function.__name__: function
    for function in (
        noise,
        blur,
        invert,
        lighting,
        occlude,
        permute_pixels,
        rotate,
        grey,
        shuffle_colours,
        shuffle_patches,
        threshold,
        edges,
        pixelate,
        gratings,
        mixture,
    )
}
"""Name -> what it does to all images of a task."""
COLOUR_ONLY = ("grey", "shuffle_colours")
"""Those that change nothing in an image without colour."""
GREY_ONLY = ("permute_pixels", "rotate", "shuffle_patches", "threshold", "pixelate", "mixture")
"""Those that leave so little of a photograph that networks this small learn nothing."""
