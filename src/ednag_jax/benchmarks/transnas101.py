"""TransNAS-Bench-101's seven tasks on two spaces: validation metric at the final epoch, from a data file."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from ednag_jax.benchmarks.base import Benchmark, Source
from ednag_jax.config import check_choice
from ednag_jax.spaces.transnas101 import TransNas101Macro, TransNas101Micro
from ednag_jax.storage import DataError, data_file, read_npz

METRICS = ("valid",)
SPACES: dict[str, TransNas101Micro | TransNas101Macro] = {
    "micro": TransNas101Micro(),
    "macro": TransNas101Macro(),
}
FILE = Path("transnasbench101") / "transnasbench101_valid_final.npz"
SOURCES = (
    Source(
        FILE.as_posix(),
        "validation metrics of 7 tasks",
        "ednag import transnas101 transnas-bench_v10141024.pth; that file: github.com/yawen-d/TransNASBench",
    ),
)
LANDMARK_TOLERANCE = 1e-4
"""Absolute: landmarks have 4 decimals. They tell another metric, epoch or order of tasks."""


class Task(NamedTuple):
    """What a task measures, under the name that the file gives it; best and mean of each space, as stored."""

    file_metric: str
    unit: str
    epochs: int
    micro: tuple[float, float]
    macro: tuple[float, float]
    direction: str = "max"


TASKS = {
    "class_scene": Task("valid_top1", "percent", 25, (54.9363, 44.9372), (57.4144, 52.8837)),
    "class_object": Task("valid_top1", "percent", 25, (45.5862, 38.9652), (47.4224, 43.4329)),
    "room_layout": Task("valid_neg_loss", "loss", 25, (-0.6010, -0.7487), (-0.5822, -0.6709), "min"),
    "jigsaw": Task("valid_top1", "percent", 10, (95.3722, 76.5683), (97.0193, 93.4315)),
    "segmentsemantic": Task("valid_acc", "percent of pixels", 30, (94.6125, 93.7261), (94.8585, 94.3861)),
    "normal": Task("valid_ssim", "SSIM", 30, (0.5873, 0.5122), (0.6435, 0.5598)),
    "autoencoder": Task("valid_ssim", "SSIM", 30, (0.5772, 0.4408), (0.7488, 0.5062)),
}
"""In the order of the file. Published tables name other columns: best epoch instead of the final one, mIoU for
segmentsemantic, and 100 times the loss of room_layout and the SSIM."""


@dataclass(frozen=True)
class TransNas101:
    """The benchmark of one of the two spaces: `micro` or `macro`."""

    space: str
    DATASETS: tuple[str, ...] = tuple(TASKS)
    METRICS: tuple[str, ...] = METRICS
    SOURCES: tuple[Source, ...] = SOURCES

    def load(self, dataset: str, metric: str = "valid", directory: str | Path | None = None) -> Benchmark:
        """Returns the benchmark of one task: validation metric at the final epoch, one training each.

        Args:
            dataset: a task; its unit is `percent` (top-1), `percent of pixels`, `SSIM` or, for room_layout, a
                squared error `loss`, stored negated.
            metric: `valid`; the file has no test metric.
            directory: the data directory; default is the setting `EDNAG_DATA_DIR`.

        Raises:
            ValueError: unknown task or metric.
            DataError: the file is missing, cut or altered.
        """
        check_choice("dataset", dataset, self.DATASETS)
        check_choice("metric", metric, self.METRICS)
        task = TASKS[dataset]
        space = SPACES[self.space]
        return Benchmark.from_table(
            space,
            read_task(self.space, dataset, directory),
            name=space.name,
            dataset=dataset,
            metric=metric,
            epochs=task.epochs,
            unit=task.unit,
            direction=task.direction,
        )


MICRO, MACRO = TransNas101("micro"), TransNas101("macro")


def read_task(space: str, dataset: str, directory: str | Path | None = None) -> np.ndarray:
    """Returns a task's column [size] in table order, higher is better.

    Raises:
        DataError: the file is missing, cut or altered.
    """
    path = data_file(FILE, directory)
    return task_column(read_npz(path.read_bytes(), str(path)), space, dataset, f"data file {str(path)!r}")


def task_column(table: dict[str, np.ndarray], space: str, dataset: str, owner: str) -> np.ndarray:
    """Returns a task's column of a table in the order of the space; `owner` names the table in errors.

    Raises:
        DataError: arrays, architectures or numbers are not those of the benchmark.
    """
    keys = ("tasks", "metric", space, f"{space}_arch")
    missing = [key for key in keys if key not in table]
    if missing:
        raise DataError(f"{owner} lacks {missing}; see `ednag data --help`")
    tasks, metrics, scores, archs = (table[key] for key in keys)
    expected = {name: task.file_metric for name, task in TASKS.items()}
    columns = dict(zip(tasks.tolist(), metrics.tolist(), strict=False))
    if columns != expected or scores.shape != (len(archs), len(TASKS)):
        raise DataError(
            f"{owner} has columns {columns} and {space} {scores.shape}, expected {expected} "
            f"and ({len(archs)}, {len(TASKS)}); get it anew"
        )
    column = np.empty(len(archs))
    column[_rows(space, archs, owner)] = scores[:, list(tasks).index(dataset)]
    found, landmarks = (column.max(), column.mean()), getattr(TASKS[dataset], space)
    if not np.allclose(found, landmarks, rtol=0, atol=LANDMARK_TOLERANCE):
        raise DataError(
            f"{owner}: {space} {dataset} has best {found[0]:.4f} and mean {found[1]:.4f}, "
            f"expected {landmarks}; it is altered, or of another epoch. Get it anew."
        )
    return column


@cache
def _row_of(space: str) -> dict[str, int]:
    """Returns the table row of every official string of a space."""
    owner = SPACES[space]
    phenotypes = np.asarray(owner.from_index(jnp.arange(owner.size)))
    return {owner.to_str(phenotype): row for row, phenotype in enumerate(phenotypes)}


def _rows(space: str, archs: np.ndarray, owner: str) -> np.ndarray:
    """Returns the table row of each official string, after checking that every architecture occurs once."""
    row_of, names = _row_of(space), archs.tolist()
    unknown = sorted(set(names) - set(row_of))
    if unknown:
        raise DataError(f"{owner} has {unknown[0]!r}, no architecture of {space}; get it anew")
    if len(names) != len(row_of) or len(set(names)) != len(row_of):
        raise DataError(
            f"{owner} has {len(set(names))} different {space} architectures in {len(names)} "
            f"rows, expected each of {len(row_of)} once; was it cut?"
        )
    return np.array([row_of[name] for name in names])
