"""Published tables of accuracies as tasks that the predictor learns from, by coresets of their images.

A table of many architectures becomes several tasks of one group, each with a share of the architectures drawn
at random and a coreset of its own. Tables whose images are not to be had give tasks without images, which
teach about architectures alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int
from scipy.stats import rankdata

from ednag_jax.benchmarks import BENCHMARKS, darts_tasks, load_benchmark
from ednag_jax.config import check_choice
from ednag_jax.features import BACKBONES
from ednag_jax.images import ImageSet, load_images
from ednag_jax.predictor.data_sets import DataSet, data_set_of, stacked
from ednag_jax.predictor.examples import TaskTable
from ednag_jax.spaces import NasBench201, TransNas101Micro
from ednag_jax.storage import DataError, data_dir
from ednag_jax.types import KeyArray

ARCHS_PER_TASK, MOST_TASKS = 500, 8
"""Architectures of a task, and most tasks that a table becomes: more of NAS-Bench-201 changed nothing."""


class Column(NamedTuple):
    """What architectures score on one data set."""

    dataset: str
    phenotype: Int[np.ndarray, "n e"]
    accuracy: Float[np.ndarray, " n"]
    """Percent, or of a metric that is none, the share of the others that an architecture beats."""
    images: str | None
    """Name of the data set, for `load_images`; None where its images are not to be had."""


def table_columns(space_name: str, directory: str | Path | None = None) -> list[Column]:
    """Returns the tables that there are for a space, one column a data set.

    Raises:
        ValueError: a space for which there is no table of many architectures.
        DataError: a file in the data directory is missing, cut or altered.
    """
    check_choice("space of a predictor", space_name, tuple(COLUMNS))
    return COLUMNS[space_name](directory)


def space_table(
    space_name: str,
    backbone: str,
    *,
    key: KeyArray,
    directory: str | Path | None = None,
    without: Sequence[str] = (),
) -> TaskTable:
    """Returns a space's tables as tasks, named `SPACE/DATASET #number`, of the groups `SPACE/DATASET`.

    Args:
        space_name: nasbench201, transnas101_micro or darts.
        backbone: name of the frozen network that gives the features.
        key: of the coresets and of which architectures a task has.
        directory: the data directory; default is the setting `EDNAG_DATA_DIR`.
        without: groups that are left out, unread.

    Raises:
        ValueError: a space without tables, or no table left.
        DataError: a file is missing, cut or altered.
    """
    columns = table_columns(space_name, directory)
    kept = {f"{space_name}/{column.dataset}": column for column in columns}
    kept = {group: column for group, column in kept.items() if group not in without}
    if not kept:
        raise ValueError(f"no table of {space_name!r} is left without {', '.join(without)}; leave one in")
    parts = [
        part
        for number, (group, column) in enumerate(kept.items())
        for part in _tasks_of(group, column, backbone, jax.random.fold_in(key, number), directory)
    ]
    features, mask = stacked([part.data_set for part in parts])
    return TaskTable(
        features=features,
        mask=mask,
        phenotype=np.stack([part.phenotype for part in parts]).astype(np.int32),
        accuracy=np.stack([part.accuracy for part in parts]),
        tasks=tuple(part.name for part in parts),
        groups=tuple(part.group for part in parts),
    )


class _Task(NamedTuple):
    name: str
    group: str
    data_set: DataSet
    phenotype: Int[np.ndarray, "m e"]
    accuracy: Float[np.ndarray, " m"]
    """NaN where not run: the last task of a table may have fewer architectures."""


def _tasks_of(
    group: str, column: Column, backbone: str, key: KeyArray, directory: str | Path | None
) -> list[_Task]:
    """Returns the tasks that one table becomes."""
    images = _images(column, directory)
    key_order, key_sets = jax.random.split(key)
    order = np.asarray(jax.random.permutation(key_order, len(column.accuracy)))
    tasks = []
    for number in range(min(MOST_TASKS, -(-len(order) // ARCHS_PER_TASK))):
        rows = order[number * ARCHS_PER_TASK :][:ARCHS_PER_TASK]
        missing = ARCHS_PER_TASK - len(rows)
        accuracy = np.pad(column.accuracy[rows], (0, missing), constant_values=np.nan)
        phenotype = np.pad(column.phenotype[rows], ((0, missing), (0, 0)), mode="edge")
        data_set = _seen(images, backbone, jax.random.fold_in(key_sets, number))
        tasks.append(_Task(f"{group} #{number}", group, data_set, phenotype, accuracy))
    return tasks


def _images(column: Column, directory: str | Path | None) -> ImageSet | None:
    """Returns the images of a table's data set; None where they are not to be had."""
    if column.images is None or data_dir(directory) is None:
        return None
    try:
        return load_images(column.images, directory=directory)
    except DataError:  # a data directory may lack them: the table teaches about architectures all the same
        return None


def _seen(images: ImageSet | None, backbone: str, key: KeyArray) -> DataSet:
    """Returns the coreset that a task shows; of a data set without images one image that is masked."""
    if images is None:
        width = BACKBONES[backbone].num_features
        return DataSet(np.zeros((1, 1, width), np.float32), np.zeros((1, 1), bool))
    return data_set_of(images, backbone, key=key)


def _nasbench201(directory: str | Path | None) -> list[Column]:
    """Returns the validation accuracies of all cells; they come with a package, not the data directory."""
    space = NasBench201()
    phenotype = np.asarray(space.from_index(jnp.arange(space.size)))
    columns = []
    for name in ("cifar10", "cifar100", "ImageNet16-120"):
        accuracy = load_benchmark("nasbench201", dataset=name, data_dir=directory).params
        images = name if name.startswith("cifar") else None
        columns.append(Column(name, phenotype, np.asarray(accuracy, np.float64), images))
    return columns


def _darts(directory: str | Path | None) -> list[Column]:
    """Returns NAS-Bench-301's accuracies on CIFAR-10, and those of cells trained on three other tasks."""
    columns = []
    for name in darts_tasks.DATASETS:
        phenotype, accuracy = darts_tasks.read_task(name, directory)
        columns.append(Column(name, phenotype, accuracy, images=name if name == "cifar10" else None))
    return columns


def _transnas101_micro(directory: str | Path | None) -> list[Column]:
    """Returns how many other architectures each one beats, in percent, on the seven tasks; no images."""
    space = TransNas101Micro()
    phenotype = np.asarray(space.from_index(jnp.arange(space.size)))
    columns = []
    for name in BENCHMARKS["transnas101_micro"].DATASETS:
        metric = np.asarray(load_benchmark("transnas101_micro", dataset=name, data_dir=directory).params)
        share = 100 * (rankdata(metric) - 1) / (len(metric) - 1)
        columns.append(Column(name, phenotype, share, images=None))
    return columns


COLUMNS = {"nasbench201": _nasbench201, "darts": _darts, "transnas101_micro": _transnas101_micro}
"""Space -> reads its tables."""
