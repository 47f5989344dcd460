"""Small image tasks to train on: which images, which classes, how corrupted, all from a recipe of a few words.

The images of a task are made again from its recipe whenever they are needed, the same ones every time.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from ednag_jax.config import check_choice, check_range
from ednag_jax.images import ImageSet
from ednag_jax.meta.corruptions import COLOUR_ONLY, CORRUPTIONS, GREY_ONLY, corrupted
from ednag_jax.meta.sources import SOURCES, Classes, classes_of, rows_of, source_images

MAX_CLASSES = 10
MAX_TRAIN, HELD_OUT_IMAGES = 900, 600
"""Most images of a task that are trained on, and that are held out."""
TRAIN_SHARE = 0.6
"""Of a task's images, at most; the others are held out."""


@dataclass(frozen=True)
class Task:
    """The recipe of one task.

    Raises:
        ValueError: an unknown source or corruption, or a number out of range.
    """

    index: int
    source: str
    block: int
    """Which of the source's blocks the images are from."""
    classes: Classes
    size: int
    """Pixels of a side."""
    max_train: int
    """Images to train on, at most; the classes have equally many."""
    corruptions: tuple[str, ...]
    """In the order in which they are done."""
    seed: int
    """Of what is drawn: the corruption and which images are held out."""

    def __post_init__(self) -> None:
        check_choice("source", self.source, tuple(SOURCES))
        check_range("block", self.block, 0, SOURCES[self.source].num_blocks - 1)
        check_range("number of classes", len(self.classes), 2, MAX_CLASSES)
        for name in self.corruptions:
            check_choice("corruption", name, tuple(CORRUPTIONS))

    @property
    def group(self) -> str:
        """Which images it is made of: tasks of two groups share none, so held-out tasks are whole groups."""
        return f"{self.source}/{self.block}"

    @property
    def name(self) -> str:
        """What it is called: unique among the tasks of a list, and a file name."""
        changed = "+".join(self.corruptions) or "plain"
        parts = (self.source, self.block, f"{len(self.classes)}classes", f"{self.size}px", changed)
        return "-".join((f"{self.index:03d}", *map(str, parts)))

    @property
    def flips(self) -> bool:
        """Whether training mirrors images at random: where a mirrored one could be an image of the task."""
        return SOURCES[self.source].is_photograph and "permute_pixels" not in self.corruptions

    @property
    def max_shift(self) -> int:
        """Pixels by which training moves images at random, either way."""
        return 0 if "permute_pixels" in self.corruptions else self.size // 8


def meta_tasks(num: int, *, seed: int = 0) -> tuple[Task, ...]:
    """Returns the first `num` tasks of an endless list; sources take turns, so that any part is balanced."""
    return tuple(_drawn(index, seed) for index in range(num))


def task_images(task: Task, directory: str | Path | None = None) -> ImageSet:
    """Returns the images of a task to train on; what a predictor sees of it.

    Args:
        task: the recipe.
        directory: the data directory; default is the setting `EDNAG_DATA_DIR`.

    Raises:
        DataError: the source's package or file is absent.
    """
    return _divided(task, directory)[0]


def held_out_images(task: Task, directory: str | Path | None = None) -> ImageSet:
    """Returns the images of a task that accuracy is measured on; none is in `task_images`."""
    return _divided(task, directory)[1]


@lru_cache(maxsize=2)
def _divided(task: Task, directory: str | Path | None) -> tuple[ImageSet, ImageSet]:
    """Returns the images to train on and those held out; both corrupted in the same way."""
    source = source_images(task.source, task.size, directory)
    rng = np.random.default_rng([task.seed, task.index])
    rows = [rng.permutation(rows_of(source, names, task.source, task.block)) for names in task.classes]
    number, fewest = len(rows), min(len(of_class) for of_class in rows)
    train = min(int(TRAIN_SHARE * fewest), task.max_train // number)
    held_out = min(fewest - train, HELD_OUT_IMAGES // number)
    # All classes have equally many: a network that says the same of every image is as good as chance.
    kept = np.stack([of_class[: train + held_out] for of_class in rows])
    images = corrupted(source.images[kept.ravel()], task.corruptions, rng)
    images = images.reshape(*kept.shape, *images.shape[1:])
    return _image_set(task, images[:, :train]), _image_set(task, images[:, train:])


def _image_set(task: Task, images: UInt8[np.ndarray, "k n s s 3"]) -> ImageSet:
    """Returns the images of every class as one set."""
    number, each = images.shape[:2]
    labels = np.repeat(np.arange(number, dtype=np.int32), each)
    names = tuple(" or ".join(united) for united in task.classes)
    return ImageSet(task.name, images.reshape(-1, *images.shape[2:]), labels, names)


def _drawn(index: int, seed: int) -> Task:
    """Returns one task of the list; it depends on nothing but its place and the seed."""
    rng = np.random.default_rng([seed, index])
    source = ROTATION[index % len(ROTATION)]
    block = int(rng.integers(SOURCES[source].num_blocks))
    return Task(
        index=index,
        source=source,
        block=block,
        classes=_drawn_classes(classes_of(source, block), MOST_CLASSES[source], rng),
        size=SIZE,
        max_train=int(rng.choice(TRAIN_IMAGES)),
        corruptions=_drawn_corruptions(source, rng),
        seed=seed,
    )


def _drawn_classes(available: Classes, most: int, rng: np.random.Generator) -> Classes:
    """Returns some classes, or now and then unions of all of them: two kinds of few-class tasks."""
    shuffled = [available[at] for at in rng.permutation(len(available))]
    if rng.random() < UNION_SHARE:
        number = int(rng.integers(2, len(available) // 2 + 1))
        united = [sum(shuffled[at::number], ()) for at in range(number)]
    else:
        united = shuffled[: int(rng.integers(FEWEST_CLASSES, most + 1))]
    return tuple(tuple(sorted(names)) for names in united)


def _drawn_corruptions(source: str, rng: np.random.Generator) -> tuple[str, ...]:
    """Returns no, one or two different corruptions."""
    unfit = GREY_ONLY if SOURCES[source].is_coloured else COLOUR_ONLY
    able = [name for name in CORRUPTIONS if name not in unfit]
    shares = CORRUPTION_SHARES[SOURCES[source].is_photograph]
    number = rng.choice(len(shares), p=shares)
    return tuple(str(name) for name in rng.choice(able, number, replace=False))


ROTATION = ("cifar10", "mnist", "cifar100", "digits", "cifar10", "mnist", "cifar100")
"""Whose turn it is; the digits of 8 pixels are the easiest and come least often."""
SIZE = 8
"""Pixels of a side: 12 cost 2.2 times as much, which longer and more trainings use better."""
TRAIN_IMAGES = (240, 480, 900)
FEWEST_CLASSES = 4
"""Of a task without unions: held-out images of two classes are too few to measure with."""
MOST_CLASSES = {"digits": 10, "mnist": 10, "cifar10": 6, "cifar100": 6}
"""Of a task without unions: of more classes of photographs, networks this small learn next to nothing."""
UNION_SHARE = 0.15
CORRUPTION_SHARES = {False: (0.3, 0.6, 0.1), True: (0.5, 0.5)}
"""Whether of photographs -> of tasks with none, one, two. Trained twice, cells of plain photographs keep their
order (rank correlation 0.6 to 0.8); of those with two corruptions, or with a hard one, they do not."""
