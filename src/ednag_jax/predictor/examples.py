"""What the predictor learns from: architectures run on many tasks, on the scales that it reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from ednag_jax.config import check_range
from ednag_jax.storage import digest

LEAST_DEVIATION = 0.1
"""Percent. A task on which all architectures are equal has nothing to standardise by."""


class TaskTable(NamedTuple):
    """Accuracies of architectures on tasks, each task a data set given by its coreset; on the host.

    Tasks made of the same images share a group: what is held out is whole groups, so that no image of a
    held-out task was seen. A task whose images are not to be had has none, all masked: what was run on it still
    teaches about architectures.
    """

    features: Float[np.ndarray, "t c k f"]
    """Of the images chosen; anything where masked."""
    mask: Bool[np.ndarray, "t c k"]
    phenotype: Int[np.ndarray, "t m e"]
    """Valid architectures; any valid one where none was run."""
    accuracy: Float[np.ndarray, "t m"]
    """Percent; NaN where not run."""
    tasks: tuple[str, ...]
    groups: tuple[str, ...]
    """Of each task."""

    @property
    def table_hash(self) -> str:
        """SHA-256 of all that is learnt from."""
        names = np.array([*self.tasks, *self.groups])
        return digest(self.features, self.mask, self.phenotype, self.accuracy, names)

    def take(self, rows: Sequence[int]) -> TaskTable:
        """Returns the tasks in these rows."""
        index = np.array(rows, int)
        return TaskTable(
            self.features[index],
            self.mask[index],
            self.phenotype[index],
            self.accuracy[index],
            tuple(self.tasks[row] for row in rows),
            tuple(self.groups[row] for row in rows),
        )

    def split(self, held_out: Sequence[str]) -> tuple[TaskTable, TaskTable]:
        """Returns the tasks of all other groups, and those of the groups held out.

        Raises:
            ValueError: a group that no task is of, or none is left to learn from.
        """
        unknown = sorted(set(held_out) - set(self.groups))
        if unknown:
            raise ValueError(
                f"no task is of groups {unknown}; there are: {', '.join(sorted(set(self.groups)))}"
            )
        rows: tuple[list[int], list[int]] = ([], [])
        for row, group in enumerate(self.groups):
            rows[group in held_out].append(row)
        if not rows[0]:
            raise ValueError(
                f"all {len(self.groups)} tasks are of the groups held out; leave one to learn from"
            )
        return self.take(rows[0]), self.take(rows[1])


def check_table(table: TaskTable) -> TaskTable:
    """Returns the table after checking that its parts fit.

    Raises:
        ValueError: shapes that do not fit, features that are not finite, accuracies out of [0, 100], or a task
            with fewer than two architectures run.
    """
    tasks = len(table.tasks)
    fits = table.features.shape[:-1] == table.mask.shape and table.phenotype.shape[:-1] == table.accuracy.shape
    if not fits or {len(part) for part in table} != {tasks} or not tasks:
        shapes = [array.shape for array in table[:4]]
        raise ValueError(
            "a table must be [t c k f], [t c k], [t m e], [t m], t names and t groups, t at least 1; got "
            f"{shapes}, {len(table.tasks)} and {len(table.groups)}"
        )
    if not np.isfinite(table.features[table.mask]).all():
        raise ValueError("features of chosen images must be finite; mask what is missing")
    runs = np.isfinite(table.accuracy)
    if np.isinf(table.accuracy).any() or ((table.accuracy[runs] < 0) | (table.accuracy[runs] > 100)).any():
        raise ValueError("accuracies must be percent in [0, 100], or NaN where not run")
    short = [name for name, row in zip(table.tasks, runs, strict=True) if row.sum() < 2]
    if short:
        raise ValueError(f"tasks {short} have fewer than 2 architectures run: there is nothing to compare")
    return table


def draw_groups(groups: Sequence[str], share: float, seed: int) -> tuple[str, ...]:
    """Returns about a share of the different groups, at least one, drawn by the seed.

    Raises:
        ValueError: fewer than two groups, or a share out of (0, 1).
    """
    check_range("share", share, 1e-6, 1 - 1e-6)
    names = sorted(set(groups))
    if len(names) < 2:
        raise ValueError(f"there is one group of tasks, {names}: none can be held out; pass held_out=()")
    num = min(max(round(share * len(names)), 1), len(names) - 1)
    return tuple(np.random.default_rng(seed).permutation(names)[:num].tolist())


class Standards(NamedTuple):
    """Scales fitted to the tasks learnt from."""

    feature_mean: Float[Array, " f"]
    basis: Float[Array, "f p"]
    """Principal directions of the features, scaled so that the first component has variance 1."""
    level_mean: Float[Array, "2"]
    level_scale: Float[Array, "2"]
    """Of the tasks' levels: what the network says is (level - mean) / scale."""

    def project(self, features: Float[Array, "*b f"]) -> Float[Array, "*b p"]:
        """Returns the components that the set encoder reads."""
        return (features - self.feature_mean) @ self.basis

    def accuracy(self, level: Float[Array, "*b 2"], standardised: Float[Array, "*b n"]) -> Float[Array, "*b n"]:
        """Returns percent, of what the network says of a data set and of n architectures on it."""
        mean, log_deviation = jnp.moveaxis(self.level_mean + self.level_scale * level, -1, 0)
        return mean[..., None] + jnp.exp(log_deviation)[..., None] * standardised


def fit_standards(table: TaskTable, components: int, *, blind: bool = False) -> Standards:
    """Returns the scales of a table; components beyond the rank of its features are 0.

    Raises:
        ValueError: no task has an image, and the predictor is not blind.
    """
    images = table.features[table.mask].astype(np.float64)
    if not len(images) and blind:
        images = np.zeros((1, table.features.shape[-1]))
    if not len(images):
        raise ValueError(
            "none of the tasks to learn from has an image; only a blind predictor (blind=True) needs none"
        )
    mean = images.mean(axis=0)
    centred = images - mean
    variance, directions = np.linalg.eigh(centred.T @ centred / len(centred))
    num = min(components, len(variance))
    basis = np.zeros((len(mean), components))
    basis[:, :num] = directions[:, ::-1][:, :num] / np.sqrt(max(variance[-1], 1e-12))
    levels = task_levels(table.accuracy)
    spread = levels.std(axis=0)
    arrays = (mean, basis, levels.mean(axis=0), np.where(spread > 1e-6, spread, 1.0))
    return Standards(*(jnp.asarray(array, jnp.float32) for array in arrays))


def task_levels(accuracy: Float[np.ndarray, "t m"]) -> Float[np.ndarray, "t 2"]:
    """Returns each task's mean in percent, and the logarithm of its standard deviation."""
    deviation = np.maximum(np.nanstd(accuracy, axis=1), LEAST_DEVIATION)
    return np.stack([np.nanmean(accuracy, axis=1), np.log(deviation)], axis=1)


class Examples(NamedTuple):
    """Tasks on the scales of the network, on the device."""

    features: Float[Array, "t c k p"]
    mask: Bool[Array, "t c k"]
    phenotype: Int[Array, "t m e"]
    target: Float[Array, "t m"]
    """Accuracy standardised within the task; 0 where not run."""
    was_run: Bool[Array, "t m"]
    level: Float[Array, "t 2"]


def examples_of(table: TaskTable, standards: Standards) -> Examples:
    """Returns a table's tasks on the given scales."""
    levels = task_levels(table.accuracy) if len(table.tasks) else np.zeros((0, 2))
    target = (table.accuracy - levels[:, :1]) / np.exp(levels[:, 1:])
    features = np.where(table.mask[..., None], table.features, 0.0).astype(np.float32)
    return Examples(
        features=standards.project(jnp.asarray(features)),
        mask=jnp.asarray(table.mask),
        phenotype=jnp.asarray(table.phenotype, jnp.int32),
        target=jnp.asarray(np.nan_to_num(target), jnp.float32),
        was_run=jnp.asarray(np.isfinite(table.accuracy)),
        level=(jnp.asarray(levels, jnp.float32) - standards.level_mean) / standards.level_scale,
    )
