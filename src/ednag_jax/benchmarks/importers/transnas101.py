"""The official TransNAS-Bench-101 file, read without torch: validation metrics at the final epoch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ednag_jax.benchmarks import transnas101 as benchmark
from ednag_jax.storage import DataError
from ednag_jax.torch_files import read_torch

TARGET = benchmark.FILE
OFFICIAL = "transnas-bench_v10141024.pth, linked from https://github.com/yawen-d/TransNASBench"


def read(path: Path) -> dict[str, np.ndarray]:
    """Returns the arrays of the data file: architectures in the order of their strings, tasks as in `TASKS`.

    The file is a dict whose entry `data` holds `[space][architecture][task]["metrics"][metric]`, a list with
    one number an epoch.

    Raises:
        DataError: the file is cut or altered, is another, or asks for code to be run.
    """
    content = read_torch(path.read_bytes(), path.name)
    tasks = benchmark.TASKS
    table = {
        "tasks": np.array(list(tasks)),
        "metric": np.array([task.file_metric for task in tasks.values()]),
    }
    for space in benchmark.SPACES:
        try:
            models = content["data"][space]
            archs = sorted(models)
        except (LookupError, TypeError) as error:
            raise DataError(f"it has no dict at ['data'][{space!r}] ({error!r})") from error
        table[f"{space}_arch"] = np.array(archs, str)
        table[space] = np.array([[_final(models, arch, task) for task in tasks] for arch in archs])
        for task in tasks:
            benchmark.task_column(table, space, task, "its table")
    return table


def _final(models: Any, arch: str, task: str) -> float:
    """Returns a task's metric of one architecture after the last epoch.

    Raises:
        DataError: it is not there, or is no number.
    """
    metric = benchmark.TASKS[task].file_metric
    try:
        return float(models[arch][task]["metrics"][metric][-1])
    except (LookupError, TypeError, ValueError) as error:
        raise DataError(f"architecture {arch!r} has no {metric} of {task} ({error!r})") from error
