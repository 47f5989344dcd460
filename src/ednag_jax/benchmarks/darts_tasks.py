"""The DARTS space on other tasks: surrogates of cells that were really trained, and a second opinion on them.

For 199 cells the data directory has validation accuracies, in percent, on SVHN, spherical CIFAR-100
(`scifar100`) and NinaPro, and for 725 others those of NAS-Bench-301's surrogate on CIFAR-10. Of each set one
half is fitted for the search to see; the other half is fitted for a judge, which is asked once, about what a
search found, as test accuracy. So a cell that is only good where its surrogate errs is found out.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from ednag_jax.benchmarks import darts
from ednag_jax.benchmarks.base import Benchmark
from ednag_jax.benchmarks.cross_validation import Quality, quality
from ednag_jax.benchmarks.darts_surrogate import ExpectedAccuracy, GaussianProcess, Scales, fit, log_likelihood
from ednag_jax.config import check_choice
from ednag_jax.storage import DataError, data_file, read_npz

DATASETS = ("svhn", "scifar100", "ninapro", "cifar10")
METRICS = ("valid",)
SOURCES = (darts.SOURCES[0]._replace(holds="199 cells trained on each of three tasks"),)
NUM_TRAINED, SPLIT_SEED = 199, 0
LANDMARKS = {
    "svhn": (96.8039, 97.5069, 97.2052),
    "scifar100": (41.24, 52.6, 46.1897),
    "ninapro": (90.1366, 93.9302, 92.3190),
}
"""Least, greatest and mean accuracy: tells another column."""
NOISES = (0.04, 0.1, 0.3, 1.0, 3.0, 10.0)
"""Of the kernel: that of the greatest likelihood is taken, on the cells fitted."""


class Cells(NamedTuple):
    """Cells and their accuracies on a task."""

    phenotype: Int[np.ndarray, "m e"]
    accuracy: Float[np.ndarray, " m"]
    """In percent."""


def load(dataset: str, metric: str = "valid", directory: str | Path | None = None) -> Benchmark:
    """Returns the benchmark of a task: a search sees the surrogate of one half, `test` is that of the other.

    Args:
        dataset: one of `DATASETS`; on `ninapro` the surrogate explains next to nothing, see `held_out`.
        metric: `valid`.
        directory: the data directory; default is the setting `EDNAG_DATA_DIR`.

    Raises:
        ValueError: unknown data set or metric.
        DataError: the file is missing, cut or altered.
    """
    check_choice("dataset", dataset, DATASETS)
    check_choice("metric", metric, METRICS)
    cells = read_task(dataset, directory)
    rows = halves(len(cells.accuracy))
    shown, kept = (surrogate(Cells(cells.phenotype[half], cells.accuracy[half])) for half in rows)
    return Benchmark.from_function(
        darts.SPACE,
        ExpectedAccuracy(darts.SPACE),
        shown,
        name="darts_tasks",
        test_params=kept,
        dataset=dataset,
        metric=f"accuracy by a surrogate of {len(shown.centres)} cells",
    )


def held_out(dataset: str, directory: str | Path | None = None) -> tuple[Quality, Quality]:
    """Returns how well the surrogate that is searched, and the judge, predict each other's half.

    Raises:
        DataError: the file is missing, cut or altered.
    """
    benchmark, cells = load(dataset, directory=directory), read_task(dataset, directory)
    shown, kept = halves(len(cells.accuracy))

    def of(rows: Int[np.ndarray, " k"], column: str) -> Quality:
        predicted = benchmark.lookup(jnp.asarray(cells.phenotype[rows]), column)
        return quality(np.asarray(predicted, np.float64), cells.accuracy[rows])

    return of(kept, "oracle"), of(shown, "test")


def halves(num: int) -> tuple[Int[np.ndarray, " m"], Int[np.ndarray, " k"]]:
    """Returns the rows that a search's surrogate is fitted to, and the judge's; the same every time."""
    order = np.random.default_rng(SPLIT_SEED).permutation(num)
    return order[: num // 2], order[num // 2 :]


def surrogate(cells: Cells) -> GaussianProcess:
    """Returns the process fitted to cells, at the noise of the greatest likelihood (host)."""
    options = [Scales(darts.SCALES.weights, darts.SCALES.signal, noise) for noise in NOISES]
    best = max(options, key=lambda scales: log_likelihood(cells.phenotype, cells.accuracy, scales))
    return fit(cells.phenotype, cells.accuracy, best)


def read_task(dataset: str, directory: str | Path | None = None) -> Cells:
    """Returns the cells of a task and their accuracies.

    Raises:
        DataError: the file is missing, cut or altered.
    """
    if dataset == "cifar10":
        return Cells(*darts.read_cells(directory))
    path = data_file(darts.FILE, directory)
    table = read_npz(path.read_bytes(), str(path))
    expected = {f"{dataset}_arch": (NUM_TRAINED, 2, 8, 2), f"{dataset}_val_acc": (NUM_TRAINED,)}
    found = {key: table[key].shape for key in expected if key in table}
    if found != expected:
        raise DataError(f"data file {str(path)!r} has arrays {found}, expected {expected}; was it cut?")
    phenotype = table[f"{dataset}_arch"].astype(np.int32).reshape(NUM_TRAINED, -1)
    accuracy = table[f"{dataset}_val_acc"].astype(np.float64)
    measured = (accuracy.min(), accuracy.max(), accuracy.mean())
    is_known = np.allclose(measured, LANDMARKS[dataset], rtol=0, atol=darts.LANDMARK_TOLERANCE)
    if not (is_known and bool(jax.jit(darts.SPACE.is_valid)(phenotype).all())):
        raise DataError(
            f"data file {str(path)!r}: {dataset} has least, greatest and mean {np.round(measured, 4).tolist()} "
            f"(expected {LANDMARKS[dataset]}), or rows that are no cells; it is altered. Get it anew."
        )
    return Cells(phenotype, accuracy)
