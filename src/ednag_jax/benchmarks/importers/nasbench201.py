"""NATS-Bench's topology files, through their own package: test and validation accuracy of every cell."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np

from ednag_jax.benchmarks import nasbench201 as benchmark
from ednag_jax.spaces import SPACES
from ednag_jax.storage import DataError

TARGET = benchmark.TEST_FILE
OFFICIAL = "the unpacked folder NATS-tss-v1_0-3ffb9-simple, linked from https://github.com/D-X-Y/NATS-Bench"
TRAINED_WITHOUT_VALIDATION = {"cifar10": "cifar10-valid"}
"""Data set -> the name under which validation accuracy is found, where it differs."""


def read(path: Path) -> dict[str, np.ndarray]:
    """Returns the arrays of the data file, from the folder of one file a cell.

    The files are pickles, which can run code, and the package `nats-bench` loads them as they are: use the
    official files only.

    Raises:
        DataError: the package is missing, the folder is not the official one, or a file in it is damaged.
    """
    if not path.is_dir():
        raise DataError("it is no folder")
    table = table_of(opened(path))
    for dataset in benchmark.DATASETS:
        benchmark.ordered_test(table, dataset, "its table")
    return table


def opened(folder: Path) -> Any:
    """Returns the package's own interface to a folder.

    Raises:
        DataError: the package is missing, or refuses the folder.
    """
    try:
        package = importlib.import_module("nats_bench")
    except ImportError as error:
        raise DataError("reading it needs the package nats-bench: pip install 'ednag-jax[nats]'") from error
    try:
        return package.create(str(folder), "tss", fast_mode=True, verbose=False)
    except Exception as error:  # of a damaged pickle anything can come
        raise DataError(f"nats-bench cannot open it ({error!r})") from error


def table_of(api: Any) -> dict[str, np.ndarray]:
    """Returns `ops` and, by data set, `_valid` and `_test`: percent, 200 epochs, mean over training seeds.

    Args:
        api: what `nats_bench.create(folder, "tss", fast_mode=True)` returns.

    Raises:
        DataError: a cell is missing, or its file is damaged.
    """
    space = SPACES["nasbench201"]
    if len(api) != space.size:
        raise DataError(f"it has {len(api)} architectures, expected {space.size}; was it cut?")
    rows = [accuracies(api, index) for index in range(space.size)]
    try:
        ops = np.array([space.from_str(api.arch(index)) for index in range(space.size)], np.int8)
    except ValueError as error:
        raise DataError(f"it has an architecture of another space: {error}") from error
    return {"ops": ops, **{name: np.array([row[name] for row in rows]) for name in rows[0]}}


def accuracies(api: Any, index: int) -> dict[str, float]:
    """Returns the accuracies of one cell by the name of their array.

    Raises:
        DataError: the file of the cell is missing or damaged.
    """
    found = {}
    try:
        for dataset in benchmark.DATASETS:
            for split in ("valid", "test"):
                owner = TRAINED_WITHOUT_VALIDATION.get(dataset, dataset) if split == "valid" else dataset
                info = api.get_more_info(index, owner, hp=str(benchmark.EPOCHS), is_random=False)
                found[f"{dataset}_{split}"] = float(info[f"{split}-accuracy"])
        if api.fast_mode:
            api.arch2infos_dict.pop(index)  # the package keeps all that it read, which would be gigabytes
    except Exception as error:  # of a damaged pickle anything can come
        raise DataError(f"nats-bench cannot read architecture {index} ({error!r}); was it cut?") from error
    return found
