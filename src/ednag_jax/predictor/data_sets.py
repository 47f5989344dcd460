"""From images to what the predictor reads: the features of a coreset, of one data set or of many tasks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Float

from ednag_jax.config import check_choice, check_range
from ednag_jax.features import choose_backbone, features_of
from ednag_jax.images import ImageSet
from ednag_jax.meta.table import MetaTable
from ednag_jax.meta.tasks import task_images
from ednag_jax.predictor.coreset import SELECTIONS
from ednag_jax.predictor.examples import TaskTable
from ednag_jax.types import KeyArray

IMAGES_PER_CLASS = 20
MOST_PER_CLASS = 250
"""Images of a class among which its coreset is chosen: features of more take long, and change it little."""
MOST_CLASSES = 10
"""Of a data set with more, so many are drawn: as many as the tasks of the meta-training data have at most."""
Progress = Callable[[int, int], None]
"""`progress(done, total)`."""


class DataSet(NamedTuple):
    """A data set as the predictor reads it."""

    features: Float[np.ndarray, "c k f"]
    """Of the images chosen; 0 where masked."""
    mask: Bool[np.ndarray, "c k"]


def data_set_of(
    images: ImageSet,
    backbone: str,
    *,
    key: KeyArray,
    images_per_class: int = IMAGES_PER_CLASS,
    selection: str = "coreset",
    progress: Progress | None = None,
) -> DataSet:
    """Returns the features of images chosen from every class.

    Args:
        images: the data set; of more than `MOST_CLASSES` classes, and of more than `MOST_PER_CLASS` images of a
            class, so many are drawn and looked at.
        backbone: name of the frozen network, the one that the predictor names.
        key: of what is drawn.
        images_per_class: k; a class with fewer gives all of them.
        selection: `coreset`, nearest to the centres of K-means, or `random`.
        progress: called while features are computed.

    Raises:
        ValueError: unknown backbone or selection, or k below 1.
        DataError: the backbone's weights are not installed, or altered.
    """
    check_choice("selection", selection, tuple(SELECTIONS))
    check_range("images_per_class", images_per_class, 1)
    key_classes, key_some, key_chosen = jax.random.split(key, 3)
    images = _some_classes(images, key_classes)
    rows = _some_of_each_class(images, key_some)
    features = features_of(images.images[rows], backbone, progress=progress)
    settings = {"num_classes": len(images.classes), "images_per_class": images_per_class}
    chosen = SELECTIONS[selection](key_chosen, features, images.labels[rows], **settings)
    mask = np.asarray(chosen.mask)
    return DataSet(np.where(mask[..., None], features[np.asarray(chosen.indices)], 0.0), mask)


def _some_classes(images: ImageSet, key: KeyArray) -> ImageSet:
    """Returns the images of `MOST_CLASSES` classes drawn by the key; all, where there are no more."""
    if len(images.classes) <= MOST_CLASSES:
        return images
    drawn = np.sort(np.asarray(jax.random.permutation(key, len(images.classes)))[:MOST_CLASSES])
    rows = np.isin(images.labels, drawn)
    labels = np.searchsorted(drawn, images.labels[rows]).astype(np.int32)
    return ImageSet(images.name, images.images[rows], labels, tuple(images.classes[label] for label in drawn))


def _some_of_each_class(images: ImageSet, key: KeyArray) -> np.ndarray:
    """Returns rows of all images, but of a class with many only some, drawn by the key; in their order."""
    order = np.asarray(jax.random.permutation(key, len(images)))
    labels = images.labels[order]
    kept = [order[labels == label][:MOST_PER_CLASS] for label in range(len(images.classes))]
    return np.sort(np.concatenate(kept))


def task_table_of(
    meta: MetaTable,
    backbone: str,
    *,
    key: KeyArray,
    directory: str | Path | None = None,
    selection: str = "coreset",
    progress: Progress | None = None,
) -> TaskTable:
    """Returns the meta-training data as the predictor learns from it, every task by a coreset of its images.

    Args:
        meta: what cells score on the tasks.
        backbone: name of the frozen network.
        key: task i draws from `fold_in(key, i)`.
        directory: the data directory, where the images are; default is the setting `EDNAG_DATA_DIR`.
        selection: of the images, see `data_set_of`.
        progress: called after every task.

    Raises:
        DataError: images or the backbone's weights are missing.
    """
    network = choose_backbone(backbone).name
    found = []
    for row, task in enumerate(meta.tasks):
        key_task = jax.random.fold_in(key, task.index)
        images = task_images(task, directory)
        found.append(data_set_of(images, network, key=key_task, selection=selection))
        if progress is not None:
            progress(row + 1, len(meta.tasks))
    features, mask = stacked(found)
    return TaskTable(
        features=features,
        mask=mask,
        phenotype=meta.phenotype.astype(np.int32),
        accuracy=meta.mean_accuracy.astype(np.float64),
        tasks=tuple(task.name for task in meta.tasks),
        groups=meta.groups,
    )


def joined(tables: Sequence[TaskTable]) -> TaskTable:
    """Returns the tasks of several tables in one, padded to the greatest number of classes, images and runs.

    Raises:
        ValueError: no table, or features or architectures of different kinds.
    """
    kinds = {(table.features.shape[-1], table.phenotype.shape[-1]) for table in tables}
    if len(kinds) != 1:
        raise ValueError(
            f"tables must agree in numbers a feature and fields an architecture, got {sorted(kinds)}"
        )
    features, mask = stacked([DataSet(*pair) for table in tables for pair in zip(*table[:2], strict=True)])
    room = max(table.accuracy.shape[1] for table in tables)
    return TaskTable(
        features=features,
        mask=mask,
        phenotype=np.concatenate([_wide(table.phenotype, room, mode="edge") for table in tables]),
        accuracy=np.concatenate([_wide(table.accuracy, room, constant_values=np.nan) for table in tables]),
        tasks=tuple(name for table in tables for name in table.tasks),
        groups=tuple(group for table in tables for group in table.groups),
    )


def _wide(array: np.ndarray, room: int, **filling: Any) -> np.ndarray:
    """Returns an array whose second axis is filled up to `room`."""
    missing = room - array.shape[1]
    return np.pad(array, [(0, 0), (0, missing), (0, 0)][: array.ndim], **filling)


def stacked(sets: Sequence[DataSet]) -> DataSet:
    """Returns data sets side by side, padded with masked classes and images."""
    classes, images = (max(data_set.mask.shape[axis] for data_set in sets) for axis in range(2))

    def filled(array: np.ndarray) -> np.ndarray:
        rest = [(0, classes - array.shape[0]), (0, images - array.shape[1]), (0, 0)]
        return np.pad(array, rest[: array.ndim])

    return DataSet(*(np.stack([filled(part) for part in parts]) for parts in zip(*sets, strict=True)))
