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
        models = _entry(content, "data", space)
        archs = sorted(map(str, models))
        table[f"{space}_arch"] = np.array(archs)
        table[space] = np.array([[_final(models, arch, task) for task in tasks] for arch in archs])
        for task in tasks:
            benchmark.task_column(table, space, task, "its table")
    return table


def _final(models: Any, arch: str, task: str) -> float:
    """Returns a task's metric of one architecture after the last epoch."""
    path = (arch, task, "metrics", benchmark.TASKS[task].file_metric)
    try:
        return float(_entry(models, *path)[-1])
    except (TypeError, ValueError, LookupError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"it has no list of numbers at {list(path)} ({error!r})") from error


def _entry(content: Any, *path: str) -> Any:
    """Returns what lies under a path of keys.

    Raises:
        DataError: a key is missing on the way.
    """
    for key in path:
        if not isinstance(content, dict) or key not in content:
            raise DataError(f"it has no entry {key!r} on the way {list(path)}")
        content = content[key]
    return content
