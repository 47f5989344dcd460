"""The images that tasks are made of, in blocks that share none."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from ednag_jax.images import ImageSet, load_images

Classes = tuple[tuple[str, ...], ...]
"""The classes of a task, each as the classes of the source that it unites."""


class Source(NamedTuple):
    """A data set of images by name, and how tasks divide it."""

    splits: tuple[str, ...]
    num_blocks: int
    """No image is in two blocks."""
    is_coloured: bool
    is_photograph: bool
    """Photographs show the same thing when mirrored, digits do not."""


SOURCES = {
    "digits": Source(("train",), 2, is_coloured=False, is_photograph=False),
    "mnist": Source(("train",), 2, is_coloured=False, is_photograph=False),
    "cifar10": Source(("train", "test"), 2, is_coloured=True, is_photograph=True),
    "cifar100": Source(("train", "test"), 2, is_coloured=True, is_photograph=True),
}

SUPERCLASSES = {
    "aquatic mammals": ("beaver", "dolphin", "otter", "seal", "whale"),
    "fish": ("aquarium_fish", "flatfish", "ray", "shark", "trout"),
    "flowers": ("orchid", "poppy", "rose", "sunflower", "tulip"),
    "food containers": ("bottle", "bowl", "can", "cup", "plate"),
    "fruit and vegetables": ("apple", "mushroom", "orange", "pear", "sweet_pepper"),
    "household electrical devices": ("clock", "keyboard", "lamp", "telephone", "television"),
    "household furniture": ("bed", "chair", "couch", "table", "wardrobe"),
    "insects": ("bee", "beetle", "butterfly", "caterpillar", "cockroach"),
    "large carnivores": ("bear", "leopard", "lion", "tiger", "wolf"),
    "large man-made outdoor things": ("bridge", "castle", "house", "road", "skyscraper"),
    "large natural outdoor scenes": ("cloud", "forest", "mountain", "plain", "sea"),
    "large omnivores and herbivores": ("camel", "cattle", "chimpanzee", "elephant", "kangaroo"),
    "medium-sized mammals": ("fox", "porcupine", "possum", "raccoon", "skunk"),
    "non-insect invertebrates": ("crab", "lobster", "snail", "spider", "worm"),
    "people": ("baby", "boy", "girl", "man", "woman"),
    "reptiles": ("crocodile", "dinosaur", "lizard", "snake", "turtle"),
    "small mammals": ("hamster", "mouse", "rabbit", "shrew", "squirrel"),
    "trees": ("maple_tree", "oak_tree", "palm_tree", "pine_tree", "willow_tree"),
    "vehicles 1": ("bicycle", "bus", "motorcycle", "pickup_truck", "train"),
    "vehicles 2": ("lawn_mower", "rocket", "streetcar", "tank", "tractor"),
}
"""CIFAR-100's own coarse classes (Krizhevsky 2009): 30 images of a fine class are too few to train on."""
CLASSES_OF_CIFAR10 = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip


def classes_of(source: str, block: int) -> Classes:
    """Returns the classes that tasks of a block choose from: of CIFAR-100 coarse ones, shared out to blocks."""
    if source == "cifar100":
        return tuple(SUPERCLASSES.values())[block :: SOURCES[source].num_blocks]
    names = CLASSES_OF_CIFAR10 if source == "cifar10" else tuple(str(digit) for digit in range(10))
    return tuple((name,) for name in names)


def rows_of(images: ImageSet, names: tuple[str, ...], source: str, block: int) -> Int[np.ndarray, " n"]:
    """Returns which of a source's images a task's class has, in the source's order."""
    rows = [np.flatnonzero(images.labels == images.classes.index(name)) for name in names]
    if source != "cifar100":  # there blocks differ in classes already
        rows = [of_class[block :: SOURCES[source].num_blocks] for of_class in rows]
    return np.sort(np.concatenate(rows))


@lru_cache(maxsize=8)
def source_images(source: str, size: int, directory: str | Path | None = None) -> ImageSet:
    """Returns all labelled images of a source at a size; read once a process.

    Raises:
        DataError: its package or file is absent.
    """
    sets = [
        load_images(source, size=size, split=split, directory=directory) for split in SOURCES[source].splits
    ]
    images = np.concatenate([part.images for part in sets])
    return ImageSet(source, images, np.concatenate([part.labels for part in sets]), sets[0].classes)
