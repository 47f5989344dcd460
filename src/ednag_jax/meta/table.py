"""The meta-training data as one small file: architectures, their accuracies on every task, and the recipe."""

from __future__ import annotations

import dataclasses
import importlib.resources
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int8

from ednag_jax.config import MetaConfig
from ednag_jax.meta.tasks import Task
from ednag_jax.spaces.nasbench201 import EDGES, OPS
from ednag_jax.storage import DataError, digest, read_npz, write_atomic

ARRAYS = ("phenotype", "accuracy", "seconds", "description")
"""What a file holds, beside their digest; the description is JSON, as bytes."""
COMMAND = "ednag meta build"


@dataclass(frozen=True, eq=False)
class MetaTable:
    """What cells of NAS-Bench-201, trained by one recipe, score on t tasks.

    Raises:
        DataError: arrays that do not fit together, an op id that is none, or an accuracy out of range.
    """

    phenotype: Int8[np.ndarray, "t a e"]
    """The cells of each task."""
    accuracy: Float[np.ndarray, "t a r"]
    """On held-out images after each of r trainings, in percent; NaN where a training failed."""
    seconds: Float[np.ndarray, " t"]
    """Of CPU time, over all threads, that a task's trainings took; where a process compiled, with that."""
    tasks: tuple[Task, ...]
    config: MetaConfig
    versions: dict[str, str]
    """Of the packages and the device that made it; several where it was made in several goes."""

    def __post_init__(self) -> None:
        num = len(self.tasks)
        expected = (num, self.config.cells_per_task, self.config.num_repeats)
        if self.phenotype.shape != (*expected[:2], len(EDGES)) or self.seconds.shape != (num,):
            raise DataError(
                f"meta table has cells {self.phenotype.shape} and seconds {self.seconds.shape} for {num} tasks "
                f"of {expected[1]} cells; was it cut? Make it anew with `{COMMAND}`"
            )
        if self.accuracy.shape != expected:
            raise DataError(f"meta table has accuracies {self.accuracy.shape}, expected {expected}")
        known = self.accuracy[~np.isnan(self.accuracy)]
        if known.size and not 0 <= known.min() <= known.max() <= 100:
            raise DataError(f"meta table has accuracies from {known.min()} to {known.max()}, not in 0..100")
        if self.phenotype.size and not 0 <= self.phenotype.min() <= self.phenotype.max() < len(OPS):
            raise DataError(f"meta table has op ids {self.phenotype.min()} to {self.phenotype.max()}")

    @property
    def mean_accuracy(self) -> Float[np.ndarray, "t a"]:
        """Over the trainings of each cell; NaN where one failed."""
        return self.accuracy.mean(axis=-1)

    @property
    def groups(self) -> tuple[str, ...]:
        """Of each task: tasks of different groups share no image."""
        return tuple(task.group for task in self.tasks)

    def without(self, groups: Sequence[str]) -> MetaTable:
        """Returns the table less the tasks of some groups."""
        rows = [row for row, group in enumerate(self.groups) if group not in groups]
        return dataclasses.replace(
            self,
            phenotype=self.phenotype[rows],
            accuracy=self.accuracy[rows],
            seconds=self.seconds[rows],
            tasks=tuple(self.tasks[row] for row in rows),
        )


def write_table(table: MetaTable, path: str | Path) -> Path:
    """Writes a table as an .npz, whole or not at all; the same table gives the same bytes.

    Raises:
        OSError: the folder cannot be made or written.
    """
    description = {
        "config": dataclasses.asdict(table.config),
        "tasks": [dataclasses.asdict(task) for task in table.tasks],
        "versions": table.versions,
        "command": COMMAND,
        "hours": float(table.seconds.sum()) / 3600,
    }
    arrays = {
        "phenotype": table.phenotype,
        "accuracy": table.accuracy.astype(np.float32),
        "seconds": table.seconds.astype(np.float32),
        "description": np.frombuffer(json.dumps(description).encode(), np.uint8),
    }
    arrays["digest"] = np.frombuffer(bytes.fromhex(_digest(arrays)), np.uint8)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    return write_atomic(path, buffer.getvalue())


def read_table(path: str | Path | None = None) -> MetaTable:
    """Returns a table; by default the one that comes with the package.

    Raises:
        DataError: missing, cut, altered, or of another version of the package.
    """
    packaged = importlib.resources.files("ednag_jax.meta") / "table.npz"
    file = Path(path) if path is not None else packaged
    if not file.is_file():
        raise DataError(f"meta table {str(file)!r} is missing; make one with `{COMMAND}`")
    arrays = read_npz(file.read_bytes(), str(file))
    missing = [name for name in (*ARRAYS, "digest") if name not in arrays]
    if missing:
        raise DataError(f"meta table {str(file)!r} lacks {', '.join(missing)}; make it anew with `{COMMAND}`")
    if arrays["digest"].tobytes().hex() != _digest(arrays):
        raise DataError(f"meta table {str(file)!r} does not match its digest; it was altered. Get it anew.")
    try:
        description = json.loads(arrays["description"].tobytes())
        described = {
            "tasks": tuple(task_of(entry) for entry in description["tasks"]),
            "config": MetaConfig(**description["config"]),
            "versions": description["versions"],
        }
    except (ValueError, TypeError, KeyError) as error:
        raise DataError(f"meta table {str(file)!r} is of another version of ednag-jax ({error})") from error
    return MetaTable(arrays["phenotype"], arrays["accuracy"], arrays["seconds"], **described)


def task_of(entry: dict[str, Any]) -> Task:
    """Returns the task that JSON describes, where tuples have become lists.

    Raises:
        TypeError: fields that a task does not have.
        ValueError: values that it cannot have.
    """
    lists = {"classes": tuple(map(tuple, entry["classes"])), "corruptions": tuple(entry["corruptions"])}
    return Task(**{**entry, **lists})


def joined_versions(versions: Sequence[dict[str, str]]) -> dict[str, str]:
    """Returns name -> all different versions, in the order met."""
    names = dict.fromkeys(name for each in versions for name in each)
    return {name: ", ".join(dict.fromkeys(each[name] for each in versions if name in each)) for name in names}


def _digest(arrays: dict[str, np.ndarray]) -> str:
    return digest(*(arrays[name] for name in ARRAYS))
