"""TransNAS-Bench-101's seven tasks on its two spaces: validation metric at the final epoch, from the data directory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from ednag_jax.benchmarks.base import Benchmark, Source
from ednag_jax.config import check_choice
from ednag_jax.spaces.transnas101 import TransNas101Macro, TransNas101Micro
from ednag_jax.storage import DataError, data_file, read_npz

METRICS = ("valid",)
SPACES = {"micro": TransNas101Micro(), "macro": TransNas101Macro()}
FILE = Path("transnasbench101") / "transnasbench101_valid_final.npz"
SOURCES = (Source(FILE.as_posix(), "validation metrics of 7 tasks", "from NASLib's TransNAS-Bench-101 files"),)
LANDMARK_TOLERANCE = 1e-4


class Task(NamedTuple):
    """What a task measures, under the name that the file gives it."""

    file_metric: str
    unit: str
    epochs: int
    direction: str
    landmarks: dict[str, tuple[float, float]]
    """Best and mean over the space, as stored: tells another metric, epoch or order of the tasks."""


def _task(file_metric: str, unit: str, epochs: int, *landmarks: float, direction: str = "max") -> Task:
    return Task(file_metric, unit, epochs, direction, {"micro": landmarks[:2], "macro": landmarks[2:]})


TASKS = {
    "class_scene": _task("valid_top1", "percent", 25, 54.9363, 44.9372, 57.4144, 52.8837),
    "class_object": _task("valid_top1", "percent", 25, 45.5862, 38.9652, 47.4224, 43.4329),
    "room_layout": _task("valid_neg_loss", "loss", 25, -0.6010, -0.7487, -0.5822, -0.6709, direction="min"),
    "jigsaw": _task("valid_top1", "percent", 10, 95.3722, 76.5683, 97.0193, 93.4315),
    "segmentsemantic": _task("valid_acc", "percent of pixels", 30, 94.6125, 93.7261, 94.8585, 94.3861),
    "normal": _task("valid_ssim", "SSIM", 30, 0.5873, 0.5122, 0.6435, 0.5598),
    "autoencoder": _task("valid_ssim", "SSIM", 30, 0.5772, 0.4408, 0.7488, 0.5062),
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
    table = read_npz(path.read_bytes(), str(path))
    keys = ("tasks", "metric", space, f"{space}_arch")
    missing = [key for key in keys if key not in table]
    if missing:
        raise DataError(f"data file {str(path)!r} lacks {missing}; see `ednag data --help`")
    tasks, metrics, scores, archs = (table[key] for key in keys)
    expected = {name: task.file_metric for name, task in TASKS.items()}
    found = dict(zip(tasks.tolist(), metrics.tolist(), strict=False))
    if found != expected or scores.shape != (len(archs), len(TASKS)):
        raise DataError(
            f"data file {str(path)!r} has columns {found} and {space} {scores.shape}, expected {expected} and "
            f"({len(archs)}, {len(TASKS)}); get it anew"
        )
    column = np.empty(len(archs))
    column[_rows(space, archs)] = scores[:, list(tasks).index(dataset)]
    measured, landmarks = (column.max(), column.mean()), TASKS[dataset].landmarks[space]
    if not np.allclose(measured, landmarks, rtol=0, atol=LANDMARK_TOLERANCE):
        raise DataError(
            f"data file {str(path)!r}: {space} {dataset} has best {measured[0]:.4f} and mean {measured[1]:.4f}, "
            f"expected {landmarks}; it is altered, or of another epoch. Get it anew."
        )
    return column


def _rows(space: str, archs: np.ndarray) -> np.ndarray:
    """Returns the table row of each official string, after checking that every architecture occurs once."""
    owner = SPACES[space]
    phenotypes = np.asarray(owner.from_index(jnp.arange(owner.size)))
    row_of = {owner.to_str(phenotype): row for row, phenotype in enumerate(phenotypes)}
    unknown = sorted(set(archs.tolist()) - set(row_of))
    if unknown or len(archs) != owner.size or len(set(archs.tolist())) != owner.size:
        raise DataError(
            f"data file {str(FILE)!r} has {len(archs)} {space} rows, {len(unknown)} of them of no architecture "
            f"{unknown[:1]}, expected {owner.size} different ones; was it cut?"
        )
    return np.array([row_of[arch] for arch in archs.tolist()])
